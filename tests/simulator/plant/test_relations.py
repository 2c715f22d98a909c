"""Tags depend on one another, trips come with their events, and all of it is a function of time."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from small_plant import NOW, one_device

from protocol.content.sample import Quality
from protocol.errors import ConfigError
from simulator.plant.plant import Plant
from simulator.plant.signals import SECOND
from simulator.plant.trips import TripEvent
from simulator.scene.file import load, parse

TICK = 100_000_000
MILLI = 1_000_000


def tag(name: str, type_name: str = "float64", /, **signal: Any) -> dict[str, Any]:
    """The table of a tag; the address moves on by itself in `plant_of`."""
    return {"name": name, "type": type_name, "signal": signal}


def plant_of(tags: list[dict[str, Any]], seed: int = 5, **more: Any) -> Plant:
    """A plant of one OPC UA device (which needs no addresses), and what else a scene has."""
    server = {"asset": "device", "protocol": "opcua", "port": 0, "tag": tags}
    return Plant(parse({"scene": {"name": "one", "tick_ms": 100}, "server": [server], **more}), seed)


def values(plant: Plant, time_ns: int) -> dict[str, Any]:
    held = plant.at(time_ns).values
    return {point.name: held[point.number] for point in plant.points}


WALK = {"kind": "walk", "mean": 5.0, "span": 3.0, "period_s": 20.0}


def test_a_valve_closes_and_the_flow_falls_a_moment_later() -> None:
    """Flow is pressure x valve of `lag_s` ago; a flow that depends on that flow is later still."""
    plant = plant_of(
        [
            tag("pressure", **WALK),
            tag("valve", kind="step", levels=[0, 0.5, 1], dwell_s=2),
            tag("flow", kind="product", of=["pressure", "valve"], gain=10, offset=1, lag_s=0.7),
            tag("meter", kind="follow", of="flow", gain=2, lag_s=0.5),
        ]
    )
    closed = 0
    for step in range(200):
        now, lagged = NOW + step * TICK, values(plant, NOW + step * TICK - 700 * MILLI)
        seen = values(plant, now)
        assert seen["flow"] == 1 + 10 * (lagged["pressure"] * lagged["valve"])
        assert seen["meter"] == 2 * values(plant, now - 500 * MILLI)["flow"]
        closed += seen["flow"] == 1
    assert 0 < closed < 200


def test_an_alarm_waits_and_stays() -> None:
    """It comes when the tag was beyond the limit for all of delay_s, and goes hold_s after that was last so."""
    plant = plant_of(
        [
            {**tag("level", **WALK), "every_ms": 200},
            {**tag("high", "bool", kind="alarm", of="level", limit=5.2, delay_s=1, hold_s=2), "every_ms": 200},
        ]
    )
    beyond = [float(values(plant, NOW + step * 2 * TICK)["level"]) > 5.2 for step in range(-20, 800)]
    came = [all(beyond[at - 5 : at + 1]) for at in range(5, len(beyond))]
    expected = [any(came[at - 10 : at + 1]) for at in range(15, len(came))]
    told = [values(plant, NOW + step * 2 * TICK)["high"] for step in range(800)]
    assert told == expected
    assert {True, False} == set(told)
    assert told != beyond[20:]


def test_a_batch_runs_again_and_again_and_its_tags_in_step() -> None:
    """The profile is straight between its points; tags of one cycle share its phase, others have their own."""
    profile = {"kind": "batch", "times_s": [0, 10, 30, 40], "levels": [20, 80, 80, 20]}
    plant = plant_of(
        [
            tag("hot", **profile, cycle="reactor"),
            tag("also", **profile, cycle="reactor"),
            tag("alone", **profile),
            tag("phase", "int32", **{**profile, "levels": [1, 2, 3, 4]}, cycle="reactor", hold=True),
        ]
    )
    seen = [values(plant, NOW + step * TICK) for step in range(1200)]
    assert [one["hot"] for one in seen] == [one["also"] for one in seen]
    assert [one["hot"] for one in seen[:800]] == pytest.approx([one["hot"] for one in seen[400:]])
    assert any(one["hot"] != one["alone"] for one in seen)
    assert {one["phase"] for one in seen} == {1, 2, 3}
    for one in seen:
        assert one["phase"] != 2 or one["hot"] == 80
        assert 20 <= one["hot"] <= 80
    assert max(abs(b["hot"] - a["hot"]) for a, b in pairwise(seen)) == pytest.approx(0.6, rel=1e-5)


def test_one_tag_seen_in_two_places_is_one_tag() -> None:
    """`same` has the value, the time, the quality and the description of what it is a view of."""
    spell = {"quality": "bad_sensor_failure", "every_s": 10, "for_s": 4}
    source = {
        **tag("level", "float32", **WALK),
        "at": "holding:3",
        "unit": "m",
        "low": 0,
        "high": 9,
        "decimals": 2,
        "every_ms": 300,
        "spell": spell,
    }
    scene = parse(
        {
            "scene": {"name": "two", "tick_ms": 100},
            "server": [
                {"asset": "view", "protocol": "opcua", "port": 0, "tag": [{"name": "Tank.L", "same": "tank:level"}]},
                {"asset": "tank", "protocol": "modbus", "port": 0, "tag": [source]},
            ],
        }
    )
    plant = Plant(scene, 3)
    for step in range(300):
        moment = plant.at(NOW + step * TICK)
        for column in (moment.values, moment.times_ns, moment.quality):
            assert column[0] == column[1]
    assert {plant.at(NOW + step * TICK).quality[0] for step in range(300)} == {0, Quality.BAD_SENSOR_FAILURE}
    view = plant.points[0].entry
    assert (view.name, view.unit, view.high, view.type) == ("Tank.L", "m", 9, "float32")


TRIP = {
    "name": "overcurrent",
    "asset": "device",
    "every_s": 60,
    "for_s": 20,
    "steps": [
        {"after_ms": 83, "tag": "trip_51", "text": "51 trip", "severity": 900},
        {"after_ms": 0, "tag": "pickup_51", "text": "51 pickup"},
        {"after_ms": 131, "tag": "closed", "to": False, "text": "breaker open"},
        {"after_ms": 140, "tag": "text", "to": "TRIP"},
        {"after_ms": 150, "tag": "setpoint", "to": 0},
    ],
}


def tripping(**more: Any) -> Plant:
    """A motor with a protection."""
    return plant_of(
        [
            *(tag(name, "bool", kind="fixed", value=False) for name in ("pickup_51", "trip_51")),
            tag("closed", "bool", kind="fixed", value=True),
            tag("setpoint", "int32", kind="counter", start=7),
            {**tag("text", "string", kind="text", texts=["RUN"], dwell_s=5), "length": 3},
            tag("load", **WALK),
            tag("current", kind="product", of=["load", "closed"], gain=2, lag_s=0.2),
            {**tag("slow", "bool", kind="follow", of="closed"), "every_ms": 1000},
        ],
        trip=[TRIP],
        **more,
    )


def test_a_trip_puts_its_values_at_its_times_and_takes_them_away() -> None:
    """Every step holds from its own millisecond until the trip ends, with that time, and what depends on it follows."""
    plant = tripping()
    events = plant.events(NOW, NOW + 60 * SECOND)
    begin = next(event.time_ns for event in events if event.code == 1)
    end = begin + 20 * SECOND
    held = {
        "pickup_51": (0, True),
        "trip_51": (83, True),
        "closed": (131, False),
        "text": (140, "TRI"),
        "setpoint": (150, 0),
    }
    for time_ns in range(begin - 3 * SECOND, end + 3 * SECOND, TICK // 2):
        moment, tick = plant.at(time_ns), time_ns - time_ns % TICK
        for name, (after_ms, to) in held.items():
            number = plant.point("device", name).number
            on = begin + after_ms * MILLI <= tick < end
            assert (moment.values[number] == to and type(moment.values[number]) is type(to)) == on, (name, time_ns)
            assert (moment.times_ns[number] == begin + after_ms * MILLI) == on
        lagged = values(plant, tick - 200 * MILLI)
        seen = values(plant, tick)
        assert seen["current"] == 2 * lagged["load"] * lagged["closed"]
        assert seen["slow"] == values(plant, tick - tick % SECOND)["closed"]


def test_events_are_in_order_and_numbered_without_a_gap() -> None:
    """One trip in each period, its steps in the order of time, and a number for each that any window agrees on."""
    plant = tripping()
    events = plant.events(NOW, NOW + 600 * SECOND)
    assert [event.time_ns for event in events] == sorted(event.time_ns for event in events)
    numbers = [event.number for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(events)))
    assert len(events) in range(54, 67)
    codes = [event.code for event in events]
    at = codes.index(1)
    assert codes[at : at + 12] == [1, 2, 3, 4, 5, 0] * 2
    texts = [event.text for event in events if event.number >= numbers[at]][:6]
    assert texts == ["51 pickup", "51 trip", "breaker open", "text operated", "setpoint operated", "overcurrent reset"]
    begins = [event.time_ns for event in events if event.code == 1]
    assert len({begin % (60 * SECOND) for begin in begins}) == len(begins)
    again: list[TripEvent] = []
    for start in range(NOW, NOW + 600 * SECOND, 7 * SECOND):
        again += plant.events(start, min(start + 7 * SECOND, NOW + 600 * SECOND))
    assert again == events
    assert plant.events(NOW, NOW + 600 * SECOND, "nobody") == []


def test_a_trip_that_was_asked_for_happens_at_once_and_joins_the_numbering() -> None:
    """Its values, its events and their numbers are those of any trip, and what was told before it stays as told."""
    plant = tripping()
    by_itself = plant.events(NOW, NOW + 120 * SECOND)
    begins = [event.time_ns for event in by_itself if event.code == 1]
    ends = [event.time_ns for event in by_itself if event.code == 0]
    free = next(end for end in ends if all(not end < begin < end + 25 * SECOND for begin in begins))
    plant.advance(free + 2 * SECOND)
    told = plant.events(NOW, plant.moment.time_ns + 1)
    assert plant.trip("device") == "overcurrent"
    begin = plant.moment.time_ns + TICK
    assert plant.events(NOW, plant.moment.time_ns + 1) == told
    events = plant.events(NOW, NOW + 600 * SECOND)
    assert [event.code for event in events if begin <= event.time_ns <= begin + 20 * SECOND] == [1, 2, 3, 4, 5, 0]
    assert [event.number for event in events] == list(range(events[0].number, events[0].number + len(events)))
    assert values(plant, begin + SECOND)["closed"] is False
    assert values(plant, begin + 20 * SECOND)["closed"] is True
    with pytest.raises(ConfigError, match="overcurrent is on"):
        plant.trip("device", "overcurrent")


@pytest.mark.parametrize(("asset", "name"), [("nobody", ""), ("device", "undervoltage")])
def test_a_trip_that_is_not_in_the_scene_is_refused_with_those_that_are(asset: str, name: str) -> None:
    """A mistyped name makes nothing happen."""
    with pytest.raises(ConfigError, match="has no trip") as refused:
        tripping().trip(asset, name)
    assert "device overcurrent" in refused.value.hint


def test_a_trip_is_not_asked_for_where_one_comes_by_itself() -> None:
    """Two of one protection at once would be no sequence of events."""
    plant = tripping()
    begin = next(event.time_ns for event in plant.events(NOW, NOW + 120 * SECOND) if event.code == 1)
    plant.advance(begin - 3 * SECOND)
    with pytest.raises(ConfigError, match="comes by itself"):
        plant.trip("device")


def test_several_trips_of_an_asset_share_one_numbering() -> None:
    """Two protections of one relay: their events are merged and numbered through."""
    other = {**TRIP, "name": "undervoltage", "every_s": 37, "for_s": 5, "steps": [{"tag": "pickup_51"}]}
    plant = plant_of(
        [tag("pickup_51", "bool", kind="fixed", value=False)],
        trip=[
            {**TRIP, "steps": [{"tag": "pickup_51"}, {"tag": "pickup_51", "after_ms": 90, "to": False}]},
            other,
        ],
    )
    events = plant.events(NOW, NOW + 3600 * SECOND)
    assert {event.trip for event in events} == {"overcurrent", "undervoltage"}
    assert [event.number for event in events] == list(range(events[0].number, events[0].number + len(events)))


def test_a_recorder_shows_the_newest_events_first() -> None:
    """An array of records is the end of the sequence of events, at any time, in any type that can hold it."""
    record = [
        {**tag("soe_number", "uint32", kind="record", field="number"), "dims": [4]},
        {**tag("soe_time", "int64", kind="record", field="time_ms"), "dims": [4]},
        {**tag("soe_text", "string", kind="record", field="text", back=1), "length": 40},
        tag("pickup_51", "bool", kind="fixed", value=False),
    ]
    plant = plant_of(record, trip=[{**TRIP, "steps": [{"tag": "pickup_51", "text": "pickup"}]}])
    for step in range(0, 900, 7):
        now = NOW + step * TICK
        events = plant.events(now - 400 * SECOND, now - now % TICK + 1)[::-1]
        seen = values(plant, now)
        assert [seen[f"soe_number[{at}]"] for at in range(4)] == [event.number for event in events[:4]]
        assert [seen[f"soe_time[{at}]"] for at in range(4)] == [event.time_ns // MILLI for event in events[:4]]
        assert seen["soe_text"] == events[1].text


def test_a_recorder_without_events_is_empty() -> None:
    """Before anything happened there is nothing, of the tag's type."""
    plant = plant_of(
        [
            tag("number", "uint32", kind="record", field="number"),
            tag("text", "string", kind="record", field="text"),
            tag("state", "bool", kind="record", field="state"),
        ]
    )
    assert values(plant, NOW) == {"number": 0, "text": "", "state": False}


