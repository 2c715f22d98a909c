"""What somebody proposes for one machine, in words: nothing in it is an instruction to a program (pure).

Every part is a text that a person reads. A value says what it is called, what it is thought to be, and what it should
be; no address, no type and no command is among them, so there is nothing that could be done by itself.

Texts come from people of another company, and on the high side out of a file that was carried in: they are bounded and
made encodable here, and made inert by whoever shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

WHAT, WHY = 2_000, 8_000
"""Longest description of the change, and longest reason [characters]."""
NAME = 200
"""Longest name, and longest value [characters]."""
VALUES = 50
"""Most values."""
ATTACHMENTS = 8
"""Most attachments."""
ATTACHED = 32 * 1024
"""Most characters of all attachments together: with the rest they fit one entry of the trail, however written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedValue:
    """One value, in the proposer's words."""

    name: str
    """Of a parameter or a tag."""
    now: str = ""
    """What it is thought to be; empty where that is not known."""
    proposed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A text that goes with it: a measurement as CSV, a note."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is proposed, and why."""

    site: str
    asset: str
    what: str
    """What should be changed; may have several lines, as `why`."""
    why: str
    values: tuple[ProposedValue, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    def faults(self) -> Iterator[str]:
        """What is wrong with it, in words for who wrote it; nothing where it may be made."""
        names = (("the site", self.site, NAME), ("the asset", self.asset, NAME))
        texts = (*names, ("what should be changed", self.what, WHAT), ("the reason", self.why, WHY))
        for name, text, most in texts:
            yield from _text(name, text, most, lines=name not in ("the site", "the asset"))
        if len(self.values) > VALUES:
            yield f"{len(self.values)} values; {VALUES} are the most"
        for value in self.values[:VALUES]:
            yield from _text("a value's name", value.name, NAME)
            yield from _text(f"the proposed value of {value.name[:NAME]}", value.proposed, NAME)
            yield from _text(f"the present value of {value.name[:NAME]}", value.now, NAME, empty=True)
        if len(self.attachments) > ATTACHMENTS:
            yield f"{len(self.attachments)} attachments; {ATTACHMENTS} are the most"
        for one in self.attachments[:ATTACHMENTS]:
            yield from _text("an attachment's name", one.name, NAME)
            yield from _text(f"attachment {one.name[:NAME]}", one.text, ATTACHED, lines=True)
        if sum(len(one.text) for one in self.attachments) > ATTACHED:
            yield f"the attachments together are longer than {ATTACHED:,} characters"


def plain(text: str) -> str:
    """As it is kept: lines end with a line feed, no blanks around it, half a surrogate pair is a question mark."""
    text = text.encode("utf-8", "replace").decode()
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _text(name: str, text: str, most: int, *, lines: bool = False, empty: bool = False) -> Iterator[str]:
    if not text.strip() and not empty:
        yield f"{name} is missing"
    if len(text) > most:
        yield f"{name} is longer than {most:,} characters"
    if text != plain(text) or (not lines and "\n" in text):
        yield f"{name} has line ends, blanks around it or half characters that it may not have"
