"""The real emit and the real catch over the real recipe, as another user; and the starts that preflight refuses."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import (
    HIGH,
    HIGH_MAC,
    LOW,
    LOW_MAC,
    PORT,
    Lab,
    Tap,
    checkvalve,
    configure,
    counter,
    lab,
    missing,
    run,
    udp,
    within,
)

from audit.capture import capture
from audit.capture.read_capture import CaptureQuestion
from audit.check import CheckStatus
from audit.machine import live_checks
from audit.machine.ground import Subject
from audit.plantings import pcap
from audit.provoke import provoke
from oneway import gate
from oneway.preflight import Level
from oneway.recipe import Side
from protocol import keymaking, keys
from protocol.content.sample import Row, from_rows
from sender import link_file
from sender.store.pack import Packer
from sender.store.spool import Spool

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no lab: {missing()}")

BLOCKS = 60
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def unprivileged() -> list[str]:
    """Words that run a command as nobody, where nobody may run this interpreter."""
    try:
        done = subprocess.run([*AS_NOBODY, sys.executable, "-c", ""], capture_output=True, check=False)
    except FileNotFoundError:
        return []
    return AS_NOBODY if done.returncode == 0 else []


@pytest.fixture
def sides() -> Iterator[Path]:
    """Folders `high` and `low` with keys and configuration, and a spool of whole blocks."""
    root = Path(tempfile.mkdtemp(prefix="checkvalve-"))
    try:
        for side in ("high", "low"):
            (root / side).mkdir()
            keymaking.make(side, root / side / "keys")
        (root / "high/sender.toml").write_text(
            f'site = "north"\n[outlet]\nto = "{LOW}:{PORT}"\n[keys]\nown = "keys"\nreceivers = ["../low/keys.pub"]\n'
        )
        (root / "low/receiver.toml").write_text(
            f'[inlet]\nlisten = "{LOW}:{PORT}"\nbuffer_mib = 4\n[keys]\nown = "keys"\nsenders = ["../high/keys.pub"]\n'
        )
        for state in ("high/state", "low/state"):
            (root / state).mkdir()
        fill(root / "high")
        if unprivileged():
            for path in [root, *root.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        yield root
    finally:
        shutil.rmtree(root)


def fill(high: Path, blocks: int = BLOCKS) -> None:
    """What the poller leaves behind: sealed blocks in the spool."""
    link = link_file.load(high / "sender.toml")
    now = [0.0]
    spool = Spool(link.state, keep_s=1e6, most_bytes=10**9, now=0.0)
    packer = Packer(
        site="north",
        boot=spool.next_boot(time.time_ns()),
        geometry=link.outlet.geometry,
        signer=keys.load(high / "keys", "sign"),
        receivers=[key for key in keys.load_public(high.parent / "low/keys.pub") if key.kind == "open"],
        previous=spool.previous(),
        append=spool.append,
        entropy=os.urandom,
        wall=time.time_ns,
        now=lambda: now[0],
    )
    while packer.number < blocks:
        rows = [Row(1, 1_700_000_000_000_000_000 + at, float(at)) for at in range(50)]
        packer.samples("pump", from_rows(rows), len(rows))
        packer.close()
    packer.finish()
    spool.flush(0.0)
    spool.store.close()


@contextlib.contextmanager
def as_owner() -> Iterator[None]:
    """What is written belongs to the user of the processes from the first moment."""
    if not unprivileged():
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def told(root: Path, side: str, name: str) -> dict[str, Any]:
    """A process's status."""
    try:
        held: dict[str, Any] = json.loads((root / side / f"state/status-{name}.json").read_text())
    except (OSError, ValueError):
        return {}
    return held


