"""DataValues to columns: believable times, exact status codes, every built-in type."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opcua_peer import SCALARS

from collectors.opcua.address import NodeAddress
from collectors.opcua.config import Node
from collectors.opcua.decode import OVERFLOW, Decoder, column_value
from collectors.opcua.stamps import DAY_NS, Cause, ClockDifference, Stamps, nanoseconds
from protocol.content.sample import NO_TIME, Quality, Row

LAW = settings(max_examples=50, deadline=None, derandomize=True, database=None)

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
NOW_NS = 1_777_863_721 * 10**9
V = ua.VariantType


def node(count: int = 1, kind: str | None = None) -> Node:
    """A node at point number 5."""
    return Node(number=5, count=count, address=NodeAddress(identifier=1), text="i=1", type=kind)


def value(
    content: Any = 1.0,
    kind: Any = V.Double,
    *,
    status: int = 0,
    source: datetime | None = NOW,
    server: datetime | None = None,
) -> Any:
    """A DataValue."""
    code = ua.StatusCode(ua.UInt32(status))
    return ua.DataValue(ua.Variant(content, kind), code, SourceTimestamp=source, ServerTimestamp=server)


def row(given: Any, read_ns: int = NOW_NS, decoder: Decoder | None = None) -> Row:
    """The one row of one DataValue."""
    decoder = decoder or Decoder()
    decoder.add(node(), given, read_ns)
    (only,) = decoder.take().rows()
    return only


def test_the_source_time_counts_and_the_servers_stands_beside_it() -> None:
    """Where the server gives none, the time of reading does."""
    server = NOW + timedelta(seconds=2)
    assert row(value(server=server), NOW_NS + 5) == Row(5, NOW_NS, 1.0, 0, 0, NOW_NS + 2 * 10**9)
    assert row(value(), NOW_NS + 5) == Row(5, NOW_NS, 1.0, 0, 0, NOW_NS + 5)


@pytest.mark.parametrize("source", [None, datetime(1601, 1, 1, tzinfo=UTC)])
def test_a_missing_source_time_is_uncertain(source: datetime | None) -> None:
    """The time of reading counts; OPC UA writes no time as the year 1601 too."""
    assert row(value(source=source)) == Row(5, NOW_NS, 1.0, Quality.UNCERTAIN, Cause.MISSING, NO_TIME)
    server = NOW - timedelta(seconds=1)
    assert row(value(source=source, server=server)).other_ns == NOW_NS - 10**9


@LAW
@given(st.integers(-3 * DAY_NS, 3 * DAY_NS))
@example(-DAY_NS - 1000)
@example(DAY_NS + 1000)
@example(-DAY_NS)
@example(DAY_NS)
def test_a_source_time_may_stand_for_long_and_is_never_far_ahead(off: int) -> None:
    """A last change long ago is as good as the server says, the time of reading beside it; a day ahead is believed."""
    off -= off % 1000  # what a DateTime of the library can say
    source = NOW + timedelta(microseconds=off // 1000)
    got = row(value(source=source, server=NOW if off < -DAY_NS else None))
    if off > DAY_NS:
        assert got == Row(5, NOW_NS, 1.0, Quality.UNCERTAIN, Cause.FAR, NOW_NS + off)
    else:
        assert got == Row(5, NOW_NS + off, 1.0, 0, 0, NOW_NS)


def test_a_contact_that_has_not_changed_for_weeks_is_good() -> None:
    """However often it is read; a wrong clock moves, and stays as far behind as it was, or was never set."""
    decoder = Decoder()
    long_ago = NOW - timedelta(days=20)
    for at in range(3):
        got = row(value(source=long_ago, server=long_ago), NOW_NS + at * 10**9, decoder)
        assert got == Row(5, NOW_NS - 20 * DAY_NS, 1.0, 0, 0, NOW_NS + at * 10**9)
    behind = row(value(2.0, source=long_ago + timedelta(seconds=5)), NOW_NS + 5 * 10**9, decoder)
    assert (behind.time_ns, behind.quality, behind.native) == (NOW_NS + 5 * 10**9, Quality.UNCERTAIN, Cause.FAR)
    assert row(value(3.0, source=NOW + timedelta(seconds=9)), NOW_NS + 9 * 10**9, decoder).native == 0
    assert row(value(source=datetime(1999, 12, 31, tzinfo=UTC))).native == Cause.FAR


@pytest.mark.parametrize(
    ("which", "offset_s", "time_s", "other_s"),
    [
        ("source", 0, 7200, 1),
        ("source", -7200, 0, -7199),
        ("server", 0, 1, 7200),
        ("server", 3600, 3601, 10_800),
        ("read", 0, 9, 7200),
    ],
)
def test_whose_time_a_value_gets_can_be_said(which: str, offset_s: int, time_s: int, other_s: int) -> None:
    """And how much its clock is off; quality stays as the server gave it."""
    decoder = Decoder(Stamps(which, offset_s * 10**9))
    given = value(source=NOW + timedelta(hours=2), server=NOW + timedelta(seconds=1))
    got = row(given, NOW_NS + 9 * 10**9, decoder)
    assert ((got.time_ns - NOW_NS) // 10**9, (got.other_ns - NOW_NS) // 10**9) == (time_s, other_s)
    assert (got.quality, got.native) == (0, 0)


@pytest.mark.parametrize("which", ["server", "read"])
def test_without_the_time_that_is_asked_for_it_is_the_time_of_reading(which: str) -> None:
    """And nothing is held against a source time that nobody asked for."""
    assert row(value(source=None), NOW_NS, Decoder(Stamps(which))) == Row(5, NOW_NS, 1.0, 0, 0, NO_TIME)


@pytest.mark.parametrize(
    ("off_s", "line"),
    [(7200, '"-2h"'), (-3600, '"1h"'), (5401, '"-90m"'), (-100, '"100s"'), (20, ""), (-59, "")],
)
def test_a_clock_that_is_steadily_off_is_told_once_with_the_line_to_write(off_s: int, line: str) -> None:
    """Minutes or hours; less is nobody's time zone."""
    difference = ClockDifference()
    decoder = Decoder(Stamps(difference=difference))
    said = []
    for at in range(20):
        source = NOW + timedelta(seconds=at + off_s)
        row(value(float(at), source=source), NOW_NS + at * 10**9, decoder)
        said.append(difference.told())
    assert len([one for one in said if one]) == bool(line)
    assert f"time_offset = {line}" in "".join(said) if line else not any(said)


