"""A plant for minutes on end with people looking on, every process a real one, over loopback.

    plant -> spool -> send --only emit -> receive (catch, publish: historian and portal) <- viewers

Rows, each for the time after the warm-up unless it says otherwise:

    soak.offered, soak.published    what was read, and what stands in the history; lost: counted at the end, drained
    soak.queryable.*                read to committed in the history, as the historian counts it, since its start
    soak.trend|asset|overview|tag.* a request, connecting to last byte; asset: every other one has 200 tags
    soak.live.*                     a sample's own time to its arrival at an open page
    soak.live.broken, soak.failed   streams that ended early, requests that were not answered; restarts: processes
    soak.cpu.*, soak.rss.*          of each process; memory: at the end less after the warm-up
    soak.journal, soak.history, soak.wal   on the disk at the end, all files; the write-ahead logs at their largest

Everything runs in a temporary folder and ends with it, also where the bench itself is ended (SIGTERM, Ctrl-C).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import supervise
from bench.figures import BenchRow
from protocol import keymaking
from protocol.process.statusfile import read_status

HOST = "127.0.0.1"
PROCESSES = ("poll", "emit", "receive", "catch", "publish", "historian", "portal")
"""What is watched; `poll` is the bench's plant, the others are the product."""
KINDS = ("trend", "asset", "overview", "tag")
READY_S = 60.0
"""Longest wait for the first whole page [s]."""
WARM_S = 20.0
"""What is not counted at the start [s], at most a fifth of the run: the first minutes have no history to read."""
DRAIN_S = 60.0
"""Longest wait at the end for what was sent to be published: both repeats of a block would take longer."""
LOOK_S = 2.0
"""Between two looks at the processes and the files [s]."""

