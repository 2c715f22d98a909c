"""Journal columns to committed rows: the postgresql output against Debian's server, both on this machine.

What is timed begins with opened blocks and ends with the last COMMIT: packing, the store's own transactions with their
fsync, COPY, and the insert that passes over what is known. The server keeps its own defaults, fsync among them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.figures import BenchRow
from bench.mix import START_NS, signals
from bench.sinks.postgres_server import ABSENT, PASSWORD, PostgresServer, running
from protocol.content.catalog import Asset, Tag
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.postgresql.output import PostgresqlOutput
from receiver.outputs.postgresql.settings import PostgresqlTable

SAMPLES = 600_000
"""Of one run."""
TAKE = 16
"""Blocks of a hand-over: some 1 MB of journal, as the opener hands on."""


def measure(runs: int = 3) -> list[BenchRow]:
    """`outputs.postgresql`."""
    note = "opened blocks to committed rows, store and server on this machine; 500 tags, 1,000 samples a block"
    if ABSENT:
        return [BenchRow(row="outputs.postgresql", unit="samples/s", note=ABSENT)]
    rates, lost = [], 0
    with running() as server:
        for at in range(runs):
            rate, missing = _run(server, f"run_{at}")
            rates.append(rate)
            lost += missing
    return [BenchRow(row="outputs.postgresql", unit="samples/s", runs=tuple(rates), lost=lost, note=note)]


def _run(server: PostgresServer, schema: str) -> tuple[float, int]:
    """Samples a second, and how many are not there in the end."""
    blocks = list(_blocks(SAMPLES))
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        state = Path(name)
        (state / "password").write_text(PASSWORD)
        section = {"kind": "postgresql", "name": "bench", "scope": "all", "url": server.url, "user": "writer"}
        given = {**section, "password_file": str(state / "password"), "schema_name": schema}
        table = PostgresqlTable.model_validate(given)
        output = PostgresqlOutput.build(table, state, wait=time.sleep)
        began = time.monotonic()
        for at in range(0, len(blocks), TAKE):
            while not output.wants():
                output.step(time.monotonic())
            output.take(blocks[at : at + TAKE], b"%d" % at)
            output.step(time.monotonic())
        while output.status()["acknowledged"] < SAMPLES:
            output.step(time.monotonic())
        taken_s = time.monotonic() - began
        output.close()
    there = server.sql(f"SELECT count(*) FROM {schema}.sample")[0][0]  # noqa: S608 a name made above
    return SAMPLES / taken_s, SAMPLES - int(there)


def _blocks(samples: int) -> Iterator[OpenedBlock]:
    """Blocks of 1,000 samples: two polls of 500 tags."""
    polls = samples // 500
    whole = signals(500, polls)
    tags = {at: Tag(id=at, asset=f"dispatch-{at % 20}", name=f"tag-{at}") for at in range(1000, 1500)}
    of = StreamDescription(
        key=b"bench..1",
        boot=1,
        site="north",
        assets={f"dispatch-{at}": Asset(name=f"dispatch-{at}", site="north") for at in range(20)},
        tags=tags,
    )
    for number in range(samples // 1000):
        rows = whole.select(np.arange(number * 1000, (number + 1) * 1000))
        body = BatchBody(columns=rows, first_ns=START_NS, last_ns=START_NS)
        yield OpenedBlock(stream=of, number=number, healed=False, received_ns=START_NS, body=body)
