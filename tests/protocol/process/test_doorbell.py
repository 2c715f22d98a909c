"""The doorbell: rings through a FIFO, and neither spins nor hangs on what else may stand under its name."""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.process.doorbell import Doorbell, Doorbells

WALL_NS = 1_790_000_000 * 10**9


class Waits:
    """`select.select` that never waits: what it was asked, and what rang then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float] = []
        self.rang: list[bool] = []
        self._select = select.select
        monkeypatch.setattr(select, "select", self._now)

    def _now(self, bells: list[int], out: list[int], err: list[int], seconds: float) -> tuple[list[int], ...]:
        found = self._select(bells, out, err, 0)
        self.seconds.append(seconds)
        self.rang.append(bool(found[0]))
        return found


def _link(path: Path) -> None:
    (path.parent / "victim").write_text("root's")
    path.symlink_to(path.parent / "victim")


def _link_to_fifo(path: Path) -> None:
    os.mkfifo(path.parent / "another")
    path.symlink_to(path.parent / "another")


def _full_folder(path: Path) -> None:
    path.mkdir()
    (path / "held").write_text("x")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


PLANTED: dict[str, Callable[[Path], object]] = {
    "plain file": lambda path: path.write_text("always readable"),
    "empty file": lambda path: path.write_text(""),
    "folder": Path.mkdir,
    "folder with something": _full_folder,
    "link to a file": _link,
    "link to a FIFO": _link_to_fifo,
    "link to nowhere": lambda path: path.symlink_to(path.parent / "nowhere"),
    "socket": _socket,
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_no_fifo_is_set_aside_and_the_doorbell_made_anew(
    planted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands under its name: it is kept beside it, and reader and writer meet on a FIFO all the same."""
    path = tmp_path / "doorbell"
    PLANTED[planted](path)
    before = path.lstat().st_mode
    reader, writer = Doorbell(path, wall_ns=WALL_NS), Doorbell(path, wall_ns=WALL_NS)
    waits = Waits(monkeypatch)
    reader.wait(0.02)
    writer.ring()
    reader.wait(0.02)
    reader.wait(0.02)
    assert waits.rang == [False, True, False]
    assert stat.S_ISFIFO(path.lstat().st_mode)
    assert next(tmp_path.glob("doorbell.damaged-*")).lstat().st_mode == before
    for victim in tmp_path.glob("victim"):
        assert victim.read_text() == "root's"


def test_a_doorbell_that_cannot_be_made_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk takes no FIFO the reader waits by the clock, each time as long as it was told, and never spins."""
    (tmp_path / "file").write_text("")
    bell = Doorbell(tmp_path / "file" / "doorbell", wall_ns=WALL_NS)
    waits = Waits(monkeypatch)
    bell.ring()
    for seconds in (0.02, 0.005, -1.0):
        bell.wait(seconds)
    bell.close()
    assert waits.seconds == [0.02, 0.005, 0.0]
    assert waits.rang == [False] * 3


def test_a_doorbell_without_a_reader_stops_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It rings into a FIFO that nobody empties as often as it likes; who comes then is rung, until it has read all."""
    writer = Doorbell(tmp_path / "doorbell", wall_ns=WALL_NS)
    for _ in range(1 << 17):  # a FIFO holds 64 KiB (pipe(7))
        writer.ring()
    reader = Doorbell(tmp_path / "doorbell", wall_ns=WALL_NS)
    waits = Waits(monkeypatch)
    for _ in range(20):
        reader.wait(0.02)
    assert waits.rang == [True] * 16 + [False] * 4


def test_one_that_is_replaced_meanwhile_costs_its_ring_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader keeps the FIFO it opened: a file put in its place is never read, and a writer that comes makes one."""
    path = tmp_path / "doorbell"
    reader = Doorbell(path, wall_ns=WALL_NS)
    path.unlink()
    path.write_text("planted")
    waits = Waits(monkeypatch)
    reader.wait(0.02)
    Doorbell(path, wall_ns=WALL_NS).ring()
    reader.wait(0.02)
    assert waits.rang == [False, False]
    assert stat.S_ISFIFO(path.lstat().st_mode)


@pytest.mark.parametrize("planted", PLANTED)
def test_readers_that_come_and_go_are_rung_past_what_was_planted(planted: str, tmp_path: Path) -> None:
    """Who rings many opens no link, no file and no folder, writes into none, and rings the reader beside it."""
    PLANTED[planted](tmp_path / "doorbell-planted")
    reader = Doorbell(tmp_path / "doorbell-true", wall_ns=WALL_NS)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.iterdir() if not stat.S_ISFIFO(path.lstat().st_mode)}
    bells = Doorbells(tmp_path)
    bells.look()
    bells.ring()
    bells.ring()
    with os.fdopen(os.open(tmp_path / "doorbell-true", os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
        assert file.read(10) == b"!!"
    bells.close()
    reader.close()
    assert {path: path.lstat().st_mtime_ns for path in before} == before
