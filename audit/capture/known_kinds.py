"""Kinds of frames that were judged before: a frame's words lead to its kind without sorting.

A capture of a link holds millions of frames of some hundred kinds. The words of a frame are multiplied by numbers that
nobody can foresee and added up; the sum's upper bits name a slot, the slot a kind, and that kind's words are compared
with the frame's, each of them. So two kinds with one sum are never taken for one: where a slot is taken, the later kind
is not kept, and its frames are sorted by themselves each time. What is kept is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audit.capture.records import Bytes, Numbers

Mask: TypeAlias = npt.NDArray[np.bool_]
Words: TypeAlias = npt.NDArray[np.uint64]

MOST = 8192
"""Most kinds kept; frames of further ones are sorted as they come."""
_SLOT_BITS = 20


class KnownKinds:
    """A bounded table of kinds, each told by some words; number 0 stands for every kind that is not in it."""

    def __init__(self, words: int, row: int) -> None:
        """
        Args:
            words: Words of a kind.
            row: Bytes of its row.
        """
        self.count = 1
        """Kinds in the table, and 0."""
        self.flags: dict[str, Mask] = {}
        """What is told of kinds, by reason."""
        self._words = np.zeros((words, MOST + 1), np.uint64)
        self._slots = np.zeros(1 << _SLOT_BITS, np.int32)
        self._rows = np.zeros((MOST + 1, row), np.uint8)
        self._frames = np.zeros(MOST + 1, np.int64)

    def find(self, columns: Words, sums: Words) -> Numbers:
        """Each frame's kind.

        Args:
            columns: The frames' words, a column a frame.
            sums: Of each frame's words.
        """
        kinds = self._slots.take(_slots(sums)).astype(np.int64)
        for own, one in zip(self._words, columns, strict=True):
            kinds *= own.take(kinds) == one
        return kinds

    def add(self, kinds: Numbers) -> Numbers:
        """Count frames of known kinds; frames of each kind among these, 0 first."""
        counts = np.bincount(kinds, minlength=MOST + 1)
        self._frames += counts
        return counts

    def learn(self, columns: Words, sums: Words, rows: Bytes, flags: Mapping[str, Mask]) -> None:
        """Take kinds in, as far as there is room; they are counted from the next frames on.

        Args:
            columns: The words of each, all different, none of them in the table.
            sums, rows: Of each.
            flags: What is told of each, by reason.
        """
        for index, slot in enumerate(_slots(sums).tolist()):
            if self.count > MOST or self._slots[slot]:
                continue
            self._slots[slot] = self.count
            self._words[:, self.count], self._rows[self.count] = columns[:, index], rows[index]
            for why, mask in flags.items():
                if mask[index]:
                    self.flags.setdefault(why, np.zeros(MOST + 1, np.bool_))[self.count] = True
            self.count += 1

    def counted(self) -> Iterator[tuple[bytes, int]]:
        """Each kind's row, and the frames that `add` counted of it."""
        for kind in np.flatnonzero(self._frames[1:]).tolist():
            yield self._rows[kind + 1].tobytes(), int(self._frames[kind + 1])


def _slots(sums: Words) -> Numbers:
    return (sums >> np.uint64(64 - _SLOT_BITS)).view(np.int64)


def summed(columns: Words, salt: Words) -> Words:
    """A sum of each column.

    Args:
        columns: Words, a column a frame.
        salt: An odd number for each word at least, drawn at random.
    """
    sums: Words = columns[0] * salt[0]
    for index in range(1, len(columns)):
        sums += columns[index] * salt[index]
    return sums
