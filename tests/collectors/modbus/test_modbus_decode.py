"""Bytes to values: every type in every order agrees with `struct`, singly and in blocks."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.base import Device, numbered
from collectors.modbus.config import load
from collectors.modbus.decode import Decoder, Outcome
from collectors.modbus.formats import text_of
from collectors.modbus.plan import reads
from protocol.content.sample import NO_TIME, Columns, Quality, Row

LAW = settings(max_examples=50, deadline=None, derandomize=True, database=None)

FORMATS = {
    "int16": ("h", st.integers(-(2**15), 2**15 - 1)),
    "uint16": ("H", st.integers(0, 2**16 - 1)),
    "int32": ("i", st.integers(-(2**31), 2**31 - 1)),
    "uint32": ("I", st.integers(0, 2**32 - 1)),
    "int64": ("q", st.integers(-(2**63), 2**63 - 1)),
    "uint64": ("Q", st.integers(0, 2**64 - 1)),
    "float16": ("e", st.floats(width=16)),
    "float32": ("f", st.floats(width=32)),
    "float64": ("d", st.floats(width=64)),
}
ORDERS = [(words, swap) for words in ("big", "little") for swap in (False, True)]


def on_wire(kind: str, value: float, words: str, swap: bool) -> bytes:
    """The registers' bytes as a device with that order sends them, made without numpy."""
    plain = struct.pack(">" + FORMATS[kind][0], value)
    registers = [plain[at : at + 2] for at in range(0, len(plain), 2)]
    if words == "little":
        registers.reverse()
    return b"".join(register[::-1] if swap else register for register in registers)


def decoded(tags: list[dict[str, Any]], memory: dict[str, bytes], **outcome: Any) -> Columns:
    """The tags' columns, from tables given as bytes (a bit is one byte there)."""
    device = Device(name="d", url="tcp://h", kind="process", settings={"max_gap": 2000}, scans=numbered([(1.0, tags)]))
    config = load(device)
    plan = reads(config.scans[0], config)
    outcomes = []
    for read in plan:
        size = 1 if read.table.bits else 2
        data = memory[read.table.value][read.start * size : (read.start + read.count) * size]
        outcomes.append(Outcome(**{"data": data, "time_ns": 7, **outcome}))
    return Decoder(plan).columns(outcomes)


def by_tag(columns: Columns) -> dict[int, Row]:
    """Rows by point number, each once."""
    rows = list(columns.rows())
    out = {row.tag: row for row in rows}
    assert len(out) == len(rows)
    return out


def same(got: object, wanted: object) -> bool:
    """Equal, and two NaN are equal too."""
    if isinstance(got, float) and isinstance(wanted, float) and math.isnan(wanted):
        return math.isnan(got)
    return got == wanted and type(got) is type(wanted)


@pytest.mark.parametrize(("words", "swap"), ORDERS)
@pytest.mark.parametrize("kind", FORMATS)
@LAW
@given(data=st.data())
def test_every_type_in_every_order_agrees_with_struct(kind: str, words: str, swap: bool, data: st.DataObject) -> None:
    """A value that was packed in a device's order comes out as it went in."""
    value = data.draw(FORMATS[kind][1])
    at = data.draw(st.integers(0, 20))
    memory = bytes(2 * at) + on_wire(kind, value, words, swap)
    tag = {"name": "t", "at": f"holding:{at}", "type": kind, "word_order": words, "byte_swap": swap}
    (row,) = decoded([tag], {"holding": memory}).rows()
    wanted = struct.unpack(">" + FORMATS[kind][0], struct.pack(">" + FORMATS[kind][0], value))[0]
    if kind == "uint64" and wanted >= 2**63:
        wanted -= 2**64  # unsigned 64-bit values travel as two's complement
    assert same(row.value, wanted)
    assert (row.quality, row.native, row.time_ns, row.other_ns) == (0, 0, 7, NO_TIME)


@LAW
@given(
    st.lists(
        st.sampled_from(sorted(FORMATS)).flatmap(
            lambda kind: st.tuples(st.just(kind), FORMATS[kind][1], st.sampled_from(ORDERS), st.integers(0, 3))
        ),
        min_size=1,
        max_size=40,
    )
)
def test_a_mixed_block_decodes_as_its_values_do_singly(fields: list[tuple[str, float, tuple[str, bool], int]]) -> None:
    """Grouping by type mixes nothing up: each point keeps its own value, type and order."""
    memory, tags, wanted = b"", [], []
    for number, (kind, value, (words, swap), gap) in enumerate(fields):
        memory += b"\xaa\x55" * gap
        at = f"input:{len(memory) // 2}"
        tags.append({"name": f"t{number}", "at": at, "type": kind, "word_order": words, "byte_swap": swap})
        memory += on_wire(kind, value, words, swap)
        wanted.append(struct.unpack(">" + FORMATS[kind][0], struct.pack(">" + FORMATS[kind][0], value))[0])
    rows = by_tag(decoded(tags, {"input": memory}))
    for number, value in enumerate(wanted):
        signed = value - 2**64 if isinstance(value, int) and value >= 2**63 else value
        assert same(rows[number].value, signed), tags[number]


@LAW
@given(st.integers(0, 9999), st.integers(0, 99_999_999), st.booleans(), st.booleans())
def test_decimal_digits_are_read_as_decimal(small: int, large: int, little: bool, swap: bool) -> None:
    """Four digits a register, in any order."""
    plain = bytes.fromhex(f"{small:04d}"), bytes.fromhex(f"{large:08d}")
    words = [plain[0], *([plain[1][2:], plain[1][:2]] if little else [plain[1][:2], plain[1][2:]])]
    memory = b"".join(word[::-1] if swap else word for word in words)
    common = {"bcd": True, "word_order": "little" if little else "big", "byte_swap": swap}
    tags: list[dict[str, Any]] = [
        {"name": "small", "at": "holding:0", "type": "uint16", **common},
        {"name": "large", "at": "holding:1", "type": "uint32", **common},
        {"name": "scaled", "at": "holding:0", "type": "uint16", "scale": 0.5, **common},
    ]
    rows = by_tag(decoded(tags, {"holding": memory}))
    assert [rows[0].value, rows[1].value, rows[2].value] == [small, large, small / 2]


