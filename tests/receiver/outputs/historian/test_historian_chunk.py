"""Laws of the chunk and of packed rows: exact to the bit, small where data are plain, refused when damaged."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.content.sample import NO_TIME, Row, Value, ValueKind, from_rows
from protocol.errors import StoreError
from receiver.outputs.historian.codec import chunk
from receiver.outputs.historian.codec.group import pack, unpack
from receiver.outputs.historian.rows import Rows, from_columns, join

FIRST = Path(__file__).parents[3] / "vectors" / "history" / "first_chunks.json"
FIELDS = ("series", "time_ns", "other_ns", "quality", "native", "kind", "stream", "number", "marks")
INT64 = st.integers(-(2**63), 2**63 - 1)
BITS = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
SINGLE = st.floats(width=32, allow_nan=False)
DECIMAL = st.integers(-(10**6), 10**6).map(lambda cents: cents / 100)
VALUE = st.one_of(
    st.none(), BITS, SINGLE, DECIMAL, INT64, st.integers(0, 2**64 - 1), st.booleans(), st.text(max_size=8)
)


@st.composite
def some_rows(draw: st.DrawFn) -> Rows:
    """Rows of one series; columns that stand still, step evenly, or do anything."""
    n = draw(st.integers(1, 40))
    times = draw(
        st.one_of(
            st.lists(INT64, min_size=n, max_size=n),
            st.integers(1, 10**10).map(lambda step: [1_763_884_800 * 10**9 + step * i for i in range(n)]),
        )
    )
    kind = draw(st.sampled_from([VALUE, DECIMAL, SINGLE, BITS, INT64, st.booleans(), st.text(max_size=4)]))
    values: list[Value] = draw(st.lists(kind, min_size=n, max_size=n))
    others = st.one_of(st.just(NO_TIME), INT64)
    made = [
        Row(
            0,
            time_ns,
            value,
            draw(st.sampled_from([0, 0, 0x80050000, 2**32 - 1])),
            draw(st.integers(0, 9)),
            draw(others),
        )
        for time_ns, value in zip(times, values, strict=True)
    ]
    number = np.array(draw(st.lists(st.integers(0, 2**63 - 1), min_size=n, max_size=n)), np.int64)
    stream = np.array(draw(st.lists(st.integers(1, 3), min_size=n, max_size=n)), np.uint32)
    return from_columns(from_rows(made), np.full(n, 7), stream, number)


def same(a: Rows, b: Rows) -> bool:
    """Equal in every bit; texts by what they say."""
    columns = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in FIELDS)
    plain = a.kind != ValueKind.TEXT
    bits = np.array_equal(a.value[plain], b.value[plain])
    texts = [a.texts[at] for at in a.value[~plain].tolist()] == [b.texts[at] for at in b.value[~plain].tolist()]
    return columns and bits and texts


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(some_rows())
def test_chunk_gives_back_every_bit(rows: Rows) -> None:
    """Whatever the values, times and block numbers, decoding gives the rows that were encoded."""
    assert same(chunk.decode(chunk.encode(rows), 7), rows)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.lists(some_rows(), min_size=1, max_size=3))
def test_packed_rows_come_back_joined_in_order(parts: list[Rows]) -> None:
    """Packing the joined rows is joining the unpacked parts."""
    assert same(unpack(pack(join(parts))), join([unpack(pack(part)) for part in parts]))


@pytest.mark.parametrize(
    "value", [float("nan"), struct.unpack("<d", b"\x01\0\0\0\0\0\xf4\x7f")[0], -0.0, 0.0, float("inf"), 5e-324, 1e308]
)
def test_chunk_keeps_a_float_that_is_no_decimal(value: float) -> None:
    """NaN with its payload, both zeros, infinities and the ends of the range come back as they were."""
    rows = one_series([12.5, value, 12.75])
    assert same(chunk.decode(chunk.encode(rows), 7), rows)


def one_series(values: list[Value], step_ns: int = 10**9) -> Rows:
    """Regular rows of series 7 with these values."""
    made = [Row(0, 1_763_884_800 * 10**9 + step_ns * at, value) for at, value in enumerate(values)]
    n = len(values)
    return from_columns(from_rows(made), np.full(n, 7), np.full(n, 1), np.arange(n) * 10)


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ([round(50 + (at * 7919 % 31) / 100, 2) for at in range(512)], 1.2),
        ([float(np.float32(50 + (at * 7919 % 31) / 100)) for at in range(512)], 1.2),
        ([at % 50 < 25 for at in range(512)], 0.5),
        (["run"] * 512, 0.3),
        ([10**15 + 3 * at for at in range(512)], 0.3),
    ],
    ids=["decimals", "float32 decimals", "booleans", "texts", "counter"],
)
def test_chunk_of_plain_data_is_small(values: list[Value], most: float) -> None:
    """Regular plant data take a few bits a sample, with the time, quality and origin of each."""
    rows = one_series(values)
    assert len(chunk.encode(rows)) / len(rows) < most


def test_damaged_chunk_is_refused() -> None:
    """Every flipped byte, every cut and an unknown version is a StoreError, never other samples."""
    whole = chunk.encode(one_series([1.25, 2.5, 3.75, None, "x"]))
    for at in range(len(whole)):
        hurt = whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
        try:
            assert same(chunk.decode(hurt, 7), chunk.decode(whole, 7))  # a bit of the frame that says nothing
        except StoreError:
            continue
    for size in range(len(whole)):
        with pytest.raises(StoreError):
            chunk.decode(whole[:size], 7)


def test_chunks_of_the_first_builds_come_back_to_the_bit() -> None:
    """What the number codec before this one wrote is read for as long as its files are kept."""
    for case in json.loads(FIRST.read_text()):
        rows = chunk.decode(bytes.fromhex(case["chunk"]), 7)
        want = case["rows"]
        for name in FIELDS[1:-1]:
            assert getattr(rows, name).tolist() == want[name], case["name"]
        is_text = rows.kind == ValueKind.TEXT
        have = [rows.texts[bits] if text else bits for bits, text in zip(rows.value.tolist(), is_text, strict=True)]
        assert have == want["value"], case["name"]
        assert not rows.marks.any()


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(some_rows(), min_size=1, max_size=5))
def test_chunks_made_together_are_those_made_alone(parts: list[Rows]) -> None:
    """What is worked out for a whole shelf at once gives every chunk the rows it would have by itself."""
    rows = join(parts)
    together = chunk.encode_each(rows, [len(part) for part in parts])
    for body, part in zip(together, parts, strict=True):
        assert same(chunk.decode(body, 7), part)
        assert same(chunk.decode(chunk.encode(part), 7), part)
        readings = chunk.readings(body)
        assert np.array_equal(readings.time_ns, part.time_ns)
        assert np.array_equal(readings.quality, part.quality)
        plain = part.kind != ValueKind.TEXT
        assert np.array_equal(readings.kind, part.kind)
        assert np.array_equal(readings.value[plain], part.value[plain])


def test_a_clock_that_jitters_costs_its_jitter() -> None:
    """Fifty milliseconds of jitter around 10 s are less than a byte a sample, whichever way the period drifts."""
    chance = np.random.default_rng(3)
    for period_ns in (10_000_000_000, 9_999_000_000, 10_000_300_000):
        times = 1_763_884_800 * 10**9 + np.arange(1024) * period_ns + chance.integers(0, 50, 1024) * 10**6
        made = [Row(0, time_ns // 10**6 * 10**6, 1.0) for time_ns in times.tolist()]
        rows = from_columns(from_rows(made), np.full(1024, 7), np.full(1024, 1), np.arange(1024) * 10)
        assert len(chunk.encode(rows)) / len(rows) < 0.95
