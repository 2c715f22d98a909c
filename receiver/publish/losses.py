"""What of the journal can no longer be read, as one reading of it met that.

Bytes that are no record any more are stepped over. Which blocks stood there is told as far as can be known, and a block
that comes again is lost no longer.
"""

from __future__ import annotations

from pathlib import Path

from protocol.ranges import Ranges
from protocol.store.lost import numbers_at
from protocol.store.reader import Reader
from protocol.store.resync import Damage

PLACES_KEPT = 1000
"""Most damaged places told: a disk that fails everywhere is not mended by a list."""


class JournalLosses:
    """Damaged places of one journal, and the blocks that stood there."""

    def __init__(self, journal: Path) -> None:
        """
        Args:
            journal: The journal's folder.
        """
        self._journal = journal
        self.places: list[Damage] = []
        """Where the journal holds no records any more, as far as was read; the newest `PLACES_KEPT`."""
        self.count = 0
        """How many such places there were since the start, more than are kept."""
        self.numbers: dict[bytes, Ranges] = {}
        """Of the blocks that stood there, as far as can be known, and that have not come again."""

    def add_from(self, reader: Reader) -> None:
        """Take over what a reader has met."""
        fresh = [one for one in reader.damaged if one not in self.places]
        reader.damaged.clear()
        if fresh:
            self.count += len(fresh)
            self.places = [*self.places, *fresh][-PLACES_KEPT:]
            for stream, numbers in numbers_at(self._journal, *fresh).items():
                held = self.numbers.setdefault(stream, Ranges())
                for first, after in numbers:
                    held.add(first, after)

    def came(self, stream: bytes, number: int) -> None:
        """A block was read: it is not lost, if it was."""
        held = self.numbers.get(stream)
        if held is not None:
            held.remove(number, number + 1)

    def begin_again(self) -> None:
        """The journal is read anew; how much was ever found stays."""
        self.places.clear()
        self.numbers.clear()