def test_a_digit_above_nine_is_bad_and_costs_only_itself() -> None:
    """No number is made up from bytes that are none."""
    memory = bytes.fromhex("12a4 1234".replace(" ", ""))
    tags = [{"name": n, "at": f"holding:{at}", "type": "uint16", "bcd": True} for at, n in enumerate("ab")]
    rows = by_tag(decoded(tags, {"holding": memory}))
    assert (rows[0].value, rows[0].quality) == (None, Quality.BAD_DECODING)
    assert (rows[1].value, rows[1].quality) == (1234, Quality.GOOD)


@LAW
@given(st.integers(0, 65535), st.booleans())
def test_each_bit_of_a_register_is_itself(register: int, swap: bool) -> None:
    """Bit 0 is the least significant one, and sixteen of them in a row run on into the next register."""
    memory = struct.pack("<HH" if swap else ">HH", register, 65535 - register)
    tags: list[dict[str, Any]] = [
        {"name": "all", "at": "holding:0.0", "count": 32, "byte_swap": swap},
        {"name": "one", "at": "40001.5", "byte_swap": swap},
    ]
    rows = by_tag(decoded(tags, {"holding": memory}))
    bits = [bool(register >> at & 1) for at in range(16)]
    assert [rows[at].value for at in range(32)] == bits + [not bit for bit in bits]
    assert rows[32].value is bits[5]


def test_coils_and_inputs_are_bools() -> None:
    """A table of bits gives one bool an address."""
    tags: list[dict[str, Any]] = [{"name": "c", "at": "coil:1", "count": 3}, {"name": "d", "at": "10001"}]
    rows = by_tag(decoded(tags, {"coil": b"\0\1\0\1", "discrete": b"\1"}))
    assert [rows[at].value for at in range(4)] == [True, False, True, True]


@pytest.mark.parametrize(
    ("held", "text"),
    [
        (b"PUMP 7\0\0", "PUMP 7"),
        (b"PUMP 7  ", "PUMP 7"),
        (b"\0junk", ""),
        ("Grün".encode(), "Grün"),
        ("Grün".encode("latin-1"), "Grün"),
    ],
)
def test_a_string_ends_at_its_nul_and_loses_its_filling(held: bytes, text: str) -> None:
    """What a person typed into the device, and no more."""
    assert text_of(held) == text


@pytest.mark.parametrize(("words", "swap", "held"), [("big", False, b"ABCDE\0"), ("little", True, b"BADC\0E")])
def test_a_string_knows_byte_order_only(words: str, swap: bool, held: bytes) -> None:
    """Registers of a text stand in reading order, whatever the numbers do."""
    tag = {"name": "t", "at": "holding:0", "type": "string", "length": 5, "word_order": words, "byte_swap": swap}
    (row,) = decoded([tag], {"holding": held}).rows()
    assert row.value == "ABCDE"


def test_scale_and_offset_make_a_float() -> None:
    """raw x scale + offset, float64 whatever the raw type was; the largest unsigned value too."""
    memory = struct.pack(">hfQ", -200, 1.5, 2**64 - 1)
    tags: list[dict[str, Any]] = [
        {"name": "a", "at": "holding:0", "type": "int16", "scale": 0.1, "offset": 5},
        {"name": "b", "at": "holding:1", "type": "float32", "offset": 1.0},
        {"name": "c", "at": "holding:3", "type": "uint64", "scale": 1.0},
    ]
    rows = by_tag(decoded(tags, {"holding": memory}))
    assert [rows[at].value for at in range(3)] == [-200 * 0.1 + 5, 2.5, float(2**64 - 1)]


def test_a_bad_read_leaves_rows_without_values_beside_the_good_ones() -> None:
    """Each point has a row; quality, code and time are those of its own read."""
    tags = [{"name": "a", "at": "holding:0", "type": "uint16"}, {"name": "b", "at": "input:0", "type": "uint16"}]
    device = Device(name="d", url="tcp://h", kind="process", settings={}, scans=numbered([(1.0, tags)]))
    config = load(device)
    plan = reads(config.scans[0], config)
    bad = Outcome(data=b"", time_ns=20, quality=Quality.BAD_CONFIGURATION, native=2)
    rows = by_tag(Decoder(plan).columns([Outcome(data=b"\1\2", time_ns=10), bad]))
    assert rows[0] == Row(0, 10, 0x102)
    assert rows[1] == Row(1, 20, None, Quality.BAD_CONFIGURATION, 2)


def test_uncertain_values_are_kept_with_the_time_they_were_read() -> None:
    """A busy device's last value stays a value."""
    tag = {"name": "a", "at": "holding:0", "type": "uint16"}
    columns = decoded([tag], {"holding": b"\0\7"}, quality=Quality.UNCERTAIN_LAST_USABLE, native=6, other_ns=3)
    assert list(columns.rows()) == [Row(0, 7, 7, Quality.UNCERTAIN_LAST_USABLE, 6, 3)]


def test_nothing_asked_for_gives_no_rows() -> None:
    """A pass in which everything rests is empty, not an error."""
    columns = Decoder([]).columns([])
    assert len(columns) == 0
    assert columns.texts == ()
