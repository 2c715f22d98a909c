"""A draft of the asset's tags from the controller's tag list: every readable value, structures taken apart.

Left out, each with a note: what is hidden or closed to the outside, what is nested deeper than `DEPTH`, elements of
arrays of structures beyond `ELEMENTS`, everything after `TAGS` entries. A person picks from the draft; it is not meant
to be used whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from collectors.enip.config import ELEMENTS as LONGEST
from collectors.enip.symbols import CATALOG, TagNode, base, values
from collectors.settings import wild

DEPTH = 3
"""Levels of structures: a member of a member of a tag."""

ELEMENTS = 8
"""Elements of an array of structures."""

TAGS = 5000
"""Entries of a draft."""

NOTES = 50
"""Notes of one kind, then their number only."""


def draft(
    tags: Mapping[str, Mapping[str, Any]],
    *,
    wanted: Sequence[str] = (),
    forbids: Callable[[str], str] = lambda name: "",
) -> tuple[list[dict[str, Any]], list[str]]:
    """Tag tables (`name`, `at`, `type`, `count`) and notes.

    Args:
        tags: The tag list.
        wanted: Patterns of addresses, `*` for any text; empty: all.
        forbids: The entry of `never_read` that an address falls under; empty where none.
    """
    patterns = [wild(pattern.lower()) for pattern in wanted]
    tables: list[dict[str, Any]] = []
    notes: list[str] = []
    names: set[str] = set()
    for found in _all(tags):
        if isinstance(found, str):
            notes.append(found)
        elif patterns and not any(pattern.fullmatch(found.name.lower()) for pattern in patterns):
            continue
        elif fence := forbids(found.name):
            notes.append(f"{found.name}: left out, never_read {fence!r}")
        elif len(tables) >= TAGS:
            notes.append(f"more than {TAGS} values; the rest, from {found.name} on, is left out")
            break
        else:
            table = _table(found)
            if isinstance(table, str):
                notes.append(table)
                continue
            while table["name"] in names:
                table["name"] += "_"
            names.add(table["name"])
            tables.append(table)
    if len(notes) > NOTES:
        notes[NOTES:] = [f"and {len(notes) - NOTES} notes more"]
    return tables, notes


def _all(tags: Mapping[str, Mapping[str, Any]]) -> Iterator[TagNode | str]:
    for name, info in tags.items():
        if name.rpartition(".")[2].startswith("__"):
            continue
        if info.get("external_access") == "None":
            yield f"{name}: closed to the outside (External Access)"
        else:
            yield from values(base(name, info), DEPTH, ELEMENTS)


def _table(place: TagNode) -> dict[str, Any] | str:
    """One entry, or why there is none."""
    kind = place.info["data_type"]
    type_ = CATALOG.get("STRING" if isinstance(kind, Mapping) else str(kind))
    if type_ is None:
        return f"{place.name}: type {place.info.get('data_type_name') or kind} is not read"
    name = place.name.removeprefix("Program:")
    if not place.dims:
        return {"name": name, "at": place.name, "type": type_}
    count = min(place.left, LONGEST)
    first = ",".join("0" * len(place.dims))
    return {"name": name, "at": f"{place.name}[{first}]", "type": type_, "count": count}
