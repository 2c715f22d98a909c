"""Trends for the chart: where the line breaks, and why."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import orjson

from receiver.outputs.historian.views import AbsenceView, SampleView, Trend, VersionChange
from receiver.portal.trend import Curve, TrendQuestion, curve, summary

SECOND = 10**9
START = 1_763_884_800 * SECOND
SPAN_S = 600


def trend(
    seconds: list[float], absences: list[AbsenceView] | None = None, *, values: list[float] | None = None
) -> Trend:
    """One sample in each bucket of a second that is named."""
    held = np.array(values if values is not None else [float(at) for at in seconds])
    return Trend(
        start_ns=np.array([START + round(at * SECOND) for at in seconds], np.int64),
        low=held - 1,
        high=held + 1,
        mean=held,
        count=np.isfinite(held).astype(np.int64),
        bad=(~np.isfinite(held)).astype(np.int64),
        absences=absences or [],
        width_ns=SECOND,
        first=held,
        last=held,
        first_ns=np.array([START + round(at * SECOND) for at in seconds], np.int64),
        last_ns=np.array([START + round(at * SECOND) for at in seconds], np.int64),
    )


EARLIER = SampleView(START - 20 * SECOND, 3.5, 0, 0)
"""The last sample before the range."""


def drawn(
    held: Trend,
    *,
    after_s: float = 5.0,
    now_s: float = SPAN_S,
    link_silent: bool = False,
    before: SampleView | None = EARLIER,
    seen_s: float | None = None,
) -> Curve:
    """The curve of ten minutes in buckets of a second; with `seen_s` of a tag that holds its value, renewed then."""
    asked = TrendQuestion(
        from_ns=START,
        to_ns=START + SPAN_S * SECOND,
        buckets=SPAN_S,
        after_s=after_s,
        now_ns=START + round(now_s * SECOND),
        link_silent=link_silent,
        holds=seen_s is not None,
        seen_ns=START + round((seen_s if seen_s is not None else 0) * SECOND),
    )
    return curve(held, before, asked)


def absence(from_s: float, to_s: float, blocks: int = 3) -> AbsenceView:
    """Missing blocks."""
    from_ns, to_ns = START + round(from_s * SECOND), START + round(to_s * SECOND)
    return AbsenceView(from_ns=from_ns, to_ns=to_ns, blocks=blocks, stream="00", first=7, site="north")


def breaks(held: Curve) -> list[float]:
    """Between which points the line is broken, as seconds of the point after the break."""
    empty = np.flatnonzero(np.isnan(held.mean) & (held.count == 0) & (held.bad == 0))
    return [(float(held.at_ms[at + 1]) * 1e6 - START) // SECOND for at in empty]


def kinds(held: Curve) -> list[str]:
    return [one.kind for one in held.interruptions]


def every_second(*without: range) -> list[float]:
    return [float(at) for at in range(SPAN_S) if not any(at in one for one in without)]


def test_line_is_whole_where_nothing_is_missing() -> None:
    """No hole, no break, and every bucket in its middle."""
    held = drawn(trend(every_second()))
    assert kinds(held) == []
    assert breaks(held) == []
    assert len(held.at_ms) == SPAN_S
    assert held.at_ms[0] == START / 1e6 + 500


def test_value_that_is_sent_on_change_stands_until_the_next_however_long_that_takes() -> None:
    """What only renews it is no history, so minutes without a sample are no silence while it was renewed."""
    held = drawn(trend([10.0, 400.0]), after_s=90.0, seen_s=SPAN_S - 30)
    assert kinds(held) == []
    assert breaks(held) == []
    # It begins with the value from before the range and ends with the last one, at its last renewal.
    assert held.mean.tolist() == [3.5, 10.0, 400.0, 400.0]
    assert [held.at_ms[0], held.at_ms[-1]] == [START / 1e6, START / 1e6 + (SPAN_S - 30) * 1e3]
    assert held.count.tolist() == [0, 1, 1, 0]


def test_held_value_is_silent_only_since_its_last_renewal() -> None:
    """It was renewed until the third minute, and never again."""
    held = drawn(trend([10.0]), after_s=90.0, seen_s=180.0)
    (only,) = held.interruptions
    assert (only.kind, only.from_ms, only.to_ms) == ("silence", START / 1e6 + 180_000, None)
    assert held.at_ms[-1] == START / 1e6 + 180_000


def test_held_value_is_not_drawn_over_a_gap() -> None:
    """What was lost may have changed it."""
    held = drawn(
        trend([10.0, 400.0], [absence(5, 8), absence(200, 300), absence(500, 550)]), after_s=90.0, seen_s=SPAN_S - 1
    )
    assert kinds(held) == ["gap"] * 3
    assert breaks(held) == [400]
    assert held.mean[0] == 10.0
    assert held.at_ms[-1] == START / 1e6 + 400_500


def test_held_value_goes_on_from_no_sample_that_was_bad_or_a_text() -> None:
    """Nothing is drawn that was not measured."""
    for before in (SampleView(START - 1, None, 0x80000000, 0), SampleView(START - 1, 4.0, 0x80000000, 0), None):
        held = drawn(trend([10.0]), after_s=90.0, seen_s=SPAN_S, before=before)
        assert held.mean[0] == 10.0


def test_time_before_the_first_sample_of_all_is_no_silence() -> None:
    """The tag was not there yet."""
    assert kinds(drawn(trend(every_second(range(300))), before=None)) == []
    assert kinds(drawn(trend(every_second(range(300))))) == ["silence"]


def test_silence_of_the_tag_breaks_the_line_and_is_no_gap_of_the_link() -> None:
    """Nothing is missing from the link: the reason says so."""
    held = drawn(trend(every_second(range(100, 200))))
    assert kinds(held) == ["silence"]
    assert breaks(held) == [200]
    assert "nothing missing" in held.interruptions[0].text
    assert held.interruptions[0].from_ms == START / 1e6 + 99_500
    assert held.interruptions[0].to_ms == START / 1e6 + 200_500


def test_gap_of_the_link_breaks_the_line_also_when_it_begins_and_ends_inside_a_bucket() -> None:
    """The last sample before it and the first after it share their buckets with its edges."""
    for edge in (0.0, 0.2, 0.5, 0.8):
        held = drawn(trend(every_second(range(100, 200)), [absence(99 + edge, 200 + edge)]))
        assert kinds(held) == ["gap"], edge
        assert breaks(held) == [200], edge
        assert held.interruptions[0].text == "Link gap 1 min 41 s, 3 blocks missing"


def test_short_gap_is_marked_although_no_bucket_is_empty() -> None:
    """One block of a fast tag is missing: the chart must not draw over it as if nothing were."""
    held = drawn(trend(every_second()), now_s=SPAN_S)
    short = drawn(trend(every_second(), [absence(100.4, 100.6, 1)]))
    assert kinds(held) == []
    assert [one.text for one in short.interruptions] == ["Link gap 0.2 s, 1 block missing"]


def test_silence_that_goes_on_after_a_gap_is_told_apart_from_it() -> None:
    """The link explains its own part, the rest is the tag's."""
    held = drawn(trend(every_second(range(100, 300)), [absence(99.5, 150)]))
    assert kinds(held) == ["gap", "silence"]
    assert held.interruptions[1].from_ms == START / 1e6 + 150_000


