"""Which decisions poll tells the low side: each new one at once, and the newest ones again at each start.

Said again because nothing comes back over a diode: whatever the low side lost meanwhile, it hears of them once more.
The same words at the same time are the same answer, so saying it twice says nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from protocol.content.answered import RecommendationAnswer
from protocol.errors import StoreError
from sender.recommendations import answers

AGAIN = 20
"""Newest decisions that a start says again: a plant has fewer in a year."""


class AnswerTeller:
    """Looks into the folder, and tells."""

    def __init__(
        self, state: Path, tell: Callable[[RecommendationAnswer], None], say: Callable[[str], None], *, wall_ns: int
    ) -> None:
        """
        Args:
            state: The sender's state folder.
            tell: Takes each answer that the low side is to hear.
            say: Told of what cannot be read; polling goes on.
            wall_ns: Wall time [ns since 1970 UTC].
        """
        self._state, self._tell, self._say = state, tell, say
        self._told: set[str] = set()
        try:
            there = answers.numbers(state)
            known = answers.kept(state, say, wall_ns=wall_ns)
            self._told.update(there, (one.number for one in known))
        except OSError as error:
            say(f"{answers.FOLDER} cannot be read ({error.strerror}): answers wait until it can")
            return
        for one in known[-AGAIN:]:
            tell(one.answer)

    def look(self, wall_ns: int) -> None:
        """Tell what was decided since; call about once a second."""
        try:
            new = [number for number in answers.numbers(self._state) if number not in self._told]
        except OSError:
            return
        for number in new:
            self._told.add(number)
            try:
                one = answers.find(self._state, number, self._say, wall_ns=wall_ns)
            except StoreError as error:
                self._say(str(error))
                continue
            if one is not None:
                self._tell(one.answer)
