"""Frames to blocks. Pure: bytes and times in, events out; nothing that a datagram holds makes it raise.

    datagram -> form     SHORT, LONG, MAGIC, VERSION, KIND, GEOMETRY
             -> session  unknown: waits for its LINK (link/early_frames.py)
             -> tag      TAG
    SHARD    -> DOUBLE where the shard is there already or its block is in the journal
             -> its row in the block's assembly (assembly.py); `need` of them are the block, joined or repaired
             -> the block's own header names the same stream and number, or BODY
    BEAT     -> the sender's totals, if above its floor (link/sessions.py)
    LINK     -> a session; then the frames that waited for it, as if they came now
    PROBE    -> counted, in the current session

What is counted as received is link/heard_session.py's to say: a recording that is played must not make the link look
better.

Nothing is decrypted, inflated or unpacked here; the sealed block goes on as it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from protocol.block import read_header
from protocol.errors import FrameError, Reason
from protocol.ranges import Ranges
from protocol.wire.beat import Beat
from protocol.wire.erasure import Code
from protocol.wire.frame import SHARD_HEADER, SHARD_START, TAG_BYTES, FrameKind, kind_of, shard_fields
from receiver.catch.assembly import Assemblies, Assembly
from receiver.catch.datagrams import BlockFrames, Datagrams, by_block
from receiver.catch.link.early_frames import EarlyFrames
from receiver.catch.link.heard_session import HeardSession
from receiver.catch.link.sessions import Sessions
from receiver.catch.status.probes import Probes

TAGS_KEPT = 256
"""Streams of a session whose tag is kept ready; making one costs 10 us, so an eviction costs nothing that shows."""

Datagram: TypeAlias = bytes | memoryview


class BlockDone(NamedTuple):
    """A block is complete."""

    stream: bytes
    number: int
    need: int
    spare: int
    repaired: bool
    """Spare shards restored it."""
    block: bytes
    """As sealed."""


Event: TypeAlias = BlockDone | Beat | HeardSession
"""A complete block, a beat above its floor, or the session that is the current one from now on."""


class Gather:
    """The receiving thread's core."""

    def __init__(self, sessions: Sessions, code: Code, held: Mapping[bytes, Ranges]) -> None:
        """
        Args:
            sessions: Sessions and floors.
            code: Repairs blocks.
            held: Block numbers that need not come again, by stream; looked into at every frame, so it must know a
                block before the event after its `BlockDone` is asked for.
        """
        self.sessions = sessions
        self.refused: Counter[Reason] = Counter()
        """Frames refused, by reason."""
        self.versions: Counter[int] = Counter()
        """Frames and blocks of other wire versions, by number."""
        self.assemblies = Assemblies(self.refused)
        self.waiting = EarlyFrames(self.refused)
        self.probes = Probes()
        """What came of `linktest`."""
        self._code = code
        self._held = held

    def receive(self, datagram: Datagram, now: float, wall_ns: int) -> Iterable[Event]:
        """Take a datagram.

        Args:
            datagram: Not kept; its buffer may be used again when the events are done with.
            now: Monotonic time [s].
            wall_ns: Our wall clock [ns since 1970 UTC].

        Returns:
            Events, to be dealt with one by one: after a LINK there may be thousands, made while they are asked for.
        """
        try:
            if datagram[:4] == SHARD_START:
                return self._shard(datagram, now)
            return self._other(datagram, now, wall_ns)
        except FrameError as error:
            self._refuse(error.reason, datagram)
            return ()

    def receive_all(self, datagrams: Datagrams, now: float, wall_ns: int) -> Iterator[Event]:
        """Take datagrams as the kernel handed them over.

        Those of one block that stand side by side are checked and copied together (datagrams.py); whatever is not as
        plain as that goes one by one, so that nothing is decided in two places.
        """
        for frames in by_block(datagrams) or (None,):
            events = None if frames is None else self._block(frames)
            if events is not None:
                yield from events
                continue
            for datagram in (datagrams if frames is None else frames.datagrams).split():
                yield from self.receive(datagram, now, wall_ns)

    def tick(self, now: float, wall_ns: int) -> Iterator[Event]:
        """Let time pass; events as `receive` gives them."""
        self.waiting.tick(now)
        for frame in self.sessions.draw.due(now):
            yield from self._link(frame, now, wall_ns, drawn=True)

    def deadline(self) -> float | None:
        """When to call `tick` next [s, monotonic]."""
        times = [at for at in (self.waiting.deadline(), self.sessions.draw.deadline()) if at is not None]
        return min(times, default=None)

    def _shard(self, datagram: Datagram, now: float) -> Iterable[Event]:
        number_of_session, stream, number, size, need, spare, index, copy = shard_fields(datagram)
        session = self.sessions.known.get(number_of_session)
        if session is None:
            self.waiting.keep(number_of_session, datagram, now)
            return ()
        tag = session.tags.get(stream)
        if tag is None:
            tag = session.tag_for(stream)
            if not tag.fits(datagram):
                self.refused[Reason.TAG] += 1
                return ()
            if len(session.tags) >= TAGS_KEPT:
                session.tags.clear()
            session.tags[stream] = tag
        elif not tag.fits(datagram):
            self.refused[Reason.TAG] += 1
            return ()
        bit = 1 << index
        session.count(stream, number, copy, bit)
        held = self._held.get(stream)
        if held is not None and number in held:
            self.refused[Reason.DOUBLE] += 1
            return ()
        assembly = self.assemblies.find(stream, number, size, need, spare)
        if assembly.seen & bit:
            self.refused[Reason.DOUBLE] += 1
            return ()
        assembly.seen |= bit
        at = index * assembly.width
        assembly.view[at : at + assembly.width] = datagram[SHARD_HEADER.size : -TAG_BYTES]
        assembly.left -= 1
        return () if assembly.left else self._complete(stream, number, assembly)

    def _block(self, frames: BlockFrames) -> Iterable[Event] | None:
        """Frames of one block, all together; None where it must be looked at frame by frame."""
        session_number, stream, number, size, need, spare, _, copy = frames.fields
        session = self.sessions.known.get(session_number)
        tag = session.tags.get(stream) if session is not None else None
        if (
            session is None
            or tag is None
            or not tag.all_fit(*frames.datagrams, frames.indexes, (number, need, spare, copy))
        ):
            return None
        held = self._held.get(stream)
        if held is not None and number in held:
            session.count(stream, number, copy, frames.bits)
            self.refused[Reason.DOUBLE] += len(frames.indexes)
            return ()
        assembly = self.assemblies.find(stream, number, size, need, spare)
        if assembly.seen & frames.bits:
            return None
        session.count(stream, number, copy, frames.bits)
        enough = min(assembly.left, len(frames.indexes))
        indexes = frames.indexes[:enough]
        assembly.rows[indexes] = frames.shards[:enough]
        assembly.left -= enough
        if assembly.left:
            assembly.seen |= frames.bits
            return ()
        for index in indexes:
            assembly.seen |= 1 << index
        self.refused[Reason.DOUBLE] += len(frames.indexes) - enough
        return self._complete(stream, number, assembly)

    def _complete(self, stream: bytes, number: int, assembly: Assembly) -> Iterable[Event]:
        self.assemblies.drop(stream, number)
        repaired = not assembly.whole
        if repaired:
            self._code.restore(assembly.rows, assembly.seen, assembly.need)
        block = bytes(assembly.view[: assembly.size])
        try:
            header = read_header(block)
            if (header.stream, header.number) != (stream, number):
                raise FrameError(Reason.BODY, size=len(block))
        except FrameError as error:
            self._refuse(error.reason, block)
            return ()
        return (BlockDone(stream, number, assembly.need, assembly.spare, repaired, block),)

    def _other(self, datagram: Datagram, now: float, wall_ns: int) -> Iterable[Event]:
        kind = kind_of(datagram)
        frame = bytes(datagram)
        if kind is FrameKind.LINK:
            return self._link(frame, now, wall_ns)
        session = self.sessions.known.get(int.from_bytes(frame[4:8], "big"))
        if session is None:
            self.waiting.keep(int.from_bytes(frame[4:8], "big"), frame, now)
            return ()
        if kind is FrameKind.BEAT:
            return (self.sessions.judge_beat(frame, session, wall_ns),)
        probe = session.probe.read(frame)
        if not session.current:
            raise FrameError(Reason.FLOOR, size=len(frame))
        if not self.probes.take(probe, len(frame), now):
            raise FrameError(Reason.DOUBLE, size=len(frame))
        session.count_one()
        return ()

    def _link(self, frame: bytes, now: float, wall_ns: int, *, drawn: bool = False) -> Iterable[Event]:
        try:
            opened = self.sessions.judge_link(frame, now, drawn=drawn)
        except FrameError as error:
            self._refuse(error.reason, frame)
            return ()
        return () if opened is None else self._open(opened, now, wall_ns)

    def _open(self, session: HeardSession, now: float, wall_ns: int) -> Iterator[Event]:
        yield session
        for frame in self.waiting.pop(session.number):
            yield from self.receive(frame, now, wall_ns)

    def _refuse(self, reason: Reason, datagram: Datagram) -> None:
        self.refused[reason] += 1
        if reason is Reason.VERSION:
            self.versions[datagram[2]] += 1
