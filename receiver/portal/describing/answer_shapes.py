"""The shape of each JSON answer, as JSON Schema (draft 2020-12, which OpenAPI 3.1 takes as it is).

A name that is listed is always there; more may come with a later version. Times end in `_ms`: milliseconds since 1970
UTC.
"""

from __future__ import annotations

from typing import Any

JsonSchema = dict[str, Any]


def of(*kinds: str, says: str = "", **more: Any) -> JsonSchema:
    """A plain value of one of these kinds."""
    told: JsonSchema = {"type": kinds[0] if len(kinds) == 1 else list(kinds)}
    return told | ({"description": says} if says else {}) | more


def each(items: JsonSchema, says: str = "") -> JsonSchema:
    """A list."""
    return of("array", says=says, items=items)


def holds(says: str = "", /, **fields: JsonSchema) -> JsonSchema:
    """An object with at least these fields."""
    return of("object", says=says, properties=fields, required=[*fields])


TEXT, NUMBER, COUNT, TRUTH = of("string"), of("number"), of("integer", minimum=0), of("boolean")
SERIES = of("integer", says="number of a tag's history", minimum=0)
MAYBE_NUMBER, MAYBE_COUNT = of("number", "null"), of("integer", "null")
NOW = of("number", says="the low side's clock when this was answered [ms since 1970 UTC]")
QUALITY = of("integer", says="0: good; of OPC UA, 32 bits", minimum=0, maximum=2**32 - 1)
VALUE = of(
    "number", "boolean", "string", "null", says="null also for NaN and infinities; an integer beyond 2**53 is text"
)

CARD = {
    "state": of("string", says="`up`, `down` or `unknown`"),
    "state_text": TEXT,
    "state_ms": MAYBE_NUMBER,
    "tags": COUNT,
    "silent": of("integer", says="tags of which nothing has come yet"),
    "bad": COUNT,
    "uncertain": COUNT,
    "outside": of("integer", says="tags beyond their normal range"),
    "stale": COUNT,
    "seen_ms": of("number", "null", says="on the clock that is never set, `steady_ms`"),
    "read": MAYBE_COUNT,
    "sent": MAYBE_COUNT,
    "published": MAYBE_COUNT,
    "missing": of("integer", "null", says="samples that were sent, are not here and may come with a repeat"),
    "lost": of("integer", "null", says="samples that nothing brings any more; null while that is not known"),
    "healed": MAYBE_COUNT,
    "trips": of("integer", says="events of severity 800 and above that stand", minimum=0),
    "alarms": of("integer", says="the others that stand", minimum=0),
    "fault": of("string", says="why a part cannot be shown; empty where all can"),
}

TAG = holds(
    series=SERIES,
    stale_after_s=of("number", "null", says="without news for longer it is stale [s]"),
    name=TEXT,
    type=TEXT,
    unit=TEXT,
    description=TEXT,
    low=MAYBE_NUMBER,
    high=MAYBE_NUMBER,
    normal_low=MAYBE_NUMBER,
    normal_high=MAYBE_NUMBER,
    scan_s=MAYBE_NUMBER,
    max_silence_s=MAYBE_NUMBER,
    address=TEXT,
    states=of("array"),
)

ASSET = holds(
    name=TEXT,
    site=TEXT,
    path=TEXT,
    vendors=each(TEXT),
    serial=TEXT,
    model=TEXT,
    firmware=TEXT,
    kind=TEXT,
    collector=TEXT,
    simulated=TRUTH,
    series=each(TAG, "its tags within the reader's scope"),
    **CARD,
)

