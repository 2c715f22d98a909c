"""Whether the index is the one that the entries give, without sorting either: a sum over all marks.

Each mark adds its key times its number, both mixed, modulo a number that is drawn anew for each verification, as what
mixes them is. Who takes marks out of the index and puts others in to balance them would have to know both.

    an entry   the sum of its keys first, then once times its number: its weight, most of it remembered by its texts
    the index  one statement that SQLite runs over all rows

A weight holds the sum in the low 40 bits, and how many marks above them: weights of some marks of one entry are added
up as they are, as long as they are no more than 500.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from receiver.governed.trail.entry import Fact, TrailEntry
from receiver.governed.trail.form import INDEXED, mark_key, marks_of

_ONE = 1 << 40
_REMEMBERED = 50_000
"""Most texts of one name whose weights are remembered."""
_SUM = "SELECT count(*), sum(key % ?1 * (((number | ?2) - (number & ?2)) % ?1) % ?1) FROM mark WHERE number <= ?3"


@dataclass(frozen=True, slots=True)
class IndexSum:
    """The numbers drawn for one verification."""

    modulus: int
    mask: int

    @classmethod
    def of(cls, random: Callable[[int], int]) -> IndexSum:
        """
        Args:
            random: A number from 0 up to below what it is given.
        """
        return cls(2**30 + 1 + 2 * random(2**29), random(2**31))

    def weight(self, marks: Iterable[str]) -> int:
        """Of marks of one entry, none of them twice."""
        keys = [mark_key(mark) for mark in marks]
        return len(keys) * _ONE + sum(key % self.modulus for key in keys) % self.modulus

    def of_entries(self, weights: Sequence[int], numbers: Sequence[int]) -> tuple[int, int]:
        """How many marks some entries have, and their sum.

        Args:
            weights: Of all marks of an entry.
            numbers: Of these entries.
        """
        held = np.array(weights, np.int64)
        mixed = (np.array(numbers, np.int64) ^ self.mask) % self.modulus
        total = int((held % _ONE % self.modulus * mixed % self.modulus).sum())
        return int((held // _ONE).sum()), total % self.modulus

    def of_index(self, connection: sqlite3.Connection, top: int) -> tuple[int, int]:
        """The same of the index, up to an entry.

        Raises:
            sqlite3.Error: the file is damaged.
        """
        row = connection.execute(_SUM, (self.modulus, self.mask, top)).fetchone()
        beyond = connection.execute("SELECT count(*) FROM mark WHERE number < 1").fetchone()
        return row[0] + beyond[0], (row[1] or 0) % self.modulus


class MarkWeights:
    """Weights of entries, from the marks that `form.marks_of` gives them."""

    def __init__(self, sums: IndexSum) -> None:
        """
        Args:
            sums: What they are made for.
        """
        self._sums = sums
        self._known: dict[tuple[str, str, bool], int] = {}
        self._facts: list[tuple[str, str, dict[str, int]]] = [(name, asked, {}) for name, asked in INDEXED.items()]

    def of(self, kind: str, who: str, governs: bool, facts: dict[str, Fact]) -> int:
        """Of one entry."""
        total = self._known.get((kind, who, governs))
        if total is None:
            total = self._sums.weight(marks_of(TrailEntry(kind=kind, at_ns=0, who=who), governs=governs))
            if len(self._known) < _REMEMBERED:
                self._known[kind, who, governs] = total
        for name, asked, known in self._facts:
            fact = facts.get(name)
            if fact is None:
                continue
            if type(fact) is list and len(fact) == 1:
                fact = fact[0]
            if type(fact) is str and (name == asked or asked not in facts):
                weight = known.get(fact)
                total += self._learnt(asked, fact, known) if weight is None else weight
            elif type(fact) is list and len(fact) < 50 and asked not in facts:
                for text in {one for one in fact if type(one) is str}:
                    weight = known.get(text)
                    total += self._learnt(asked, text, known) if weight is None else weight
            else:  # rare: what several facts say together is found once
                entry = TrailEntry(kind=kind, at_ns=0, who=who, facts=facts)
                return self._sums.weight(marks_of(entry, governs=governs))
        return total

    def _learnt(self, asked: str, text: str, known: dict[str, int]) -> int:
        weight = self._sums.weight([f"{asked}={text}"])
        if len(known) < _REMEMBERED:
            known[text] = weight
        return weight
