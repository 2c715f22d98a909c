"""The plant is a pure function of scene, seed and time."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest
from small_plant import NOW, one_device, small

from simulator.plant.plant import LIMITS, Plant, PlantMoment
from simulator.plant.signals import SECOND, CounterSignal, OverSignal, WalkSignal
from simulator.scene.scene import ScenePoint

TICK = 100_000_000
KNOWN: dict[str, object] = {
    "discharge_pressure": 6.828999996185303,
    "bearing_de.vibration": 1.7100000381469727,
    "shaft_turns": 3734991881,
    "Turbine.Revolutions": 9007201614274730,
    "Turbine.Bearing2.Temperature": 91.81,
    "Recipe": "FILTER 500G",
    "Axis_Position[1,2]": 334.777,
}
"""Values of seed 1 at NOW."""
SEED = 7


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant(small(), SEED)


def test_values_depend_on_time_not_on_the_order_of_asking(plant: Plant) -> None:
    """A plant asked backwards, or started later, says the same as one that went forwards."""
    times = [NOW + step * 37 * TICK for step in range(60)]
    forwards = [plant.at(time_ns) for time_ns in times]
    other = Plant(small(), SEED)
    assert [other.at(time_ns) for time_ns in reversed(times)] == forwards[::-1]
    shuffled = random.Random(3).sample(range(60), 60)
    assert [Plant(small(), SEED).at(times[at]) for at in shuffled[:5]] == [forwards[at] for at in shuffled[:5]]


def test_seed_decides() -> None:
    """Another seed is another plant in most of its points."""
    one, two = Plant(small(), 1).at(NOW).values, Plant(small(), 2).at(NOW).values
    assert sum(a != b for a, b in zip(one, two, strict=True)) > len(one) / 2


def test_known_values_stay_what_they_were() -> None:
    """A seed means the same plant in every version: recordings made with it can still be checked."""
    plant = Plant(small(), 1)
    values = {
        name: plant.at(NOW).values[plant.point(asset, name).number]
        for asset, name in (
            ("pump-7", "discharge_pressure"),
            ("pump-7", "bearing_de.vibration"),
            ("pump-7", "shaft_turns"),
            ("turbine-1", "Turbine.Revolutions"),
            ("turbine-1", "Turbine.Bearing2.Temperature"),
            ("packaging-2", "Recipe"),
            ("packaging-2", "Axis_Position[1,2]"),
        )
    }
    assert values == KNOWN


def test_values_are_of_their_type_and_range(plant: Plant) -> None:
    """Whole numbers fit their type, float32 values are exact in float32, ranges hold, texts fit their length."""
    for step in range(200):
        moment = plant.at(NOW + step * 7 * SECOND)
        for point in plant.points:
            check(point, moment)


def check(point: ScenePoint, moment: PlantMoment) -> None:
    entry, value = point.entry, moment.values[point.number]
    expected = {"bool": bool, "string": str, "float32": float, "float64": float}.get(entry.type, int)
    assert type(value) is expected, point.name
    if entry.type in LIMITS:
        low, high = LIMITS[entry.type]
        assert low <= value <= high  # type: ignore[operator]
    if entry.type == "float32":
        assert struct.unpack("<f", struct.pack("<f", value))[0] == value
    if isinstance(value, str):
        assert len(value) <= entry.length
    elif entry.low is not None and entry.high is not None:
        # a bound that float32 cannot hold exactly is passed by less than its last bit
        assert entry.low - 1e-4 <= value <= entry.high + 1e-4, point.name


def test_a_value_holds_until_its_period_has_passed(plant: Plant) -> None:
    """Source times are whole periods, and between two of them the value stands still."""
    seen: dict[int, tuple[int, object]] = {}
    for step in range(100):
        moment = plant.at(NOW + step * TICK)
        for point in plant.points:
            number, period = point.number, point.entry.every_ms * 1_000_000 or TICK
            time_ns, value = moment.times_ns[number], moment.values[number]
            assert time_ns % period == 0
            assert moment.time_ns - period < time_ns <= moment.time_ns
            if number in seen and seen[number][0] == time_ns:
                assert seen[number][1] == value, point.name
            seen[number] = time_ns, value


def test_time_within_a_tick_changes_nothing(plant: Plant) -> None:
    """Nothing moves between two ticks."""
    assert plant.at(NOW) == plant.at(NOW + TICK - 1) != plant.at(NOW + TICK)


def test_counters_never_fall_but_wrap(plant: Plant) -> None:
    """Between two seconds a counter stays or rises, except past its wrap."""
    before = plant.at(NOW)
    rose = 0
    for step in range(1, 300):
        now = plant.at(NOW + step * SECOND)
        for point in plant.points:
            if isinstance(point.entry.signal, CounterSignal):
                old, new = before.values[point.number], now.values[point.number]
                assert isinstance(old, int)
                assert isinstance(new, int)
                limit = point.entry.signal.wrap or LIMITS[point.entry.type][1] + 1
                assert new >= old or old > limit - 1000, (point.name, old, new)
                rose += new > old
        before = now
    assert rose > 1000


def test_counter_wraps_to_zero_at_its_own_limit() -> None:
    """A counter with a wrap runs through 0 to wrap - 1, one with none through its type."""
    signal = {"kind": "counter", "rate": 1000.0, "vary": 0.0}
    scene = one_device(
        [
            {"name": "short", "at": "holding:0", "type": "uint16", "signal": {**signal, "wrap": 500}},
            {"name": "byte", "at": "holding:1", "type": "int8", "signal": signal},
        ]
    )
    plant = Plant(scene)
    seen = [plant.at(NOW + step * TICK).values for step in range(500)]
    assert {short for short, _ in seen} <= set(range(500))
    octets = [int(octet) for _, octet in seen]
    assert min(octets) < -100
    assert max(octets) > 100


def test_walk_drifts_without_jumping_or_leaving() -> None:
    """A walk stays within its span and moves by a small part of it in a thousandth of its period."""
    signal = {"kind": "walk", "mean": 10.0, "span": 2.0, "period_s": 100.0}
    plant = Plant(one_device([{"name": "walk", "at": "holding:0", "type": "float64", "signal": signal}]))
    values = [float(plant.at(NOW + step * TICK).values[0]) for step in range(2_000)]
    assert all(8.0 <= value <= 12.0 for value in values)
    assert max(values) - min(values) > 1.0
    steps = [abs(b - a) for a, b in pairwise(values)]
    assert 0 < max(steps) < 0.1


def test_a_follower_is_the_signal_it_follows_later_and_scaled(plant: Plant) -> None:
    """The turbine's copy of the pump's pressure is that pressure; the generator's power is its share of the load."""
    source, copy = (
        plant.point("pump-7", "discharge_pressure"),
        plant.point("turbine-1", "Cooling.PumpDischargePressure"),
    )
    load, power = plant.point("turbine-1", "Turbine.Load"), plant.point("turbine-1", "Generator.ActivePower")
    for step in range(50):
        values = plant.at(NOW + step * TICK).values
        assert values[source.number] == values[copy.number]
        assert float(values[power.number]) == pytest.approx(0.985 * float(values[load.number]), abs=0.001)


