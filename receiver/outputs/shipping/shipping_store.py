"""The store of one destination: shipments by rising number in their lanes, the journal's place, and what was set aside.

    take -> pending -> sent and acknowledged -> held -> released
               ^                                  |
               |---- the server may have lost it -'
               '---- refused (set aside), and a person wants it sent again

Content and place are one transaction. A shipment is pending until the server acknowledged it; then it goes, or is held
for as long as that answer can still turn out to be nothing (`held` = 1). What a server refuses stands in a table of its
own, bounded by who fills it, until a person sends it again or drops it.

What a shipment is made of is its form's (`cargo`). A kind that keeps more beside it derives from `ShippingStore`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic

from protocol.errors import StoreError
from receiver.outputs import disk
from receiver.outputs.aside import SetAside
from receiver.outputs.disk import DamageError, Writes
from receiver.outputs.shipping.cargo import LATE, LIVE, RESENT, CargoForm, CargoT, RefusedSamples

ASIDE_TABLE = """CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, refusal TEXT NOT NULL, words TEXT NOT NULL,
    samples INTEGER NOT NULL, blocks INTEGER NOT NULL, received_ns INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
"""
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shipment (
    id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, held INTEGER NOT NULL, samples INTEGER NOT NULL,
    blocks INTEGER NOT NULL, bytes INTEGER NOT NULL, received_ns INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS shipment_pending ON shipment (lane, id) WHERE held = 0;
{ASIDE_TABLE}"""

_SHIPMENT = "INSERT INTO shipment VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_REST = "UPDATE shipment SET held = 1, samples = ?, bytes = ?, body = ? WHERE id = ?"
_GONE = "DELETE FROM shipment WHERE id = ?"
META = "REPLACE INTO meta VALUES (?, ?)"
_SUMMED: Mapping[str, Any] = {"place": None, "taken": 0, "dropped": 0}
"""What the sum is over, and what stands for what was not written yet."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of something there is."""

    samples: int = 0
    blocks: int = 0
    bytes: int = 0
    """On this disk, compressed."""

    def plus(self, other: Amount, sign: int = 1) -> Amount:
        """More, or with -1 less of it."""
        return Amount(
            self.samples + sign * other.samples, self.blocks + sign * other.blocks, self.bytes + sign * other.bytes
        )


