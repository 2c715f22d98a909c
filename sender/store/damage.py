"""Which blocks a damaged stretch of the spool held: what the store knows (store/lost.py), and what order tells.

In a spool the numbers of a stream stand in order and without a gap, and streams follow each other. So what is missing
between two blocks of a stream stood between them, whatever is left of it; and a stream that ends in damage had the
numbers that its leaf file goes on with, though no more than the damage has room for; what a spool lost at its very end
stands in `ending.py`. The poller may unlink any segment meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from protocol.block import HEADER
from protocol.ranges import Ranges
from protocol.store.index import Segment, join, read_index
from protocol.store.layout import index_path, leaf_path, leaf_streams, opened, segment_path
from protocol.store.lost import numbers_at
from protocol.store.reader import read_kept
from protocol.store.record import HEAD, Record
from protocol.store.resync import Damage, scan, scan_pieces

SMALLEST = HEAD.size + HEADER.size
"""No record is smaller [bytes]."""


def lost(spool: Path, damaged: Iterable[Damage]) -> dict[int, dict[bytes, Ranges]]:
    """Segment -> stream -> numbers that stood in it and cannot be read any more, as far as can be known. Never raises.

    Args:
        spool: The store.
        damaged: All of a segment at once, so that it is looked through once.
    """
    parts: dict[int, list[Damage]] = {}
    for one in damaged:
        parts.setdefault(one.start.segment, []).append(one)
    out: dict[int, dict[bytes, Ranges]] = {}
    for number, those in parts.items():
        out[number] = numbers_at(spool, *those)
        with contextlib.suppress(OSError):
            join(out[number], _by_order(spool, number, those))
    return out


def saved(spool: Path, numbers: Mapping[bytes, Ranges]) -> list[Record]:
    """Those of the blocks that stand in the kept files once more, so that nothing is lost."""
    return [one for stream, held in numbers.items() for one in read_kept(spool, stream) if one.number in held]


def words(numbers: Mapping[bytes, Ranges], most: int = 8) -> str:
    """Which blocks, for people: the newest ranges of each stream."""
    told = [(stream, first, after) for stream, held in numbers.items() for first, after in held]
    names = [
        f"stream {stream.hex()} " + (f"block {first}" if after == first + 1 else f"blocks {first} to {after - 1}")
        for stream, first, after in told[-most:]
    ]
    return ", ".join(names) + (f" and {len(told) - most} ranges more" if len(told) > most else "")


def count(numbers: Mapping[bytes, Ranges]) -> int:
    """How many blocks."""
    return sum(held.count for held in numbers.values())


def leaf_count(spool: Path, stream: bytes) -> int:
    """How many numbers the leaf file has."""
    try:
        return leaf_path(spool, stream).stat().st_size // 32
    except FileNotFoundError:
        return 0


def goes_on(spool: Path, stream: bytes, top: int, most: int) -> int:
    """One past the last number from `top` to `most` that has a leaf, without a gap."""
    if most <= top:
        return top
    with opened(leaf_path(spool, stream)) as file:
        leaves = os.pread(file, 32 * (most - top), 32 * top)
    whole = [leaves[at : at + 32] for at in range(0, len(leaves) - 31, 32)]
    return top + next((at for at, leaf in enumerate(whole) if not any(leaf)), len(whole))


def _by_order(spool: Path, number: int, damaged: Sequence[Damage]) -> dict[bytes, Ranges]:
    leaves = {
        stream: leaf_count(spool, stream) for stream in leaf_streams(spool)
    }  # first: the poller goes on meanwhile
    here: dict[bytes, Ranges] = {}
    ends: dict[bytes, int] = {}
    for piece in scan_pieces(segment_path(spool, number)):
        if piece.record is not None:
            here.setdefault(piece.record.stream, Ranges()).add(piece.record.number)
            ends[piece.record.stream] = piece.end
    before, behind = _neighbour(spool, number - 1), _neighbour(spool, number + 1)
    out: dict[bytes, Ranges] = {}
    for stream in dict.fromkeys([*list(before)[-1:], *here, *behind]):
        held = here.get(stream, Ranges())
        if before or number == 1:
            low = before[stream].top if stream in before else 0
        elif held.count:
            low = _first(held)
        else:
            continue
        top = max(low, held.top)
        if stream in behind:
            top = _first(behind[stream])
        elif room := sum(one.size for one in damaged if one.start.offset >= ends.get(stream, 0)) // SMALLEST:
            top = goes_on(spool, stream, top, min(top + room, leaves.get(stream, 0)))
        holes = held.holes(low, top)
        if holes:
            out[stream] = Ranges(holes)
    return out


def _neighbour(spool: Path, number: int) -> dict[bytes, Ranges]:
    """What a segment held, streams in order; nothing where it is not there."""
    path = segment_path(spool, number)
    if not path.exists():
        return {}
    held = read_index(index_path(spool, number), number)
    if held is None or held.size != path.stat().st_size:
        lost_of = {} if held is None else held.lost
        held = Segment(number, lost=lost_of)
        for one in scan(path):
            held.note(one)
    join(held.streams, held.lost)
    return held.streams


def _first(held: Ranges) -> int:
    return next(iter(held))[0]