def test_what_comes_late_now_and_then_is_no_clock_that_is_off() -> None:
    """Nor is what a server had buffered, all at once."""
    difference = ClockDifference()
    decoder = Decoder(Stamps(difference=difference))
    for at in range(20):
        row(value(float(at), source=NOW + timedelta(seconds=at - 40 * at)), NOW_NS + at * 10**9, decoder)
        assert difference.told() == ""
    for at in range(50):
        row(value(float(at), source=NOW - timedelta(seconds=600 - at)), NOW_NS + 20 * 10**9, decoder)
        assert difference.told() == ""


def test_the_last_year_of_all_is_a_time_that_fits() -> None:
    """9999 is beyond 64 bits of nanoseconds; it is cut, never an error."""
    got = row(value(source=datetime(9999, 12, 31, tzinfo=UTC)))
    assert (got.time_ns, got.other_ns, got.native) == (NOW_NS, 2**63 - 1, Cause.FAR)


def test_a_source_clock_that_stands_while_values_change_is_frozen() -> None:
    """From the first change after a second, until it moves."""
    decoder = Decoder()
    steps = [(0, 1.0, NOW), (1, 2.0, NOW), (3, 3.0, NOW), (4, 3.0, NOW), (5, 3.0, NOW + timedelta(seconds=5))]
    rows = [row(value(content, source=source), NOW_NS + at * 10**9, decoder) for at, content, source in steps]
    assert [one.native for one in rows] == [0, 0, Cause.FROZEN, Cause.FROZEN, 0]
    assert [one.time_ns - NOW_NS for one in rows] == [0, 0, 3 * 10**9, 4 * 10**9, 5 * 10**9]
    assert [one.quality for one in rows] == [0, 0, Quality.UNCERTAIN, Quality.UNCERTAIN, 0]
    assert rows[2].other_ns == NOW_NS


@pytest.mark.parametrize("content", [7.0, math.nan])
def test_a_value_that_does_not_change_freezes_no_clock(content: float) -> None:
    """Many servers stamp the last change; NaN is no change either."""
    decoder = Decoder()
    rows = [row(value(content), NOW_NS + at * 10**9, decoder) for at in range(5)]
    assert {(one.time_ns, one.native) for one in rows} == {(NOW_NS, 0)}


def test_an_array_with_a_nan_freezes_no_clock() -> None:
    """Each time another object, as it comes off the wire."""
    decoder = Decoder()
    for at in range(5):
        decoder.add(node(2), value([float("nan"), 1.0]), NOW_NS + at * 10**9)
    assert {(one.time_ns, one.native) for one in decoder.take().rows()} == {(NOW_NS, 0)}


def test_no_server_time_is_made_up_where_the_source_says_picoseconds() -> None:
    """The fields as the standard has them on the wire: source, its picoseconds, server, its picoseconds."""
    ticks = 116_444_736_000_000_000 + NOW_NS // 100  # of 100 ns, since 1601
    wire = struct.pack("<BBdqHqH", 0x3D, 11, 1.0, ticks, 1234, ticks + 20_000_000, 99)
    got = struct_from_binary(ua.DataValue, Buffer(wire))
    assert row(got, NOW_NS + 5) == Row(5, NOW_NS, 1.0, 0, 0, NOW_NS + 5)


