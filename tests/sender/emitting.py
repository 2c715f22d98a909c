"""An emitter on virtual time over a real spool, and everything that leaves it, frame by frame."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from protocol import keymaking, keys
from protocol.block import HEADER, BlockKind
from protocol.store.reader import walk
from protocol.store.record import Record, record
from protocol.store.resync import Place
from protocol.store.segment_store import Store
from protocol.wire.beat import Beat
from protocol.wire.frame import FrameKind
from sender.emit.emitter import CAROUSEL_COPY, Emitter
from sender.emit.interleave import Parcel
from sender.emit.link_session import LinkTerms
from sender.emit.resend import COPY as RESEND_COPY
from sender.geometry import Geometry
from sender.store.emit_state import EmitState

STREAM = b"sent-one"
SMALL = 300
"""Bytes of a block [bytes]."""


class Sent(NamedTuple):
    """A frame that left."""

    at: float
    kind: FrameKind
    session: int
    stream: bytes = b""
    number: int = -1
    copy: int = -1

    @property
    def what(self) -> str:
        """Which of the emitter's queues it is from, as far as the frame tells."""
        if self.kind is not FrameKind.SHARD:
            return self.kind.name
        return {0: "first", CAROUSEL_COPY: "carousel", RESEND_COPY: "resend"}.get(self.copy, "repeat")


@dataclass
class Emitting:
    """A spool that is written here, and one emitter after another that reads it."""

    folder: Path
    seed: int = 1
    mtu: int = 1500
    repeat: tuple[float, ...] = ()
    spread_s: float = 0.0
    segment_bytes: int = 1 << 26
    now: float = 1000.0
    sent: list[Sent] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    """Of the emitter that runs now."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for side in ("high", "low"):
            keymaking.make(side, self.folder / side)
        self.geometry = Geometry(width=1424, rate=2.5e6, repeats=len(self.repeat), loss=None)
        self.spool = self.folder / "spool"
        self.store = Store(self.spool, segment_bytes=self.segment_bytes)
        self.numbers: Counter[bytes] = Counter()
        """How many blocks each stream has."""
        self.boots = 0
        self._cuts: dict[tuple[bytes, int], int] = {}  # frames of each block

    def start(self, state: EmitState | None = None) -> Emitter:
        """The next emitter, from where the last one said that it was."""
        self.boots += 1
        link = LinkTerms(
            mtu=self.mtu,
            spread_s=self.spread_s,
            repeat=self.repeat,
            geometry=self.geometry,
            signer=keys.load(self.folder / "high", "link-sign"),
            receivers=[keys.load(self.folder / "low", "catch").public],
            boot=self.boots,
            entropy=self.random.randbytes,
            wall=lambda: round(self.now * 1e9),
            synced=lambda: 1,
        )
        self.beats.clear()
        self.emitter = Emitter(self.spool, link, self.now)
        self.emitter.resume(state or EmitState(), self.now)
        return self.emitter

    def write(self, count: int, stream: bytes = STREAM, size: int = SMALL, kind: BlockKind = BlockKind.BATCH) -> None:
        """So many more blocks are in the spool; their content means nothing."""
        for _ in range(count):
            number = self.numbers[stream]
            self.numbers[stream] += 1
            block = HEADER.pack(b"CB", 1, kind, stream, number, 1, bytes(12)) + self.random.randbytes(size)
            need, spare = self.geometry.cut(len(block), 0.0)
            self._cuts[stream, number] = need + spare
            self.store.append(record(stream, number, need, spare, block))
        self.store.sync()

    def next(self) -> Parcel | None:
        """What leaves next has left."""
        parcel = self.emitter.next(self.now)
        if parcel is not None:
            for at in range(0, len(parcel.frames), parcel.length):
                self._note(bytes(parcel.frames[at : at + parcel.length]))
            self.emitter.left(parcel)
        return parcel

    def run(self, seconds: float) -> None:
        """Let time pass, a hundredth of a second at a time; all that is due leaves."""
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            while self.next() is not None:
                pass

    def places(self) -> dict[tuple[bytes, int], tuple[Place, Record]]:
        """Where each block begins."""
        out: dict[tuple[bytes, int], tuple[Place, Record]] = {}
        walk(self.spool, lambda place, one: out.update({(one.stream, one.number): (place, one)}))
        return out

    def firsts(self, since: int = 0) -> Counter[tuple[bytes, int]]:
        """How often each block had all its frames sent for the first time, since frame number `since` left."""
        frames = Counter((one.stream, one.number) for one in self.sent[since:] if one.what == "first")
        return Counter({key: count // self._cuts[key] for key, count in frames.items()})

    def damage(self, *numbers: int, stream: bytes = STREAM) -> None:
        """A bit of each of these blocks flips on the disk."""
        places = self.places()
        for number in numbers:
            place, one = places[stream, number]
            with (self.spool / "segments" / f"{place.segment:010d}.seg").open("r+b") as file:
                file.seek(place.offset + one.length - 10)
                old = file.read(1)[0]
                file.seek(-1, 1)
                file.write(bytes([old ^ 1]))

    def gone(self) -> dict[bytes, set[int]]:
        """Numbers that beats so far named as never to come."""
        out: defaultdict[bytes, set[int]] = defaultdict(set)
        for beat in self.beats:
            for stream, first, after in (beat.spool or {}).get("gone", ()):
                out[stream] |= set(range(first, after))
        return dict(out)

    def _note(self, frame: bytes) -> None:
        kind, session = FrameKind(frame[3]), int.from_bytes(frame[4:8], "big")
        if kind is FrameKind.BEAT:
            self.beats.append(self.emitter.session._beat.read(frame))
        if kind is FrameKind.SHARD:
            number = int.from_bytes(frame[16:24], "big")
            self.sent.append(Sent(self.now, kind, session, frame[8:16], number, frame[31]))
        else:
            self.sent.append(Sent(self.now, kind, session))


def waiting(beat: Beat, stream: bytes = STREAM) -> set[int]:
    """Numbers of a stream that a beat says had no first sending yet."""
    return {number for one in beat.streams if one.stream == stream for span in one.waiting for number in range(*span)}


def runs(what: list[Any]) -> Iterator[Any]:
    """Each value once for every time that it begins anew."""
    yield from (one for at, one in enumerate(what) if at == 0 or what[at - 1] != one)
