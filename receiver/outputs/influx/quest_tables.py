"""QuestDB's tables, made before the first line: without DEDUP keys a line that is sent again would be a second row.

Line protocol would make a table by itself, but none whose rows replace themselves. Every tag that a line may have is a
key; columns that nobody wrote in a row are null, but booleans, which would read false: so they are numbers here.
"""

from __future__ import annotations

_SAMPLE_KEYS = ("asset", "seq", "simulated", "site", "tag", "type", "unit")
_STATE_KEYS = ("asset", "simulated", "site", "what")
_EVENT_KEYS = ("asset", "simulated", "site", "state")
_OWN = ("v DOUBLE", "vi LONG", "vd VARCHAR", "vb LONG", "vs VARCHAR", "q LONG", "sc LONG", "native LONG")


def _made(name: str, keys: tuple[str, ...], *columns: str, besides: tuple[str, ...] = ()) -> tuple[str, str]:
    """Names are quoted: `sample`, `timestamp` and others are words of its language."""
    symbols = (f'"{key}" SYMBOL' for key in keys)
    others = (f'"{column}" {kind}' for column, _, kind in (one.partition(" ") for one in columns))
    of = ", ".join(('"timestamp" TIMESTAMP', *symbols, *others))
    unique = ", ".join(f'"{key}"' for key in ("timestamp", *keys, *besides))
    made = f'CREATE TABLE IF NOT EXISTS "{name}" ({of}) TIMESTAMP("timestamp") PARTITION BY DAY WAL'
    return f"{made} DEDUP UPSERT KEYS({unique})", f'ALTER TABLE "{name}" DEDUP ENABLE UPSERT KEYS({unique})'


TABLES = (
    *_made("sample", _SAMPLE_KEYS, *_OWN, "other_after_ns LONG"),
    *_made("state", _STATE_KEYS, "text VARCHAR", "n LONG", "up LONG"),
    *_made(
        "event",
        _EVENT_KEYS,
        *("code VARCHAR", "source VARCHAR", "text VARCHAR", "severity LONG", "sequence LONG"),
        besides=("sequence",),
    ),
)
"""Statements in order; the second of each sets the keys of a table that was there before."""
