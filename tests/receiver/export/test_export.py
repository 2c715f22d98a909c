"""Laws of an export: every sample once, exactly, whoever reads the file; and nothing where it is not whole."""

from __future__ import annotations

import csv
import math
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import polars
import pyarrow.parquet
import pytest
from exporting import TOML, asked, keep, write
from history_blocks import ALL, BOOT, SECOND, T0, batch, block, expected, shrink, some_blocks, stream

from protocol.content.sample import Row
from protocol.errors import ConfigError, StoreError
from receiver.config import ReceiverConfig
from receiver.export import csv_text, writing
from receiver.export.atomic_file import PART
from receiver.export.choice import ExportChoice
from receiver.export.csv_text import harmless
from receiver.outputs.base import OpenedBlock
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.whole.whole_history import WantedSamples, WholeHistory

NAMES = ("asset", "tag", "time", "kind", *(f"value_{kind}" for kind in ("double", "int", "uint", "bool", "text")))
LATER = f"SELECT {', '.join(NAMES)}".replace("time", "epoch_ns(time)")


def values(rows: list[dict[str, Any]]) -> dict[str, list[tuple[int, Any]]]:
    """By asset and tag: times and values, whatever column they are in."""
    told: dict[str, list[tuple[int, Any]]] = {}
    for row in rows:
        held = [row[name] for name in row if name.startswith("value_") and row[name] is not None]
        assert len(held) == (row["kind"] not in ("none", "nan")), row
        told.setdefault(f"{row['asset']}/{row['tag']}", []).append((row["time"], held[0] if held else None))
    return told


def right(blocks: list[OpenedBlock]) -> dict[str, list[tuple[int, Any]]]:
    """The same, as it must be."""
    return {name: [(one.time_ns, one.value) for one in held] for name, held in expected(blocks)[0].items()}


def as_duckdb_reads(path: Path) -> list[dict[str, Any]]:
    return [dict(zip(NAMES, row, strict=True)) for row in asked(f"{LATER} FROM '{path}'")]


def as_polars_reads(path: Path) -> list[dict[str, Any]]:
    return polars.read_parquet(path).with_columns(polars.col("time").dt.timestamp("ns")).to_dicts()


def as_pyarrow_reads(path: Path) -> list[dict[str, Any]]:
    table = pyarrow.parquet.read_table(path)
    at = table.schema.get_field_index("time")
    rows: list[dict[str, Any]] = (
        table.set_column(at, "time", table["time"].cast("int64")).drop_columns(["other_time", "arrived"]).to_pylist()
    )
    return rows


@pytest.mark.parametrize("read", [as_duckdb_reads, as_polars_reads, as_pyarrow_reads])
def test_every_sample_is_in_the_parquet_file_once_and_exact(
    low: ReceiverConfig, monkeypatch: pytest.MonkeyPatch, read: Any
) -> None:
    """Whatever is hot or sealed, early or late: all readers see what came, unsigned 64 bits included."""
    shrink(monkeypatch)
    monkeypatch.setattr(writing, "GROUP_ROWS", 100)
    blocks = some_blocks(random.Random(1), stream(), 60, 12)
    random.Random(1).shuffle(blocks)
    keep(low, blocks)
    out, told = write(low, "all.parquet")
    rows = read(out)
    assert values(rows) == right(blocks)
    assert told["samples"] == len(rows)
    assert pyarrow.parquet.ParquetFile(out).num_row_groups > 1