def test_history_is_what_was_shown() -> None:
    """A point's past, asked for in any order, is what the plant said at each of those times."""
    plant = tripping()
    source = random.Random(8)
    times = [NOW + source.randrange(1200) * TICK for _ in range(150)]
    for point in plant.points:
        moments = [plant.at(time_ns) for time_ns in times]
        number = point.number
        shown = [(m.times_ns[number], m.values[number], m.quality[number]) for m in moments]
        assert [tuple(one) for one in plant.past(point, times)] == shown, point.name
    assert plant.past(plant.points[0], []) == []


def test_repeat_makes_many_of_one() -> None:
    """Numbers in names, ports one after another, addresses by the step."""
    scene = parse(
        {
            "scene": {"name": "many"},
            "server": [
                {
                    "repeat": 3,
                    "asset": "skid-{n:02}",
                    "protocol": "modbus",
                    "port": 15100,
                    "path": "hall/{n}",
                    "struct": {"pair": [{"name": "m{i}", "type": "uint16", "at": 1, "repeat": 2, "signal": WALK}]},
                    "tag": [
                        {"name": "t{i:03}", "at": "holding:10", "step": 2, "repeat": 4, "signal": WALK},
                        {"name": "one", "at": "coil:0", "type": "bool", "signal": {"kind": "switch"}},
                    ],
                }
            ],
        }
    )
    assert [section.asset for section in scene.servers] == ["skid-01", "skid-02", "skid-03"]
    assert [section.port for section in scene.servers] == [15100, 15101, 15102]
    assert scene.servers[2].path == "hall/3"
    second = {point.name: point.at for point in scene.servers[1].points}
    assert second == {
        "t001": "holding:10",
        "t002": "holding:12",
        "t003": "holding:14",
        "t004": "holding:16",
        "one": "coil:0",
    }
    assert [one.name for one in scene.servers[0].structs["pair"].members] == ["m1", "m2"]
    assert [point.number for point in scene.points] == list(range(15))
    plant = Plant(scene, 1)
    assert len({plant.moment.values[point.number] for point in plant.points if point.entry.type == "float32"}) == 12


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"signal": {"kind": "product", "of": ["a"]}}, "depends on itself"),
    ({"signal": {"kind": "product", "of": []}}, "names no tag"),
    ({"signal": {"kind": "follow", "of": "nobody"}}, "must name a number"),
    ({"signal": {"kind": "alarm", "of": "b", "limit": 1, "delay_s": 0.25}}, "multiples of 100 ms"),
    ({"signal": {"kind": "alarm", "of": "b", "limit": 1, "hold_s": 3600}}, "at most 120"),
    ({"signal": {"kind": "record", "field": "colour"}}, "a record's field is one of"),
    ({"signal": {"kind": "record", "field": "text"}}, "cannot hold a record's text"),
    ({"signal": {"kind": "batch", "times_s": [0, 5, 5], "levels": [1, 2, 3]}}, "rise from 0"),
    ({"signal": {"kind": "fixed", "value": 1}, "alarm": {"text": "x"}}, "an alarm is of type bool"),
    ({"signal": {"kind": "fixed", "value": 1}, "states": ["off", "on"]}, "states belong to"),
    ({"same": "b", "signal": {"kind": "fixed", "value": 1}}, "neither dims nor a signal"),
    ({"same": "nobody:b"}, "names no tag of its own"),
    ({"repeat": 0, "signal": {"kind": "fixed", "value": 1}}, "repeat is a whole number"),
]


