"""Hours of the week are those of the clock on the plant's wall."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from receiver.governed.grants.weekly import overlap, read

BERLIN = "Europe/Berlin"


def ns(text: str) -> int:
    """A UTC moment [ns since 1970]."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("hours", "moment", "inside"),
    [
        ("Mon-Fri 07:00-16:00", "2026-07-01T05:00", True),  # 07:00 in summer
        ("Mon-Fri 07:00-16:00", "2026-12-01T05:30", False),  # 06:30 in winter
        ("Mon-Fri 07:00-16:00", "2026-12-01T06:00", True),
        ("Mon-Fri 07:00-16:00", "2026-12-01T15:00", False),  # 16:00 is outside
        ("Mon-Fri 07:00-16:00", "2026-12-05T10:00", False),  # Saturday
        ("Sun 22:00-24:00", "2026-12-06T22:59", True),
        ("Sun 02:00-03:00", "2026-03-29T01:00", False),  # the hour that does not exist
        ("Sun 02:00-03:00", "2026-10-25T00:30", True),  # 02:30, the first time
        ("Sun 02:00-03:00", "2026-10-25T01:30", True),  # 02:30 once more
        ("Sun 02:00-03:00", "2026-10-25T02:00", False),
    ],
)
def test_hours_are_those_of_the_plants_wall(hours: str, moment: str, inside: bool) -> None:
    """Also over the two Sundays on which that clock is set."""
    assert read(hours, BERLIN).holds(ns(moment)) is inside


@pytest.mark.parametrize("seed", range(12))
def test_the_next_change_is_where_the_answer_changes(seed: int) -> None:
    """Minute by minute nothing changes before it, and then it does."""
    draw = random.Random(seed)
    start, end = sorted(draw.sample(range(0, 1441, 5), 2))
    day = draw.choice(["Mon-Fri", "Sun", "Sat", "Mon-Sun"])
    weekly = read(f"{day} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}", BERLIN)
    around = draw.choice(["2026-03-28T12:00", "2026-10-24T12:00", "2026-06-10T03:00"])
    now = ns(around) + draw.randrange(86_400) * 10**9
    change = weekly.change_ns(now)
    if change is None:
        assert (start, end, day) == (0, 1440, "Mon-Sun"), f"seed {seed}"
        return
    assert weekly.holds(change) != weekly.holds(now), f"seed {seed}"
    steps = range(now // 60 // 10**9 + 1, change // 60 // 10**9)
    assert all(weekly.holds(minute * 60 * 10**9) == weekly.holds(now) for minute in steps), f"seed {seed}"


@pytest.mark.parametrize(
    ("text", "zone", "says"),
    [
        ("Mon-Fri 7-16", BERLIN, "write them as"),
        ("Fri-Mon 07:00-16:00", BERLIN, "runs over Sunday"),
        ("Mon 22:00-06:00", BERLIN, "over midnight as two parts"),
        ("Mon 07:00-25:00", BERLIN, "no time of day"),
        ("Mon 07:60-08:00", BERLIN, "no time of day"),
        ("Mo 07:00-08:00", BERLIN, "write them as"),
        ("Mom 07:00-08:00", BERLIN, "is no day"),
        ("", BERLIN, "are no hours"),
        ("Mon 07:00-08:00", "Berlin", "is no time zone"),
        ("Mon 07:00-08:00", "../etc/passwd", "is no time zone"),
    ],
)
def test_hours_that_cannot_be_read_say_how_they_are_written(text: str, zone: str, says: str) -> None:
    """What is wrong, and a right one."""
    with pytest.raises(ValueError, match=says):
        read(text, zone)


@pytest.mark.parametrize("text", ["Mon-Fri 07:00-16:00", "Mon 07:00-12:30, Wed-Thu 07:00-12:30, Sat 00:00-24:00"])
def test_hours_are_written_as_they_were_read(text: str) -> None:
    """The text in the trail gives the same hours again."""
    assert read(text, BERLIN).text == text


def test_shifts_that_share_an_hour_overlap() -> None:
    """None is the whole week."""
    early, late = read("Mon-Fri 06:00-14:00", BERLIN), read("Mon-Fri 14:00-22:00", BERLIN)
    assert not overlap(early, late)
    assert overlap(early, read("Fri 13:00-15:00", BERLIN))
    assert overlap(None, late)
