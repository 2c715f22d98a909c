"""What of the journal can no longer be read, and which block numbers are gone with it.

    at the start    the store looked through its last segment, and the walk behind the saved place met the rest
    later           an output's process met it while reading, and left   state/damaged-OUTPUT.json
                    {"places": [[segment, start, end], ..]}

Such a file says only where to look: another process wrote it, so nothing in it is believed. The segment is read here
again, what its index knows and its bytes no longer give is lost, and the index is written anew without it. A number
that stands in another segment too is not lost.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from protocol.errors import StoreError
from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import join, less
from protocol.store.lost import numbers_at
from protocol.store.resync import Damage, Place
from protocol.store.segment_store import Store

PLACES = 1000
"""Most places of a report that are taken."""
REPORT_BYTES = 256 * 1024
"""Largest report that is read [bytes]: so many places with long numbers."""
SEEN_MOST = 100_000
"""Most places that are remembered as looked at; beyond it some are looked at twice."""


def learn(store: Store, damaged: Sequence[Damage]) -> dict[bytes, Ranges]:
    """Look at damaged stretches of a store; from then on its segments and their indexes know what is gone.

    An index that cannot be written stays as it was, and the damage is found again after a restart.

    Returns:
        Numbers that stood there and are in no segment now.
    """
    gone: dict[bytes, Ranges] = {}
    for segment in store.segments:
        places = [damage for damage in damaged if damage.start.segment == segment.number]
        lost = numbers_at(store.folder, *places) if places else {}
        if lost:
            join(gone, lost)
            less(segment.streams, lost)
            with contextlib.suppress(StoreError):
                store.note_lost(segment, lost)
    for segment in store.segments:
        less(gone, segment.streams)
    return gone


def damage_line(damaged: Iterable[Damage]) -> list[str]:
    """A line for people, none where nothing is damaged."""
    places = sorted(damaged)
    if not places:
        return []
    many = f"{len(places)} places" if len(places) > 1 else "one place"
    return [
        f"the journal cannot be read in {many}, the first in segment {places[0].start.segment} at byte "
        f"{places[0].start.offset}; blocks that stood there are missing here"
    ]


class DamageReports:
    """The files `state/damaged-*.json`."""

    def __init__(self, state: Path, store: Store, say: Callable[[str], None]) -> None:
        """
        Args:
            state: The state folder.
            store: The journal.
            say: Takes a line for people.
        """
        self._state, self._store, self._say = state, store, say
        self._marks: dict[str, tuple[int, int, int]] = {}
        self._seen: set[Damage] = set()
        self._waiting: list[Damage] = []

    def look(self) -> dict[bytes, Ranges]:
        """Read reports that changed, and look at one segment that they name; call it once a second.

        Returns:
            Numbers that are in no segment any more.
        """
        for path in sorted(self._state.glob("damaged-*.json")):
            self._read_report(path)
        if not self._waiting:
            return {}
        number = self._waiting[0].start.segment
        here = [damage for damage in self._waiting if damage.start.segment == number]
        self._waiting = [damage for damage in self._waiting if damage.start.segment != number]
        gone = learn(self._store, here)
        if gone:
            self._say(*damage_line(here))
        return gone

    def _read_report(self, path: Path) -> None:
        try:
            stat = path.lstat()
            mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if self._marks.get(path.name) == mark:
                return
            self._marks[path.name] = mark
            places = json.loads(statefile.read(path, REPORT_BYTES) or b"{}")["places"][:PLACES]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return  # whoever wrote it writes it again
        if len(self._seen) > SEEN_MOST:
            self._seen.clear()
        sizes = {segment.number: segment.size for segment in self._store.segments}
        for place in places if isinstance(places, list) else ():
            damage = _damage(place, sizes)
            if damage is not None and damage not in self._seen:
                self._seen.add(damage)
                self._waiting.append(damage)


def _damage(place: Any, sizes: dict[int, int]) -> Damage | None:
    """A stretch of a segment that is there; None for anything else."""
    match place:
        case [int() as segment, int() as start, int() as end] if 0 <= start < end <= sizes.get(segment, 0):
            return Damage(Place(int(segment), int(start)), Place(int(segment), int(end)))
    return None
