"""Every line of the page's table reads as it says, and so does each format at the edges."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from tomllib import loads
from typing import Any

import pytest
from test_modbus_decode import by_tag, decoded

from collectors.base import Device, numbered
from collectors.modbus.config import load, mistakes
from collectors.modbus.decode import Decoder, Outcome
from collectors.modbus.formats import FORMATS, text_of
from collectors.modbus.plan import reads
from protocol.content.sample import Quality

PAGE = Path(__file__).parents[3] / "docs" / "collectors" / "modbus.md"
LINE = re.compile(r"\| `([^`]*)`[^|]*\| ([0-9A-F ]+) \| (.*) \|")
LINES = [found.groups() for found in map(LINE.fullmatch, PAGE.read_text().splitlines()) if found]


def read(words: str, **keys: Any) -> Any:
    """One tag over these registers: its value, or the quality of what is none."""
    tag = {"name": "t", "at": "holding:0"} | keys
    rows = by_tag(decoded([tag], {"holding": bytes.fromhex(words)}))
    return rows[0].value if rows[0].quality == Quality.GOOD else rows[0].quality


@pytest.mark.parametrize(("written", "words", "value"), LINES)
def test_each_line_of_the_page_reads_as_it_says(written: str, words: str, value: str) -> None:
    """The keys as they stand, the registers as they stand."""
    keys = loads(f"tag = {{ {written} }}")["tag"]
    got = read(words, **keys)
    if value == "bad":
        assert got == Quality.BAD_NO_DATA
    else:
        wanted = loads(f"value = {value}")["value"]
        assert (got, type(got)) == (wanted, type(wanted))


def test_the_page_has_a_line_for_each_type() -> None:
    """Nothing is offered that is not shown."""
    shown = {loads(f"tag = {{ {written} }}")["tag"].get("type") for written, _, _ in LINES}
    assert set(FORMATS) <= shown
    assert len(LINES) > len(FORMATS)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("mod10_32", "2710 0000"),
        ("mod10_64", "0000 0000 0000 D8F0"),
        ("date_bcd", "2613 2814 5505"),
        ("date_bcd", "261A 2814 5505"),
        ("date_words", "07EA 000B 001F 000E 0037 0005"),
        ("date_words_ms", "07EA 000B 001C 000E 0037 0005 03E8"),
        ("date_bytes", "0000 0000 0000"),
        ("date_dmy", "AA11 07EA"),
        ("cp56", "001A 0B1C 0EB7 1401"),
        ("cp56", "001A 0B1C 0E37 EA60"),
        ("unix64", "FFFF FFFF FFFF FFFF"),
        ("digits", "6E61 6E20"),
        ("digits", "2020 2020"),
    ],
)
def test_no_value_is_made_up(kind: str, words: str) -> None:
    """Digits that are none and dates that cannot be are bad."""
    more = {} if FORMATS[kind].registers else {"length": 4}
    assert read(words, type=kind, **more) == Quality.BAD_DECODING


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("1999 FFFF", 655.3),
        ("0290 0000", 656.0),
        ("0007 000A", 7e10),
        ("8001 FFF6", -32767 / 1e10),
        ("1999 8000", Quality.BAD_NOT_SUPPORTED),
        ("1999 000B", Quality.BAD_DECODING),
        ("8000 FFFF", Quality.BAD_NO_DATA),
    ],
)
def test_a_factor_in_a_register_is_a_power_of_ten(words: str, value: Any) -> None:
    """As it stands in the same reply."""
    assert read(words, type="int16", scale_from="holding:1", not_available=-32768) == value


@pytest.mark.parametrize("swap", [False, True])
def test_a_value_and_its_factor_are_always_in_one_request(swap: bool) -> None:
    """Whichever comes first, however the block is cut; what lies between is read along."""
    tags: list[dict[str, Any]] = [
        {"name": f"t{at}", "at": f"holding:{at}", "type": "int16", "scale_from": f"holding:{40 - at}"}
        for at in range(0, 18, 3)
    ]
    memory = b"".join(struct.pack("<h" if swap else ">h", at if at < 20 else 20 - at + 3) for at in range(60))
    made = Device(
        name="d", url="tcp://h", kind="process", settings={"max_registers": 45}, scans=numbered([(1.0, tags)])
    )
    for one in reads(load(made).scans[0], load(made)):
        for item in one.items:
            assert item.factor is not None
            for at in (item.address, item.factor):
                assert one.start <= at < one.start + one.count
    rows = by_tag(decoded([tag | {"byte_swap": swap} for tag in tags], {"holding": memory}))
    for number in range(0, 18, 3):
        power = 20 - (40 - number) + 3
        got = rows[number // 3]
        assert got.value == (None if abs(power) > 10 else number / 10**-power if power < 0 else number * 10**power)


def test_one_address_may_hold_32_bits() -> None:
    """Its count is one, its reply has four bytes; 64 bits are two addresses."""
    tags: list[dict[str, Any]] = [
        {"name": "f", "at": "holding:7001", "type": "float32"},
        {"name": "g", "at": "holding:7002", "type": "float32", "count": 2, "word_order": "little"},
        {"name": "d", "at": "holding:7004", "type": "float64"},
        {"name": "s", "at": "holding:3001", "type": "int16"},
    ]
    settings = {"wide": ["holding:5001-5999", "holding:7001-7999"]}
    made = Device(name="d", url="tcp://h", kind="process", settings=settings, scans=numbered([(1.0, tags)]))
    plan = reads(load(made).scans[0], load(made))
    assert [(str(one), one.size) for one in plan] == [("read holding 3001..3001", 2), ("read holding 7001..7005", 20)]
    data = bytes.fromhex("42C90000 000042C9 000042CA") + struct.pack(">d", 2.5)
    rows = by_tag(Decoder(plan).columns([Outcome(data=b"\0\7", time_ns=1), Outcome(data=data, time_ns=1)]))
    assert [rows[at].value for at in range(5)] == [100.5, 100.5, 101.0, 2.5, 7]


def test_what_means_nothing_is_bad_by_itself() -> None:
    """For each element of an array; of several values any."""
    rows = by_tag(
        decoded(
            [{"name": "a", "at": "holding:0", "type": "uint16", "count": 3, "not_available": 0, "scale": 0.5}],
            {"holding": bytes.fromhex("0000 0001 0002")},
        )
    )
    assert [(row.value, row.quality) for row in (rows[0], rows[1], rows[2])] == [
        (None, Quality.BAD_NO_DATA),
        (0.5, Quality.GOOD),
        (1.0, Quality.GOOD),
    ]


@pytest.mark.parametrize(
    ("kind", "words", "none"),
    [
        ("int16", "8000", -32768),
        ("uint32", "8000 0000", ["0xFFFFFFFF", "0x80000000"]),
        ("uint64", "FFFF FFFF FFFF FFFF", 2**64 - 1),
        ("int64", "8000 0000 0000 0000", -(2**63)),
        ("float64", "7FF8 0000 0000 0000", "NaN"),
        ("float32", "C61C 3C00", [-9999.0]),
        ("float32", "7F80 0000", "0x7F800000"),
        ("mod10_32", "0000 0000", 0),
        ("string", "2D2D 2D2D", "----"),
        ("date_bcd", "0000 0000 0000", "0x000000000000"),
        ("uint48", "FFFF FFFF FFFF", 2**48 - 1),
    ],
)
def test_every_type_can_have_values_that_mean_nothing(kind: str, words: str, none: Any) -> None:
    """And a value beside it stays one."""
    more = {} if FORMATS[kind].registers else {"length": 4}
    assert read(words, type=kind, not_available=none, **more) == Quality.BAD_NO_DATA
    if kind not in ("date_bcd", "string"):
        assert (
            read(words[:-1] + ("1" if words[-1] != "1" else "2"), type=kind, not_available=none, **more)
            not in (Quality.BAD_NO_DATA,)
            or none == "NaN"
        )


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"type": "uint16", "scale_from": "coil:1"}, "scale_from"),
        ({"type": "uint16", "scale_from": "input:1"}, "scale_from"),
        ({"type": "uint32", "scale_from": "holding:1"}, "scale_from"),
        ({"type": "uint16", "scale_from": "holding:300"}, "type"),
        ({"type": "string", "length": 4, "scale_from": "holding:9"}, "scale"),
        ({"type": "uint16", "not_available": "0xFF"}, "not_available"),
        ({"type": "uint16", "not_available": "none"}, "not_available"),
        ({"type": "uint16", "not_available": True}, "not_available"),
        ({"at": "holding:0.3", "not_available": 0}, "not_available"),
        ({"type": "float32", "states": {"1": "on"}}, "states"),
        ({"type": "uint16", "states": {"on": "1"}}, "states"),
        ({"type": "digits"}, "length"),
        ({"type": "cp56", "length": 8}, "length"),
        ({"type": "int48", "bcd": True}, "bcd"),
        ({"at": "holding:0.high", "type": "float32"}, "type"),
        ({"at": "holding:7001", "type": "uint16"}, "type"),
        ({"at": "holding:0.7-4", "type": "uint16"}, "at"),
    ],
)
def test_mistakes_of_a_format_are_named(keys: dict[str, Any], key: str) -> None:
    """With their key."""
    tags = [{"name": "t", "at": "holding:0"} | keys]
    settings = {"wide": ["holding:7001-7999"]}
    made = Device(name="d", url="tcp://h", kind="process", settings=settings, scans=numbered([(1.0, tags)]))
    (line,) = mistakes(made)
    assert line.startswith(f"tags.t.{key}: ")


@pytest.mark.parametrize("length", [1, 5, 11, 12])
def test_a_string_has_as_many_characters_as_it_says(length: int) -> None:
    """What fills the last register up is not its."""
    words = b"ABCDEFGHIJKLMNOP"
    assert read(words.hex(), type="string", length=length) == words[:length].decode()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"PUMP-7 A\xff\xff\xff", "PUMP-7 A"),
        (b"PUMP  \0junk", "PUMP"),
        (b"PUMP \xff\xff ", "PUMP"),
        (b"\xff" * 10, ""),
        (b"\0" * 10, ""),
        (b"T\xc4NK", "T\xc4NK"),
        (b"T\xc3\x84NK", "T\xc4NK"),
    ],
)
def test_what_fills_a_text_up_is_no_part_of_it(raw: bytes, text: str) -> None:
    """NUL, blanks, or memory that was never written."""
    assert text_of(raw) == text
