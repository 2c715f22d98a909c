"""Records, in this process, every byte that any client socket sends, whatever library it belongs to.

A socket is a client's once `connect` was called on it; what servers answer is not recorded. Bytes under TLS are taken
before they are encrypted. Only Python's sockets are seen: a program that a test starts is not the product.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

SENDS = ("send", "sendall", "sendto", "sendmsg")


class Recorder:
    """What was sent while it ran, by socket."""

    def __init__(self) -> None:
        self.streams: list[bytearray] = []
        """TCP and TLS connections."""
        self.datagrams: list[bytes] = []
        self._of: WeakKeyDictionary[Any, bytearray] = WeakKeyDictionary()
        self._secure: WeakKeyDictionary[Any, bytearray] = WeakKeyDictionary()

    def connected(self, end: socket.socket) -> None:
        """From now on it is a client's."""
        if end.family in (socket.AF_INET, socket.AF_INET6) and end not in self._of:
            self._of[end] = bytearray()
            if end.type & socket.SOCK_STREAM:
                self.streams.append(self._of[end])

    def sent(self, end: socket.socket, data: bytes) -> None:
        """So much has left."""
        record = self._of.get(end)
        if record is not None and end.type & socket.SOCK_STREAM:
            record += data
        elif record is not None:
            self.datagrams.append(data)

    def written(self, end: ssl.SSLObject, data: bytes) -> None:
        """So much is about to be encrypted."""
        if not end.server_side:
            if end not in self._secure:
                self._secure[end] = bytearray()
                self.streams.append(self._secure[end])
            self._secure[end] += data


_running: list[Recorder] = []


@contextlib.contextmanager
def recording() -> Iterator[Recorder]:
    """Record until left; the innermost recorder gets what is sent, so a test may plant what nobody else shall hear."""
    if not _running:
        _hook()
    recorder = Recorder()
    _running.append(recorder)
    try:
        yield recorder
    finally:
        _running.remove(recorder)
        if not _running:
            _unhook()


_plain: dict[tuple[type, str], Any] = {}


def _hook() -> None:
    def put(owner: type, name: str, make: Callable[[Any], Any]) -> None:
        _plain[owner, name] = owner.__dict__.get(name)
        setattr(owner, name, make(getattr(owner, name)))

    for name in ("connect", "connect_ex"):
        put(socket.socket, name, _noting)
    for name in SENDS:
        put(socket.socket, name, _listening(name))
    put(ssl.SSLObject, "write", _reading)


def _unhook() -> None:
    for (owner, name), plain in _plain.items():
        if plain is None:
            delattr(owner, name)
        else:
            setattr(owner, name, plain)
    _plain.clear()


def _noting(plain: Any) -> Any:
    def connect(self: socket.socket, address: Any) -> Any:
        _running[-1].connected(self)
        return plain(self, address)

    return connect


def _listening(name: str) -> Callable[[Any], Any]:
    def around(plain: Any) -> Any:
        def send(self: socket.socket, data: Any, *more: Any) -> Any:
            done = plain(self, data, *more)
            whole = b"".join(data) if name == "sendmsg" else bytes(data)
            for recorder in _running:
                recorder.sent(self, whole if name == "sendall" else whole[:done])
            return done

        return send

    return around


def _reading(plain: Any) -> Any:
    def write(self: ssl.SSLObject, data: Any) -> int:
        done: int = plain(self, data)
        _running[-1].written(self, bytes(data)[:done])
        return done

    return write
