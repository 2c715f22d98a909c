"""What another configuration changes, in plain words for the person who applies it, with all values. Pure.

    ! outlet.to "192.0.2.2:5005" -> "192.0.2.3:5005"
      pump-7
    + tag flow at holding:12
    - tag level at holding:4
    ! tag pressure: unit "bar" -> "kPa"
        tag pressure: deadband 0.1 -> 0.2
    + fan-3: 12 tags by modbus, tcp://10.0.0.9:502

A `!` is loud: what is read, from where, or what its value means is another now, and no number will show it.
The lines that cross the link are others, and hide what the low side need not know (`sender/poll/difference.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sender.poll import difference
from sender.poll.difference import ABSENT, ValueChange

QUIET_TAG = frozenset(("description", "deadband", "max_silence", "normal", "scan", "most"))
"""Keys of a tag that change neither what is read nor what it means; all others do."""
LOUD_ASSET = frozenset(("url", "urls", "collector", "never_read"))
"""Keys of an asset that do, and all of its collector's own table."""
LOUD_TOP = frozenset(("site", "outlet.to", "keys.own", "keys.receivers"))
RESTARTS = {"site": ("poll",), "spool": ("poll",), "outlet": ("poll", "emit"), "keys": ("poll", "emit")}
"""Which process begins with a table, and takes another one only at its start; all else poll takes by a reload."""
VALUE = 120
"""Most characters of a value that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWords:
    """All of it."""

    lines: tuple[str, ...]
    loud: int
    """How many lines have a `!`."""
    restarts: tuple[str, ...]
    """Processes that must be started again; empty: a reload does it."""
    fixed: tuple[str, ...]
    """Tables that ask for that."""


def of_files(before: Mapping[str, Any], after: Mapping[str, Any]) -> ChangeWords:
    """What the second changes.

    Args:
        before: All tables of the file that runs; none where nothing is known of it.
        after: Of the file that shall run.
    """
    tops = [{key: one for key, one in file.items() if key != "asset"} for file in (before, after)]
    lines = [_value(one, loud=one.path in LOUD_TOP) for one in difference.of_table(*tops)]
    old, new = difference.assets(before), difference.assets(after)
    for name in {**old, **new}:
        lines += _asset(name, old.get(name), new.get(name))
    fixed = difference.fixed(*tops) if before else []
    processes = [one for key in fixed for one in RESTARTS.get(key, ("poll", "emit"))]
    return ChangeWords(
        lines=tuple(lines),
        loud=sum(line.startswith("!") for line in lines),
        restarts=tuple(dict.fromkeys(processes)),
        fixed=tuple(fixed),
    )


def _asset(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Iterator[str]:
    if before is None and after is not None:
        where = after.get("url") or ", ".join(map(str, after.get("urls", [])))
        yield f"+ {name}: {_tags(after)} by {after.get('collector', '')}, {where}"
        return
    if before is None or after is None:
        yield f"- {name}, with {_tags(before or {})}"
        return
    lines = [*_named(before, after), *(_changed(one, before, after) for one in difference.changed(before, after))]
    if lines:
        yield f"  {name}"
        yield from lines


def _named(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = difference.tags(before), difference.tags(after)
    for mark, these, others in (("+", new, old), ("-", old, new)):
        for tag in sorted(these.keys() - others.keys()):
            unit = f", {these[tag]['unit']}" if these[tag].get("unit") else ""
            yield f"{mark} tag {tag} at {these[tag].get('at', '')}{unit}"


def _changed(one: ValueChange, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    first = one.path.partition(".")[0].partition("[")[0]
    if one.tag:
        return _value(one, loud=first not in QUIET_TAG, of=f"tag {one.tag}: ")
    own = {before.get("collector"), after.get("collector")}
    return _value(one, loud=first in LOUD_ASSET or first in own, of="")


def _value(one: ValueChange, *, loud: bool, of: str = "") -> str:
    return f"{'!' if loud else ' '} {of}{one.path} {_shown(one.old)} -> {_shown(one.new)}"


def _tags(asset: Mapping[str, Any]) -> str:
    count = len(difference.tags(asset))
    return f"{count} tag{'' if count == 1 else 's'}"


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= VALUE else text[: VALUE - 2] + ".."
