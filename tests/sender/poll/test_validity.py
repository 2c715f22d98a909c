"""Instrument quality: a good reply from a broken transmitter is Bad, whoever says that it is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polling import EPOCH_NS, Fake, asset_toml, loaded, points_of, poll_for, scripted, sender_toml

from collectors.base import Scan
from protocol.content.sample import Columns, Quality, Row, columns, from_rows, severity
from protocol.errors import ConfigError
from sender.poll.validity import BEYOND_RANGE, LIMITED_HIGH, LIMITED_LOW, Gate, Rule, Validity, parse_gate

LAW = settings(max_examples=80, deadline=None, derandomize=True, database=None)


@LAW
@given(st.floats(-10, 30))
def test_a_signal_beyond_the_limits_of_ne_43_is_bad(milliampere: float) -> None:
    """At most 3.6 or at least 21 mA: failed. Below 3.8 or above 20.5 mA: beyond its range. Else good."""
    validity = Validity([Rule(numbers=range(1), span=(4.0, 20.0))], 1, subscribes=False)
    (row,) = validity.apply(columns([0], 0, [milliampere])).rows()
    if milliampere <= 3.6 or milliampere >= 21:
        assert (row.quality, row.value) == (Quality.BAD_SENSOR_FAILURE, None)
    elif milliampere < 3.8 or milliampere > 20.5:
        assert (row.quality, row.value) == (BEYOND_RANGE, milliampere)
    else:
        assert (row.quality, row.value) == (0, milliampere)


def test_the_limits_are_those_of_the_tags_own_range() -> None:
    """3.6 mA of a transmitter for -50 to 150 Cel is -55 Cel; an integer is a number too; texts are none."""
    validity = Validity([Rule(numbers=range(5), span=(-50.0, 150.0))], 5, subscribes=False)
    rows = validity.apply(columns([0, 1, 2, 3, 4], 0, [-54.9, -55.0, 163, 0.0, "text"]))
    assert [row.quality for row in rows.rows()] == [
        BEYOND_RANGE,
        Quality.BAD_SENSOR_FAILURE,
        Quality.BAD_SENSOR_FAILURE,
        0,
        0,
    ]
    assert rows.values() == [-54.9, None, None, 0.0, "text"]


def test_quality_is_never_made_better() -> None:
    """What the device says is bad stays bad, with its own code; uncertain stays uncertain or becomes bad."""
    validity = Validity([Rule(numbers=range(3), span=(4.0, 20.0))], 3, subscribes=False)
    given_rows = from_rows(
        [
            Row(0, 0, None, Quality.BAD_TIMEOUT, 11),
            Row(1, 0, 3.7, Quality.UNCERTAIN_LAST_USABLE),
            Row(2, 0, 1.0, Quality.UNCERTAIN_LAST_USABLE),
        ]
    )
    rows = list(validity.apply(given_rows).rows())
    assert [(row.quality, row.native) for row in rows] == [
        (Quality.BAD_TIMEOUT, 11),
        (Quality.UNCERTAIN_LAST_USABLE, 0),
        (Quality.BAD_SENSOR_FAILURE, 0),
    ]


@LAW
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.one_of(st.floats(-30, 30), st.integers(-30, 30), st.booleans(), st.text())),
        max_size=30,
    )
)
def test_rows_keep_their_order_and_their_values(given_rows: list[tuple[int, float | str]]) -> None:
    """Only bad rows lose their value; nothing is added, left out or moved."""
    rules = [Rule(numbers=range(2), span=(4.0, 20.0)), Rule(numbers=range(2, 3), clamp=(-5.0, 5.0))]
    before = columns([tag for tag, _ in given_rows], np.arange(len(given_rows)), [value for _, value in given_rows])
    after = list(Validity(rules, 4, subscribes=False).apply(before).rows())
    assert [(row.tag, row.time_ns) for row in after] == [(row.tag, row.time_ns) for row in before.rows()]
    for old, new in zip(before.rows(), after, strict=True):
        if severity(new.quality) == 2:
            assert new.value is None
        elif old.tag == 2 and type(old.value) in (int, float):
            assert type(new.value) is type(old.value)
            assert isinstance(new.value, int | float)
            assert -5 <= new.value <= 5
        else:
            assert new.value == old.value


def test_what_is_clamped_says_so() -> None:
    """Good still, with the limit bits of OPC UA."""
    validity = Validity([Rule(numbers=range(3), clamp=(0.0, 100.0))], 3, subscribes=False)
    rows = list(validity.apply(columns([0, 1, 2], 0, [-0.5, 50.0, 101])).rows())
    assert [(row.value, row.quality) for row in rows] == [(0.0, LIMITED_LOW), (50.0, 0), (100, LIMITED_HIGH)]


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("sensor_ok", Gate(tag="sensor_ok", compare="!=", value=0.0)),
        ("! sensor fault", Gate(tag="sensor fault", compare="==", value=0.0)),
        ("status == 0", Gate(tag="status", compare="==", value=0.0)),
        ("level[3] >= -1.5e1", Gate(tag="level[3]", compare=">=", value=-15.0)),
        ("ok==true", Gate(tag="ok", compare="==", value=1.0)),
    ],
)
def test_a_condition_is_a_tag_and_what_it_must_be(text: str, gate: Gate) -> None:
    """A word alone must not be zero."""
    assert parse_gate(text) == gate


@pytest.mark.parametrize("text", ["", "!status == 0", "  "])
def test_what_is_no_condition_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="no condition"):
        parse_gate(text)


def polled(*passes: list[Row]) -> list[list[int]]:
    """Qualities of point 0 in each pass, vouched for by point 1."""
    rule = Rule(numbers=range(1), gate=parse_gate("ok"), voucher=1)
    validity = Validity([rule], 2, subscribes=False)
    return [[row.quality for row in validity.apply(from_rows(rows)).rows() if row.tag == 0] for rows in passes]


def test_a_voucher_decides_on_its_own_pass() -> None:
    """Also where it stands behind what it vouches for, and until the next pass that has it."""
    value = Row(0, 5, 1.0)
    assert polled(
        [value, Row(1, 9, True)],
        [value, Row(1, 9, False)],
        [value],
        [value, Row(1, 9, True)],
        [value, Row(1, 9, None, Quality.BAD_TIMEOUT)],
    ) == [[0], [Quality.BAD_SENSOR_FAILURE], [Quality.BAD_SENSOR_FAILURE], [0], [Quality.UNCERTAIN]]


def test_without_a_word_of_its_voucher_a_value_is_uncertain() -> None:
    """Nobody knows."""
    assert polled([Row(0, 5, 1.0)]) == [[Quality.UNCERTAIN]]


def test_notifications_count_from_the_vouchers_own_time() -> None:
    """A value before the fault stays good; one that did not change is told again, bad, as of the fault."""
    rules = [Rule(numbers=range(2), gate=parse_gate("ok"), voucher=2)]
    validity = Validity(rules, 3, subscribes=True)
    first = [Row(2, 10, True), Row(0, 20, 1.0), Row(1, 20, 2.0)]
    assert [row.quality for row in validity.apply(from_rows(first)).rows()] == [0, 0, 0]
    rows = list(validity.apply(from_rows([Row(0, 30, 1.5), Row(2, 40, False), Row(0, 50, 1.7)])).rows())
    assert [(row.tag, row.time_ns, row.quality, row.other_ns) for row in rows if row.tag != 2] == [
        (0, 30, 0, rows[0].other_ns),
        (0, 50, Quality.BAD_SENSOR_FAILURE, rows[0].other_ns),
        (1, 40, Quality.BAD_SENSOR_FAILURE, 20),
    ]
    back = list(validity.apply(from_rows([Row(2, 60, True)])).rows())
    assert [(row.tag, row.time_ns, row.value, row.quality) for row in back if row.tag != 2] == [
        (0, 60, 1.7, 0),
        (1, 60, 2.0, 0),
    ]


def test_rules_of_the_file_reach_the_samples(tmp_path: Path) -> None:
    """From the configuration to the sink: the pressure is bad while its transmitter says so."""

    async def reads(fake: Fake, scan: Scan) -> Columns:
        second = (fake.clock() - EPOCH_NS) // 10**9
        values = [3.0 if second == 1 else 10.0, second != 3, -20.0]
        return columns(points_of(scan), fake.clock(), values)

    tags = (
        'name = "pressure", at = "0", range = [4, 20], ne43 = true, valid_when = "ok"',
        'name = "ok", at = "1"',
        'name = "level", at = "2", clamp = [0, 10]',
    )
    config = loaded(tmp_path, sender_toml(asset_toml("pump", *tags)), {"pump": scripted(reads)})
    sink = poll_for(config, 4.5)
    rows = [(name, row.value, row.quality) for _, name, row in sink.rows("pump")]
    assert [one[1:] for one in rows if one[0] == "pressure"] == [
        (10.0, 0),
        (None, Quality.BAD_SENSOR_FAILURE),
        (10.0, 0),
        (None, Quality.BAD_SENSOR_FAILURE),
        (10.0, 0),
    ]
    assert {one[1:] for one in rows if one[0] == "level"} == {(0.0, LIMITED_LOW)}
    assert sink.status["pump"]["bad"] == 2


def test_mistakes_are_named(tmp_path: Path) -> None:
    """A voucher that is not there, no range for NE 43, limits of a text."""
    tags = (
        'name = "a", at = "0", valid_when = "nobody"',
        'name = "b", at = "1", valid_when = "!a == 1"',
        'name = "c", at = "2", ne43 = true',
        'name = "d", at = "3", type = "string", clamp = [0, 1]',
        'name = "e", at = "4", clamp = [1, 0]',
    )
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, sender_toml(asset_toml("pump", *tags)), {"pump": scripted()})
    keys = {line.strip().partition(" ")[0].rstrip(":") for line in str(caught.value).splitlines()[1:]}
    stem = "asset[0].scan[0].tags"
    assert keys == {
        f"{stem}[0].valid_when",
        f"{stem}[1].valid_when",
        f"{stem}[2].ne43",
        f"{stem}[3].clamp",
        f"{stem}[4].clamp",
    }


@pytest.mark.parametrize(
    ("value", "limits", "cut", "flags"),
    [
        (9223372036854775813, (0.0, 1e30), 9223372036854775813, 0),
        (2**64 - 1, (0.0, 1e30), 2**64 - 1, 0),
        (2**63, (0.0, 100.0), 100, LIMITED_HIGH),
        (2**63 - 1, (2.0**63, 1e30), 2**63, LIMITED_LOW),
        (2**53 + 1, (0.0, 2.0**53), 2**53, LIMITED_HIGH),
        (5, (5.5, 6.5), 6, LIMITED_LOW),
        (7, (5.5, 6.5), 6, LIMITED_HIGH),
    ],
)
@pytest.mark.parametrize("told", [False, True])
def test_a_large_whole_number_is_cut_exactly_or_not_at_all(
    value: int, limits: tuple[float, float], cut: int, flags: int, told: bool
) -> None:
    """An unsigned value from 2^63 on travels as a negative number, and is none."""
    validity = Validity([Rule(numbers=range(1), clamp=limits, unsigned=not told)], 2, subscribes=False)
    if told:
        validity.typed([0])
    travels = value - 2**64 if value >= 2**63 else value
    rows = list(validity.apply(columns([1, 0], 0, [-1, travels])).rows())
    assert (int(rows[1].value or 0) % 2**64, rows[1].quality) == (cut, flags)
    assert rows[0].value == -1


@pytest.mark.parametrize(
    ("text", "value", "means"),
    [
        ("ok > 9", 2**63, True),
        ("ok > 9223372036854775813", 2**63 + 5, False),
        ("ok == 9223372036854775813", 2**63 + 5, True),
        ("ok == 9223372036854775812", 2**63 + 5, False),
        ("ok != 18446744073709551615", 2**64 - 1, False),
        ("ok < 0", 2**64 - 1, False),
        ("ok == 9007199254740993", 2**53, False),
        ("ok >= 1e19", 2**64 - 1, True),
    ],
)
@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("subscribes", [False, True])
def test_a_large_voucher_is_compared_exactly(text: str, value: int, means: bool, told: bool, subscribes: bool) -> None:
    """Whether its type was configured or comes from the device."""
    rule = Rule(numbers=range(1), gate=parse_gate(text), voucher=1, voucher_unsigned=not told)
    validity = Validity([rule], 2, subscribes=subscribes)
    if told:
        validity.typed([1])
    travels = value - 2**64 if value >= 2**63 else value
    rows = {row.tag: row.quality for row in validity.apply(columns([1, 0], 5, [travels, 7])).rows()}
    assert rows[0] == (Quality.GOOD if means else Quality.BAD_SENSOR_FAILURE)
