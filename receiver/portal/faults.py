"""What could not be shown: the one thing says so where it stands, and the log has the details once.

A bug in how one tag, one asset or one row is shown must not take the page, the answer or the live stream with it. So
whatever is made for one of many is made through here. A fault that comes back five times a second is logged the first
time only; how many there were stands in `/healthz`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from receiver.portal import words

KNOWN = 200
"""Different faults whose details are logged; one of each kind tells enough, and a log must not fill a disk."""

_log = logging.getLogger("receiver.portal")

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class DisplayFaults:
    """What could not be shown since the pages were started: counted, and logged once."""

    def __init__(self) -> None:
        self.count = 0
        """How many there were."""
        self._known: set[tuple[str, str]] = set()

    def note(self, what: str, error: Exception) -> str:
        """Take a fault in; gives what is shown instead.

        Args:
            what: What could not be shown, as a person calls it.
            error: Why; logged with its trace where this is new.
        """
        self.count += 1
        name = type(error).__name__
        if (what, name) not in self._known and len(self._known) < KNOWN:
            self._known.add((what, name))
            _log.error("%s cannot be shown; this is told once", words.text(what), exc_info=error)
        return f"cannot be shown ({name})"

    def each(self, what: Callable[[_Item], str], make: Callable[[_Item], _Made], items: Iterable[_Item]) -> list[_Made]:
        """Whatever `make` gives for each item; those for which it fails are left out.

        Args:
            what: Names an item, for the log.
        """
        made = []
        for item in items:
            try:
                made.append(make(item))
            except Exception as error:  # noqa: BLE001 - one of many; the others are shown
                self.note(what(item), error)
        return made
