"""One connection to a Modbus host, shared by all assets that are read through it, one request at a time.

    tcp   MBAP frames, or RTU frames as gateways pass them through
    tls   MBAP frames inside TLS 1.2 or later, the device verified (Modbus/TCP Security, v21)
    udp   one MBAP frame a datagram; nothing is ever connected, so a device that is not there is noticed by its silence

Many gateways take one connection, or one request at a time; so assets with the same host and port wait for each other
here, in the order they came, each with one request. A unit that is silent costs the others its timeout, once a round.

pymodbus makes the connection and sends; its hook is where the guard stands. What comes back is taken apart here
(`replies`), because pymodbus (3.16) takes any frame without a number for an answer, throws away what stands behind a
stray byte, and waits for ever behind half a frame. Where no number ties a reply to its request, `late` keeps order.
A connection is made when a request needs one, and let go where what comes next on it could not be trusted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from weakref import WeakSet, WeakValueDictionary

from collectors.modbus.config import Config
from collectors.modbus.late import Late
from collectors.modbus.pymodbus_client import Client, Destination, RawRequest, failure, made, suspicion
from collectors.modbus.replies import Frame, Question, mbap, rtu
from protocol.content.sample import Quality
from protocol.errors import AssetError, CheckvalveError

MOST_SILENT = 3
"""After so many requests in a row without an answer, of whatever unit, the connection is taken for dead."""

FIRST_AGAIN_S = 0.05
"""A datagram is sent again after this at the earliest [s], or four times the longest reply lately took."""

_NUMBERS = 65_000
"""Transaction numbers go from 1 to this; 0 is what devices send that do not repeat them."""


class Why(Enum):
    """What became of a request that has no answer."""

    SILENT = "silent"
    LOST = "lost"
    """The connection ended meanwhile."""
    GARBLED = "garbled"
    """A reply of another function or length."""


class Unanswered(CheckvalveError):
    """One request without a usable answer; the device may be well.

    Args:
        text: What happened, without the asset's name.
    """

    def __init__(self, text: str, why: Why) -> None:
        super().__init__(text)
        self.why = why
        self.on_used = False
        """The connection that was lost had brought answers before."""

    @property
    def quality(self) -> int:
        """Of what was asked for."""
        qualities = {Why.SILENT: Quality.BAD_TIMEOUT, Why.LOST: Quality.BAD_NOT_CONNECTED}
        return int(qualities.get(self.why, Quality.BAD_DECODING))


@dataclass(frozen=True, eq=False)
class User:
    """One asset on the line."""

    name: str
    timeout_s: float
    """Longest wait for a reply [s]."""
    pause_s: float
    """Wait between a reply and the next request [s]."""
    connect_pause_s: float
    late_s: float
    """How long after its time a reply may come [s]; 0 where nobody has said so."""
    check: Callable[[bool, bytes], bytes]
    """The guard's hook: raises before a byte of what is not on the list is sent."""
    again: Callable[[], Awaitable[None]]
    """Waits until one more request may leave."""


@dataclass(slots=True)
class _Asked:
    """The request that is under way."""

    question: Question
    number: int
    reply: asyncio.Future[bytes]
    copied: bool = False
    """It was sent more than once: nobody knows which of them was answered."""
    other_unit: int | None = None
    """A unit that answered in its place."""


