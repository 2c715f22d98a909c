"""How much of the journal an output has not read, against what the journal keeps: is something lost soon?

catch drops its oldest segments by age and by size and waits for no output: a full disk would end everything. So what an
output did not read in time is gone for it, and that is said before it happens, and again when it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from protocol.store.index import read_index
from protocol.store.layout import index_path, segment_numbers, segment_path
from protocol.store.resync import Place
from receiver.settings import RetentionTable

LARGE = 0.98
"""Share of `max_gb` from which on the journal counts as cut by its size: it is cut by whole segments."""
DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRoom:
    """The journal's segments at one moment."""

    sizes: tuple[tuple[int, int], ...]
    """Number and size of each, rising [bytes]."""
    born_s: tuple[tuple[int, float], ...]
    """Number and birth, in running time, of those whose index says it [s]."""

    @classmethod
    def look(cls, journal: Path, before: JournalRoom | None = None) -> JournalRoom:
        """As it is now; what goes meanwhile is left out.

        Args:
            before: An earlier look: what it knows is not read again.
        """
        known = {} if before is None else dict(before.born_s)
        sizes, born = [], []
        for number in segment_numbers(journal):
            try:
                sizes.append((number, segment_path(journal, number).stat().st_size))
            except OSError:
                continue
            if number not in known:
                index = read_index(index_path(journal, number), number)
                known[number] = 0.0 if index is None else index.born_s
            if known[number] > 0:
                born.append((number, known[number]))
        return cls(sizes=tuple(sizes), born_s=tuple(born))

    def used(self, place: Place, retention: RetentionTable) -> float:
        """What lies behind a place, as a share of what is kept: 1.0 is where retention takes it."""
        unread = sum(size for number, size in self.sizes if number > place.segment)
        unread += sum(max(size - place.offset, 0) for number, size in self.sizes if number == place.segment)
        return max(unread / (retention.max_gb * 1e9), self.age_s(place.segment) / retention.journal)

    def age_s(self, segment: int) -> float:
        """Running time from the birth of a segment, or of the first after it that is known, to the newest's [s]."""
        born = [at for number, at in self.born_s if number >= segment]
        return max(born[-1] - born[0], 0.0) if born else 0.0

    def warning(self, retention: RetentionTable) -> str | None:
        """A line for people where the journal's size cuts it before its age does."""
        size = sum(size for _, size in self.sizes)
        kept_s = self.age_s(0)
        if size < LARGE * retention.max_gb * 1e9 or kept_s >= LARGE * retention.journal:
            return None
        return (
            f"the journal holds {kept_s / DAY_S:.1f} days of running time, not the {retention.journal / DAY_S:g} that "
            f"[retention] journal asks for: it has reached max_gb = {retention.max_gb:g}. Raise max_gb, or ask for less"
        )
