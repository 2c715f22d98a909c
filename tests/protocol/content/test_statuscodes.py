"""Qualities are shown by name."""

from __future__ import annotations

import pytest
from asyncua.ua import status_codes

from protocol.content.sample import NO_TIME, Row
from protocol.content.statuscodes import NAMES
from sender.commands.watch import quality


def test_every_code_of_the_standard_has_its_name() -> None:
    """As another implementation of it has them."""
    named = {code >> 16: name for code, (name, _) in status_codes.code_to_name_doc.items() if code >> 16}
    assert named == NAMES


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (0, "good"),
        (0x808D0000, "BadOutOfService"),
        (0x80DB0480, "BadTooManyMonitoredItems"),
        (0x40900000, "uncertain last usable"),
        (0x00000400, "good"),
        (0x8FFF0000, "Bad (0x8FFF0000, which the standard does not name)"),
    ],
)
def test_a_quality_is_shown_by_name(code: int, shown: str) -> None:
    """Never as a bare number; flags in its lower half change nothing."""
    assert quality(Row(0, 0, None, code, 0, NO_TIME)) == shown
