"""How an address is described: what it takes, what it answers, and with what it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from receiver.portal.describing.answer_shapes import JsonSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryParameter:
    """A part of the question."""

    name: str
    says: str
    schema: JsonSchema
    """With its range."""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramAddress:
    """One address and how it is asked."""

    path: str
    method: str = "GET"
    """HEAD is answered wherever GET is."""
    says: str
    parameters: tuple[QueryParameter, ...] = ()
    shape: str = ""
    """Of its JSON in `answer_shapes.SHAPES`; empty: the answer is of another kind."""
    others: tuple[str, ...] = ()
    """Media types that the answer may have instead."""
    body: str = ""
    """Shape of the JSON that the question is; empty: it has none."""
    media: str = "application/json"
    refusals: tuple[int, ...] = (401, 503)
    """Statuses beside 200, of `REFUSALS`."""
    open: bool = False
    """Answered without signing in."""
    answers: bool = True
    """False: it is refused, whatever is asked."""


REFUSALS = {
    400: "Something is missing, is no number or time, or lies out of its range.",
    401: "Nobody is signed in, and nothing is open to anyone.",
    403: "A browser says that a foreign page sent this.",
    404: "It is not there, or outside of the reader's scope: the two are answered alike.",
    406: "None of the forms that Accept names is one of these.",
    410: "The cursor is of a history that was made anew or put back: begin again from a time.",
    501: "Nothing here can do this, or an extra of the installation is missing: the answer names it.",
    503: "Not now: the history cannot be read, the look cannot be put on record, or every place is taken.",
}
