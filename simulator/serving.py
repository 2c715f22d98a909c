"""What every false device has in common: how it is started, which port it got, what it counted, how it goes away.

    async def serve(plant, section, host, port) -> DeviceServer

is the one function by which `main` starts a protocol. A server fills its image once from its view of `plant.moment`,
then on each moment that the view hands it, and answers from the image. It holds the port that was asked for or, if that
is taken, the next free one above; port 0 means any.

`Presence` lets a device leave and come back on the same port, as its faults say: `absent`, or `restart` for a while.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from protocol.errors import ConfigError
from simulator.device_faults import DeviceFaults

TRIES = 200
"""Ports tried upwards before giving up."""

RESTART_S = 2.0
"""How long a device that restarts is away where nothing else is asked for [s]."""

ASKED = 200
"""Different questions that a device remembers; what comes beyond is counted as `others`."""


class DeviceServer(Protocol):
    """A running false device."""

    faults: DeviceFaults
    """What it does wrong."""

    @property
    def port(self) -> int:
        """The TCP port it listens on."""

    @property
    def counts(self) -> dict[str, int]:
        """What happened since the start: `connections`, `requests`, `refused` and what else the protocol counts."""

    @property
    def asked(self) -> dict[str, int]:
        """What was asked for, in a few words, and how often."""

    async def close(self) -> None:
        """Stop listening and end every connection."""


class QuestionCounts:
    """Counts questions by their words, never more than ASKED different ones."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, words: str) -> None:
        """Count one more question of these words."""
        if words not in self.counts and len(self.counts) >= ASKED:
            words = "others"
        self.counts[words] = self.counts.get(words, 0) + 1


class Presence:
    """Whether a device is there, kept to what its faults say."""

    def __init__(
        self,
        faults: DeviceFaults,
        leave: Callable[[], Awaitable[None]],
        back: Callable[[], Awaitable[None]],
        began: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            faults: Those of the device; `restart` is added to what they take.
            leave: Stops listening and resets every connection.
            back: Listens again, on the same port.
            began: Called when a restart begins, after the device has left.
        """
        self.there = False
        """The server listens; set by whoever starts it first."""
        self._faults, self._leave, self._back, self._began = faults, leave, back, began
        self._closed = False
        self._restarts = 0
        self._moving: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        faults.changed = self._follow
        faults.actions["restart"] = self._restart

    async def settled(self) -> None:
        """Wait until what the faults say is in effect."""
        while self._moving is not None:
            await asyncio.gather(self._moving, return_exceptions=True)

    async def close(self) -> None:
        """Leave for good; may be called twice."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        await self.settled()
        if self.there:
            self.there = False
            await self._leave()

    def _wanted(self) -> bool:
        return not self._closed and not self._faults.absent

    def _follow(self) -> None:
        if self._moving is None and not self._closed and self._wanted() != self.there:
            self._moving = asyncio.get_running_loop().create_task(self._move())

    async def _move(self) -> None:
        try:
            while self._wanted() != self.there and not self._closed:
                if not self.there:
                    await self._back()
                    self.there = True
                else:
                    self.there = False
                    await self._leave()
                    if self._restarts:
                        self._restarts = 0
                        self._began()
        finally:
            self._moving = None

    def _restart(self, words: list[str]) -> None:
        try:
            away_s = float(words[0].removesuffix("s")) if words else RESTART_S
        except ValueError:
            raise ConfigError(f"restart `{words[0]}`: not understood", hint='such as "restart 5s"') from None
        self._restarts += 1
        self._faults.away += 1
        self._faults.changed()

        def end() -> None:
            self._timers.discard(timer)
            self._faults.away -= 1
            self._faults.changed()

        timer = asyncio.get_running_loop().call_later(away_s, end)
        self._timers.add(timer)


def listening(host: str, port: int, *, backlog: int = 512) -> socket.socket:
    """A bound, listening, non-blocking TCP socket on `port` or the next free one above it.

    Raises:
        ConfigError: the address is not ours, or TRIES ports in a row are taken.
    """
    for wanted in range(port, min(port + TRIES, 65536)) if port else (0,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, wanted))
            listener.listen(backlog)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise ConfigError(f"{host}:{wanted}: {error.strerror}", hint="give an address of this machine") from error
        listener.setblocking(False)
        return listener
    raise ConfigError(f"{host}: no free port from {port} on", hint="give another port")
