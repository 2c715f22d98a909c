"""catch's file holds figures; its readers make the warnings and codes of them, whatever the file holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocol import gapread
from receiver.status.wording import CODES_TOLD, complete

STREAM = "8a1f44c07be02d91"
GAP = {"stream": STREAM, "from": 812, "to": 815, "since_ns": 1, "heals_ns": None, "damaged": False}
TOLD: dict[str, Any] = {
    "warnings": ["the disk is full"],
    "link": {"session": "0000002a", "confirmed": False, "beat_age_s": 0.5},
    "blocks": {"damaged": 1, "lost": 2},
    "gaps": [GAP, {**GAP, "from": 900, "to": 901, "heals_ns": 5}],
    "watch": {
        "rates": {"magic": 20.0, "tag": 9.0, "kernel_drops": 3.0, "again": 0.0},
        "beat": {"session": 42, "apart_s": -7200.0},
        "refused": {"session": 7, "age_s": 1.0},
        "waiting": {"session": 8, "age_s": 9.0},
        "taken_bytes": 10**6,
        "taken_s": 100.0,
        "gaps": 5,
    },
    "sender": {"spool": {"keep_s": 3600.0, "most_bytes": 10**7}},
}
WRONG: list[Any] = [None, True, 7, -7, 0.5, 10**400, float("nan"), "x", "\ud800", [], [[]], {}, {"a": []}, [{}]]


def test_figures_become_lines_behind_those_that_catch_wrote() -> None:
    """Each kind once, with its figure; the figures themselves are not shown."""
    whole = complete(TOLD)
    assert whole.keys() == (TOLD.keys() - {"watch"}) | {"codes", "alarms", "concerns"}
    heads = [
        "the disk is full",
        "the kernel drops at least 3 frames",
        "session 00000007 is refused",
        "session 0000002a",
    ]
    heads += [
        "20 a second are refused",
        "1 block journaled here",
        "2 blocks can never come",
        "5 gaps; only the oldest 2",
    ]
    assert len(whole["warnings"]) == len(heads), whole["warnings"]
    for head, line in zip(heads, whole["warnings"], strict=True):
        assert line.startswith(head), line
    assert "clock is -2 h from ours" in whole["warnings"][3]
    assert complete(whole) == whole


def test_codes_are_made_of_the_gaps_that_the_file_lists() -> None:
    """Those that no repeat heals, and never more than a few; one that no stream can have gets none."""
    (code,) = complete(TOLD)["codes"]
    assert (code["stream"], code["blocks"]) == (STREAM, 3)
    assert gapread.decode(code["code"]) == (bytes.fromhex(STREAM)[:3], [(812, 815)])
    no_gaps = [{**GAP, "stream": "00"}, {**GAP, "from": -4}, {**GAP, "to": 812}, {**GAP, "from": 2**70}]
    assert complete({**TOLD, "gaps": no_gaps})["codes"] == []
    many = [{**GAP, "stream": f"{at:016x}"} for at in range(2 * CODES_TOLD)]
    assert len(complete({**TOLD, "gaps": many})["codes"]) == CODES_TOLD


def test_a_gap_tells_until_when_the_sender_keeps_its_blocks() -> None:
    """By age or by size, whichever ends sooner; of damaged ones, and where the sender does not say, nothing is told."""
    assert [gap["lost_ns"] for gap in complete(TOLD)["gaps"]] == [1 + 1000 * 10**9] * 2
    assert complete({**TOLD, "gaps": [{**GAP, "damaged": True}]})["gaps"][0]["lost_ns"] is None
    assert complete({**TOLD, "sender": {}})["gaps"][0]["lost_ns"] is None


def test_a_file_of_an_earlier_build_keeps_its_own_words() -> None:
    """It was written with warnings and codes; so is what is no map at all."""
    earlier = {"warnings": ["as it was"], "codes": [{"code": "CV1-AAAA", "blocks": 5}], "gaps": [GAP]}
    assert complete(earlier) == earlier
    no_maps: list[Any] = [None, 5, []]
    assert [complete(told) for told in no_maps] == no_maps


def _spoiled(told: Any, wrong: Any) -> list[Any]:
    """The same with one value in it another, for each value in it."""
    out = [wrong]
    if isinstance(told, dict):
        out += [{**told, key: one} for key, held in told.items() for one in _spoiled(held, wrong)]
    if isinstance(told, list):
        out += [[*told[:at], one, *told[at + 1 :]] for at, held in enumerate(told) for one in _spoiled(held, wrong)]
    return out


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: ascii(wrong)[:12])
def test_whatever_the_file_holds_it_is_worded_or_says_nothing(wrong: Any) -> None:
    """No value of it, of whatever type, keeps a reader from the rest."""
    for told in _spoiled(TOLD, wrong):
        whole = complete(told)
        if isinstance(whole, dict) and "watch" in told:
            json.dumps([whole["warnings"], whole["codes"]], allow_nan=False)
            assert all(isinstance(line, str) for line in whole["warnings"])
