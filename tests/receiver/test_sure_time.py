"""A clock that is set can only shorten a grant."""

from __future__ import annotations

import random

import pytest

from receiver.governed.sure_time import SETTLED_S, Reckoning

S = 10**9


def test_without_a_step_both_ends_are_the_wall_clock() -> None:
    """Nothing is lost where nobody sets the clock."""
    reckoning = Reckoning(1_000 * S, 5 * S)
    now = reckoning.advance(1_060 * S, 65 * S)
    assert (now.early_ns, now.late_ns) == (1_060 * S, 1_060 * S)


def test_a_step_back_never_revives_what_has_ended() -> None:
    """The end stays passed, over a restart as well."""
    reckoning = Reckoning(1_000 * S, 0)
    assert not reckoning.advance(1_100 * S, 100 * S).within(0, 1_050 * S)
    assert not reckoning.advance(900 * S, 101 * S).within(0, 1_050 * S)
    again = Reckoning(900 * S, 0, latest_ns=reckoning.latest_ns)
    assert not again.advance(901 * S, 1 * S).within(0, 1_050 * S)


def test_a_step_forward_begins_nothing_until_it_has_held() -> None:
    """A planned grant waits for its hour, and is let in once the new time has held long enough."""
    reckoning = Reckoning(1_000 * S, 0)
    assert not reckoning.advance(9_000 * S, 1 * S).within(8_000 * S, 90_000 * S)
    held = round(SETTLED_S)
    assert not reckoning.advance((8_999 + held) * S, held * S).within(8_000 * S, 90_000 * S)
    assert reckoning.advance((9_001 + held) * S, (held + 2) * S).within(8_000 * S, 90_000 * S)


@pytest.mark.parametrize("seed", range(50))
def test_no_history_of_steps_lengthens_a_window(seed: int) -> None:
    """Whatever is done to the wall clock within the hour, a window is in force for no longer than it is wide."""
    draw = random.Random(seed)
    true_s, offset_s, allowed_s = 0.0, 0.0, 0.0
    reckoning = Reckoning(0, 0)
    start, end = 600 * S, 1_200 * S
    while true_s < SETTLED_S / 2:
        step_s = draw.choice((0.5, 1.0, 5.0))
        true_s += step_s
        if draw.random() < 0.05:
            offset_s += draw.choice((-3_000, -300, -60, 60, 300, 3_000))
        wall_ns = round(max(true_s + offset_s, 0) * S)
        if reckoning.advance(wall_ns, round(true_s * S)).within(start, end):
            allowed_s += step_s
            assert true_s * S >= start, f"seed {seed}: begun before its hour"
    assert allowed_s <= 605, f"seed {seed}: {allowed_s} s of a window of 600 s"
