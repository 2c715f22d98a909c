"""What the address of the events' page asks for: `?asset=..&state=..&severity=..&q=..&from=..&to=..&before=..`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from receiver.outputs.historian.events.event_search import ALL_STATES, EventQuestion
from receiver.portal.pages import moment_ns

STATES: Mapping[str, tuple[str, frozenset[str]]] = {
    "": ("any", ALL_STATES),
    "active": ("active", frozenset(("active",))),
    "acknowledged": ("acknowledged", frozenset(("acked",))),
    "cleared": ("cleared", frozenset(("cleared",))),
    "happened": ("happened, does not stand", frozenset(("",))),
}
"""What may be chosen: its words, and the states of events that it means."""
SEVERITIES: Mapping[str, str] = {
    "": "any",
    "800": "trips: 800 and above",
    "500": "500 and above",
    "300": "300 and above",
}
ROWS = 200
"""Events on a page."""
LONGEST = 200
"""Characters of a text to look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventForm:
    """The question as a person filled it in."""

    question: EventQuestion
    fields: Mapping[str, str]
    """As they stand in the address; those left empty are not among them."""

    def address(self, path: str, **more: str) -> str:
        """The same question elsewhere, or on."""
        return f"{path}?{urlencode({**self.fields, **more})}" if self.fields or more else path

    def on(self, after: tuple[int, int]) -> str:
        """Where the answer goes on."""
        return self.address("/events", before=f"{after[0]}.{after[1]}")


def event_form(asked: QueryParams, *, limit: int = ROWS) -> EventForm:
    """Read the address.

    Raises:
        HTTPException: 400, where something is no number, time or choice.
    """
    fields = {
        name: asked[name].strip()[:LONGEST]
        for name in ("asset", "state", "severity", "q", "from", "to", "before")
        if asked.get(name, "").strip()
    }
    state = STATES.get(fields.get("state", ""))
    severity = fields.get("severity", "1")
    if state is None or not (severity.isascii() and severity.isdigit() and 1 <= int(severity[:9]) <= 1000):
        raise HTTPException(400)
    question = EventQuestion(
        asset=asked.get("asset", ""),  # whole: a name may be long, or begin with a space
        states=state[1],
        severity=int(severity),
        text=fields.get("q", ""),
        limit=limit,
    )
    if "asset" in fields:
        fields["asset"] = question.asset
    if "from" in fields:
        question = replace(question, from_ns=_within(moment_ns(fields["from"])))
    if "to" in fields:
        question = replace(question, to_ns=_within(moment_ns(fields["to"])))
    before = fields.pop("before", "")
    if before:
        boot, dot, number = before.partition(".")
        if not dot or not all(one.isascii() and one.isdigit() and len(one) <= 18 for one in (boot, number)):
            raise HTTPException(400)
        question = replace(question, before=(int(boot), int(number)))
    return EventForm(question=question, fields=fields)


def _within(time_ns: int) -> int:
    if not -(2**62) < time_ns < 2**62:
        raise HTTPException(400)
    return time_ns