class Line:
    """The connection; `at` gives the one that leads to a destination."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.late = Late()
        self.numbered = False
        """The device repeats the transaction number: nothing can be mistaken."""
        self.unnumbered = destination.rtu
        """It does not; both false while nothing has come yet."""
        self._users: WeakSet[User] = WeakSet()
        self._turn = asyncio.Lock()
        self._client: Client | None = None
        self._check: Callable[[bool, bytes], bytes] | None = None
        self._asked: _Asked | None = None
        self._buffer = b""
        self._number = 0
        self._answers = 0
        """Replies that were right, on this connection."""
        self._silent = 0
        """Requests without an answer since the last reply."""
        self._free_at = 0.0
        """When the next request may leave [s, monotonic]: a weak device is given its pause."""
        self._failed: tuple[float, AssetError] | None = None
        """When no connection could be made, and why."""

    @property
    def client(self) -> Client | None:
        """Connected; None where it is not."""
        return self._client if self._client is not None and self._client.connected else None

    async def join(self, user: User) -> None:
        """Use the line from now on.

        Raises:
            AssetError: no connection could be made.
        """
        self._users.add(user)
        came = time.monotonic()
        async with self._turn:
            await self._connect(user, came)

    def leave(self, user: User) -> None:
        """Use it no longer; the last one ends the connection."""
        self._users.discard(user)
        if not self._users:
            self.drop()

    def drop(self) -> None:
        """End the connection; the next request makes another."""
        client, self._client, self._buffer = self._client, None, b""
        self._answers = self._silent = 0
        if client is not None:
            client.close()
        if self.destination.stream:
            self.late.forget()

    async def ask(self, question: Question, user: User, *, within: float | None = None, copies: int = 0) -> bytes:
        """One request: function and data of its reply, or of an exception.

        Args:
            within: Longest wait for the reply [s]; None: the user's.
            copies: A datagram may be sent so many times more.

        Raises:
            Unanswered: this request has no answer that can be used.
            AssetError: no connection could be made.
            WriteRefused: the guard did not let it through.
        """
        came, timeout, once_more = time.monotonic(), user.timeout_s if within is None else within, True
        while True:
            async with self._turn:
                wait = self.late.wait(question, time.monotonic()) if self.unnumbered else 0.0
                if not wait:
                    try:
                        return await self._exchange(question, user, came, timeout, copies)
                    except Unanswered as error:
                        if not (error.on_used and once_more):
                            raise
            if wait:
                await asyncio.sleep(min(wait, 0.05))  # others use the line meanwhile, and what is owed may come
            else:
                once_more = False  # many devices close after some replies, or some time
                await user.again()

    async def settle(self, unit: int) -> None:
        """Listen for a reply too many, where one could be mistaken."""
        wait = self.late.listen(unit) if self.unnumbered else 0.0
        if wait:
            await asyncio.sleep(wait)
            self.late.proven(unit)

    async def _exchange(self, question: Question, user: User, came: float, timeout: float, copies: int) -> bytes:
        await self._connect(user, came)
        pause = self._free_at - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
            await self._connect(user, came)
        self._number = self._number % _NUMBERS + 1
        asked = _Asked(
            question, 0 if self.destination.rtu else self._number, asyncio.get_running_loop().create_future()
        )
        client, self._check, self._buffer = self.client, user.check, b""
        assert client is not None
        sent, self._asked, pdu, lost = time.monotonic(), asked, None, False
        try:
            client.ctx.pdu_send(RawRequest(question, asked.number))
            pdu = await self._reply(asked, client, user, timeout, copies)
        except Unanswered as error:
            lost = error.why is Why.LOST
            error.on_used = lost and self._answers > 0
            raise
        finally:
            self._asked = None
            self._free_at = time.monotonic() + user.pause_s
            if pdu is None:
                self._missed(question, user, sent, timeout, lost=lost)
        self._silent, self._answers = 0, self._answers + 1
        if not question.fits(pdu):
            if not self.numbered:
                self.drop()  # the replies could be one behind for ever
            raise Unanswered("a reply of another function or length", Why.GARBLED)
        took = 0.0 if asked.copied else time.monotonic() - sent
        self.late.answered(question, took, sent, timeout, refused=bool(pdu[0] & 0x80))
        return pdu

    def _missed(self, question: Question, user: User, sent: float, timeout: float, *, lost: bool) -> None:
        """It was not answered: its reply may come yet, and must not be taken for another's."""
        if lost:
            self.late.doubt(question.reply_unit)
        else:
            self.late.owe(question, sent, timeout, user.late_s)
        self._silent += 1
        unsure = self._buffer or (self.unnumbered and self.destination.stream)
        if unsure or self._silent >= MOST_SILENT or self.client is None:
            self.drop()

    async def _reply(self, asked: _Asked, client: Client, user: User, timeout: float, copies: int) -> bytes:
        """Wait for it; a datagram that brings none is sent again, and the reply to any of them counts."""
        begun = time.monotonic()
        usual = max(FIRST_AGAIN_S, 4 * self.late.slowest) if self.late.slowest else timeout
        for at in range(copies if self.destination.scheme == "udp" else 0):
            again = min(usual, timeout / (copies + 1)) * 2**at
            done, _ = await asyncio.wait({asked.reply}, timeout=min(again, begun + timeout - time.monotonic()))
            if done or time.monotonic() - begun >= timeout:
                break
            await user.again()
            if asked.reply.done():
                break
            if not self.numbered:
                self.late.owe(asked.question, time.monotonic(), timeout, user.late_s)
            asked.copied = True
            client.ctx.pdu_send(RawRequest(asked.question, asked.number))
        loop = asyncio.get_running_loop()
        left = max(0.0, begun + timeout - time.monotonic())
        # one turn of the loop more: it may have come while this process was held up
        timer = loop.call_later(left, loop.call_soon, self._expire, asked, timeout)
        try:
            return await asked.reply
        finally:
            timer.cancel()

    def _expire(self, asked: _Asked, timeout: float) -> None:
        if not asked.reply.done():
            asked.reply.set_exception(Unanswered(self._silence(asked, timeout), Why.SILENT))

    def _silence(self, asked: _Asked, timeout: float) -> str:
        if asked.other_unit is None:
            return f"no reply within {timeout:g} s"
        wanted = asked.question.reply_unit
        return f"unit {asked.other_unit} answered where {wanted} was asked; reply_unit = {asked.other_unit} accepts it"

    async def _connect(self, user: User, came: float) -> None:
        """Be connected; who was waiting when a connection failed does not try it once more.

        Args:
            came: When the user began to wait [s, monotonic].
        """
        if self.client is not None:
            return
        if self._failed is not None and self._failed[0] > came:
            raise AssetError(str(self._failed[1]), quality=Quality.BAD_NOT_CONNECTED)
        self.drop()
        self._check = user.check
        self._client = client = made(self.destination, user.name, user.timeout_s, self._guarded)
        client.ctx.callback_data = self._taken  # type: ignore[method-assign]
        client.ctx.error_received = lambda error: self._lost(client, str(error))  # type: ignore[method-assign]
        client.ctx.trace_connect = lambda up: None if up else self._lost(client, self._how_lost(client))
        if not await client.connect():
            self.drop()
            why = f" ({failure(client)})" if failure(client) else ""
            error = AssetError(
                f"no connection to {self.destination.host}:{self.destination.port}{why}",
                quality=Quality.BAD_NOT_CONNECTED,
            )
            self._failed = time.monotonic(), error
            raise error
        self._free_at = time.monotonic() + user.connect_pause_s

    def _guarded(self, sending: bool, data: bytes) -> bytes:
        """The last place where a whole request is at hand."""
        assert self._check is not None
        return self._check(sending, data)

    def _lost(self, client: Client, why: str) -> None:
        """Without this a request that is under way would wait out its time when the connection ends."""
        if client is self._client and self._asked is not None and not self._asked.reply.done():
            self._asked.reply.set_exception(Unanswered(why, Why.LOST))

    def _how_lost(self, client: Client) -> str:
        """In words; in TLS 1.3 a certificate is refused after the handshake, and many devices just hang up then."""
        why, tls = failure(client), self.destination.tls
        if tls is not None and not self._answers:
            why = why if suspicion(tls) in why else f"{why}; {suspicion(tls)}".lstrip("; ")
        return f"connection lost ({why})" if why else "connection lost"

    def _taken(self, data: bytes, addr: tuple[str, int] | None = None) -> int:
        """pymodbus's `callback_data`: everything is taken, what is no whole frame yet is kept here."""
        asked = self._asked
        if self.destination.rtu:
            frames, self._buffer = rtu(self._buffer + data, asked.question if asked else None)
        elif self.destination.scheme == "udp":
            frames, self._buffer = mbap(data)[0], b""
        else:
            frames, self._buffer = mbap(self._buffer + data)
        for frame in frames:
            self._take(frame)
        return len(data)

    def _take(self, frame: Frame) -> None:
        """A frame: the answer to what is asked, one that was owed, one too many, or nothing of ours."""
        asked, now = self._asked, time.monotonic()
        if asked is not None and asked.reply.done():
            asked = None
        if frame.number:
            if asked is None or frame.number != asked.number:
                return  # it comes too late, and its number says so
            self.numbered = not self.unnumbered
        else:
            self.numbered, self.unnumbered = False, True
            question = asked.question if asked is not None else None
            if self.late.pays(frame.unit, frame.pdu, question, now):
                return
        if asked is None:
            self.late.stray(frame.unit)
        elif frame.unit != asked.question.reply_unit:
            asked.other_unit = frame.unit
        else:
            asked.reply.set_result(frame.pdu)


_LINES: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, Destination], Line] = WeakValueDictionary()


def at(config: Config) -> Line:
    """The line to a device's host, which others may be using already; to be called in its event loop."""
    destination = Destination(scheme=config.scheme, host=config.host, port=config.port, rtu=config.rtu, tls=config.tls)
    key = asyncio.get_running_loop(), destination
    line = _LINES.get(key)
    if line is None:
        line = _LINES[key] = Line(destination)
    return line
