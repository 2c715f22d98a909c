"""The history as its one writer holds it: the open files, what is kept of them in memory, and how damage is mended.

    found                                          done, by itself
    current.db damaged, gone, another program's    set aside; made anew from the months (`mending/adopt.py`)
    a month damaged or gone                        set aside; a new one of its name
    a hot group that does not unpack               dropped

After each of them the journal is read from its beginning once more: `place` is gone, and `moved_back` says so. Before
that, everything hot is sealed, because chunks are where a row that comes again is looked up (`mending/duplicates.py`).
What was damaged is told for some days. What only a reader meets, a chunk in the middle of a month, is not looked for
here: a look at every byte takes as long as reading them (`mending/verify.py`, and `checkvalve history rebuild` mends
it).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from protocol.errors import StoreError
from receiver.outputs import disk
from receiver.outputs.disk import Connection, DamageError, Writes
from receiver.outputs.historian import schema
from receiver.outputs.historian.age import Age
from receiver.outputs.historian.answers.asset_accounts import AssetAccounts
from receiver.outputs.historian.arrivals import Arrivals
from receiver.outputs.historian.events import standing_alarms
from receiver.outputs.historian.hot.shelves import Shelves
from receiver.outputs.historian.mending.adopt import adopt
from receiver.outputs.historian.mending.copies import Copies
from receiver.outputs.historian.mending.duplicates import Duplicates
from receiver.outputs.historian.months import Months
from receiver.outputs.historian.newest import Newest
from receiver.outputs.historian.series import Registry
from receiver.outputs.historian.whole.arrival_log import ArrivalLog

WARNED_NS = 7 * 24 * 3600 * 10**9
"""How long a warning of damage stands, in age of the history [ns]."""
WARNINGS_MOST = 16
MENDINGS = 3
"""Times in an hour that `current.db` may be made anew: more is a failing disk."""
HOUR_NS = 3600 * 10**9
GIVE_BACK_PAGES = 1000
"""Pages given back to the disk in one step."""
_RANK = {"asset": slice(3, 5), "series": slice(6, 8)}
META = "REPLACE INTO meta VALUES (?, ?)"


class WriterFiles:
    """All files of a history's folder, locked by whoever makes this."""

    def __init__(self, folder: Path, *, clock: Callable[[], int], waiting: Callable[[str], None]) -> None:
        """
        Args:
            clock: Wall time [ns since 1970 UTC]: to name files.
            waiting: Told why a full disk is waited for, and `""` when it no longer is.
        """
        self._folder, self._clock, self._waiting = folder, clock, waiting
        self.months = Months(folder, clock=clock)
        self.months.losing = lambda: self.set("again", 1)
        self._current: Connection | None = None
        self._warnings: list[list[Any]] = []
        self._news: list[str] = []
        """What is to be told as soon as there is a file that keeps it."""
        self._mendings: list[int] = []
        self._named_in = ""
        """The month file that names every series."""
        self.moved_back = False
        """`place` went back, and nobody was told yet."""
        self.due = False
        """The journal is to be begun again, once what is hot is sealed."""
        self._swept = False
        """A sweep ended, and its space was not all given back."""

    @property
    def current(self) -> Connection:
        """`current.db`.

        Raises:
            StoreError: the files are closed.
        """
        if self._current is None:
            raise StoreError("the history is closed")
        return self._current

    def open(self, wait: Callable[[float], None]) -> None:
        """Open everything and read what is kept in memory; what is damaged is set aside first, and told.

        Args:
            wait: Pauses for so many seconds while the disk is full; may raise to give up.

        Raises:
            StoreError: the disk fails, or another version wrote the files.
        """
        try:
            disk.when_room(self._load, waiting=self._waiting, wait=wait)
        except DamageError as error:
            self._adopt(str(error), wait)

    def mend(self, error: DamageError, wait: Callable[[float], None]) -> None:
        """After an error of the open files: begin `current.db` anew.

        Raises:
            DamageError: the same, where this happens too often.
        """
        now_ns = self._clock()
        self._mendings = [at for at in self._mendings if 0 <= now_ns - at < HOUR_NS] + [now_ns]
        if len(self._mendings) > MENDINGS:
            raise error
        self._adopt(str(error), wait)

    def look_back(self) -> None:
        """Begin the journal again where something was lost, once everything hot is sealed; call it now and then.

        Raises:
            sqlite3.Error: the disk is full; call again.
        """
        lost = list(self.months.lost)
        if self.shelves.damaged:
            lost.append(f"{self.shelves.damaged} samples that were not sealed yet cannot be read")
        if lost:
            self.set("again", 1)
            self.due = True
            self._warn([f"{one}; what the journal still has of it is read again" for one in lost])
            self.months.lost.clear()
            self.shelves.damaged = 0
        if not self.due:
            return
        if self.shelves.hot():
            if not self.shelves.sweeping:
                self.shelves.sweep()
            return
        writes = Writes()
        writes.add("DELETE FROM meta WHERE key IN ('again', 'place')", [()])
        writes.add("DELETE FROM again", [()])
        writes.add(META, [("adopted", self.shelves.sealed)])
        writes.run(self.current)
        self.due = False
        self._read_again()
        self.moved_back = True

    def copy(self) -> None:
        """Copy what gives the months their meaning into the newest of them. Raises sqlite3.Error on a full disk."""
        name = self.months.newest()
        if name is None:
            return
        writes = self.copies.writes(self.shelves.hot(), self.accounts.minutes, names=self._named_in != name)
        if self.months.put(name, writes):
            self.copies.done()
            self.accounts.minutes = set()
            self._named_in = name

    def give_back(self) -> bool:
        """After everything hot was sealed: give its space back, a bounded step of it; True where there is more.

        Raises:
            sqlite3.Error: the disk is full; call again.
        """
        if self.shelves.sweeping:
            self._swept = True
        elif self._swept:
            self._swept = disk.give_back(self.current, GIVE_BACK_PAGES)
            return self._swept
        return False

    def cut_log(self) -> None:
        """Cut the log back where it has grown (`disk.cut_log`)."""
        disk.cut_log(self.current, schema.current_path(self._folder))

    def warnings(self) -> list[str]:
        """What a person should know: files that were damaged, and what came of it."""
        return [line for at, line in self._warnings if self.age.age_ns - at < WARNED_NS]

    def tell(self, news: str) -> None:
        """A line for people, among `warnings` for a week of running. Raises sqlite3.Error on a full disk."""
        self._warn([news])

    def meta(self, key: str, default: Any) -> Any:
        """A value of the table `meta`."""
        row = self.current.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else default

    def set(self, key: str, value: Any) -> None:
        """Write one at once. Raises sqlite3.Error on a full disk."""
        self.current.execute(META, (key, value))

    def close(self) -> None:
        """Close all files; may be called twice."""
        self.months.close()
        if self._current is not None:
            self._current.close()
            self._current = None

    def _adopt(self, why: str, wait: Callable[[float], None]) -> None:
        self.close()
        folder, clock = self._folder, self._clock
        try:
            self._news = disk.when_room(lambda: adopt(folder, why, clock=clock), waiting=self._waiting, wait=wait)
        except (DamageError, *disk.UNBELIEVED):  # what was saved of the old file does not fit together
            self._news = disk.when_room(
                lambda: adopt(folder, why, clock=clock, save=False), waiting=self._waiting, wait=wait
            )
        self._named_in = ""
        self.months.lost.clear()
        disk.when_room(self._load, waiting=self._waiting, wait=wait)
        self.moved_back = True

    def _load(self) -> None:
        """
        Raises:
            DamageError: what is in `current.db` cannot be believed, or it is gone though months are there.
            StoreError: a later version wrote it.
            sqlite3.Error: the disk is full.
        """
        path = schema.current_path(self._folder)
        self.close()
        months = schema.month_paths(self._folder)
        if months and not (path.exists() and path.stat().st_size):
            raise DamageError(f"{path} is gone, though months are there")
        self._current = disk.open_writer(path, schema.CURRENT, "meta")
        try:
            with disk.sorted_errors(path):
                version = self.meta("version", None)
                if version is None and months:
                    raise DamageError(f"{path} was begun and not finished")
                if type(version) is int and version > max(schema.READABLE):
                    raise StoreError(f"{self._folder}: written by version {version}, this build reads {schema.VERSION}")
                if version not in (None, *schema.READABLE):
                    raise DamageError(f"{path}: written by version {str(version)[:20]!r}, which there never was")
                self.set("version", schema.VERSION)
                disk.look_through(self._current, path)
                names = self._read()
        except disk.UNBELIEVED as error:
            raise DamageError(f"{path}: not what was written: {type(error).__name__}: {error}") from error
        self.months.check(names)
        self.copies = Copies(self.current, self.months.files())
        for name in self.months.unnamed():
            self.months.put(name, self.copies.names())
        if self.months.lost:
            self.set("again", 1)
        self._compare()
        standing_alarms.begin(self.current)
        self._note_months()
        self._warn(self._news)
        self._news = []
        self.look_back()

    def _read(self) -> list[str]:
        """Everything that is kept in memory; returns the months that must be there."""
        current = self.current
        self.registry = Registry(current, above=self.meta("above", 0))
        self.newest = Newest(current)
        self.accounts = AssetAccounts(current)
        if not self.accounts.totals().keys() <= self.registry.names.keys():
            raise DamageError("counts of an asset that is not described")
        self.shelves = Shelves(current, self.months)
        self.age = Age(current)
        self.log = ArrivalLog(current)
        self._read_again()
        self.due = bool(self.meta("again", 0))
        self._warnings = [[int(at), str(one)] for at, one in json.loads(self.meta("told", "[]"))]
        return [str(name) for (name,) in current.execute("SELECT name FROM month")]

    def _read_again(self) -> None:
        adopted = self.meta("adopted", None)
        self.begun_again = adopted is not None
        """The journal was begun again at some time: what comes may be there."""
        self.arrivals = Arrivals(self.current, begun_again=self.begun_again)
        self.duplicates = Duplicates(self.months.files, adopted or 0)

    def _compare(self) -> None:
        """With the newest copy: `current.db` must not be older than it, nor describe otherwise what it describes.

        Raises:
            DamageError: a backup that was put back, a log that was lost, or a flipped bit.
        """
        path = schema.current_path(self._folder)
        copied: dict[str, Any] = dict(self.months.last_copy("counts").get("meta", []))
        if copied.get("sealed", 0) > self.shelves.sealed:
            raise DamageError(f"{path}: older than its months")
        for table, rows in self.months.last_copy("names").items():
            present = {row[0]: row for row in self.current.execute(f"SELECT * FROM {table}")}  # noqa: S608
            at = _RANK.get(table, slice(0, 0))
            if any(row[0] in present and row[at] == present[row[0]][at] and row != present[row[0]] for row in rows):
                raise DamageError(f"{path}: a row of {table} is not what it was")

    def _note_months(self) -> None:
        there = {path.stem for path in schema.month_paths(self._folder)}
        noted = {name for (name,) in self.current.execute("SELECT name FROM month")}
        writes = Writes()
        writes.add("INSERT INTO month VALUES (?)", [(name,) for name in sorted(there - noted)])
        writes.add("DELETE FROM month WHERE name = ?", [(name,) for name in sorted(noted - there)])
        if len(writes):
            writes.run(self.current)

    def _warn(self, news: Sequence[str]) -> None:
        if news:
            warnings = [*self._warnings, *([self.age.age_ns, line] for line in news)][-WARNINGS_MOST:]
            self.set("told", json.dumps(warnings))
            self._warnings = warnings
