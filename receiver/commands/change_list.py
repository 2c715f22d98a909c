"""Changes of the high side's configuration, in lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from protocol.content.applied import AppliedChange


def lines(changes: Sequence[AppliedChange]) -> Iterator[str]:
    """One line a change, newest first; of the newest also what changed.

    Args:
        changes: As the historian's status has them.
    """
    for at, one in enumerate(changes):
        yield f"configuration {_moment(one.time_ns)}: {one.told()}"
        if at == 0:
            yield from (f"  {line}" for line in one.lines)
            if one.more:
                yield f"  and {one.more} more"


def _moment(time_ns: int) -> str:
    try:
        return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "at a time that no calendar has"