@pytest.mark.parametrize(("change", "expected"), MISTAKES)
def test_a_mistake_in_a_relation_is_named(change: dict[str, Any], expected: str) -> None:
    """What cannot be is refused in its own words."""
    with pytest.raises(ConfigError, match=expected):
        plant_of([{"name": "a", **change}, {"name": "b", "type": "float64", "signal": WALK}])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"for_s": 60}, "less than every_s"),
        ({"steps": []}, "needs steps"),
        ({"asset": "nobody"}, "no asset"),
        ({"steps": [{"tag": "nothing"}]}, "no such tag"),
        ({"steps": [{"tag": "text", "to": 4}]}, "cannot be 4"),
        ({"steps": [{"tag": "closed", "after_ms": 20_000}]}, "within the trip"),
        ({"steps": [{"tag": "closed", "severity": 0}]}, "severity is 1 to 1000"),
        ({"steps": [{"tag": "closed", "when": 1}]}, "unknown"),
        ({"sometimes": True}, "unknown"),
    ],
)
def test_a_mistake_in_a_trip_is_named(change: dict[str, Any], expected: str) -> None:
    """Each place of a trip is checked."""
    tags = [tag("closed", "bool", kind="switch"), tag("text", "string", kind="fixed", value="a")]
    with pytest.raises(ConfigError, match=expected):
        plant_of(tags, trip=[{**TRIP, "steps": [{"tag": "closed"}], **change}])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"asset": "nobody", "what": "hang"}, "no asset `nobody`"),
        ({"asset": "device", "what": "hang", "at": "soon"}, "is not a duration"),
        ({"asset": "device"}, "missing"),
    ],
)
def test_a_mistake_in_a_fault_is_named(table: dict[str, Any], expected: str) -> None:
    """A fault of the scene names an asset, and its times are durations."""
    with pytest.raises(ConfigError, match=expected):
        plant_of([tag("a", kind="fixed", value=1)], fault=[table])


def test_one_device_helper_is_a_scene() -> None:
    """The helper of the other tests still builds one."""
    assert one_device([{"name": "a", "at": "holding:0", "signal": WALK}]).points[0].name == "a"


def test_a_step_of_a_trip_has_its_own_time_between_two_ticks_and_is_shown_from_the_next_one() -> None:
    """What a server says of 322.435 s is what the model shows at 322.5 s, and not yet at 322.4 s."""
    plant, shown_ns = Plant(load("small"), 31), 1_763_885_322_500_000_000
    number = next(one.number for one in plant.scene.servers[1].points if one.name == "Turbine.FuelFlow")
    assert plant.at(shown_ns).values[number] == 0.0
    assert plant.at(shown_ns).times_ns[number] == shown_ns - 65_000_000
    assert plant.at(shown_ns - 65_000_000).values[number] == 2.242
