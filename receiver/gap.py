"""A gap: numbers of a stream's blocks that are missing. The one type for it, from what catch finds to the page.

Numbers are half-open, `first` on and below `after`; only words for people name the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Neighbouring numbers that are missing since the same moment."""

    stream: bytes
    first: int = field(metadata={"key": "from"})
    after: int = field(metadata={"key": "to"})
    """One past the last."""
    since_ns: int
    """When they became missing, the low side's wall clock [ns since 1970 UTC]."""
    heals_ns: int | None = None
    """When the next repeat of them is due, None where the sender plans none [ns since 1970 UTC]."""
    lost_ns: int | None = None
    """Until when the sender keeps them at least, None where that is not known [ns since 1970 UTC]."""
    damaged: bool = False
    """They were journaled and can no longer be read."""
