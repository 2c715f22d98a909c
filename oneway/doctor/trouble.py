"""A trouble, and which of several comes first: the one that explains the others.

    a configuration that cannot be read, then the disk, then who owns the files, then the key files: no process starts
    then the interface and the processes: nothing leaves or comes
    then the link, keys that do not belong together, the session: it comes and is not taken
    then loss, the plant, outputs, clock, rate: it is taken, and something is missing or late
    last what a process warned of that no rule knows

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Rank(IntEnum):
    """The more basic one is the smaller."""

    CONFIG = 0
    DISK = 1
    OWNER = 2
    KEY_FILE = 3
    INTERFACE = 4
    PROCESS = 5
    LINK = 6
    KEY_PAIR = 7
    SESSION = 8
    LOSS = 9
    PLANT = 10
    OUTPUT = 11
    CLOCK = 12
    RATE = 13
    SAID = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment:
    """One thing that is wrong."""

    rank: Rank
    name: str
    """One word for programs, such as `disk-full`."""
    cause: str
    """What is most likely so, one line."""
    evidence: tuple[str, ...] = ()
    """What was seen that says so."""
    step: str
    """What to do next: a line to type, or a thing to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found, the most basic first."""

    troubles: tuple[Ailment, ...]
    looked: tuple[str, ...]
    """What was looked at."""
    unseen: tuple[str, ...] = ()
    """What this user may not see."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "troubles": [
                {
                    "name": one.name,
                    "rank": one.rank.name.lower(),
                    "cause": one.cause,
                    "evidence": list(one.evidence),
                    "step": one.step,
                }
                for one in self.troubles
            ],
            "looked": list(self.looked),
            "unseen": list(self.unseen),
        }


def diagnosis(found: Sequence[Ailment], looked: Sequence[str], unseen: Sequence[str] = ()) -> Diagnosis:
    """Put in order; of equal rank what was found first stays first."""
    ordered = sorted(dict.fromkeys(found), key=lambda one: one.rank)
    return Diagnosis(troubles=tuple(ordered), looked=tuple(looked), unseen=tuple(dict.fromkeys(unseen)))


def lines(told: Diagnosis) -> Iterator[str]:
    """For a person: the cause, its evidence, the next step, then the rest."""
    if not told.troubles:
        yield "nothing found"
    else:
        first, *rest = told.troubles
        yield f"most likely: {first.cause}"
        yield from (f"  seen: {one}" for one in first.evidence)
        yield f"  next: {first.step}"
        for one in rest:
            yield f"also: {one.cause}"
            yield f"  next: {one.step}"
    yield f"looked at: {', '.join(told.looked)}"
    yield from (f"not seen: {one}" for one in told.unseen)
