"""A configuration is understood, or each of its mistakes is named with its key and the next step."""

from __future__ import annotations

from pathlib import Path
from tomllib import loads
from typing import Any

import pytest

from collectors import base
from collectors.base import Device, numbered
from collectors.modbus import collector
from collectors.modbus.address import Table, parse_address
from collectors.modbus.config import load, mistakes
from collectors.modbus.formats import FORMATS
from protocol.content.catalog import TYPES
from protocol.errors import ConfigError


def device(*tags: dict[str, Any], url: str = "tcp://10.0.0.7:502", kind: str = "process", **settings: Any) -> Device:
    """A device of one scan."""
    return Device(name="pump", url=url, kind=kind, settings=settings, scans=numbered([(1.0, tags)]))


TAG = {"name": "p", "at": "holding:0", "type": "uint16"}


@pytest.mark.parametrize(
    ("text", "table", "address", "bit"),
    [
        ("holding:0", Table.HOLDING, 0, None),
        ("input:65535", Table.INPUT, 65535, None),
        ("coil:3", Table.COIL, 3, None),
        ("discrete:7", Table.DISCRETE, 7, None),
        ("40001", Table.HOLDING, 0, None),
        ("49999", Table.HOLDING, 9998, None),
        ("400001", Table.HOLDING, 0, None),
        ("465536", Table.HOLDING, 65535, None),
        ("30011", Table.INPUT, 10, None),
        ("300011", Table.INPUT, 10, None),
        ("00004", Table.COIL, 3, None),
        ("10008", Table.DISCRETE, 7, None),
        ("holding:5.3", Table.HOLDING, 5, 3),
        ("40006.15", Table.HOLDING, 5, 15),
    ],
)
def test_an_address_means_the_same_in_every_notation(text: str, table: Table, address: int, bit: int | None) -> None:
    """All are stored 0-based, as they stand on the wire."""
    assert parse_address(text) == (table, address, bit)


@pytest.mark.parametrize(
    "text",
    [
        "holding:65536",
        "40000",
        "400000",
        "465537",
        "20001",
        "4001",
        "coil:3.1",
        "holding:5.16",
        "hr:1",
        "",
        "holding:-1",
    ],
)
def test_no_address_is_guessed(text: str) -> None:
    """What is none of the notations, or outside the table, is refused."""
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("made", "key", "step"),
    [
        (device(TAG, url="opc.tcp://h:4840"), "url", "tcp://"),
        (device(TAG, url="tcp://"), "url", "tcp://"),
        (device(TAG, url="tcp://h:99999"), "url", "tcp://"),
        (device(TAG, url="tcp://me:secret@h"), "url", "take it out"),
        (device(TAG, unit=256), "modbus.unit", "from 0 to 255"),
        (device(TAG, unit="1"), "modbus.unit", "whole number"),
        (device(TAG, unit=True), "modbus.unit", "whole number"),
        (device(TAG, framing="rtu", unit=0), "modbus.unit", "1 to 247"),
        (device(TAG, framing="ascii"), "modbus.framing", "tcp, rtu"),
        (device(TAG, max_registers=126), "modbus.max_registers", "from 1 to 125"),
        (device(TAG, max_gap=-1), "modbus.max_gap", "from 0"),
        (device(TAG, max_gap=4, kind="safety"), "modbus.max_gap", "set 0"),
        (device(TAG, max_gap=4, kind="protection"), "modbus.max_gap", "set 0"),
        (device(TAG, word_odrer="big"), "modbus.word_odrer", "did you mean word_order"),
        (device(TAG, colour="red"), "modbus.colour", "take it out"),
        (device({**TAG, "at": "register 5"}), "tags.p.at", "40001"),
        (device({**TAG, "type": "float"}), "tags.p.type", "float32"),
        (device({"name": "p", "at": "holding:0"}), "tags.p.type", "uint16"),
        (device({**TAG, "type": "bool"}), "tags.p.type", "holding:5.0"),
        (device({**TAG, "at": "coil:1"}), "tags.p.type", "bool"),
        (device({**TAG, "type": "string"}), "tags.p.length", "length = 16"),
        (device({**TAG, "length": 4}), "tags.p.length", "take it out"),
        (device({**TAG, "type": "float32", "bcd": True}), "tags.p.bcd", "uint16"),
        (device({**TAG, "type": "string", "length": 4, "scale": 2}), "tags.p.scale", "take"),
        (device({**TAG, "scale": "2"}), "tags.p.scale", "number"),
        (device({**TAG, "scale": float("nan")}), "tags.p.scale", "number"),
        (device({**TAG, "byte_swap": 1}), "tags.p.byte_swap", "true or false"),
        (device({**TAG, "scael": 2}), "tags.p.scael", "did you mean scale"),
        (device({**TAG, "type": "float64"}, max_registers=2), "tags.p.type", "raise max_registers"),
        (device({**TAG, "at": "holding:65530", "count": 7}), "tags.p.count", "65535"),
        (device({**TAG, "at": "holding:65535.8", "count": 9, "type": "bool"}), "tags.p.count", "65535"),
    ],
)
def test_each_mistake_is_named_with_its_key_and_the_next_step(made: Device, key: str, step: str) -> None:
    """One line, `key: what is wrong; next step`."""
    (line,) = mistakes(made)
    assert line.startswith(f"{key}: ")
    assert step in line.partition("; ")[2]


