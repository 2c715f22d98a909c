"""A description tells whenever the same registers would become other numbers."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Device, Facts, numbered
from collectors.modbus.collector import ModbusCollector
from collectors.settings import linear

SAID: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"type": "uint16"}, {}, ""),
    ({"type": "float32"}, {}, ""),
    ({"type": "int16", "scale": 0.1}, {}, "int16 x 0.1"),
    ({"type": "int16", "scale": 0.01}, {}, "int16 x 0.01"),
    ({"type": "uint16", "scale": 0.1}, {}, "uint16 x 0.1"),
    ({"type": "int16", "scale": 0.1, "offset": -20}, {}, "int16 x 0.1 - 20"),
    ({"type": "int16", "offset": 5.5}, {}, "int16 x 1 + 5.5"),
    ({"type": "int16", "scale_from": "holding:9"}, {}, "int16 x 10^holding:9"),
    ({"type": "int16", "scale_from": "holding:9", "scale": 2}, {}, "int16 x 10^holding:9 x 2"),
    ({"type": "float32", "word_order": "little"}, {}, "float32, words little"),
    ({"type": "float32"}, {"word_order": "little"}, "float32, words little"),
    ({"type": "uint16"}, {"word_order": "little"}, ""),
    ({"type": "mod10_32"}, {}, "mod10_32"),
    ({"type": "mod10_32", "word_order": "big"}, {}, "mod10_32, words big"),
    ({"type": "uint16", "byte_swap": True}, {}, "uint16, bytes swapped"),
    ({"type": "uint16", "bcd": True}, {}, "uint16, bcd"),
    ({"type": "uint32"}, {"wide": ["holding:0-10"]}, "uint32, 32 bits an address"),
]


def stated(options: dict[str, Any], settings: dict[str, Any]) -> Facts:
    """What the table of one tag says."""
    scans = numbered([(1.0, [{"name": "p", "at": "holding:0", **options}])])
    device = Device(name="pump", url="tcp://10.0.0.7:502", kind="process", settings=settings, scans=scans)
    assert ModbusCollector.check(device) == []
    return ModbusCollector.stated(device)[0]


@pytest.mark.parametrize(("options", "settings", "words"), SAID)
def test_what_is_made_of_registers_is_said_in_words(
    options: dict[str, Any], settings: dict[str, Any], words: str
) -> None:
    """Nothing where they are the value; else type, order, scale and offset, as they are used."""
    assert stated(options, settings).conversion == words


def test_two_ways_of_reading_a_register_are_never_described_alike() -> None:
    """By type and conversion; the order in the tag and in the device's table is one way."""
    told = {(said.type, said.conversion) for said in (stated(*one[:2]) for one in SAID)}
    assert len(told) == len(SAID) - 2, "uint16 twice, float32 little twice"


@given(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 4))
def test_another_scale_or_offset_is_other_words(numbers: tuple[float, float, float, float]) -> None:
    """To the last bit."""
    pairs = [(numbers[0], numbers[1]), (numbers[2], numbers[3])]
    for one, other in combinations(pairs, 2):
        assert (linear(*one) == linear(*other)) == (repr(one[0]) == repr(other[0]) and one[1] == other[1])
