"""What of a stream's numbers must outlive a restart besides the ledger: its *outlook*, as JSON.

    expected, lost             ranges, as in numbers.py
    oldest, sealed, finished   as the last beat said
    open, found                [[first, after, ns], ..]: since when what of them is missing, or was found damaged

The ledger keeps it in the stream's file without looking into it, and gives it back at the next start. What a file says
is read number by number: what is not of this shape is refused, never half taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from protocol.ranges import Ranges
from protocol.store import fields
from protocol.store.record import How
from receiver.catch.numbers import DatedRange, StreamNumbers


def outlook_of(stream: StreamNumbers) -> dict[str, Any]:
    """What `restore` wants back besides what was journaled."""
    return {
        "expected": list(stream.expected),
        "oldest": stream.oldest,
        "sealed": stream.sealed,
        "finished": stream.finished,
        "open": [list(dated) for dated in stream.missing_since],
        "lost": list(stream.lost),
        "found": [list(dated) for dated in stream.still_damaged(stream.damaged_since)],
    }


def restore(
    held: Iterable[tuple[int, int]],
    classes: Mapping[How, int],
    damaged: Iterable[tuple[int, int]],
    outlook: Mapping[str, Any] | None,
    *,
    wall_ns: int = 0,
) -> StreamNumbers:
    """A stream as a restart finds it.

    Args:
        held: Numbers that are in the journal now, or were until retention took them.
        classes: How they came.
        damaged: Numbers that were in the journal and cannot be read there now.
        outlook: What `outlook_of` gave some time ago; None where it was never asked.
        wall_ns: Our wall clock, for what is damaged since now [ns since 1970 UTC].

    Raises:
        KeyError, TypeError, ValueError: the outlook is something else.
    """
    stream = StreamNumbers(held, classes, damaged)
    if outlook is not None:
        for first, after in fields.ranges(outlook["expected"]):
            stream.expected.add(first, after)
        stream.oldest, stream.sealed, stream.finished = (
            fields.count(outlook[name]) for name in ("oldest", "sealed", "finished")
        )
        stream.missing_since = _read_dated(outlook["open"])
        for first, after in fields.ranges(outlook.get("lost", [])):
            stream.lose(first, after)
        stream.damaged_since = stream.still_damaged(_read_dated(outlook.get("found", [])))
        stream.changed = False
    known = Ranges((first, after) for first, after, _ in stream.damaged_since)
    stream.damaged_since += [DatedRange(first, after, wall_ns) for first, after in stream.damaged.less(known)]
    return stream


def _read_dated(value: Any) -> list[DatedRange]:
    """Dated ranges in any order, apart or touching; sorted here."""
    out = sorted(DatedRange(*row) for row in fields.rows(value))
    end = 0
    for first, after, at_ns in out:
        if type(at_ns) is not int or abs(at_ns) >= 2**63 or not end <= fields.count(first) < fields.count(after):
            raise ValueError(f"range {first} to {after}"[:80])
        end = after
    return out
