"""Servers for line protocol that others wrote, each in a process of its own that can be killed and started again.

    Victoria    Debian's victoria-metrics
    Influx      Debian's influxdb (1.6)
    Quest       QuestDB, where its jar is: CHECKVALVE_QUESTDB_JAR, or where Maven puts it
    Telegraf    a small program that answers as Telegraf 1.37 does and loses as much (`telegraf_peer.py`): no registry
                that this project uses has the real one

All of them on 127.0.0.1, with their files in a folder of the test. `rows` is everything there is of `sample`: by series
and time what each field holds, and it is an error if one row is there twice.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from influx_peer import split

SECOND = 10**9
ANSWER_S = 60.0
"""Longest wait for a page [s]."""
Rows = dict[tuple[tuple[str, str], ...], dict[int, dict[str, object]]]
"""By series (its tags, sorted): time -> fields."""
TAGS = ("asset", "seq", "simulated", "site", "tag", "type", "unit")


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(0.02)
        while not holds():
            assert time.monotonic() < deadline, "it did not happen"
            try:
                one.recv(1)
            except TimeoutError:
                continue


class LineServer(ABC):
    """One server, on its port and its files."""

    resolution_ns: ClassVar[int]
    """What its times are multiples of [ns]."""
    start_s: ClassVar[float] = 30.0
    """Longest start [s]."""
    has_tables: ClassVar[bool] = False
    """Whether tables are made in it before the first line."""
    tells_restarts: ClassVar[bool] = True
    """Whether it says when it began; where it does not, a restart is noticed by what fails meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free, socket.socket() as other:
            for one in (free, other):
                one.bind(("127.0.0.1", 0))
            self.port, self.second_port = free.getsockname()[1], other.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._second = 0

    @classmethod
    @abstractmethod
    def missing(cls) -> str:
        """Why it cannot be run here; empty where it can."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """How it is started."""

    def environment(self) -> Mapping[str, str]:
        """What it is told besides."""
        return {}

    @abstractmethod
    def lives(self) -> bool:
        """Whether it answers."""

    @abstractmethod
    def rows(self, first_s: int, last_s: int) -> Rows:
        """Everything there is of `sample` between two times [s since 1970]."""

    def start(self) -> None:
        until(lambda: int(time.time()) > self._second)  # some tell their start in whole seconds
        self._second = int(time.time())
        self.folder.mkdir(parents=True, exist_ok=True)
        quiet = subprocess.DEVNULL
        environment = {**os.environ, **self.environment()}
        self._process = subprocess.Popen(self.command(), stdout=quiet, stderr=quiet, env=environment, cwd=self.folder)
        until(self.lives, self.start_s)
        self._second = int(time.time())

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def get(self, path: str, **query: str) -> str | None:
        """A page, None where it cannot be had."""
        try:
            with urllib.request.urlopen(
                f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=ANSWER_S
            ) as answer:
                return str(answer.read().decode())
        except OSError:
            return None


def _once(rows: Rows, tags: Mapping[str, str], at: int, fields: Mapping[str, object]) -> None:
    """Add what a row holds; nothing of it may be there already."""
    row = rows[tuple(sorted((name, value) for name, value in tags.items() if name in TAGS and value))].setdefault(
        at, {}
    )
    assert not row.keys() & fields.keys(), "one sample, stored twice"
    row.update(fields)


class Victoria(LineServer):
    """VictoriaMetrics; a field is a series of its own there."""

    resolution_ns = 1_000_000

    @classmethod
    def missing(cls) -> str:
        return (
            "" if shutil.which("victoria-metrics") else "victoria-metrics is not installed (deploy/test-packages.txt)"
        )

    def command(self) -> Sequence[str]:
        options = {
            "storageDataPath": self.folder,
            "httpListenAddr": f"127.0.0.1:{self.port}",
            "retentionPeriod": "100y",
            "search.latencyOffset": "0s",
            "dedup.minScrapeInterval": "1ms",
            "memory.allowedPercent": "5",
        }
        return ["victoria-metrics", *(f"-{name}={value}" for name, value in options.items())]

    def lives(self) -> bool:
        return self.get("/health") is not None

    def rows(self, first_s: int, last_s: int) -> Rows:
        self.get("/internal/force_flush")
        out: Rows = defaultdict(dict)
        query = {"match[]": '{__name__=~"sample.*"}', "start": str(first_s), "end": str(last_s)}
        for line in (self.get("/api/v1/export", **query) or "").splitlines():
            told = json.loads(line)
            field = told["metric"].pop("__name__").removeprefix("sample_")
            for when, value in zip(told["timestamps"], told["values"], strict=True):
                _once(out, told["metric"], when * 1_000_000, {field: value})
        return dict(out)


class Influx(LineServer):
    """InfluxDB 1.6."""

    resolution_ns = 1

    @classmethod
    def missing(cls) -> str:
        return "" if shutil.which("influxd") else "influxdb is not installed (deploy/test-packages.txt)"

    def command(self) -> Sequence[str]:
        (self.folder / "influxdb.conf").write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{self.second_port}"\n'
            f'[meta]\ndir = "{self.folder}/meta"\n'
            f'[data]\ndir = "{self.folder}/data"\nwal-dir = "{self.folder}/wal"\n'
            f'[http]\nbind-address = "127.0.0.1:{self.port}"\nlog-enabled = false\n'
            "[monitor]\nstore-enabled = false\n"
        )
        return ["influxd", "run", "-config", str(self.folder / "influxdb.conf")]

    def lives(self) -> bool:
        return self._ask("CREATE DATABASE plant") is not None

    def retention(self, duration: str) -> None:
        """Keep so long."""
        self._ask(f"ALTER RETENTION POLICY autogen ON plant DURATION {duration} SHARD DURATION 1h")

    def rows(self, first_s: int, last_s: int) -> Rows:
        told = json.loads(self._ask("SELECT * FROM sample") or "{}")
        out: Rows = defaultdict(dict)
        for one in told["results"][0].get("series", ()):
            for values in one["values"]:
                row = {name: value for name, value in zip(one["columns"], values, strict=True) if value is not None}
                at = row.pop("time")
                fields = {name: value for name, value in row.items() if name not in TAGS}
                _once(out, {name: str(value) for name, value in row.items() if name in TAGS}, at, fields)
        return dict(out)

    def _ask(self, statement: str) -> str | None:
        data = urllib.parse.urlencode({"q": statement, "db": "plant", "epoch": "ns"}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/query", data=data, timeout=20) as answer:
                return str(answer.read().decode())
        except OSError:
            return None


class Quest(LineServer):
    """QuestDB 9."""

    resolution_ns = 1_000
    has_tables = True
    start_s = 120.0
    """A Java machine starts in 4 s, and in more than 30 on two cores that have ten times as much to do (seen)."""

    @classmethod
    def jar(cls) -> Path:
        held = Path.home() / ".m2/repository/org/questdb/questdb/9.1.0/questdb-9.1.0.jar"
        return Path(os.environ.get("CHECKVALVE_QUESTDB_JAR", held))

    @classmethod
    def missing(cls) -> str:
        if not shutil.which("java"):
            return "java is not installed"
        return (
            ""
            if cls.jar().is_file()
            else "QuestDB's jar is not here: mvn dependency:get -Dartifact=org.questdb:questdb:9.1.0"
        )

    def command(self) -> Sequence[str]:
        module = "io.questdb/io.questdb.ServerMain"
        soon = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # a start costs 2.1 s of processor, not 3.6
        return ["java", "-Xmx1g", *soon, "-p", str(self.jar()), "-m", module, "-d", str(self.folder)]

    def environment(self) -> Mapping[str, str]:
        off = ("QDB_PG_ENABLED", "QDB_LINE_TCP_ENABLED", "QDB_HTTP_MIN_ENABLED", "QDB_TELEMETRY_ENABLED")
        workers = {"QDB_SHARED_WORKER_COUNT": "2"}
        return {"QDB_HTTP_BIND_TO": f"127.0.0.1:{self.port}", **dict.fromkeys(off, "false"), **workers}

    def lives(self) -> bool:
        return self.get("/exec", query="select 1") is not None

    def applied(self) -> bool:
        """What was committed can be queried."""
        told = self.get("/exec", query="select count() from wal_tables() where sequencerTxn > writerTxn")
        return told is not None and json.loads(told)["dataset"] == [[0]]

    def rows(self, first_s: int, last_s: int) -> Rows:
        until(self.applied, 120)
        out: Rows = defaultdict(dict)
        page = self.get("/exp", query='select * from "sample"')
        assert page is not None, "its export cannot be had: not a word about what it holds"
        for told in csv.DictReader(io.StringIO(page)):
            row = {name: value.replace("\\\\", "\\") for name, value in told.items()}  # its export doubles them
            at = _nanoseconds(row.pop("timestamp"))
            fields: dict[str, object] = {name: value for name, value in row.items() if name not in TAGS and value}
            _once(out, {name: value for name, value in row.items() if name in TAGS}, at, fields)
        return dict(out)


class Telegraf(LineServer):
    """What Telegraf does between a listener and an output: 204 at once, written on a while later."""

    resolution_ns = 1
    tells_restarts = False

    @classmethod
    def missing(cls) -> str:
        return ""

    def command(self) -> Sequence[str]:
        return [sys.executable, "-I", str(Path(__file__).with_name("telegraf_peer.py")), str(self.port), str(self.sink)]

    @property
    def sink(self) -> Path:
        """Where it writes to."""
        return self.folder / "sink"

    def lives(self) -> bool:
        return self.get("/ping") is not None

    def rows(self, first_s: int, last_s: int) -> Rows:
        out: Rows = {}
        for line in self.sink.read_bytes().splitlines() if self.sink.exists() else ():
            series, fields, at = split(line)
            measurement, *tags = _SEPARATOR.split(series)
            told = (one.partition("=") for one in tags)
            key = tuple(sorted((name, _ESCAPE.sub(r"\1", value)) for name, _, value in told if name in TAGS))
            if measurement == "sample":
                out.setdefault(key, {})[at] = _fields(fields)
        return out


_SEPARATOR, _ESCAPE = re.compile(r"(?<!\\),"), re.compile(r"\\([,= ])")
_FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^,]*)')


def _fields(told: str) -> dict[str, object]:
    """A line's fields, read without any of the product's code."""
    out: dict[str, object] = {}
    for name, value in _FIELD.findall(told):
        if value.startswith('"'):
            out[name] = re.sub(r"\\(.)", r"\1", value[1:-1])
        else:
            out[name] = value == "true" if value in ("true", "false") else float(value.removesuffix("i"))
    return out


def _nanoseconds(told: str) -> int:
    """`2025-11-23T08:00:00.000001Z`."""
    whole, _, part = told.rstrip("Z").partition(".")
    seconds = int(time.mktime(time.strptime(f"{whole} UTC", "%Y-%m-%dT%H:%M:%S %Z"))) - time.timezone
    return seconds * SECOND + int(part.ljust(9, "0"))
