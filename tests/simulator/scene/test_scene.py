"""A scene is data, and every mistake in it is named."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_plant import SMALL, fixed, one_device, small

from protocol.content import ucum
from protocol.content.catalog import TYPES
from protocol.errors import ConfigError
from simulator.opcua.unece import UCUM, UNECE, unit
from simulator.plant.signals import KINDS
from simulator.scene.file import load, parse


def test_the_small_scene_is_a_whole_plant() -> None:
    """Three protocols, more than 150 points, most signals, nearly every type, each number with unit or meaning."""
    scene = small()
    assert [section.protocol for section in scene.servers] == ["modbus", "opcua", "enip"]
    assert len(scene.points) >= 150
    unused = set(KINDS.values()) - {type(point.entry.signal) for point in scene.points}
    assert unused == {KINDS[name] for name in ("alarm", "record")}
    assert set(TYPES) - {point.entry.type for point in scene.points} <= {"uint8", "uint64", "float16"}
    assert all(point.description for point in scene.points)
    for point in scene.points:
        if point.entry.type.startswith("float"):
            assert point.entry.unit, point.name
            assert point.entry.low is not None, point.name


def test_every_unit_of_the_small_scene_has_its_code() -> None:
    """The units are UCUM, and OPC UA has a UNECE code for each."""
    for point in small().points:
        assert ucum.known(point.entry.unit)
        if point.entry.unit:
            assert unit(point.entry.unit).namespace == UNECE, point.entry.unit


def test_unit_ids_are_those_of_the_standards_table() -> None:
    """Common codes become Int32 as OPC 10000-8 says; the numbers are from the foundation's own table."""
    assert unit("mm").id == 5066068
    assert unit("bar").id == 4342098
    assert unit("Cel").id == 4408652
    assert unit("deg").id == 17476
    assert unit("r/min").id == 5394509
    assert (unit("furlong").namespace, unit("furlong").id, unit("furlong").symbol) == (UCUM, -1, "furlong")


def test_arrays_and_structures_become_paths() -> None:
    """Elements and members are points, in the order of the declaration, named as a controller's client names them."""
    names = [point.name for point in small().servers[2].points]
    assert names[names.index("Filler.State") :][:5] == [
        "Filler.State",
        "Filler.Good",
        "Filler.Rejected",
        "Filler.CycleTime",
        "Filler.Drive.Speed",
    ]
    assert [name for name in names if name.startswith("Axis_Position")] == [
        f"Axis_Position[{robot},{axis}]" for robot in range(2) for axis in range(3)
    ]
    assert "Conveyor[2].Running" in names
    assert "Program:MainProgram.Step" in names


def test_members_stand_at_their_offset() -> None:
    """A member's address is its instance's, moved by its own offset."""
    points = {point.name: point.at for point in small().servers[0].points}
    assert points["motor_bearing_de.temperature"] == "input:20"
    assert points["motor_bearing_de.alarm_level"] == "input:26"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('asset = "pump-7"', "needs an asset's name"),
        ("port = 15020", "port: '15020' is no whole number"),
        ('serial = "AP-3391"', "serials: unknown key; did you mean serial?"),
        ('kind = "follow", of = "discharge_pressure", gain = 11', "must name a number"),
        ('unit = "mL/min"', "`rpm` is no UCUM code, is `r/min` meant?"),
        ('type = "uint16", unit = "r/min", low = 0, high = 3600, description = "shaft speed"', "neither of bool"),
        ("tick_ms = 100", "tick_ms"),
        ('kind = "walk", mean = 1.1', "signal.kind must be one of"),
        ('kind = "walk", mean = 7.3', "signal.mean: missing"),
        ("period_s = 90 }", "period_s: must be above 0"),
        ('quality = "uncertain_sensor"', "spell"),
        ('name = "suction_pressure"', "declared twice"),
        ("every_ms = 500", "multiple of the scene's tick_ms"),
        ('[scene]\nname = "small"', "scenery: unknown table; did you mean scene?"),
    ],
)
def test_a_mistake_is_named(change: str, expected: str) -> None:
    """One spoiled place in a good file is refused with its own words."""
    spoiled = {
        'asset = "pump-7"': "asset = 7",
        "port = 15020": 'port = "15020"',
        'serial = "AP-3391"': 'serials = "AP-3391"',
        'kind = "follow", of = "discharge_pressure", gain = 11': 'kind = "follow", of = "energy", gain = 11',
        'unit = "mL/min"': 'unit = "rpm"',
        "tick_ms = 100": "tick_ms = 0",
        'kind = "walk", mean = 1.1': 'kind = "wander", mean = 1.1',
        'kind = "walk", mean = 7.3': 'kind = "walk"',
        "period_s = 90 }": "period_s = 0 }",
        'quality = "uncertain_sensor"': 'quality = "unwell"',
        'name = "suction_pressure"': 'name = "discharge_pressure"',
        "every_ms = 500": "every_ms = 150",
        '[scene]\nname = "small"': '[scenery]\n[scene]\nname = "small"',
    }.get(change, change.replace('"uint16"', '"word"'))
    assert change in SMALL
    with pytest.raises(ConfigError) as caught:
        parse(tomllib.loads(SMALL.replace(change, spoiled, 1)))
    assert expected in str(caught.value)


