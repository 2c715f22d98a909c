"""Laws of the history as a whole: its log of arrivals, and its largest size."""

from __future__ import annotations

import math
import random
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from history_blocks import ALL, SECOND, T0, batch, block, never, opened, shrink, some_blocks, stream

from protocol.content.sample import Row
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.whole import arrival_log
from receiver.outputs.historian.whole.whole_history import WantedSamples, WholeHistory

HOUR = 3600 * SECOND


def logged(folder: Path) -> list[tuple[int, int, int, int, bool]]:
    """Sequence, stream, block, millisecond and healing, as a reader looks them up."""
    history = WholeHistory(folder, ALL)
    out = []
    for stream_number in history.streams:
        for number in range(200):
            rows = [np.array([one]) for one in (stream_number, number)]
            found = history.arrivals.look_up(*rows)
            if found.sequence[0] >= 0:
                at = int(found.sequence[0]), stream_number, number, int(found.at_ms[0]), bool(found.healed[0])
                out.append(at)
    history.close()
    return sorted(out)


@pytest.mark.parametrize("size", [4, 50])
def test_every_block_is_in_the_log_once_in_the_order_of_hand_overs(size: int, tmp_path: Path) -> None:
    """Whatever is handed over together, after restarts too, and a block that comes twice is there once."""
    blocks = some_blocks(random.Random(1), stream(), 60, 4)
    random.Random(2).shuffle(blocks)
    order = []
    for at in range(0, 60, size):
        part = blocks[at : at + size]
        output = opened(tmp_path)
        output.take([*part, *blocks[: at // 2]], b"")
        output.close()
        order += [
            (one.number, one.received_ns // 10**6, one.healed) for one in sorted(part, key=lambda one: one.number)
        ]
    told = logged(tmp_path)
    assert [one[0] for one in told] == list(range(60))
    assert [one[2:] for one in told] == order


def test_the_log_goes_with_what_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the history's age; numbers are never used again, and the newest run stays."""
    monkeypatch.setattr(arrival_log, "RUN_MS", 1000)
    output = opened(tmp_path)
    for hour in range(30):
        output.take([block(stream(), hour, batch([Row(0, T0, 1.0)]), received_ns=T0 + hour * HOUR)], b"")
        output.retain(T0 + hour * HOUR, 10 * 3600.0)
    output.close()
    kept = [one[0] for one in logged(tmp_path)]
    assert kept == list(range(20, 30))
    output = opened(tmp_path)
    output.take([block(stream(), 50, batch([Row(0, T0, 1.0)]))], b"")
    output.close()
    assert logged(tmp_path)[-1][0] == 30


def test_a_history_of_an_earlier_build_has_a_log_from_now_on(tmp_path: Path) -> None:
    """What came before has no arrival, and is read as well."""
    output = opened(tmp_path)
    output.take(some_blocks(random.Random(3), stream(), 10, 4), b"")
    output.close()
    with sqlite3.connect(tmp_path / "current.db") as connection:
        connection.executescript("DROP TABLE arrival; DROP TABLE arrival_log;")
    connection.close()
    assert logged(tmp_path) == []
    output = opened(tmp_path)
    output.take(some_blocks(random.Random(3), stream(), 12, 4), b"")
    output.close()
    assert [one[2] for one in logged(tmp_path)] == [10, 11]


def test_a_history_that_is_too_large_loses_its_oldest_month_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month at a time, never the newest; what it held is named, and a month too large alone is told instead."""
    shrink(monkeypatch)
    now = [T0]
    output = HistorianOutput(tmp_path, clock=lambda: now[0], wait=never)
    for month in range(4):
        now[0] = T0 + month * 31 * 24 * HOUR
        rows = [Row(0, T0 + row, 1.0) for row in range(400)]
        output.take([block(stream(), month * 9 + n, batch(rows)) for n in range(9)], b"")
        while output.step(0.0) < 3600:
            pass
    names = sorted(path.name for path in tmp_path.glob("????-??.db"))
    assert len(names) == 4
    output.tidy()
    assert output.status()["dropped_months"] == 0
    size = output.status()["disk_bytes"]
    output.close()

    output = HistorianOutput(tmp_path, clock=lambda: now[0], wait=never, most_bytes=size / 2)
    output.tidy()
    assert sorted(path.name for path in tmp_path.glob("????-??.db")) == names[1:]
    assert any(f"the month {names[0][:7]} " in line for line in output.status()["warnings"])
    for _ in range(5):
        output.tidy()
    left = sorted(path.name for path in tmp_path.glob("????-??.db"))
    assert output.status()["disk_bytes"] <= size / 2 or left == names[3:]
    output.close()

    output = HistorianOutput(tmp_path, clock=lambda: now[0], wait=never, most_bytes=1.0)
    for _ in range(5):
        output.tidy()
    assert sorted(path.name for path in tmp_path.glob("????-??.db")) == names[3:]
    assert any("with its newest month alone" in line for line in output.status()["warnings"])
    output.close()
    output = HistorianOutput(tmp_path, clock=lambda: now[0], wait=never, most_bytes=math.inf)
    assert sum("the month 20" in line for line in output.status()["warnings"]) == 3
    output.close()


def test_readers_and_an_export_go_on_while_months_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is of samples that were there, in order and once; an export says that chunks went before it."""
    shrink(monkeypatch)
    now, per_month = [T0], 360
    output = HistorianOutput(tmp_path, clock=lambda: now[0], wait=never)
    for month in range(4):
        now[0] = T0 + month * 31 * 24 * HOUR
        rows = [Row(0, now[0] + row * SECOND, float(month)) for row in range(per_month)]
        output.take([block(stream(), month * 9 + n, batch(rows[n * 40 : n * 40 + 40])) for n in range(9)], b"")
        while output.step(0.0) < 3600:
            pass
    size = output.status()["disk_bytes"]
    output.close()
    door, history = Door(tmp_path, ALL), WholeHistory(tmp_path, ALL)
    (series,) = (tag.series for asset in door.assets() for tag in door.tags(asset.asset.name))
    wanted = WantedSamples(series=[series], from_ns=0, to_ns=2**62, since=-1)
    spans = history.spans(wanted)
    parts, exported = history.parts(wanted, spans), []
    output = HistorianOutput(tmp_path, clock=lambda: now[0], wait=never, most_bytes=size / 3)
    counts = []
    for part in parts:
        output.tidy()
        exported.append(part.rows.time_ns)
        if len(exported) % 6:
            continue
        told = door.samples(series, 0, 2**62, None)
        trend = door.trend(series, T0, now[0] + HOUR, 100)
        seen = [one.time_ns for one in told]
        assert seen == sorted(set(seen))
        assert int(trend.count.sum()) == len(told)
        counts.append(len(told))
    assert counts == sorted(counts, reverse=True)
    assert per_month <= counts[-1] < 4 * per_month, "nothing went"
    whole = np.concatenate(exported)
    assert (np.diff(whole) > 0).all()
    assert len(whole) == 4 * per_month or history.gone
    assert [one.time_ns for one in told] == whole[-len(told) :].tolist(), "what stayed is in the export"
    for one in (output, door, history):
        one.close()
