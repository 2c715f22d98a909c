"""A change of the high side's configuration, as both sides name it: who, when, why, what (SPEC.md, section 6.2).

    high side   the record beside the kept copy in `state/applied/` (sender/change/applications.py)
    the link    the text of a STATE about the sender whose `what` is `applied`: JSON, of at most `MOST` characters
    low side    the history; `status` and the pages show it

One STATE says all of one change, so that it can be said again at every start; where the lines of what changed do not
fit, it says how many it left out. Its texts were typed by people and come over the link: they are data, cut and made
encodable here, and made inert by whoever shows them. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from protocol.process.document import from_json, to_json

WHAT = "applied"
"""`what` of the STATE."""
MOST = 1000
"""Characters of a STATE's text."""
WHY, TICKET, BY = 240, 60, 60
"""Longest reason, ticket and name of a person [characters]: with any quotes in them, they fit into a STATE."""
LINE = 200
"""Longest line about what changed that travels along [characters]."""
DIGEST = 64
"""Digits of a SHA-256."""
LINES = 100
"""Most lines of one STATE that are read; a true one has room for fewer."""

APPLY, BACK, FOUND = "apply", "back", "found"
"""Kinds: a person applied a file; went back to the one before; or it was taken without any of this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedChange:
    """One change; of a later version's, or of none, the defaults stand."""

    kind: str = ""
    """`apply`, `back` or `found`; anything else is of a later version."""
    number: int = 0
    """Running number on the high side, from 1; 0: found by the running process, which gives no numbers."""
    place: int = 0
    """Number under which this configuration came first: of `back` that one's, else its own."""
    over: int = 0
    """The place of the configuration before; 0: none is known."""
    time_ns: int = 0
    """The high side's wall time [ns since 1970 UTC]."""
    by: str = ""
    """Who, as the high side's machine or that person says; proven by nothing."""
    why: str = ""
    ticket: str = ""
    before: str = ""
    """SHA-256 of the file before, in hex; on the link its first 16 digits; empty: not known."""
    after: str = ""
    """The same of the file since."""
    lines: tuple[str, ...] = ()
    """What changed, as it may cross the link (`sender/poll/difference.py`)."""
    more: int = 0
    """Lines that were left out."""

    def text(self) -> str:
        """The STATE's text."""
        short = replace(self, before=self.before[:16], after=self.after[:16], lines=(), more=0)
        for most in (WHY, WHY // 2, WHY // 4, 0):
            whole = replace(
                short, by=clean(self.by, BY), why=clean(self.why, min(most, WHY)), ticket=clean(self.ticket, TICKET)
            )
            if len(_text(whole)) <= MOST - len('"more": 1000000, '):
                break
        lines = [clean(line, LINE) for line in self.lines]
        fits = whole
        for count in range(1, len(lines) + 1):
            longer = replace(whole, lines=tuple(lines[:count]), more=len(lines) - count + self.more)
            if len(_text(longer)) > MOST:
                break
            fits = longer
        return _text(replace(fits, more=len(lines) - len(fits.lines) + self.more))

    def told(self) -> str:
        """What it is, in words for people: `application 12 by anna, ticket MOC-7: reason`."""
        if self.kind not in (APPLY, BACK, FOUND):
            return f"a change that is not understood here: {self.why}"
        if self.kind == FOUND:
            return "changed without apply" + (f", after application {self.over}" if self.over else "")
        what = f"application {self.number}" + (f", back to {self.place}" if self.kind == BACK else "")
        ticket = f", ticket {self.ticket}" if self.ticket else ""
        return f"{what} by {self.by or 'nobody named'}{ticket}: {self.why or 'no reason given'}"


def read(text: str) -> AppliedChange:
    """The change that a STATE's text tells; what cannot be read stands in `why` as it came."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    change = from_json(AppliedChange, told)
    if not change.kind:
        return AppliedChange(why=clean(text, MOST))
    return replace(
        change,
        kind=clean(change.kind, BY),
        by=clean(change.by, BY),
        why=clean(change.why, WHY),
        ticket=clean(change.ticket, TICKET),
        before=clean(change.before, DIGEST),
        after=clean(change.after, DIGEST),
        lines=tuple(clean(line, LINE) for line in change.lines[:LINES]),
        more=change.more + len(change.lines[LINES:]),
    )


def clean(text: str, most: int) -> str:
    """A text of at most so many characters that every form of the link can carry."""
    text = "".join(_encodable(text[: most + 1]))
    return text if len(text) <= most else text[: max(most - 2, 0)] + ".."[:most]


def _encodable(text: str) -> Iterator[str]:
    return ("?" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def _text(change: AppliedChange) -> str:
    """Only what is said."""
    return json.dumps({key: one for key, one in to_json(change).items() if one not in ("", 0, [])}, ensure_ascii=False)
