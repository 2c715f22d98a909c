"""Where a pcap's records begin, found by many walkers at once.

Each record tells only where the next one begins, so one walker takes a step a record, and a step costs an interpreter's
round. Here a stretch of the file has a walker every `SPACING` bytes, set down where a record seems to begin, and all
take their steps together. None is believed by itself: what a walker found counts where the one before it, and so the
first of all, came to stand exactly where it was set down. Where one did not, the stretch ends there.
"""

from __future__ import annotations

import numpy as np

from audit.capture.records import MOST_BYTES, Bytes, Numbers, Order

STRETCH = 32 << 20
"""Bytes walked at once."""
SPACING = 128 << 10
"""Bytes between walkers: some hundred frames."""
_HEAD = 16
_WINDOW = 1024
"""Places looked at together for a beginning."""
_FARTHEST = 4096
"""A record longer than this makes no walker."""
_DAY_S = 86_400


def walk(data: Bytes, at: int, order: Order) -> tuple[Numbers, int, bool]:
    """Beginnings of the records of a stretch.

    Args:
        data: The file.
        at: Where the first one begins; a whole header fits there.
        order: The file's byte order.

    Returns:
        The places, rising; where the next record would begin; whether no whole record stands there.
    """
    words = np.ndarray((data.size - 3,), np.dtype(np.uint32).newbyteorder(order), buffer=data, strides=(1,))
    upto, last = min(at + STRETCH, data.size), data.size - _HEAD
    near = range(at + SPACING, min(upto, last), SPACING)
    starts = np.array([at, *_set_down(words, near, last, int(words[at]))], np.int64)
    stands, stuck = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.bool_)
    walking, place = np.arange(len(starts)), starts
    limit = np.minimum(np.concatenate([starts[1:], [upto]]), last + 1)
    steps: list[Numbers] = []
    whose: list[Numbers] = []
    while len(walking):
        kept = words[place + 8].astype(np.int64)
        after = place + _HEAD + kept
        done = (kept > MOST_BYTES) | (after >= limit)
        if done.any():
            wrong = (kept > MOST_BYTES) | (after > data.size)
            stuck[walking[wrong]] = True
            stands[walking[done]] = np.where(wrong, place, after)[done]
            place, after, walking, limit, done = (one[~wrong] for one in (place, after, walking, limit, done))
        steps.append(place)
        whose.append(walking)
        if done.any():
            after, walking, limit = after[~done], walking[~done], limit[~done]
        place = after
    met = np.flatnonzero((stands[:-1] != starts[1:]) | stuck[:-1])
    believed = int(met[0]) + 1 if len(met) else len(starts)
    places = np.concatenate(steps)
    if believed < len(starts):
        places = places[np.concatenate(whose) < believed]
    places.sort()
    return places, int(stands[believed - 1]), bool(stuck[believed - 1])


def _set_down(words: np.ndarray[tuple[int], np.dtype[np.uint32]], near: range, last: int, second: int) -> list[int]:
    """Behind each place the first one where a record seems to begin, rising; a place without one has none."""
    found = [-1]
    lowest, span = np.uint32((second - _DAY_S) % 2**32), 2 * _DAY_S
    for begin in near:
        for offset in range(0, _FARTHEST, _WINDOW):
            some = words[begin + offset : min(begin + offset + _WINDOW, last)]
            spots = np.flatnonzero(some - lowest <= span).tolist()
            spot = next((begin + offset + one for one in spots if _like(words, begin + offset + one)), None)
            if spot is not None:
                if spot > found[-1]:
                    found.append(spot)
                break
    return found[1:]


def _like(words: np.ndarray[tuple[int], np.dtype[np.uint32]], at: int) -> bool:
    """Whether what stands there has the form of a record's header."""
    kept, length = int(words[at + 8]), int(words[at + 12])
    return 0 < kept <= length <= MOST_BYTES and words[at + 4] < 1_000_000_000