def test_silence_that_lasts_has_no_end_and_belongs_to_the_link_when_the_beat_is_lost() -> None:
    """The chart's right edge is where the two are mixed up most easily."""
    quiet = drawn(trend(every_second(range(500, SPAN_S))))
    assert [(one.kind, one.to_ms) for one in quiet.interruptions] == [("silence", None)]
    cut = drawn(trend(every_second(range(500, SPAN_S))), link_silent=True)
    assert [(one.kind, one.to_ms) for one in cut.interruptions] == [("gap", None)]
    assert "link is silent" in cut.interruptions[0].text


def test_time_to_come_is_not_missing() -> None:
    """A range that ends tomorrow has no silence after now."""
    held = drawn(trend([float(at) for at in range(100)]), now_s=100)
    assert kinds(held) == []


def test_range_without_any_sample_is_one_silence() -> None:
    """And no arithmetic fails on nothing."""
    held = drawn(trend([]))
    assert kinds(held) == ["silence"]
    assert summary(trend([])).low is None


def test_bad_samples_break_the_line_by_themselves_and_are_counted() -> None:
    """A bucket without a usable value is an empty point with its count of bad samples."""
    values = [math.nan if at in (50, 51) else 5.0 for at in range(SPAN_S)]
    held = drawn(trend(every_second(), values=values))
    assert kinds(held) == []
    assert np.flatnonzero(held.bad).tolist() == [50, 51]
    summed = summary(trend(every_second(), values=values))
    assert (summed.count, summed.bad, summed.low, summed.high, summed.mean) == (SPAN_S - 2, 2, 4.0, 6.0, 5.0)


