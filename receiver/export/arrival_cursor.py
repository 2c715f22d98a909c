"""A cursor by arrival, as exports hand it on: what came since is missed by nobody, whatever the time in it.

    3f9a2c1d-123456-0b57e9d2   the log's name, the next block's place in it, a mark of the block before

How blocks are numbered by their arrival stands in `receiver/outputs/historian/whole/arrival_log.py`.
"""

from __future__ import annotations

import re

from protocol.errors import ConfigError
from receiver.outputs.historian.whole.whole_history import WholeHistory

CURSOR = re.compile(r"(?P<log>[0-9a-f]{8})-(?P<sequence>\d{1,18})-(?P<mark>[0-9a-f]{8})")


def is_cursor(text: str) -> bool:
    """Whether it has the form of one."""
    return CURSOR.fullmatch(text) is not None


def sequence(history: WholeHistory, since: str) -> tuple[int, str]:
    """From which block on, and what a person should know of it.

    Args:
        since: A cursor, or a time as a number [ns since 1970 UTC].

    Raises:
        ConfigError: it is a cursor of another history.
    """
    arrivals = history.arrivals
    found = CURSOR.fullmatch(since)
    if found is None:
        at = arrivals.since(int(since))
        if arrivals.name and (at > arrivals.first() or at == 0):
            return at, ""
        return -1, "what came before the log of arrivals has no arrival time: all of that is in the file too"
    log, number = found["log"], int(found["sequence"])
    mark = arrivals.mark(number, _keys(history)) if number <= arrivals.until else None
    if log != arrivals.name or number > arrivals.until or mark not in (None, int(found["mark"], 16)):
        raise ConfigError(
            f"--since {since}: a cursor of another history than this one, {arrivals.name or 'which has none yet'}",
            hint="the history was made anew or put back: export all of it once, or --since a time; its end tells "
            "the next cursor",
        )
    if number < arrivals.first():
        return number, f"blocks up to {arrivals.first()} went by retention before they were exported"
    return number, ""


def cursor(history: WholeHistory) -> str | None:
    """What arrives from now on."""
    arrivals = history.arrivals
    if not arrivals.name:
        return None
    return f"{arrivals.name}-{arrivals.until}-{arrivals.mark(arrivals.until, _keys(history)) or 0:08x}"


def _keys(history: WholeHistory) -> dict[int, bytes]:
    return {one: key for one, (key, _, _) in history.streams.items()}
