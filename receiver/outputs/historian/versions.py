"""One trend of a tag whose description changed: each version's buckets in turn, and what changed between them (pure).

A change of type, unit, address or conversion begins a new series of the same name (`series.py`). Values before and
after are not mixed: a bucket that both have samples in stands there twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from receiver.outputs.historian.buckets import Buckets
from receiver.outputs.historian.views import AbsenceView, TagView, Trend, VersionChange

_COLUMNS = ("start_ns", "first_ns", "last_ns", "low", "high", "mean", "first", "last", "count", "bad")


def joined_trend(views: Sequence[TagView], filled: Sequence[Buckets], absences: list[AbsenceView]) -> Trend:
    """The trend of some versions of a tag.

    Args:
        views: The versions, in the order they were described.
        filled: The buckets of each, of one range and width; one set of empty ones where there is no version.
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
        VersionChange(place, int(first_ns[place]), changed(views[version[place - 1]], views[version[place]]))
        for place in places.tolist()
    )
    return Trend(
        **{name: column[in_order] for name, column in columns.items()},
        absences=absences,
        width_ns=filled[0].width,
        changes=changes,
    )


def changed(before: TagView, after: TagView) -> str:
    """What is other in the second version, in words."""
    fields = ("unit", "type", "address", "conversion")
    parts = [
        f"{name} {getattr(before.tag, name) or 'none'} to {getattr(after.tag, name) or 'none'}"
        for name in fields
        if getattr(before.tag, name) != getattr(after.tag, name)
    ]
    return "Changed: " + ", ".join(parts)
