"""QuestDB's tables, made before the first line: without DEDUP keys a line that is sent again would be a second row.

Line protocol would make a table by itself, but none whose rows replace themselves. Every tag that a line may have is a
key; columns that nobody wrote in a row are null, but booleans, which would read false: so they are numbers here.

QuestDB 9.1 that is killed while it makes a table, or sets its keys, leaves that half-made for ever: it lists the table
with all columns, and `CREATE TABLE IF NOT EXISTS` says OK, but no line gets in, or no key is ever set again. So what is
there is asked first and left alone where it is right, and a table counts as there once its log of transactions reads.
A half-made one is told, and left to a person: nothing here drops a table of another program's database.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from receiver.outputs.influx.answer import WriteAnswer


@dataclass(frozen=True, slots=True)
class QuestTable:
    """One table, and what is asked and told about it."""

    name: str
    keys: frozenset[str]
    """Columns by which rows replace themselves."""
    made: str
    """Makes it."""
    keyed: tuple[str, ...]
    """Sets the keys of one that was made otherwise, by an earlier build too, and adds those that it has not."""

    @property
    def which_keys(self) -> str:
        """Asks for the keys that it has; an error where it is not there."""
        return f"""SELECT "column" FROM table_columns('{self.name}') WHERE upsertKey"""  # noqa: S608  names from below

    @property
    def proof(self) -> str:
        """Reads its log of transactions; an error where it is half-made."""
        return f"SELECT sequencerTxn FROM wal_transactions('{self.name}') LIMIT 1"  # noqa: S608  names from below


_SAMPLE_KEYS = ("asset", "conversion", "seq", "simulated", "site", "tag", "type", "unit")
_STATE_KEYS = ("asset", "simulated", "site", "what")
_EVENT_KEYS = ("asset", "simulated", "site", "state")
_OWN = ("v DOUBLE", "vi LONG", "vd VARCHAR", "vb LONG", "vs VARCHAR", "q LONG", "sc LONG", "native LONG")


def _table(name: str, keys: tuple[str, ...], *columns: str, besides: tuple[str, ...] = ()) -> QuestTable:
    """Names are quoted: `sample`, `timestamp` and others are words of its language."""
    symbols = (f'"{key}" SYMBOL' for key in keys)
    others = (f'"{column}" {kind}' for column, _, kind in (one.partition(" ") for one in columns))
    of = ", ".join(('"timestamp" TIMESTAMP', *symbols, *others))
    every = ("timestamp", *keys, *besides)
    unique = ", ".join(f'"{key}"' for key in every)
    made = f'CREATE TABLE IF NOT EXISTS "{name}" ({of}) TIMESTAMP("timestamp") PARTITION BY DAY WAL'
    return QuestTable(
        name,
        frozenset(every),
        f"{made} DEDUP UPSERT KEYS({unique})",
        (
            *(f'ALTER TABLE "{name}" ADD COLUMN "{key}" SYMBOL' for key in keys),
            f'ALTER TABLE "{name}" DEDUP ENABLE UPSERT KEYS({unique})',
        ),
    )


TABLES = (
    _table("sample", _SAMPLE_KEYS, *_OWN, "other_after_ns LONG"),
    _table("state", _STATE_KEYS, "text VARCHAR", "n LONG", "up LONG"),
    _table(
        "event",
        _EVENT_KEYS,
        *("code VARCHAR", "source VARCHAR", "text VARCHAR", "severity LONG", "sequence LONG"),
        besides=("sequence",),
    ),
)
"""All there are."""


def stand(ask: Callable[[str], tuple[int, str] | None]) -> WriteAnswer | None:
    """See to it that all tables are there, whole and with their keys.

    Args:
        ask: Gives a statement's HTTP status and text; None where no answer came.

    Returns:
        None where they stand; otherwise the answer that says why not.
    """
    for table in TABLES:
        found = ask(table.which_keys)
        if _was_read(found):
            statements = () if _keys(found) == table.keys else table.keyed
        elif _says_nothing(found):
            return _no(found, "")
        else:
            statements = (table.made,)
        for statement in statements:
            found = ask(statement)
            if not _was_read(found) and not _is_there(found):
                return _no(found, f"its table {table.name} cannot be made: ")
        found = ask(table.proof)
        if not _was_read(found):
            return _no(found, f"its table {table.name} takes no lines: ", _half_made(table.name))
    return None


def _half_made(name: str) -> str:
    return (
        f'It may have been killed while it made the table. If its console says 0 for a count() of "{name}": '
        f'DROP TABLE "{name}", whatever that answers; it is made anew within a minute. Nothing is lost meanwhile'
    )


def _was_read(found: tuple[int, str] | None) -> bool:
    return found is not None and found[0] == 200


def _is_there(found: tuple[int, str] | None) -> bool:
    """A column that was to be added is there; `IF NOT EXISTS` makes no difference to QuestDB 9.1."""
    return found is not None and found[0] == 400 and _error(found[1]).startswith("duplicate column")


def _says_nothing(found: tuple[int, str] | None) -> bool:
    """It is not there, does not know us or has too much to do: not a word about the table."""
    return found is None or found[0] in (401, 403, 408, 429) or found[0] >= 500


def _no(found: tuple[int, str] | None, what: str, step: str = "") -> WriteAnswer:
    if found is None:
        return WriteAnswer(0, "it does not answer /exec, where its tables are made")
    if _says_nothing(found):
        return WriteAnswer(found[0], f"{what}{_error(found[1])}")
    return WriteAnswer(404, f"{what}{_error(found[1])}", step=step)


def _keys(found: tuple[int, str] | None) -> frozenset[str]:
    try:
        return frozenset(str(row[0]) for row in json.loads(found[1])["dataset"]) if found else frozenset()
    except (ValueError, KeyError, TypeError, IndexError):
        return frozenset()


def _error(text: str) -> str:
    """Its words, without the statement that it repeats."""
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text
