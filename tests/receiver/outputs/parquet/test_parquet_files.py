"""Laws of the files: each sample once whatever is killed or lost, closed files stay, and every reader sees the same."""

from __future__ import annotations

import errno
import io
import math
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import polars
import pyarrow.parquet
import pytest
from history_blocks import opened, some_blocks, stream

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from protocol.errors import StoreError
from receiver.commands import export
from receiver.config import load
from receiver.export.atomic_file import AtomicFile
from receiver.export.choice import ExportChoice
from receiver.export.sample_table import COLUMNS
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.parquet import hour_file
from receiver.outputs.parquet.hour_pieces import HOUR_NS, hour_of, partition
from receiver.outputs.parquet.hour_store import HourStore
from receiver.outputs.parquet.output import CLOSE_S, LATE_S, ParquetOutput
from receiver.outputs.parquet.settings import ParquetTable
from receiver.outputs.testing.feed import SECOND_NS, T0_NS, Fact, block, facts, samples

KILLS, SOAK_KILLS = 5, 50
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
ALL = "date=*/hour=*/*.parquet"
TOML = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys/low"
senders = ["keys/high.pub"]
"""
VALUES = ", ".join(f"value_{kind}" for kind in ("double", "int", "uint", "bool", "text"))


class Plant:
    """A folder, an output of it and what it was given; its hours pass as they are told to."""

    def __init__(self, base: Path, **given: Any) -> None:
        self.folder, self._base, self._given = base / "plant", base, given
        self.wall_ns, self.blocks = T0_NS + 1000 * HOUR_NS, list[OpenedBlock]()
        self.open()

    def open(self) -> None:
        clock: Callable[[], int] = lambda: self.wall_ns  # noqa: E731
        self.one = ParquetOutput(self._base / "lake.db", self.folder, clock=clock, **self._given)

    def again(self) -> None:
        """As a restart."""
        self.one.close()
        self.open()

    def take(self, blocks: Sequence[OpenedBlock], place: bytes = b"p") -> None:
        self.blocks += blocks
        self.one.take(blocks, place)
        self.one.step(self.one._now)

    def passes(self, seconds: float = CLOSE_S + 1) -> None:
        """So long, with everything that is due in it done at its end."""
        now = self.one._now + seconds
        self.wall_ns += int(seconds * 1e9)
        for _ in range(1000):
            if self.one.step(now) > 0:
                return
        raise AssertionError("never idle")

    def files(self) -> list[str]:
        return sorted(one.relative_to(self.folder).as_posix() for one in self.folder.glob(ALL))

    def held(self) -> Counter[Fact]:
        """By DuckDB, through one glob."""
        if not self.files():
            return Counter()
        sql = f"SELECT asset, tag, epoch_ns(time), {VALUES} FROM '{self.folder}/{ALL}'"
        rows = duckdb.sql(sql).fetchall()
        return Counter(
            Fact(asset, tag, time_ns, next((one for one in values if one is not None), None))
            for asset, tag, time_ns, *values in rows
        )

    def right(self) -> Counter[Fact]:
        return Counter(dict.fromkeys(facts(self.blocks), 1))


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def one_tag(rows: list[Row], number: int = 0, *, healed: bool = False, name: str = "t", **tag: Any) -> OpenedBlock:
    """A block of one tag's rows, completed at T0."""
    described = Tag(id=0, asset=name, name=name, **tag)
    of = StreamDescription(key=b"stream-9", boot=7, site="s", assets={name: Asset(name=name)}, tags={0: described})
    body = BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0)
    return replace(block(number, body, of=of, healed=healed), received_ns=T0_NS)


def hourly(count: int, step: int = 400, begin: int = 0) -> list[OpenedBlock]:
    """Blocks of which about nine are of an hour."""
    return [samples(number * step) for number in range(begin, begin + count)]


