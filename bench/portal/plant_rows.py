"""A large plant's pages, beside the build before in the same run, turn by turn.

    portal.overview.first_byte     200 assets, 10,000 tags: from the question to the first byte of the answer [ms]
    portal.overview.interactive    the same page in a browser [ms]
    portal.asset.interactive       an asset of 800 tags that are read each second [ms]
    portal.live.cpu                50 viewers of 1,000 tags at 1 Hz: processor of the pages' process [cores]

Interactive is when the page's scripts have run and the main thread has since been free, for a second, of tasks of
50 ms and more: the end of the last such task. A page that is never so within `PATIENCE_S` counts as that long. Each
build serves a history that it wrote itself; writer, pages, viewers and browser share the machine.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.build_before import ROOT, unpacked
from bench.figures import BenchRow
from bench.portal import plant_program
from bench.portal.headless import NoBrowser, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BEFORE = "01461fc"
"""The build whose pages held every row of an asset."""
VIEWERS = 50
PATIENCE_S = 10.0
QUIET_MS = 1000
BUSY_S = 10.0
"""For so long it is counted how busy the main thread of an asset's page is, and the processor of the pages [s]."""

_WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) longTasks.push([one.startTime, one.startTime + one.duration]);
}).observe({ type: "longtask", buffered: true });
"""
_INTERACTIVE = """
(quiet) => {
  const [page] = performance.getEntriesByType("navigation");
  if (!page?.domContentLoadedEventEnd) return null;
  const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0;
  let free = Math.max(page.domContentLoadedEventEnd, paint);
  for (const [start, end] of longTasks) {
    if (start - free > quiet) break;
    free = Math.max(free, end);
  }
  return performance.now() - free > quiet ? free : null;
}
"""


class ServedBuild:
    """One build's writer and pages."""

    def __init__(self, base: str, pid: int) -> None:
        self.base, self.pid = base, pid
        self.first_byte: list[float] = []
        self.overview: list[float] = []
        self.asset: list[float] = []
        self.nodes = 0
        self.busy = 0.0
        self.cores: list[float] = []


