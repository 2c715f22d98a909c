"""What a report says, gathered out of the history through one door, and so within one scope.

The same functions make the pages' charts (`trend.py`), so the report means what they mean. A report is of one asset,
of all its tags or of those that are named; an earlier description of a tag (another unit, type, address or scale) that
has samples in the range stands as a row of its own, for its numbers are in another unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocol.content.catalog import Asset
from protocol.errors import StoreError
from receiver.outputs.historian.events.event_search import EventQuestion
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import ChangeView, Minute, StateView, Trend
from receiver.portal import trend as trends
from receiver.portal.alarms.event_sequence import BURST_S, RAISED, SequenceRow, sequence
from receiver.portal.asset_report.tag_figures import TagFigures, TagHabits, tag_figures
from receiver.portal.plant_picture import LiveTag, Picture, ViewTime
from receiver.portal.retiring.left_tags import changes_of
from receiver.portal.trend import Curve, Interruption

CHART_BUCKETS = 480
"""Of a chart, some 160 mm wide on paper."""
MOST_CHARTS = 60
"""Charts of a report of all tags: a few to a page; more are drawn of tags that are named."""
MOST_TAGS = 1_000
"""Tags of a report."""
MOST_EVENTS = 500
MOST_CHANGES, MOST_STATES = 1_000, 1_000
"""Newest ones of the plant, and of the asset, among which those of the range are looked for."""
MOST_SAMPLES = 3_000_000
"""Of a tag whose numbers are counted from its samples; beyond it from buckets, which the report says."""


class NoSuchAsset(Exception):
    """It is not there, or outside the scope; or a tag that is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuestion:
    """Which report."""

    asset: str
    tags: tuple[str, ...] = ()
    """Names; empty: all of them."""
    from_ns: int
    to_ns: int
    """Not included [ns since 1970 UTC]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTag:
    """One tag, or an earlier description of one."""

    live_tag: LiveTag
    figures: TagFigures
    exact: bool
    """Counted from samples; else from buckets."""
    curve: Curve | None
    """None where no chart is drawn: of a text, of an earlier description, beyond `MOST_CHARTS`."""
    trouble: str = ""
    """Why it cannot be told; empty where it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetReport:
    """All of it."""

    asset: Asset
    question: ReportQuestion
    end_ns: int
    """Of what can be known: the end of the range, or now."""
    tags: Sequence[ReportedTag]
    more_tags: int
    """Beyond `MOST_TAGS`."""
    uncharted: int
    """Tags without a chart because there are so many."""
    gaps: Sequence[Interruption]
    """Of the link to its site."""
    rows: Sequence[SequenceRow]
    """Events, newest first."""
    events_whole: bool
    """These are all."""
    states: Sequence[StateView]
    """What it reported, newest first."""
    changes: Sequence[tuple[ChangeView, list[str]]]
    changes_seen: bool
    """The scope is everything: others are not told of changes of the configuration."""
    minutes: Minute
    """Its samples by the sender's own count, over the whole minutes of the range."""

    @property
    def trips(self) -> int:
        """Raised in the range."""
        return sum(one.trip for one in self.rows)

    @property
    def samples(self) -> int:
        """With and without a usable value, of the tags told."""
        return sum(one.figures.count + one.figures.bad for one in self.tags)


def gather(door: Door, asked: ReportQuestion, at: ViewTime, *, whole: bool) -> AssetReport:
    """Everything that the report says.

    Args:
        door: Cut to a scope.
        asked: Which report.
        at: Now, by the wall clock alone, and what is known of the link now.
        whole: The door's scope is everything.

    Raises:
        NoSuchAsset: nothing of that name is to be seen.
        StoreError: the history cannot be read.
    """
    picture = Picture()
    picture.describe_assets([one for one in door.assets() if one.asset.name == asked.asset], {})
    if asked.asset not in picture.assets:
        raise NoSuchAsset(asked.asset)
    picture.describe_tags(asked.asset, door.tags(asked.asset))
    picture.move((row for row in door.latest()[0] if row.series in picture.tags), lambda told_ns: told_ns)
    live_asset = picture.assets[asked.asset]
    wanted = [one for one in live_asset.tags if not asked.tags or one.tag.name in asked.tags]
    past = [one for one in live_asset.past if not asked.tags or one.tag.name in asked.tags]
    if set(asked.tags) - {one.tag.name for one in (*wanted, *past)}:
        raise NoSuchAsset(asked.asset)
    end_ns = max(min(asked.to_ns, at.now_ns), asked.from_ns)
    charts = [one.series for one in wanted if one.tag.type != "string"]
    drawn = set(charts if asked.tags else charts[:MOST_CHARTS])
    told = [_tag(door, one, asked, at, chart=one.series in drawn) for one in wanted[:MOST_TAGS]]
    told += [one for one in (_tag(door, two, asked, at, chart=False) for two in past[:MOST_TAGS]) if _any(one)]
    rows, events_whole = _events(door, asked)
    changes = changes_of(asked.asset, door.changes(MOST_CHANGES)) if whole else []
    return AssetReport(
        asset=live_asset.asset,
        question=asked,
        end_ns=end_ns,
        tags=told,
        more_tags=max(len(wanted) - MOST_TAGS, 0),
        uncharted=len(charts) - len(drawn),
        gaps=_gaps(door, live_asset.asset, asked, end_ns),
        rows=rows,
        events_whole=events_whole,
        states=[one for one in door.states(asked.asset, MOST_STATES) if asked.from_ns <= one.time_ns < asked.to_ns],
        changes=[
            (one, lines)
            for one, lines in changes
            if asked.from_ns <= (one.change.time_ns or one.received_ns) < asked.to_ns
        ],
        changes_seen=whole,
        minutes=_minutes(door, asked, end_ns),
    )


