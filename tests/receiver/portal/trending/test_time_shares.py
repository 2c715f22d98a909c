"""Shares of time: how long a tag had which value, and for how long nobody knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.portal.trending.time_shares import HeldValues, held_values, state_shares, time_shares

S = 10**9


def held(samples: str, *, to: int = 10, longest: float | None = None, gaps: str = "", renewed: float = 0) -> HeldValues:
    """Samples as `0=5 3=7 4=bad`, gaps as `2-4`, all in seconds, over 0 to `to`."""
    parts = [one.split("=") for one in samples.split()]
    times = np.array([int(at) * S for at, _ in parts], np.int64)
    usable = np.array([value != "bad" for _, value in parts], bool)
    values = np.array([float(value) if value != "bad" else np.nan for _, value in parts])
    unknown = [(float(a) * S, float(b) * S) for a, b in (gap.split("-") for gap in gaps.split())]
    return held_values(
        times,
        values,
        usable,
        from_ns=0,
        to_ns=to * S,
        longest_ns=None if longest is None else longest * S,
        unknown=unknown,
        renewed_ns=renewed * S,
    )


def told(found: HeldValues) -> str:
    return " ".join(f"{value:g}:{length / S:g}" for value, length in zip(found.value, found.length_ns, strict=True))


@pytest.mark.parametrize(
    ("samples", "more", "known"),
    [
        ("0=5 4=7", {}, "5:4 7:6"),
        ("-3=5 4=7", {}, "5:4 7:6"),  # the one before the range stands at its begin
        ("2=5", {}, "5:8"),  # nothing is known before the first
        ("0=5 3=bad 4=7", {}, "5:3 7:6"),  # bad holds until the next good one
        ("0=5 3=inf 4=7", {}, "5:3 7:6"),
        ("0=5 8=7", {"longest": 3}, "5:3 7:2"),  # silence is no value
        ("0=5 8=7", {"gaps": "2-6"}, "5:4 7:2"),
        ("0=5 8=7", {"gaps": "2-5 4-6"}, "5:4 7:2"),  # no time is taken away twice
        ("0=5 8=7", {"gaps": "2-4", "renewed": 3}, "5:3 7:2"),  # it may have changed in the gap
        ("0=5 8=7", {"gaps": "2-7", "renewed": 60}, "5:2 7:2"),  # the next sample tells
        ("12=5", {}, ""),
        ("", {}, ""),
    ],
)
def test_time_counts_for_the_value_that_held_and_for_nothing_where_nobody_knows(
    samples: str, more: dict[str, object], known: str
) -> None:
    """A sample stands until the next, not over silence, bad values or lost blocks."""
    assert told(held(samples, **more)) == known  # type: ignore[arg-type]


def test_a_distribution_is_of_time_and_not_of_samples() -> None:
    """A hundred samples of one second weigh less than one of nine."""
    found = held("0=10 1=20 2=10 3=10 4=10 5=10 6=10 7=10 8=10 9=10")
    shares = time_shares(found, low=None, high=15)
    assert (shares.below, f"{shares.above:.6f} {shares.mean:.6f}") == (None, "0.100000 11.000000")
    assert [*(shares.quantiles or ())] == [10, 10, 10, 10, 20]
    assert [f"{value:g}: {share:.6f}" for value, share in state_shares(found)] == ["10: 0.900000", "20: 0.100000"]


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=40)
@given(st.lists(st.tuples(FINITE, st.integers(1, 10**18)), max_size=30))
def test_any_doubles_have_a_distribution_whose_shares_are_one(found: list[tuple[float, int]]) -> None:
    """As wide as the doubles are, as narrow as they can be, one value, none."""
    values = np.array([value for value, _ in found], np.float64)
    shares = time_shares(HeldValues(values, np.array([at for _, at in found], np.float64)), low=-1.0, high=1.0)
    assert len(shares.edges) == (len(shares.share) + 1 if found else 0)
    assert np.isfinite(shares.edges).all()
    assert (np.diff(shares.edges) >= 0).all()
    if found:
        assert shares.share.sum() == pytest.approx(1)
        assert shares.quantiles is not None
        assert min(values) <= shares.quantiles[0] <= shares.quantiles[-1] <= max(values)
