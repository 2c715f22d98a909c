"""How far an output is behind the journal: blocks by the bytes that are still to be read, seconds by the last one read.

The journal is not read for it: what stands between two places is the size of its segments, and a block of it is taken
to be as long as those that were read. So the number is about right from the first blocks on, and exact at the end.
"""

from __future__ import annotations

import math
from pathlib import Path

from protocol.store.layout import segment_path
from protocol.store.resync import Place

BLOCK_BYTES = 16 * 1024
"""A block's size on the disk where none was read yet [bytes]."""


def unread_blocks(folder: Path, place: Place, end: Place, *, records: int, record_bytes: int) -> int:
    """About how many blocks stand between two places of a journal; at least 1 where there is something.

    Args:
        folder: The journal's.
        records: How many were read so far.
        record_bytes: Their size [bytes].
    """
    left = _bytes_between(folder, place, end)
    each = record_bytes / records if records else BLOCK_BYTES
    return math.ceil(left / each)


def _bytes_between(folder: Path, place: Place, end: Place) -> int:
    if place >= end:
        return 0
    if place.segment == end.segment:
        return end.offset - place.offset
    between = (_size(folder, number) for number in range(max(place.segment, 0), end.segment))
    return max(sum(between) - place.offset, 0) + end.offset


def _size(folder: Path, number: int) -> int:
    try:
        return segment_path(folder, number).stat().st_size
    except OSError:
        return 0  # retention took it
