"""Laws of an export of events, states, descriptions and gaps: they are promised what samples are."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars
import pytest
from exporting import asked, keep, write
from history_blocks import ASSETS, BOOT, SECOND, T0, TAGS, batch, block, some_blocks, stream

from protocol.content.sample import Row
from protocol.errors import ConfigError
from receiver.config import ReceiverConfig
from receiver.export import plain_rows
from receiver.export.choice import ExportChoice
from receiver.outputs.base import EventBody, OpenedBlock, StateBody

HOSTILE = '=cmd|"/c calc"!A1,\n;+1\x00\x1b[2J'


def event(number: int, text: str = "overspeed", asset: str = "relay-2") -> OpenedBlock:
    """An alarm of a relay."""
    body = EventBody(
        asset=asset,
        source="ANSI 50",
        time_ns=T0 + number * SECOND + 7,
        severity=800,
        code="trip",
        text=text,
        state="active",
        sequence=number,
    )
    return block(stream(), number, body, received_ns=T0 + (number + 100) * SECOND)


def state(number: int, what: str = "down", asset: str = "pump-7", text: str = "no reply") -> OpenedBlock:
    """A state of the pump."""
    body = StateBody(asset=asset, time_ns=T0 + number * SECOND, what=what, text=text)
    return block(stream(), number, body, received_ns=T0 + (number + 100) * SECOND)


def some(count: int) -> list[OpenedBlock]:
    """Blocks of samples, events and states in turn."""
    samples = some_blocks(random.Random(4), stream(), count, 8)
    return [(one, event(number), state(number))[number % 3] for number, one in enumerate(samples)]


def test_events_are_read_as_they_were_told(low: ReceiverConfig) -> None:
    """To the nanosecond, by DuckDB and polars; with the block that they came in, and when it did."""
    keep(low, [*some(3), event(3, asset="press-1")])
    out, told = write(low, "a.parquet", what="events")
    assert told["events"] == 2
    first, second = polars.read_parquet(out).to_dicts()
    assert (first["site"], first["asset"], first["source"], first["severity"]) == ("north", "relay-2", "ANSI 50", 800)
    assert (first["code"], first["text"], first["state"], first["sequence"]) == ("trip", "overspeed", "active", 1)
    assert (first["stream"], first["block"]) == (b"stream-1".hex(), 1)
    assert (second["asset"], second["block"]) == ("press-1", 3)
    sql = "SELECT epoch_ns(time), epoch_ns(arrived) FROM '{}' ORDER BY block"
    assert asked(sql.format(out)) == [
        (T0 + SECOND + 7, T0 + 101 * SECOND),
        (T0 + 3 * SECOND + 7, T0 + 103 * SECOND),
    ]
    text, _ = write(low, "a.csv", what="events")
    assert [(one["text"], one["block"]) for one in csv.DictReader(text.read_text().splitlines())] == [
        ("overspeed", "1"),
        ("overspeed", "3"),
    ]
    named = "types={'time': 'TIMESTAMPTZ_NS'}"
    assert asked(f"SELECT min(epoch_ns(time)) FROM read_csv('{text}', {named})") == [(T0 + SECOND + 7,)]


def test_states_of_the_assets_and_of_the_sender_are_told(low: ReceiverConfig) -> None:
    """What is no asset's is the sender's, with its site; a vendor is told of its own assets alone."""
    keep(low, [state(0), state(1, "up"), state(2, "note", asset="", text="begun"), state(3, asset="press-1")])
    rows = polars.read_parquet(write(low, "a.parquet", what="states")[0])
    assert rows.select("site", "asset", "what", "text", "block").rows() == [
        ("north", "pump-7", "down", "no reply", 0),
        ("north", "pump-7", "up", "no reply", 1),
        ("north", "", "note", "begun", 2),
        ("north", "press-1", "down", "no reply", 3),
    ]
    of_vendor = polars.read_parquet(write(low, "b.parquet", what="states", vendor="Acme")[0])
    assert of_vendor["asset"].to_list() == ["pump-7", "pump-7"]


@pytest.mark.parametrize("what", ["events", "states"])
def test_what_heals_late_is_in_the_next_export_once(
    low: ReceiverConfig, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cursor of arrival is for every kind of rows; a page at a time or all at once."""
    monkeypatch.setattr(plain_rows, "PAGE_ROWS", 4)
    blocks = some(90)
    late = [one for one in blocks if one.number % 5 == 3]
    groups = [
        [one for one in blocks[:50] if one not in late],
        [*late, *(one for one in blocks[50:] if one not in late)],
        [],
    ]
    seen: Counter[int] = Counter()
    cursor = None
    for number, group in enumerate(groups):
        keep(low, group)
        out, told = write(low, f"{number}.parquet", what=what, since=cursor)
        cursor = told["next"]
        numbers = polars.read_parquet(out)["block"].to_list()
        assert set(numbers) <= {one.number for one in group}
        assert told[what] == len(numbers)
        seen.update(numbers)
    kind = EventBody if what == "events" else StateBody
    assert seen == Counter(one.number for one in blocks if isinstance(one.body, kind))


def test_two_senders_that_began_at_one_time_are_told_apart(low: ReceiverConfig) -> None:
    """By site; and where one was copied with its state, by which stream had the block."""
    other = stream(b"stream-2", BOOT)
    keep(low, [event(0), event(1), replace(event(2), stream=other), block(other, 3, batch([Row(0, T0, 1.0)]))])
    rows = polars.read_parquet(write(low, "a.parquet", what="events")[0])
    keys = [b"stream-1".hex(), b"stream-1".hex(), b"stream-2".hex()]
    assert rows.select("block", "stream").rows() == list(enumerate(keys))


