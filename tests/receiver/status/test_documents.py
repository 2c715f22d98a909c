"""The status files as typed documents: written and read by the same fields, whatever a file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.process.document import MOST, from_json, to_json
from protocol.process.status_header import StatusHeader
from protocol.store.resync import START, Place
from receiver.commands.gap_list import lines as gap_lines
from receiver.commands.link_test import lines as step_lines
from receiver.gap import Gap
from receiver.portal.link import link_health
from receiver.portal.reports import Report
from receiver.status.catch import CatchStatus
from receiver.status.publish import OutputCounters, OutputStatus, PublishStatus

FILES = Path(__file__).parent / "files"
"""Status files as the processes write them today; a later build reads them too."""
HEADER = {"process", "time_ns", "pid", "capabilities"}


def _file(name: str) -> dict[str, Any]:
    held: dict[str, Any] = json.loads((FILES / f"status-{name}.json").read_text())
    return held


@pytest.mark.parametrize(("name", "kind"), [("catch", CatchStatus), ("publish", PublishStatus)])
def test_a_status_file_of_today_is_read_and_written_again_without_a_change(name: str, kind: type[Any]) -> None:
    """Key by key and value by value; what every status has stands beside it."""
    told = _file(name)
    assert to_json(from_json(kind, told)) == {key: held for key, held in told.items() if key not in HEADER}


def test_an_outputs_own_counters_stand_beside_what_every_output_says() -> None:
    """They are passed over, and what its process says is the same again."""
    told = _file("historian")
    said = to_json(from_json(OutputStatus, told))
    assert said == {key: told[key] for key in said}
    assert from_json(OutputStatus, told).journal_place == Place(3, 4096)
    counters = from_json(OutputCounters, told)
    assert (counters.latency_ms.p99, counters.trouble) == (311.0, "database or disk is full: waiting for space")
    assert (counters.taken, counters.acknowledged, counters.held, counters.aside) == (800, 800, 0, 0)


def test_gaps_are_half_open_from_catchs_file_to_the_page() -> None:
    """`to` is one past the last; only words for people name the last one."""
    catch = from_json(CatchStatus, _file("catch"))
    assert [(gap.first, gap.after) for gap in catch.gaps] == [(2, 4), (6, 7), (8, 9), (1, 2)]
    assert link_health(Report("catch", True, catch)).gaps == catch.gaps
    said = list(gap_lines(catch, str))
    assert said[0].startswith("stream 9e8ceba6a07d1dec blocks 2 to 3: missing since 17000000002")
    assert said[1].startswith("stream 9e8ceba6a07d1dec block 6: ")


WRONG: list[Any] = [None, True, 7, -7, 0.5, 10**400, float("nan"), 1e308, "x", "\ud800", [], [[]], {}, {"a": []}, [{}]]


def _spoiled(told: Any, wrong: Any) -> list[Any]:
    """The same with one value in it another, for each value in it."""
    out = [wrong]
    if isinstance(told, dict):
        out += [{**told, key: one} for key, held in told.items() for one in _spoiled(held, wrong)]
    if isinstance(told, list):
        out += [[*told[:at], one, *told[at + 1 :]] for at, held in enumerate(told) for one in _spoiled(held, wrong)]
    return out


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: ascii(wrong)[:12])
def test_a_value_of_another_type_costs_only_itself(wrong: Any) -> None:
    """Whichever it is: every reader goes on, with the field's default or without the item."""
    for told in _spoiled(_file("catch"), wrong):
        catch = from_json(CatchStatus, told)
        from_json(StatusHeader, told)
        assert list(gap_lines(catch, str))
        assert list(step_lines(catch.linktest))
        link_health(Report("catch", True, catch))
        json.dumps(to_json(catch), allow_nan=False)
    for told in _spoiled(_file("historian"), wrong):
        from_json(OutputStatus, told).journal_place.offset.bit_length()
        from_json(OutputCounters, told)
    for told in _spoiled(_file("publish"), wrong):
        assert "x" not in from_json(PublishStatus, told).children or isinstance(told["children"], dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_a_file_of_anything_is_a_document_that_says_nothing(told: Any) -> None:
    """Also no map at all, and keys that no build ever had."""
    assert from_json(CatchStatus, told) == CatchStatus()
    assert from_json(PublishStatus, told) == PublishStatus()
    assert from_json(OutputStatus, told).journal_place == START


def test_numbers_that_no_counter_and_no_time_reaches_are_none() -> None:
    """Sums of a few of them, and dates made of them, stay sound."""
    row = {"stream": "00ff", "from": 1, "to": 2, "since_ns": 3, "heals_ns": None}
    assert from_json(Gap, row) == Gap(stream=b"\0\xff", first=1, after=2, since_ns=3, heals_ns=None)
    beyond = [{**row, key: value} for key in ("from", "to", "since_ns") for value in (MOST + 1, -MOST - 1, -(2**63))]
    assert from_json(CatchStatus, {"gaps": beyond}).gaps == ()
