"""For tests of the low side: a sender of a few lines, sharing no code with ours, and the receiving thread's parts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol import keymaking, keys
from protocol.block import BlockKind
from protocol.keys import PrivateKey, PublicKey
from protocol.process.document import from_json, to_json
from protocol.seal import Seal
from protocol.wire.announce import make_link
from protocol.wire.beat import Beat, BeatTag, StreamTotals
from protocol.wire.erasure import Code
from protocol.wire.frame import SHARD_OVERHEAD, ProbeTag, ShardTag
from receiver.catch.datagrams import Datagrams
from receiver.catch.intake import Arrival, Intake
from receiver.catch.link.sessions import Sessions
from receiver.catch.numbers import StreamNumbers
from receiver.catch.status.picture import picture
from receiver.catch.store.floors import Floors
from receiver.status.catch import CatchStatus
from receiver.status.wording import complete

WALL_NS = 1_700_000_000 * 10**9
"""A wall clock of the tests [ns since 1970 UTC]."""

CODE = Code()


@dataclass(frozen=True, slots=True)
class Pair:
    """Key files of both sides."""

    high: Path
    low: Path

    @property
    def signer(self) -> PrivateKey:
        """The link-sign key."""
        return keys.load(self.high, "link-sign")

    @property
    def own(self) -> PrivateKey:
        """The catch key."""
        return keys.load(self.low, "catch")

    @property
    def believed(self) -> list[PublicKey]:
        """The high side's public keys."""
        return keys.load_public(self.high.with_name("high.pub"))


def key_files(folder: Path) -> Pair:
    """Make the keys of both sides in a folder."""
    for side in ("high", "low"):
        keymaking.make(side, folder / side)
    return Pair(folder / "high", folder / "low")


class Sender:
    """One session at a time, any number of streams; everything random comes from a seed."""

    def __init__(self, pair: Pair, *, seed: int = 1, boot: int = 1000) -> None:
        self.random = random.Random(seed)
        self.pair = pair
        self.signer, self.receiver = pair.signer, pair.own.public
        self.boot = boot
        self.sessions = 0
        self.beats = 0
        self.frames = 0
        self.sealed: dict[tuple[bytes, int], bytes] = {}
        self.renew()

    def stream(self) -> bytes:
        """A new stream's name."""
        return self.random.randbytes(8)

    def renew(self) -> None:
        """Begin a new session; say it with `link`."""
        self.session = self.random.getrandbits(32)
        self.key = self.random.randbytes(32)
        self.frames = 0
        self._link = make_link(self.session, self.boot, self.sessions, self.key, self.receiver, self.signer)
        self.sessions += 1

    def link(self) -> bytes:
        """The LINK of the session."""
        self.frames += 1
        return self._link

    def block(self, stream: bytes, number: int, size: int = 300) -> bytes:
        """A sealed block of about that size; asked for again it is the same."""
        key = (stream, number)
        if key not in self.sealed:
            body = {"x": self.random.randbytes(max(1, size - 80))}
            seal = Seal(b"e" * 32, stream, 1)
            self.sealed[key] = seal.close(BlockKind.BATCH, number, body, self.random.randbytes(12))
        return self.sealed[key]

    def shards(
        self, stream: bytes, number: int, *, need: int = 3, spare: int = 2, copy: int = 0, size: int = 300
    ) -> list[bytes]:
        """All frames of a block, data first."""
        block = self.block(stream, number, size)
        rows = CODE.rows(block, need, spare)
        view = ShardTag(self.key, self.session, stream).frames(number, len(block), need, spare, copy, rows)
        length = SHARD_OVERHEAD + rows.shape[1]
        self.frames += need + spare
        return [bytes(view[at : at + length]) for at in range(0, len(view), length)]

    def beat(
        self,
        totals: Iterable[StreamTotals] = (),
        *,
        wall_ns: int = WALL_NS,
        repeats: tuple[float, ...] = (20.0, 900.0),
        counter: int | None = None,
    ) -> bytes:
        """The next BEAT."""
        self.frames += 1
        self.beats += 1
        beat = Beat(
            session=self.session,
            boot=self.boot,
            counter=self.beats if counter is None else counter,
            wall_ns=wall_ns,
            synced=1,
            streams=tuple(totals),
            frames=self.frames,
            bytes=0,
            repeats=repeats,
            spool={"bytes": 5, "full": False},
        )
        return BeatTag(self.key, self.session).frame(beat)

    def probe(self, step: int, index: int, of: int) -> bytes:
        """A PROBE."""
        self.frames += 1
        return ProbeTag(self.key, self.session).frame(step, 1000, index, of, 100, burst=1500, first=0, last=1)