@pytest.mark.parametrize("what", ["events", "states"])
def test_a_hostile_text_stands_in_one_cell(low: ReceiverConfig, what: str) -> None:
    """Whoever named an alarm makes no column, no line and no formula; Parquet has it letter for letter."""
    keep(low, [event(0, HOSTILE) if what == "events" else state(0, text=HOSTILE)])
    data = write(low, "a.csv", what=what)[0].read_text()
    assert data.count("\n") == 2
    (row,) = csv.DictReader(data.splitlines())
    assert row["text"] == "'=cmd|\"/c calc\"!A1,\\n;'+1\\x00\\x1b[2J"
    assert polars.read_parquet(write(low, "a.parquet", what=what)[0])["text"].to_list() == [HOSTILE]


def test_only_what_was_asked_for_is_in_the_file(low: ReceiverConfig) -> None:
    """By asset, source and time."""
    keep(low, [*some(30), event(30, asset="press-1"), replace(event(31), body=replace_source(event(31), "51"))])
    asked_for: dict[str, dict[str, Any]] = {
        "asset": {"choice": ExportChoice(assets=("press-*",))},
        "source": {"choice": ExportChoice(tags=("5?",))},
        "time": {"from_text": "2025-11-23T08:00:10Z", "to_text": "2025-11-23T08:00:14Z"},
    }
    rows = {
        name: polars.read_parquet(write(low, f"{name}.parquet", what="events", **typed)[0])
        for name, typed in asked_for.items()
    }
    assert rows["asset"]["block"].to_list() == [30]
    assert rows["source"]["block"].to_list() == [31]
    assert rows["time"]["block"].to_list() == [10, 13]


def replace_source(one: OpenedBlock, source: str) -> EventBody:
    """Its event, of another source."""
    assert isinstance(one.body, EventBody)
    return replace(one.body, source=source)


def test_every_version_of_a_tag_is_described(low: ReceiverConfig) -> None:
    """What an export of samples calls version 1 and 2: with the address and the conversion that made them two."""
    of_tag = replace(TAGS[0], address="holding:0", conversion="int16 x 0.1", low=0.0, states=("off", "on"))
    again = replace(of_tag, conversion="int16 x 0.01")
    keep(
        low,
        [
            block(stream(b"a", BOOT, tags=(of_tag,)), 0, batch([Row(0, T0, 1.0)])),
            block(stream(b"b", BOOT + 1, tags=(again,)), 0, batch([Row(0, T0 + SECOND, 0.1)])),
        ],
    )
    out, told = write(low, "a.parquet", what="tags")
    rows = polars.read_parquet(out)
    assert told["tags"] == 2
    assert rows.select("asset", "tag", "version", "newest", "address", "conversion", "low").rows() == [
        ("pump-7", "pressure", 1, False, "holding:0", "int16 x 0.1", 0.0),
        ("pump-7", "pressure", 2, True, "holding:0", "int16 x 0.01", 0.0),
    ]
    assert [json.loads(one) for one in rows["states"]] == [["off", "on"]] * 2
    samples = polars.read_parquet(write(low, "b.parquet")[0])
    joined = samples.join(rows, on=["site", "asset", "tag", "version"])
    assert joined.select("conversion", "value_double").rows() == [("int16 x 0.1", 1.0), ("int16 x 0.01", 0.1)]
    text = write(low, "a.csv", what="tags")[0]
    assert [one["newest"] for one in csv.DictReader(text.read_text().splitlines())] == ["false", "true"]


def test_gaps_go_with_every_file_and_may_be_asked_for_alone(low: ReceiverConfig) -> None:
    """A missing block may have held an event; alone they are one file."""
    keep(low, [one for one in some(12) if one.number not in (3, 4)])
    for what in ("events", "states", "tags"):
        out, told = write(low, f"{what}.parquet", what=what)
        assert told["gaps"] == 1
        assert len(polars.read_parquet(Path(told["gaps_file"]))) == 1
    out, told = write(low, "alone.parquet", what="gaps")
    assert told["gaps_file"] is None
    assert polars.read_parquet(out).select("blocks", "first_block").rows() == [(2, 3)]
    assert not list(low.path.parent.glob("alone.gaps*"))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"what": "alarms"}, "--what alarms"),
        ({"what": "events", "buckets": "1h"}, "made of samples, not of events"),
        ({"what": "tags", "since": "0"}, "tags have no arrival"),
        ({"what": "states", "choice": ExportChoice(tags=("a",))}, "states are of no tag"),
        ({"what": "events", "choice": ExportChoice(assets=("pumps",))}, "no asset here is called 'pumps'"),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_next_step(
    low: ReceiverConfig, typed: dict[str, Any], told: str
) -> None:
    """And nothing is made."""
    keep(low, some(3))
    with pytest.raises(ConfigError, match=told) as caught:
        write(low, "a.parquet", **typed)
    assert caught.value.hint
    assert not list(low.path.parent.glob("a.*"))


def test_an_asset_outside_the_scope_has_no_event_in_any_file(low: ReceiverConfig) -> None:
    """Nor a state; by vendor."""
    keep(low, some(30))
    for asset in ASSETS:
        for vendor in {"Acme", "Volta"} - set(asset.vendors):
            for what in ("events", "states", "tags"):
                out, _ = write(low, f"{vendor}-{what}.parquet", what=what, vendor=vendor, replace=True)
                assert asset.name not in polars.read_parquet(out)["asset"].to_list()
