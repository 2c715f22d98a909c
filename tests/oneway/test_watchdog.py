"""What the service manager hears of a process: that it is ready, that it moves, that it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import supervise
from oneway.watchdog import Watchdog
from protocol import keymaking
from protocol.process.status_header import StatusHeader


def test_ready_once_and_alive_only_when_the_status_moves() -> None:
    """A status that another process left is nothing; the first of ours is ready; the same one twice is no life sign."""
    watch = Watchdog(7)
    assert watch.look(StatusHeader()) is None
    assert watch.look(StatusHeader(pid=6, time_ns=1)) is None
    assert watch.look(StatusHeader(pid=7, time_ns=2)) == "READY=1\nWATCHDOG=1"
    assert watch.look(StatusHeader(pid=7, time_ns=2)) is None
    assert watch.look(StatusHeader(pid=7, time_ns=1)) == "WATCHDOG=1"  # a clock that was set back moves too


class Manager:
    """A service manager's socket, and a receiver under it."""

    def __init__(self, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        for side in ("high", "low"):
            keymaking.make(side, folder / side)
        self._notify = str(folder / "notify")
        self.file = file = folder / "receiver.toml"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        file.write_text(
            f'[inlet]\nlisten = "127.0.0.1:{port}"\nbuffer_mib = 1\n[keys]\nown = "low"\nsenders = ["high.pub"]\n'
        )
        self.start()

    def start(self) -> None:
        """The parent, its output in a socket, as the journal gives a service one."""
        env = {**os.environ, "NOTIFY_SOCKET": self._notify, "WATCHDOG_USEC": "30000000"}
        argv = supervise.command("receive", str(self.file), "--only", "catch")
        self._said, journal = socket.socketpair()
        with journal:
            self.parent: subprocess.Popen[bytes] = subprocess.Popen(
                argv, env=env, stdout=journal.fileno(), stderr=journal.fileno()
            )

    def printed(self) -> str:
        """All that came into the journal, once the parent has ended."""
        out = b""
        while data := self._said.recv(65_536):
            out += data
        return out.decode()

    def close_journal(self) -> None:
        """What was printed so far is of no interest."""
        self._said.close()

    def close(self) -> None:
        """End it, whatever happened."""
        self.parent.kill()
        self.parent.wait()
        self.socket.close()
        self._said.close()

    def hears(self, words: str) -> None:
        """Within a generous time."""
        self.socket.settimeout(30)
        heard = ""
        while words not in heard:
            heard = self.socket.recv(4096).decode()

    def falls_silent(self) -> None:
        """What was on its way comes, then nothing for longer than two life signs are apart."""
        self.socket.settimeout(2.5)
        ends = time.monotonic() + 30
        try:
            while self.socket.recv(4096):
                assert time.monotonic() < ends
        except TimeoutError:
            return

    def child(self) -> int:
        """The catcher's number."""
        return int(Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children").read_text())


@pytest.fixture
def manager() -> Iterator[Manager]:
    """Ended at the end, whatever happened."""
    with tempfile.TemporaryDirectory(prefix="cv-") as folder:  # a unix socket's path is short
        one = Manager(Path(folder))
        try:
            yield one
        finally:
            one.close()


def test_the_catcher_is_kept_alive_by_its_own_status_and_ends_cleanly(manager: Manager) -> None:
    """Ready, alive, silent while it hangs, alive again, stopping, exit 0; the child knows nothing of the manager."""
    manager.hears("READY=1")
    manager.hears("WATCHDOG=1")
    child = manager.child()
    held = {one.name: os.readlink(one) for one in Path(f"/proc/{child}/fd").iterdir() if one.is_symlink()}
    assert [name for name, what in held.items() if what.startswith("socket:")] == ["99"]
    assert held["1"] == held["2"]
    assert held["1"].startswith("pipe:")
    assert b"NOTIFY_SOCKET" not in Path(f"/proc/{child}/environ").read_bytes()
    os.kill(child, signal.SIGSTOP)
    manager.falls_silent()
    os.kill(child, signal.SIGCONT)
    manager.hears("WATCHDOG=1")
    manager.parent.terminate()
    manager.hears("STOPPING=1")
    assert manager.parent.wait(30) == 0


def test_a_child_that_its_confinement_ends_is_named(manager: Manager) -> None:
    """The parent ends with 1, so that the manager starts it again, and says which signal it was."""
    manager.hears("READY=1")
    os.kill(manager.child(), signal.SIGSYS)
    assert manager.parent.wait(30) == 1
    assert "catch was ended by SIGSYS: it made a system call" in manager.printed()


def test_what_the_child_prints_is_passed_on(manager: Manager) -> None:
    """A mistake in the configuration: its words reach the journal through the pipe, and its exit code the manager."""
    manager.hears("READY=1")
    manager.parent.terminate()
    assert manager.parent.wait(30) == 0
    manager.close_journal()
    manager.file.write_text("[inlet]\nlisten = 5\n")
    manager.start()
    assert manager.parent.wait(30) == 2
    assert "mistake" in manager.printed()
