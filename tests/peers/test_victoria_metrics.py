"""The influx output against Debian's VictoriaMetrics, which nobody here wrote: killed, and nothing is missing.

Proves that lines are understood as they are meant and that a kill -9 after the acknowledgement loses none. Does not
prove anything of InfluxDB 2 or 3, which cannot be installed here.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.influx.output import CHECK_S, HOLD_S, InfluxOutput

BINARY = shutil.which("victoria-metrics") or ""
SECOND = 10**9
T0 = 1_763_884_800 * SECOND
TAGS = (
    Tag(id=0, asset="pump, 7", name="pressure=a b", unit="bar"),
    Tag(id=1, asset="pump, 7", name="running", type="bool"),
    Tag(id=2, asset="relay", name="trips", type="uint64"),
    Tag(id=3, asset="relay", name="mode", type="string"),
)
STREAM = StreamDescription(
    key=b"stream-1",
    boot=1,
    site="north",
    assets={"pump, 7": Asset(name="pump, 7", simulated=True), "relay": Asset(name="relay")},
    tags={tag.id: tag for tag in TAGS},
)
Series = dict[tuple[str, str], dict[int, float]]
"""By metric and tag name: time [ms] -> value."""

pytestmark = pytest.mark.skipif(not BINARY, reason="victoria-metrics is not installed (deploy/test-packages.txt)")


class Victoria:
    """The real server, which can be killed and started again on its port and its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._second = 0

    def start(self) -> None:
        until(lambda: int(time.time()) > self._second)  # it tells its start in whole seconds
        self._second = int(time.time())
        options = {
            "storageDataPath": self._folder,
            "httpListenAddr": f"127.0.0.1:{self._port}",
            "retentionPeriod": "100y",
            "search.latencyOffset": "0s",
            "dedup.minScrapeInterval": "1ms",
            "memory.allowedPercent": "5",
        }
        command = [BINARY, *(f"-{name}={value}" for name, value in options.items())]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.get("/health") is not None)
        self._second = int(time.time())

    def stop(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def get(self, path: str, **query: str) -> str | None:
        """A page, None where it cannot be had."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def stored(self) -> Series:
        """Everything there is of `sample`."""
        self.get("/internal/force_flush")
        out: Series = defaultdict(dict)
        query = {"match[]": '{__name__=~"sample.*"}', "start": str(T0 // SECOND - 99), "end": str(T0 // SECOND + 9999)}
        for line in (self.get("/api/v1/export", **query) or "").splitlines():
            told = json.loads(line)
            series = out[told["metric"]["__name__"], told["metric"]["tag"]]
            for when, value in zip(told["timestamps"], told["values"], strict=True):
                assert when not in series, "one sample, stored twice"
                series[when] = value
        return dict(out)


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition, for 20 s at most."""
    deadline = time.monotonic() + 20
    pause = socket.socketpair()
    try:
        pause[0].settimeout(0.02)
        while not holds():
            assert time.monotonic() < deadline, "it did not happen"
            try:
                pause[0].recv(1)
            except TimeoutError:
                continue
    finally:
        for end in pause:
            end.close()


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[Victoria]:
    """A fresh server."""
    server = Victoria(tmp_path / "victoria")
    server.start()
    yield server
    server.stop(signal.SIGKILL)


def output(folder: Path, url: str) -> InfluxOutput:
    """An output to the server; time is what `step` is told."""
    return InfluxOutput(
        folder / "peer.db",
        name="peer",
        url=url,
        token="",
        org="",
        bucket="plant",
        scope_text="all",
        chance=random.Random(1),
    )


def blocks(first: int, count: int) -> list[OpenedBlock]:
    """Blocks of all kinds of values, each sample in a millisecond of its own."""
    out = []
    for number in range(first, first + count):
        chance = random.Random(number)
        rows = []
        for row in range(200):
            tag = chance.randrange(4)
            value = (round(chance.gauss(4, 1), 3), chance.random() < 0.5, chance.randrange(2**64), f'{row} a="b", c')[
                tag
            ]
            at = T0 + number * SECOND + row * 1_000_000
            rows.append(Row(tag, at, None if row % 50 == 7 else value, 0x80050000 if row % 50 == 7 else 0))
        body = BatchBody(columns=from_rows(rows), first_ns=rows[0].time_ns, last_ns=rows[-1].time_ns)
        out.append(OpenedBlock(stream=STREAM, number=number, healed=False, received_ns=T0, body=body))
    return out


def wanted(given: list[OpenedBlock]) -> Series:
    """What a server must hold of these blocks, worked out sample by sample."""
    out: Series = defaultdict(dict)
    for one in given:
        assert isinstance(one.body, BatchBody)
        for row in one.body.columns.rows():
            tag, when = TAGS[row.tag], row.time_ns // 1_000_000
            out["sample_q", tag.name][when] = 192 if row.quality == 0 else 0
            if row.quality:
                out["sample_sc", tag.name][when] = row.quality
            if isinstance(row.value, bool):
                out["sample_vb", tag.name][when] = float(row.value)
            elif isinstance(row.value, int):
                out["sample_v", tag.name][when] = float(row.value % 2**64)
                if row.value > 2**53:
                    out["sample_vi", tag.name][when] = float(row.value)
            elif isinstance(row.value, float):
                out["sample_v", tag.name][when] = row.value
    return dict(out)


def same(have: Series, want: Series) -> bool:
    """The same samples; it keeps about 15 digits of a number (its own decimal form)."""
    times = {name: set(held) for name, held in have.items()} == {name: set(held) for name, held in want.items()}
    return times and all(
        math.isclose(held[when], value, rel_tol=1e-12)
        for name, held in have.items()
        for when, value in want[name].items()
    )


def pumped(one: InfluxOutput, now: float, until: Callable[[], bool]) -> float:
    """Step in virtual time until something holds; returns the time then."""
    for _ in range(3000):
        if until():
            return now
        now += max(one.step(now), 0.001)
    raise AssertionError(f"never: {one.status()}")


def drained(one: InfluxOutput) -> bool:
    """Everything was acknowledged."""
    return not one.status()["pending_lines"]


def test_killed_after_it_acknowledged_nothing_is_missing(tmp_path: Path, victoria: Victoria) -> None:
    """kill -9 straight after the answer loses lines there; in the end every sample is there, once, with its value."""
    given = blocks(0, 6)
    one = output(tmp_path, victoria.url)
    one.take(given[:3], b"1")
    now = pumped(one, 0.0, lambda: drained(one))
    one.step(now := now + CHECK_S)
    victoria.stop(signal.SIGKILL)
    one.take(given[3:], b"2")
    now = pumped(one, now, lambda: one.status()["state"] == "retrying")
    victoria.start()
    lost = victoria.stored()
    assert not same(lost, wanted(given[:3])), "it kept everything: then this proves nothing"
    now = pumped(one, now, lambda: one.status()["rewinds"] == 1 and drained(one))
    assert same(victoria.stored(), wanted(given))
    assert one.status()["server"] == "victoria-metrics"
    assert one.status()["set_aside_lines"] == 0
    end = pumped(one, now, lambda: one.status()["held_lines"] == 0)
    assert end >= now + HOLD_S
    one.close()


def test_stopped_in_order_it_gets_the_held_lines_again_and_keeps_each_once(tmp_path: Path, victoria: Victoria) -> None:
    """A clean restart loses nothing there; what is sent again is stored once."""
    given = blocks(10, 3)
    one = output(tmp_path, victoria.url)
    one.take(given, b"1")
    now = pumped(one, 0.0, lambda: drained(one))
    one.step(now := now + CHECK_S)
    victoria.stop(signal.SIGTERM)
    victoria.start()
    pumped(one, now + CHECK_S, lambda: one.status()["rewinds"] == 1 and drained(one))
    assert same(victoria.stored(), wanted(given))
    one.close()


def test_rows_that_it_throws_away_raise_an_alarm(tmp_path: Path, victoria: Victoria) -> None:
    """It answers 204 for a time in the far future and drops the row; its counters give it away."""
    one = output(tmp_path, victoria.url)
    far = Row(0, 7_000_000_000 * SECOND, 1.0)
    body = BatchBody(columns=from_rows([far]), first_ns=T0, last_ns=T0)
    one.take([*blocks(0, 1), OpenedBlock(stream=STREAM, number=9, healed=False, received_ns=T0, body=body)], b"1")
    now = [pumped(one, 0.0, lambda: drained(one))]

    def alarmed() -> bool:
        now[0] += CHECK_S
        one.step(now[0])
        return bool(one.status()["alarm"])

    assert not one.status()["alarm"]
    until(alarmed)
    assert one.status()["server_refused_rows"] > 0
    one.close()