def test_the_identity_of_a_sample_is_unlike_any_other(low: ReceiverConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a block has a tag twice at one time; and the same comes out of every export."""
    shrink(monkeypatch)
    keep(low, [block(stream(), 0, batch([Row(0, T0, float(n // 2)) for n in range(6)])), *_more(40)])
    names = ["stream", "block", "asset", "tag", "version", "time", "row"]
    first = polars.read_parquet(write(low, "a.parquet")[0])
    assert first.select(names).is_duplicated().sum() == 0
    keep(low, _more(80, begin=40))
    second = polars.read_parquet(write(low, "b.parquet")[0])
    assert first.join(second, on=[*names, "status"], how="anti").is_empty()


def test_there_is_no_nan_in_a_file_and_infinity_stays(low: ReceiverConfig) -> None:
    """NaN is null and `kind` says it; -0.0 and infinities come back as they are."""
    given = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.0]
    keep(low, [block(stream(), 0, batch([Row(0, T0 + at, one) for at, one in enumerate(given)]))])
    out, _ = write(low, "a.parquet")
    rows = polars.read_parquet(out)
    assert rows["kind"].to_list() == ["nan", *["double"] * 5]
    assert repr(rows["value_double"].to_list()) == repr([None, math.inf, -math.inf, -0.0, 5e-324, 1.0])
    assert asked(f"SELECT max(value_double), count(value_double) FROM '{out}'") == [(math.inf, 5)]
    lines = list(csv.DictReader(write(low, "a.csv")[0].read_text().splitlines()))
    assert [one["value"] for one in lines] == ["", "inf", "-inf", "-0.0", "5e-324", "1.0"]


def test_a_csv_file_has_the_same_samples_and_says_its_zone(
    low: ReceiverConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line a sample, times in UTC with Z, read alike by DuckDB and polars, plain and compressed."""
    shrink(monkeypatch)
    blocks = some_blocks(random.Random(3), stream(), 40, 12)
    keep(low, blocks)
    count = sum(len(held) for held in right(blocks).values())
    for name in ("a.csv", "a.csv.gz", "a.csv.zst"):
        out, told = write(low, name)
        assert told["samples"] == count
        (rows,) = asked(f"SELECT count(*), min(time)::VARCHAR FROM read_csv('{out}')")
        assert rows[0] == count
        times = sorted(at for held in right(blocks).values() for at, _ in held)
        named = "types={'time': 'TIMESTAMPTZ_NS'}"
        assert [at for (at,) in asked(f"SELECT epoch_ns(time) FROM read_csv('{out}', {named}) ORDER BY 1")] == times
        exact = polars.read_csv(out, schema_overrides={"time": polars.Datetime("ns", "UTC")})
        assert exact["time"].dt.timestamp("ns").sort().to_list() == times
        held = polars.read_csv(out, infer_schema=False)
        assert len(held) == count
        assert all(one.endswith("Z") and len(one) == 30 for one in held["time"].to_list())
    high = [one for one in held.to_dicts() if one["kind"] == "uint"]
    assert {one["value"] for one in high} <= {"0", "7", str(2**63 + 5), str(2**64 - 1)}
    assert str(2**64 - 1) in {one["value"] for one in high}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3|cmd", "'-2+3|cmd"),
        ("＝1", "'＝1"),
        ("a;=1+1", "a;'=1+1"),
        ('a"=1', "a\"'=1"),
        ("\t=1", "\\t=1"),
        (" =1", " '=1"),
        ("'=1", "'''=1"),
        ("'kept", "''kept"),
        ("a\n=1", "a\\n=1"),
        ("x-y=z", "x-y=z"),
        ("m³/h", "m³/h"),
    ],
)
def test_a_text_of_the_plant_is_no_formula_in_any_spreadsheet(text: str, told: str) -> None:
    """Wherever a cell could begin, whichever separator is taken; and it stays one line."""
    assert harmless(text) == told


def test_a_hostile_text_stands_in_one_cell(low: ReceiverConfig) -> None:
    """Separators, quotes and line ends in a value make no column and no line."""
    hostile = '=cmd|"/c calc"!A1,\n;+1\x00\x1b[2J'
    keep(low, [block(stream(), 0, batch([Row(3, T0, hostile), Row(3, T0 + 1, "-5"), Row(4, T0, -5)]))])
    data = write(low, "a.csv")[0].read_text()
    assert data.count("\n") == 4
    rows = list(csv.DictReader(data.splitlines()))
    assert [one["value"] for one in rows] == ["-5", "'=cmd|\"/c calc\"!A1,\\n;'+1\\x00\\x1b[2J", "'-5"]
    assert polars.read_parquet(write(low, "a.parquet")[0])["value_text"].to_list() == [None, hostile, "-5"]


