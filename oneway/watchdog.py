"""What the service manager is told of a process that itself speaks to nobody.

    systemd  <-- READY=1, WATCHDOG=1, STOPPING=1 --  this parent  -- looks at -->  state/status-NAME.json  <--  child

The emitter and the catcher hold one socket and may open no other, so neither can call systemd (sd_notify(3): a datagram
to a unix socket). A parent does: it starts the process, reads the status that the process rewrites once a second, and
passes on that it moved. What the process prints comes through a pipe, since the journal's own end would be a socket
more in it. A process that hangs stops moving, the manager hears nothing, and ends both (WatchdogSec=).
Nothing here is used unless the manager asks for it (NOTIFY_SOCKET).

`Watchdog` is pure: a status in, words out. `keep` is the only clock and the only wait.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import supervise
from protocol.process.status_header import StatusHeader, read_header

LOOK = 0.2
"""Time between two looks at the status [s]: a fifth of the period it is rewritten with."""
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What the manager hands to this process alone; the child gets none of it."""


def wanted() -> bool:
    """Whether a service manager waits to be told."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


class Watchdog:
    """What to say of a process, from its status as it is read again and again."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last: int | None = None

    def look(self, header: StatusHeader) -> str | None:
        """Words for the manager, or None.

        Args:
            header: Of the status file; one that another process left behind says nothing of this one.
        """
        if header.pid != self._pid or header.time_ns in (None, self._last):
            return None
        first, self._last = self._last is None, header.time_ns
        return "READY=1\nWATCHDOG=1" if first else "WATCHDOG=1"


def keep(name: str, argv: list[str], state: Path, say: Callable[[str], None]) -> int:
    """Run one process and tell the manager how it is; SIGTERM and SIGINT are passed on.

    Args:
        name: Of its status file.
        argv: Its command line.
        state: Folder of the status file.
        say: Takes one line for people.

    Returns:
        Its exit code; 1 where a signal ended it.
    """
    address = os.environ["NOTIFY_SOCKET"]
    for variable in _VARIABLES:
        os.environ.pop(variable, None)
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: stop.append(got))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, _Output() as output:
        process = supervise.start(argv, output.writer)
        watch = Watchdog(process.pid)
        stopping = False
        while (code := process.poll()) is None:
            if stop and not stopping:
                stopping = True
                _tell(manager, address, "STOPPING=1")
                process.terminate()
            words = watch.look(read_header(state, name))
            if words is not None:
                _tell(manager, address, words)
            output.pass_on()
            time.sleep(LOOK)
    if code < 0:
        say(f"{name} was ended by {signal.Signals(-code).name}" + _meaning(-code))
        return 1
    return code


class _Output:
    """A pipe that the process prints into, and that is passed on to where this one prints."""

    def __enter__(self) -> _Output:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        return self

    def __exit__(self, *error: object) -> None:
        self.pass_on()
        os.close(self._reader)
        os.close(self.writer)

    def pass_on(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._reader, 65_536):
                os.write(sys.stderr.fileno(), data)


def _meaning(number: int) -> str:
    return ": it made a system call that its confinement forbids" if number == signal.SIGSYS else ""


def _tell(manager: socket.socket, address: str, words: str) -> None:
    """A manager that is not there, or too busy, must not end what it manages."""
    try:
        manager.sendto(words.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError:
        return
