"""Laws of the bench: figures have stable names and one shape, and what cannot be measured is said."""

from __future__ import annotations

import gc
import json
import queue
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench import codec, fec
from bench.cli import BENCHES, app, benches
from bench.figures import BenchRow, document, machine, rate, show, undisturbed, write_section
from bench.mix import signals
from bench.sinks import fed_journal, line_rate, parquet_rate
from protocol.content.sample import ValueKind
from protocol.errors import ConfigError
from protocol.wire import erasure
from receiver.outputs.base import BatchBody, OpenedBlock, Output

CODEC_ROWS = ["codec.size", "codec.encode", "codec.decode"]
FEC_ROWS = [f"fec.{engine}.{way}" for engine in ("reedsolo", "numpy", "isal") for way in ("encode", "decode")]
KEYS = ["row", "value", "unit", "baseline", "ratio", "runs", "lost", "note"]


def plain(rows: list[BenchRow]) -> list[dict[str, Any]]:
    """The rows as the JSON file has them."""
    held: list[dict[str, Any]] = json.loads(document(rows, machine()))["rows"]
    return held


def test_value_is_the_median_of_the_runs_and_ratio_is_to_the_baseline() -> None:
    """Also where there is no baseline, and where nothing could be measured."""
    measured = BenchRow(row="a.b", unit="MB/s", runs=(1.0, 9.0, 4.0), baseline=2.0, lost=0)
    alone = BenchRow(row="a.c", unit="ms", runs=(3.0,))
    absent = BenchRow(row="a.d", unit="ms", baseline=2.0, note="pydiode is not installed")
    assert plain([measured, alone, absent]) == [
        dict(zip(KEYS, ["a.b", 4.0, "MB/s", 2.0, 2.0, [1.0, 9.0, 4.0], 0, ""], strict=True)),
        dict(zip(KEYS, ["a.c", 3.0, "ms", None, None, [3.0], None, ""], strict=True)),
        dict(zip(KEYS, ["a.d", None, "ms", 2.0, None, [], None, "pydiode is not installed"], strict=True)),
    ]


def test_machine_says_what_figures_depend_on() -> None:
    """Processor, cores, kernel, Python and the libraries' versions."""
    facts = machine()
    assert facts["cores"] >= 1
    assert all(facts[name] for name in ("date", "cpu", "memory_gb", "kernel", "python"))
    assert facts["libraries"]["numpy"] == np.__version__


def test_page_keeps_other_sections_and_replaces_its_own(tmp_path: Path) -> None:
    """Measuring one bench again changes its section and nothing else of the page."""
    page, facts = tmp_path / "bench.md", machine()
    write_section(page, "codec", [BenchRow(row="codec.size", unit="B", runs=(1.0,))], facts)
    write_section(page, "fec", [BenchRow(row="fec.x", unit="MB/s", runs=(2.0,), note="why")], facts)
    first = page.read_text()
    write_section(page, "codec", [BenchRow(row="codec.size", unit="B", runs=(0.5,))], facts)
    second = page.read_text()
    assert [line for line in second.splitlines() if line.startswith("#")] == ["# Measured", "## codec", "## fec"]
    assert "| `codec.size` | 1 |" in first
    assert "| `codec.size` | 0.5 |" in second
    assert "| `codec.size` | 1 |" not in second
    assert first.partition("## fec")[2] == second.partition("## fec")[2]
    assert "- `fec.x`: why" in second


def test_table_shows_every_row_and_note() -> None:
    """On a terminal too a missing figure is a row."""
    console = Console(record=True, width=160)
    show(
        [BenchRow(row="a.b", unit="ms", runs=(1234567.0, 3.0)), BenchRow(row="a.c", unit="ms", note="not here")],
        machine(),
        console,
    )
    text = console.export_text()
    assert "617,285" in text
    assert "a.c: not here" in text


def test_collector_runs_again_after_the_measurement() -> None:
    """It is off while figures are taken, and on again even where the work fails."""

    def fail() -> None:
        assert not gc.isenabled()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), undisturbed():
        fail()
    assert gc.isenabled()


def test_rate_fills_the_time_it_is_given() -> None:
    """Work is repeated until the processor time is filled, and counted."""
    calls: list[int] = []
    got = rate(lambda: calls.append(sum(range(2000))), 10.0, least_s=0.02)
    assert len(calls) > 10
    assert 0 < got <= len(calls) * 10.0 / 0.02


