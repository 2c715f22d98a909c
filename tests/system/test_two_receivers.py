"""Two receivers behind one sender, in network namespaces: each opens everything, and one may die.

The sender's neighbour entry for the receivers' one address is the broadcast MAC, so a single frame reaches both; nobody
joins a group, nobody asks. Namespaces, a bridge and veth pairs are made here and removed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol import keymaking, keys
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import columns
from protocol.process.statusfile import read_status
from receiver.outputs.base import BatchBody
from receiver.outputs.scope import Scope
from receiver.publish.opener import Opener
from sender.geometry import Geometry
from sender.store.pack import Packer
from sender.store.spool import Spool

ADDRESS = "10.79.0.2"
SENDER = """
site = "north"
[outlet]
to = "10.79.0.2:5005"
repeat = ["2s"]
[keys]
own = "keys/high"
receivers = ["../one/keys/low.pub", "../two/keys/low.pub"]
"""
RECEIVER = """
[inlet]
listen = "10.79.0.2:5005"
[keys]
own = "keys/low"
senders = ["../high/keys/high.pub"]
"""


def test_two_receivers_have_the_same_and_one_may_die(tmp_path: Path) -> None:
    """Both journals open to the same samples; one is killed, the other goes on; nothing ever came to the sender."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make network namespaces")
    keymaking.make("high", tmp_path / "high/keys/high")
    for side in ("one", "two"):
        keymaking.make("low", tmp_path / side / "keys/low")
        (tmp_path / side / "receiver.toml").write_text(RECEIVER)
    (tmp_path / "high/sender.toml").write_text(SENDER)
    packer, spool = _plant(tmp_path)
    with _net() as run, _processes() as start:
        low = {side: start(run(side), "receive", tmp_path / side / "receiver.toml", "catch") for side in ("one", "two")}
        for side in low:
            _until(lambda at=side: read_status(tmp_path / at / "state", "catch") is not None, "catch did not start")  # type: ignore[misc]
        start(run("high"), "send", tmp_path / "high/sender.toml", "emit")
        sent = _sample(packer, spool, 0, 100)
        for side in ("one", "two"):
            _until(lambda at=side: _values(tmp_path, at) == sent, f"{side} has not everything")  # type: ignore[misc]
        low["one"].kill()
        low["one"].wait()
        sent += _sample(packer, spool, 100, 200)
        _until(lambda: _values(tmp_path, "two") == sent, "the other did not go on")
        assert len(_values(tmp_path, "one")) < len(sent)
        words = [*run("high"), "cat", "/sys/class/net/wire/statistics/rx_packets"]
        told = subprocess.run(words, capture_output=True, text=True, check=True)
        assert int(told.stdout) == 0
    spool.close(time.monotonic())


def _plant(folder: Path) -> tuple[Packer, Spool]:
    """The polling side, here in the test: a packer over a real spool."""
    receivers = [keys.load(folder / side / "keys/low", "open").public for side in ("one", "two")]
    spool = Spool(folder / "high/state", keep_s=1e6, most_bytes=10**9, now=time.monotonic())
    packer = Packer(
        site="north",
        boot=spool.next_boot(time.time_ns()),
        geometry=Geometry(width=1424, rate=2.5e6, repeats=1, loss=0.01),
        signer=keys.load(folder / "high/keys/high", "sign"),
        receivers=receivers,
        previous=None,
        append=spool.append,
        entropy=os.urandom,
        wall=time.time_ns,
        now=time.monotonic,
    )
    packer.catalog({"pump": Asset(name="pump")}, [Tag(id=0, asset="pump", name="p")])
    spool.flush(time.monotonic())
    return packer, spool


def _sample(packer: Packer, spool: Spool, first: int, after: int) -> list[float]:
    values = [float(value) for value in range(first, after)]
    for value in values:
        packer.samples("pump", columns([0], int(value), [value]), 1)
        if value % 10 == 9:
            packer.close()
            spool.flush(time.monotonic())
    return values


def _values(folder: Path, side: str) -> list[float]:
    """Every value that a receiver can open, from its journal as it is now."""
    sign = keys.load(folder / "high/keys/high", "sign").public
    opener = Opener(
        folder / side / "state/journal",
        None,
        own=keys.load(folder / side / "keys/low", "open"),
        signers={sign.id: sign},
        scope=Scope(),
        now=0.0,
        wall_ns=time.time_ns(),
    )
    out: list[float] = []
    while True:
        opened, moved = opener.step(0.0)
        for one in opened:
            if isinstance(one.body, BatchBody):
                out += one.body.columns.floats.tolist()
        if not moved:
            return sorted(out)


@contextmanager
def _net() -> Iterator[Callable[[str], list[str]]]:
    """high -> bridge -> one, two; the sender knows one address and the broadcast MAC."""
    names = {side: f"cv2{side}{os.getpid()}" for side in ("high", "mid", "one", "two")}

    def run(side: str) -> list[str]:
        return ["ip", "netns", "exec", names[side]]

    steps = [["ip", "netns", "add", name] for name in names.values()]
    quiet = ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]
    steps += [[*run(side), *quiet] for side in names]
    for side in ("high", "one", "two"):
        steps += [
            [*run("mid"), *f"ip link add {side} type veth peer name wire netns {names[side]}".split()],
            [*run(side), *["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"]],
            [*run(side), *["sysctl", "-qw", "net.ipv4.conf.wire.rp_filter=0"]],
            [*run(side), *["ip", "link", "set", "wire", "arp", "off", "multicast", "off"]],
        ]
    steps += [
        [*run("mid"), *["ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"]],
        *([*run("mid"), *f"ip link set {side} master br0 up".split()] for side in ("high", "one", "two")),
        [*run("mid"), *["ip", "link", "set", "br0", "up"]],
        *([*run(side), *f"ip addr add {ADDRESS}/32 dev wire".split()] for side in ("one", "two")),
        [*run("high"), *["ip", "addr", "add", "10.79.0.1/32", "dev", "wire"]],
        *([*run(side), *["ip", "link", "set", "wire", "up"]] for side in ("high", "one", "two")),
        [*run("high"), *f"ip route add {ADDRESS}/32 dev wire scope link".split()],
        [*run("high"), *f"ip neigh replace {ADDRESS} lladdr ff:ff:ff:ff:ff:ff dev wire nud permanent".split()],
    ]
    try:
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{' '.join(step)}: {done.stderr}"
        yield run
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextmanager
def _processes() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(prefix: list[str], command: str, file: Path, only: str) -> subprocess.Popen[bytes]:
        words = [*prefix, sys.executable, "-m", "checkvalve", command, str(file), "--only", only, "--preflight", "warn"]
        started.append(subprocess.Popen(words))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
            process.wait(30)


def _until(done: Callable[[], bool], text: str) -> None:
    ends = time.monotonic() + 40
    while not done():
        assert time.monotonic() < ends, text
        time.sleep(0.1)
