"""The whole trail read and made again: which entries are not what was written, and what that proves.

    said of                                                found by
    a body that was changed                                its hash
    a body and its hash that were changed together         the hash of the entry after it
    entries that were exchanged, or copied elsewhere       the number in their bodies
    entries that are not there                             the numbers
    an index that keeps entries back, or has others        a sum over all marks, as the bodies give them
    guards that were taken away                            the tables, letter for letter
    the end cut off, an older copy put back                a checkpoint or an anchor beyond the end
    all written anew from some entry on                    a checkpoint or an anchor after it

The last two leave a chain that is whole. Nothing on the same machine finds them: a checkpoint that has left it does,
for the entries up to its number.

One pass, in steps of some thousand rows, so that neither memory nor the log of the database grows. Every step stands
on the stored hash before it alone, so a long trail is halved between two processes. The index is compared by a sum over
it (index_sum.py). Damage is counted; the first hundred faults are named.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import orjson

from receiver.governed.trail import trail_file
from receiver.governed.trail.form import BEGINNING, read_body
from receiver.governed.trail.index_sum import IndexSum, MarkWeights
from receiver.governed.trail.trail_error import TrailError

NAMED = 100
"""Most faults that are named."""
STEP = 5_000
"""Rows of one statement."""
WORTH_HALVING = 400_000
"""Entries from which on a second process pays for its start (a third of a second)."""


@dataclass(frozen=True, slots=True)
class TrailFault:
    """One thing that is not as it was written."""

    number: int
    """The entry, 0 for the file as a whole."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What somebody else says an entry is: a checkpoint, an anchor."""

    number: int
    digits: str
    """The first digits of its hash, hexadecimal."""
    told: str
    """`the checkpoint of 2026-11-28T05:45:00Z`."""


@dataclass(slots=True, kw_only=True)
class Verified:
    """What came of it."""

    entries: int = 0
    """Number of the last."""
    hash: bytes = BEGINNING
    """Its stored hash."""
    first: bytes = BEGINNING
    """That of entry 1, which names the trail."""
    faults: list[TrailFault] = field(default_factory=list)
    more: int = 0
    """Faults beyond those named."""
    agreed: list[Witness] = field(default_factory=list)
    """Witnesses that the trail holds as they say, by number."""

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.faults

    def add(self, fault: TrailFault) -> None:
        """One more; the first are named."""
        if len(self.faults) < NAMED:
            self.faults.append(fault)
        else:
            self.more += 1


class Chain:
    """Takes the rows of a stretch in order, and tells what does not fit; nothing of it is kept."""

    def __init__(self, after: int, before: bytes | None, governing: int | None, sums: IndexSum, *, marked: int) -> None:
        """
        Args:
            after: Number of the entry before the stretch.
            before: Its stored hash, None where it is not there.
            governing: Number of the last governing entry up to it, None where that cannot be told.
            marked: Up to which entry the index has marks.
        """
        self.number, self.before, self.governing = after, before, governing
        self._marked = marked
        self.marks = self.total = 0
        """How many marks the bodies give, and their sum."""
        self._sums, self._weights = sums, MarkWeights(sums)

    def take(self, rows: Iterable[tuple[object, object, object]]) -> Iterator[TrailFault]:
        """The next rows: number, body, hash.

        Raises:
            TrailError: their order makes no sense.
        """
        read, weigh = orjson.loads, self._weights.of
        weights: list[int] = []
        numbers: list[int] = []
        for number, body, held in rows:
            if type(number) is not int or type(body) is not bytes or type(held) is not bytes or number <= self.number:
                yield TrailFault(self.number + 1, "the order of the file is damaged: nothing after it can be read")
                raise TrailError("order")
            if number != self.number + 1:
                yield TrailFault(self.number + 1, f"{_entries(self.number + 1, number - 1)} not there")
                self.before = self.governing = None
            fits = self.before is None or sha256(self.before + body).digest() == held
            self.number, self.before = number, held
            try:
                told = read(body)
                kind, who, governs, facts = told["kind"], told["who"], told["governs"], told["facts"]
                place, governing = told["number"], told["governing"]
                plain = (
                    type(kind) is type(who) is type(told["from"]) is str
                    and type(place) is type(governing) is type(told["at"]) is int
                    and type(facts) is dict
                    and type(governs) is bool
                )
                fault = "" if plain else "cannot be read: members of other types"
            except (ValueError, KeyError, TypeError):
                plain, fault = False, "cannot be read: not what was written"
            if plain and place != number:
                plain, fault = False, f"in its place stands entry {place}"
            if not plain:
                self.governing = None
                yield TrailFault(number, fault)
                continue
            if not fits:
                yield TrailFault(number, "does not fit the hash before it: it was changed, or that hash was")
            elif governing != self.governing and self.governing is not None:
                text = f"names {governing} as the last entry before it that governs, and that is {self.governing}"
                yield TrailFault(number, text)
            self.governing = number if governs else governing
            if number <= self._marked:
                weights.append(weigh(kind, who, governs, facts))
                numbers.append(number)
        count, total = self._sums.of_entries(weights, numbers)
        self.marks, self.total = self.marks + count, self.total + total


