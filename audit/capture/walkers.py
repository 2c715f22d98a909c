"""Where a pcap's records begin, found by many walkers at once.

Each record tells only where the next one begins, so one walker takes a step a record, and a step costs an interpreter's
round. Here a stretch of the file has a walker every `SPACING` bytes, set down where a record seems to begin, and all
take their steps together; a few that are left, or have far to go, walk alone. None is believed by itself: what a walker
found counts where the one before it, and so the first of all, came to stand exactly where it was set down. Where one
did not, the stretch ends there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from audit.capture.records import MOST_BYTES, Bytes, Numbers, Order

STRETCH = 32 << 20
"""Bytes walked at once."""
SPACING = 64 << 10
"""Bytes between walkers: some hundred frames."""
_HEAD = 16
_FARTHEST = 2048
"""A longer record in the way makes no walker [bytes]."""
_TRIES = 20
"""Most places behind one walker's that are looked at: a file made of the mark alone would cost hours."""
_FEW = 6
"""So many walkers are as fast one by one."""


def walk(data: Bytes, at: int, order: Order) -> tuple[Numbers, int, bool]:
    """Beginnings of the records of a stretch.

    Args:
        data: The file.
        at: Where the first one begins; a whole header fits there.
        order: The file's byte order.

    Returns:
        The places, rising; where the next record would begin; whether no whole record stands there.
    """
    upto, last = min(at + STRETCH, data.size), data.size - _HEAD
    starts = np.array([at, *_set_down(data, range(at + SPACING, min(upto, last), SPACING), at, order)], np.int64)
    limit = np.minimum(np.concatenate([starts[1:], [upto]]), last + 1)
    stands, stuck = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.bool_)
    near = limit - starts <= MOST_BYTES  # so that a length that cannot be true leads beyond the limit
    walking, place, ends = np.flatnonzero(near), starts[near], limit[near]
    kept = np.ndarray((data.size - 11,), np.dtype(np.uint32).newbyteorder(order), data, offset=8, strides=(1,))
    whose: list[Numbers] = []
    steps: list[Numbers] = []
    while len(walking) > _FEW:
        after = place + kept[place]
        after += _HEAD
        done = after >= ends
        if np.count_nonzero(done):
            wrong = (after - place > MOST_BYTES + _HEAD) | (after > data.size)
            stands[walking[done]], stuck[walking[wrong]] = np.where(wrong, place, after)[done], True
            whose.append(walking[~wrong])
            steps.append(place[~wrong])
            walking, after, ends = walking[~done], after[~done], ends[~done]
        else:
            whose.append(walking)
            steps.append(place)
        place = after
    paths = {int(one): int(starts[one]) for one in np.flatnonzero(~near)}
    paths |= dict(zip(walking.tolist(), place.tolist(), strict=True))
    for walker, begin in paths.items():
        path, stands[walker], stuck[walker] = _alone(data, begin, int(limit[walker]), order)
        whose.append(np.full(len(path), walker))
        steps.append(np.array(path, np.int64))
    met = np.flatnonzero((stands[:-1] != starts[1:]) | stuck[:-1])
    believed = int(met[0]) + 1 if len(met) else len(starts)
    return _in_order(whose, steps, believed), int(stands[believed - 1]), bool(stuck[believed - 1])


def _alone(data: Bytes, place: int, limit: int, order: Order) -> tuple[list[int], int, bool]:
    """One walker's path up to its limit: its places, where it comes to stand, whether no whole record stands there."""
    length, held = struct.Struct(f"{order}8xI").unpack_from, data.data
    path: list[int] = []
    while place < limit:
        (kept,) = length(held, place)
        after = place + _HEAD + kept
        if kept > MOST_BYTES or after > data.size:
            return path, place, True
        path.append(place)
        place = after
    return path, place, False


def _in_order(whose: list[Numbers], steps: list[Numbers], believed: int) -> Numbers:
    """The places of the first walkers in the order of the file: walker by walker, as each one took its steps."""
    walkers = np.concatenate(whose).astype(np.uint16)
    order = np.argsort(walkers, kind="stable")  # of two bytes: numpy sorts these digit by digit
    return np.concatenate(steps)[order[: np.count_nonzero(walkers < believed)]]


def _set_down(data: Bytes, near: range, at: int, order: Order) -> list[int]:
    """Behind each place the first one where a record seems to begin, rising; a place without one has none.

    Looked for is the upper half of a time's seconds, as the record at `at` has it (18 hours), or the half that follows.
    """
    header = struct.Struct(order + "IIII").unpack_from
    half, within = header(data.data, at)[0] >> 16, 2 if order == "<" else 0
    marks = [one.to_bytes(2, "little" if order == "<" else "big") for one in (half, (half + 1) & 0xFFFF)]
    found = [-1]
    for begin in near:
        piece = data[begin : begin + _FARTHEST + _HEAD].tobytes()
        for mark in marks:
            place = _like(piece, mark, within, header)
            if place is not None:
                break
        else:
            continue
        if begin + place > found[-1]:
            found.append(begin + place)
    return found[1:]


def _like(piece: bytes, mark: bytes, within: int, header: Callable[[bytes, int], tuple[int, ...]]) -> int | None:
    """The first place in some bytes where what stands there has the form of a record's header."""
    spot = piece.find(mark, within)
    for _ in range(_TRIES):
        if spot < 0:
            break
        place = spot - within
        if place + _HEAD > len(piece):
            return None
        _, fraction, kept, length = header(piece, place)
        if 0 < kept <= length <= MOST_BYTES and fraction < 1_000_000_000:
            return place
        spot = piece.find(mark, spot + 1)
    return None