def _any(one: ReportedTag) -> bool:
    return bool(one.figures.count or one.figures.bad or one.trouble)


def _tag(door: Door, live_tag: LiveTag, asked: ReportQuestion, at: ViewTime, *, chart: bool) -> ReportedTag:
    question = trends.question(live_tag, at, from_ns=asked.from_ns, to_ns=asked.to_ns, buckets=CHART_BUCKETS)
    curve, trouble = None, ""
    nothing = np.zeros(0)
    end_ns = max(question.end, asked.from_ns)
    figures, exact = _figures(live_tag, (nothing, nothing, nothing.astype(bool)), asked.from_ns, end_ns, []), True
    try:
        found, before = trends.fetch(door, live_tag.series, question)
        marks = trends.fetch_marks(door, live_tag.series, before, question)
        whole = trends.curve(found, before, question, marks)
        curve = whole if chart else None
        unknown = [
            (one.from_ms * 1e6, end_ns if one.to_ms is None else one.to_ms * 1e6)
            for one in whole.interruptions
            if one.kind == "gap" or (one.kind == "silence" and live_tag.holds)
        ]
        exact = int(np.asarray(found.count).sum() + np.asarray(found.bad).sum()) <= MOST_SAMPLES
        if exact:
            earlier = door.samples(live_tag.series, asked.from_ns - round(trends.LONGEST_S * 1e9), asked.from_ns, 1)
            first_ns = earlier[0].time_ns if earlier else asked.from_ns
            samples = door.values(live_tag.series, first_ns, end_ns)
            figures = _figures(live_tag, samples, asked.from_ns, end_ns, unknown)
        else:
            figures = _of_buckets(live_tag, found, asked.from_ns, end_ns, unknown)
    except StoreError:
        trouble = "its history cannot be read"
    return ReportedTag(live_tag=live_tag, figures=figures, exact=exact, curve=curve, trouble=trouble)


def _figures(
    live_tag: LiveTag,
    samples: tuple[np.ndarray, np.ndarray, np.ndarray],
    from_ns: int,
    end_ns: int,
    unknown: Sequence[tuple[float, float]],
) -> TagFigures:
    time_ns, value, usable = samples
    habits = TagHabits(
        holds=live_tag.holds,
        scan_s=live_tag.tag.scan_s,
        after_s=live_tag.after_s,
        renewed_s=live_tag.tag.max_silence_s,
        text=live_tag.tag.type == "string",
    )
    return tag_figures(time_ns, value, usable, habits, from_ns=from_ns, to_ns=end_ns, unknown=unknown)


def _of_buckets(
    live_tag: LiveTag, found: Trend, from_ns: int, end_ns: int, unknown: Sequence[tuple[float, float]]
) -> TagFigures:
    """Of more samples than are read one by one: least, greatest and counts are exact, times to a bucket."""
    usable = np.asarray(found.count) > 0
    held = _figures(live_tag, (np.asarray(found.start_ns), np.asarray(found.mean), usable), from_ns, end_ns, unknown)
    summary = trends.summary(found)
    return TagFigures(
        low=summary.low,
        mean=held.mean if held.over_time else summary.mean,
        high=summary.high,
        over_time=held.over_time,
        count=summary.count,
        bad=summary.bad,
        expected=held.expected,
        known=held.known,
    )


def _gaps(door: Door, asset: Asset, asked: ReportQuestion, end_ns: int) -> list[Interruption]:
    found = [one for one in door.absences(asked.from_ns, asked.to_ns) if one.site == asset.site]
    return [trends.link_gap(one, float(end_ns)) for one in sorted(found, key=lambda one: one.from_ns)]


def _events(door: Door, asked: ReportQuestion) -> tuple[list[SequenceRow], bool]:
    question = EventQuestion(asset=asked.asset, from_ns=asked.from_ns, to_ns=asked.to_ns, limit=MOST_EVENTS)
    found = door.find_events(question)
    just_before = EventQuestion(
        asset=asked.asset,
        states=frozenset(RAISED),
        from_ns=asked.from_ns - round(BURST_S * 1e9),
        to_ns=asked.from_ns,
        limit=1,
    )
    whole = found.whole and found.after is None
    return sequence(found.events, whole=whole and not door.find_events(just_before).events), whole


def _minutes(door: Door, asked: ReportQuestion, end_ns: int) -> Minute:
    minutes = [one for one in door.minutes(asked.from_ns, end_ns) if one.asset == asked.asset]
    sums = {name: sum(getattr(one, name) for one in minutes) for name in ("published", "healed", "read", "sent")}
    return Minute(asset=asked.asset, minute_ns=asked.from_ns, **sums)