def verify(
    path: Path,
    witnesses: Sequence[Witness] = (),
    *,
    random: Callable[[int], int],
    halve_from: int = WORTH_HALVING,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verified:
    """Read the whole trail.

    Args:
        path: The database; it may be written meanwhile, and is looked at up to its end of now.
        witnesses: What others say of entries.
        random: As `IndexSum.of` takes it.
        halve_from: Entries from which on a second process takes the later half.
        progress: Told how many entries are done, of how many.

    Raises:
        TrailError: it is not there, or cannot be opened.
    """
    done = Verified()
    connection = trail_file.open_reader(path)
    try:
        with trail_file.told(path):
            if odd := trail_file.difference(connection):
                done.add(TrailFault(0, odd))
                if "table" in odd or "later build" in odd:
                    return done
            _bounded(connection, path)
            _measure(connection, done)
            _whole(connection, path, done, IndexSum.of(random), halve_from, progress)
            _compare(connection, done, witnesses)
    except TrailError as error:
        done.add(TrailFault(0, str(error)))
    finally:
        connection.close()
    return done


def _bounded(connection: sqlite3.Connection, path: Path) -> None:
    """A damaged file can send SQLite round in its pages: end a statement that does far more than its size asks for."""
    left = [1_000 + path.stat().st_size // 1_000]

    def spent() -> int:
        left[0] -= 1
        return int(left[0] < 0)

    connection.set_progress_handler(spent, 10_000)


def _measure(connection: sqlite3.Connection, done: Verified) -> None:
    last = connection.execute("SELECT number, hash FROM entry ORDER BY number DESC LIMIT 1").fetchone()
    first = connection.execute("SELECT hash FROM entry WHERE number = 1").fetchone()
    if last and type(last[0]) is int and type(last[1]) is bytes:
        done.entries, done.hash = last
    if first and type(first[0]) is bytes:
        done.first = first[0]


def _whole(
    connection: sqlite3.Connection,
    path: Path,
    done: Verified,
    sums: IndexSum,
    halve_from: int,
    progress: Callable[[int, int], None],
) -> None:
    top, marks, total = done.entries, 0, 0
    marked = trail_file.marked(connection)
    end = connection.execute("SELECT max(number) FROM entry").fetchone()[0] or 0
    if marked > end:
        done.add(TrailFault(0, f"its index goes up to entry {marked}, and the last one is {end}"))
    marked = min(marked, top)
    readable = True
    if top >= halve_from:
        middle = top // 2
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            try:
                later = pool.submit(_stretch_of, path, middle, top, sums, marked)
            except (OSError, RuntimeError):  # no second process can be had
                later = None
            parts = [_stretch(connection, 0, middle, sums, marked, lambda at: progress(2 * at, top))]
            try:
                second = later.result() if later else None
            except BrokenProcessPool:  # killed: no memory for two, say
                second = None
            parts.append(second or _stretch(connection, middle, top, sums, marked, lambda at: progress(at, top)))
    else:
        parts = [_stretch(connection, 0, top, sums, marked, lambda at: progress(at, top))]
    for faults, count, part, whole in parts:
        for fault in faults:
            done.add(fault)
        marks, total, readable = marks + count, total + part, readable and whole
    if not readable:
        return
    if sums.of_index(connection, marked) != (marks, total % sums.modulus):
        done.add(TrailFault(0, "the index by which entries are found is not the one that the entries give"))


def _stretch_of(
    path: Path, after: int, top: int, sums: IndexSum, marked: int
) -> tuple[list[TrailFault], int, int, bool]:
    """`_stretch`, in a process of its own."""
    connection = trail_file.open_reader(path)
    try:
        _bounded(connection, path)
        return _stretch(connection, after, top, sums, marked, lambda at: None)
    finally:
        connection.close()


def _stretch(
    connection: sqlite3.Connection, after: int, top: int, sums: IndexSum, marked: int, progress: Callable[[int], None]
) -> tuple[list[TrailFault], int, int, bool]:
    """Faults of the entries above `after` up to `top`, their marks and their sum, and whether all could be read."""
    faults: list[TrailFault] = []
    chain = _begin(connection, after, sums, marked)
    at, whole = after, True
    try:
        while at < top:
            rows = connection.execute(
                "SELECT number, body, hash FROM entry WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
                (at, top, STEP),
            )
            for fault in chain.take(rows):
                faults.append(fault)
                if len(faults) > 100 * NAMED:
                    raise TrailError("too many faults")
            if chain.number == at:
                break  # the last number is a damaged one, far beyond what is there
            at = chain.number
            progress(at)
        if chain.number < top:
            faults.append(TrailFault(chain.number + 1, f"{_entries(chain.number + 1, top)} not there"))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        whole = False
        faults.append(TrailFault(chain.number + 1, f"the file is damaged there: {error}"))
    except TrailError:
        whole = False
    return faults, chain.marks, chain.total, whole


def _begin(connection: sqlite3.Connection, after: int, sums: IndexSum, marked: int) -> Chain:
    if not after:
        return Chain(0, BEGINNING, 0, sums, marked=marked)
    try:
        row = connection.execute("SELECT body, hash FROM entry WHERE number = ?", (after,)).fetchone()
        body = read_body(row[0], after)
        return Chain(after, row[1], after if body.governs else body.governing, sums, marked=marked)
    except (sqlite3.Error, UnicodeDecodeError, TrailError, TypeError):
        return Chain(after, None, None, sums, marked=marked)


def _compare(connection: sqlite3.Connection, done: Verified, witnesses: Sequence[Witness]) -> None:
    for one in sorted(witnesses, key=lambda one: one.number):
        if one.number > done.entries:
            text = f"{one.told} names this entry, and the trail ends at {done.entries}"
            done.add(TrailFault(one.number, f"{text}: its end was cut off, or an older copy was put back"))
            continue
        row = connection.execute("SELECT hash FROM entry WHERE number = ?", (one.number,)).fetchone()
        if row and type(row[0]) is bytes and row[0].hex().startswith(one.digits):
            done.agreed.append(one)
            continue
        since = f", after entry {done.agreed[-1].number}" if done.agreed else ""
        done.add(TrailFault(one.number, f"is not the one that {one.told} names: all was written anew up to it{since}"))


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
