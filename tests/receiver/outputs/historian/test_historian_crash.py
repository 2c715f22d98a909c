"""Laws of the crash: a writer killed at any moment has lost nothing it promised and doubled nothing."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from history_blocks import ALL, T0, batch, block, expected, opened, shrink, some_blocks, stream, told
from history_writer import made

from protocol.content.sample import Row
from protocol.errors import HeldError, StoreError
from receiver.outputs.base import OpenedBlock
from receiver.outputs.disk import FULL_WAIT_S
from receiver.outputs.historian import months
from receiver.outputs.historian.hot import shelves
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door

HERE = Path(__file__).parents[2]


def writer(folder: Path, blocks: int) -> subprocess.Popen[str]:
    """The writer as a process of its own."""
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    command = [sys.executable, str(HERE / "history_writer.py"), str(folder), str(blocks)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )


def test_kill_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Killed six times in the middle of its work, the history holds each sample of each block once, in order."""
    chance = random.Random(20)
    blocks, promised, kills = 200, 0, 0
    sizes = [len(made(number).body.columns) for number in range(blocks)]  # type: ignore[union-attr]
    door = Door(tmp_path, ALL)
    while promised < blocks:
        with writer(tmp_path, blocks) as process:
            assert process.stdout
            assert process.stderr
            begun = process.stdout.readline().split()
            assert begun, process.stderr.read()
            assert int(begun[1]) >= promised, "a promised hand-over is gone"
            left = chance.randrange(3, 18) if kills < 6 else blocks
            for line in process.stdout:
                promised = int(line.split()[1])
                left -= 1
                if not left:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
            process.stdout.read()
            assert process.wait() in (0, -signal.SIGKILL), process.stderr.read()
        history, _ = told(door)
        stored = sum(map(len, history.values()))
        assert stored in {sum(sizes[:whole]) for whole in range(promised, blocks + 1)}
    assert kills == 6
    want, _ = expected([made(number) for number in range(blocks)])
    assert told(door)[0] == want
    door.close()


def take_all(output: HistorianOutput, blocks: list[OpenedBlock]) -> None:
    """One hand-over a block; its place is the block's number."""
    for one in blocks:
        output.take([one], b"%d" % one.number)


class Killed(Exception):
    """Stands for the end of the process at this point."""


def test_a_chunk_written_but_never_real_is_not_told_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended between the month file and `current.db`: the rows are told once, before and after the next start."""
    shrink(monkeypatch)
    blocks = some_blocks(random.Random(3), stream(), 60, 12)
    want, _ = expected(blocks)
    output = opened(tmp_path)
    store = months.Months.store

    def cut(self: months.Months, *given: Any) -> None:
        store(self, *given)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(months.Months, "store", cut)
        with pytest.raises(Killed):
            take_all(output, blocks)
    begun = int(output.place() or b"")  # sealing comes after the hand-over was stored
    output.close()
    door = Door(tmp_path, ALL)
    half, _ = expected(blocks[: begun + 1])
    assert told(door)[0] == half
    output = opened(tmp_path)
    take_all(output, blocks[begun + 1 :])
    assert told(door)[0] == want
    (month,) = tmp_path.glob("????-??.db")
    with sqlite3.connect(month) as connection:
        numbers = [row[0] for row in connection.execute("SELECT id FROM body ORDER BY id")]
    connection.close()
    assert numbers == list(range(1, output.status()["chunks"] + 1))
    output.close()
    door.close()


def test_a_full_disk_is_waited_out_and_loses_nothing(tmp_path: Path) -> None:
    """While the file may not grow the hand-over waits and says so; with room again it is stored, once."""
    waits: list[float] = []
    trouble: list[str] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        trouble.append(output.status()["trouble"])
        if len(waits) == 3:
            limit(output, 10**6)

    output = HistorianOutput(tmp_path, clock=lambda: T0, wait=wait)
    output.take([block(stream(), 0, batch([Row(3, T0, "first")]))], b"1")
    limit(output, 1)
    chance = random.Random(1)
    long = "".join(chr(chance.randrange(32, 0x2000)) for _ in range(27_000))
    output.take([block(stream(), 1, batch([Row(3, T0 + at, f"{at}{long}") for at in range(60)]))], b"2")
    assert waits == [FULL_WAIT_S] * 3
    assert all("full" in said for said in trouble)
    assert output.status()["trouble"] == ""
    assert output.place() == b"2"
    door = Door(tmp_path, ALL)
    assert len(told(door)[0]["press-1/mode"]) == 61
    output.close()
    door.close()


def limit(output: HistorianOutput, pages: int) -> None:
    """Let `current.db` grow to this many pages (SQLite then says that the disk is full)."""
    output._files.current.execute(f"PRAGMA max_page_count={pages}")


def test_giving_up_the_wait_stores_nothing(tmp_path: Path) -> None:
    """A wait that raises leaves the place where it was, and the output takes nothing more."""

    def give_up(seconds: float) -> None:
        raise Killed

    output = HistorianOutput(tmp_path, clock=lambda: T0, wait=give_up)
    output.take([block(stream(), 0, batch([Row(3, T0, "x")]))], b"1")
    limit(output, 1)
    chance = random.Random(1)
    big = batch([Row(3, T0 + at, chance.randbytes(3000).hex()) for at in range(200)])
    with pytest.raises(Killed):
        output.take([block(stream(), 1, big)], b"2")
    assert output.place() == b"1"
    with pytest.raises(StoreError, match="gave up"):
        output.take([], b"3")
    output.close()
    output = opened(tmp_path)
    assert output.place() == b"1"
    output.close()


def test_a_full_disk_only_puts_sealing_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a month file cannot grow the rows stay hot and readable; later they are sealed, once."""
    shrink(monkeypatch)
    blocks = some_blocks(random.Random(5), stream(), 60, 12)
    output = opened(tmp_path)
    store = months.Months.store

    def full(self: months.Months, *given: Any) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(months.Months, "store", full)
        take_all(output, blocks)
        assert output.status()["chunks"] == 0
        assert "full" in output.status()["trouble"]
    assert months.Months.store is store
    door = Door(tmp_path, ALL)
    assert told(door)[0] == expected(blocks)[0]
    assert any(output.step(0.0) >= 3600 for _ in range(100))
    assert output.status()["chunks"] > 0
    assert output.status()["trouble"] == ""
    assert told(door)[0] == expected(blocks)[0]
    output.close()
    door.close()


def test_one_process_writes_a_history(tmp_path: Path) -> None:
    """A second writer on the same folder is refused; after the first closed it may."""
    first = opened(tmp_path)
    with pytest.raises(HeldError):
        opened(tmp_path)
    first.close()
    first.close()
    opened(tmp_path).close()


def test_a_history_of_another_version_is_refused(tmp_path: Path) -> None:
    """Tables of a later version are not guessed at."""
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "current.db") as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'version'")
    connection.close()
    with pytest.raises(StoreError, match="99"):
        opened(tmp_path)


def test_thresholds_keep_a_hand_over_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is due, a small hand-over seals at most one shelf."""
    shrink(monkeypatch)
    sealed: list[int] = []
    whole = shelves.Shelves._sealing

    def counted(self: shelves.Shelves, shelf: int, *given: Any) -> Any:
        sealed.append(shelf)
        return whole(self, shelf, *given)

    monkeypatch.setattr(shelves.Shelves, "_sealing", counted)
    output = opened(tmp_path)
    for at, one in enumerate(some_blocks(random.Random(8), stream(), 40, 20)):
        before = len(sealed)
        output.take([one], b"%d" % at)
        assert len(sealed) <= before + 1
    assert sealed
    output.close()
