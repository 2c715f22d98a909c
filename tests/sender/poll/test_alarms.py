"""Alarm bits and words: each change is told once, in order, with its value's own time; a bad value ends no alarm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polling import EPOCH_NS, Fake, asset_toml, loaded, points_of, poll_for, scripted, sender_toml

from collectors.base import Event, Scan
from protocol.content.sample import Columns, Quality, Row, Value, columns, from_rows
from protocol.errors import ConfigError
from sender.poll.alarms import Alarm, AlarmEntry, Alarms

LAW = settings(max_examples=80, deadline=None, derandomize=True, database=None)

BITS = tuple(
    Alarm(number=0, tag="word", entry=AlarmEntry(bit=bit, severity=100 + bit, code=f"B{bit}", text=f"bit {bit}"))
    for bit in range(4)
)


def pairs(events: list[Event]) -> list[tuple[str, str]]:
    """Code and state of each."""
    return [(event.code, event.state) for event in events]


@LAW
@given(st.lists(st.one_of(st.integers(0, 15), st.none()), max_size=30))
def test_events_replayed_give_the_word_back(words: list[int | None]) -> None:
    """Whoever only hears the events knows each bit, as the last good value had it; None is a bad value."""
    alarms, known, held = Alarms(BITS), 0, 0
    for time_ns, word in enumerate(words):
        quality = Quality.BAD_TIMEOUT if word is None else 0
        events = alarms.take(columns([0], time_ns, [word], quality=quality))
        held = held if word is None else word
        for event in events:
            bit = 1 << int(event.code[1:])
            assert bool(known & bit) is (event.state == "cleared"), "told twice"
            known ^= bit
            assert event.time_ns == time_ns
        assert known == held


def test_a_first_reading_tells_only_what_is_active() -> None:
    """Nobody wants a line for each alarm that is not there."""
    assert pairs(Alarms(BITS).take(columns([0], 0, [0b0101]))) == [("B0", "active"), ("B2", "active")]
    assert pairs(Alarms(BITS).take(columns([0], 0, [0]))) == []


def test_a_changed_configuration_goes_on_with_what_was_told() -> None:
    """What is active is not told twice, what ended meanwhile is, and what is looked for no more is over."""
    before = Alarms(BITS)
    before.take(columns([0], 0, [0b0111]))
    after = Alarms([*(replace(one, number=5) for one in BITS[:2]), replace(BITS[3], number=5)])
    gone = after.follow(before, 9)
    assert [(event.code, event.state, event.time_ns) for event in gone] == [("B2", "cleared", 9)]
    assert pairs(after.take(columns([5], 10, [0b1001]))) == [("B1", "cleared"), ("B3", "active")]


@pytest.mark.parametrize(
    ("entry", "values", "expected"),
    [
        ({}, [False, True, True, False], ["active", "cleared"]),
        ({"when": False}, [True, False, True], ["active", "cleared"]),
        ({"bit": 2, "when": False}, [4, 0, 4], ["active", "cleared"]),
        ({"value": 7}, [0, 7, 7, 8, 7], ["active", "cleared", "active"]),
        ({"bit": 63}, [0, -1, 0], ["active", "cleared"]),
        ({"bit": 0}, ["text", 1.5, None], []),
    ],
)
def test_an_alarm_is_a_bit_a_value_or_a_bool(entry: dict[str, Any], values: list[Value], expected: list[str]) -> None:
    """Either state of a bit may be the alarm: what is wired to fail safe is 0 when it trips."""
    alarms = Alarms([Alarm(number=3, tag="t", entry=AlarmEntry(text="x", **entry))])
    states = [event.state for at, value in enumerate(values) for event in alarms.take(columns([3], at, [value]))]
    assert states == expected


def test_events_of_a_pass_stand_in_the_order_of_their_times() -> None:
    """Two blocks of a pass were read one after the other."""
    alarms = Alarms([*BITS, Alarm(number=1, tag="other", entry=AlarmEntry(code="O", text="other"))])
    rows = from_rows([Row(0, 200, 1), Row(1, 100, True), Row(0, 300, 0)])
    assert [(event.code, event.state, event.time_ns) for event in alarms.take(rows)] == [
        ("O", "active", 100),
        ("B0", "active", 200),
        ("B0", "cleared", 300),
    ]


def test_an_uncertain_value_still_speaks() -> None:
    """A busy device's last value is what is known."""
    alarms = Alarms(BITS)
    assert pairs(alarms.take(columns([0], 0, [1], quality=Quality.UNCERTAIN_LAST_USABLE))) == [("B0", "active")]


ALARM = """
[[asset.alarm]]
tag = "word"
list = [
  { bit = 0, severity = 900, code = "T-01", text = "overspeed trip" },
  { bit = 1, code = "T-02", text = "low oil pressure" },
]
[[asset.alarm]]
tag = "closed[1]"
list = [{ when = false, text = "guard 1 open" }]
"""


def test_alarms_of_a_polled_device_become_events_in_order(tmp_path: Path) -> None:
    """Numbered from 1 by asset, after the samples of the same read; counted in the status."""

    async def reads(fake: Fake, scan: Scan) -> Columns:
        second = (fake.clock() - EPOCH_NS) // 10**9
        words: list[Value] = [3 if 2 <= second < 4 else 0, True, second < 3]
        return columns(points_of(scan), fake.clock(), words)

    kind = scripted(reads)
    text = asset_toml("pump", 'name = "word", at = "0", type = "uint16"', 'name = "closed", at = "1", count = 2')
    sink = poll_for(loaded(tmp_path, sender_toml(text + ALARM), {"pump": kind}), 6.5)
    told = [(round(at), event.code or event.text, event.state, event.severity) for at, _, event in sink.events]
    assert told == [
        (2, "T-01", "active", 900),
        (2, "T-02", "active", 500),
        (3, "guard 1 open", "active", 500),
        (4, "T-01", "cleared", 900),
        (4, "T-02", "cleared", 500),
    ]
    assert {event.source for _, _, event in sink.events} == {"word", "closed[1]"}
    assert sink.status["pump"]["events"] == 5


def test_mistakes_of_the_table_are_named(tmp_path: Path) -> None:
    """A tag that is not there, an alarm in a float, two ways at once, a missing text."""
    tags = ('name = "word", at = "0", type = "uint16"', 'name = "level", at = "1", type = "float32"')
    more = """
[[asset.alarm]]
tag = "wrod"
list = [{ bit = 0, text = "a" }]
[[asset.alarm]]
tag = "level"
list = [{ bit = 0, text = "a" }]
[[asset.alarm]]
tag = "word"
list = [
  { bit = 0, value = 1, text = "a" }, { text = "b" }, { bit = 64, text = "c" },
  { bit = 1 }, { value = 1, when = false, text = "d" },
]
"""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, sender_toml(asset_toml("pump", *tags) + more), {"pump": scripted()})
    keys = [line.strip().partition(" ")[0].rstrip(":") for line in str(caught.value).splitlines()[1:]]
    assert keys == [
        "asset[0].alarm[0].tag",
        "asset[0].alarm[1].tag",
        "asset[0].alarm[2].list[0].value",
        "asset[0].alarm[2].list[1].bit",
        "asset[0].alarm[2].list[2].bit",
        "asset[0].alarm[2].list[3].text",
        "asset[0].alarm[2].list[4].when",
    ]
