"""`state/emit.json`: what the emitter must remember over a restart, written once a second and read by two processes.

    boot      start counter, rising
    new       [segment, offset]: everything before it, but for `backlog`, had its first sending, spares included
    mark      [segment, offset, hash]: a block before it; a spool that was restored and went on differently has another
    backlog   stretches that had none
    repeats   stage, age, stretch: repeats still to come
    finished  ranges a stream, for the beats
    errand    name, position, blocks sent: what a person asked for and how much of it has left

The emitter goes on from it (`emit/emitter.py`), the poller learns from it what may go first (`retain.py`). Neither
believes it: every value is looked at here, and nothing of a damaged file goes further.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol.ranges import Ranges
from protocol.store.index import numbers_from_json, numbers_to_json
from protocol.store.resync import Place
from sender.store.spans import Mark

NAME = "emit.json"
"""In the state folder."""
_MOST = 1 << 62
"""Above every counter, place and time [ns] that was ever noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitState:
    """How far the emitter is."""

    boot: int = 0
    """Start counter."""
    new: Place | None = None
    """Everything before it, but for `backlog`, had its first sending; None: nothing is known of that."""
    mark: Mark | None = None
    """A block before `new`."""
    backlog: list[tuple[Place, Place]] = field(default_factory=list)
    """Stretches before `new` of which some block had no first sending."""
    repeats: list[list[Any]] = field(default_factory=list)
    """As `Repeats.to_json` gave it: stage, age [s], start, end, blocks."""
    finished: dict[bytes, Ranges] = field(default_factory=dict)
    """Numbers that had their first sending, a stream."""
    errand: dict[str, Any] = field(default_factory=dict)
    """The errand under way and how far; empty where there is none."""

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> EmitState:
        """Content of the file.

        Raises:
            ValueError, KeyError, TypeError and their kin: some value is none that an emitter notes.
        """
        (boot,) = _counts(told.get("boot", 0))
        if "new" not in told:  # the first second of the first start
            return cls(boot=boot)
        return cls(
            boot=boot,
            new=Place(*_counts(*told["new"])),
            mark=Mark(Place(*_counts(*told["mark"][:2])), bytes.fromhex(told["mark"][2])) if told.get("mark") else None,
            backlog=[_stretch(*one) for one in told["backlog"]],
            repeats=[_repeat(*one) for one in told["repeats"]],
            finished=numbers_from_json(told["finished"]),
            errand=_errand(told["errand"]) if told.get("errand") else {},
        )

    def to_json(self) -> dict[str, Any]:
        """The file's content."""
        if self.new is None:
            return {"boot": self.boot}
        return {
            "boot": self.boot,
            "new": list(self.new),
            "mark": None if self.mark is None else [*self.mark.place, self.mark.digest.hex()],
            "backlog": [[*start, *end] for start, end in self.backlog],
            "repeats": self.repeats,
            "finished": numbers_to_json(self.finished),
            "errand": self.errand,
        }


def _counts(*values: Any) -> tuple[int, ...]:
    for value in values:
        if type(value) is not int or not 0 <= value < _MOST:
            raise ValueError(f"no count: {str(value)[:40]}")
    return values


def _stretch(*told: Any) -> tuple[Place, Place]:
    a, b, c, d = _counts(*told)
    if (a, b) > (c, d):
        raise ValueError("a stretch that ends before it begins")
    return Place(a, b), Place(c, d)


def _repeat(stage: Any, age: Any, *rest: Any) -> list[Any]:
    if not isinstance(age, int | float) or not math.isfinite(age):
        raise ValueError("a repeat without an age")
    *stretch, blocks = rest
    start, end = _stretch(*stretch)
    return [*_counts(stage), float(age), *start, *end, *_counts(blocks)]


def _errand(told: Mapping[str, Any]) -> dict[str, Any]:
    name, (index, number), sent = told["name"], told.get("position", (0, 0)), told.get("sent", 0)
    _counts(index, sent)
    if not isinstance(name, str) or type(number) is not int or not 0 <= number <= 1 << 64:
        raise ValueError("no errand")
    return {"name": name, "position": [index, number], "sent": sent} if "position" in told else {"name": name}