_SENDER = """site = "bench"
[outlet]
to = "{host}:{port}"
rate_mbit = 100
[keys]
own = "keys/high"
receivers = ["../low/keys/low.pub"]
[spool]
keep = "2h"
max_gb = 5
"""
_RECEIVER = """[inlet]
listen = "{host}:{port}"
[keys]
own = "keys/low"
senders = ["../high/keys/high.pub"]
[portal]
listen = "{host}:{page}"
anyone = "all"
"""


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What a process uses, at one moment."""

    pid: int
    cpu_s: float
    rss_mb: float


@dataclass(slots=True)
class Course:
    """What was watched over the time that counts."""

    began: float
    """Running time [s]; also `ended`."""
    first: dict[str, ProcessUse]
    sent: int
    published: int
    last: dict[str, ProcessUse] = field(default_factory=dict)
    ended: float = 0.0
    sent_after: int = 0
    published_after: int = 0
    restarts: int = 0
    wal_bytes: int = 0
    """Largest sum of the write-ahead logs that was seen."""
    hot_rows: int = 0
    told: dict[str, Any] = field(default_factory=dict)
    """What the viewers said."""

    @property
    def seconds(self) -> float:
        """How long the time that counts was [s]."""
        return self.ended - self.began


def measure(minutes: float = 10.0, *, tags: int = 20_000, rate: int = 20_000, pages: int = 40) -> list[BenchRow]:
    """Every `soak.*` row.

    Args:
        minutes: Running time with viewers, the warm-up included.
        tags: Of the plant, at least 42.
        rate: Samples that are read a second: each tag `rate / tags` times.
        pages: Event streams that are held open.

    Raises:
        RuntimeError: a process did not start, or ended.
    """
    with _tidy_end(), TemporaryDirectory(prefix="checkvalve-soak-") as folder, ExitStack() as stack:
        site = Site(Path(folder), tags, rate)
        stack.callback(site.end)
        site.start()
        course = site.watch(minutes * 60.0, pages)
        return rows(course, site.settle(), site.low)


@contextlib.contextmanager
def _tidy_end() -> Iterator[None]:
    """SIGTERM ends this as Ctrl-C does: what was begun is ended and taken away first."""

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Site:
    """Both sides and their processes."""

    def __init__(self, folder: Path, tags: int, rate: int) -> None:
        self.folder, self.tags, self.rate = folder, tags, rate
        self.high, self.low = folder / "high/state", folder / "low/state"
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self._address = (HOST, 0)
        for side in ("high", "low"):
            keymaking.make(side, folder / side / "keys" / side)
        link, page = _free(socket.SOCK_DGRAM), _free(socket.SOCK_STREAM)
        (folder / "high/sender.toml").write_text(_SENDER.format(host=HOST, port=link))
        (folder / "low/receiver.toml").write_text(_RECEIVER.format(host=HOST, port=link, page=page))

    def start(self) -> None:
        """All processes, until the pages know every tag."""
        sender = str(self.folder / "high/sender.toml")
        self._run("receive", supervise.command("receive", str(self.folder / "low/receiver.toml")))
        self._until(lambda: (self.low / "portal.json").exists(), "the pages")
        self._run("emit", supervise.command("send", sender, "--only", "emit"))
        self._run("poll", _python("bench.soak.polls", str(self.folder / "high"), str(self.tags), str(self.rate)))
        where = json.loads((self.low / "portal.json").read_text())["url"]
        self._address = (HOST, int(where.rstrip("/").rpartition(":")[2]))
        self._until(lambda: sum(map(len, self._assets().values())) == self.tags, "every tag on the pages")

    def watch(self, seconds: float, pages: int) -> Course:
        """Let people look, and look at the processes meanwhile."""
        warm = min(WARM_S, seconds / 5)
        given = {
            "host": HOST,
            "port": self._address[1],
            "assets": self._assets(),
            "pages": pages,
            "warm_s": warm,
            "seconds": seconds - warm,
        }
        viewers = subprocess.Popen(
            _python("bench.soak.viewers", json.dumps(given)), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        self._parts["viewers"] = viewers
        time.sleep(warm)
        course = Course(time.monotonic(), self._processes(), self._sent(), self._published())
        course.last = dict(course.first)
        end = course.began + seconds - warm
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(LOOK_S, left))
            self._check()
            self._look(course)
        course.ended = time.monotonic()
        course.sent_after, course.published_after = self._sent(), self._published()
        said, _ = viewers.communicate(timeout=120)
        del self._parts["viewers"]
        course.told = json.loads(said)
        return course

    def settle(self) -> tuple[int, int]:
        """Stop reading, and wait until all of it is published: samples sent, samples published, ever."""
        self._end("poll")
        sent, ends = self._sent(), time.monotonic() + DRAIN_S
        while self._published() < sent and time.monotonic() < ends:
            time.sleep(0.2)
        return sent, self._published()

    def end(self) -> None:
        """End what runs still, the reading first."""
        for name in ("viewers", "poll", "emit", "receive"):
            self._end(name)

    def _run(self, name: str, argv: list[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._parts[name] = supervise.start(argv, log.fileno())

    def _end(self, name: str) -> None:
        part = self._parts.pop(name, None)
        if part is None or part.poll() is not None:
            return
        part.terminate()
        try:
            part.wait(supervise.PATIENCE * 3)  # a parent waits for its own children so long
        except subprocess.TimeoutExpired:
            part.kill()
            part.wait()

    def _until(self, done: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + READY_S
        while not done():
            self._check()
            if time.monotonic() > ends:
                raise RuntimeError(f"no sign of {what} within {READY_S:.0f} s: {self._said()}")
            time.sleep(0.2)

    def _check(self) -> None:
        for name, part in self._parts.items():
            if name != "viewers" and part.poll() is not None:
                raise RuntimeError(f"{name} ended with exit code {part.returncode}: {self._said()}")

    def _said(self) -> str:
        logs = {path.stem: path.read_text(errors="replace")[-1000:] for path in self.folder.glob("*.log")}
        return "; ".join(f"{name}: {text.strip()}" for name, text in logs.items() if text.strip())

    def _assets(self) -> dict[str, dict[str, int]]:
        """Series numbers of each asset, as the pages know them."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._address[1]}/api/assets", timeout=10) as answer:
                document = json.load(answer)
        except OSError:
            return {}
        return {one["name"]: {tag["name"]: tag["series"] for tag in one["series"]} for one in document["assets"]}

    def _pids(self) -> dict[str, int]:
        statuses = {name: read_status(self.low, name) for name in ("catch", "publish", "historian")}
        statuses |= {name: read_status(self.high, name) for name in ("poll", "emit")}
        with contextlib.suppress(OSError, ValueError):
            statuses["portal"] = json.loads((self.low / "portal.json").read_text())
        pids = {name: int(one["pid"]) for name, one in statuses.items() if one}
        return pids | {"receive": self._parts["receive"].pid}

    def _processes(self) -> dict[str, ProcessUse]:
        processes = {}
        for name, pid in self._pids().items():
            with contextlib.suppress(OSError, StopIteration):
                processes[name] = ProcessUse(pid, _cpu_s(pid), _rss_mb(pid))
        return processes

    def _look(self, course: Course) -> None:
        processes = self._processes()
        course.restarts += sum(one.pid != processes[name].pid for name, one in course.last.items() if name in processes)
        course.last |= processes
        course.wal_bytes = max(course.wal_bytes, sizes(self.low / "history", "*-wal"))
        course.hot_rows = (read_status(self.low, "historian") or {}).get("hot_rows", 0)

    def _sent(self) -> int:
        counts: dict[str, Any] = (read_status(self.high, "poll") or {}).get("counts", {})
        return sum(int(one["sent"]) for one in counts.values())

    def _published(self) -> int:
        return int((read_status(self.low, "historian") or {}).get("rows", 0))