def totals(
    stream: bytes, finished: int, *, oldest: int = 0, sealed: int | None = None, waiting: Sequence[tuple[int, int]] = ()
) -> StreamTotals:
    """What a beat says of a stream."""
    return StreamTotals(
        stream=stream,
        oldest=oldest,
        sealed=max(finished, oldest) if sealed is None else sealed,
        finished=finished,
        waiting=tuple(waiting),
    )


def fate(frames: Sequence[bytes], faults: str) -> list[bytes]:
    """What arrives of frames under a repeated fault string: . deliver, x drop, d double, ~ late (at the end)."""
    now: list[bytes] = []
    late: list[bytes] = []
    for index, one in enumerate(frames):
        fault = faults[index % len(faults)]
        (late if fault == "~" else now).extend({"x": [], "d": [one, one]}.get(fault, [one]))
    return now + late


def alone(frame: bytes | bytearray) -> Datagrams:
    """A datagram as the kernel hands it over where none stands beside it."""
    return Datagrams(memoryview(frame), len(frame))


class Low:
    """The receiving thread without thread, socket or clock: what was put, what was said."""

    def __init__(
        self, pair: Pair, *, floors: Floors | None = None, streams: Mapping[bytes, StreamNumbers] | None = None
    ) -> None:
        self.arrivals: list[Arrival] = []
        self.lines: list[str] = []
        self.room = True
        """Whether the writing thread's queue has room."""
        self.now = 100.0
        self.wall_ns = WALL_NS
        self.sessions = Sessions(pair.own, pair.believed, floors or Floors(), random.Random(1))
        self.intake = Intake(self.sessions, CODE, streams or {}, put=self._put, say=self.lines.append)

    def receive(self, *datagrams: bytes) -> None:
        """Datagrams come, each in a buffer that is used again."""
        for one in datagrams:
            buffer = bytearray(one)
            self.intake.receive(alone(buffer), self.now, self.wall_ns)
            buffer[:] = bytes(len(buffer))
        self.intake.tick(self.now, self.wall_ns)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.wall_ns += int(seconds * 1e9)
        self.intake.tick(self.now, self.wall_ns)

    @property
    def refused(self) -> dict[str, int]:
        """Refusals by reason."""
        return {reason.value: count for reason, count in self.intake.gather.refused.items()}

    def blocks(self) -> dict[tuple[bytes, int], bytes]:
        """What was put; a block put twice is a failure."""
        keys = [(one.stream, one.number) for one in self.arrivals]
        assert len(keys) == len(set(keys)), "a block was put twice"
        return {(one.stream, one.number): one.block for one in self.arrivals}

    def status(self) -> dict[str, Any]:
        """What catch would say of itself, through JSON, as readers are shown it."""
        told = picture(self.intake, now=self.now, wall_ns=self.wall_ns)
        loaded: dict[str, Any] = complete(json.loads(json.dumps(told, allow_nan=False)))
        read = to_json(from_json(CatchStatus, loaded))
        assert {key: read[key] for key in loaded} == loaded, "readers do not know what catch writes"
        assert read.keys() - loaded.keys() == {"confined", "confinement", "preflight", "preflight_unread"}
        return loaded

    def _put(self, arrival: Arrival) -> bool:
        if self.room:
            self.arrivals.append(arrival)
        return self.room
