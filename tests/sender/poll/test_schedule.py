"""The schedule's laws: never drifts, never bursts, skips are counted; pauses double."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.poll.schedule import LATE, Backoff, Schedule, Seldom

PERIODS = st.lists(st.sampled_from([0.05, 0.1, 1 / 3, 0.5, 1.0, 2.5, 60.0]), min_size=1, max_size=4)
STEPS = st.lists(st.floats(0.0, 7.0), min_size=1, max_size=80)


@given(PERIODS, STEPS, st.floats(0, 1e7))
def test_slots_never_drift_never_burst_and_none_is_lost_uncounted(
    periods: list[float], steps: list[float], start: float
) -> None:
    """Every slot taken is at most half a period late and never early; taken and skipped together are all slots."""
    schedule = Schedule(periods, start)
    number = [-1] * len(periods)
    taken: list[list[float]] = [[] for _ in periods]
    now = start
    for step in steps:
        while slot := schedule.due(now):
            number[slot.scan] += slot.skipped + 1
            late = now - (start + number[slot.scan] * periods[slot.scan])
            slack = 1e-6 * periods[slot.scan] + 1e-6
            assert -slack <= late <= LATE * periods[slot.scan] + slack
            taken[slot.scan].append(now)
        assert schedule.deadline() > now
        now += step
    for period, times in zip(periods, taken, strict=True):
        slack = 1e-6 * period + 1e-6
        assert all(later - earlier >= (1 - LATE) * period - slack for earlier, later in itertools.pairwise(times))


def test_slots_are_exact_after_a_month() -> None:
    """Slots are computed from their number: after 26 million of 100 ms they are where they would be computed once."""
    schedule = Schedule([0.1], 0.0)
    slot = schedule.due(26_000_000 * 0.1)
    assert slot is not None
    assert slot.skipped == 26_000_000
    assert abs(schedule.deadline() - 2_600_000.1) < 1e-6


def test_stall_of_an_hour_costs_one_read() -> None:
    """After a stall each scan is read once, and the given up slots are counted."""
    schedule = Schedule([1.0, 10.0], 0.0)
    while schedule.due(0.0):
        pass
    slots = []
    while slot := schedule.due(3600.0):
        slots.append((slot.scan, slot.skipped))
    assert slots == [(0, 3599), (1, 359)]


def test_shortest_period_goes_first() -> None:
    """Of scans that are due together the fast one is taken first."""
    schedule = Schedule([60.0, 0.1, 1.0], 5.0)
    order = []
    while slot := schedule.due(5.0):
        order.append(slot.scan)
    assert order == [1, 2, 0]


def test_schedule_without_scans_is_never_due() -> None:
    """No scan, no slot."""
    schedule = Schedule([], 0.0)
    assert schedule.due(1e9) is None
    assert schedule.deadline() == float("inf")


@given(st.integers(0, 2**32), st.sampled_from([30.0, 60.0]))
def test_pauses_double_to_the_limit_and_begin_again(seed: int, most: float) -> None:
    """The n-th pause is within half and the whole of min(2^n, most) seconds, whatever the random numbers."""
    backoff = Backoff(Random(seed), 1.0, most)
    for _ in range(2):
        for count in range(40):
            whole = min(most, 2.0**count)
            assert whole / 2 <= backoff.next() <= whole
        backoff.reset()


@pytest.mark.parametrize(("failures", "good", "most"), [(9, 10.0, 1.0), (9, 5.0, 30.0), (1, 1.0, 1.0), (1, 0.4, 2.0)])
def test_a_pause_is_short_after_a_long_good_time(failures: int, good: float, most: float) -> None:
    """Ten times the first pause is long, however long the pauses had become; less than the last pause is not."""
    backoff = Backoff(Random(7), 1.0, 30.0)
    for _ in range(failures):
        backoff.next()
    backoff.lasted(good)
    assert most / 2 <= backoff.next() <= most


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 5)), max_size=60))
def test_what_is_seldom_said_is_said_completely(events: list[tuple[float, int]]) -> None:
    """Sayings are a period apart and together with the last one tell every happening."""
    seldom, now, told, times = Seldom(60.0), 0.0, 0, []
    for step, count in events:
        now += step
        said = seldom.add(count, now)
        if said:
            told += said
            times.append(now)
    told += seldom.add(0, now + 61)
    assert told == sum(count for _, count in events)
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(times))