@LAW
@given(st.integers(0, 2**32 - 1))
def test_quality_is_the_servers_status_code_bit_by_bit(status: int) -> None:
    """A bad one has no value, any other keeps it."""
    got = row(value(status=status))
    assert got.quality == status
    assert (got.value is None) == (status >> 31 == 1)


@pytest.mark.parametrize("status", [0x40900000, 0x80340000, 0xC0000000])
def test_a_doubtful_time_makes_no_quality_better(status: int) -> None:
    """Uncertain and bad codes stay as they are."""
    assert row(value(status=status, source=None)).quality == status


def test_lost_values_are_marked_on_the_next_one() -> None:
    """By the overflow bits that servers use."""
    decoder = Decoder()
    decoder.add(node(), value(), NOW_NS, overflow=True)
    (got,) = decoder.take().rows()
    assert got.quality == OVERFLOW == 0x480


@pytest.mark.parametrize("name", SCALARS)
def test_every_built_in_type_has_its_column(name: str) -> None:
    """Numbers stay numbers; times, bytes and ids become text."""
    kind, given_value, wanted, _ = SCALARS[name]
    got = row(value(given_value, kind))
    assert got.quality == 0
    assert got.value == wanted
    assert type(got.value) is type(wanted)


@pytest.mark.parametrize("kind", [0, 22, 23, 24, 25, 30])
def test_what_has_no_column_is_bad_and_says_so(kind: int) -> None:
    """Structures are not supported, an empty Variant is no data."""
    quality = Quality.BAD_NOT_SUPPORTED if kind else Quality.BAD_NO_DATA
    assert column_value(kind, object(), None) == (None, quality)


def test_a_null_string_is_empty_and_other_nulls_are_no_data() -> None:
    """OPC UA has both."""
    assert column_value(12, None, None) == ("", 0)
    assert column_value(15, None, None) == (None, Quality.BAD_NO_DATA)


@pytest.mark.parametrize(
    ("kind", "raw", "wanted", "out"),
    [
        (6, 7, "float64", 7.0),
        (1, True, "int32", 1),
        (1, True, "float32", 1.0),
        (11, 7.0, "int32", 7),
        (11, 7.5, "int32", None),
        (11, math.nan, "int32", None),
        (11, math.inf, "int64", None),
        (6, 1, "bool", True),
        (6, 2, "bool", None),
        (6, 42, "string", "42"),
        (12, "42", "int32", None),
    ],
)
def test_a_type_that_was_asked_for_is_given_where_nothing_is_lost(kind: int, raw: Any, wanted: str, out: Any) -> None:
    """Otherwise the configuration is wrong, and the row says so."""
    got, quality = column_value(kind, raw, wanted)
    assert got == out
    assert type(got) is type(out)
    assert quality == (0 if out is not None else Quality.BAD_CONFIGURATION)


def rows_of(given: Any, count: int) -> list[Row]:
    """The rows of an array node."""
    decoder = Decoder()
    decoder.add(node(count), given, NOW_NS)
    return list(decoder.take().rows())


def test_an_array_is_a_row_for_each_element() -> None:
    """Row by row for a matrix; what is missing is bad, what is too many is left out."""
    assert [(one.tag, one.value) for one in rows_of(value([1.0, 2.0]), 2)] == [(5, 1.0), (6, 2.0)]
    assert [one.value for one in rows_of(value([[1, 2], [3, 4]], V.Int32), 4)] == [1, 2, 3, 4]
    short = rows_of(value([1.0]), 2)
    assert [(one.value, one.quality) for one in short] == [(1.0, 0), (None, Quality.BAD_OUT_OF_RANGE)]
    assert [one.value for one in rows_of(value([1.0, 2.0, 3.0]), 2)] == [1.0, 2.0]


def test_an_array_where_a_scalar_was_typed_is_a_wrong_configuration() -> None:
    """And the other way round; one element of either is taken for the other."""
    assert [one.quality for one in rows_of(value([1.0, 2.0]), 1)] == [Quality.BAD_CONFIGURATION]
    assert [one.quality for one in rows_of(value(1.0), 2)] == [Quality.BAD_CONFIGURATION] * 2
    assert [one.value for one in rows_of(value([1.0]), 1)] == [1.0]


def test_a_bad_array_is_bad_in_every_element() -> None:
    """No element is left out."""
    got = rows_of(value([1.0], status=0x80050000), 3)
    assert [(one.tag, one.value, one.quality) for one in got] == [(tag, None, 0x80050000) for tag in (5, 6, 7)]


def test_rows_are_handed_out_once() -> None:
    """What was taken is gone."""
    decoder = Decoder()
    decoder.add(node(), value(), NOW_NS)
    decoder.fail(node(2), Quality.BAD_NODE_UNKNOWN, NOW_NS)
    assert len(decoder.take()) == 3
    assert len(decoder.take()) == 0


def test_a_time_without_a_zone_is_utc() -> None:
    """The library hands out both."""
    assert nanoseconds(NOW.replace(tzinfo=None)) == nanoseconds(NOW) == NOW_NS
