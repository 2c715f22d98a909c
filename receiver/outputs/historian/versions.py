"""One trend of a tag whose description changed: each version's buckets in turn, and what changed between them (pure).

A change of type, unit, address or conversion begins a new series of the same name (`series.py`). Values before and
after are not mixed: a bucket that both have samples in stands there twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protocol.content.array import Array
from receiver.outputs.historian.buckets import Buckets
from receiver.outputs.historian.views import AbsenceView, TagView, Trend, VersionChange

_COLUMNS = ("start_ns", "first_ns", "last_ns", "low", "high", "mean", "first", "last", "count", "bad")


def joined_trend(
    views: Sequence[TagView], filled: Sequence[Buckets], absences: list[AbsenceView], *, whole: bool = True
) -> Trend:
    """The trend of some versions of a tag.

    Args:
        views: The versions, in the order they were described.
        filled: The buckets of each, of one range and width; one set of empty ones where there is no version.
        whole: For a reader of everything, who is told addresses too.
    """
    held = [one.filled() for one in filled]
    if len(held) == 1:  # nearly always
        alone = {name: getattr(held[0], name) for name in _COLUMNS}
        return Trend(**alone, absences=absences, width_ns=filled[0].width, changes=())
    columns = {name: np.concatenate([getattr(one, name) for one in held]) for name in _COLUMNS}
    version = np.repeat(np.arange(len(held)), [len(one.start_ns) for one in held])
    in_order = np.lexsort((version, columns["start_ns"]))
    version, first_ns = version[in_order], columns["first_ns"][in_order]
    places = np.flatnonzero(np.diff(version)) + 1
    changes = tuple(
        VersionChange(place, int(first_ns[place]), changed(*_around(views, version, place), whole=whole))
        for place in places.tolist()
    )
    return Trend(
        **{name: column[in_order] for name, column in columns.items()},
        absences=absences,
        width_ns=filled[0].width,
        changes=changes,
    )


def _around(views: Sequence[TagView], version: Array, place: int) -> tuple[TagView, TagView]:
    return views[version[place - 1]], views[version[place]]


def changed(before: TagView, after: TagView, *, whole: bool) -> str:
    """What is other in the second version, in words.

    Args:
        whole: For a reader of everything; another is told that the address in the device is another, not which.
    """
    parts = []
    for name in ("unit", "type", "address", "conversion"):
        then, now = getattr(before.tag, name), getattr(after.tag, name)
        if then != now:
            parts.append(f"{name} {then or 'none'} to {now or 'none'}" if whole or name != "address" else name)
    return "Changed: " + ", ".join(parts)
