"""Laws of what stands and of sequences, without a browser: who comes first, what is over, what was first-out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Quality
from receiver.outputs.historian.events.standing_alarms import StandingAlarms, StandingView
from receiver.outputs.historian.views import EventView
from receiver.portal import words
from receiver.portal.alarms.event_sequence import newest_burst, sequence
from receiver.portal.alarms.standing_now import StandingNow, standing_now
from receiver.portal.plant_picture import TAKEN_OUT, LiveAsset, LiveTag

MS = 10**6
T0 = 1_763_884_800 * 10**9


def event(
    number: int, at_ms: int, state: str = "active", *, severity: int = 500, asset: str = "turbine-1"
) -> EventView:
    return EventView(
        asset=asset,
        source="trip",
        time_ns=T0 + at_ms * MS,
        severity=severity,
        code=f"c{number}",
        text="words",
        state=state,
        sequence=number,
        received_ns=T0,
    )


def view(one: EventView, *, earlier: bool = False, unsaid_s: float | None = None) -> StandingView:
    return StandingView(event=one, raised_ns=one.time_ns, earlier_start=earlier, unsaid_s=unsaid_s)


def live_asset(*, state: str = "up", text: str = "", quality: int = 0, scan_s: float = 1.0) -> LiveAsset:
    tag = Tag(id=1, asset="turbine-1", name="trip", type="bool", scan_s=scan_s, max_silence_s=scan_s)
    live_tag = LiveTag(1, tag, None, "", 5.0, seen_ns=T0, quality=quality)
    return LiveAsset(Asset(name="turbine-1"), state=state, state_text=text, tags=[live_tag])


def stands(*views: StandingView, of: LiveAsset | None = None) -> StandingNow:
    return standing_now(StandingAlarms(alarms=views, total=len(views)), {"turbine-1": of or live_asset()})


def test_what_nobody_acknowledged_comes_first_and_of_that_the_trips() -> None:
    """Then by gravity, as the history tells it."""
    told = [
        view(event(1, 0, "acked", severity=900)),
        view(event(2, 0, severity=800)),
        view(event(3, 0, severity=799)),
        view(event(4, 0, "acked", severity=100)),
    ]
    now = stands(*told)
    assert [(one.code, one.trip, one.acknowledged) for one in now.alarms] == [
        ("c2", True, False),
        ("c3", False, False),
        ("c1", True, True),
        ("c4", False, True),
    ]
    assert (now.count.trips, now.count.alarms, now.count.unacknowledged) == (2, 2, 2)
    assert now.count.text() == "2 trips, 2 alarms"


JUDGED = [
    (view(event(1, 0), earlier=True), live_asset(), "doubtful"),
    (view(event(1, 0), earlier=True, unsaid_s=59.0), live_asset(), "doubtful"),
    (view(event(1, 0), earlier=True, unsaid_s=61.0), live_asset(), "over"),
    (view(event(1, 0), earlier=True, unsaid_s=61.0), live_asset(scan_s=60.0), "doubtful"),
    (view(event(1, 0), earlier=True, unsaid_s=3600.0), live_asset(quality=Quality.BAD), "doubtful"),
    (view(event(1, 0)), live_asset(state="down", text="no answer"), "doubtful"),
    (view(event(1, 0)), live_asset(state="down", text=TAKEN_OUT), "retired"),
    (view(event(1, 0)), live_asset(), "stands"),
]


@pytest.mark.parametrize(("told", "asset", "fate"), JUDGED, ids=range(len(JUDGED)))
def test_an_alarm_that_nobody_can_end_does_not_stand_for_ever(told: StandingView, asset: LiveAsset, fate: str) -> None:
    """After a start of the sender it may be over, and is once it was read and not told; a retired asset's is apart."""
    now = stands(told, of=asset)
    found = "retired" if now.retired else "over"
    if now.alarms:
        found = "doubtful" if now.alarms[0].doubt else "stands"
    assert found == fate


def test_the_mark_changes_with_what_is_shown_and_with_nothing_else() -> None:
    """A page is drawn anew where it must be."""
    now = stands(view(event(1, 0)))
    assert now.mark(7) == stands(view(event(1, 0))).mark(7)
    assert len({now.mark(7), now.mark(8), stands().mark(7), stands(view(event(1, 0, "acked"))).mark(7)}) == 4


TRIPPED = [
    event(1, -60_000, severity=700),
    event(2, 0, severity=700),
    event(3, 118, "", severity=900),
    event(4, 407, "", severity=500),
    event(5, 431, "", severity=500),
    event(6, 5_000, "acked", severity=900),
    event(7, 90_000, severity=300),
]


def test_first_out_is_the_first_of_a_burst_with_a_trip() -> None:
    """Differences are to the millisecond; what came a minute before or after is no part of it."""
    rows = sequence(TRIPPED[::-1], whole=True)
    assert [one.event.sequence for one in rows if one.first_out] == [2]
    assert [one.step_ns and words.step(one.step_ns) for one in rows] == [
        "+1 min 25 s",
        "+4.569 s",
        "+24 ms",
        "+289 ms",
        "+118 ms",
        "+1 min",
        None,
    ]
    assert [one.event.sequence for one in newest_burst(rows)] == [2, 3, 4, 5, 6, 7]


def test_first_out_goes_by_the_sources_time_and_equal_times_by_the_senders_order() -> None:
    """A server may tell the later one first; where two have one time, the one told first was first."""
    late = [event(1, 24, "", severity=900), event(2, 0, "", severity=500), event(3, 0, "", severity=500)]
    rows = sequence(late[::-1], whole=True)
    assert [one.event.sequence for one in rows if one.first_out] == [2]
    assert [one.step_ns for one in rows] == [0, -24 * MS, None]
    assert words.step(-24 * MS) == "\N{MINUS SIGN}24 ms"


def test_nothing_is_called_first_where_the_list_is_cut_inside_a_burst() -> None:
    """What stood before it is not known."""
    assert not [one for one in sequence(TRIPPED[2:][::-1], whole=False) if one.first_out]
    assert [one.event.sequence for one in sequence(TRIPPED[::-1], whole=False) if one.first_out] == [2]


def test_two_assets_are_two_sequences() -> None:
    """Their clocks differ, so no difference between them is shown."""
    other = [replace(one, asset="pump-7") for one in TRIPPED]
    mixed = [one for pair in zip(TRIPPED, other, strict=True) for one in pair]
    rows = sequence(mixed[::-1], whole=True)
    assert [one.step_ns for one in rows[::2]] == [one.step_ns for one in rows[1::2]]
    assert len([one for one in rows if one.first_out]) == 2


STEPS = {0: "+0 ms", 24 * MS: "+24 ms", 250_000: "+0.25 ms", 1_024 * MS: "+1.024 s", 200 * 10**9: "+3 min 20 s"}


@pytest.mark.parametrize("time_ns", STEPS)
def test_a_step_is_written_to_the_millisecond(time_ns: int) -> None:
    """And finer where it is told finer."""
    assert words.step(time_ns) == STEPS[time_ns]
