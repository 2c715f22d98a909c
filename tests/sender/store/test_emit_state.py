"""emit.json: one class writes and reads it, and believes nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import Segment
from protocol.store.resync import Place
from sender.store.emit_state import EmitState
from sender.store.retain import Fate, Fates
from sender.store.spans import Mark

BEFORE = Path(__file__).parent / "emit_written_before.json"
"""Written by the emitter of 2026-11, which had not this class: in the middle of a backlog and of a replay."""
STREAM = bytes.fromhex("f5b165224a58b791")


def test_a_file_of_an_earlier_version_says_what_it_said_then() -> None:
    """Every key of it is read, and written again it is the same file, check and all."""
    state = EmitState.from_json(statefile.unpack(BEFORE.read_bytes()))
    assert state.boot == 1800000006020000
    assert state.new == Place(1, 8415)
    digest = bytes.fromhex("a6b984225cb117e635b971b8a46bbdf5ba414c75c3368a26b9197837e881a942")
    assert state.mark == Mark(Place(1, 8203), digest)
    assert state.backlog == [(Place(1, 3386), Place(1, 7366))]
    assert len(state.repeats) == 12
    assert state.finished == {STREAM: Ranges([(0, 11), (26, 31)])}
    assert state.errand == {"name": "00000000000000000001-78", "position": [1, 7], "sent": 9}
    assert statefile.pack(state.to_json()) == BEFORE.read_bytes()


def test_retention_reads_the_same_file(tmp_path: Path) -> None:
    """What had no first sending goes last, as the file of an earlier version says it."""
    (tmp_path / "emit.json").write_bytes(BEFORE.read_bytes())
    fates = Fates.read(tmp_path)
    assert fates.fate(Segment(1, size=7000)) is Fate.UNSENT, "backlog lies in it"
    assert fates.fate(Segment(2, size=100)) is Fate.UNSENT, "behind all that was sent"


@pytest.mark.parametrize(
    "state",
    [EmitState(), EmitState(boot=7), EmitState(boot=7, new=Place(3, 9), errand={"name": "x"})],
    ids=["empty", "boot alone", "without a mark"],
)
def test_what_was_written_is_read_back(state: EmitState) -> None:
    """Also where hardly anything is known yet."""
    assert EmitState.from_json(state.to_json()) == state
