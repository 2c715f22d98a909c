"""The spool at its limits: what goes first, and that live data flow on a disk that is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pipe import Pipe

from protocol.content.sample import Row, from_rows
from protocol.store import statefile
from protocol.store.index import Segment
from protocol.store.layout import kept_path
from protocol.store.resync import Place, scan
from receiver.outputs.base import StateBody
from sender.store import spool
from sender.store.retain import Fate, Fates
from sender.store.spool import UNSENT_WAIT

MIB = 1 << 20


class Disk:
    """Room for so many bytes in one folder: writes beyond it fail as on a full disk."""

    def __init__(self, folder: Path, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.room = folder, room
        pwrite, write = os.pwrite, statefile.write

        def limited(file: int, data: Any, at: int) -> int:
            if _within(file, folder):
                self._take(max(0, at + len(data) - os.fstat(file).st_size))
            return pwrite(file, data, at)

        def replaced(path: Path, data: bytes, mode: int = 0o640) -> None:
            self._take(len(data))
            write(path, data, mode)

        monkeypatch.setattr(os, "pwrite", limited)
        monkeypatch.setattr(statefile, "write", replaced)

    @property
    def used(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def _take(self, more: int) -> None:
        if more and self.used + more > self.room:
            raise OSError(errno.ENOSPC, "no room")


def _within(file: int, folder: Path) -> bool:
    return os.readlink(f"/proc/self/fd/{file}").startswith(f"{folder}/")


def _segments(*sizes: int) -> list[Segment]:
    return [Segment(at + 1, size=size) for at, size in enumerate(sizes)]


def _order(told: dict[str, Any], segments: list[Segment], worst: Fate = Fate.UNSENT) -> list[tuple[int, Fate]]:
    out, rest, fates = [], list(segments), Fates(told)
    while (found := fates.first(rest, worst)) is not None:
        rest.remove(found)
        out.append((found.number, fates.fate(found)))
    return out


def test_what_was_sent_and_repeated_goes_first_and_what_never_left_goes_last() -> None:
    """Oldest first within each; a segment with one unsent block in it is unsent."""
    told = {
        "finished": {},
        "new": [5, 100],
        "backlog": [[2, 50, 2, 60]],
        "repeats": [[1, 3.0, 3, 0, 3, 10, 4], [0, 1.0, 5, 0, 5, 100, 9]],
    }
    repeated, sent, unsent = Fate.REPEATED, Fate.SENT, Fate.UNSENT
    segments = _segments(100, 100, 100, 100, 100, 100)
    whole = [(1, repeated), (4, repeated), (3, sent), (5, sent), (2, unsent), (6, unsent)]
    assert _order(told, segments) == whole
    assert _order(told, segments, Fate.SENT) == whole[:4]
    assert _order({}, segments) == [(number, unsent) for number in range(1, 7)]
    assert _order({"new": "nonsense"}, segments) == [(number, unsent) for number in range(1, 7)]
    assert _order({"new": list(Place(7, 0)), "backlog": [], "repeats": [], "finished": {}}, segments)[-1] == (
        6,
        repeated,
    )


def _busy(pipe: Pipe, seconds: float, rows: int = 1500, *, emit: bool = True) -> None:
    """Values that no codec makes small: about 10 bytes a row."""
    for _ in range(round(seconds * 5)):
        pipe.random.random()
        fresh = [Row(at % 3, pipe.high_wall + at, pipe.random.random() * 1e9) for at in range(rows)]
        pipe.packer.samples("pump", from_rows(fresh), rows)
        pipe.sent[pipe.packer.stream] += fresh
        pipe.run(0.2, emit=emit)


def _all_came(pipe: Pipe) -> bool:
    stream = pipe.packer.stream
    return sorted(row.time_ns for row in pipe.received(stream)) == sorted(row.time_ns for row in pipe.sent[stream])


def _notes(pipe: Pipe) -> list[str]:
    return [one.body.text for one in pipe.opened if isinstance(one.body, StateBody) and one.body.what == "note"]


def test_a_full_disk_keeps_live_data_flowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk holds a quarter of what is read: every sample arrives, what was sent and repeated made room for it."""
    pipe = Pipe(tmp_path, repeat=(0.5, 1.0), spool_bytes=16 * MIB)
    disk = Disk(pipe.high / "spool", MIB + MIB // 2, monkeypatch)
    _busy(pipe, 12, 4000)
    pipe.finish()
    pipe.run(2)
    assert _all_came(pipe)
    assert disk.used <= disk.room
    assert pipe.spool.dropped[Fate.REPEATED] > 30
    assert pipe.spool.dropped[Fate.UNSENT] == 0
    counts = pipe.intake.gaps.counts()
    assert counts.missing == counts.expired == 0
    assert any("room again" in note for note in _notes(pipe)), "and it says so"


def test_on_a_full_disk_what_never_left_goes_last_and_is_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emitter is down and the disk full: the newest stays, and the receiver is told which numbers never come."""
    pipe = Pipe(tmp_path, repeat=(0.5, 1.0), spool_bytes=16 * MIB)
    _busy(pipe, 3)
    pipe.run(3)
    pipe.save()
    pipe.kill_emit()
    pipe.emitter._first.reader.close()
    Disk(pipe.high / "spool", MIB + MIB // 2, monkeypatch)
    _busy(pipe, 22, 4000, emit=False)
    lost = pipe.spool.dropped[Fate.UNSENT]
    assert lost > 0
    newest = [row.time_ns for row in pipe.sent[pipe.packer.stream][-4000:]]
    pipe.start_emit()
    pipe.finish()
    pipe.run(60)
    received = {row.time_ns for row in pipe.received(pipe.packer.stream)}
    assert set(newest) <= received
    counts = pipe.intake.gaps.counts()
    assert counts.expired == lost, "exactly what was dropped unsent can never come"
    assert counts.missing == 0
    assert any(f"{lost} blocks unsent" in note for note in _notes(pipe))


def test_without_any_room_memory_is_bounded_and_what_is_not_kept_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be dropped: blocks wait up to the bound, then samples are refused; all that waited arrives later."""
    monkeypatch.setattr(spool, "WAITING_MOST", MIB // 4)
    pipe = Pipe(tmp_path)
    pipe.run(1)
    disk = Disk(pipe.high / "spool", 0, monkeypatch)
    _busy(pipe, 10)
    waiting = pipe.spool.store.waiting_bytes
    assert MIB // 4 <= waiting < MIB // 2
    assert pipe.spool.status()["full"] is True
    refused = pipe.packer.refused
    assert 0 < refused < 10 * 5 * 1500
    assert len(pipe.received(pipe.packer.stream)) == 0
    disk.room = 100 * MIB
    pipe.run(2)
    pipe.finish()
    pipe.run(2)
    read, sent = pipe.packer.counts()["pump"]
    assert read - sent == refused
    assert len(pipe.received(pipe.packer.stream)) == sent
    assert any("samples are not kept" in note for note in _notes(pipe))
    assert pipe.spool.status()["full"] is False


def test_a_disk_that_is_full_for_a_moment_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than UNSENT_WAIT without an emitter: nothing that never left is dropped."""
    pipe = Pipe(tmp_path, spool_bytes=16 * MIB)
    _busy(pipe, 5, 4000, emit=False)
    disk = Disk(pipe.high / "spool", 0, monkeypatch)
    _busy(pipe, UNSENT_WAIT - 1, emit=False)
    disk.room = 100 * MIB
    pipe.finish()
    pipe.run(60)
    assert pipe.spool.dropped == dict.fromkeys(Fate, 0)
    assert _all_came(pipe)


@pytest.mark.parametrize("step", range(40))
def test_a_full_disk_at_any_write_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The write number `step` fails, and the three after it; then all goes on and all arrives once."""
    pipe = Pipe(tmp_path)
    pipe.run(0.5)
    real: Callable[..., int] = os.pwrite
    count = [0]

    def failing(file: int, data: Any, at: int) -> int:
        count[0] += _within(file, pipe.high)
        if _within(file, pipe.high) and step <= count[0] < step + 4:
            raise OSError(errno.ENOSPC, "no room")
        return real(file, data, at)

    monkeypatch.setattr(os, "pwrite", failing)
    for _ in range(8):
        pipe.sample()
        pipe.spool.tick(pipe.now)
        pipe.now += 0.1
        pipe.packer.tick()
        pipe.packer.catalog({}, [])
    monkeypatch.setattr(os, "pwrite", real)
    pipe.finish()
    pipe.run(3)
    assert _all_came(pipe)
    kept = [one.number for one in scan(kept_path(pipe.high / "spool", pipe.packer.stream))]
    assert kept == sorted(set(kept)), "each kept block once"
