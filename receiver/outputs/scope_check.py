"""Whether anybody has what the scopes of a configuration name, by what the sender described so far.

Vendors and assets travel in band, so a scope can only be compared with the history. Where nothing has come yet, nothing
is known and nothing is said; what is not known yet may still come, so it is a warning.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from protocol.errors import CheckvalveError
from receiver.outputs.scope import Scope

NAMED = 8
"""Most names that a line lists."""


def known(history: Path) -> tuple[set[str], set[str]]:
    """(assets, vendors) that the history knows; both empty where it cannot be asked."""
    from receiver.outputs.historian.read import Door
    from receiver.outputs.historian.views import Scope as Everything

    try:
        door = Door(history, Everything())
        try:
            assets = [view.asset for view in door.assets()]
        finally:
            door.close()
    except (OSError, sqlite3.Error, CheckvalveError):
        return set(), set()
    return {one.name for one in assets}, {vendor for one in assets for vendor in one.vendors}


def strangers(scope: Scope, assets: set[str], vendors: set[str]) -> Iterator[str]:
    """A line for each name of the scope that nobody has."""
    if not assets:
        return
    for word, named, held in (("vendor", scope.vendors, vendors), ("asset", scope.assets, assets)):
        for name in sorted((named or set()) - held):
            those = ", ".join(sorted(held)[:NAMED]) or "none"
            yield f'no asset that came so far has the {word} "{name}"; the {word}s that came: {those}'
