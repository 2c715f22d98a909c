"""Proof that confinement holds: a forked twin of each end calls each forbidden system call by its number, and must die.

A call through Python would not do: `sock.recv()` with a timeout polls first and may never make the call at all. So the
twin makes the raw call, with descriptor 99 where a descriptor is meant. Each list has its positive control: the verb
that the end needs must work, and the twin must live.

What this does not prove: that the running processes are confined (their /proc/PID/status shows that), that the kernel's
filter has no hole, and anything about the other side of the cable.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

from protocol.process import confine
from protocol.process.confine import CALLS, LINK_FD, Mode, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """How one twin ended."""

    role: Role
    call: str
    forbidden: bool
    """Whether it had to die; False for the positive controls."""
    ended: str
    """`SIGSYS`, `exit 0`, or what else happened."""

    @property
    def right(self) -> bool:
        """It ended as it had to."""
        return self.ended == ("SIGSYS" if self.forbidden else "exit 0")


def forbidden(role: Role) -> list[str]:
    """Every call that must end this end, by name."""
    takes = confine.TAKES + confine.TAKES_FD + confine.ASKS_FD if role == Role.EMITTER else ()
    gives = confine.GIVES + confine.GIVES_FD if role == Role.CATCHER else ()
    return sorted({*confine.NEVER, *takes, *gives, *confine.COPIES_FD, "splice", "sendfile", "clone"})


def run(role: Role, mode: Mode = Mode.ON) -> list[Twin]:
    """Fork a twin for each call and control; call it from a process with one thread."""
    out = [_fork(role, mode, name, True, lambda link, name=name: _raw(role, name)) for name in forbidden(role)]  # type: ignore[misc]
    verb = ("sendto", _send) if role == Role.EMITTER else ("recvfrom", _receive)
    out.append(_fork(role, mode, f"{verb[0]} (control)", False, verb[1]))
    out.append(_fork(role, mode, "setsockopt (refused)", False, _unset))
    out.append(_fork(role, mode, "files and threads (control)", False, _work))
    return out


def _fork(role: Role, mode: Mode, name: str, dies: bool, act: Callable[[socket.socket], None]) -> Twin:
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            link = _link_socket()
            confine.confine(role, mode)
            act(link)
            code = 0
        except BaseException:  # noqa: BLE001  a twin ends here whatever happens
            code = 71
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    ended = signal.Signals(-code).name if code < 0 else f"exit {code}"
    return Twin(role=role, call=name, forbidden=dies, ended=ended)


def _link_socket() -> socket.socket:
    """A UDP socket at descriptor 99 with a datagram of its own waiting; made before the filter, as the ends do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))
        link.sendto(b"x", link.getsockname())
        os.dup2(link.fileno(), LINK_FD)
    return socket.socket(fileno=LINK_FD)


def _raw(role: Role, name: str) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(64)
    arguments: dict[str, tuple[object, ...]] = {
        "splice": (LINK_FD, 0, 1, 0, 1, 0) if role == Role.EMITTER else (0, 0, LINK_FD, 0, 1, 0),
        "sendfile": (1, LINK_FD, 0, 1) if role == Role.EMITTER else (LINK_FD, 0, 0, 1),
        "fcntl": (LINK_FD, 0, 0),
        "clone": (signal.SIGCHLD, 0, 0, 0, 0),
        "fork": (),
        "vfork": (),
    }
    library.syscall(CALLS[name], *arguments.get(name, (LINK_FD, buffer, 1, 0, 0, 0)))


def _send(link: socket.socket) -> None:
    link.sendto(b"x", ("127.0.0.1", 9))


def _receive(link: socket.socket) -> None:
    if link.recv(10) != b"x":
        raise OSError("nothing was received")


def _unset(link: socket.socket) -> None:
    try:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    except PermissionError:
        return
    raise OSError("the option was set")


def _work(link: socket.socket) -> None:
    """What Python itself needs must go on working: files, a sync, threads, memory."""
    import tempfile
    import threading

    with tempfile.TemporaryFile() as file:
        file.write(bytes(100_000))
        file.flush()
        os.fsync(file.fileno())
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(sum(range(1000))))
    thread.start()
    thread.join()
    if not done:
        raise OSError("the thread did not run")