def test_signals_are_the_stated_mix_and_repeat_to_the_bit() -> None:
    """500 tags x 20 polls: 60 % floats, 26 % integers, 9 % bools, 5 % texts; another seed gives others."""
    first, again, other = signals(), signals(), signals(seed=4)
    shares = {kind: int((first.kind == kind).sum()) for kind in ValueKind}
    assert shares == {
        ValueKind.NONE: 0,
        ValueKind.FLOAT: 6000,
        ValueKind.INT: 2600,
        ValueKind.BOOL: 900,
        ValueKind.TEXT: 500,
    }
    assert first.floats.tobytes() == again.floats.tobytes()
    assert first.floats.tobytes() != other.floats.tobytes()
    by_register = (first.floats.astype(np.float32).astype(np.float64) == first.floats) & (
        np.round(first.floats, 2) != first.floats
    )
    assert 0.15 < by_register.mean() < 0.35
    assert 0 < (first.quality != 0).sum() < 40


def test_codec_rows_have_their_names_and_meet_the_size() -> None:
    """A short run: names, baselines, and the one figure that no machine changes."""
    rows = plain(codec.measure(runs=2, least_s=0.01))
    assert [row["row"] for row in rows] == CODEC_ROWS
    assert all(row["value"] > 0 and row["baseline"] > 0 for row in rows)
    assert rows[0]["value"] <= 1.1
    assert rows[0]["ratio"] <= 0.25


def test_fec_rows_have_their_names_and_numpy_and_isal_beat_reedsolo() -> None:
    """A short run; the factors are a tenth of what is claimed, so that a busy machine passes."""
    rows = {row["row"]: row for row in plain(fec.measure(runs=1, least_s=0.01))}
    assert list(rows) == FEC_ROWS
    assert rows["fec.numpy.encode"]["ratio"] > 10
    assert rows["fec.isal.encode"]["ratio"] > 100


def test_engine_that_is_not_there_is_a_row_without_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left out is not the same as not to be had."""

    def without_isal(name: str | None = None) -> erasure.Code:
        if name == "isal":
            raise ConfigError("no ISA-L", hint="install it")
        return erasure.Code(name)

    monkeypatch.setattr(fec, "Code", without_isal)
    rows = {row["row"]: row for row in plain(fec.measure(runs=1, least_s=0.001))}
    assert list(rows) == FEC_ROWS
    assert rows["fec.isal.encode"]["value"] is None
    assert rows["fec.isal.encode"]["note"] == "no ISA-L; install it"


def test_command_writes_json_and_page(tmp_path: Path) -> None:
    """`bench codec --json FILE --page PAGE`, by itself and through the front door's application."""
    for given in ((benches, ["codec"]), (app, ["bench", "codec"])):
        target, page = tmp_path / "codec.json", tmp_path / "bench.md"
        done = CliRunner().invoke(given[0], [*given[1], "--runs", "1", "--json", str(target), "--page", str(page)])
        assert done.exit_code == 0, done.output
        assert "codec.decode" in done.output
        held = json.loads(target.read_text())
        assert [row["row"] for row in held["rows"]] == CODEC_ROWS
        assert held["machine"]["python"] in page.read_text()


def test_every_bench_is_listed() -> None:
    """The registry is the list of commands."""
    done = CliRunner().invoke(benches, ["--help"])
    assert all(name in done.output for name in BENCHES)


class Silent(Output):
    """An output that keeps nothing."""

    kind = "silent"

    def place(self) -> bytes | None:
        return None

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        return

    def status(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> None:
        return


def test_a_bench_of_outputs_feeds_every_sample_of_its_journal(tmp_path: Path) -> None:
    """End to end begins at a journal as catch leaves it: what was written is what an output is handed."""
    count = fed_journal.journal(tmp_path / "journal", 3)
    taken: list[int] = []

    class Counting(Silent):
        def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
            taken.extend(len(one.body.columns) for one in blocks if isinstance(one.body, BatchBody))

    fed = fed_journal.fed(tmp_path / "journal", count, Counting(), lambda output: True)
    assert taken == [fed_journal.TAGS] * 3
    assert fed.samples == count == 3 * fed_journal.TAGS


def test_a_bench_of_files_writes_every_sample_of_its_journal(tmp_path: Path) -> None:
    """Hours that are over are not waited for, and what stands in the files is counted by what they say themselves."""
    count = fed_journal.journal(tmp_path / "journal", 3)
    told: queue.SimpleQueue[tuple[float, float]] = queue.SimpleQueue()
    parquet_rate._feed(tmp_path, count, told)
    seconds, rss_mb = told.get(timeout=1)
    assert seconds > 0 < rss_mb
    rows, size = parquet_rate._written(tmp_path / "plant")
    assert rows == count
    assert size > count


def test_lines_are_measured_beside_the_vendors_point() -> None:
    """The row has its stable name, runs, and what it is compared with."""
    (row,) = line_rate.measure(1, 0.001)
    assert row.row == "outputs.lines"
    assert row.value is not None
    assert row.baseline is not None