def test_a_limit_switch_agrees_with_what_it_watches() -> None:
    """`over` is true exactly where the other signal is beyond the limit."""
    walk = {"kind": "walk", "mean": 5.0, "span": 3.0, "period_s": 20.0}
    scene = one_device(
        [
            {"name": "level", "at": "holding:0", "type": "float64", "signal": walk},
            {"name": "high", "at": "coil:0", "type": "bool", "signal": {"kind": "over", "of": "level", "limit": 5.2}},
            {
                "name": "low",
                "at": "coil:1",
                "type": "bool",
                "signal": {"kind": "over", "of": "level", "limit": 4.8, "below": True},
            },
        ]
    )
    plant = Plant(scene)
    states = [plant.at(NOW + step * SECOND).values for step in range(500)]
    assert all(high == (level > 5.2) and low == (level <= 4.8) for level, high, low in states)  # type: ignore[operator]
    assert {high for _, high, _ in states} == {True, False} == {low for _, _, low in states}
    assert isinstance(plant.points[1].entry.signal, OverSignal)


def test_equal_parts_differ(plant: Plant) -> None:
    """Four bearings of one kind do not show four equal curves."""
    values = plant.at(NOW).values
    temperatures = {values[plant.point("turbine-1", f"Turbine.Bearing{n}.Temperature").number] for n in (1, 2, 3, 4)}
    assert len(temperatures) == 4
    assert isinstance(plant.point("turbine-1", "Turbine.Bearing1.Temperature").entry.signal, WalkSignal)


def test_a_spell_comes_and_goes(plant: Plant) -> None:
    """A sensor with spells is unwell for its share of the time, all others are always good."""
    level = plant.point("turbine-1", "LubeOil.TankLevel")
    unwell = [point.number for point in plant.points if point.entry.spell]
    assert level.number in unwell
    ill = 0
    for step in range(360):
        quality = plant.at(NOW + step * SECOND).quality
        ill += quality[level.number] != 0
        assert all(code == 0 for number, code in enumerate(quality) if number not in unwell)
    assert ill == pytest.approx(360 * 15 / 180, abs=2)


def test_listeners_hear_of_each_tick_once() -> None:
    """`advance` hands on a moment when the tick is another one, and not after the listener left."""
    plant = Plant(small(), SEED)
    heard: list[int] = []
    end = plant.listen(lambda moment: heard.append(moment.time_ns))
    for now in (NOW, NOW + 1, NOW + TICK - 1, NOW + TICK, NOW + 5 * TICK):
        assert plant.advance(now) is plant.moment
    end()
    plant.advance(NOW + 9 * TICK)
    assert heard == [NOW, NOW + TICK, NOW + 5 * TICK]
