"""What the emitter noted in `emit.json`, with every value looked at: nothing of a damaged file goes further than here.

The file is told in `emit/progress.py`, which writes it; the poller reads it for retention (retain.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol.ranges import Ranges
from protocol.store.index import numbers_from_json, numbers_to_json
from protocol.store.resync import START, Place
from sender.store.spans import Mark

_MOST = 1 << 62
"""Above every counter, place and time [ns] that was ever noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """The emitter's note."""

    boot: int = 0
    new: Place | None = None
    """Everything before it, but for `backlog`, had its first sending; None: nothing is known of that."""
    mark: Mark | None = None
    backlog: list[tuple[Place, Place]] = field(default_factory=list)
    repeats: list[list[Any]] = field(default_factory=list)
    """As `Repeats.to_json` gave it: stage, age [s], start, end, blocks."""
    finished: dict[bytes, Ranges] = field(default_factory=dict)
    errand: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Noted:
        """Content of the file.

        Raises:
            ValueError, KeyError, TypeError and their kin: some value is none that an emitter notes.
        """
        boot = _count(told.get("boot", 0))
        if "new" not in told:  # the first second of the first start
            return cls(boot=boot)
        errand = told.get("errand", {})
        return cls(
            boot=boot,
            new=_place(*told["new"]),
            mark=_mark(*told["mark"]) if told.get("mark") else None,
            backlog=[_stretch(*one) for one in told["backlog"]],
            repeats=[_repeat(*one) for one in told["repeats"]],
            finished=numbers_from_json(told["finished"]),
            errand=_errand(errand) if errand else {},
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

    def stretches_to_repeat(self) -> list[tuple[Place, Place]]:
        """What is to be sent once more, at least."""
        return [_stretch(a, b, c, d) for _, _, a, b, c, d, _ in self.repeats]


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise ValueError(f"no count: {str(value)[:40]}")
    return value


def _place(segment: Any, offset: Any) -> Place:
    return Place(_count(segment), _count(offset))


def _stretch(a: Any, b: Any, c: Any, d: Any) -> tuple[Place, Place]:
    start, end = _place(a, b), _place(c, d)
    if not START <= start <= end:
        raise ValueError("a stretch that ends before it begins")
    return start, end


def _mark(segment: Any, offset: Any, digest: Any) -> Mark:
    return Mark(_place(segment, offset), bytes.fromhex(digest))


def _repeat(stage: Any, age: Any, a: Any, b: Any, c: Any, d: Any, blocks: Any) -> list[Any]:
    if not isinstance(age, int | float) or not math.isfinite(age):
        raise ValueError("a repeat without an age")
    start, end = _stretch(a, b, c, d)
    return [_count(stage), float(age), *start, *end, _count(blocks)]


def _errand(told: Mapping[str, Any]) -> dict[str, Any]:
    stretch, number = told.get("position", (0, 0))
    position = [_count(stretch), int(number)]
    if not isinstance(told["name"], str) or not 0 <= position[1] <= 1 << 64:
        raise ValueError("no errand")
    if "position" not in told:
        return {"name": told["name"]}
    return {"name": told["name"], "position": position, "sent": _count(told["sent"])}
