"""Laws of what root starts: no process keeps a capability that it has no use for, and each says what it holds."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from protocol import keymaking
from protocol.errors import ConfigError
from protocol.process import capabilities
from protocol.process.capabilities import NET_ADMIN, NET_BIND_SERVICE
from protocol.process.statusfile import read_status

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has anything to give up")

PATIENCE = 60.0
NOBODY = 65534
SENDER = """
site = "north"
[outlet]
to = "127.0.0.1:{port}"
[keys]
own = "keys"
receivers = ["../low/keys.pub"]
[[asset]]
name = "pump"
vendor = "acme"
collector = "modbus"
url = "tcp://127.0.0.1:1"
[asset.modbus]
unit = 1
[[asset.scan]]
every = "1s"
tags = [{{ name = "flow", at = "holding:0", type = "uint16" }}]
"""
RECEIVER = """
[inlet]
listen = "127.0.0.1:{port}"
[portal]
listen = "127.0.0.1:{pages}"
anyone = "all"
[keys]
own = "keys"
senders = ["../high/keys.pub"]
"""


def free(kind: socket.SocketKind) -> int:
    """A port that is free now."""
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def sides(tmp_path: Path) -> Path:
    """Keys and configurations of both sides."""
    for side in ("high", "low"):
        (tmp_path / side).mkdir()
        keymaking.make(side, tmp_path / side / "keys")
    port = free(socket.SOCK_DGRAM)
    (tmp_path / "high/sender.toml").write_text(SENDER.format(port=port))
    (tmp_path / "low/receiver.toml").write_text(RECEIVER.format(port=port, pages=free(socket.SOCK_STREAM)))
    return tmp_path


@contextlib.contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command as root, ended afterwards."""
    process = subprocess.Popen([sys.executable, "-P", "-m", "checkvalve", *words], stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def until(done: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + patience
    while not done():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


def masks(pid: int) -> dict[str, int]:
    """Each capability set, of all threads together."""
    out: dict[str, int] = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        for line in Path(f"/proc/{pid}/task/{task}/status").read_text().splitlines():
            if line.startswith("Cap"):
                name, value = line.split()
                out[name.rstrip(":")] = out.get(name.rstrip(":"), 0) | int(value, 16)
    return out


def family(pid: int) -> dict[str, int]:
    """The processes under one, by the last word of their command line."""
    out: dict[str, int] = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if len(words) > 1:  # else it ends just now
            out[words[-2].decode()] = int(child)
        out |= family(int(child))
    return out


def running(folder: bytes) -> list[int]:
    """The processes that were started with a file of this folder."""
    out = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder in (path / "cmdline").read_bytes():
                out.append(int(path.name))
    return out


def no_new_privileges(pid: int) -> bool:
    """Whether the kernel says so."""
    return "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()


def test_what_root_starts_keeps_nothing(sides: Path) -> None:
    """Every process of both sides, every thread: no set gives a capability; a parent has what a child's start needs."""
    keep = 1 << NET_ADMIN | 1 << NET_BIND_SERVICE
    with (
        started("send", str(sides / "high/sender.toml")) as high,
        started("receive", str(sides / "low/receiver.toml")) as low,
    ):
        folders = {"poll": "high", "emit": "high", "catch": "low", "publish": "low", "historian": "low"}
        for name, side in folders.items():
            until(partial(read_status, sides / side / "state", name), f"{name} did not start")
        until(lambda: (sides / "low/state/portal.json").exists(), "the pages did not start")
        there = family(high.pid) | family(low.pid)
        assert set(there) == {"poll", "emit", "catch", "publish", "historian", "portal"}
        for name in ("poll", "emit", "catch", "historian", "portal"):
            held = masks(there[name])
            assert not held.pop("CapBnd") & ~keep, name  # gives nothing by itself: no new privileges
            assert set(held.values()) == {0}, name
            assert no_new_privileges(there[name]), name
        for parent in (high.pid, low.pid, there["publish"]):
            held = masks(parent)
            assert held["CapEff"] == held["CapInh"] == held["CapAmb"] == 0
            assert not (held["CapPrm"] | held["CapBnd"]) & ~keep
        for name, side in folders.items():
            told = read_status(sides / side / "state", name)
            assert told is not None
            assert told["capabilities"] == (
                "none" if name != "publish" else f"{1 << NET_BIND_SERVICE:#x} (capsh --decode=400)"
            )


@pytest.mark.parametrize("moment", [0.3, 0.7, 1.2, None])
def test_children_end_with_parents_killed_at_any_moment_of_their_start(sides: Path, moment: float | None) -> None:
    """The tie to the parent (PR_SET_PDEATHSIG) is lost where a child has more than it: none has. None: all begun."""
    starts = [("send", "high/sender.toml"), ("receive", "low/receiver.toml")]
    parents = [
        subprocess.Popen([sys.executable, "-P", "-m", "checkvalve", word, str(sides / file)], stderr=subprocess.DEVNULL)
        for word, file in starts
    ]
    if moment is None:
        until(lambda: sum(len(family(each.pid)) for each in parents) == 6, "not all started")
        until(lambda: (sides / "low/state/portal.json").exists(), "the pages did not start")
    else:
        time.sleep(moment)  # the moment of death is the case, not a wait for something
    publish = [pid for each in parents for name, pid in family(each.pid).items() if name == "publish"]
    for pid in (*publish, *(each.pid for each in parents)):
        os.kill(pid, signal.SIGKILL)
    for each in parents:
        each.wait()
    try:
        until(lambda: not running(f"{sides}/".encode()), "a child lives on", patience=10.0)
    finally:
        for pid in running(f"{sides}/".encode()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("only", ["poll", "emit", "catch", "publish", "historian", "portal"])
def test_a_state_folder_of_another_user_is_a_fault_that_is_named(sides: Path, only: str) -> None:
    """Root without capabilities may not write there: exit 2, the folder, its owner and what to do."""
    side, file, word = (
        ("high", "sender.toml", "send") if only in ("poll", "emit") else ("low", "receiver.toml", "receive")
    )
    state = sides / side / "state"
    state.mkdir(mode=0o750)
    os.chown(state, NOBODY, NOBODY)
    argv = [sys.executable, "-P", "-m", "checkvalve", word, str(sides / side / file), "--only", only]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2, done.stderr
    assert str(state) in done.stderr
    assert "belongs to nobody" in done.stderr
    assert "run it as nobody" in done.stderr


@pytest.mark.parametrize("only", [(), ("--only", "the one that writes there")])
@pytest.mark.parametrize(
    ("side", "words", "inside"),
    [("high", ("send", "high/sender.toml"), "spool"), ("low", ("receive", "low/receiver.toml"), "journal")],
)
def test_root_beside_an_installed_service_is_refused_before_anything_is_written(
    sides: Path, side: str, words: tuple[str, str], inside: str, only: tuple[str, ...]
) -> None:
    """As install.sh makes it: `state/` is root's with the group's rights, the store in it is its writer's alone."""
    state = sides / side / "state"
    state.mkdir(mode=0o770)
    (state / inside).mkdir(mode=0o750)
    os.chown(state / inside, NOBODY, NOBODY)
    argv = [sys.executable, "-P", "-m", "checkvalve", words[0], str(sides / words[1])]
    argv += [only[0], {"spool": "poll", "journal": "catch"}[inside]] if only else []
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, "run it as nobody" in done.stderr) == (2, True), done.stderr
    assert [path.name for path in state.rglob("*")] == [inside]


def test_whoever_may_write_is_not_asked_anything(tmp_path: Path) -> None:
    """A folder of one's own is right; one that is gone is said to be."""
    capabilities.must_write(tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        capabilities.must_write(tmp_path / "gone")


def test_where_nothing_is_held_nothing_is_asked_of_the_kernel() -> None:
    """The units of poll and publish forbid capset(2) to a user that has no capability anyhow."""
    script = (
        "import ctypes; from protocol.process import capabilities as c; c.shed();"
        "library = ctypes.CDLL(None); ctypes.CDLL = lambda *_, **__: type('Library', (), {'prctl': library.prctl});"
        "c.shed(); print(c.in_words())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "none\n", done.stderr


def test_what_is_held_is_told_of_all_threads() -> None:
    """A thread that was there before keeps what the first one gave up; then the status says so."""
    script = (
        "import threading, time; from protocol.process import capabilities as c;"
        "threading.Thread(target=time.sleep, args=(9,), daemon=True).start();"
        "before = c.in_words(); c.shed(); print(before.split()[0]); print(c.in_words().split()[0])"
    )
    alone = "from protocol.process import capabilities as c; c.shed(); print(c.in_words())"
    words = [sys.executable, "-c"]
    first, second = subprocess.run([*words, script], capture_output=True, text=True, check=True).stdout.split()
    assert int(first, 16) == int(second, 16) > 0
    assert subprocess.run([*words, alone], capture_output=True, text=True, check=True).stdout == "none\n"
    assert capabilities.in_words() != "none"
