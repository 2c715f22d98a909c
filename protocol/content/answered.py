"""What became of a recommendation on the high side, as it travels back: an EVENT about the sender (pure).

    code     recommendation
    source   its number
    text     accepted (file 3f2a9c0d11223344): in the June outage
    time     when a person decided, by the high side's clock

The digits are the first of the SHA-256 of the file that the person saw, so that the low side knows that it was its own.
Who decided does not travel: that is kept on the high side. The reason does; it was typed by a person, and is data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.content.applied import clean

CODE = "recommendation"
"""`code` of the EVENT."""
SEVERITY = 100
"""Of the EVENT: for information (OPC 10000-5, 6.4.2: 1 to 1000)."""
ACCEPTED, REJECTED = "accepted", "rejected"
WHY = 1_000
"""Longest reason [characters]."""
DIGITS = 16
"""Of the SHA-256, in hex."""

_TEXT = re.compile(rf"({ACCEPTED}|{REJECTED}) \(file ([0-9a-f]{{{DIGITS}}})\): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationAnswer:
    """Yes or no, and why."""

    number: str
    accepted: bool
    digits: str
    """First digits of the SHA-256 of the file."""
    why: str
    time_ns: int
    """By the high side's clock [ns since 1970 UTC]."""

    @property
    def word(self) -> str:
        """`accepted` or `rejected`."""
        return ACCEPTED if self.accepted else REJECTED

    def text(self) -> str:
        """The EVENT's text."""
        return f"{self.word} (file {self.digits[:DIGITS]}): {clean(self.why, WHY)}"


def read(code: str, source: str, text: str, time_ns: int) -> RecommendationAnswer | None:
    """The answer that an EVENT tells; None where it is another event, or says something that is not understood."""
    found = _TEXT.fullmatch(text) if code == CODE else None
    if found is None:
        return None
    word, digits, why = found.groups()
    return RecommendationAnswer(
        number=clean(source, 40), accepted=word == ACCEPTED, digits=digits, why=clean(why, WHY), time_ns=time_ns
    )
