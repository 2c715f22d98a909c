"""What a hand-over becomes: rows, statements and counts, worked out in memory before anything is stored.

blocks -> order -> series numbers -> rows ---> hot rows (hot/shelves.py)
                                     |---------> current values (newest.py)
                                     '---------> counts (asset_accounts.py), numbers seen (arrivals.py)
pages, states, events, tallies ----------------> their tables
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from protocol.content.array import Array
from protocol.content.catalog import Page
from protocol.content.sample import Flag, concat
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, TallyBody
from receiver.outputs.disk import Writes
from receiver.outputs.historian.answers.asset_accounts import MINUTE_NS
from receiver.outputs.historian.arrivals import Novelty
from receiver.outputs.historian.events import standing_alarms
from receiver.outputs.historian.files import WriterFiles
from receiver.outputs.historian.rows import HEALED, Rows, from_columns
from receiver.outputs.historian.series import StreamSeries

_STATE = """INSERT INTO state (asset, boot, number, time_ns, what, text, received_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_EVENT = """INSERT INTO event
    (asset, boot, number, source, time_ns, severity, code, text, state, sequence, received_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_CONDITION = """INSERT INTO condition VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (asset) DO UPDATE SET
    boot = excluded.boot, number = excluded.number, what = excluded.what, text = excluded.text,
    time_ns = excluded.time_ns WHERE (excluded.boot, excluded.number) > (condition.boot, condition.number)"""


class _SampleBlock(NamedTuple):
    """A block of samples of a hand-over."""

    block: OpenedBlock
    body: BatchBody
    source: StreamSeries
    novelty: Novelty


class HandOver:
    """One hand-over."""

    def __init__(self, files: WriterFiles, mark: int, patiently: Callable[[Callable[[], Rows]], Rows]) -> None:
        """
        Args:
            mark: Its number.
            patiently: Does something with the files; waits and does it again while the disk is full.
        """
        self._files = files
        self._mark = mark
        self._patiently = patiently
        self._writes = Writes()
        self.rows = 0
        """How many were added to the history."""
        self.doubles = 0
        """Blocks that had come before."""
        self.received: Counter[int] = Counter()
        """Asset number -> rows that count as received."""
        self.begun_ns: list[int] = []
        """When the first sample of each new block was taken, of those that were not healed."""

    def take(self, blocks: Sequence[OpenedBlock]) -> None:
        """Work the blocks out, in the sender's order: each is new, wanted once more, or a double."""
        batches: list[_SampleBlock] = []
        for block in sorted(blocks, key=lambda one: (one.stream.boot, one.stream.key, one.number)):
            source = self._files.registry.source(block.stream, self._writes)
            novelty = self._files.arrivals.add(source.index, block, self._writes)
            if novelty is Novelty.DOUBLE:
                self.doubles += 1
                continue
            again = novelty is Novelty.AGAIN
            sealed, age_ns = self._files.shelves.sealed, self._files.age.age_ns
            self._files.log.add(source.index, block, sealed=sealed, age_ns=age_ns, again=again)
            if isinstance(block.body, BatchBody):
                batches.append(_SampleBlock(block, block.body, source, novelty))
            else:
                self._note(block, source, self._writes)
        if batches:
            self._store_batches(batches, self._writes)
        self.begun_ns = [one.body.first_ns for one in batches if not one.block.healed and one.novelty is Novelty.NEW]

    def finish(self) -> Writes:
        """All statements of it; call once, at its end."""
        self._files.accounts.finish(self._writes)
        self._files.arrivals.finish(self._writes)
        self._files.log.finish(self._writes)
        return self._writes

    def _note(self, block: OpenedBlock, source: StreamSeries, writes: Writes) -> None:
        """Store a block that holds no samples; one that comes again may be there already."""
        rank = (source.boot, block.number)
        body = block.body
        if isinstance(body, Page):
            self._files.registry.page(source, body, block.number, writes)
        elif isinstance(body, StateBody):
            asset = self._files.registry.asset(block.stream, body.asset, writes)
            if self._files.begun_again:
                writes.add("DELETE FROM state WHERE asset = ? AND boot = ? AND number = ?", [(asset, *rank)])
            writes.add(_STATE, [(asset, *rank, body.time_ns, body.what, body.text, block.received_ns)])
            if body.what in ("up", "down"):
                writes.add(_CONDITION, [(asset, *rank, body.what, body.text, body.time_ns)])
        elif isinstance(body, EventBody):
            asset = self._files.registry.asset(block.stream, body.asset, writes)
            if self._files.begun_again:
                writes.add("DELETE FROM event WHERE asset = ? AND boot = ? AND number = ?", [(asset, *rank)])
            fields = (body.source, body.time_ns, body.severity, body.code, body.text, body.state, body.sequence)
            writes.add(_EVENT, [(asset, *rank, *fields, block.received_ns)])
            standing_alarms.note(asset, rank, body, block.received_ns, writes)
        elif isinstance(body, TallyBody):
            assets = {name: self._files.registry.asset(block.stream, name, writes) for name in body.assets}
            self._files.accounts.tally(source.index, body, assets, writes)

    def _store_batches(self, batches: Sequence[_SampleBlock], writes: Writes) -> None:
        """Store the samples, which come in the sender's order."""
        sizes = [len(batch.body.columns) for batch in batches]
        columns = concat([batch.body.columns for batch in batches])
        series = np.concatenate(
            [self._files.registry.series(one.source, one.block.stream, one.body.columns.tag, writes) for one in batches]
        )

        def spread(values: list[int]) -> Array:
            return np.repeat(np.array(values, np.int64), sizes)

        rows = from_columns(
            columns,
            series,
            spread([batch.source.index for batch in batches]),
            spread([batch.block.number for batch in batches]),
            marks=spread([HEALED if batch.block.healed else 0 for batch in batches]).astype(np.uint8),
        )
        boot = spread([batch.source.boot for batch in batches])
        seen_ns = spread([batch.block.received_ns for batch in batches])
        self._files.newest.advance(rows, boot, seen_ns, self._mark, writes)
        kept = np.flatnonzero((columns.flags & Flag.REFRESH) == 0)
        counted = rows if len(kept) == len(rows) else rows.pick(kept)
        self._count(batches, counted, spread(list(range(len(batches))))[kept])
        history = self._patiently(lambda: self._files.duplicates.fresh(counted))
        self._files.shelves.add(history, self._mark, writes)
        self.rows = len(history)

    def _count(self, batches: Sequence[_SampleBlock], rows: Rows, batch_of: Array) -> None:
        assets = self._files.registry.asset_of[rows.series].astype(np.int64)
        keys, counts = np.unique(batch_of << 32 | assets, return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            batch = batches[key >> 32]
            if batch.novelty is Novelty.AGAIN:
                continue  # its counts were kept
            asset, block = key & 0xFFFFFFFF, batch.block
            minute_ns = batch.body.first_ns // MINUTE_NS * MINUTE_NS
            self._files.accounts.stored(
                batch.source.index, block.number, asset, count, minute_ns=minute_ns, healed=block.healed
            )
            self.received[asset] += count
