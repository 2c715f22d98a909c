"""`outputs.lines`: columns to InfluxDB line protocol, beside the vendor's own `Point`.

Both make a line a sample with its series, value, quality and time; both are measured in the same run, turn by turn, by
processor time of one core. The samples are those of a poll of 5,000 tags (`fed_journal.py`); each round has them under
numbers and times of its own, as a block that comes again makes no lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from influxdb_client import Point

from bench.figures import BenchRow, rate, undisturbed
from bench.sinks.fed_journal import POLLS, opened
from receiver.outputs.base import BatchBody, OpenedBlock
from receiver.outputs.influx.lines import LineWriter

POINT_ROWS = 2_000
HOUR_NS = 3_600 * 10**9


def measure(runs: int = 3, least_s: float = 0.2) -> list[BenchRow]:
    """`outputs.lines`.

    Args:
        runs: Of each.
        least_s: Processor time of a run [s].
    """
    blocks = list(opened(POLLS))
    writer, rounds = LineWriter(), itertools.count(1)
    count = sum(len(writer.lines(one).splitlines()) for one in blocks)
    ours, theirs = [], []
    with undisturbed():
        for _ in range(runs):
            ours.append(rate(lambda: _lines(writer, blocks, next(rounds)), count, least_s))
            theirs.append(rate(lambda: _points(blocks[0]), POINT_ROWS, least_s))
    note = f"{count // POLLS} lines a block, 20 blocks; baseline: influxdb-client's Point, the same samples"
    return [BenchRow(row="outputs.lines", unit="lines/s", runs=tuple(ours), baseline=median(theirs), note=note)]


def _lines(writer: LineWriter, blocks: Sequence[OpenedBlock], turn: int) -> None:
    for one in blocks:
        writer.lines(_later(one, turn))
        writer.changes()  # as the store takes them with each hand-over


def _later(block: OpenedBlock, turn: int) -> OpenedBlock:
    """The block as it comes some hours later."""
    assert isinstance(block.body, BatchBody)
    columns = block.body.columns
    body = replace(block.body, columns=replace(columns, time_ns=columns.time_ns + turn * HOUR_NS))
    return replace(block, number=block.number + turn * POLLS, body=body)


def _points(block: OpenedBlock) -> bytes:
    assert isinstance(block.body, BatchBody)
    tags, out = block.stream.tags, []
    for row in list(block.body.columns.rows())[:POINT_ROWS]:
        tag = tags[row.tag]
        point = Point("sample").tag("asset", tag.asset).tag("site", block.stream.site).tag("tag", tag.name)
        out.append(point.field("v", row.value).field("q", 192).time(row.time_ns).to_line_protocol())
    return "\n".join(out).encode()
