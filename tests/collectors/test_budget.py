"""A device is asked at most as often as was allowed, whatever asks."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.base import GENTLE_REQUESTS_S, Device
from collectors.budget import Budget

LAW = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@LAW
@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_window_holds_more_than_the_rate_and_a_second_of_it(rate: float, gaps: list[float]) -> None:
    """Requests in any window of w seconds: at most max(1, rate) + rate * w."""
    budget, now, left = Budget(rate), 0.0, []
    for gap in gaps:
        now += gap
        now += budget.spend(now)  # whoever asks waits as long as it is told
        left.append(now)
    for first in range(len(left)):
        for last in range(first, len(left)):
            window = left[last] - left[first]
            assert last - first + 1 <= max(1.0, rate) + rate * window + 1e-6


def test_a_plan_within_the_rate_is_never_held_back() -> None:
    """Five requests at each second of a budget of five leave at once."""
    budget = Budget(5.0)
    assert [budget.spend(float(second)) for second in range(100) for _ in range(5)] == [0.0] * 500
    assert budget.held_back == 0


def test_without_a_rate_nothing_waits() -> None:
    """A process device is asked as its scans need."""
    budget = Budget(None)
    assert [budget.spend(0.0) for _ in range(1000)] == [0.0] * 1000


def test_a_thread_that_is_given_up_does_not_wait_out_its_pause() -> None:
    """A collector can be cancelled while it waits for its turn."""
    budget, given_up = Budget(0.001), threading.Event()
    budget.pause(given_up)
    begun = time.monotonic()
    given_up.set()
    budget.pause(given_up)
    assert time.monotonic() - begun < 5
    assert budget.held_back == 1


def test_a_coroutine_waits_its_turn() -> None:
    """Two requests at twenty a second after the first second's worth: a twentieth of a second each."""

    async def main() -> float:
        budget = Budget(20.0)
        begun = time.monotonic()
        for _ in range(22):
            await budget.wait()
        return time.monotonic() - begun

    assert asyncio.run(main()) >= 0.09


@pytest.mark.parametrize(
    ("kind", "typed", "budget"),
    [("process", None, None), ("process", 3.0, 3.0), ("safety", None, GENTLE_REQUESTS_S), ("protection", 0.5, 0.5)],
)
def test_gentle_devices_have_a_budget_without_being_asked(kind: str, typed: float | None, budget: float | None) -> None:
    """What a person typed counts; a safety or protection device has one in any case."""
    device = Device(name="d", url="tcp://h", kind=kind, settings={}, scans=(), requests_s=typed)
    assert device.budget == budget