PROCESS = holds(name=TEXT, running=TRUTH, trouble=TEXT, note=TEXT)
FATES = dict.fromkeys(("expected", "whole", "repaired", "healed", "missing", "expired"), COUNT)
GAP = holds(
    stream=of("string", says="its key, hexadecimal"), first=COUNT, last=COUNT, since_ms=NUMBER, heals_ms=MAYBE_NUMBER
)
EVENT = holds(
    asset=TEXT,
    source=TEXT,
    time_ms=of("number", says="when it happened, by the device's clock"),
    received_ms=NUMBER,
    severity=of("integer", says="1 to 1000 (OPC 10000-5, 6.4.2)"),
    code=TEXT,
    text=of("string", says="as the device wrote it: never to be believed as markup"),
    state=of("string", says="`active`, `acked` or `cleared`; empty for what just happened"),
    sequence=of("integer"),
)
BAND = holds(
    grade=of("string", enum=["bad", "uncertain"]),
    from_ms=NUMBER,
    to_ms=of("number", "null", says="time of the next sample of another grade; null while it lasts"),
    reason=of("string", says="the quality of its first sample in words"),
    text=of("string", says="how long, and why"),
)
HEALED = holds(from_ms=NUMBER, to_ms=NUMBER)
LAST = of(
    "object",
    "null",
    says="the sample that stood at the end of the time; null where there is none",
    properties={"time_ms": NUMBER, "value": VALUE, "quality": QUALITY, "quality_text": TEXT},
    required=["time_ms", "value", "quality", "quality_text"],
)
ALARM = holds(
    asset=TEXT,
    source=TEXT,
    tag=of("boolean", says="the source is a tag of the asset"),
    code=TEXT,
    text=of("string", says="as the device wrote it: never to be believed as markup"),
    severity=of("integer", says="1 to 1000 (OPC 10000-5, 6.4.2)"),
    trip=TRUTH,
    acknowledged=TRUTH,
    raised_ms=of("number", says="when it became active, by the clock of who told it"),
    doubt=of("string", says="why it may be over; empty where nothing says so"),
)
HOLE = holds(kind=of("string", enum=["gap", "silence", "change"]), from_ms=NUMBER, to_ms=MAYBE_NUMBER, text=TEXT)

NAMES = {"series": SERIES, "asset": TEXT, "tag": TEXT, "unit": TEXT}
SUMMARY = holds(low=MAYBE_NUMBER, high=MAYBE_NUMBER, mean=MAYBE_NUMBER, count=COUNT, bad=COUNT)
LAST_SUMMARY = holds(low=MAYBE_NUMBER, high=MAYBE_NUMBER, mean=MAYBE_NUMBER, count=COUNT, bad=COUNT, last=LAST)
CURVE = {
    "width_ms": of("number", says="of a bucket"),
    "at_ms": each(NUMBER, "the middle of each bucket"),
    "low": each(MAYBE_NUMBER),
    "high": each(MAYBE_NUMBER),
    "mean": each(MAYBE_NUMBER),
    "count": each(MAYBE_NUMBER, "values that can be used"),
    "bad": each(MAYBE_NUMBER, "values that cannot"),
    "first": each(MAYBE_NUMBER, "the bucket's first usable value by its time; null also where it is not known"),
    "last": each(MAYBE_NUMBER, "its last one, which holds until the next bucket's first"),
    "first_ms": each(MAYBE_NUMBER, "when that was, by the tag's own time"),
    "last_ms": each(MAYBE_NUMBER),
    "holes": each(HOLE, "where the line is broken"),
    "bands": each(BAND, "when its value was bad or uncertain, to the sample; at most 400"),
    "healed": each(HEALED, "from the first to the last of samples whose block came later"),
    "marked_ms": of("number", says="from here on uncertain and healed samples are told; bad ones always are"),
}
CHART_EVENT = holds(asset=TEXT, source=TEXT, code=TEXT, text=TEXT, time_ms=NUMBER, severity=of("integer"), state=TEXT)
NOTE = holds(key=TEXT, about=TEXT, at_ms=NUMBER, text=TEXT, by=TEXT, own=TRUTH, may_drop=TRUTH)

