"""What of a history is to be exported: by names, by time, and by arrival (pure)."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from receiver.outputs.historian.whole.whole_history import AFTER_NS, FIRST_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportChoice:
    """What is to be exported."""

    sites: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Patterns of the shell, `pump-*`; none: everything."""
    from_ns: int = FIRST_NS
    to_ns: int = AFTER_NS
    since: int = -1


def fits(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is asked for by one of these."""
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
