"""A Modbus memory holds what the standard says it holds; expected bytes are written out, not computed by us."""

from __future__ import annotations

import random
from typing import Any

import pytest
from small_plant import NOW, fixed, one_device, small

from protocol.errors import ConfigError
from simulator.modbus.registers import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Image, ModbusException, encode
from simulator.plant.plant import Plant

TABLE: list[tuple[Any, str, str, str]] = [
    (1, "uint16", "0001", "0001"),
    (-2, "int16", "fffe", "fffe"),
    (0x12345678, "uint32", "12345678", "56781234"),
    (-1, "int32", "ffffffff", "ffffffff"),
    (0x0102030405060708, "int64", "0102030405060708", "0708050603040102"),
    (2**64 - 2, "uint64", "fffffffffffffffe", "fffeffffffffffff"),
    (1.5, "float32", "3fc00000", "00003fc0"),
    (-0.15625, "float32", "be200000", "0000be20"),
    (1.0, "float64", "3ff0000000000000", "0000000000003ff0"),
    (True, "bool", "0001", "0001"),
    (-3, "int8", "fffd", "fffd"),
]


@pytest.mark.parametrize(("value", "kind", "big", "little"), TABLE)
def test_word_orders(value: Any, kind: str, big: str, little: str) -> None:
    """Big puts the high word first, little the low one; the bytes of a register stay in their order."""
    assert encode(value, kind).hex() == big
    assert encode(value, kind, word_order="little").hex() == little


def test_byte_order_turns_each_register() -> None:
    """ABCD, CDAB, BADC and DCBA are all to be had."""
    orders = {(words, octets): encode(0x41424344, "uint32", word_order=words, byte_order=octets).decode()
              for words in ("big", "little") for octets in ("big", "little")}  # fmt: skip
    assert orders == {
        ("big", "big"): "ABCD",
        ("little", "big"): "CDAB",
        ("big", "little"): "BADC",
        ("little", "little"): "DCBA",
    }


def test_a_string_fills_its_registers() -> None:
    """Two characters a register, NUL behind, cut to its length, unknown characters replaced."""
    assert encode("AB", "string", 5) == b"AB\0\0\0\0"
    assert encode("ABCDEFG", "string", 5) == b"ABCDE\0"
    assert encode("1 Δ", "string", 4, word_order="little") == b"1 ?\0"
    assert encode("AB", "string", 2, byte_order="little") == b"BA"


def image(tags: list[dict[str, Any]], **settings: Any) -> Image:
    plant = Plant(one_device(tags, **settings))
    made = Image(plant.points, settings)
    made.fill(plant.at(NOW))
    return made


def test_bits_are_packed_from_the_lowest() -> None:
    """The example of the standard (6.1): 27-38 as CD 6B B2 0E 1B."""
    wanted = [
        1,
        0,
        1,
        1,
        0,
        0,
        1,
        1,
        1,
        1,
        0,
        1,
        0,
        1,
        1,
        0,
        0,
        1,
        0,
        0,
        1,
        1,
        0,
        1,
        0,
        1,
        1,
        1,
        0,
        0,
        0,
        0,
        1,
        1,
        0,
        1,
        1,
    ]
    tags = [fixed(f"bit{at}", f"coil:{19 + at}", "bool", bool(bit)) for at, bit in enumerate(wanted)]
    assert image(tags).read("coil", 19, 37).hex() == "cd6bb20e1b"


def test_bits_agree_with_a_slow_packing() -> None:
    """Any read of any bits equals packing them one by one."""
    dice = random.Random(11)
    bits = [dice.random() < 0.5 for _ in range(2000)]
    held = image([fixed(f"bit{at}", f"discrete:{at}", "bool", bit) for at, bit in enumerate(bits)])
    for _ in range(300):
        start = dice.randrange(2000)
        count = dice.randint(1, 2000 - start)
        slow = bytearray((count + 7) // 8)
        for at in range(count):
            slow[at // 8] |= bits[start + at] << at % 8
        assert held.read("discrete", start, count) == bytes(slow)


def test_limits_come_before_addresses() -> None:
    """A count of none or too many is 3 wherever it points, an address that is not there is 2."""
    held = image(
        [fixed("a", "holding:0", "uint16", 7), fixed("b", "holding:2", "uint16", 9), fixed("c", "coil:0", "bool", True)]
    )
    for table, count in (("holding", 0), ("holding", 126), ("coil", 0), ("coil", 2001)):
        for start in (0, 60000):
            with pytest.raises(ModbusException) as caught:
                held.read(table, start, count)
            assert caught.value.code == ILLEGAL_VALUE
    for table, start, count in (("holding", 0, 2), ("holding", 65535, 2), ("input", 0, 1), ("coil", 1, 1)):
        with pytest.raises(ModbusException) as caught:
            held.read(table, start, count)
        assert caught.value.code == ILLEGAL_ADDRESS
    assert held.read("holding", 2, 1) == b"\0\x09"


def test_gaps_may_read_zero() -> None:
    """With `gaps = "zero"` a block may be read across what is not there, up to its end."""
    held = image([fixed("a", "holding:1", "uint16", 7), fixed("b", "holding:4", "uint16", 9)], gaps="zero")
    assert held.read("holding", 0, 5).hex() == "00000007000000000009"
    with pytest.raises(ModbusException):
        held.read("holding", 0, 6)


@pytest.mark.parametrize(
    "tags",
    [
        [fixed("a", "holding:0", "float32", 1.0), fixed("b", "holding:1", "uint16", 1)],
        [fixed("a", "register:0", "uint16", 1)],
        [fixed("a", "coil:0", "uint16", 1)],
        [fixed("a", "holding:65535", "float32", 1.0)],
        [fixed("a", "holding", "uint16", 1)],
    ],
)
def test_an_impossible_address_is_refused(tags: list[dict[str, Any]]) -> None:
    """Shared, unknown, unfitting and outlying addresses are the operator's mistakes."""
    with pytest.raises(ConfigError):
        image(tags)


def test_arrays_lie_one_after_another() -> None:
    """Elements of an array follow each other by their width."""
    signal = {"kind": "fixed", "value": 1.5}
    held = image([{"name": "zone", "at": "input:10", "type": "float32", "dims": [3], "signal": signal}])
    assert held.read("input", 10, 6).hex() == "3fc00000" * 3


def test_filling_again_changes_what_changed() -> None:
    """After a fill the memory is that of the moment, whatever it was before."""
    plant = Plant(small(), 5)
    points = plant.scene.servers[0].points
    kept = Image(points, {"gaps": "zero"})
    for step in range(40):
        moment = plant.at(NOW + step * 300_000_000)
        kept.fill(moment)
        fresh = Image(points, {"gaps": "zero"})
        fresh.fill(moment)
        for table, count in (("holding", 86), ("input", 46), ("coil", 4), ("discrete", 5)):
            assert kept.read(table, 0, count) == fresh.read(table, 0, count)