SHAPES: dict[str, JsonSchema] = {
    "Assets": holds(
        now_ms=NOW,
        steady_ms=of("number", says="a clock that is never set [ms]"),
        trouble=of("string", says="why the history cannot be read; empty while it can"),
        assets=each(ASSET),
    ),
    "Latest": holds(
        mark=of("string", says="hand it in as `since` the next time"),
        now_ms=NOW,
        values=each(
            holds(series=SERIES, time_ms=NUMBER, value=VALUE, quality=QUALITY, native=of("integer"), seen_ms=NUMBER)
        ),
    ),
    "Trend": holds(
        "Lists are equally long; a point of nulls breaks the line.",
        series=SERIES,
        from_ms=NUMBER,
        to_ms=NUMBER,
        now_ms=NOW,
        summary=LAST_SUMMARY,
        **CURVE,
    ),
    "Trends": holds(
        from_ms=NUMBER,
        to_ms=NUMBER,
        now_ms=NOW,
        marked=of("boolean", says="`bands` and `healed` are told"),
        curves=each(holds("In the order of the question; as `Trend`.", summary=SUMMARY, **NAMES, **CURVE)),
        events=each(CHART_EVENT, "of these assets in this time, by time; of each asset the newest thousand"),
        events_more=of("boolean", says="there may be earlier ones in this time"),
        notes=each(NOTE, "that the reader may see, by time"),
        trouble=of("string", says="why notes cannot be shown; empty where they can"),
    ),
    "Shares": holds(
        from_ms=NUMBER,
        to_ms=NUMBER,
        now_ms=NOW,
        shares=each(
            holds(
                "In the order of the question.",
                edges=each(NUMBER, "of the bins, one more than there are"),
                share=each(NUMBER, "of the known time in each bin: 0 to 1"),
                quantiles=of("array", "null", says="pairs: a share of the known time, the value it was below"),
                states=each(of("array"), "of states: pairs of a value and its share"),
                mean=of("number", "null", says="over time, not over samples"),
                below=of("number", "null", says="share below the normal band; null without one"),
                above=MAYBE_NUMBER,
                known_s=of("number", says="for how long a value is known [s]"),
                range_s=NUMBER,
                exact=of("boolean", says="counted from samples; else from the means of buckets"),
                **NAMES,
            )
        ),
    ),
    "Sparks": holds(
        from_ms=NUMBER,
        to_ms=NUMBER,
        sparks=each(
            holds(
                width_ms=NUMBER,
                at_ms=each(NUMBER),
                low=each(MAYBE_NUMBER),
                high=each(MAYBE_NUMBER),
                bad=each(NUMBER),
                stepped=of("boolean", says="a value holds until the next one"),
                gaps=each(of("array"), "pairs of begin and end, null while it lasts"),
                **NAMES,
            )
        ),
    ),
    "Tags": holds(
        tags=each(
            holds(name=of("string", says="ASSET/TAG, as `tag` of `/api/trends` takes it"), label=TEXT, unit=TEXT)
        ),
        more=of("boolean", says="there are others"),
    ),
    "Finds": holds(
        found=each(
            holds(
                kind=of("string", enum=["asset", "tag"]),
                name=TEXT,
                asset=of("string", says="of a tag; empty for an asset"),
                about=of("string", says="a description, or path and model"),
                page=of("string", says="address of its page"),
            )
        ),
        more=of("integer", says="that fit beyond those", minimum=0),
    ),
    "Events": holds(now_ms=NOW, events=each(EVENT, "newest first")),
    "Alarms": holds(
        now_ms=NOW,
        trip_severity=COUNT,
        alarms=each(ALARM, "what stands: unacknowledged ones first, of these the trips"),
        retired=each(ALARM, "told by assets that are no longer configured"),
        more=of("integer", says="that stand beyond those listed", minimum=0),
    ),
    "Samples": holds(
        "A sample is a list of what `columns` names; times are RFC 3339, to the nanosecond.",
        next=of("string", "null", says="hand it in as `since` the next time"),
        columns=each(TEXT),
        samples=each(of("array"), "by week, tag and time"),
        gap_columns=each(TEXT),
        gaps=each(of("array"), "times in which blocks are missing"),
    ),
    "Buckets": holds("A bucket is a list of what `columns` names.", columns=each(TEXT), buckets=each(of("array"))),
    "Link": holds(
        now_ms=NOW,
        lamp=TEXT,
        lamp_text=TEXT,
        beat_age_s=MAYBE_NUMBER,
        session=TEXT,
        loss=of("number", says="0 to 1, between the last two beats"),
        loss_total=NUMBER,
        frames_received=COUNT,
        frames_lost=COUNT,
        kernel_drops=COUNT,
        queue_overflow=COUNT,
        refused_total=COUNT,
        refused=each(holds(reason=TEXT, text=TEXT, count=COUNT)),
        versions=each(holds(version=TEXT, count=COUNT)),
        blocks=holds(**FATES),
        gaps=each(GAP),
        gaps_more=COUNT,
        codes=each(TEXT),
        warnings=each(TEXT),
        clock=TEXT,
        spool=TEXT,
        concerns=of("array"),
        alarms=each(TEXT),
        processes=each(PROCESS),
    ),
    "Health": of(
        "object",
        says="A stranger is told `ok` alone.",
        properties={
            "ok": TRUTH,
            "trouble": TEXT,
            "alarms": each(TEXT),
            "listeners": COUNT,
            "slow_listeners_dropped": COUNT,
            "faults": COUNT,
            "connections": COUNT,
            "closed_late": COUNT,
            "closed_crowded": COUNT,
        },
        required=["ok"],
    ),
}
