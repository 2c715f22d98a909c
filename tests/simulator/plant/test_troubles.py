"""What is wrong inside a device, and when: views of the plant under troubles, and the times of a scene's faults."""

from __future__ import annotations

import math
from typing import Any

import pytest
from small_plant import NOW, fixed, one_device

from protocol.content.sample import Quality
from protocol.errors import ConfigError
from simulator.device_faults import DeviceFaults
from simulator.plant.plant import Plant
from simulator.plant.troubles import FAR_NS, Troubles, View
from simulator.scene.fault_schedule import FaultSchedule
from simulator.scene.scene import Timed

SECOND = 1_000_000_000
TICK = 100_000_000


def walking() -> tuple[Plant, Troubles, View]:
    """A device with a value that changes with each tick, one with a range, and a text."""
    tags: list[dict[str, Any]] = [
        {
            "name": "a",
            "at": "holding:0",
            "type": "float64",
            "signal": {"kind": "ramp", "start": 0, "end": 1000, "period_s": 1000},
        },
        {
            "name": "b",
            "at": "holding:4",
            "type": "int16",
            "low": 0,
            "high": 100,
            "signal": {"kind": "fixed", "value": 7},
        },
        fixed("c", "holding:5", "string", "text"),
    ]
    plant = Plant(one_device(tags), 2)
    plant.advance(NOW)
    troubles = Troubles()
    return plant, troubles, View(plant, plant.points, troubles)


def test_a_view_without_troubles_is_the_plants_own_moment() -> None:
    """Nothing is copied where nothing is wrong."""
    plant, _, view = walking()
    assert view.moment is plant.moment
    assert plant.advance(NOW + TICK) is view.moment


def test_a_freeze_holds_value_and_time_until_it_is_healed() -> None:
    """The value and its time stand still while the plant goes on, and are right again at once."""
    plant, troubles, view = walking()
    then = plant.moment
    troubles.add("freeze a")
    for step in (1, 2, 3):
        plant.advance(NOW + step * TICK)
        assert (view.moment.values[0], view.moment.times_ns[0]) == (then.values[0], then.times_ns[0])
    assert plant.moment.values[0] != then.values[0]
    troubles.drop("freeze a")
    assert view.moment.values == plant.moment.values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value b over", 110),
        ("value b under", -10),
        ("value b 55", 55),
        ("value b inf", 32767),
        ("value b nan", 0),
        ("value ? 3", 3),
    ],
)
def test_a_value_is_put_as_its_type_can_hold_it(text: str, expected: int) -> None:
    """Over and under lie a tenth of the range beyond it; what a whole number cannot be is its nearest."""
    _, troubles, view = walking()
    troubles.add(text)
    assert view.moment.values[1] == expected
    assert view.moment.values[2] == "text"


def test_a_float_can_be_not_a_number() -> None:
    """As a broken sensor's register is."""
    _, troubles, view = walking()
    troubles.add("value a nan")
    assert math.isnan(float(view.moment.values[0]))


def test_clocks_go_wrong_in_each_way() -> None:
    """Stopped, far, paired and jumped source times, and the device's own clock with them."""
    plant, troubles, view = walking()
    right = plant.moment.times_ns[0]
    troubles.add("clock far")
    assert (view.moment.times_ns[0], view.clock_ns(NOW)) == (right + FAR_NS, NOW + FAR_NS)
    troubles.add("clock jump -90s")
    assert view.moment.times_ns[0] == right - 90 * SECOND
    assert troubles.texts() == ["clock jump -1m30s"] or troubles.texts()[0].startswith("clock jump -")
    troubles.add("clock paired")
    times = []
    for step in range(1, 5):
        plant.advance(NOW + step * TICK)
        times.append(view.moment.times_ns[0])
    assert len(set(times)) in (2, 3)
    assert all(one % (2 * TICK) == 0 for one in times)
    troubles.add("clock stopped")
    stood = {view.moment.times_ns[0] for step in range(5, 9) if plant.advance(NOW + step * TICK)}
    assert len(stood) == 1
    troubles.clear()
    assert view.moment.times_ns == plant.moment.times_ns


def test_the_last_pattern_that_fits_decides() -> None:
    """A status by pattern, healed by the same text."""
    _, troubles, view = walking()
    troubles.add("bad * bad_sensor_failure")
    troubles.add("bad a uncertain")
    assert view.moment.quality == [Quality.UNCERTAIN, Quality.BAD_SENSOR_FAILURE, Quality.BAD_SENSOR_FAILURE]
    troubles.drop("bad * bad_sensor_failure")
    assert view.moment.quality == [Quality.UNCERTAIN, 0, 0]


@pytest.mark.parametrize(
    "text", ["bad a unwell", "value a much", "freeze a b", "gone", "clock slow", "clock jump soon", "bad a"]
)
def test_an_unreadable_trouble_is_refused(text: str) -> None:
    """By the device at once, and by a scene's check before anything starts."""
    with pytest.raises(ConfigError):
        Troubles().add(text)
    with pytest.raises(ConfigError):
        DeviceFaults().check(text)


@pytest.mark.parametrize(
    "text", ["bad a.* bad_timeout", "value b over", "freeze *", "gone x?", "clock paired", "clock jump 1h", "hang x2"]
)
def test_every_text_is_told_as_it_was_given_and_removed_by_it(text: str) -> None:
    """What `list` shows can be typed again."""
    faults = DeviceFaults()
    faults.add(text)
    (told,) = faults.texts()
    again = DeviceFaults()
    again.add(told)
    assert again.texts() == [told]
    faults.remove(text)
    assert faults.texts() == []


def test_a_schedule_begins_ends_and_repeats() -> None:
    """Changes in the order of time, none missed however late one asks."""
    faults = [
        Timed(asset="a", what="hang", at_s=20, for_s=10, every_s=60),
        Timed(asset="b", what="restart", at_s=25),
    ]
    schedule = FaultSchedule(faults)
    assert schedule.due(19.9) == []
    got = [(one.at_s, one.begins, one.asset) for one in schedule.due(150)]
    assert got == [
        *((20, True, "a"), (25, True, "b"), (30, False, "a")),
        *((80, True, "a"), (90, False, "a"), (140, True, "a"), (150, False, "a")),
    ]
    assert schedule.due(150) == []
