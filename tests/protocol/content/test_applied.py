"""A change as the text of a STATE: it always fits, it is always read, and nothing in it is believed to be short."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.content.applied import APPLY, BACK, BY, FOUND, LINE, LINES, MOST, TICKET, WHY, AppliedChange, read

CHANGE = AppliedChange(
    kind=APPLY,
    number=12,
    place=12,
    over=11,
    time_ns=1_800_000_000_000_000_000,
    by="anna (as root)",
    why="the range was wrong",
    ticket="MOC-7",
    before="ab" * 32,
    after="cd" * 32,
    lines=("pump-7 changed: tags flow added", "fan-2 taken out"),
)
NASTY = st.text(st.characters(), max_size=3000)


def test_the_text_tells_the_change_with_short_digests() -> None:
    """What the low side reads is what the high side kept."""
    assert read(CHANGE.text()) == replace(CHANGE, before="ab" * 8, after="cd" * 8)
    assert CHANGE.told() == "application 12 by anna (as root), ticket MOC-7: the range was wrong"
    assert replace(CHANGE, kind=BACK, place=3).told().startswith("application 12, back to 3 by anna")
    assert replace(CHANGE, kind=FOUND).told() == "changed without apply, after application 11"


@given(by=NASTY, why=NASTY, ticket=NASTY, lines=st.lists(NASTY, max_size=30), number=st.integers(0, 2**60))
def test_whatever_was_typed_fits_into_a_state_and_is_read(
    by: str, why: str, ticket: str, lines: list[str], number: int
) -> None:
    """Cut, but never torn: who, the number and how many lines are missing come through."""
    text = replace(CHANGE, by=by, why=why, ticket=ticket, lines=tuple(lines), number=number).text()
    assert len(text) <= MOST
    msgpack.packb(text)
    told = read(text)
    assert (told.kind, told.number, told.after) == (APPLY, number, "cd" * 8)
    assert len(told.lines) + told.more == len(lines)


def test_the_longest_that_is_taken_comes_through_uncut() -> None:
    """Also where every letter needs two."""
    long = replace(CHANGE, by='"' * BY, why='"' * WHY, ticket='"' * TICKET, lines=("x" * 5000,) * 9)
    told = read(long.text())
    assert (told.by, told.ticket, told.why, len(told.lines) + told.more) == (long.by, long.ticket, long.why, 9)


FORGED = (
    "",
    "x" * 70_000,
    "{",
    "[]",
    "[" * 60_000,
    '{"kind": 7}',
    '{"kind": "apply", "number": "1", "time_ns": 1e999, "lines": {"a": 1}}',
    '{"kind": "apply", "lines": [' + ",".join(['"x"'] * 20_000) + "]}",
    '{"kind": "apply", "why": "' + "y" * 60_000 + '", "by": "\\ud800"}',
    '{"kind": "nothing that is known", "number": -5}',
)


@pytest.mark.parametrize("text", FORGED, ids=range(len(FORGED)))
def test_a_forged_text_is_read_within_bounds(text: str) -> None:
    """Nothing is raised, nothing is long, and everything can be encoded."""
    change = read(text)
    assert len(change.lines) <= LINES
    assert all(len(line) <= LINE for line in change.lines)
    for held in (change.kind, change.by, change.why, change.ticket, change.told()):
        assert len(held.encode()) <= 4 * MOST
