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
on the stored hash before it alone, so a long trail is halved between two processes. Marks are compared as a sum that is
made with numbers drawn anew each time: what was put into the index to balance what was taken out would have to know
them. Damage is counted; the first hundred faults are named.
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

import numpy as np
import orjson
from numpy.typing import NDArray

from receiver.governed.trail import trail_file
from receiver.governed.trail.entry import TrailEntry
from receiver.governed.trail.form import BEGINNING, INDEXED, mark_key, marks_of, read_body
from receiver.governed.trail.trail_error import TrailError

NAMED = 100
"""Most faults that are named."""
STEP = 5_000
"""Rows of one statement."""
WORTH_HALVING = 400_000
"""Entries from which on a second process pays for its start (a third of a second)."""
_REMEMBERED = 50_000
"""Most texts of one name whose keys are remembered."""


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


@dataclass(frozen=True, slots=True)
class IndexSum:
    """Numbers drawn for one verification."""

    prime: int
    other: int
    mask: int

    @classmethod
    def of(cls, random: Callable[[int], int]) -> IndexSum:
        """
        Args:
            random: A number from 0 up to below what it is given.
        """
        return cls(2**30 + 1 + 2 * random(2**29), 2**30 + 1 + 2 * random(2**29), random(2**31))

    def total(self, keys: Sequence[int], numbers: NDArray[np.int64]) -> int:
        """The sum over marks, as `_SUM` makes it in the database."""
        mixed = (numbers ^ self.mask) % self.other
        return int((np.array(keys, np.int64) % self.prime * mixed % self.prime).sum())


_SUM = "SELECT count(*), sum(key % ?1 * (((number | ?3) - (number & ?3)) % ?2) % ?1) FROM mark WHERE number <= ?4"


class Chain:
    """Takes the rows of a stretch in order, and tells what does not fit; nothing of it is kept."""

    def __init__(self, after: int, before: bytes | None, governing: int | None, draw: IndexSum) -> None:
        """
        Args:
            after: Number of the entry before the stretch.
            before: Its stored hash, None where it is not there.
            governing: Number of the last governing entry up to it, None where that cannot be told.
        """
        self.number, self.before, self.governing = after, before, governing
        self.marks = self.total = 0
        """How many marks the bodies give, and their sum."""
        self._draw = draw
        self._keys: list[int] = []
        self._counts: list[int] = []
        self._numbers: list[int] = []
        self._known: dict[tuple[str, str, bool], list[int]] = {}
        self._facts: list[tuple[str, str, dict[str, int]]] = [(name, asked, {}) for name, asked in INDEXED.items()]

    def take(self, rows: Iterable[tuple[object, object, object]]) -> Iterator[TrailFault]:
        """The next rows: number, body, hash.

        Raises:
            TrailError: their order makes no sense.
        """
        read = orjson.loads
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
            found = self._marks(kind, who, governs, facts)
            self._keys += found
            self._counts.append(len(found))
            self._numbers.append(number)
        self.marks += len(self._keys)
        self.total += self._draw.total(self._keys, np.repeat(np.array(self._numbers, np.int64), self._counts))
        self._keys, self._counts, self._numbers = [], [], []

    def _marks(self, kind: str, who: str, governs: bool, facts: dict[str, object]) -> list[int]:
        """The keys of `form.marks_of`; most of them are remembered, by the texts that they are made of."""
        found = self._known.get((kind, who, governs))
        if found is None:
            bare = TrailEntry(kind=kind, at_ns=0, who=who)
            found = [mark_key(mark) for mark in marks_of(bare, governs=governs)]
            if len(self._known) < _REMEMBERED:
                self._known[kind, who, governs] = found
        found = found.copy()
        several = False
        for name, asked, known in self._facts:
            fact = facts.get(name)
            if type(fact) is str:
                found.append(known.get(fact) or self._key(asked, fact, known))
                several = several or name != asked
            elif type(fact) is list:
                found += [known.get(text) or self._key(asked, text, known) for text in fact if type(text) is str]
                several = True
        return list(set(found)) if several else found

    def _key(self, asked: str, text: str, known: dict[str, int]) -> int:
        key = mark_key(f"{asked}={text}")
        if len(known) < _REMEMBERED:
            known[text] = key
        return key


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
    draw: IndexSum,
    halve_from: int,
    progress: Callable[[int, int], None],
) -> None:
    top, marks, total = done.entries, 0, 0
    readable = True
    if top >= halve_from:
        middle = top // 2
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            later = pool.submit(_stretch_of, path, middle, top, draw)
            parts = [_stretch(connection, 0, middle, draw, lambda at: progress(2 * at, top))]
            try:
                parts.append(later.result())
            except BrokenProcessPool:  # no memory for a second one, say
                parts.append(_stretch(connection, middle, top, draw, lambda at: progress(at, top)))
    else:
        parts = [_stretch(connection, 0, top, draw, lambda at: progress(at, top))]
    for faults, count, sums, whole in parts:
        for fault in faults:
            done.add(fault)
        marks, total, readable = marks + count, total + sums, readable and whole
    if not readable:
        return
    row = connection.execute(_SUM, (draw.prime, draw.other, draw.mask, top)).fetchone()
    beyond = connection.execute("SELECT count(*) FROM mark WHERE number < 1").fetchone()[0]
    if (row[0], row[1] or 0) != (marks, total) or beyond:
        done.add(TrailFault(0, "the index by which entries are found is not the one that the entries give"))


def _stretch_of(path: Path, after: int, top: int, draw: IndexSum) -> tuple[list[TrailFault], int, int, bool]:
    """`_stretch`, in a process of its own."""
    connection = trail_file.open_reader(path)
    try:
        _bounded(connection, path)
        return _stretch(connection, after, top, draw, lambda at: None)
    finally:
        connection.close()


def _stretch(
    connection: sqlite3.Connection, after: int, top: int, draw: IndexSum, progress: Callable[[int], None]
) -> tuple[list[TrailFault], int, int, bool]:
    """Faults of the entries above `after` up to `top`, their marks and their sum, and whether all could be read."""
    faults: list[TrailFault] = []
    chain = _begin(connection, after, draw)
    at, whole = after, True
    try:
        while at < top:
            upto = min(at + STEP, top)
            rows = connection.execute(
                "SELECT number, body, hash FROM entry WHERE number > ? AND number <= ? ORDER BY number", (at, upto)
            )
            for fault in chain.take(rows):
                faults.append(fault)
                if len(faults) > 100 * NAMED:
                    raise TrailError("too many faults")
            at = upto
            progress(at)
        if chain.number < top:
            faults.append(TrailFault(chain.number + 1, f"{_entries(chain.number + 1, top)} not there"))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        whole = False
        faults.append(TrailFault(chain.number + 1, f"the file is damaged there: {error}"))
    except TrailError:
        whole = False
    return faults, chain.marks, chain.total, whole


def _begin(connection: sqlite3.Connection, after: int, draw: IndexSum) -> Chain:
    if not after:
        return Chain(0, BEGINNING, 0, draw)
    try:
        row = connection.execute("SELECT body, hash FROM entry WHERE number = ?", (after,)).fetchone()
        body = read_body(row[0], after)
        return Chain(after, row[1], after if body.governs else body.governing, draw)
    except (sqlite3.Error, UnicodeDecodeError, TrailError, TypeError):
        return Chain(after, None, None, draw)


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
