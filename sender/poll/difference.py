"""What two configurations differ in, in lines that may cross the link: values that the other side need not know are
hidden. Pure.

    pump-7 changed: scan[0].every "1s" -> "2s"
    pump-7 changed: tags flow added; tags level taken out
    pump-7 changed: url hidden; opcua.password_file hidden; opcua.queue 10 -> 50
    fan-3 added: 12 tags by modbus
    fan-2 taken out

Shown are numbers, true and false everywhere, and the texts of those keys that the catalog carries anyway. Addresses of
devices, files, names of users and whatever a collector's own table says in words are not: a reader of the low side
learns that they changed, no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from protocol.written import counted

SHOWN = frozenset(
    (
        *("name", "vendor", "serial", "model", "path", "class", "collector", "timeout"),
        *("every", "at", "type", "unit", "description", "max_silence", "deadband", "valid_when", "states"),
    )
)
"""Keys whose texts are shown outside of a collector's own table."""

FIXED = ("site", "outlet", "keys", "spool")
"""What no running process can change: it began with these."""

UNUSED = ("recommendations",)
"""What no running process reads: commands do."""

VALUE = 80
"""Most characters of a shown value."""

ABSENT = object()
"""In place of a value that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """A value that is another one now."""

    tag: str
    """Of this tag; empty: of the table itself."""
    path: str
    """In the table, such as `scan[0].every`."""
    old: Any
    new: Any
    """Either may be `ABSENT`."""

    @property
    def key(self) -> str:
        """The last word of the path."""
        return self.path.rpartition(".")[2].partition("[")[0]


def fixed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Keys that need a restart, of the file's other tables; empty where only devices have changed."""
    keys = (before.keys() | after.keys()) - set(UNUSED)
    return [key for key in sorted(keys) if before.get(key) != after.get(key)]


def of_asset(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """One line for one asset, empty where nothing has changed.

    Args:
        before: Its table as it stood in the file; None where it is new.
        after: As it stands now; None where it was taken out.
    """
    if before is None and after is not None:
        return f"{name} added: {counted(len(tags(after)), 'tag')} by {after.get('collector', '')}"
    if after is None:
        return f"{name} taken out"
    assert before is not None
    said = [*_named(tags(before), tags(after)), *_values(before, after)]
    return f"{name} changed: " + "; ".join(said) if said else ""


def of_file(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """A line for each value outside of the assets, then one for each asset, of all that is not the same.

    Args:
        before: All tables of the file as it was.
        after: As it is now.
    """
    top = ({key: one for key, one in file.items() if key != "asset"} for file in (before, after))
    lines = [_said(one.path, one, open_=one.path == "site") for one in of_table(*top)]
    old, new = assets(before), assets(after)
    named = [of_asset(name, old.get(name), new.get(name)) for name in {**old, **new}]
    return lines + [line for line in named if line]


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ValueChange]:
    """Values of an asset that are others now: its own first, by path, then those of tags that were there before."""
    yield from of_table(_plain(before), _plain(after))
    old, new = tags(before), tags(after)
    for name in sorted(old.keys() & new.keys()):
        yield from of_table(old[name], new[name], tag=name)


def of_table(before: Any, after: Any, *, tag: str = "") -> Iterator[ValueChange]:
    """Values of a table that are others now, by path."""
    old, new = dict(_flat(before, "", "")), dict(_flat(after, "", ""))
    for path in sorted(old.keys() | new.keys()):
        one, other = old.get(path, ABSENT), new.get(path, ABSENT)
        if one != other or type(one) is not type(other):
            yield ValueChange(tag=tag, path=path, old=one, new=other)


def _named(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Tags that came and went."""
    for word, names in (("added", after.keys() - before.keys()), ("taken out", before.keys() - after.keys())):
        if names:
            yield f"tags {', '.join(sorted(names))} {word}"


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Keys that have other values, in words that may cross the link."""
    own = (f"{before.get('collector')}.", f"{after.get('collector')}.")
    found = {f"tags.{one.tag}.{one.path}" if one.tag else one.path: one for one in changed(before, after)}
    for path in sorted(found):
        yield _said(path, found[path], open_=found[path].key in SHOWN and not path.startswith(own))


def _said(path: str, one: ValueChange, *, open_: bool) -> str:
    told, telling = _shown(one.old, open_), _shown(one.new, open_)
    return f"{path} hidden" if "" in (told, telling) else f"{path} {told} -> {telling}"


def _plain(asset: Mapping[str, Any]) -> dict[str, Any]:
    """The asset without its tags, which are compared by name wherever they stand."""
    scans = asset.get("scan", [])
    bare = [{key: value for key, value in scan.items() if key != "tags"} for scan in scans if isinstance(scan, Mapping)]
    return {**asset, "scan": bare}


def assets(file: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Assets by name, in the file's order."""
    return {str(one.get("name", "")): one for one in file.get("asset", [])}


def tags(asset: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Tags by name, each with the place of its scan."""
    scans = asset.get("scan", [])
    return {
        str(tag.get("name", "")): {**tag, "scan": at}
        for at, scan in enumerate(scans if isinstance(scans, list) else [])
        for tag in scan.get("tags", [])
    }


def _flat(value: Any, path: str, key: str) -> Iterator[tuple[str, Any]]:
    """Every value that is no table, by its path."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _flat(one, f"{path}.{name}" if path else str(name), str(name))
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for at, one in enumerate(value):
            yield from _flat(one, f"{path}[{at}]", key)
    else:
        yield path, value


def _shown(value: Any, open_: bool) -> str:
    """A value in words; empty where it is hidden."""
    if value is ABSENT:
        return "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value}"
    if not open_:
        return ""
    text = f'"{value}"' if isinstance(value, str) else ", ".join(str(one) for one in value)
    return text if len(text) <= VALUE else text[: VALUE - 2] + ".."