def test_what_heals_late_is_in_the_next_export_and_nothing_else(
    low: ReceiverConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cursor is of arrival: a block of last week that came now is new; each sample is in one export."""
    shrink(monkeypatch)
    blocks = some_blocks(random.Random(5), stream(), 90, 12)
    late = [one for one in blocks if one.number % 7 == 3]
    groups = [
        [one for one in blocks[:40] if one not in late],
        [*late, *(one for one in blocks[40:] if one not in late)],
    ]
    seen: Counter[tuple[Any, ...]] = Counter()
    cursor = None
    for number, group in enumerate([*groups, []]):
        keep(low, group)
        out, told = write(low, f"{number}.parquet", since=cursor)
        cursor = told["next"]
        rows = polars.read_parquet(out)
        assert set(rows["block"]) <= {one.number for one in group}
        healed = dict(zip(rows["block"], rows["healed"], strict=True))
        assert healed == {one.number: one.healed for one in group if one.number in healed}
        seen.update(rows.select("block", "asset", "tag", "time", "row").rows())
    assert set(seen.values()) == {1}
    assert seen.total() == sum(len(held) for held in right(blocks).values())


def test_arrival_is_told_to_the_millisecond(low: ReceiverConfig) -> None:
    """Whatever run of blocks it was logged in; a clock that is set back begins another run."""
    times = [T0, T0 + 250 * 10**6, T0 + 59 * SECOND, T0 + 61 * SECOND, T0 - SECOND, T0 - SECOND]
    keep(low, [block(stream(), n, batch([Row(0, T0 + n, 1.0)]), received_ns=at) for n, at in enumerate(times)], size=2)
    rows = polars.read_parquet(write(low, "a.parquet")[0])
    assert rows["arrived"].dt.timestamp("ms").to_list() == [at // 10**6 for at in times]


def test_an_export_since_a_time_begins_with_the_first_block_that_came_then(low: ReceiverConfig) -> None:
    """Not with a sample of that time."""
    keep(low, [block(stream(), n, batch([Row(0, T0 - n, 1.0)]), received_ns=T0 + n * SECOND) for n in range(20)])
    since = "2025-11-23T08:00:12Z"  # T0 and 12 s
    rows = polars.read_parquet(write(low, "a.parquet", since=since)[0])
    assert sorted(rows["block"].to_list()) == list(range(12, 20))
    out, told = write(low, "b.parquet", since="2025-11-22T00:00Z")
    assert len(polars.read_parquet(out)) == 20
    assert "no arrival time" not in str(told["warnings"])


def test_a_cursor_of_another_history_is_refused(low: ReceiverConfig) -> None:
    """Made anew, put back: it would miss what it cannot know; the next step is said."""
    keep(low, _more(3))
    _, told = write(low, "a.parquet")
    log, at, mark = told["next"].split("-")
    assert at == "3"
    for wrong in (f"{'0' * 8}-{at}-{mark}", f"{log}-4-{mark}", f"{log}-2-{mark}", f"{log}-3-00000000"):
        with pytest.raises(ConfigError, match="another history") as caught:
            write(low, "b.parquet", since=wrong)
        assert "export all of it once" in caught.value.hint


def test_a_copy_that_was_put_back_and_went_on_is_told_from_the_history_that_was(
    low: ReceiverConfig, tmp_path: Path
) -> None:
    """Its numbers are used again for other blocks: a cursor would miss some."""
    keep(low, _more(10))
    shutil.copytree(low.state / "history", tmp_path / "copy")
    keep(low, _more(15, begin=10))
    _, told = write(low, "a.parquet")
    shutil.rmtree(low.state / "history")
    (tmp_path / "copy").rename(low.state / "history")
    keep(low, _more(40, begin=20))
    with pytest.raises(ConfigError, match="another history"):
        write(low, "b.parquet", since=told["next"])


def test_gaps_go_with_the_file(low: ReceiverConfig) -> None:
    """From when to when, which blocks; an empty table where there are none, and a null where it is still open."""
    keep(low, [one for one in _more(10) if one.number not in (3, 4)])
    for name in ("a.parquet", "a.csv"):
        _, told = write(low, name)
        path = Path(told["gaps_file"])
        assert path.name == name.replace("a.", "a.gaps.")
        rows = (polars.read_parquet if name.endswith("parquet") else polars.read_csv)(path).to_dicts()
        assert [(one["blocks"], one["first_block"], one["what"]) for one in rows] == [(2, 3, "blocks are missing")]
    keep(low, [one for one in _more(10) if one.number in (3, 4)])
    assert write(low, "b.parquet")[1]["gaps"] == 0
    assert polars.read_parquet(low.path.parent / "b.gaps.parquet").columns[:3] == ["site", "from", "to"]


def test_buckets_are_those_of_the_pages(low: ReceiverConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Least, greatest, mean and counts at whole multiples of the width; null where nothing is a number."""
    shrink(monkeypatch)
    keep(low, some_blocks(random.Random(7), stream(), 80, 12))
    monkeypatch.setattr(writing, "BUCKETS_MOST", 3)
    span = {"from_text": "2025-11-23T08:00:00Z", "to_text": "2025-11-23T08:02:00Z", "buckets": "10s"}
    rows = polars.read_parquet(write(low, "a.parquet", **span)[0])
    door = Door(low.state / "history", ALL)
    (series,) = [one for one in door.tags("pump-7") if one.tag.name == "pressure"]
    trend = door.trend(series.series, T0, T0 + 120 * SECOND, 12)
    of_tag = rows.filter((polars.col("asset") == "pump-7") & (polars.col("tag") == "pressure"))
    assert of_tag["time"].dt.timestamp("ns").to_list() == trend.start_ns.tolist()
    for name in ("low", "high", "count", "bad"):
        assert of_tag[name].to_list() == getattr(trend, name).tolist()
    texts = rows.filter(polars.col("tag") == "mode")
    assert texts["mean"].null_count() == len(texts) > 0


def test_only_what_was_asked_for_is_in_the_file(low: ReceiverConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """By asset, tag, vendor and time; `--to` is the first moment that is not in it."""
    shrink(monkeypatch)
    keep(low, _more(40))
    rows = polars.read_parquet(
        write(low, "a.parquet", choice=ExportChoice(assets=("p*",), tags=("running", "mode")))[0]
    )
    assert set(rows["asset"]) == {"pump-7", "press-1"}
    assert set(rows["tag"]) == {"running", "mode"}
    assert set(polars.read_parquet(write(low, "v.parquet", vendor="Acme")[0])["asset"]) == {"pump-7", "relay-2"}
    span = {"from_text": "2025-11-23 09:00:10", "to_text": "2025-11-23 09:00:20", "zone": "Europe/Berlin"}
    times = polars.read_parquet(write(low, "t.parquet", **span)[0])["time"].dt.timestamp("ns")
    inside = [at for held in right(_more(40)).values() for at, _ in held if T0 + 10 * SECOND <= at < T0 + 20 * SECOND]
    assert sorted(times) == sorted(inside)
    with pytest.raises(ConfigError, match="no asset here is called 'pumps'") as caught:
        write(low, "x.parquet", choice=ExportChoice(assets=("pumps",)))
    assert "press-1" in caught.value.hint
    with pytest.raises(ConfigError, match="no asset here is of vendor 'acme'"):
        write(low, "x.parquet", vendor="acme")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"from_text": "2026-11-01"}, "does not say its time zone"),
        ({"from_text": "2026-11-01T06:00"}, "does not say its time zone"),
        ({"from_text": "yesterday"}, "is no time"),
        ({"from_text": "2026-13-01Z"}, "is no time"),
        ({"from_text": "2026-10-25T02:30", "zone": "Europe/Berlin"}, "comes twice there"),
        ({"from_text": "2026-03-29T02:30", "zone": "Europe/Berlin"}, "does not exist there"),
        ({"from_text": "2026-11-01", "zone": "Berlin"}, "is no time zone"),
        ({"from_text": "2026-11-02Z", "to_text": "2026-11-01Z"}, "--from is not before --to"),
        ({"from_text": "9999-01-01Z"}, "out of range"),
        ({"from_text": "2026-11-01T06:00+25:00"}, "is no time"),
        ({"buckets": "1h"}, "needs --from and --to"),
        ({"buckets": "0s", "from_text": "2026-11-01Z", "to_text": "now"}, "no width of a bucket"),
        ({"buckets": "1us", "from_text": "2026-11-01Z", "to_text": "now"}, "no width of a bucket"),
        ({"buckets": "1000000d", "from_text": "2026-11-01Z", "to_text": "now"}, "no width of a bucket"),
        ({"since": "2026-11-01"}, "does not say its time zone"),
        ({"form": "csv"}, "--format csv, and the file is called"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_next_step(
    low: ReceiverConfig, typed: dict[str, Any], told: str
) -> None:
    """A time without its zone, one that a changed clock makes twice, options that contradict; nothing is made."""
    keep(low, _more(2))
    with pytest.raises(ConfigError, match=told) as caught:
        write(low, "a.parquet", **typed)
    assert caught.value.hint
    assert not list(low.path.parent.glob("a.*"))


def test_an_export_that_fails_leaves_nothing_that_looks_like_one(
    low: ReceiverConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told, exit 3; neither file is there, and no part of one."""
    keep(low, _more(40))
    monkeypatch.setattr(csv_text, "lines", _full)
    with pytest.raises(StoreError, match="No space left"):
        write(low, "a.csv")
    assert not list(low.path.parent.glob("a.*"))


def test_what_a_killed_export_left_is_written_over_and_a_file_that_is_there_is_not(low: ReceiverConfig) -> None:
    """The name of a part is always the same, so that they do not pile up; a whole file is replaced when asked."""
    keep(low, _more(3))
    (low.path.parent / f"a.csv{PART}").write_text("cut short" * 1000)
    out, told = write(low, "a.csv")
    assert len(out.read_text().splitlines()) == told["samples"] + 1
    with pytest.raises(ConfigError, match="is there already"):
        write(low, "a.csv")
    assert write(low, "a.csv", replace=True)[1]["samples"] == told["samples"]
    (low.path.parent / f"b.csv{PART}").symlink_to(low.path)
    os.mkfifo(low.path.parent / f"c.csv{PART}")
    for name in ("b.csv", "c.csv"):
        with pytest.raises(ConfigError):
            write(low, name)
    assert low.path.read_text() == TOML


@pytest.mark.parametrize("replace", [True, False])
def test_a_device_a_pipe_and_a_link_are_not_taken_away_for_an_export(low: ReceiverConfig, *, replace: bool) -> None:
    """What is no plain file stays, whatever was said; a link that leads nowhere is there already."""
    keep(low, _more(2))
    folder = low.path.parent
    os.mkfifo(folder / "pipe.csv")
    (folder / "link.csv").symlink_to(folder / "nowhere")
    with pytest.raises(ConfigError, match="a device or a pipe"):
        write(low, "pipe.csv", replace=replace)
    assert (folder / "pipe.csv").is_fifo()
    if not replace:
        with pytest.raises(ConfigError, match="is there already"):
            write(low, "link.csv")
        assert (folder / "link.csv").is_symlink()


def test_memory_does_not_grow_with_the_history(low: ReceiverConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many samples a tag has, few of them are held at a time."""
    shrink(monkeypatch)
    rows = [Row(0, T0 + n * SECOND, float(n)) for n in range(4000)]
    keep(low, [block(stream(), n, batch(rows[n * 40 : n * 40 + 40])) for n in range(100)])
    history = WholeHistory(low.state / "history", ALL)
    wanted = WantedSamples(series=[one.series for one in history.tags()])
    sizes = [len(part.rows) for part in history.parts(wanted, history.spans(wanted))]
    history.close()
    assert sum(sizes) == 4000
    assert max(sizes) < 200


def _more(count: int, begin: int = 0) -> list[OpenedBlock]:
    """Always the same blocks, from `begin` to `count - 1`."""
    return some_blocks(random.Random(11), stream(boot=BOOT), count, 12)[begin:]


def _full(table: object) -> bytes:
    raise OSError(28, "No space left on device")
