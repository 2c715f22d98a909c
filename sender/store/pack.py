"""Samples to sealed, numbered blocks. One packer is one stream: every start opens a new one, so no number is ever
used for two contents, whatever happened to the disk in between.

    start    OPEN (block 0), EPOCH, then what the poller describes
    samples  gathered as columns; a BATCH closes when it is full or 100 ms old
    minute   TALLY: what was read and sent, cumulative, as of its own number
             HEAD: the interval since the last one, hashed and signed (also after 4,096 blocks)
    hour     EPOCH: a new key, announced 60 s before its first use
    finish   the open batch, TALLY, HEAD

A pure core: time is an argument, random bytes and the place where records go are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collectors.base import Event
from protocol import block, evidence, seal
from protocol.content import batch, catalog
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns, Flag, Quality, ValueKind, columns, concat
from protocol.evidence import HEAD_BLOCKS, Tree
from protocol.keys import PrivateKey, PublicKey
from protocol.limits import BATCH_ROWS, BLOCK_AGE, TEXT_BYTES
from protocol.seal import Seal
from protocol.store.record import Record, record
from sender.geometry import Geometry
from sender.store.load import Load

MINUTE = 60.0
"""Period of TALLY and HEAD [s]."""
FIRST_MINUTE = 5.0
"""The first TALLY and HEAD come earlier [s]: accounts are there when somebody first looks."""
EPOCH_PERIOD = 3600.0
"""Period of a data key [s]."""
EPOCH_NOTICE = 60.0
"""A new EPOCH is on the link this long before its key is used [s]: lost copies are repeated by then."""
_ROW_GUESS = 12.0
"""Bytes a sample takes before the first batch has shown it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The stream before this one, as the spool has it."""

    stream: bytes
    last: int
    """Number of the last block of the stream."""
    root: bytes
    """Tree head over all its blocks."""


@dataclass(slots=True)
class _Count:
    read: int = 0
    sent: int = 0


@dataclass(slots=True)
class _Open:
    """The batch that is being gathered."""

    parts: list[Columns] = field(default_factory=list)
    owners: list[tuple[str, int]] = field(default_factory=list)
    rows: int = 0
    since: float = 0.0
    first_ns: int = 0


class Packer:
    """Makes the blocks of one stream; implements `Sink` of `poll/sink.py`."""

    def __init__(
        self,
        *,
        site: str,
        boot: int,
        geometry: Geometry,
        signer: PrivateKey,
        receivers: Sequence[PublicKey],
        previous: Previous | None,
        append: Callable[[Record], None],
        entropy: Callable[[int], bytes],
        wall: Callable[[], int],
        now: Callable[[], float],
        room: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Args:
            site: Name of the plant.
            boot: The packer's start counter, above all before it.
            geometry: How blocks are cut.
            signer: The `sign` key.
            receivers: `open` and `recovery` keys that every EPOCH is sealed for.
            previous: The stream before this one.
            append: Takes each record, in number order.
            entropy: `n` random bytes.
            wall: Wall time [ns since 1970 UTC].
            now: Monotonic time [s].
            room: False where no more blocks can be kept: samples are then read and not sent, as TALLY says.
        """
        self.stream = entropy(8)
        self.number = 0
        """The next block's."""
        self.refused = 0
        """Samples for which there was no room [samples]."""
        self._origin = evidence.origin(site, self.stream)
        self._geometry, self._signer, self._receivers = geometry, signer, list(receivers)
        self._append, self._entropy, self._wall, self._now, self._room = append, entropy, wall, now, room
        self._load = Load()
        self._counts: dict[str, _Count] = {}
        self._open = _Open()
        self._row_bytes = _ROW_GUESS
        self._pages = 0
        self._closed, self._entries = Tree(), list[bytes]()
        self._epoch = 0
        at = now()
        self._minute_at, self._epoch_at = at + FIRST_MINUTE, at + EPOCH_PERIOD
        self._next_seal: Seal | None = None
        self._signed(block.BlockKind.OPEN, _open_body(site, boot, wall(), previous))
        self._seal = self._new_epoch()
        self._tally()

    def samples(self, asset: str, columns: Columns, read: int) -> None:
        """See `poll/sink.py`."""
        self._counts.setdefault(asset, _Count()).read += read
        if not self._room():
            self.refused += read
            return
        columns = _cut_texts(columns)
        most = max(1, min(int(self._geometry.full / self._row_bytes), BATCH_ROWS))
        first = 0
        while first < len(columns):
            after = min(first + max(most - self._open.rows, 1), len(columns))
            whole = after - first == len(columns)
            self._gather(asset, columns if whole else columns.select(np.arange(first, after)))
            first = after
            if self._open.rows >= most:
                self.close()

    def catalog(self, assets: Mapping[str, Asset], tags: Sequence[Tag]) -> None:
        """See `poll/sink.py`."""
        for page in catalog.pages(assets, tags, first=self._pages):
            self._sealed(block.BlockKind.CATALOG, catalog.to_wire(page))
            self._pages = page.index + 1

    def state(self, asset: str, time_ns: int, what: str, text: str) -> None:
        """See `poll/sink.py`. What was sampled before is closed first: numbers tell the order."""
        self.close()
        self._sealed(block.BlockKind.STATE, {"asset": asset, "time": time_ns, "what": what, "text": text[:1000]})

    def event(self, asset: str, event: Event, sequence: int) -> None:
        """See `poll/sink.py`. What was sampled before is closed first, as with `state`."""
        self.close()
        body = {
            "asset": asset,
            "source": event.source[:1000],
            "time": min(max(event.time_ns, -(2**63)), 2**63 - 1),
            "severity": min(max(event.severity, 1), 1000),
            "code": event.code[:1000],
            "text": event.text[:4000],
            "state": event.state,
            "sequence": sequence,
        }
        self._sealed(block.BlockKind.EVENT, body)

    def file(self, part: Mapping[str, Any]) -> None:
        """One part of a file, as `protocol.content.parts.cut` makes it."""
        self.close()
        self._sealed(block.BlockKind.FILE, part)

    def close(self) -> None:
        """Close the open batch, if there is one."""
        gathered, self._open = self._open, _Open()
        if not gathered.rows:
            return
        self._batch(concat(gathered.parts), gathered.first_ns)
        for asset, rows in gathered.owners:
            self._counts[asset].sent += rows

    def tick(self) -> None:
        """Close what is old enough, and say what is due. Call at `deadline`."""
        at = self._now()
        if self._open.rows and at >= self._open.since + BLOCK_AGE:
            self.close()
        if at >= self._epoch_at - EPOCH_NOTICE and self._next_seal is None:
            self._next_seal = self._new_epoch()
        if at >= self._epoch_at and self._next_seal is not None:
            self.close()
            self._seal, self._next_seal, self._epoch_at = self._next_seal, None, at + EPOCH_PERIOD
        if at >= self._minute_at:
            self._minute_at = at + MINUTE
            self._tally()
            self._head()

    def deadline(self) -> float:
        """When to call `tick` next, monotonic [s]."""
        due = self._minute_at
        if self._open.rows:
            due = min(due, self._open.since + BLOCK_AGE)
        return due

    def finish(self) -> None:
        """A clean end: everything closed, counted and signed."""
        self.close()
        self._tally()
        self._head()

    def counts(self) -> dict[str, tuple[int, int]]:
        """Asset -> (read, sent), cumulative in this stream [samples]."""
        return {asset: (count.read, count.sent) for asset, count in self._counts.items()}

    def _gather(self, asset: str, part: Columns) -> None:
        if not len(part):
            return
        if not self._open.rows:
            self._open.since, self._open.first_ns = self._now(), self._wall()
        self._open.parts.append(part)
        self._open.rows += len(part)
        counted = len(part) - int((part.flags & Flag.REFRESH).astype(bool).sum())
        self._open.owners.append((asset, counted))

    def _batch(self, rows: Columns, first_ns: int) -> None:
        body = {"first": first_ns, "last": self._wall(), "columns": batch.to_wire(rows)}
        sealed = self._seal.close(block.BlockKind.BATCH, self.number, body, self._entropy(12))
        if len(sealed) > self._geometry.largest and len(rows) > 1:
            middle = len(rows) // 2
            self._batch(rows.select(np.arange(0, middle)), first_ns)
            self._batch(rows.select(np.arange(middle, len(rows))), first_ns)
            return
        self._row_bytes += 0.3 * (max(len(sealed) / len(rows), 0.1) - self._row_bytes)
        self._emit(sealed)

    def _sealed(self, kind: block.BlockKind, body: Mapping[str, Any]) -> None:
        self._emit(self._seal.close(kind, self.number, body, self._entropy(12)))

    def _signed(self, kind: block.BlockKind, body: Mapping[str, Any]) -> None:
        self._emit(seal.sign(kind, self.stream, self.number, body, self._signer))

    def _emit(self, closed: bytes) -> None:
        at = self._now()
        need, spare = self._geometry.cut(len(closed), self._load.rate(at))
        self._load.note(self._geometry.on_wire(len(closed)), at)
        one = record(self.stream, self.number, need, spare, closed, time_ns=self._wall())
        self.number += 1
        self._entries.append(one.digest)
        self._append(one)
        if len(self._entries) >= HEAD_BLOCKS:
            self._head()

    def _new_epoch(self) -> Seal:
        self._epoch += 1
        key = self._entropy(32)
        self._signed(block.BlockKind.EPOCH, seal.epoch_body(self._epoch, self.stream, key, self._receivers))
        return Seal(key, self.stream, self._epoch)  # the key itself is forgotten here

    def _tally(self) -> None:
        counts = {asset: [count.read, count.sent] for asset, count in self._counts.items()}
        self._sealed(block.BlockKind.TALLY, {"time": self._wall(), "number": self.number, "assets": counts})

    def _head(self) -> None:
        entries, self._entries = self._entries[:HEAD_BLOCKS], self._entries[HEAD_BLOCKS:]
        previous, frontier = self._closed.size, self._closed.frontier
        for entry in entries:
            self._closed.add(entry)
        note = evidence.sign_note(evidence.checkpoint(self._origin, self._closed), self._origin, self._signer)
        head = evidence.Head(previous=previous, frontier=tuple(frontier), leaves=tuple(entries), note=note)
        self._signed(block.BlockKind.HEAD, evidence.head_body(head))


def _open_body(site: str, boot: int, wall_ns: int, previous: Previous | None) -> dict[str, Any]:
    before = None if previous is None else [previous.stream, previous.last, previous.root]
    return {"site": site, "boot": boot, "time": wall_ns, "previous": before}


def _cut_texts(rows: Columns) -> Columns:
    """A text over the limit is cut and its quality made Uncertain; nothing is dropped."""
    if not any(len(text) > TEXT_BYTES // 4 and len(text.encode(errors="replace")) > TEXT_BYTES for text in rows.texts):
        return rows
    quality = rows.quality.copy()
    values = rows.values()
    for at, value in enumerate(values):
        if (
            rows.kind[at] == ValueKind.TEXT
            and isinstance(value, str)
            and len(value.encode(errors="replace")) > TEXT_BYTES
        ):
            values[at] = value.encode(errors="replace")[:TEXT_BYTES].decode(errors="ignore")
            quality[at] = max(int(quality[at]), Quality.UNCERTAIN)
    return columns(
        rows.tag,
        rows.time_ns,
        values,
        quality=quality,
        native=rows.native,
        other_ns=rows.other_ns,
        flags=rows.flags,
    )
