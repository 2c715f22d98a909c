"""Laws of the batch codec: whatever goes in comes out to the bit, and whatever comes off the link does no harm."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.mix import signals
from protocol.content import body
from protocol.content.array import Array
from protocol.content.batch import from_wire, to_wire
from protocol.content.sample import NO_TIME, Columns, Quality, Row, ValueKind, columns, concat, from_rows
from protocol.errors import FrameError, Reason
from protocol.limits import BATCH_ROWS, TEXT_BYTES
from protocol.plain import plain as plain_map

ARRAYS = ("tag", "time_ns", "other_ns", "flags", "quality", "native", "kind", "floats", "ints", "bools")
INT64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 0, -1, 1]) | st.integers(-200, 200)
BITS = st.integers(0, 2**64 - 1) | st.sampled_from(
    [0, 1 << 63, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF, 1]
)


def bits_to_float(bits: int) -> float:
    """The float64 with these bits; a NaN keeps its payload."""
    return float(np.array([bits], np.uint64).view(np.float64)[0])


FLOATS = (
    st.builds(bits_to_float, BITS)
    | st.builds(lambda whole, digits: whole / 10**digits, st.integers(-(10**7), 10**7), st.integers(0, 8))
    | st.builds(lambda whole: whole * 0.1, st.integers(-500, 500))
    | st.floats(width=32)
)
VALUES = FLOATS | INT64 | st.booleans() | st.text(max_size=12) | st.none()
ROWS = st.builds(
    Row,
    tag=st.integers(0, 5) | st.integers(0, 2**32 - 1),
    time_ns=st.integers(1_700_000_000, 1_700_000_020).map(lambda s: s * 10**9) | INT64,
    value=VALUES,
    quality=st.sampled_from([0, 0, 0, 0x80050000]) | st.integers(0, 2**32 - 1),
    native=st.sampled_from([0, 0, 0, 2]) | st.integers(0, 2**32 - 1),
    other_ns=st.sampled_from([NO_TIME, NO_TIME, 1_700_000_000_000_000_000]) | INT64,
    flags=st.sampled_from([0, 0, 1]) | st.integers(0, 255),
)


def again(columns: Columns) -> Columns:
    """Through all that the wire does to a batch."""
    return from_wire(body.unpack(body.pack(to_wire(columns))))


def in_order(columns: Columns) -> Columns:
    """The rows as a batch holds them."""
    return columns.select(np.argsort(columns.tag, kind="stable"))


def assert_same(got: Columns, expected: Columns) -> None:
    """Equal to the bit, and in the same types."""
    for name in ARRAYS:
        here, there = getattr(got, name), getattr(expected, name)
        assert here.dtype == there.dtype, name
        assert here.tobytes() == there.tobytes(), name
    assert got.texts == expected.texts


def assert_coherent(columns: Columns) -> None:
    """Every array as long as the rows say."""
    assert all(len(getattr(columns, name)) == len(columns) for name in ARRAYS[:7])
    held = (columns.floats, columns.ints, columns.bools, columns.texts)
    assert [len(one) for one in held] == [int((columns.kind == kind).sum()) for kind in (1, 2, 3, 4)]
    assert len(columns) <= BATCH_ROWS


def some(random: np.random.Generator) -> Columns:
    """A batch of one of many shapes: long and short runs, quiet and wild columns, a few or many kinds."""
    rows, tags = int(random.integers(1, 3000)), int(random.integers(1, 200))
    tag = random.integers(0, tags, rows).astype(np.uint32) * int(random.choice([1, 7, 20_000_000]))
    kind = np.where(random.random(rows) < 0.02, 0, tag % 5).astype(np.uint8)
    walk = np.cumsum(random.normal(0, 1, rows))
    floats = [
        np.round(walk, 2),
        (np.round(walk, 1)).astype(np.float32).astype(np.float64),
        np.rint(walk * 10) * 0.1 + 0.7,
        random.integers(0, 2**64, rows, dtype=np.uint64).view(np.float64),
        walk.astype(np.float32).astype(np.float64),
    ][int(random.integers(5))].copy()
    floats[random.random(rows) < 0.01] = random.choice([np.nan, -0.0, np.inf, 1e300, 5e-324])
    ints = (
        random.integers(-(2**63), 2**63 - 1, rows) if random.random() < 0.3 else np.cumsum(random.integers(0, 9, rows))
    )
    time_ns = 1_700_000_000_000_000_000 + np.arange(rows) * int(random.choice([1, 1000, 10**6, 10**9]))
    other = np.where(random.random(rows) < random.random(), time_ns - random.integers(0, 10**9, rows), NO_TIME)
    quiet = random.random() < 0.5
    return Columns(
        tag=tag,
        time_ns=time_ns + random.integers(0, 5, rows),
        other_ns=np.full(rows, NO_TIME, np.int64) if quiet else other,
        flags=(random.random(rows) < 0.1).astype(np.uint8),
        quality=random.choice(np.array([0, Quality.BAD_TIMEOUT], np.uint32), rows),
        native=np.zeros(rows, np.uint32) if quiet else random.integers(0, 2**32, rows).astype(np.uint32),
        kind=kind,
        floats=floats[kind == ValueKind.FLOAT],
        ints=ints[kind == ValueKind.INT],
        bools=random.random(int((kind == ValueKind.BOOL).sum())) < 0.5,
        texts=tuple(f"zustand ü{at}" for at in random.integers(0, 9, int((kind == ValueKind.TEXT).sum())).tolist()),
    )


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(ROWS, max_size=40))
def test_any_rows_come_back_to_the_bit(rows: list[Row]) -> None:
    """Every value of every column survives, in tag order, equal tags in the order they came in."""
    given_rows = from_rows(rows)
    assert_same(again(given_rows), in_order(given_rows))


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(BITS, min_size=1, max_size=60))
def test_any_float_bits_come_back(bits: list[int]) -> None:
    """NaN payloads, infinities, subnormals and -0.0 are carried as the 64 bits that they are."""
    floats = np.array(bits, np.uint64).view(np.float64)
    given_columns = columns(np.zeros(len(bits), np.uint32), 5, floats)
    assert again(given_columns).floats.tobytes() == floats.tobytes()


@pytest.mark.parametrize("seed", range(60))
def test_long_batches_come_back_to_the_bit(seed: int) -> None:
    """The same for batches of thousands of rows with runs, scales, classes and exceptions (the seed is the test's)."""
    given_columns = some(np.random.default_rng(seed))
    assert_same(again(given_columns), in_order(given_columns))


@pytest.mark.parametrize("seed", range(10))
def test_what_was_read_is_written_with_the_same_rows(seed: int) -> None:
    """Rows keep their numbers when a batch is decoded and encoded again: a sample's identity holds."""
    once = again(some(np.random.default_rng(seed)))
    assert_same(again(once), once)


@pytest.mark.parametrize("kind", list(ValueKind))
def test_one_row_of_each_kind_comes_back(kind: ValueKind) -> None:
    """A batch of one row."""
    value = {
        ValueKind.NONE: None,
        ValueKind.FLOAT: 3.25,
        ValueKind.INT: -(2**63),
        ValueKind.BOOL: True,
        ValueKind.TEXT: "läuft \U0001f600",
    }[kind]
    row = Row(2**32 - 1, -(2**63) + 1, value, 2**32 - 1, 2**32 - 1, 2**63 - 1, 255)
    assert list(again(from_rows([row])).rows()) == [row]


def test_empty_batch_comes_back() -> None:
    """No rows are a batch too."""
    assert to_wire(columns([], 0, [])) == {"n": 0}
    assert_same(again(columns([], 0, [])), columns([], 0, []))


def test_extreme_integers_and_times_come_back_when_their_differences_wrap() -> None:
    """The step from the least int64 to the greatest does not fit int64, and is still undone exactly."""
    ends = [-(2**63), 2**63 - 1, 0, -1, 2**63 - 1, -(2**63)] * 4
    given_columns = columns([7] * len(ends), np.array(ends, np.int64), ends)
    back = again(given_columns)
    assert back.ints.tolist() == ends
    assert back.time_ns.tolist() == ends


@pytest.mark.parametrize("odd", [float("nan"), -0.0, float("inf"), 1e-300])
def test_one_odd_float_does_not_cost_its_column(odd: float) -> None:
    """A column of readings to a hundredth grows by a few dozen bytes for one NaN, not by eight a row."""
    walk = np.round(np.cumsum(np.random.default_rng(1).normal(0, 0.1, 5000)) + 50, 2)
    plain = columns(np.repeat(np.arange(50), 100), 1, walk)
    walk = walk.copy()
    walk[1234] = odd
    spoilt = columns(np.repeat(np.arange(50), 100), 1, walk)
    assert len(body.pack(to_wire(spoilt))) < len(body.pack(to_wire(plain))) + 60


def test_scaled_raw_values_stay_small() -> None:
    """What raw x 0.1 leaves in the last bits (0.30000000000000004) costs a bit or two, not eight bytes."""
    raw = np.rint(np.cumsum(np.random.default_rng(1).normal(0, 2, 5000)) + 1000)
    packed = body.pack(to_wire(columns(np.repeat(np.arange(50), 100), 1, raw * 0.1)))
    assert len(packed) < 5000


def test_plant_signals_take_under_1_1_bytes_and_a_quarter_of_rows() -> None:
    """The stated targets on the stated mix: 500 tags, 20 polls."""
    given_columns = signals()
    size = len(body.pack(to_wire(given_columns)))
    rows = [(row.tag, row.time_ns, row.value, row.quality) for row in given_columns.rows()]
    assert size <= 1.1 * len(given_columns)
    assert 4 * size <= len(body.pack({"rows": rows}))


def test_columns_that_contradict_each_other_are_refused_by_the_writer() -> None:
    """A value too few is a bug of the caller's, said before anything is sent."""
    good = columns([1, 2], 5, [1.5, 2.5])
    with pytest.raises(ValueError, match="1 values of kind FLOAT, but 2 rows"):
        to_wire(Columns(**{name: getattr(good, name) for name in ARRAYS} | {"floats": good.floats[:1]}, texts=()))
    with pytest.raises(ValueError, match="kind 5"):
        to_wire(Columns(**{name: getattr(good, name) for name in ARRAYS} | {"kind": good.kind + 4}, texts=()))


def test_limits_hold_for_the_writer_too() -> None:
    """What no receiver would take is not made."""
    with pytest.raises(ValueError, match="is the most of a batch"):
        to_wire(columns(np.zeros(BATCH_ROWS + 1, np.uint32), 5, np.zeros(BATCH_ROWS + 1)))
    with pytest.raises(ValueError, match="a text of"):
        to_wire(columns([1], 5, ["x" * (TEXT_BYTES + 1)]))
    assert again(columns([1], 5, ["ü" * (TEXT_BYTES // 2)])).texts == ("ü" * (TEXT_BYTES // 2),)


def test_largest_batch_comes_back() -> None:
    """BATCH_ROWS rows, each a tag of its own."""
    given_columns = columns(np.arange(BATCH_ROWS), 5, np.arange(BATCH_ROWS) % 2 == 0)
    assert_same(again(given_columns), given_columns)


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    """It is no character, and no output could write it."""
    assert again(columns([1], 5, ["a\ud800b"])).texts == ("a?b",)


# ---- bytes of an enemy


def corpus() -> list[dict[str, Any]]:
    """Maps in which every form occurs."""
    made = [some(np.random.default_rng(seed)) for seed in range(12)] + [signals(50, 6)]
    made += [columns([1], 5, [value]) for value in (1.5, 2, True, "x", None)]
    made += [concat([columns([3] * 40, 5, np.arange(40.0)), columns([4] * 40, 6, list("ab" * 20))])]
    return [to_wire(one) for one in made]


JUNK: list[Any] = [
    True, False, 0, 1, -1, 2, 7, 255, 2**31, 2**32, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, 1.5, float("nan"), "",
    None, "n", b"", b"\x00", b"\xff" * 8, b"\x01" * 1000,
    [], [0], [0, 0], [1, 0, b"\x00"], [8, 0, b"\xff" * 80], [0, 0, b""],
    [-8, -(2**63), b"\x80" * 16], [2**62, [1, 1]], [1, [1, 1]], [None, 0, 1, 0], [0, 0, 2**63 - 1, 2**63 - 1],
    [1, 0, 0, 0], [2**40, 0, 0, 0], [1, b"", 0, 0], {}, {"n": 1}, [[[]]],
]  # fmt: skip


def spoil(thing: Any, dice: random.Random) -> Any:
    """The same, but for one member somewhere inside."""
    if isinstance(thing, dict) and thing and dice.random() < 0.95:
        key = dice.choice(sorted(thing))
        if dice.random() < 0.1:
            return {name: value for name, value in thing.items() if name != key}
        return thing | {key: spoil(thing[key], dice)}
    if isinstance(thing, list) and thing and dice.random() < 0.8:
        at = dice.randrange(len(thing))
        return [*thing[:at], spoil(thing[at], dice), *thing[at + 1 :]]
    if isinstance(thing, bytes) and thing and dice.random() < 0.7:
        at = dice.randrange(len(thing))
        return dice.choice(
            [thing[:at], thing + thing[:1], thing[:at] + bytes([dice.randrange(256)]) + thing[at + 1 :], thing * 2]
        )
    if type(thing) is int and dice.random() < 0.5:
        return thing + dice.choice([-1, 1, 2**31, -(2**31)])
    return dice.choice(JUNK)


@pytest.mark.parametrize("seed", range(8))
def test_a_spoilt_map_is_refused_or_read_and_never_more(seed: int) -> None:
    """16,000 maps with members changed: BODY, or columns that hold together; never another exception or a warning."""
    dice, made = random.Random(seed), corpus()
    refused = 0
    for _ in range(2000):
        hostile: Any = dice.choice(made)
        for _ in range(dice.choice([1, 1, 2, 3])):
            hostile = spoil(hostile, dice)
        if not isinstance(hostile, dict):
            continue  # body.unpack gives maps only
        try:
            assert_coherent(from_wire(hostile))
        except FrameError as error:
            assert error.reason is Reason.BODY, hostile  # noqa: PT017
            refused += 1
    assert refused > 800, "the mutations no longer reach the checks"


@pytest.mark.parametrize("seed", range(8))
def test_spoilt_bytes_are_refused_or_read_and_never_more(seed: int) -> None:
    """8,000 bodies with bytes flipped before compression: BODY, or columns that hold together."""
    dice = random.Random(seed)
    plain = [msgpack.packb(one) for one in corpus()]
    for _ in range(1000):
        spoilt = bytearray(dice.choice(plain))
        for _ in range(dice.choice([1, 2, 8])):
            spoilt[dice.randrange(min(len(spoilt), dice.choice([40, 10**6])))] = dice.randrange(256)
        try:
            assert_coherent(from_wire(plain_map(bytes(spoilt))))
        except FrameError as error:
            assert error.reason is Reason.BODY  # noqa: PT017


CONSTANT = {"n": BATCH_ROWS, "t": [1, 7, 0, BATCH_ROWS], "m": [0, 0, 1, 0], "k": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"n": 2**40},
        {"n": -1},
        {"n": True},
        {"t": [2**40, 0, 1, 1]},
        {"t": [BATCH_ROWS, 0, 0, 1]},
        {"t": [BATCH_ROWS, 2**32 - 1, 1, 1]},
        {"t": [2, 0, 1, [8, 2**62, b"\x00" * 16]]},
        {"t": [2, 0, 1, [1, 0, b"\x00\xff"]]},
        {"t": [2, 0, 1, BATCH_ROWS]},
        {"k": 5},
        {"k": [2, [0, [8, 2**61, b"\x00" * 16]]]},
        {"k": 4, "s": [2**30, b"", 0, 0]},
        {"k": 4, "s": [1, b"xx", 1, 0]},
        {"k": 4, "s": [1, b"x", 1, 1]},
        {"k": 4, "s": [1, b"\xff", 1, 0]},
        {"k": 4, "s": [BATCH_ROWS, b"", TEXT_BYTES, 0]},
        {"k": 4, "s": [1, b"x" * (TEXT_BYTES + 1), TEXT_BYTES + 1, 0]},
        {"k": 1, "f": [7, 0, [0, 0, 1, 0], b"", b""]},
        {"k": 1, "f": [0, 2, [0, 0, 1, 0], b"", b""]},
        {"k": 1, "f": [0, 0, [0, 0, 1, 0], b"", b"\x00" * 8]},
        {"k": 1, "f": [0, 12, [0, 0, 1, 0], b"", b""]},
        {"k": 3, "b": b""},
        {"k": 2},
        {"o": [0, [0, 0, 1, 0]]},
        {"q": 2**32},
        {"g": 256},
    ],
    ids=str,
)
def test_a_lie_about_lengths_costs_no_memory(change: dict[str, Any]) -> None:
    """Each is refused before anything is made of the length it states: under 40 MB at the height of it."""
    assert len(from_wire(CONSTANT)) == BATCH_ROWS
    tracemalloc.start()
    try:
        with pytest.raises(FrameError) as refused:
            from_wire(CONSTANT | change)
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()
    assert refused.value.reason is Reason.BODY


def test_signalling_nans_from_the_link_raise_no_warning() -> None:
    """A float32 with the bits of a signalling NaN is read, not stumbled over."""
    raw: Array = np.array([[0x01, 0x00, 0x80, 0x7F]], np.uint8)
    hostile = {"n": 1, "t": [1, 7, 0, 1], "m": [0, 0, 1, 0], "k": 1, "f": [0, 2, [0, 0, 1, 0], raw.tobytes(), b""]}
    assert np.isnan(from_wire(hostile).floats[0])
