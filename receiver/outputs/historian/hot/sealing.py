"""From rows in order to chunks with their summaries: many at a time (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import ValueKind
from receiver.outputs.historian.codec.chunk import ChartRows, encode_each
from receiver.outputs.historian.codec.rollup import summarized
from receiver.outputs.historian.rows import Rows

CHUNK_ROWS = 1536
"""Most rows of a chunk: as many as a series has when its shelf is sealed; more makes short reads slower."""
CHUNK_BYTES = 1024 * 1024
"""Most bytes of text in a chunk, about."""


class Chunk(NamedTuple):
    """A row of the table `chunk`, and the chunk's bytes."""

    series: int
    t1: int
    id: int
    t0: int
    rows: int
    usable: int
    low: float | None
    high: float | None
    total: float | None
    cells: bytes | None
    body: bytes


def chunks_of(rows: Rows, number: int, *, least: int, unsigned: Callable[[int], bool]) -> tuple[list[Chunk], Rows]:
    """Chunks, numbered above `number`, of rows in order; and the rows of series that have fewer than `least`.

    Args:
        unsigned: Whether a series' integers are unsigned.
    """
    cuts: list[slice] = []
    rest: list[slice] = []
    for span in runs(rows.series):
        if span.stop - span.start < least:
            rest.append(span)
        else:
            cuts += _cuts(rows, span)
    if not cuts:
        return [], rows
    sealed = rows if not rest else rows.pick(_places(cuts))
    lengths = [cut.stop - cut.start for cut in cuts]
    series = [int(rows.series[cut.start]) for cut in cuts]
    bodies = encode_each(sealed, lengths)
    signs = [unsigned(one) for one in series]
    by_row = np.repeat(np.array(signs), lengths) if any(signs) else False
    held = ChartRows(sealed.time_ns, sealed.quality, sealed.kind, sealed.value)
    summaries = summarized(held, np.array(lengths), unsigned=by_row)
    chunks = [
        Chunk(
            series=one,
            t1=int(rows.time_ns[cut.stop - 1]),
            id=number + at + 1,
            t0=int(rows.time_ns[cut.start]),
            rows=cut.stop - cut.start,
            usable=summary.count,
            low=summary.low,
            high=summary.high,
            total=summary.total,
            cells=cells,
            body=body,
        )
        for at, (one, cut, (summary, cells), body) in enumerate(zip(series, cuts, summaries, bodies, strict=True))
    ]
    return chunks, rows.pick(_places(rest))


def runs(sorted_keys: Array) -> Iterator[slice]:
    """Where equal keys stand together."""
    if not len(sorted_keys):
        return iter(())
    edges = np.flatnonzero(sorted_keys[1:] != sorted_keys[:-1]) + 1
    return (slice(begin, end) for begin, end in pairwise([0, *edges.tolist(), len(sorted_keys)]))


def _places(spans: list[slice]) -> Array:
    return np.concatenate([np.zeros(0, np.int64), *(np.arange(span.start, span.stop) for span in spans)])


def _cuts(rows: Rows, span: slice) -> Iterator[slice]:
    """Equal cuts of a series' rows, none over the limits."""
    length = span.stop - span.start
    at = rows.value[span][rows.kind[span] == ValueKind.TEXT] if rows.texts else ()
    text_bytes = sum(len(rows.texts[int(one)]) for one in at)
    count = max(-(-length // CHUNK_ROWS), -(-text_bytes // CHUNK_BYTES), 1)
    edges = [span.start + length * cut // count for cut in range(count + 1)]
    return (slice(begin, end) for begin, end in pairwise(edges) if begin < end)
