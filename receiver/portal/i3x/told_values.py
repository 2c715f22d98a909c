"""A value with its quality and time, as i3X tells them ("VQT": guide, "Query Methods" and "Null Value Handling").

    Good         the value, with the StatusCode good
    Uncertain    the value, with the StatusCode uncertain; or the newest one while it is STALE (`freshness.py`)
    Bad          null: the StatusCode is bad; or the value is NaN, infinite, or not of the type that was described
    GoodNoData   null: the tag never had a value

i3X takes null with Bad and GoodNoData alone, so the last value of a broken sensor is not told here. An integer beyond
2**53 is text, as everywhere in these pages: a JavaScript number would round it and call it good.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from protocol.content.catalog import TYPES, Tag
from protocol.content.sample import Value, severity
from receiver.outputs.historian.views import SampleView
from receiver.portal import words
from receiver.portal.plant_picture import LiveAsset, LiveTag, Picture, ViewTime, wire_value

ToldValue: TypeAlias = dict[str, Any]
"""`value`, `quality` and `timestamp`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(time_ns: int) -> str:
    """A time [ns since 1970 UTC] as RFC 3339 in UTC, as exact as it is."""
    seconds, fraction = divmod(time_ns, 10**9)
    return _second(seconds) + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def told(tag: Tag, value: Value, quality: int, time_ns: int, *, stale: bool = False) -> ToldValue:
    """One sample.

    Args:
        tag: Its description.
        quality: OPC UA StatusCode.
        time_ns: When it was true [ns since 1970 UTC].
        stale: It is held while nobody renews it.
    """
    grade, word = severity(quality), "Good"
    held = None if grade == 2 else conforming(tag, value)
    if held is None:
        word = "GoodNoData" if grade == 0 and value is None else "Bad"
    elif grade == 1 or stale:
        word = "Uncertain"
    return {"value": held, "quality": word, "timestamp": rfc3339(time_ns)}


def sample(tag: Tag, one: SampleView) -> ToldValue:
    """A sample of the history."""
    return told(tag, words.plain(tag, one.value), one.quality, one.time_ns)


def newest(picture: Picture, live_tag: LiveTag, at: ViewTime) -> ToldValue:
    """The newest value of a tag, as far as it is believed at this moment."""
    if live_tag.fault:
        return {"value": None, "quality": "Bad", "timestamp": rfc3339(at.now_ns)}
    if not live_tag.seen_ns:
        return nothing(at.now_ns)
    stale = picture.stale(live_tag, at) is not None
    return told(live_tag.tag, live_tag.value, live_tag.quality, live_tag.time_ns, stale=stale)


def condition(live_asset: LiveAsset, at: ViewTime, *, silent: bool) -> ToldValue:
    """How an asset is; uncertain while the link is silent."""
    if live_asset.state == "unknown" or live_asset.state_ns is None:
        return nothing(at.now_ns)
    word = "Uncertain" if silent else "Good"
    return told_state(live_asset.state, live_asset.state_text, live_asset.state_ns) | {"quality": word}


def told_state(state: str, text: str, time_ns: int) -> ToldValue:
    """An asset's state; what a machine says is shown inert."""
    held = {"state": state, "text": words.text(text)}
    return {"value": held, "quality": "Good", "timestamp": rfc3339(time_ns)}


def nothing(now_ns: int) -> ToldValue:
    """There is no value yet."""
    return {"value": None, "quality": "GoodNoData", "timestamp": rfc3339(now_ns)}


def schema(tag: Tag) -> dict[str, Any]:
    """JSON Schema of a tag's values (draft 2020-12); `conforming` gives no others."""
    unit = words.text(tag.unit)
    made: dict[str, Any] = {"title": f"{words.text(tag.type)}{f' in {unit}' if unit else ''}"}
    if tag.type == "bool":
        made["type"] = "boolean"
    elif tag.type in ("int64", "uint64"):
        made |= {"type": ["integer", "string"], "description": "as text beyond 2**53"}
    elif tag.type.startswith(("int", "uint")):
        made["type"] = "integer"
    elif tag.type.startswith("float"):
        made["type"] = "number"
    else:
        made["type"] = "string"
    if tag.unit:
        made["x-unit"] = unit
    if tag.states:
        made["x-states"] = [words.text(one) for one in tag.states]
    return made


def known_type(tag: Tag) -> bool:
    """Whether this build knows what values of this type are."""
    return tag.type in TYPES


def conforming(tag: Tag, value: Value) -> Value | dict[str, Value]:
    """The value as its type's schema has it; None where it cannot be."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        value = value.encode("utf-8", "replace").decode()  # a lone surrogate has no JSON
    if value is None or not known_type(tag):
        return None if value is None else {"value": wire_value(value)}
    if tag.type == "bool":
        return bool(value) if isinstance(value, bool) or value in (0, 1) else None
    if tag.type == "string" or isinstance(value, str):
        return value if tag.type == "string" and isinstance(value, str) else None
    if tag.type.startswith("float"):
        return float(value)
    return wire_value(int(value)) if value == int(value) else None