def rows(course: Course, settled: tuple[int, int], low: Path) -> list[BenchRow]:
    """The figures.

    Args:
        course: What was watched.
        settled: Samples sent and published, ever, when nothing was under way any more.
        low: The low side's `state`.
    """
    sent, published = settled
    seconds = course.seconds
    offered = (course.sent_after - course.sent) / seconds
    done = (course.published_after - course.published) / seconds
    latency = (read_status(low, "historian") or {}).get("latency_ms", {})
    journal, history = sizes(low / "journal"), sizes(low / "history")
    parts = {name: sizes(low / "history", name) for name in ("current.db", "*-wal", "20*.db")}
    what = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in parts.items())
    return [
        BenchRow(row="soak.offered", unit="samples/s", runs=(offered,), note=f"counted for {seconds:.0f} s"),
        BenchRow(
            row="soak.published", unit="samples/s", runs=(done,), lost=sent - published, note=f"of {sent:,} in all"
        ),
        *_quantiles("soak.queryable", {name: latency.get(name) for name in ("p50", "p99")}, "the historian's figure"),
        *[row for kind in KINDS for row in _times(f"soak.{kind}", course.told["times"][kind])],
        *_times("soak.live", course.told["live"]),
        _count("soak.live.broken", course.told["broken"]),
        _count("soak.failed", course.told["failed"], course.told["first_failure"]),
        _count("soak.restarts", course.restarts),
        *[_cpu(course, name) for name in PROCESSES],
        *[_rss(course, name) for name in PROCESSES],
        _each("soak.journal", journal, published),
        _each("soak.history", history, published, f"{what}; {course.hot_rows:,} hot rows"),
        BenchRow(row="soak.wal", unit="MB", runs=(course.wal_bytes / 1e6,), note="the most at any look"),
    ]


def sizes(folder: Path, pattern: str = "*") -> int:
    """Bytes that files take on the disk."""
    total = 0
    for path in folder.rglob(pattern):
        with contextlib.suppress(OSError):  # a log that was just taken away
            total += path.stat().st_blocks * 512
    return total


def _times(name: str, taken: Sequence[float]) -> Iterator[BenchRow]:
    ordered = sorted(taken)
    quantiles: dict[str, float | None] = {"p50": None, "p99": None, "max": None}
    if ordered:
        quantiles = {"p50": _at(ordered, 0.5), "p99": _at(ordered, 0.99), "max": ordered[-1]}
    yield from _quantiles(name, quantiles, f"{len(ordered)} of them")


def _quantiles(name: str, quantiles: dict[str, float | None], note: str) -> Iterator[BenchRow]:
    for which, value in quantiles.items():
        if value is None:
            yield BenchRow(row=f"{name}.{which}", unit="ms", note="none came in the time that counts")
        else:
            yield BenchRow(row=f"{name}.{which}", unit="ms", runs=(value,), note=note)


def _at(ordered: Sequence[float], share: float) -> float:
    """The least value that this share of all stay within."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _count(name: str, value: int, note: str = "") -> BenchRow:
    return BenchRow(row=name, unit="count", runs=(float(value),), note=note)


def _cpu(course: Course, name: str) -> BenchRow:
    first, last = course.first.get(name), course.last.get(name)
    if first is None or last is None or first.pid != last.pid:
        return BenchRow(row=f"soak.cpu.{name}", unit="cores", note="it was started again, or never said its number")
    return BenchRow(row=f"soak.cpu.{name}", unit="cores", runs=((last.cpu_s - first.cpu_s) / course.seconds,))


def _rss(course: Course, name: str) -> BenchRow:
    first, last = course.first.get(name), course.last.get(name)
    if first is None or last is None or first.pid != last.pid:
        return BenchRow(row=f"soak.rss.{name}", unit="MB grown", note="it was started again, or never said its number")
    grown = last.rss_mb - first.rss_mb
    return BenchRow(row=f"soak.rss.{name}", unit="MB grown", runs=(grown,), note=f"to {last.rss_mb:.0f} MB")


def _each(name: str, size: int, samples: int, note: str = "") -> BenchRow:
    if not samples:
        return BenchRow(row=name, unit="bytes/sample", note="nothing was published")
    words = "; ".join(part for part in (f"{size / 1e6:.0f} MB", note) if part)
    return BenchRow(row=name, unit="bytes/sample", runs=(size / samples,), note=words)


def _python(*words: str) -> list[str]:
    return [sys.executable, "-m", *words]


def _free(kind: socket.SocketKind) -> int:
    """A port that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def _cpu_s(pid: int) -> float:
    """User and system time of all its threads [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
