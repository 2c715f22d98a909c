"""emit.json has one holder, start counters rise, and no disk makes the emitter lose what it noted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from protocol.errors import HeldError, StoreError
from protocol.store import statefile
from protocol.store.resync import Place
from sender.emit.state_keeper import StateKeeper
from sender.store.emit_state import EmitState


def test_two_emitters_never_hold_one_outlet(tmp_path: Path) -> None:
    """The second one is told; when the first has gone the next one has it."""
    first = StateKeeper(tmp_path)
    with pytest.raises(HeldError, match="another emitter"):
        StateKeeper(tmp_path)
    first.close()
    StateKeeper(tmp_path).close()


@pytest.mark.parametrize("walls", [(5_000, 9_000), (9_000, 5_000), (0, 0), (10**18, 1)])
def test_start_counters_rise_whatever_the_clock_does(tmp_path: Path, walls: tuple[int, int]) -> None:
    """Also over a start that ended before it noted anything: the counter is on the disk before it is used."""
    boots = []
    for wall_ns in (*walls, *walls):
        keeper = StateKeeper(tmp_path, wall_ns=wall_ns)
        boots.append(keeper.next_boot(wall_ns))
        keeper.close()
    assert boots == sorted(set(boots))


def test_a_start_keeps_what_the_last_one_noted(tmp_path: Path) -> None:
    """The new counter is written beside it, so that a crash before the first note costs nothing."""
    keeper = StateKeeper(tmp_path)
    keeper.save(EmitState(boot=4, new=Place(2, 10), errand={"name": "x"}))
    keeper.close()
    second = StateKeeper(tmp_path)
    boot = second.next_boot(0)
    second.close()
    third = StateKeeper(tmp_path)
    assert third.last == EmitState(boot=boot, new=Place(2, 10), errand={"name": "x"})
    third.close()


def test_who_knows_less_than_the_file_leaves_it(tmp_path: Path) -> None:
    """As an emitter that waits for the end of the spool."""
    keeper = StateKeeper(tmp_path)
    keeper.save(EmitState(boot=4, new=Place(2, 10)))
    before = (tmp_path / "emit.json").read_bytes()
    keeper.save(None)
    assert (tmp_path / "emit.json").read_bytes() == before
    keeper.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A restart then sends more than it must; any other error of the disk stops the emitter."""
    keeper = StateKeeper(tmp_path)
    keeper.save(EmitState(boot=1, new=Place(1, 1)))
    before = (tmp_path / "emit.json").read_bytes()

    def failing(path: Path, data: bytes) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(statefile, "write", failing)
    keeper.save(EmitState(boot=1, new=Place(1, 2)))
    assert (tmp_path / "emit.json").read_bytes() == before
    code = errno.EIO
    with pytest.raises(StoreError):
        keeper.save(EmitState(boot=1, new=Place(1, 2)))
    keeper.close()


def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path) -> None:
    """Nothing of it is believed but that it was there."""
    (tmp_path / "emit.json").write_text('{"boot": 3, "new": "here"}')
    keeper = StateKeeper(tmp_path, wall_ns=10**18)
    assert keeper.last == EmitState()
    assert any("emit.json" in line for line in keeper.troubles)
    assert list(tmp_path.glob("emit.json.damaged-*"))
    keeper.close()
