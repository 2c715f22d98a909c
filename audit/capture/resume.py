"""Where records begin again behind a length that cannot be true, so that one wrong length hides nothing behind it.

A place is believed where the bytes there can be a record's header (times near the last good one, a length that fits)
and where the record behind it can be one as well, or the file ends there. By chance such a header of a pcap stands in
one of 10^12 places, and one of pcapng, whose length is told twice, in fewer. Nothing is believed of what lies between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audit.capture.records import MOST_BYTES, Bytes, Numbers, Order

Mask: TypeAlias = npt.NDArray[np.bool_]

_STEP = 256 << 10
"""Places looked at together [bytes]."""
_DAY_S = 86_400
_BLOCKS = (1, 2, 3, 5, 6, 0x0A0D0D0A)
"""pcapng blocks that a walk may go on from: interface, the three packets, statistics, section."""


def record(data: Bytes, start: int, order: Order, unit_ns: int, last_s: int | None) -> int | None:
    """The next place at or behind `start` where pcap records can begin; None: there is none.

    Args:
        data: The file.
        start: First place to look at.
        order: The file's byte order.
        unit_ns: Nanoseconds in a unit of the fraction.
        last_s: Seconds of the last good record; None: there was none.
    """
    units = 1_000_000_000 // unit_ns

    def header(places: Numbers) -> Numbers:
        """Those of the places whose 16 bytes can be a record's header, with a record that fits the file."""
        places = places[places + 16 <= data.size]
        kept = _word(data, places + 8, order)
        places, kept = _only((kept > 0) & (kept <= MOST_BYTES) & (places + 16 + kept <= data.size), places, kept)
        length = _word(data, places + 12, order)
        places, kept = _only((kept <= length) & (length <= MOST_BYTES), places, kept)
        (places,) = _only(_word(data, places + 4, order) < units, places)
        seconds = _word(data, places, order)
        if last_s is not None:
            (places,) = _only(np.abs(seconds - last_s) <= _DAY_S, places)
        return places

    def follows(place: int) -> bool:
        after = place + 16 + int(_word(data, np.array([place + 8]), order)[0])
        return after + 16 > data.size or len(header(np.array([after]))) == 1

    return _first(data, start, header, follows)


def follow(data: Bytes, places: Numbers, order: Order, unit_ns: int, seconds: Numbers) -> Mask:
    """Which of some places can be the beginning of the record behind one of that time, or the end of the file.

    Args:
        data: The file.
        places: Where the next record would begin, none behind the file's end.
        order: The file's byte order.
        unit_ns: Nanoseconds in a unit of the fraction.
        seconds: Of the record before each.
    """
    out = places + 16 > data.size
    here = np.flatnonzero(~out)
    kept, length = (_word(data, places[here] + offset, order) for offset in (8, 12))
    near = np.abs(_word(data, places[here], order) - seconds[here]) <= _DAY_S
    near &= (_word(data, places[here] + 4, order) < 1_000_000_000 // unit_ns) & (kept <= np.minimum(length, MOST_BYTES))
    out[here] = near
    return out


def suspicious(words: Numbers, unit_ns: int, last_s: int | None) -> Numbers:
    """Of records' headers (time, fraction, kept, length) those that are hardly one: a wrong length may have led there.

    They keep more than was on the wire, or their time is impossible, or a day from the one before.
    """
    seconds = words[:, 0]
    before = np.concatenate([[seconds[0] if last_s is None else last_s], seconds[:-1]])
    strange = (words[:, 2] > words[:, 3]) | (words[:, 1] >= 1_000_000_000 // unit_ns)
    out: Numbers = np.flatnonzero(strange | (np.abs(seconds - before) > _DAY_S))
    return out


def block(data: Bytes, start: int, order: Order) -> int | None:
    """The next place at or behind `start` where a pcapng block can begin; None: there is none.

    Args:
        data: The file.
        start: First place to look at.
        order: The section's byte order.
    """

    def header(places: Numbers) -> Numbers:
        """Those of the places where a known block stands whose length is told the same at both ends."""
        places = places[places + 12 <= data.size]
        (places,) = _only(np.isin(_word(data, places, order), _BLOCKS), places)
        total = _word(data, places + 4, order)
        fits = (total % 4 == 0) & (total >= 16) & (total <= MOST_BYTES + 4096) & (places + total <= data.size)
        places, total = _only(fits, places, total)
        (places,) = _only(_word(data, places + total - 4, order) == total, places)
        return places

    return _first(data, start, header, lambda place: True)


def _first(data: Bytes, start: int, header: Callable[[Numbers], Numbers], follows: Callable[[int], bool]) -> int | None:
    for base in range(start, data.size, _STEP):
        for place in header(np.arange(base, min(base + _STEP, data.size), dtype=np.int64)).tolist():
            if follows(place):
                return int(place)
    return None


def _word(data: Bytes, places: Numbers, order: Order) -> Numbers:
    """Four bytes from each place, as a number; every place has four."""
    if not len(places):
        return np.empty(0, np.int64)
    every = np.ndarray((data.size - 3,), np.dtype(np.uint32).newbyteorder(order), buffer=data, strides=(1,))
    out: Numbers = every[places].astype(np.int64)
    return out


def _only(mask: Mask, *columns: Numbers) -> tuple[Numbers, ...]:
    return tuple(one[mask] for one in columns)
