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

VALUE = 80
"""Most characters of a shown value."""

_ABSENT = object()


def fixed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Keys that need a restart, of the file's other tables; empty where only devices have changed."""
    return [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]


def of_asset(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """One line for one asset, empty where nothing has changed.

    Args:
        before: Its table as it stood in the file; None where it is new.
        after: As it stands now; None where it was taken out.
    """
    if before is None and after is not None:
        return f"{name} added: {counted(len(_tags(after)), 'tag')} by {after.get('collector', '')}"
    if after is None:
        return f"{name} taken out"
    assert before is not None
    said = [*_named(_tags(before), _tags(after)), *_values(before, after)]
    return f"{name} changed: " + "; ".join(said) if said else ""


def _named(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Tags that came and went."""
    for word, names in (("added", after.keys() - before.keys()), ("taken out", before.keys() - after.keys())):
        if names:
            yield f"tags {', '.join(sorted(names))} {word}"


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Keys that have other values; of a tag only where it was there before."""
    old, new = dict(_flat(_plain(before), "", "")), dict(_flat(_plain(after), "", ""))
    for tag, table in _tags(before).items():
        if tag in _tags(after):
            old |= _flat(table, f"tags.{tag}", "")
            new |= _flat(_tags(after)[tag], f"tags.{tag}", "")
    own = (f"{before.get('collector')}.", f"{after.get('collector')}.")
    for path in sorted(old.keys() | new.keys()):
        one, other = old.get(path, _ABSENT), new.get(path, _ABSENT)
        if one == other and type(one) is type(other):
            continue
        key = path.rpartition(".")[2].partition("[")[0]
        open_ = key in SHOWN and not path.startswith(own)
        told, telling = _shown(one, open_), _shown(other, open_)
        yield f"{path} hidden" if "" in (told, telling) else f"{path} {told} -> {telling}"


def _plain(asset: Mapping[str, Any]) -> dict[str, Any]:
    """The asset without its tags, which are compared by name wherever they stand."""
    scans = asset.get("scan", [])
    bare = [{key: value for key, value in scan.items() if key != "tags"} for scan in scans if isinstance(scan, Mapping)]
    return {**asset, "scan": bare}


def _tags(asset: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
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
    if value is _ABSENT:
        return "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value}"
    if not open_:
        return ""
    text = f'"{value}"' if isinstance(value, str) else ", ".join(str(one) for one in value)
    return text if len(text) <= VALUE else text[: VALUE - 2] + ".."
