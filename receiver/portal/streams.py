"""Server-sent events: who listens to what, and how a slow reader is kept from holding up the others.

A listener has a topic (the overview, one asset, one tag, all events) and a bounded queue. `publish` never waits: where
a queue is full the listener is dropped, its connection ends, and the browser comes back by itself and gets a whole new
snapshot. So memory is bounded by listeners x QUEUE, and nobody sees values with a hole in between.

Where all places are taken, the address that holds the most of them gives one up to an address that holds clearly
fewer: nobody can listen all others away, and readers behind one proxy do not lose theirs to each other.

Source of the format: HTML standard, 9.2 (Server-sent events).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from receiver.portal.serving.crowd import origin

QUEUE = 40
"""Messages that may wait for one listener: eight seconds of five a second."""

LISTENERS = 200
"""Most listeners at once; one more is turned away with 503 and tries again, unless another address holds far more."""

QUIET_S = 5.0
"""A comment is sent when nothing else was for this long [s], so that a dead connection is noticed."""

RETRY_MS = 1000
"""How soon a browser comes back after a broken stream [ms]."""

HELD_S = 0.25
"""Between two looks whether a stream may still be shown [s]: a grant that was revoked closes it within a second."""

FAREWELL_S = 1.0
"""A reader who was too slow may not take in the end of the stream either [s]."""

_NUMBERS = itertools.count(1)

_START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ],
}


@dataclass(frozen=True, slots=True)
class Topic:
    """What a page wants to hear beside the link."""

    asset: str | None = None
    series: int | None = None
    events: bool = False
    """Trips, alarms and events of all assets, and nothing else."""

    @property
    def overview(self) -> bool:
        """Every asset in numbers, no single values."""
        return self.asset is None and self.series is None and not self.events


@dataclass(eq=False, slots=True)
class Listener:
    """One open connection of `/live`, and what waits to be written to it."""

    topic: Topic
    address: str = ""
    """As `crowd.origin` tells it."""
    number: int = 0
    """Rising with each listener."""
    home: Streams | None = None
    """Where it is on the list."""
    queue: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    replaced: bool = False
    """Its own reader opened another: the stream is ended as one that is whole, so that nobody comes back for it.
    Any other end looks like a broken connection, after which every reader comes back."""


class Streams:
    """Every listener by its topic; hands on and drops, and never waits."""

    def __init__(self, house: set[Listener] | None = None) -> None:
        """
        Args:
            house: Listeners of all views of one server, among whom the places are shared; None: this is the only one.
        """
        self.listeners: set[Listener] = set()
        self._house = self.listeners if house is None else house
        self.slow = 0
        """Listeners dropped because they read too slowly."""
        self._by_topic: dict[Topic, set[Listener]] = {}

    def add(self, listener: Listener) -> None:
        """Put a listener on the list."""
        listener.number = next(_NUMBERS)
        listener.home = self
        self.listeners.add(listener)
        self._house.add(listener)
        self._by_topic.setdefault(listener.topic, set()).add(listener)

    def room(self, address: str) -> bool:
        """Whether one more of this address may come; the oldest of the greediest address may have to go for it."""
        if len(self._house) < LISTENERS:
            return True
        held = Counter(listener.address for listener in self._house)
        greedy, most = held.most_common(1)[0]
        if most <= held[address] + 1:
            return False
        oldest = min((one for one in self._house if one.address == greedy), key=lambda one: one.number)
        (oldest.home or self).end(oldest)
        return True

    def publish(self, topic: Topic, message: bytes) -> None:
        """Hand a message to the listeners of one topic."""
        for listener in list(self._by_topic.get(topic, ())):
            self.hand(listener, message)

    def everyone(self, message: bytes) -> None:
        """Hand a message to every listener."""
        for listener in list(self.listeners):
            self.hand(listener, message)

    def hand(self, listener: Listener, message: bytes) -> None:
        """Put a message into one queue; a full one ends its listener."""
        try:
            listener.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.slow += 1
            self.end(listener)

    def end(self, listener: Listener) -> None:
        """Take a listener off the list and let its connection go."""
        self.listeners.discard(listener)
        self._house.discard(listener)
        held = self._by_topic.get(listener.topic, set())
        held.discard(listener)
        if not held:
            self._by_topic.pop(listener.topic, None)
        listener.dropped.set()

    def replace(self) -> None:
        """End every stream, for another that its reader opens."""
        for listener in list(self.listeners):
            listener.replaced = True
            self.end(listener)

    def close(self) -> None:
        """End every stream; the pages are being stopped."""
        for listener in list(self.listeners):
            self.end(listener)

    def topics(self) -> set[Topic]:
        """What anybody listens to."""
        return set(self._by_topic)


class EventStream:
    """The response of `/live`: first the snapshot, then what `Streams` hands over, until either side ends it."""

    def __init__(
        self,
        streams: Streams,
        topic: Topic,
        first: Callable[[Topic], Sequence[bytes]],
        holds: Callable[[], bool] | None = None,
    ) -> None:
        """
        Args:
            streams: Where the listener is put.
            topic: What it wants to hear.
            first: Makes the snapshot; called when the listener is already on the list, so that nothing falls between.
            holds: Whether its reader may still see this; the stream ends where not. None: for ever.
        """
        self._streams, self._first, self._holds = streams, first, holds
        self._listener = Listener(topic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream (ASGI 3.0); `state.stream`, where the server gave it, hears of its beginning and end."""
        await send(_START)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        streaming: Callable[[bool], None] = scope.get("state", {}).get("stream", _unheard)
        streaming(True)
        self._listener.address = origin((scope.get("client") or ("",))[0])
        self._streams.add(self._listener)
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(self._pump(send)),
            loop.create_task(gone(receive)),
            loop.create_task(self._dropped()),
        ]
        if self._holds is not None:
            tasks.append(loop.create_task(_while(self._holds)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.end(self._listener)
            streaming(False)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener.replaced:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await send({"type": "http.response.body", "body": b""})

    async def _pump(self, send: Send) -> None:
        queue = self._listener.queue
        message = b"".join((f"retry: {RETRY_MS}\n\n".encode(), *self._first(self._listener.topic)))
        while True:
            await send({"type": "http.response.body", "body": message, "more_body": True})
            try:
                async with asyncio.timeout(QUIET_S):  # `wait_for` of Python 3.11 may swallow that the stream has ended
                    parts = [await queue.get()]
                while not queue.empty():
                    parts.append(queue.get_nowait())
                message = b"".join(parts)
            except TimeoutError:
                message = b": still here\n\n"

    async def _dropped(self) -> None:
        await self._listener.dropped.wait()


async def _while(holds: Callable[[], bool]) -> None:
    while holds():
        await asyncio.sleep(HELD_S)


def _unheard(streaming: bool) -> None:
    """Where no server counts connections."""


async def gone(receive: Receive) -> None:
    """Return once the other end has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def event(name: str, body: Any) -> bytes:
    """One message: `name` is the event's type, `body` plain values, dataclasses and numpy arrays; NaN becomes null."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n\n"
