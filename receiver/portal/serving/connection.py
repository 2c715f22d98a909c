"""The pages' own doorstep: takes connections in, and tells the crowd what each of them is waiting for.

uvicorn speaks HTTP; two things it leaves open are done here. It accepts without a bound, and where descriptors run
out it tries again at once, for ever, with a line in the log each time. And a connection that never asks for anything,
or asks a byte a minute, may stay. `crowd.py` says who has to go.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from receiver.portal.serving.crowd import REQUEST_S, Crowd, Phase, origin

SWEEP_S = 0.5
"""Between two looks at the deadlines [s]."""

AT_ONCE = 64
"""Connections taken in before anything else is done: answers are not held up by a storm of newcomers."""

QUEUE = 1024
"""Connections that may wait in the kernel to be taken in (listen(2)); a full queue makes a reader wait for a second."""

PAUSE_S = 0.1
"""Without a free descriptor nobody is taken in for this long [s]: time for those who were closed to be gone."""

SAID_S = 60.0
"""The lack of descriptors is said again after this long [s]."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger("receiver.portal")


class Connection(H11Protocol):
    """One connection, as uvicorn serves it; tells the crowd when it begins to wait for something else."""

    def __init__(self, crowd: Crowd, app_state: dict[str, Any], **given: Any) -> None:
        """
        Args:
            crowd: Where it is counted.
            app_state: What a request's `state` begins with; `stream` is put beside it (see `streams.EventStream`).
            given: uvicorn's own.
        """
        super().__init__(app_state={**app_state, "stream": self._streams}, **given)
        self._crowd = crowd

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._crowd.phase(self) is None:  # it had to go before it was here
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.go(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._begun()
        elif self._crowd.phase(self) is Phase.RESTING:
            self._turn(Phase.ASKING)

    def on_response_complete(self) -> None:
        before = self.cycle
        self._turn(Phase.TAKING)
        self.taken()
        super().on_response_complete()
        if self.cycle is not before:  # the next request had come already
            self._begun()

    def leave(self) -> None:
        """End it now, whatever is still to be sent: its other end does not take it."""
        self._crowd.go(self)
        if self.transport is not None:
            self.transport.abort()

    def taken(self) -> None:
        """Rest, where the whole answer was written and its reader has taken it in."""
        if self.cycle is not None and self.cycle.response_complete and not self.transport.get_write_buffer_size():
            self._turn(Phase.RESTING)

    def _begun(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._turn(Phase.TAKING)

    def _turn(self, phase: Phase) -> None:
        self._crowd.turn(self, phase, time.monotonic())

    def _streams(self, streaming: bool) -> None:
        self._turn(Phase.STREAM if streaming else Phase.TAKING)


class Doorstep:
    """Takes connections in from one listening socket while the event loop runs."""

    def __init__(
        self,
        sock: socket.socket,
        crowd: Crowd,
        make: Callable[[], Connection],
        *,
        encrypted: ssl.SSLContext | None = None,
    ) -> None:
        """
        Args:
            sock: Bound; it is closed by its owner.
            crowd: Says whether there is room.
            make: A protocol for one connection.
            encrypted: What TLS is spoken with; None: plain.
        """
        self._sock, self._crowd, self._make, self._encrypted = sock, crowd, make, encrypted
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._said = float("-inf")
        sock.setblocking(False)
        sock.listen(QUEUE)
        self._open()
        self._sweep()

    def close(self) -> None:
        """Take nobody in any more."""
        self._loop.remove_reader(self._sock)
        for timer in self._timers:
            timer.cancel()

    def _open(self) -> None:
        self._loop.add_reader(self._sock, self._take)

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            try:
                taken, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._exhausted(error)
                    return
                continue  # the other end went away meanwhile (accept(2))
            self._welcome(taken, origin(str(address[0])))

    def _welcome(self, taken: socket.socket, address: str) -> None:
        welcome, leaver = self._crowd.room(address)
        if isinstance(leaver, Connection):
            leaver.leave()
        if not welcome:
            taken.close()
            return
        taken.setblocking(False)
        connection = self._make()
        self._crowd.come(connection, address, time.monotonic())
        task = self._loop.create_task(self._serve(connection, taken))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection, taken: socket.socket) -> None:
        try:
            # The handshake is part of the wait for a request, and its failure no news: anybody may send anything.
            waits = {"ssl_handshake_timeout": REQUEST_S} if self._encrypted else {}
            await self._loop.connect_accepted_socket(lambda: connection, taken, ssl=self._encrypted, **waits)
        except OSError:
            self._crowd.go(connection)
            taken.close()

    def _exhausted(self, error: OSError) -> None:
        """No descriptor is free: wait, instead of being told so for ever."""
        now = time.monotonic()
        if now - self._said > SAID_S:
            self._said = now
            _log.warning("no connection can be taken in: %s; raise LimitNOFILE of the portal", error.strerror)
        self._loop.remove_reader(self._sock)
        self._later(PAUSE_S, self._open)

    def _sweep(self) -> None:
        for one in self._crowd.taking():
            if isinstance(one, Connection):
                one.taken()
        for one in self._crowd.overdue(time.monotonic()):
            if isinstance(one, Connection):
                one.leave()
        self._later(SWEEP_S, self._sweep)

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.when() > self._loop.time() and not timer.cancelled()]
        self._timers.append(self._loop.call_later(seconds, do))


def raise_limit() -> int:
    """Let this process open as many files as it may at most.

    Returns:
        How many that are.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard
