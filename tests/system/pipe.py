"""Both ends of the link in one process on virtual time: packer, spool, emitter, a bad link, intake, journal, follower.

Nothing sleeps and nothing is random but what the seed says; every part is the product's own. Wall clocks are separate
from running time and can be stepped on either side.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from protocol import keymaking, keys
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from protocol.store.record import record
from protocol.wire.erasure import Code
from receiver.catch.datagrams import Datagrams
from receiver.catch.intake import Arrival, Intake
from receiver.catch.link.sessions import Sessions
from receiver.catch.store.journal import Journal
from receiver.outputs.base import BatchBody, OpenedBlock
from receiver.outputs.scope import Scope
from receiver.publish.opener import Opener
from sender.emit.emitter import Emitter
from sender.emit.errand_runner import ErrandRunner
from sender.emit.link_session import LinkTerms
from sender.emit.pace import wire_bytes
from sender.emit.state_keeper import StateKeeper
from sender.geometry import Geometry
from sender.store.pack import Packer
from sender.store.spool import Spool

MTU = 1500
Fate = Callable[[random.Random], int]
"""How many copies of a datagram arrive: 0, 1 or more."""


@dataclass
class Pipe:
    """The whole path; `folder` has a `high` and a `low` side."""

    folder: Path
    seed: int = 1
    loss: float = 0.0
    repeat: tuple[float, ...] = (2.0, 5.0)
    now: float = 1000.0
    spool_bytes: int = 10**9
    rate: float | None = None
    """What the link carries [bytes/s], headers counted; None: everything at once."""
    link: bool = True
    """Whether emitter, receiver and opener run here too."""
    high_wall: int = 1_800_000_000_000_000_000
    low_wall: int = 1_800_000_000_000_000_000
    sent: dict[bytes, list[Row]] = field(default_factory=dict)
    """Rows that reached a packer, by stream, in order."""
    opened: list[OpenedBlock] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for side in ("high", "low"):
            if not (self.folder / side / "keys").exists():
                keymaking.make(side, self.folder / side / "keys")
        high, low = self.folder / "high/keys", self.folder / "low/keys"
        self.sign, self.link_sign = keys.load(high, "sign"), keys.load(high, "link-sign")
        self.catch_key, self.open_key = keys.load(low, "catch"), keys.load(low, "open")
        self.high, self.low = self.folder / "high/state", self.folder / "low/state"
        self.geometry = Geometry(width=1424, rate=self.rate or 2.5e6, repeats=len(self.repeat), loss=self.loss or None)
        self.place: bytes | None = None
        self._tokens = 0.0
        self.start_poll()
        if self.link:
            self.start_emit()
            self.start_catch()
            self.start_publish()

    # --- the four processes -----------------------------------------------------------------------------------------

    def start_poll(self) -> None:
        """A new stream."""
        self.spool = Spool(self.high, keep_s=1e6, most_bytes=self.spool_bytes, now=self.now)
        self.packer = Packer(
            site="north",
            boot=self.spool.next_boot(self.high_wall),
            geometry=self.geometry,
            signer=self.sign,
            receivers=[self.open_key.public],
            previous=self.spool.previous(),
            append=self.spool.append,
            entropy=self.random.randbytes,
            wall=lambda: self.high_wall,
            now=lambda: self.now,
            room=lambda: self.spool.room,
        )
        asset = Asset(name="pump", site="north")
        self.packer.catalog({"pump": asset}, [Tag(id=tag, asset="pump", name=f"t{tag}") for tag in range(3)])
        self.sent[self.packer.stream] = []

    def kill_poll(self) -> None:
        """As kill -9: what was not synced is gone."""
        self.spool.store.close()

    def start_emit(self) -> None:
        """A new link session, from where the last emitter stopped."""
        self.keeper = StateKeeper(self.high)
        link = LinkTerms(
            mtu=MTU,
            spread_s=0.05,
            repeat=self.repeat,
            geometry=self.geometry,
            signer=self.link_sign,
            receivers=[self.catch_key.public],
            boot=self.keeper.next_boot(self.high_wall),
            entropy=self.random.randbytes,
            wall=lambda: self.high_wall,
            synced=lambda: 1,
        )
        self.emitter = Emitter(self.high / "spool", link, self.now)
        last = self.keeper.last
        self.emitter.resume(last, self.now, "".join(self.keeper.troubles[:1]))
        self.errands = ErrandRunner(self.high, self.emitter, largest=MTU - 28, begun=last.errand)
        self.saved_at = self.now

    def save(self) -> None:
        """The emitter notes how far it is."""
        self.keeper.save(self.emitter.state(self.now, self.errands.note()))

    def kill_emit(self) -> None:
        """As kill -9: what it knew since its last note is gone."""
        self.keeper.close()

    def start_catch(self) -> None:
        """From what the disk says."""
        self.journal = Journal(self.low, keep_s=1e9, most_bytes=1e12, now=self.now, segment_bytes=1 << 20)
        streams = {key: held.stream(self.low_wall) for key, held in self.journal.ledger.streams.items()}
        sessions = Sessions(self.catch_key, [self.link_sign.public], self.journal.floors, random.Random(1))
        self.intake = Intake(sessions, Code("numpy"), streams, put=self._put, say=lambda line: None)

    def kill_catch(self) -> None:
        """As kill -9: what was not synced is gone."""
        self.journal.store.close()
        self.journal._bells.close()

    def start_publish(self) -> None:
        """From the place that the output stored last."""
        signers = {self.sign.public.id: self.sign.public}
        self.opener = Opener(
            self.low / "journal",
            self.place,
            own=self.open_key,
            signers=signers,
            scope=Scope(),
            now=self.now,
            wall_ns=self.low_wall,
        )

    # --- what happens -----------------------------------------------------------------------------------------------

    def sample(self, count: int = 5) -> None:
        """Some samples are read."""
        stamp = len(self.sent[self.packer.stream])
        rows = [Row((stamp + at) % 3, self.high_wall + at, float(stamp + at)) for at in range(count)]
        self.sent[self.packer.stream] += rows
        self.packer.samples("pump", from_rows(rows), count)

    def run(self, seconds: float, fate: Fate = lambda random: 1, *, emit: bool = True, catch: bool = True) -> None:
        """Let time pass in steps of 10 ms."""
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            self.high_wall += 10_000_000
            self.low_wall += 10_000_000
            self.packer.tick()
            self.spool.tick(self.now)
            for note in self.spool.pop_notes(self.now):
                self.packer.state("", self.high_wall, "note", note)
            if emit:
                self._emit(fate, catch)
            if catch:
                self.intake.tick(self.now, self.low_wall)
                self.journal.floors = self.intake.sessions.floors
                self.journal.tick(self.now)
                while self.journal.damaged:
                    self.intake.damage(*self.journal.damaged.popleft(), self.low_wall)
            if self.link:
                self._publish()

    def finish(self) -> None:
        """A clean end of polling."""
        self.packer.finish()
        self.spool.flush(self.now)

    def received(self, stream: bytes) -> list[Row]:
        """Rows that were opened of a stream, by block and row."""
        blocks = [one for one in self.opened if one.stream.key == stream and isinstance(one.body, BatchBody)]
        out: list[Row] = []
        for one in sorted(blocks, key=lambda one: one.number):
            assert isinstance(one.body, BatchBody)
            out += one.body.columns.rows()
        return out

    def numbers(self, stream: bytes) -> list[int]:
        """Numbers of all blocks that were handed on, in hand-over order."""
        return [one.number for one in self.opened if one.stream.key == stream]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _emit(self, fate: Fate, catch: bool) -> None:
        self._tokens = float("inf") if self.rate is None else min(0.0, self._tokens) + self.rate * 0.01
        while self._tokens > 0:
            parcel = self.emitter.next(self.now) or self.errands.next(self.now)
            if parcel is None:
                break
            self._tokens -= wire_bytes(len(parcel.frames), parcel.count)
            for at in range(0, len(parcel.frames), parcel.length):
                frame = bytes(parcel.frames[at : at + parcel.length])
                for _ in range(fate(self.random)):
                    if catch:
                        self.intake.receive(Datagrams(memoryview(frame), len(frame)), self.now, self.low_wall)
            self.emitter.left(parcel)
        if self.now >= self.saved_at + 1:
            self.saved_at = self.now
            self.errands.look(self.now)
            self.save()

    def _put(self, arrival: Arrival) -> bool:
        one = record(
            arrival.stream,
            arrival.number,
            arrival.need,
            arrival.spare,
            arrival.block,
            how=arrival.how,
            time_ns=arrival.time_ns,
        )
        self.journal.append(one, self.now)
        return True

    def _publish(self) -> None:
        while True:
            blocks, moved = self.opener.step(self.now)
            self.opened += blocks
            if not moved:
                return
            self.place = self.opener.place()


def lossy(share: float) -> Fate:
    """Independent loss."""
    return lambda random: int(random.random() >= share)
