"""Changes of the sender's configuration in the history: newest first, each once, for who may see everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from history_blocks import ALL, BOOT, T0, block, opened, stream

from protocol.content.applied import BACK, FOUND, WHAT, AppliedChange
from receiver.outputs.base import OpenedBlock, StateBody
from receiver.outputs.historian.output import CHANGES_TOLD, HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope

FIRST = AppliedChange(
    kind="apply", number=2, place=2, over=1, time_ns=T0, by="anna", why="new", lines=("pump changed",)
)
BY_HAND = AppliedChange(kind=FOUND, over=2, time_ns=T0 + 5, after="ab" * 8)
AGAIN = replace(FIRST, kind=BACK, number=4, by="berta")


def said(number: int, change: AppliedChange | str, *, boot: int = BOOT) -> OpenedBlock:
    """The sender says a change, in its stream of that start."""
    text = change if isinstance(change, str) else change.text()
    of = stream(key=f"stream-{boot - BOOT}".encode()[:8], boot=boot)
    return block(of, number, StateBody(asset="", time_ns=T0 + number, what=WHAT, text=text), received_ns=T0 + number)


@pytest.fixture
def output(tmp_path: Path) -> HistorianOutput:
    """An application, said again at each of three starts, and one by hand in between."""
    output = opened(tmp_path)
    output.take([said(3, FIRST), said(9, BY_HAND), said(11, AGAIN)], b"1")
    output.take([said(3, AGAIN, boot=BOOT + 1), said(3, AGAIN, boot=BOOT + 2)], b"2")
    return output


def test_each_change_is_told_once_and_newest_first(output: HistorianOutput, tmp_path: Path) -> None:
    """However often a start has said it again; and when it was heard of first."""
    changes = Door(tmp_path, ALL).changes(10)
    assert [one.change for one in changes] == [AGAIN, BY_HAND, FIRST]
    assert [one.received_ns - T0 for one in changes] == [3, 9, 3]
    assert [one.change for one in Door(tmp_path, ALL).changes(1)] == [AGAIN]


def test_only_who_may_see_everything_sees_them(output: HistorianOutput, tmp_path: Path) -> None:
    """A change may name any asset."""
    assert Door(tmp_path, Scope(vendors=frozenset({"Acme"}))).changes(10) == []
    assert Door(tmp_path / "none", ALL).changes(10) == []


def test_the_status_tells_the_newest_also_after_a_start(output: HistorianOutput, tmp_path: Path) -> None:
    """With a warning while the sender runs what nobody applied, and applications are in use."""
    told = output.status()
    assert [one["number"] for one in told["changes"]] == [4, 0, 2]
    assert told["warnings"] == []
    output.take([said(20, BY_HAND, boot=BOOT + 2)], b"3")
    warnings = output.status()["warnings"]
    assert warnings == ["the sender's configuration was changed without apply, after application 2"]
    output.take([said(21 + at, replace(FIRST, number=5 + at), boot=BOOT + 2) for at in range(9)], b"4")
    output.close()
    output = opened(tmp_path)
    assert [one["number"] for one in output.status()["changes"]] == [13, 12, 11, 10, 9][:CHANGES_TOLD]
    assert output.status()["warnings"] == []
    output.close()


@pytest.mark.parametrize("text", ["", "x", "{", "[" * 9000, '{"kind": "\\ud800", "why": "\\u202e"}', '{"kind": 1}'])
def test_a_text_that_is_no_change_is_kept_and_shown_as_it_came(
    output: HistorianOutput, tmp_path: Path, text: str
) -> None:
    """A sender of a later version, or one that was taken over, stops nothing."""
    output.take([said(30, text, boot=BOOT + 2)], b"5")
    assert len(Door(tmp_path, ALL).changes(10)) == 4
    assert len(output.status()["changes"]) == 4
