"""The marks of a report's axes: round values, each written as it is."""

from __future__ import annotations

import random

import pytest

from receiver.portal import words
from receiver.portal.asset_report.axis_ticks import value_ticks
from receiver.portal.asset_report.drawing import _places


@pytest.mark.parametrize("seed", range(4))
def test_what_stands_at_a_mark_is_its_value(seed: int) -> None:
    """However narrow the range of a tag without decimals is: a mark at 0.2 does not read 0."""
    chance = random.Random(seed)
    for _ in range(300):
        low = chance.uniform(-1000, 1000)
        high = low + 10.0 ** chance.uniform(-4, 6)
        ticks = value_ticks(low, high)
        step = ticks[1] - ticks[0]
        for at in ticks[: len(ticks) if len(ticks) > 2 else 0]:
            text = words.number(at, _places(ticks))
            told = float("".join(letter for letter in text.replace("\u2212", "-") if letter in "-.0123456789"))
            assert abs(told - at) < step / 1000, (seed, low, high, at, text)