def test_all_mistakes_are_named_at_once() -> None:
    """Nobody mends them one by one."""
    wrong = mistakes(device({**TAG, "at": "x"}, {**TAG, "name": "q", "type": "y"}, unit=-1, url="tcp:/h"))
    assert [line.partition(":")[0] for line in wrong] == ["url", "modbus.unit", "tags.p.at", "tags.q.type"]


def test_a_device_with_mistakes_cannot_be_built() -> None:
    """Who skips `check` gets the same lines as an error."""
    with pytest.raises(ConfigError, match=r"tags\.p\.at"):
        load(device({**TAG, "at": "x"}))


def test_a_sound_device_has_no_mistakes() -> None:
    """The poller's own keys are none of the collector's business."""
    tags: list[dict[str, Any]] = [
        {**TAG, "deadband": 0.1, "max_silence": "60s", "description": "d", "low": 0, "high": 9, "states": ["a", "b"]},
        {"name": "b", "at": "00001", "count": 2000},
        {"name": "c", "at": "holding:5.3"},
    ]
    made = device(*tags, unit=0, max_gap=16, word_order="little", byte_swap=True, pause_ms=20)
    assert mistakes(made) == []
    assert load(made).port == 502


def test_an_arrays_elements_follow_each_other() -> None:
    """Element i has point number + i and the address after that of element i - 1."""
    made = load(device(TAG, {"name": "a", "at": "holding:10", "type": "float32", "count": 3}))
    assert [(item.number, item.address) for item in made.scans[0]] == [(0, 0), (1, 10), (2, 12), (3, 14)]


def test_facts_name_the_type_that_comes_out() -> None:
    """A scaled integer is a float64; every type is one of the catalog's."""
    scaled, plain, bit = load(
        device({**TAG, "scale": 0.1}, {**TAG, "name": "q", "states": ["off", "on"]}, {"name": "r", "at": "coil:0"})
    ).facts.values()
    assert (scaled.type, plain.type, bit.type) == ("float64", "uint16", "bool")
    assert plain.states == ("off", "on")
    assert set(FORMATS) <= {*TYPES, *base.FORMATS}
    assert {form.out for form in FORMATS.values()} <= set(TYPES)
    assert not base.FORMATS & set(TYPES)


def test_the_sample_file_is_sound() -> None:
    """What people copy from works."""
    path = Path(collector.__file__).with_name("sample.toml")
    (asset,) = loads(path.read_text())["asset"]
    scans = numbered([(1.0, scan["tags"]) for scan in asset["scan"]])
    made = Device(name=asset["name"], url=asset["url"], kind=asset["class"], settings=asset["modbus"], scans=scans)
    assert mistakes(made) == []
    assert len(load(made).scans) == len(asset["scan"]) > 1