class ShippingStore(Generic[CargoT]):
    """The store of one destination; one process has it open."""

    VERSION: ClassVar[int] = 2
    """Of the file's form, written with what is stored; a later one is not guessed at. 1 knew no conversion of a tag."""
    READABLE: ClassVar[tuple[int, ...]] = (1, 2)
    SCHEMA: ClassVar[str] = SCHEMA

    def __init__(
        self,
        path: Path,
        form: CargoForm[CargoT],
        *,
        waiting: Callable[[str], None],
        wait: Callable[[float], None],
    ) -> None:
        """
        Args:
            path: The database file; made where it is not there.
            form: What its shipments are made of.
            waiting: Told why it waits for space, and `""` when it no longer does.
            wait: Pauses for so many seconds; may raise to give up.

        Raises:
            DamageError: it is not what was written.
            StoreError: it cannot be read, or was written by another version.
        """
        self._form, self._waiting, self._wait = form, waiting, wait
        self._connection = disk.when_room(
            lambda: disk.open_writer(path, self.SCHEMA, "meta"), waiting=waiting, wait=wait
        )
        try:
            disk.when_room(lambda: self._load(path), waiting=waiting, wait=wait)
        except disk.UNBELIEVED as error:
            self.close()
            raise DamageError(f"{path}: not what was written: {type(error).__name__}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _load(self, path: Path) -> None:
        meta: dict[str, Any] = dict(self._connection.execute("SELECT key, value FROM meta"))
        version = meta.setdefault("version", self.VERSION)
        if type(version) is int and version > self.VERSION:
            raise StoreError(f"{path}: written by version {version}, this build reads {self.VERSION}")
        if version not in self.READABLE:
            raise DamageError(f"{path}: written by version {str(version)[:20]!r}, which there never was")
        self.place: bytes | None = meta.get("place")
        """The journal's place stored last."""
        self.taken: int = meta.get("taken", 0)
        """Samples stored since the beginning."""
        self.dropped: int = meta.get("dropped", 0)
        """Samples that were set aside and that a person dropped."""
        if "sum" in meta and meta["sum"] != _sum({**_SUMMED, **meta}):
            raise DamageError(f"{path}: its numbers do not fit their sum")
        self.pending = self._amount("shipment WHERE held = 0")
        """What no server has acknowledged."""
        if meta.get("pending", self.pending.samples) != self.pending.samples:  # a bit that flipped would be a loss
            raise DamageError(f"{path}: not all is there that waited to be sent")
        self.held = self._amount("shipment WHERE held = 1")
        """What was acknowledged and is kept to be sent again."""
        self.aside = Amount()
        """What a server refuses."""
        self._count_aside()
        self._newest = self._last()

    def store(
        self,
        shipments: Iterable[tuple[bool, CargoT]],
        place: bytes,
        beside: Callable[[], Writes] = Writes,
    ) -> None:
        """Store shipments, each with whether it is live, and the place together; waits while the disk is full.

        Args:
            beside: What else is written in the same transaction; asked when all of them are packed.
        """
        rows, more = [], Amount()
        for live, one in shipments:
            self._newest += 1
            body = self._form.pack(one)
            more = more.plus(Amount(len(one), one.blocks, len(body)))
            rows.append(
                (self._newest, LIVE if live else LATE, 0, len(one), one.blocks, len(body), one.received_ns, body)
            )
        taken = self.taken + more.samples
        writes = Writes()
        writes.add(_SHIPMENT, rows)
        writes.extend(beside())
        writes.add(META, self._told(version=self.VERSION, place=place, taken=taken))
        writes.add(META, self._pending(self.pending.plus(more)))
        disk.commit(self._connection, writes, waiting=self._waiting, wait=self._wait)
        self.place, self.taken = place, taken
        self.pending = self.pending.plus(more)

    def next(self, lane: int, most: int) -> tuple[tuple[int, ...], CargoT] | None:
        """The oldest pending shipments of a lane that fit together and are about `most` samples, as one.

        Raises:
            DamageError: one of them is not what was written.
        """
        ids: list[int] = []
        parts: list[CargoT] = []
        count = 0
        sql = "SELECT id, samples, body FROM shipment WHERE held = 0 AND lane = ? ORDER BY id"
        with closing(self._connection.execute(sql, (lane,))) as rows:
            for at, samples, body in rows:
                if parts and count + samples > most:
                    break
                try:
                    one = self._form.unpack(body)
                except disk.UNBELIEVED as error:
                    raise DamageError(f"shipments of the store cannot be read: {error}") from error
                if parts and not self._form.fits(parts, one):
                    break
                ids.append(at)
                parts.append(one)
                count += samples
        return (tuple(ids), self._form.joined(parts)) if parts else None

    def acknowledge(
        self, ids: Sequence[int], refused: Sequence[RefusedSamples[CargoT]], *, hold: bool, rest: CargoT | None = None
    ) -> None:
        """A server took these shipments, but for what it refused.

        Args:
            hold: Keep them, to be sent again.
            rest: What of them it took; None: all. What it refused is set aside, and not held besides.
        """
        moved, held = self._of(ids), Amount()
        writes = Writes()
        if hold and rest is None:
            held = moved
            writes.add("UPDATE shipment SET held = 1 WHERE id = ?", [(at,) for at in ids])
        elif hold and rest:
            body, (first, *others) = self._form.pack(rest), ids
            held = Amount(len(rest), self._of([first]).blocks, len(body))
            writes.add(_REST, [(held.samples, held.bytes, body, first)])
            writes.add(_GONE, [(at,) for at in others])
        else:
            writes.add(_GONE, [(at,) for at in ids])
        rows, less = [], Amount()
        for one in refused:
            body = self._form.pack(one.cargo)
            less = less.plus(Amount(len(one.cargo), one.cargo.blocks, len(body)))
            told = (len(one.cargo), one.cargo.blocks, one.cargo.received_ns)
            rows.append((one.time_ns, one.refusal, one.words, *told, body))
        writes.add(
            "INSERT INTO aside (time_ns, refusal, words, samples, blocks, received_ns, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        pending = self.pending.plus(moved, -1)
        writes.add(META, self._pending(pending))
        self._run(writes)
        self.pending, self.aside = pending, self.aside.plus(less)
        self.held = self.held.plus(held)

    def release(self, ids: Sequence[int]) -> None:
        """Drop held shipments: the server has them for good."""
        gone = self._of(ids)
        writes = Writes()
        writes.add(_GONE, [(at,) for at in ids])
        self._run(writes)
        self.held = self.held.plus(gone, -1)

    def rewind(self) -> int:
        """Make all that is held pending again; returns how many samples."""
        writes = Writes()
        writes.add("UPDATE shipment SET held = 0 WHERE held = ?", [(1,)])
        pending = self.pending.plus(self.held)
        writes.add(META, self._pending(pending))
        self._run(writes)
        back, self.pending, self.held = self.held, pending, Amount()
        return back.samples

    def oldest_ns(self) -> int | None:
        """When the first block that is pending was completed [ns since 1970 UTC]; None where none is, or none says."""
        sql = "SELECT received_ns FROM shipment WHERE held = 0 AND lane = ? AND received_ns > 0 ORDER BY id LIMIT 1"
        first = [int(row[0]) for lane in (LIVE, LATE, RESENT) for row in self._connection.execute(sql, (lane,))]
        return min(first, default=None)

    def held_ids(self) -> tuple[int, ...]:
        """The numbers of all that is held, rising."""
        return tuple(at for (at,) in self._connection.execute("SELECT id FROM shipment WHERE held = 1 ORDER BY id"))

    def resent_bytes(self) -> int:
        """How much of what is pending had been set aside [bytes]."""
        return self._amount(f"shipment WHERE held = 0 AND lane = {RESENT}").bytes

    def resend_aside(self, upto: int) -> None:
        """Make what is set aside pending again, up to this number, in the lane of what goes last."""
        writes = Writes()
        writes.add(
            "INSERT INTO shipment (lane, held, samples, blocks, bytes, received_ns, body) "
            "SELECT ?, 0, samples, blocks, length(body), received_ns, body FROM aside WHERE id <= ? ORDER BY id",
            [(RESENT, upto)],
        )
        writes.add("DELETE FROM aside WHERE id <= ?", [(upto,)])
        pending = self.pending.plus(self._aside(upto))
        writes.add(META, self._pending(pending))
        self._run(writes)
        self._count_aside()
        self.pending, self._newest = pending, self._last()

    def drop_aside(self, upto: int) -> None:
        """Forget what is set aside, up to this number."""
        gone = self._aside(upto).samples
        writes = Writes()
        writes.add("DELETE FROM aside WHERE id <= ?", [(upto,)])
        writes.add(META, self._told(dropped=self.dropped + gone))
        self._run(writes)
        self.dropped += gone
        self._count_aside()

    def classes(self) -> Mapping[str, int]:
        """Samples set aside, by class of refusal."""
        return dict(
            self._connection.execute("SELECT refusal, sum(samples) FROM aside GROUP BY refusal ORDER BY 2 DESC")
        )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _run(self, writes: Writes) -> None:
        """One transaction for upkeep; raises sqlite3.Error where the disk is full: it is done later."""
        with disk.sorted_errors():
            writes.run(self._connection)

    def _of(self, ids: Sequence[int]) -> Amount:
        sql = "SELECT samples, blocks, bytes FROM shipment WHERE id = ?"
        out = Amount()
        for at in ids:
            for row in self._connection.execute(sql, (at,)):
                out = out.plus(Amount(*row))
        return out

    def _amount(self, where: str, size: str = "sum(bytes)") -> Amount:
        sql = f"SELECT coalesce(sum(samples), 0), coalesce(sum(blocks), 0), coalesce({size}, 0) FROM {where}"  # noqa: S608
        samples, blocks, stored = self._connection.execute(sql).fetchone()
        return Amount(int(samples), int(blocks), int(stored))

    def _aside(self, upto: int) -> Amount:
        return self._amount(f"aside WHERE id <= {upto:d}", "sum(length(body))")

    def _count_aside(self) -> None:
        self.aside = self._amount("aside", "sum(length(body))")

    def _last(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(id), 0) FROM shipment").fetchone()[0])

    def _told(self, **changed: Any) -> list[tuple[str, Any]]:
        """Rows of `meta` for these values, and the sum over all."""
        held = {key: getattr(self, key) for key in _SUMMED}
        return [*changed.items(), ("sum", _sum({**held, **changed}))]

    def _pending(self, amount: Amount) -> list[tuple[str, int]]:
        """The row of `meta` that says how much waits; written with all that changes it."""
        return [("pending", amount.samples)]


def read_aside(path: Path, form: CargoForm[CargoT]) -> Iterator[SetAside]:
    """What a store has set aside, oldest first; read beside its writer. Nothing where there is no store.

    Raises:
        sqlite3.Error: it cannot be read.
        ValueError: it is not what was written.
    """
    connection = disk.open_reader(path)
    if connection is None:
        return
    with closing(connection):
        for number, time_ns, why, message, count, body in connection.execute(
            "SELECT id, time_ns, refusal, words, samples, body FROM aside ORDER BY id"
        ):
            try:
                example = form.example(form.unpack(body))
            except disk.UNBELIEVED as error:
                raise ValueError(f"group {number} is not what was written: {error}") from error
            yield SetAside(number=number, time_ns=time_ns, why=why, message=message, samples=count, example=example)


def _sum(values: Mapping[str, Any]) -> int:
    return zlib.crc32(repr([values[key] for key in _SUMMED]).encode())
