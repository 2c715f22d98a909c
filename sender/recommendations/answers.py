"""`state/recommendations/NUMBER.json`: what a person decided about a recommendation, kept for ever.

Written by `checkvalve recommendation` alone, once for a number; poll reads it and tells the low side. There is nothing
in it but words and who said them: no part of the high side makes a change of it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.content.answered import RecommendationAnswer
from protocol.errors import StoreError
from protocol.process.document import from_json, to_json
from protocol.store import statefile
from protocol.store.held_folder import held

FOLDER = "recommendations"

Say = Callable[[str], None]

_NAME = re.compile(r"([A-Za-z0-9-]{1,40})\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """Who decided what, when and why."""

    number: str = ""
    site: str = ""
    asset: str = ""
    what: str = ""
    """The first line of what was proposed."""
    proposed_by: str = ""
    accepted: bool = False
    why: str = ""
    by: str = ""
    """Who decided, as the machine or that person says; proven by nothing."""
    time_ns: int = 0
    """By the high side's clock [ns since 1970 UTC]."""
    sha256: str = ""
    """Of the file that was decided on, in hex."""
    key: str = ""
    """Id of the key that signed it, in hex."""

    @property
    def answer(self) -> RecommendationAnswer:
        """What of it travels to the low side."""
        return RecommendationAnswer(
            number=self.number, accepted=self.accepted, digits=self.sha256, why=self.why, time_ns=self.time_ns
        )


def alone(state: Path) -> contextlib.AbstractContextManager[None]:
    """While it holds, nobody else decides.

    Raises:
        HeldError: somebody does.
        OSError: the folder cannot be made or written.
    """
    return held(state / FOLDER, "another `checkvalve recommendation` is under way")


def numbers(state: Path) -> list[str]:
    """Of what was decided, in no order that means anything.

    Raises:
        OSError: the folder cannot be read; one that is not there holds nothing.
    """
    try:
        names = os.listdir(state / FOLDER)
    except FileNotFoundError:
        return []
    return sorted(match[1] for name in names if (match := _NAME.fullmatch(name)))


def find(state: Path, number: str, say: Say, *, wall_ns: int) -> KeptAnswer | None:
    """The decision about a recommendation, None where there is none yet.

    Args:
        say: Told of a file that was set aside.
        wall_ns: Wall time [ns since 1970 UTC].

    Raises:
        StoreError: the disk does not give it.
    """
    if not _NAME.fullmatch(f"{number}.json"):
        return None
    return statefile.load(state / FOLDER / f"{number}.json", _parsed, say, wall_ns=wall_ns)


def kept(state: Path, say: Say, *, wall_ns: int) -> list[KeptAnswer]:
    """All decisions that can be read, oldest first; what cannot is told.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    for number in numbers(state):
        try:
            one = find(state, number, say, wall_ns=wall_ns)
        except StoreError as error:
            say(str(error))
            continue
        found += [one] if one is not None else []
    return sorted(found, key=lambda one: (one.time_ns, one.number))


def keep(state: Path, answer: KeptAnswer) -> None:
    """Write a decision down, durably. Hold `alone`, and have looked that there is none.

    Raises:
        OSError: it cannot be written.
    """
    data = statefile.pack(to_json(answer))
    statefile.write(state / FOLDER / f"{answer.number}.json", data, inside=state)


def _parsed(told: Mapping[str, Any]) -> KeptAnswer:
    answer = from_json(KeptAnswer, told)
    if not _NAME.fullmatch(f"{answer.number}.json") or not re.fullmatch("[0-9a-f]{64}", answer.sha256):
        raise ValueError("no decision")
    return answer
