"""Sets of numbers as ranges."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from protocol.ranges import Ranges, join_nearest

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda s: (s[0], s[0] + s[1])), max_size=30)


@given(SPANS)
def test_ranges_hold_what_a_set_holds(spans: list[tuple[int, int]]) -> None:
    """Membership, count, holes and the number of new members are those of a plain set."""
    ranges, plain = Ranges(), set[int]()
    for first, after in spans:
        fresh = set(range(first, after)) - plain
        assert ranges.add(first, after) == len(fresh)
        plain |= fresh
    assert ranges.count == len(plain)
    assert [n for n in range(80) if n in ranges] == sorted(plain)
    assert {n for a, b in ranges.holes(3, 75) for n in range(a, b)} == set(range(3, 75)) - plain
    assert {n for a, b in ranges.within(3, 75) for n in range(a, b)} == set(range(3, 75)) & plain
    assert all(ranges.holes(n, n) == [] == ranges.within(n, n) for n in range(80))
    assert ranges.top == max(plain, default=-1) + 1
    assert ranges.below(40) == len([n for n in plain if n < 40])
    starts = list(ranges)
    assert all(b < c for (_, b), (c, _) in pairwise(starts))


@given(SPANS, SPANS)
def test_ranges_less_others_are_what_is_in_the_one_alone(
    spans: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    """`less` is the difference of two plain sets, and changes neither."""
    ranges, other = Ranges(spans), Ranges(others)
    plain = {n for a, b in spans for n in range(a, b)} - {n for a, b in others for n in range(a, b)}
    assert ranges.less(other) == Ranges((n, n + 1) for n in sorted(plain))
    assert (ranges, other) == (Ranges(spans), Ranges(others))


@given(SPANS, st.integers(0, 70), st.integers(0, 20))
def test_ranges_remove_a_range_and_nothing_else(spans: list[tuple[int, int]], first: int, length: int) -> None:
    """`remove` leaves exactly the members outside it, and counts what went."""
    ranges = Ranges(spans)
    plain = {n for a, b in spans for n in range(a, b)}
    gone = plain & set(range(first, first + length))
    assert ranges.remove(first, first + length) == len(gone)
    assert ranges == Ranges((n, n + 1) for n in sorted(plain - gone))
    assert ranges.count == len(plain - gone)


@given(SPANS, st.integers(0, 80))
def test_ranges_forget_below_a_number_and_nothing_else(spans: list[tuple[int, int]], cut: int) -> None:
    """`remove_below` leaves exactly the members at or above the number."""
    ranges = Ranges(spans)
    plain = {n for a, b in spans for n in range(a, b)}
    assert ranges.remove_below(cut) == len([n for n in plain if n < cut])
    assert {n for a, b in ranges for n in range(a, b)} == {n for n in plain if n >= cut}
    assert ranges.count == len([n for n in plain if n >= cut])


@given(SPANS, st.integers(1, 5))
def test_joined_ranges_cover_all_and_are_few(spans: list[tuple[int, int]], most: int) -> None:
    """Joining keeps every member and respects the bound."""
    ranges = list(Ranges(spans))
    joined = join_nearest(ranges, most)
    assert len(joined) <= most or len(joined) == len(ranges) == 0
    assert {n for a, b in ranges for n in range(a, b)} <= {n for a, b in joined for n in range(a, b)}