def test_a_held_value_is_drawn_on_until_its_tag_turns_bad() -> None:
    """One bad sample after an hour without a change: the hour has its line, and the bad time has none."""
    held = drawn(trend([10.0, 300.0, 390.0], values=[3.0, math.nan, 3.5]), seen_s=600.0, now_s=600)
    place = int(np.flatnonzero(held.bad)[0])
    assert (held.mean[place - 1], held.at_ms[place - 1]) == (3.0, START / 1e6 + 300_000)
    assert held.last_ms[place - 1] == START / 1e6 + 10_000
    assert math.isnan(held.mean[place])


def test_beside_each_point_stand_its_first_and_last_value_with_their_times() -> None:
    """What a cursor needs to tell the value that stood; a point that breaks the line has none."""
    told = orjson.loads(
        orjson.dumps(drawn(trend(every_second(range(9, 90)))).to_json(), option=orjson.OPT_SERIALIZE_NUMPY)
    )
    assert (told["last"][50], told["last_ms"][50]) == (told["mean"][50], told["at_ms"][50] - 500)
    assert {len(told[name]) for name in ("first", "last", "first_ms", "last_ms")} == {len(told["at_ms"])}
    (empty,) = [at for at, mean in enumerate(told["mean"]) if mean is None][:1]
    assert told["last"][empty] is told["last_ms"][empty] is None


def test_nan_is_null_in_json_and_all_columns_are_equally_long() -> None:
    """JSON has no NaN; the chart reads null as an empty point."""
    told = orjson.loads(
        orjson.dumps(drawn(trend(every_second(range(9, 90)))).to_json(), option=orjson.OPT_SERIALIZE_NUMPY)
    )
    assert told["mean"][9] is None
    lengths = {len(told[name]) for name in ("at_ms", "low", "high", "mean", "count", "bad")}
    assert lengths == {SPAN_S - 81 + 1}


def test_a_change_breaks_the_line_and_is_told() -> None:
    """Where a tag goes on in another unit, the line is broken between the two, and the change stands there in words."""
    held = trend([1.0, 2.0, 3.0, 4.0])
    change = VersionChange(2, START + 3 * SECOND, "Changed: unit bar to kPa")
    made = drawn(replace(held, changes=(change,)), now_s=5)
    (empty,) = np.flatnonzero(np.isnan(made.mean)).tolist()
    assert made.mean[empty - 1] == 2.0
    assert made.mean[empty + 1] == 3.0
    (told,) = [one for one in made.interruptions if one.kind == "change"]
    assert told.from_ms == told.to_ms == (START + 3 * SECOND) / 1e6
    assert told.text == "Changed: unit bar to kPa"
