"""Real servers for the bench, each started on 127.0.0.1 with its files in a folder, and ended."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 60.0
"""Longest start [s]: a Java machine on a busy box."""
QUESTDB = Path(
    os.environ.get("CHECKVALVE_QUESTDB_JAR", Path.home() / ".m2/repository/org/questdb/questdb/9.1.0/questdb-9.1.0.jar")
)
"""QuestDB's one jar, where Maven puts it."""


def victoria_missing() -> str:
    """Why VictoriaMetrics cannot be run here; empty where it can."""
    return "" if shutil.which("victoria-metrics") else "victoria-metrics is not installed (Debian has it)"


@contextmanager
def victoria(folder: Path) -> Iterator[str]:
    """VictoriaMetrics; gives its address."""
    port = _free_port()
    options = {
        "storageDataPath": folder / "victoria",
        "httpListenAddr": f"127.0.0.1:{port}",
        "retentionPeriod": "100y",
        "search.latencyOffset": "0s",
        "dedup.minScrapeInterval": "1ms",
        "memory.allowedPercent": "10",
    }
    command = ["victoria-metrics", *(f"-{name}={value}" for name, value in options.items())]
    with _running(command, {}, f"http://127.0.0.1:{port}", "/health") as url:
        yield url


def questdb_missing() -> str:
    """Why QuestDB cannot be run here; empty where it can."""
    if not shutil.which("java"):
        return "java is not installed"
    return "" if QUESTDB.is_file() else "no jar of QuestDB: mvn dependency:get -Dartifact=org.questdb:questdb:9.1.0"


@contextmanager
def questdb(folder: Path) -> Iterator[str]:
    """QuestDB; gives its address."""
    port, files = _free_port(), folder / "questdb"
    files.mkdir()
    off = ("QDB_PG_ENABLED", "QDB_LINE_TCP_ENABLED", "QDB_HTTP_MIN_ENABLED", "QDB_TELEMETRY_ENABLED")
    environment = {"QDB_HTTP_BIND_TO": f"127.0.0.1:{port}", **dict.fromkeys(off, "false")}
    command = ["java", "-Xmx2g", "-p", str(QUESTDB), "-m", "io.questdb/io.questdb.ServerMain", "-d", str(files)]
    with _running(command, environment, f"http://127.0.0.1:{port}", "/exec?query=select+1") as url:
        yield url


def asked(url: str) -> str | None:
    """A page; None where it cannot be had."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 one of our own, on 127.0.0.1
            return str(answer.read().decode())
    except OSError:
        return None


def until(holds: Callable[[], object], seconds: float) -> None:
    """Wait for something.

    Raises:
        RuntimeError: it did not come.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError("the server does not come up, or does not come to an end")
        time.sleep(0.05)


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str], url: str, page: str) -> Iterator[str]:
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, **environment})
    try:
        until(lambda: asked(url + page) is not None, START_S)
        yield url
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
