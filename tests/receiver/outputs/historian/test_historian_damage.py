"""Laws of damage at rest: whatever became of a file of the history, the process goes on and says so."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from history_blocks import ALL, SECOND, T0, batch, block, expected, opened, shrink, some_blocks, stream, told

from protocol.content.sample import Row
from protocol.errors import StoreError
from receiver.outputs import disk
from receiver.outputs.base import EventBody, OpenedBlock, StateBody, TallyBody
from receiver.outputs.historian.mending.verify import check
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import SampleView

MONTH_LATER = T0 + 40 * 86_400 * SECOND
OLD = Path(__file__).parents[3] / "vectors" / "history_before_copies.tar.xz"


def journal(seed: int, count: int = 90) -> list[OpenedBlock]:
    """Blocks of samples, then one of each other kind: what the journal holds."""
    of = stream()
    blocks = some_blocks(random.Random(seed), of, count, 12)
    at = T0 + count * SECOND
    event = EventBody(
        asset="relay-2", source="ANSI 50", time_ns=at, severity=800, code="trip", text="t", state="active", sequence=1
    )
    return [
        *blocks,
        block(of, count, StateBody(asset="pump-7", time_ns=at, what="up", text="answers")),
        block(of, count + 1, event),
        block(of, count + 2, TallyBody(time_ns=at, number=count + 2, assets={"pump-7": (500, 500)})),
    ]


def follow(output: HistorianOutput, blocks: Sequence[OpenedBlock], begin: int = 0, end: int | None = None) -> None:
    """Hand over as its process does: on from the output's place, and anew from there whenever it says so.

    Args:
        begin: Where the journal begins; retention took what is before it.
        end: Where it ends as yet.
    """
    end = len(blocks) if end is None else end
    at = max(int(output.place() or b"0"), begin)
    for _ in range(20 * len(blocks)):
        if output.begun_again():
            at = max(int(output.place() or b"0"), begin)
        if not output.wants():
            output.step(0.0)
        elif at < end:
            output.take([blocks[at]], b"%d" % (at + 1))
            at += 1
        else:
            return
    raise AssertionError("the history does not come to an end")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds that a few rows pass."""
    shrink(monkeypatch)


_MADE = tempfile.TemporaryDirectory()
"""Histories that were written once; each case damages a copy."""


def written(folder: Path, seed: int) -> list[OpenedBlock]:
    """A history of two months, closed in order, with hot rows in it; returns what its journal holds."""
    return _copied(folder, seed, "written", _write)


def running(folder: Path, seed: int) -> list[OpenedBlock]:
    """The same, as a killed process leaves it: with a log that was not written back."""
    return _copied(folder, seed, "running", _run)


def _copied(
    folder: Path, seed: int, name: str, make: Callable[[Path, Sequence[OpenedBlock]], None]
) -> list[OpenedBlock]:
    made, blocks = Path(_MADE.name) / f"{name}{seed}", journal(seed)
    if not made.exists():
        make(made, blocks)
    shutil.copytree(made, folder)
    return blocks


def _write(folder: Path, blocks: Sequence[OpenedBlock]) -> None:
    output = opened(folder)
    follow(output, blocks, end=60)
    output.close()
    output = opened(folder, MONTH_LATER)
    follow(output, blocks)
    assert output.status()["hot_rows"]
    output.close()
    assert len(list(folder.glob("????-??.db"))) == 2


def _run(folder: Path, blocks: Sequence[OpenedBlock]) -> None:
    beside = folder.with_name(f"{folder.name}-ran")
    _write(beside, blocks[:80])  # a first part that is at rest
    output = opened(beside, MONTH_LATER)
    follow(output, blocks)
    shutil.copytree(beside, folder)
    output.close()
    assert (folder / "current.db-wal").stat().st_size