def test_all_mistakes_are_named_at_once() -> None:
    """Two mistakes are two lines."""
    text = SMALL.replace('serial = "AP-3391"', 'serials = "AP-3391"').replace("port = 14840", "port = true")
    with pytest.raises(ConfigError) as caught:
        parse(tomllib.loads(text))
    assert len(str(caught.value).splitlines()) == 2


def test_a_scene_is_found_by_name_or_path(tmp_path: Path) -> None:
    """`small` is shipped; another is a file; what is neither is refused with the names there are."""
    assert load("small").name == "small"
    copy = tmp_path / "mine.toml"
    copy.write_text(SMALL.replace('name = "small"', 'name = "mine"', 1), encoding="utf-8")
    assert load(copy).name == "mine"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml")
    assert "small" in caught.value.hint


def test_a_text_is_no_number() -> None:
    """A signal that does not fit the type is refused."""
    with pytest.raises(ConfigError, match="do not fit"):
        one_device([fixed("word", "holding:0", "uint16", "seven")])


ODD: tuple[object, ...] = (5, 1.5, -1, True, "x", "", [], [1], ["x"], [{}], {}, {"x": 1})
"""What may stand where something else should."""

TINY = """
[scene]
name = "tiny"
tick_ms = 100
[[server]]
asset = "pump-{n}"
protocol = "modbus"
port = 15020
serial = "A"
repeat = 2
modbus = { unit = 1 }
struct.BEARING = [
  { name = "t", signal = { kind = "walk", mean = 4, span = 2 }, spell = { quality = "bad", every_s = 9, for_s = 1 } }
]
tag = [
  { name = "de", type = "BEARING", at = "input:20", dims = [2] },
  { name = "c{i}", at = "coil:1", type = "bool", repeat = 2, step = 1, signal = { kind = "switch", dwell_s = 9 } },
  { name = "v", at = "coil:9", type = "bool", signal = { kind = "fixed", value = false }, alarm = { text = "on" } },
  { name = "w", at = "coil:8", same = "pump-1:v" },
]
[[trip]]
name = "dry"
asset = "pump-1"
every_s = 60
for_s = 5
steps = [{ after_ms = 0, tag = "v", text = "ran dry", severity = 700 }]
[[fault]]
asset = "pump-1"
what = "silent"
at = "5s"
for = "1s"
every = "20s"
"""


def _places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value of a tree stands, the inner ones too."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(one, (*path, key))


def test_whatever_stands_in_a_scene_is_a_mistake_or_is_right() -> None:
    """Each value of a scene is replaced by each odd one: it is told in lines, and never ends in another error."""
    whole = tomllib.loads(TINY)
    parse(whole)
    told: list[str] = []
    for path in _places(whole):
        for odd in ODD:
            body = copy.deepcopy(whole)
            inner: Any = body
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = odd
            try:
                parse(body)
            except ConfigError as error:
                told += str(error).splitlines()
            except Exception as error:
                raise AssertionError(f"{path} = {odd!r}") from error
    assert len(told) > 500
    assert all(line.isprintable() for line in told)