def measure(runs: int = 7) -> list[BenchRow]:
    """The rows.

    Args:
        runs: Of each answer and page; a third as many of what takes `BUSY_S`.
    """
    with ExitStack() as stack:
        tree = stack.enter_context(unpacked(BEFORE))
        builds = [stack.enter_context(served(one)) for one in ([ROOT] if tree is None else [ROOT, tree])]
        for _ in range(runs):
            for one in builds:
                one.first_byte.append(first_byte(one.base, "/"))
        trouble = ""
        try:
            browser = stack.enter_context(chromium())
            for _ in range(runs):
                for one in builds:
                    one.overview.append(visit(browser, f"{one.base}/")[0])
                    taken, one.nodes, _ = visit(browser, f"{one.base}/asset/{plant_program.TURBINE}")
                    one.asset.append(taken)
            for one in builds:
                one.busy = visit(browser, f"{one.base}/asset/{plant_program.TURBINE}", watch_s=BUSY_S)[2]
        except NoBrowser as error:
            trouble = str(error)
        for _ in range(max(runs // 3, 1)):
            for one in builds:
                one.cores.append(watched(one))
    now, before = builds[0], builds[1] if len(builds) > 1 else None
    beside = f"baseline: the build before, {BEFORE}" if before else f"no baseline: {BEFORE} cannot be had here"
    plant = f"{plant_program.ASSETS} assets, {plant_program.TAGS} tags"
    asset = f"{plant_program.SIZES[plant_program.TURBINE]} tags at 1 Hz; {now.nodes} nodes, main thread busy "
    asset += f"{now.busy:.0%}" + (f"; before {before.nodes} nodes, {before.busy:.0%}" if before else "")
    live = f"{VIEWERS} viewers of {plant_program.SIZES[plant_program.PRESS_LINE]} tags at 1 Hz"
    return [
        _row("portal.overview.first_byte", "ms", "first_byte", builds, f"{plant}; asked for: 100 ms; {beside}"),
        _row("portal.overview.interactive", "ms", "overview", builds, trouble or f"{plant}; asked for: 1000; {beside}"),
        _row("portal.asset.interactive", "ms", "asset", builds, trouble or f"{asset}; asked for: 1000; {beside}"),
        _row("portal.live.cpu", "cores", "cores", builds, f"{live}; asked for: 0.5; {beside}"),
    ]


def _row(name: str, unit: str, what: str, builds: list[ServedBuild], note: str) -> BenchRow:
    taken = [tuple(getattr(one, what)) for one in builds]
    baseline = median(taken[1]) if len(taken) > 1 and taken[1] else None
    return BenchRow(row=name, unit=unit, runs=taken[0], baseline=baseline, note=note)


@contextmanager
def served(tree: Path) -> Iterator[ServedBuild]:
    """A build's plant, written by itself, and its pages."""
    program = str(Path(plant_program.__file__))
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as folder, ExitStack() as stack:

        def started(what: str) -> tuple[str, int]:
            env = os.environ | {"PYTHONPATH": str(tree)}
            command = [sys.executable, "-P", program, what, folder]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=tree)
            stack.callback(_end, process)
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                raise RuntimeError(f"the plant did not start: {what} of {tree}")
            return line, process.pid

        started("write")
        yield ServedBuild(*started("serve"))


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def first_byte(base: str, path: str) -> float:
    """From the question, on a new connection, to the first byte of the answer [ms]."""
    with asked(base, path, "gzip") as sock:
        begin = time.perf_counter()
        sock.recv(1)
        taken = (time.perf_counter() - begin) * 1e3
        while sock.recv(1 << 16):
            pass
    return taken


def asked(base: str, path: str, encoding: str = "identity") -> socket.socket:
    """A connection with one question on its way."""
    parts = urlsplit(base)
    sock = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30)
    lines = (f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", f"Accept-Encoding: {encoding}", "Connection: close")
    sock.sendall("\r\n".join((*lines, "", "")).encode())
    return sock


def visit(browser: Browser, address: str, *, watch_s: float = 0.0) -> tuple[float, int, float]:
    """One page from a cold cache: until it is interactive [ms], its nodes, and how busy its main thread is then."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.add_init_script(_WATCH)
        told = context.new_cdp_session(page)
        told.send("Performance.enable")
        page.goto(address, wait_until="commit")
        deadline, taken = time.monotonic() + PATIENCE_S, None
        while taken is None and time.monotonic() < deadline:
            page.wait_for_timeout(100)
            taken = page.evaluate(_INTERACTIVE, QUIET_MS)

        def metrics() -> dict[str, float]:
            return {one["name"]: one["value"] for one in told.send("Performance.getMetrics")["metrics"]}

        before = metrics()
        if watch_s:
            page.wait_for_timeout(watch_s * 1e3)
        after = metrics()
        busy = (after["TaskDuration"] - before["TaskDuration"]) / watch_s if watch_s else 0.0
        return PATIENCE_S * 1e3 if taken is None else float(taken), int(after["Nodes"]), busy
    finally:
        context.close()


def watched(one: ServedBuild) -> float:
    """Processor time of the pages' process while viewers listen [cores]."""
    ended, came = threading.Event(), dict.fromkeys(range(VIEWERS), 0)
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for viewer in came:
            sock = stack.enter_context(asked(one.base, f"/live?asset={plant_program.PRESS_LINE}"))
            selector.register(sock, selectors.EVENT_READ, viewer)

        def drain() -> None:
            while not ended.is_set():
                for key, _ in selector.select(0.2):
                    if isinstance(key.fileobj, socket.socket):
                        came[key.data] += len(key.fileobj.recv(1 << 20))

        thread = threading.Thread(target=drain, daemon=True)
        thread.start()
        time.sleep(2.0)  # the snapshots are through
        spent, begin = _cpu_s(one.pid), time.monotonic()
        time.sleep(BUSY_S)
        cores = (_cpu_s(one.pid) - spent) / (time.monotonic() - begin)
        ended.set()
        thread.join()
    least = BUSY_S * 20 * plant_program.SIZES[plant_program.PRESS_LINE]  # 20 bytes a value, at least
    if min(came.values()) < least:
        raise RuntimeError(f"a viewer of {one.base} was told {min(came.values())} bytes in {BUSY_S:g} s")
    return cores


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
