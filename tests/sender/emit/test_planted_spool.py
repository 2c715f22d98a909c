"""The spool is another user's: whatever stands under the name of one of its files, emit and replay hang on none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from emitting import STREAM, Emitting

from protocol.block import KEPT
from protocol.ranges import Ranges
from protocol.store.layout import kept_path, leaf_path, segment_path
from protocol.store.resync import scan_kinds
from sender.commands import replay_plan


def _link(path: Path) -> None:
    (path.parent / "other").write_bytes(path.read_bytes() if path.exists() else b"")
    path.unlink(missing_ok=True)
    path.symlink_to(path.parent / "other")


def _fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


PLANTED: list[Callable[[Path], None]] = [_link, _fifo, _folder]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", PLANTED, ids=["link", "FIFO", "folder"])
@pytest.mark.parametrize("which", ["segment", "kept", "leaf"])
def test_nothing_planted_in_the_spool_is_waited_for(tmp_path: Path, plant: Callable[[Path], None], which: str) -> None:
    """A segment that is none is as one that retention took; what is new leaves, and `replay` says what is gone."""
    line = Emitting(tmp_path, segment_bytes=2000)
    for _ in range(8):
        line.write(2)
    path = {
        "segment": segment_path(line.spool, 2),
        "kept": kept_path(line.spool, STREAM),
        "leaf": leaf_path(line.spool, STREAM),
    }[which]
    plant(path)
    line.start()
    line.run(12)
    left = {number for _, number in line.firsts()}
    if which != "segment":
        assert left == set(range(16))
    else:
        assert len(left) >= 10
    assert list(scan_kinds(kept_path(line.spool, STREAM), KEPT)) == []
    plan = replay_plan.StreamPlan(stream=STREAM, sealed=16, asked=Ranges([(0, 16)]))
    replay_plan._look(line.spool, plan, line.geometry)
    assert {number for span in plan.here for number in range(*span)} == left
