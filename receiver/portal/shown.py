"""What the templates and the live stream show of a tag: its last value in words, with every reason to doubt it.

The same few fields are filled in here for the first page and by `static/asset.js` afterwards; the classes on the
elements come from them, so that a state has one look wherever it appears.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from protocol.content.sample import severity
from receiver.portal import words
from receiver.portal.freshness import Stale
from receiver.portal.plant_picture import LiveTag, Picture, StaleGroup, ViewTime, called
from receiver.portal.steady import UNKNOWN

STALE_WORDS = {
    Stale.LINK: "link silent",
    Stale.DOWN: "asset down",
    Stale.SILENT: "not renewed",
}

BAR_WIDTH = 120.0
"""Of the small bar [SVG user units]; its marker stays inside by half its own width."""


WIDEST = sys.float_info.max
"""The end of the doubles: a bar ends there too."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A value against its range and normal band, as x positions in a bar of `BAR_WIDTH`."""

    low: float
    """The bar's left end, in the tag's unit."""
    high: float
    band_x: float
    band_width: float
    mark_x: float | None
    """None where there is no number to mark."""


@dataclass(frozen=True, slots=True)
class ShownTag:
    """One tag as a row of a table."""

    live_tag: LiveTag
    text: str
    """The value in words, without unit."""
    letter: str
    """`U` or `B`, empty when good."""
    grade: str
    """`good`, `uncertain` or `bad`; `none` where it has no value, or cannot be shown."""
    quality: str
    """The StatusCode in words, with the protocol's own code."""
    outside: str
    """`high`, `low` or empty."""
    stale: str
    """Why it is stale, in words; empty while it is fresh."""
    age_s: float | None
    """Since it was last renewed; None where it never was, or where nobody knows."""
    bar: Bar | None
    retired: bool = False
    """It is out of the configuration."""


def show(picture: Picture, live_tag: LiveTag, at: ViewTime) -> ShownTag:
    """The tag at one moment, or the reason why it cannot be shown."""
    try:
        if not live_tag.fault:
            return _shown(picture, live_tag, at)
        fault = live_tag.fault
    except Exception as error:  # noqa: BLE001 - one tag of many
        fault = picture.faults.note(called(live_tag), error)
    return ShownTag(live_tag, fault, letter="", grade="none", quality="", outside="", stale="", age_s=None, bar=None)


def _shown(picture: Picture, live_tag: LiveTag, at: ViewTime) -> ShownTag:
    known = live_tag.seen_ns > 0
    grade = severity(live_tag.quality)
    stale = picture.stale(live_tag, at) if known else None
    retired = picture.retired(live_tag, at)
    return ShownTag(
        live_tag=live_tag,
        text=live_tag.written if known else words.NOTHING,
        letter=words.LETTERS[grade] if known else "",
        grade=words.WORDS[grade] if known else "none",
        quality=live_tag.quality_text if known else "no value yet",
        outside=live_tag.outside,
        stale=f"retired: {live_tag.left}" if retired and stale else STALE_WORDS[stale] if stale else "",
        retired=retired,
        age_s=max(at.steady_ns - live_tag.seen_ns, 0) / 1e9 if known and live_tag.seen_ns != UNKNOWN else None,
        bar=bar(live_tag),
    )


def bar(live_tag: LiveTag) -> Bar | None:
    """The small bar; None for a tag that has neither a range nor a normal band, and for texts and states."""
    tag = live_tag.tag
    if tag.states or tag.type in ("bool", "string"):
        return None
    low, high = tag.low, tag.high
    if low is None or high is None or not low < high:
        if tag.normal_low is None or tag.normal_high is None or not tag.normal_low < tag.normal_high:
            return None
        margin = tag.normal_high / 2 - tag.normal_low / 2
        low, high = max(tag.normal_low - margin, -WIDEST), min(tag.normal_high + margin, WIDEST)
    band_from = place(tag.normal_low, low, high) if tag.normal_low is not None else 0.0
    band_to = place(tag.normal_high, low, high) if tag.normal_high is not None else BAR_WIDTH
    banded = tag.normal_low is not None or tag.normal_high is not None
    value = live_tag.value
    marked = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return Bar(
        low=low,
        high=high,
        band_x=band_from if banded else 0.0,
        band_width=max(band_to - band_from, 0.0) if banded else 0.0,
        mark_x=place(value, low, high) if marked and isinstance(value, (int, float)) else None,
    )


def place(value: float, low: float, high: float) -> float:
    """Where a finite value stands in a bar from `low` to `high`, which is larger: 0 to `BAR_WIDTH`."""
    # Quarters, where the width alone is more than a double can hold; not always, for a range of the smallest doubles.
    part = 1.0 if math.isfinite(high - low) else 0.25
    share = (min(max(value, low), high) * part - low * part) / (high * part - low * part)
    return round(share * BAR_WIDTH, 1)


def reasons(one: ShownTag) -> str:
    """Everything that is wrong with the tag, worst first, in words."""
    found = []
    if one.live_tag.fault:
        found.append(one.live_tag.fault)
    if one.grade in ("bad", "uncertain"):
        found.append(f"{one.grade}: {one.quality}" if one.quality != one.grade else one.grade)
    if one.stale:
        found.append(f"STALE: {one.stale}")
    if one.outside:
        found.append("above normal" if one.outside == "high" else "below normal")
    return "; ".join(found)


CALM = "On the assets that are up, every tag with a value is good, fresh and in its normal band."
CALM_BESIDE = "No tag needs a look beside the trips and alarms above."
"""Instead, while one stands."""


def attention(picture: Picture, at: ViewTime) -> dict[str, Any]:
    """What needs a look, as the overview and its live stream list it."""
    found = picture.attention(at)
    rows = [_look_row(show(picture, live_tag, at)) for live_tag in found.tags]
    rows += [_stale_row(group) for group in found.stale]
    stands = any(one.trips or one.alarms for one in picture.assets.values())
    return {"rows": rows, "more": found.more, "calm": CALM_BESIDE if stands else CALM}


def _look_row(one: ShownTag) -> dict[str, Any]:
    live_tag = one.live_tag
    return {
        "address": live_tag.page,
        "asset": words.text(live_tag.tag.asset),
        "tag": words.text(live_tag.tag.name),
        "text": one.text,
        "unit": live_tag.unit,
        "letter": one.letter,
        "grade": one.grade,
        "outside": one.outside,
        "stale": one.stale,
        "why": reasons(one),
        "seen_ms": live_tag.seen_ns / 1e6,
    }


def _stale_row(group: StaleGroup) -> dict[str, Any]:
    """Many tags that are stale for one cause: one line, which leads to the asset."""
    beside = "others of this asset are" if group.others else "nor is any other of this asset, though it is up"
    return {
        "address": words.asset_address(group.asset),
        "asset": words.text(group.asset),
        "tag": f"{words.count(group.tags)} tags",
        "text": "",
        "unit": "",
        "letter": "",
        "grade": "good",
        "outside": "",
        "stale": STALE_WORDS[Stale.SILENT],
        "why": f"STALE: not renewed; {beside}",
        "seen_ms": None,
    }
