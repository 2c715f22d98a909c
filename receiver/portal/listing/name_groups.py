"""The tags of an asset by the path of their names: `train-1/bearing-2/speed` stands in the group `train-1/bearing-2`.

A name is parted at its slashes, or at its dots where it has no slash. Paths are cut at one depth for the whole asset:
the deepest at which a group has `FEWEST` tags on average, so that a name for each tag never becomes a group for each.
"""

from __future__ import annotations

from collections.abc import Sequence

FEWEST = 3
"""Tags of a group on average: smaller groups are more headings than help."""


def parts_of(name: str) -> list[str]:
    """The path of a name, its own last part included."""
    return name.split("/" if "/" in name else ".")


def groups(names: Sequence[str]) -> list[str]:
    """The group of each name, in their order; all empty where the names make no groups."""
    paths = [parts_of(name)[:-1] for name in names]
    for depth in range(max(map(len, paths), default=0), 0, -1):
        found = [_joined(name, path[:depth]) for name, path in zip(names, paths, strict=True)]
        count = len(set(found))
        if count > 1 and count * FEWEST <= len(found):
            return found
    return [""] * len(names)


def rest(name: str, group: str) -> str:
    """What of a name is not its group's."""
    return name[len(group) + 1 :] if group else name


def _joined(name: str, path: list[str]) -> str:
    return ("/" if "/" in name else ".").join(path)