@pytest.mark.parametrize("kills", [KILLS, pytest.param(SOAK_KILLS, marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
def test_a_kill_at_any_moment_costs_no_sample_and_doubles_none(kills: int, tmp_path: Path) -> None:
    """SIGKILL while hours are taken and written, by lot; from the place on all is handed over again."""
    seed = random.randrange(2**32)
    chance, reached, written = random.Random(seed), 0, 0
    for _ in range(kills):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            _work(tmp_path, reached, write)
        os.close(write)
        for _ in range(chance.randrange(1, 15)):
            assert os.read(read, 1), f"seed {seed}: it ended by itself"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
        plant = Plant(tmp_path)
        reached = int(plant.one.place() or b"0")
        written = max(written, len(plant.files()))
        plant.one.close()
    assert written > kills, f"seed {seed}: nothing was under way"
    plant = Plant(tmp_path)
    plant.blocks = hourly(reached)
    plant.passes()
    plant.passes()
    assert plant.held() == plant.right(), f"seed {seed}"
    assert not list(plant.folder.rglob("*.part"))
    plant.one.close()


def _work(folder: Path, first: int, said: int) -> None:
    """Take and write for ever, and say a word between."""
    try:
        plant = Plant(folder)
        for at in range(first, first + 100_000, 20):
            plant.take(hourly(20, begin=at), b"%d" % (at + 20))
            os.write(said, b".")
            plant.passes()
            os.write(said, b".")
    finally:
        os._exit(1)


@pytest.mark.parametrize("moment", ["before it has its name", "after it has its name"])
def test_a_file_that_a_kill_left_is_written_again_or_known_again(moment: str, plant: Plant) -> None:
    """The two sides of the rename: what stands under its name answers for itself, what does not is made anew."""
    plant.take(hourly(5))
    what, name = (AtomicFile, "commit") if moment.startswith("before") else (HourStore, "close_hour")
    with mock.patch.object(what, name, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        plant.passes()
    files = plant.files()
    assert len(files) == (moment == "after it has its name")
    plant.again()
    plant.passes()
    plant.passes()
    assert plant.held() == plant.right()
    assert plant.files()[: len(files)] == files
    plant.take(hourly(5))
    plant.passes()
    assert plant.held() == plant.right()
    assert plant.one.status()["taken"] == plant.one.status()["acknowledged"] == len(plant.right())


def test_a_store_that_is_lost_costs_nothing_and_doubles_nothing(plant: Plant, tmp_path: Path) -> None:
    """The files say which blocks they hold: handed over again from the beginning, only what is in none is written."""
    plant.take(hourly(40))
    plant.passes()
    plant.passes()
    plant.take(hourly(3, begin=40))
    plant.one.close()
    before = plant.files()
    for one in tmp_path.glob("lake.db*"):
        one.unlink()
    plant.open()
    assert plant.one.place() is None
    plant.take(hourly(45))
    plant.passes()
    plant.passes()
    assert plant.held() == plant.right()
    assert set(before) < set(plant.files())


def test_a_store_that_is_damaged_is_begun_anew_beside_its_files(plant: Plant, tmp_path: Path) -> None:
    """A flipped bit in what waits: set aside and told, the journal is asked for again, each sample once in the end."""
    plant.take(hourly(9))
    plant.passes()
    plant.take(hourly(9, begin=9))
    plant.one._store._connection.execute(
        "UPDATE piece SET body = CAST(substr(body, 1, length(body) - 1) || x'55' AS BLOB)"
    )
    plant.passes(1)
    plant.passes()
    assert plant.one.begun_again()
    assert "from the journal again" in plant.one.status()["warnings"][0]
    assert plant.one.place() is None
    plant.take(hourly(18))
    plant.passes()
    plant.passes()
    assert plant.held() == plant.right()
    assert list(tmp_path.glob("lake.db.damaged-*"))


def test_a_closed_file_is_never_written_again(plant: Plant) -> None:
    """What comes later for its hour, healed or late, stands in a file beside it that says so; readers see both."""
    blocks = hourly(9, step=100)
    plant.take([*blocks[:3], *blocks[5:]])
    plant.passes()
    (first,) = plant.files()
    assert first.startswith(f"{partition(T0_NS // HOUR_NS)}/samples-1-")
    before = (plant.folder / first).stat()
    for one in blocks[3:5]:
        plant.take([replace(one, healed=True)])
        plant.passes()
    assert (plant.folder / first).stat() == before
    names = [one.rpartition("/")[2][:7] for one in plant.files()]
    assert names == ["late-2-", "late-3-", "samples"]
    plant.blocks = blocks
    assert plant.held() == plant.right()
    told = duckdb.sql(f"SELECT DISTINCT filename LIKE '%/late-%', healed FROM '{plant.folder}/{ALL}'").fetchall()
    assert sorted(told) == [(False, False), (True, True)]


def test_an_hour_is_written_after_its_end_and_a_trickle_once_an_hour(plant: Plant) -> None:
    """Not while it lasts; and a sample a minute for an hour that is over makes no file a sample."""
    plant.wall_ns = T0_NS + SECOND_NS
    plant.take(hourly(2))
    for _ in range(int((3600 + CLOSE_S) // 60) - 1):
        plant.passes(60)
        assert not plant.files()
    assert plant.one.status()["behind_s"] == 0.0
    plant.passes(60)
    assert len(plant.files()) == 1
    for number in range(3000, 3180):  # three hours of minutes
        plant.take([samples(number)])
        plant.passes(60)
    assert len(plant.files()) == 1 + 3 * 3600 // int(LATE_S)
    plant.passes()
    assert plant.held() == plant.right()


def test_what_came_before_the_first_step_waits_as_long(plant: Plant) -> None:
    """A new output catches up with hours that are over: one file each, whatever running time begins with."""
    plant.one.take(hourly(9, step=100), b"1")
    plant.passes(1e6)
    assert not plant.files()
    plant.passes()
    assert len(plant.files()) == 1


def test_every_reader_sees_every_value_as_it_was(plant: Plant) -> None:
    """The columns of an export, in its order and types; NaN is null and said; unsigned integers, UTC, nanoseconds."""
    rows = [
        Row(0, T0_NS + 1, math.nan),
        Row(0, T0_NS + 1, 4.5, 0x40900000, 3, T0_NS + 9),
        Row(0, T0_NS + 2, math.inf),
        Row(0, T0_NS + 3, "=ärger"),
        Row(0, T0_NS + 4, True),
        Row(0, T0_NS + 5, None, 0x80050000),
        Row(0, T0_NS + 6, 2**64 - 1),
        Row(0, T0_NS + 6, 7),
    ]
    plant.take([one_tag(rows, 3, type="uint64", unit="bar")])
    plant.passes()
    (name,) = plant.files()
    path = plant.folder / name
    schema = pyarrow.parquet.read_schema(path)
    assert tuple(schema.names) == COLUMNS
    assert str(schema.field("time").type) == "timestamp[ns, tz=UTC]"
    told = polars.read_parquet(f"{plant.folder}/{ALL}", hive_partitioning=True).sort("time", "row")
    assert told["time"].dt.timestamp("ns").to_list() == [one.time_ns for one in rows]
    assert told["kind"].to_list() == ["nan", "double", "double", "text", "bool", "none", "uint", "uint"]
    assert told["value_double"].to_list() == [None, 4.5, math.inf, *[None] * 5]
    assert told["value_uint"].to_list() == [*[None] * 6, 2**64 - 1, 7]
    assert told["value_text"].to_list()[3] == "=ärger"
    assert told["quality"].to_list() == ["good", "uncertain", *["good"] * 3, "bad", "good", "good"]
    assert told["row"].to_list() == [0, 1, 0, 0, 0, 0, 0, 1]
    assert set(zip(told["unit"], told["date"].cast(str), told["hour"], strict=True)) == {("bar", "2025-11-23", 8)}
    known = duckdb.sql(f"SELECT date, hour, count(*), max(value_uint) FROM '{plant.folder}/{ALL}' GROUP BY ALL")
    assert [(str(date), *rest) for date, *rest in known.fetchall()] == [("2025-11-23", 8, 8, 2**64 - 1)]


def test_values_before_and_after_another_scale_are_told_apart(plant: Plant, tmp_path: Path) -> None:
    """The files number no descriptions, so the conversion stands in each row; files without it are read beside."""
    for at, conversion in enumerate(("int16 x 0.1", "int16 x 0.01", "")):
        plant.take([one_tag([Row(0, T0_NS + at, 1.0)], at, type="float64", unit="bar", conversion=conversion)])
    plant.passes()
    told = polars.read_parquet(f"{plant.folder}/{ALL}").sort("time")
    assert told["conversion"].to_list() == ["int16 x 0.1", "int16 x 0.01", ""]
    told.drop("conversion").write_parquet(tmp_path / "before.parquet")
    both = [str(tmp_path / "before.parquet"), *(str(plant.folder / name) for name in plant.files())]
    assert len(polars.scan_parquet(both, missing_columns="insert", extra_columns="ignore").collect()) == 6
    assert duckdb.sql(f"SELECT count(conversion) FROM read_parquet({both}, union_by_name=true)").fetchall() == [(3,)]


def test_the_files_and_an_export_have_the_same_rows(plant: Plant, tmp_path: Path) -> None:
    """Of the same blocks, whatever became of them on the way: every column but the version is the same."""
    blocks = some_blocks(random.Random(5), stream(), 40, 12)
    blocks += [
        replace(one, number=one.number + 1000, healed=True) for one in some_blocks(random.Random(6), stream(), 5, 9)
    ]
    plant.wall_ns = max(one.received_ns for one in blocks) + 1000 * HOUR_NS
    plant.take(blocks)
    plant.passes(LATE_S + CLOSE_S)
    (tmp_path / "receiver.toml").write_text(TOML)
    low = load(tmp_path / "receiver.toml")
    history = opened(low.state / "history")
    history.take(blocks, b"1")
    history.close()
    export.export(low, export.ExportRequest(out=tmp_path / "all.parquet", choice=ExportChoice()))
    names = [name for name in COLUMNS if name != "version"]
    theirs = polars.read_parquet(tmp_path / "all.parquet").select(names).sort(names)
    ours = polars.read_parquet(f"{plant.folder}/{ALL}").select(names).sort(names)
    assert len(ours) > 100
    assert ours.equals(theirs)


def test_a_clock_that_jumps_about_makes_no_folders(plant: Plant) -> None:
    """Times far from their arrival stand together, where the partition is null; near ones have their hour."""
    days = [-(10**5), -400, -32, -30, 0, 0.5, 2, 10**4]
    times = [T0_NS + int(day * 24 * HOUR_NS) for day in days]
    plant.take([one_tag([Row(0, at, 1.0) for at in times])])
    plant.passes(LATE_S + CLOSE_S)
    assert len(plant.files()) == 4
    rows = duckdb.sql(f"SELECT date IS NULL, count(*) FROM '{plant.folder}/{ALL}' GROUP BY 1 ORDER BY 1").fetchall()
    assert rows == [(False, 3), (True, 5)]
    frame = polars.read_parquet(f"{plant.folder}/{ALL}", hive_partitioning=True)
    assert frame["date"].null_count() == frame["hour"].null_count() == 5
    assert sorted(frame["time"].dt.timestamp("ns").to_list()) == sorted(times)


def test_no_name_of_a_file_comes_from_the_plant(plant: Plant) -> None:
    """Whatever an asset is called, the folder holds what digits and our own words make."""
    plant.take([one_tag([Row(0, T0_NS, "../x")], name="../../etc/x\0\n*")])
    plant.passes()
    for one in plant.folder.rglob("*"):
        words = one.relative_to(plant.folder).as_posix()
        assert words == ".checkvalve-lake" or hour_of(
            "/".join(words.split("/")[:2]) + "/hour=8" * (words.count("/") < 1)
        )


def _full_file(held: int, mode: str) -> io.FileIO:
    os.close(held)
    return io.FileIO("/dev/full", mode)


def _full_commit(self: AtomicFile) -> int:
    raise StoreError("no") from FULL


@pytest.mark.parametrize("where", ["a folder", "a row group", "the end"])
def test_a_full_disk_of_the_folder_is_told_and_resumes(where: str, plant: Plant) -> None:
    """Wherever it is met: nothing half stands there, nothing is lost, the status says it, and room ends it."""
    plant.take(hourly(9))
    patches: dict[str, Any] = {
        "a folder": mock.patch.object(os, "mkdir", side_effect=FULL),
        "a row group": mock.patch.object(os, "fdopen", _full_file),
        "the end": mock.patch.object(AtomicFile, "commit", _full_commit),
    }
    with patches[where]:
        for _ in range(3):
            plant.passes()
            status = plant.one.status()
            assert "No space left" in status["trouble"]
            assert "make room" in status["next_step"]
            assert status["behind_s"] > 0
        plant.take(hourly(2, begin=9))
        assert not plant.files()
    plant.passes()
    plant.passes()
    assert not plant.one.status()["trouble"]
    assert plant.held() == plant.right()


def test_a_file_that_has_its_name_in_spite_of_an_error_is_known(plant: Plant) -> None:
    """The rename was done and the sync behind it failed: what came meanwhile stands in another file, nothing in two."""
    commit = AtomicFile.commit

    def named(self: AtomicFile) -> int:
        commit(self)
        raise StoreError("the folder cannot be synced") from OSError(errno.EIO, os.strerror(errno.EIO))

    plant.take(hourly(5))
    with mock.patch.object(AtomicFile, "commit", named):
        plant.passes()
    assert "cannot be synced" in plant.one.status()["trouble"]
    assert len(plant.files()) == 1
    plant.take(hourly(3, begin=5))
    plant.passes()
    plant.passes()
    assert plant.held() == plant.right()
    assert len(plant.files()) == 2


def test_a_disk_that_is_not_mounted_is_not_written_under(plant: Plant) -> None:
    """An empty folder in its place is told and left empty; what waits is written once the disk is back."""
    plant.take(hourly(3))
    plant.passes()
    plant.folder.rename(plant.folder.with_name("disk"))
    plant.take(hourly(9, begin=3))
    plant.passes()
    assert "not there" in plant.one.status()["trouble"]
    plant.folder.mkdir()
    plant.passes()
    assert "another folder than before" in plant.one.status()["trouble"]
    assert ".checkvalve-lake" in plant.one.status()["next_step"]
    assert not list(plant.folder.iterdir())
    plant.folder.rmdir()
    plant.folder.with_name("disk").rename(plant.folder)
    plant.passes()
    assert plant.held() == plant.right()


def test_a_folder_is_one_outputs(plant: Plant, tmp_path: Path) -> None:
    """A second one is told whose it is, and writes nothing."""
    plant.take(hourly(1))
    plant.passes()
    before = plant.files()
    other = ParquetOutput(tmp_path / "other.db", plant.folder, clock=lambda: plant.wall_ns)
    other.take(hourly(1), b"1")
    other.step(1e6)
    assert "belongs to the output lake" in other.status()["trouble"]
    assert plant.files() == before
    other.close()


def test_a_folder_that_is_a_file_is_called_one(tmp_path: Path) -> None:
    """`--check` does not send anybody to mount the disk of something that is there."""
    file = tmp_path / "plant"
    file.write_text("x")
    asked = {"kind": "parquet", "name": "lake", "scope": "all", "folder": str(file)}
    ((key, line),) = ParquetTable.model_validate(asked).look()
    assert (key, line) == ("folder", f"{file} is a file, and no folder; name a folder, or move the file away")


def test_a_folder_of_somebody_elses_is_not_written_into(tmp_path: Path) -> None:
    """The folder of keys, written down by mistake, gets no file and no mark; `--check` says so too."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "open.key").write_text("secret")
    one = ParquetOutput(tmp_path / "x.db", keys)
    one.take(hourly(1), b"1")
    one.step(1e6)
    assert "holds what no output wrote, such as open.key" in one.status()["trouble"]
    assert [path.name for path in keys.iterdir()] == ["open.key"]
    one.close()
    section = {"kind": "parquet", "name": "x", "scope": "all", "folder": str(keys)}
    ((key, text),) = ParquetTable.model_validate(section).look()
    assert key == "folder"
    assert "a folder of its own" in text


def test_what_is_older_than_it_is_kept_goes_and_does_not_come_back(tmp_path: Path) -> None:
    """By hours of sample time; what comes of them later is counted and written nowhere."""
    plant = Plant(tmp_path, keep_days=2)
    plant.wall_ns = T0_NS + HOUR_NS
    old, new = hourly(3), hourly(3, begin=9 * 50)
    plant.take(old)
    plant.passes()
    plant.wall_ns = T0_NS + 52 * HOUR_NS
    plant.take(new)
    plant.passes()
    plant.one.tidy()
    plant.take([samples(7), *old])
    plant.passes()
    plant.blocks = new
    assert plant.held() == plant.right()
    assert not list(plant.folder.glob("date=2025-11-23/hour=8"))
    status = plant.one.status()
    assert status["older_than_kept"] == len(facts([samples(7), *old]))
    assert status["acknowledged"] == status["taken"] - status["older_than_kept"]


def test_a_clock_that_jumps_ahead_takes_no_file_away(tmp_path: Path) -> None:
    """Ours, to 2099: what is kept is reckoned from the samples, whose times are of the other side."""
    plant = Plant(tmp_path, keep_days=2)
    plant.wall_ns = T0_NS + HOUR_NS
    plant.take(hourly(30))
    plant.passes()
    plant.wall_ns += 73 * 366 * 24 * HOUR_NS
    plant.passes()
    plant.one.tidy()
    plant.take(hourly(3, begin=30))
    plant.passes(LATE_S)
    assert plant.held() == plant.right()
    assert plant.one.status()["older_than_kept"] == 0


def test_a_large_hour_is_written_in_steps_that_hold_nothing_up(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row group a step, so that journal and status wait for none; what is taken meanwhile comes later."""
    monkeypatch.setattr(hour_file, "GROUP_ROWS", 50)
    for one in hourly(36, step=100):
        plant.take([one])
    now, steps = CLOSE_S + 1, 0
    while plant.one.step(now) == 0.0:
        steps += 1
        if steps == 4:
            plant.take([samples(3599)])
    assert steps > 6
    plant.passes()
    plant.passes()
    assert plant.held() == plant.right()
    groups = [pyarrow.parquet.ParquetFile(plant.folder / one).num_row_groups for one in plant.files()]
    assert max(groups) > 4