def cut(share: float) -> Callable[[Path, random.Random], object]:
    return lambda path, _: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def changed(length: int, to: Callable[[bytes], bytes]) -> Callable[[Path, random.Random], object]:
    def do(path: Path, chance: random.Random) -> None:
        data = bytearray(path.read_bytes())
        at = chance.randrange(max(len(data) // length, 1)) * length
        data[at : at + length] = to(bytes(data[at : at + length]))
        path.write_bytes(data)

    return do


def other_program(path: Path, _: random.Random) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE meta (name TEXT)")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, words TEXT)")
        connection.execute("INSERT INTO notes (words) VALUES ('milk')")
    connection.close()


def folder_instead(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()


def link_instead(path: Path, _: random.Random) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


FAULTS: dict[str, Callable[[Path, random.Random], object]] = {
    "empty": cut(0),
    "cut at 1 %": cut(0.01),
    "cut at 40 %": cut(0.4),
    "cut at 99 %": cut(0.99),
    "page of zeros": changed(8192, lambda page: bytes(len(page))),
    "page of noise": changed(8192, lambda page: random.Random(1).randbytes(len(page))),
    "first page of zeros": lambda path, _: path.write_bytes(bytes(8192) + path.read_bytes()[8192:]),
    "flip": changed(1, lambda one: bytes([one[0] ^ 0x10]) if one else b""),
    "garbage": lambda path, chance: path.write_bytes(chance.randbytes(50_000)),
    "gone": lambda path, _: path.unlink(),
    "another program's": other_program,
    "a folder": folder_instead,
    "a link": link_instead,
}


def history(folder: Path) -> dict[str, list[SampleView]]:
    door = Door(folder, ALL)
    try:
        return told(door)[0]
    finally:
        door.close()


def check_no_wrong(have: dict[str, list[SampleView]], want: dict[str, list[SampleView]], what: str) -> None:
    """Nothing that was not sent, nothing twice, everything in order."""
    for name, samples in have.items():
        left = iter(want[name])
        assert all(any(repr(sample) == repr(one) for one in left) for sample in samples), f"{what}: {name}"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["current.db", "current.db-wal", "current.db-shm", "2025-11.db", "2026-01.db", "lock"])
def test_damage_at_rest_stops_nothing_and_the_journal_gives_back_what_it_has(
    name: str, fault: str, tmp_path: Path
) -> None:
    """Any one file damaged in any way: opened, followed, every sample of the journal there once; or a gap says not."""
    for seed in range(3 if fault in ("flip", "page of zeros", "page of noise") else 1):
        folder = tmp_path / f"h{seed}" / "history"
        blocks = (running if name.endswith(("-wal", "-shm")) else written)(folder, seed)
        want, _ = expected(blocks[:90])
        path = folder / name
        if not path.exists():
            continue
        FAULTS[fault](path, random.Random(seed))
        what = f"{name}, {fault}, seed {seed}"
        if name == "lock" and fault in ("a folder", "a link"):
            with pytest.raises(StoreError):
                opened(folder, MONTH_LATER)
            continue
        output = opened(folder, MONTH_LATER)
        follow(output, blocks)
        have = history(folder)
        check_no_wrong(have, want, what)
        if have != want:
            assert name.startswith("20"), what  # deep in a month: nobody looks there by himself
        status = output.status()
        if name == "current.db" and fault not in ("flip", "page of zeros", "page of noise", "cut at 99 %"):
            assert any("current.db" in line for line in status["warnings"]), what
        if have == want and fault not in ("flip", "page of zeros", "page of noise"):
            assert status["rows"] == sum(map(len, want.values())), what
        output.close()
        follow(output := opened(folder, MONTH_LATER), blocks)
        assert history(folder) == have, what
        output.close()


@pytest.mark.parametrize("fault", ["page of zeros", "page of noise", "flip", "cut at 40 %", "garbage", "gone"])
@pytest.mark.parametrize("name", ["current.db", "2025-11.db", "2026-01.db"])
def test_a_rebuild_finds_every_sample_that_is_in_the_journal_or_in_a_sound_chunk(
    name: str, fault: str, tmp_path: Path
) -> None:
    """Whatever page of whatever file was damaged: afterwards the history is what the journal says, each sample once."""
    for seed in range(4):
        folder = tmp_path / f"h{seed}" / "history"
        blocks = written(folder, seed)
        want, latest = expected(blocks[:90])
        FAULTS[fault](folder / name, random.Random(100 + seed))
        output = opened(folder, MONTH_LATER)
        said: list[str] = []
        output.rebuild(said.append)
        follow(output, blocks)
        what = f"{name}, {fault}, seed {seed}: {said}"
        assert history(folder) == want, what
        door = Door(folder, ALL)
        assert told(door)[1] == latest, what
        assert len(door.events(10)) == 1
        assert len(door.states("pump-7", 10)) == 1
        door.close()
        output.close()
        assert [line for line in check(folder) if "DAMAGED" in line] == [], what


def test_a_rebuild_without_the_journal_keeps_every_sound_chunk(tmp_path: Path) -> None:
    """A month with one damaged page loses what stood on it, and nothing else; the gap says so until then."""
    folder = tmp_path / "history"
    blocks = written(folder, 3)
    before = history(folder)
    with sqlite3.connect(folder / "2025-11.db") as connection:
        connection.execute("UPDATE body SET body = CAST(substr(body, 1, 20) || x'00' AS BLOB) WHERE id = 3")
        series, rows = connection.execute("SELECT series, n FROM chunk WHERE id = 3").fetchone()
    connection.close()
    door = Door(folder, ALL)
    trend = door.trend(series, T0 - 100 * SECOND, T0 + 1000 * SECOND, 1000)
    (gap,) = [gap for gap in trend.absences if gap.damage]
    assert f"{rows} samples" in gap.damage
    door.close()
    output = opened(folder, MONTH_LATER)
    said: list[str] = []
    output.rebuild(said.append)
    follow(output, blocks, begin=len(blocks))
    after = history(folder)
    check_no_wrong(after, before, str(said))
    assert sum(map(len, before.values())) - sum(map(len, after.values())) == rows
    output.close()


def test_what_the_journal_lost_is_kept_by_the_months(tmp_path: Path) -> None:
    """With `current.db` gone and the journal begun late, sealed samples and counts are there; no gap is invented."""
    folder = tmp_path / "history"
    blocks = written(folder, 5)
    want, _ = expected(blocks[:90])
    door = Door(folder, ALL)
    accounts, states = door.accounts(), door.states("pump-7", 9)
    events, minutes = door.events(9), door.minutes(0, 2**62)
    door.close()
    hot = opened(folder, MONTH_LATER)
    unsealed = hot.status()["hot_rows"]
    hot.close()
    (folder / "current.db").unlink()
    output = opened(folder, MONTH_LATER)
    follow(output, blocks, begin=80)
    have = history(folder)
    check_no_wrong(have, want, "current.db gone")
    assert sum(map(len, want.values())) - sum(map(len, have.values())) <= unsealed
    assert any(f"{unsealed} samples were not sealed" in line for line in output.status()["warnings"])
    door = Door(folder, ALL)
    assert door.accounts() == accounts
    assert door.states("pump-7", 9) == states
    assert door.events(9) == events
    assert door.minutes(0, 2**62) == minutes
    assert door.absences(0, 2**62) == []
    door.close()
    output.close()


def test_hot_rows_of_a_damaged_file_are_saved(tmp_path: Path) -> None:
    """Where `current.db` opens but cannot be believed, its hot rows become chunks: nothing needs the journal."""
    folder = tmp_path / "history"
    blocks = written(folder, 6)
    want, _ = expected(blocks[:90])
    with sqlite3.connect(folder / "current.db") as connection:
        connection.execute("UPDATE span SET last = last + 4096")  # blocks that never came would count as doubles
    connection.close()
    output = opened(folder, MONTH_LATER)
    assert any("do not fit their sum" in line for line in output.status()["warnings"])
    follow(output, blocks, begin=len(blocks))
    assert history(folder) == want
    follow(output, [*blocks, *some_more(blocks)])
    assert sum(map(len, history(folder).values())) == sum(map(len, want.values())) + 5
    output.close()


def some_more(blocks: Sequence[OpenedBlock]) -> list[OpenedBlock]:
    """One more block, of five samples."""
    at = T0 + 200 * SECOND
    return [block(stream(), len(blocks), batch([Row(0, at + row, 1.0) for row in range(5)]))]


def test_a_backup_put_back_beside_newer_months_discards_nothing(tmp_path: Path) -> None:
    """`current.db` of before: chunks sealed since then are real, though its own number says otherwise."""
    folder, blocks = tmp_path / "history", journal(4)
    want, _ = expected(blocks[:90])
    output = opened(folder)
    follow(output, blocks, end=40)
    output.close()
    shutil.copy(folder / "current.db", tmp_path / "backup")
    output = opened(folder)
    follow(output, blocks, end=88)
    output.close()
    before = history(folder)
    shutil.copy(tmp_path / "backup", folder / "current.db")
    output = opened(folder)
    assert any("older than its months" in line for line in output.status()["warnings"])
    follow(output, blocks, begin=85)
    after = history(folder)
    check_no_wrong(after, want, "backup")
    sealed = sum(map(len, before.values())) - sum(map(len, after.values()))
    assert sealed <= 48, "what was hot"
    output.close()


class Killed(Exception):
    """Stands for the end of the process at this point."""


@pytest.mark.parametrize("moment", range(12))
def test_a_kill_in_the_middle_of_beginning_anew_loses_nothing(
    moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended at the n-th thing that reaches the disk, and started again: the same history."""
    folder = tmp_path / "history"
    blocks = written(folder, 7)
    want, latest = expected(blocks[:90])
    with sqlite3.connect(folder / "current.db") as connection:
        connection.execute("UPDATE meta SET value = 1 WHERE key = 'sealed'")
    connection.close()
    left = [moment]
    output = None

    def dying(whole: Callable[..., object]) -> Callable[..., object]:
        def run(*given: object, **named: object) -> object:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return whole(*given, **named)

        return run

    with monkeypatch.context() as patched:
        patched.setattr(disk.Writes, "run", dying(disk.Writes.run))
        patched.setattr(disk, "set_aside", dying(disk.set_aside))
        try:
            output = opened(folder, MONTH_LATER)
            follow(output, blocks, begin=len(blocks))
            output.close()
        except Killed:
            assert left == [0]
            if output is not None:
                output._shut()
    output = opened(folder, MONTH_LATER)
    follow(output, blocks, begin=len(blocks))
    assert history(folder) == want, moment
    follow(output, blocks)
    door = Door(folder, ALL)
    assert told(door) == (want, latest), moment
    door.close()
    output.close()


def test_a_damaged_hot_group_stops_nothing_and_comes_back_from_the_journal(tmp_path: Path) -> None:
    """A group that does not unpack is counted, dropped, and its rows are read again, while new ones are taken."""
    blocks = journal(8)
    want, _ = expected(blocks[:90])
    output = opened(tmp_path)
    end = 60
    while not output._files.current.execute("UPDATE piece SET body = zeroblob(100)").rowcount:
        end += 1
        follow(output, blocks, end=end)
    output._files.shelves.sweep()
    while output.step(0.0) < 3600:
        pass
    assert any("cannot be read" in line for line in output.status()["warnings"])
    follow(output, blocks)
    assert history(tmp_path) == want
    output.close()


def test_damage_met_while_running_begins_anew_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that cannot be read in the middle of the work: set aside, begun anew, followed again, each sample once."""
    blocks = journal(9)
    want, latest = expected(blocks[:90])
    output = opened(tmp_path)
    follow(output, blocks, end=50)
    run, left = disk.Writes.run, [3]

    def failing(self: disk.Writes, connection: sqlite3.Connection) -> None:
        left[0] -= 1
        if left[0] == 0:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        run(self, connection)

    with monkeypatch.context() as patched:
        patched.setattr(disk.Writes, "run", failing)
        follow(output, blocks)
    assert any("malformed" in line for line in output.status()["warnings"])
    door = Door(tmp_path, ALL)
    assert told(door) == (want, latest)
    door.close()
    output.close()


@pytest.mark.parametrize("version", [0, -1, "", "1", 1.5, b"\x01"])
def test_a_version_that_there_never_was_is_damage(version: object, tmp_path: Path) -> None:
    """One flipped bit makes a 0 of a stored 1: no other build's file, and nobody could rebuild it."""
    folder = tmp_path / "history"
    blocks = written(folder, 5)
    want, latest = expected(blocks[:90])
    with sqlite3.connect(folder / "current.db") as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", (version,))
    connection.close()
    follow(output := opened(folder, MONTH_LATER), blocks)
    assert any("current.db" in line for line in output.status()["warnings"])
    output.close()
    assert history(folder) == want
    door = Door(folder, ALL)
    assert told(door)[1] == latest
    door.close()


def test_damage_without_end_is_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is damaged again and again within an hour ends the process with the disk's exit code."""
    output = opened(tmp_path)

    def failing(self: disk.Writes, connection: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    real = disk.Writes.run
    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr(output._files.newest, "advance", lambda *_: failing(disk.Writes(), output._files.current))
            output.take([block(stream(), 0, batch([Row(0, T0, 1.0)]))], b"1")
        assert disk.Writes.run is real
        assert output.begun_again()
    monkeypatch.setattr(output._files.newest, "advance", lambda *_: failing(disk.Writes(), output._files.current))
    with pytest.raises(StoreError, match="malformed"):
        output.take([block(stream(), 0, batch([Row(0, T0, 1.0)]))], b"1")
    output.close()


def test_a_row_that_its_table_would_not_take_is_not_saved(tmp_path: Path) -> None:
    """A cut file in which descriptions read as nothing, with the log of a killed writer beside it: begun anew."""
    for keep in range(8192, 90_000, 4096):
        folder = tmp_path / f"{keep}" / "history"
        blocks = running(folder, 2)
        path = folder / "current.db"
        path.write_bytes(path.read_bytes()[:keep])
        output = opened(folder, MONTH_LATER)
        follow(output, blocks)
        assert history(folder) == expected(blocks[:90])[0], keep
        output.close()


def unpacked(folder: Path) -> None:
    folder.mkdir(parents=True)
    with tarfile.open(OLD) as archive:
        archive.extractall(folder, filter="data")


OLD_BLOCKS = some_blocks(random.Random(77), stream(), 90, 12)


def unmarked(history: dict[str, list[SampleView]]) -> dict[str, list[SampleView]]:
    """Without what those builds did not keep: whether a sample was healed."""
    return {name: [one._replace(healed=False) for one in samples] for name, samples in history.items()}


def test_a_history_without_copies_gets_them_at_its_first_start(tmp_path: Path) -> None:
    """Files of the build before are read as they are; from then on their months say whose their chunks are."""
    folder = tmp_path / "history"
    unpacked(folder)
    want = unmarked(expected(OLD_BLOCKS)[0])
    assert unmarked(history(folder)) == want
    opened(folder, MONTH_LATER).close()
    (folder / "current.db").unlink()
    output = opened(folder, MONTH_LATER)
    have = unmarked(history(folder))
    check_no_wrong(have, want, "old")
    assert sum(map(len, have.values())) == sum(map(len, want.values())) - 27, "27 rows were hot"
    follow(output, journal(77))
    assert unmarked(history(folder)) == want
    output.close()


def test_of_a_history_without_copies_it_is_told_what_cannot_be_read(tmp_path: Path) -> None:
    """Its `current.db` gone before: the chunks are nobody's, by number, and never taken for another tag's."""
    folder = tmp_path / "history"
    unpacked(folder)
    (folder / "current.db").unlink()
    output = opened(folder, MONTH_LATER)
    said = [line for line in output.status()["warnings"] if "nothing says any more which tags" in line]
    assert len(said) == 2
    follow(output, journal(77), begin=40)
    want = unmarked(expected(OLD_BLOCKS[40:])[0])
    assert unmarked(history(folder)) == want
    output.close()


def test_of_a_history_without_copies_a_damaged_file_still_says_whose_its_chunks_are(tmp_path: Path) -> None:
    """Descriptions that can be read of the damaged `current.db` are believed where they agree with themselves."""
    folder = tmp_path / "history"
    unpacked(folder)
    data = bytearray((folder / "current.db").read_bytes())
    with sqlite3.connect(folder / "current.db") as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'latest'").fetchone()[0]
    connection.close()
    data[(page - 1) * 8192 : page * 8192] = bytes(8192)
    (folder / "current.db").write_bytes(data)
    output = opened(folder, MONTH_LATER)
    assert output.status()["warnings"]
    assert unmarked(history(folder)) == unmarked(expected(OLD_BLOCKS)[0])
    output.close()


def test_files_of_a_history_are_for_the_group_at_most(tmp_path: Path) -> None:
    """Every file is 0640 or less, under any umask; those of an older build are tightened."""
    before = os.umask(0)
    try:
        written(tmp_path / "history", 1)
        os.chmod(tmp_path / "history" / "current.db", 0o644)
        output = opened(tmp_path / "history", MONTH_LATER)
        output.take([], b"x")
        files = list((tmp_path / "history").iterdir())
        assert {path.name for path in files} >= {"current.db", "current.db-wal", "current.db-shm", "lock"}
        assert {path.name: oct(path.stat().st_mode & 0o7777 & ~0o640) for path in files} == {
            path.name: "0o0" for path in files
        }
        output.close()
    finally:
        os.umask(before)


BEFORE_ROLLUPS = Path(__file__).parents[3] / "vectors" / "history_before_rollups.tar.xz"
"""Blocks 0 to 79 of seed 78 by the build before roll-ups and before hand-overs were groups: hot, sealed and current."""


def test_a_history_of_the_build_before_rollups_is_read_and_gone_on_with(tmp_path: Path) -> None:
    """Its chunks, hot rows and current values are read as they are, and are there after everything is sealed anew."""
    with tarfile.open(BEFORE_ROLLUPS) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "history"
    blocks = some_blocks(random.Random(78), stream(), 90, 12)
    want, latest = expected(blocks[:80])
    door = Door(folder, ALL)
    have, current = told(door)
    assert unmarked(have) == unmarked(want)
    assert current == latest
    door.close()
    output = opened(folder, MONTH_LATER)
    for number in range(80, 90):
        output.take([blocks[number]], b"%d" % (number + 1))
    output.retain(MONTH_LATER, 1e8)
    for _ in range(100):
        output.step(0.0)
    output.close()
    want, latest = expected(blocks)
    door = Door(folder, ALL)
    have, current = told(door)
    assert unmarked(have) == unmarked(want)
    assert current == latest
    door.close()
    assert all("DAMAGED" not in line for line in check(folder))
