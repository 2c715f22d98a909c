"""The history's largest size: its oldest month goes as a whole, and somebody is told.

Age is what a history is cut by (`age.py`); size is the belt beside it, for a disk that would be full before. The newest
month is in use and stays, whatever it weighs: then that is said, because nobody but a person can mend it.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

from receiver.outputs.disk import SIDES, open_reader
from receiver.outputs.historian import schema
from receiver.outputs.historian.hot.shelves import Shelves

GB = 1e9


class SizeLimit:
    """The limit of one history."""

    def __init__(self, folder: Path, most_bytes: float) -> None:
        """
        Args:
            most_bytes: Size from which on the oldest month goes [bytes].
        """
        self.dropped = 0
        """Months dropped since the start."""
        self.trouble = ""
        """Why the history is larger than it may be; empty where it is not."""
        self._folder, self._most = folder, most_bytes

    def keep(self, shelves: Shelves, tell: Callable[[str], None]) -> None:
        """Drop the oldest month, where all are too large together; one a call. Raises sqlite3.Error on a full disk.

        Args:
            tell: Takes a line for people.
        """
        self.trouble = ""
        if math.isinf(self._most):
            return
        months = schema.month_paths(self._folder)
        size = sum(map(_size, (schema.current_path(self._folder), *months)))
        if size <= self._most:
            return
        tops = sorted((top, path) for path in months if (top := _top(path)) is not None)
        if len(tops) < 2:
            self.trouble = (
                f"the history is {size / GB:.1f} GB with its newest month alone, and history_max_gb = "
                f"{self._most / GB:g}: a month in use is not dropped. Raise it, or read less often"
            )
            return
        top, path = tops[0]
        freed = _size(path)
        while shelves.forget(top):
            pass
        self.dropped += 1
        tell(
            f"the month {path.stem} ({freed / GB:.1f} GB) went, though not old enough: the history was larger than "
            f"history_max_gb = {self._most / GB:g}"
        )


def _size(path: Path) -> int:
    """A database and its log [bytes]."""
    beside = [path, *(path.with_name(path.name + side) for side in SIDES)]
    return sum(one.stat().st_size for one in beside if one.exists())


def _top(path: Path) -> int | None:
    """Number of the newest chunk in a file; None where that cannot be read: it is told elsewhere."""
    connection = None
    try:
        connection = open_reader(path)
        row = None if connection is None else connection.execute("SELECT max(id) FROM body").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    finally:
        if connection is not None:
            connection.close()
    return None if row is None or row[0] is None else int(row[0])