def until(done: Callable[[], object], what: str, processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait for a condition while the processes live."""
    ends = time.monotonic() + 30
    while not done():
        assert time.monotonic() < ends, what
        assert all(one.poll() is None for one in processes), "a process ended"
        time.sleep(0.02)


@contextlib.contextmanager
def running(sides: Path, side: str, namespace: str, confine: str = "on") -> Iterator[subprocess.Popen[bytes]]:
    """The side's process at the link, as nobody, until it is asked to end; then it must end cleanly."""
    file, words = ("sender.toml", ("send", "emit")) if side == "high" else ("receiver.toml", ("receive", "catch"))
    argv = checkvalve(namespace, words[0], str(sides / side / file), "--only", words[1], "--confine", confine)
    process = subprocess.Popen([*argv[:4], *unprivileged(), *argv[4:]], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code == 0


def emitted(sides: Path) -> int:
    """Frames that emit says it sent."""
    return int(told(sides, "high", "emit").get("frames_total", 0))


def caught(sides: Path) -> int:
    """Blocks that catch says it has whole."""
    return int(told(sides, "low", "catch").get("blocks", {}).get("whole", 0))


@pytest.mark.parametrize("confine", ["on", "strict"])
def test_the_real_ends_over_the_real_recipe(sides: Path, confine: str) -> None:
    """Every block arrives, no frame comes back, `audit live` of both finds nothing to say; by deny and allow list."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        with contextlib.ExitStack() as held:
            catch = held.enter_context(running(sides, "low", one.low, confine))
            until(lambda: told(sides, "low", "catch"), "catch", [catch])  # what is sent before it listens is missing
            emit = held.enter_context(running(sides, "high", one.high, confine))
            until(lambda: caught(sides) >= BLOCKS, "blocks", [catch, emit])
            until(lambda: emitted(sides) >= BLOCKS, "frames", [catch, emit])
            for side, namespace in (("high", one.high), ("low", one.low)):
                check_live(sides, side, namespace, root=not unprivileged())
            assert told(sides, "high", "emit")["preflight"] == "refuse"
            assert told(sides, "high", "emit")["confined"] == told(sides, "low", "catch")["confined"] == confine
            assert (one.rx(), one.tx()) == (0, 0)
        assert (one.rx(), one.tx()) == (0, 0)


@pytest.mark.parametrize("change", ["mtu", "down", "removed address"])
def test_an_interface_that_changes_while_it_runs_loses_nothing(sides: Path, change: str) -> None:
    """Emit goes on, its status says why nothing leaves, and what was written meanwhile arrives once it is mended.

    Frames that leave when the address is back and the neighbour's entry is not are lost on the way: a repeat brings
    them, and here it comes after two seconds.
    """
    file = sides / "high/sender.toml"
    file.write_text(file.read_text().replace("[keys]", 'repeat = ["2s", "20s"]\n[keys]'))
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        inside = ("ip", "-n", one.high)
        with contextlib.ExitStack() as held:
            catch = held.enter_context(running(sides, "low", one.low, "strict"))
            until(lambda: told(sides, "low", "catch"), "catch", [catch])
            emit = held.enter_context(running(sides, "high", one.high, "strict"))
            until(lambda: caught(sides) >= BLOCKS, "blocks", [catch, emit])
            if change == "mtu":
                run(*inside, "link", "set", "hi0", "mtu", "600")
            elif change == "down":
                run(*inside, "link", "set", "hi0", "down")
            else:
                run(*inside, "addr", "flush", "dev", "hi0")
            before = caught(sides)
            with as_owner():
                fill(sides / "high")
            until(lambda: told(sides, "high", "emit").get("warnings"), "a warning", [catch, emit])
            (line,) = told(sides, "high", "emit")["warnings"]
            assert ("do not fit" if change == "mtu" else "takes nothing") in line
            assert caught(sides) < before + BLOCKS
            if change == "mtu":
                run(*inside, "link", "set", "hi0", "mtu", "1500")
            else:
                configure(one.high_ground())
            until(lambda: caught(sides) >= before + BLOCKS, "the blocks that waited", [catch, emit])
            until(lambda: not told(sides, "high", "emit")["warnings"], "the warning goes", [catch, emit])
            until(lambda: told(sides, "low", "catch")["blocks"]["missing"] == 0, "nothing missing", [catch, emit])


@pytest.mark.parametrize("listening", [True, False])
def test_the_real_ends_are_provoked_and_nothing_comes_back(sides: Path, tmp_path: Path, listening: bool) -> None:
    """With catch and without: data cross, capture and counters agree, twelve provocations get no answer."""
    with lab(bridge=True) as one, contextlib.ExitStack() as held:
        assert one.cable
        configure(one.high_ground())
        configure(one.low_ground())
        run("ip", "-n", one.high, "link", "set", "dev", "hi0", "gso_max_segs", "1")  # a frame each, as a card sends
        run("ip", "netns", "exec", one.low, "sysctl", "-qw", "net/ipv4/ipfrag_time=1")
        processes = [held.enter_context(running(sides, "low", one.low))] if listening else []
        if listening:
            until(lambda: told(sides, "low", "catch"), "catch", processes)
        tap = Tap(one.cable, "to-low0")
        with running(sides, "high", one.high) as emit:
            until(lambda: emitted(sides) >= BLOCKS, "frames", [emit, *processes])
        frames = tap.close()
        assert len(frames) == counter(one.high, "hi0", "tx_packets") == counter(one.low, "lo0", "rx_packets") >= 40
        if listening:
            until(lambda: caught(sides) >= BLOCKS, "blocks", processes)
        (tmp_path / "link.pcap").write_bytes(pcap(frames))
        question = CaptureQuestion(path=tmp_path / "link.pcap", high=HIGH_MAC, low=LOW_MAC, port=PORT)
        checks = {check.id: check.status for check in capture.run(question, now_ns=time.time_ns()).checks}
        assert checks["CAP-1"] == checks["CAP-3"] == CheckStatus.PASS
        processes.append(held.enter_context(running(sides, "high", one.high)))
        until(lambda: told(sides, "high", "emit").get("pid") == processes[-1].pid, "emit again", processes)
        asked = provoke.ProvokeQuestion(
            interface="to-low0", address=HIGH, peer=LOW, peer_mac=LOW_MAC, port=PORT, wait_s=1.5
        )
        (answered, _) = within(one.cable, lambda: provoke.run(asked, wall=time.time_ns)).checks
        assert answered.status == CheckStatus.PASS, answered.found
        assert answered.evidence[0].value["listener"] == answered.evidence[0].value["rx_packets grew by"] == 0
        assert counter(one.low, "lo0", "rx_packets") >= len(frames) + 12
        assert all(process.poll() is None for process in processes)
        assert (one.rx(), one.tx()) == (0, 0)


def check_live(sides: Path, side: str, namespace: str, *, root: bool) -> None:
    """Everything that can be told passes; PR-1 to PR-6 are told of the running process."""
    high = side == "high"
    subject = Subject(side=side, interface="hi0" if high else "lo0", peer_mac=LOW_MAC if high else None)
    config = sides / side / ("sender.toml" if high else "receiver.toml")
    found = live_checks.run(
        live_checks.MachineQuestion(subject=subject, namespace=namespace, config=config), wall=time.time_ns
    )
    answers = {one.id: one.status for one in found.checks}
    wrong = {ident for ident, status in answers.items() if status in (CheckStatus.FAIL, CheckStatus.WARN)}
    assert wrong == ({"PR-4"} if root else set()), [one.found for one in found.checks if one.id in wrong]
    assert {ident for ident, status in answers.items() if status == CheckStatus.SKIP} == {"L1-1"}


@pytest.fixture(scope="module")
def hard() -> Iterator[Lab]:
    """Both ends as the recipe makes them."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        yield one


KILLERS: dict[str, tuple[str, list[str], str]] = {
    "rp_filter": ("low", ["sysctl", "-qw", "net/ipv4/conf/lo0/rp_filter=2"], "rp_filter is 2 on lo0"),
    "low IPv6": ("low", ["sysctl", "-qw", "net/ipv6/conf/lo0/disable_ipv6=0"], "IPv6 is on at lo0"),
    "low hook": ("low", ["nft", "delete", "table", "netdev", "checkvalve"], "no hook at lo0, egress"),
    "neighbour": ("high", ["ip", "neigh", "del", LOW, "dev", "hi0"], "frames would go to this machine's own address"),
    "neighbour with ARP": ("high", ["ip", "link", "set", "hi0", "arp", "on"], "has no entry in the neighbour table"),
    "route": ("high", ["ip", "route", "del", f"{LOW}/32"], f"no route leads to {LOW}"),
    "high IPv6": ("high", ["sysctl", "-qw", "net/ipv6/conf/hi0/disable_ipv6=0"], "IPv6 is on at hi0"),
    "high hook": ("high", ["nft", "delete", "table", "netdev", "checkvalve"], "no hook at hi0, ingress"),
}


@pytest.mark.parametrize("name", KILLERS)
def test_preflight_finds_the_silent_killer(hard: Lab, name: str) -> None:
    """As the recipe leaves it nothing is found; each fault is a fault with its fix; the recipe mends it."""
    side, break_it, text = KILLERS[name]
    namespace, ground = (hard.high, hard.high_ground()) if side == "high" else (hard.low, hard.low_ground())
    assert within(namespace, lambda: gate.findings(Side(side), LOW)) == []
    run("ip", "netns", "exec", namespace, *break_it)
    try:
        faults = [one for one in within(namespace, lambda: gate.findings(Side(side), LOW)) if one.level == Level.FAULT]
        assert [one for one in faults if text in one.text], faults
        assert all(one.fix for one in faults)
    finally:
        configure(ground)


@pytest.mark.parametrize("side", ["high", "low"])
def test_a_start_on_unsafe_ground_is_refused(sides: Path, side: str) -> None:
    """Exit 2 with the reason and the next step, before a process is started; `--preflight=warn` goes on and says so."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        if side == "high":
            run("ip", "-n", one.high, "neigh", "del", LOW, "dev", "hi0")
            argv = checkvalve(one.high, "send", str(sides / "high/sender.toml"))
        else:
            run("ip", "netns", "exec", one.low, "sysctl", "-qw", "net/ipv4/conf/all/rp_filter=1")
            argv = checkvalve(one.low, "receive", str(sides / "low/receiver.toml"))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert "not safe to start on" in done.stderr
        assert f"checkvalve setup {side}" in done.stderr
        name = "emit" if side == "high" else "catch"
        argv = [*argv[:4], *unprivileged(), *argv[4:], "--only", name, "--preflight", "warn"]
        process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        try:
            until(lambda: told(sides, side, name).get("warnings"), "no warning", [process])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        assert told(sides, side, name)["preflight"] == "warn"
        assert "preflight overridden" in " ".join(told(sides, side, name)["warnings"])


def test_a_killer_kills_without_a_word() -> None:
    """Why preflight is: with rp_filter the kernel says ok to every send and delivers none, without any error."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        run("ip", "netns", "exec", one.low, "sysctl", "-qw", "net/ipv4/conf/all/rp_filter=2")
        with udp(one.high) as sender, udp(one.low, LOW) as receiver:
            assert [sender.sendto(b"d" * 200, (LOW, PORT)) for _ in range(20)] == [200] * 20
            with pytest.raises(TimeoutError):
                receiver.recv(2048)
            run("ip", "netns", "exec", one.low, "sysctl", "-qw", "net/ipv4/conf/all/rp_filter=0")
            sender.sendto(b"now", (LOW, PORT))
            assert receiver.recv(2048) == b"now"


def test_setup_does_what_it_prints() -> None:
    """`setup --apply` and its printed script through `sh` leave the same state, and both look right to `--verify`."""
    with lab() as first, lab() as second:
        for one in (first, second):
            words = {
                "high": ("--interface", "hi0", "--address", HIGH, "--to", f"{LOW}:{PORT}", "--peer-mac", LOW_MAC),
                "low": ("--interface", "lo0", "--listen", f"{LOW}:{PORT}", "--sender", HIGH),
            }
            for side, namespace in (("high", one.high), ("low", one.low)):
                setup = checkvalve(namespace, "setup", side, *words[side])
                env = {**os.environ, "CHECKVALVE_NETNS": namespace}
                if one is first:
                    done = subprocess.run([*setup, "--apply"], env=env, capture_output=True, text=True, check=False)
                    assert done.returncode == 0, done.stdout + done.stderr
                    assert "as the recipe makes it" in done.stdout
                else:
                    printed = subprocess.run(setup, env=env, capture_output=True, text=True, check=True).stdout
                    run("sh", stdin=printed)
                    done = subprocess.run([*setup, "--verify"], env=env, capture_output=True, text=True, check=False)
                    assert done.returncode == 0, done.stdout + done.stderr
        for side in ("high", "low"):
            assert state(first, side) == state(second, side)


def test_setup_refuses_an_interface_that_stands_on_another_or_under_one() -> None:
    """The kernel's own word on it: named, before anything is changed; the card itself is refused while it is shared."""
    with lab() as one:
        if run(
            "ip", "-n", one.low, "link", "add", "link", "lo0", "name", "mv0", "type", "macvlan", check=False
        ).returncode:
            pytest.skip("this kernel has no macvlan")
        before = state(one, "low")
        for name, told in (("mv0", "mv0 is a macvlan on lo0"), ("lo0", "mv0 speaks by lo0")):
            words = checkvalve(one.low, "setup", "low", "--interface", name, "--listen", f"{LOW}:{PORT}", "--apply")
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert (done.returncode, told in done.stderr, "nothing was done" in done.stderr) == (2, True, True)
        assert state(one, "low") == before


def state(one: Lab, side: str) -> list[object]:
    """Firewall, addresses, routes and neighbours of one side, without counters and indexes."""
    namespace, name = (one.high, "hi0") if side == "high" else (one.low, "lo0")
    listed = run("ip", "netns", "exec", namespace, "nft", "list", "ruleset").stdout
    out = [[line for line in listed.splitlines() if "packets" not in line]]
    shown = (("addr", "show", "dev", name), ("route", "show", "table", "all"), ("neigh", "show", "nud", "all"))
    return [*out, *(run("ip", "-n", namespace, *words).stdout.split("link-netns")[0] for words in shown)]
