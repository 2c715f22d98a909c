"""The first quarter of an hour: from a fresh checkout to a page with values, as `make demo` does it.

    making .venv ..    first.environment    the virtual environment (deploy/make-venv.sh)
    installing ..      first.libraries      pip fetches and writes every library (deploy/pip-shown.sh), nothing kept
    installed          first.page.cold      the first `checkvalve demo` in it: Python compiles what it loads
                       first.page           each further one

Both scripts run under `make` in a copy of this checkout, with pip's store of wheels switched off, as on a machine that
has never seen the project. `first.silence` is the longest time in which a person saw no new line. A page counts once it
answers 200 and the values behind it are there. It needs make and a package index; where one is missing its rows are
null and say why, and the demo is the one that is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from pathlib import Path

from bench.figures import BenchRow

ROOT = Path(__file__).parents[1]
LEFT = shutil.ignore_patterns(".venv*", ".git", ".*_cache", ".hypothesis", "__pycache__", "build", "dist")
PATIENCE = 300.0
"""Longest wait for a page [s]."""
INSTALL = ("first.environment", "first.libraries", "first.silence")
STEPS = ("making ", "installing ", "installed")
"""What the scripts say at the beginning of each step, and at the end."""


def measure(runs: int = 7) -> list[BenchRow]:
    """`first.environment`, `first.libraries`, `first.silence`, `first.page.cold`, `first.page`.

    Args:
        runs: Of the page; an installation is made once, it is a hundred files of a public index.
    """
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        copy = Path(name) / "checkvalve"
        try:
            rows = _install(copy)
            python = copy / ".venv/bin/python"
        except OSError as error:
            rows = [BenchRow(row=row, unit="s", note=str(error)) for row in INSTALL]
            copy, python = Path(name), Path(sys.executable)
        pages = [_page(copy, python) for _ in range(runs + 1)]
    note = "from the command to a page that answers 200 with values behind it"
    return [
        *rows,
        BenchRow(row="first.page.cold", unit="s", runs=(pages[0],), note=f"{note}; asked for: 30 s"),
        BenchRow(row="first.page", unit="s", runs=tuple(pages[1:]), note=note),
    ]


def _install(copy: Path) -> list[BenchRow]:
    """Raises OSError, with the reason, where it cannot be done here."""
    if not (ROOT / "Makefile").exists():
        raise OSError("not a checkout: `make demo` is not here")
    shutil.copytree(ROOT, copy, ignore=LEFT, symlinks=True)
    words = ["make", "--no-print-directory", f"PYTHON={getattr(sys, '_base_executable', sys.executable)}"]
    environment = {**os.environ, "PIP_NO_CACHE_DIR": "1"}
    environment.pop("VIRTUAL_ENV", None)
    with subprocess.Popen(
        [*words, ".venv/demo.stamp"],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as made:
        assert made.stdout is not None
        said = [(time.monotonic(), "")]
        said += [(time.monotonic(), line) for line in made.stdout]
    if made.returncode:
        raise OSError(f"make: {said[-1][1].strip()}")
    return rows_of(said)


def rows_of(said: list[tuple[float, str]]) -> list[BenchRow]:
    """What an installation took, from what it said and when.

    Args:
        said: Time [s] and line; the first is its start.
    """
    begun = [next(at for at, line in said if line.startswith(step)) for step in STEPS]
    quiet = max(after - at for (at, _), (after, _) in pairwise(said))
    lines = len(said) - 1
    taken = (begun[1] - begun[0], begun[2] - begun[1], quiet)
    notes = (
        "one fresh environment",
        f"one installation from the index, no wheel kept from before; asked for: 60 s with {INSTALL[0]}",
        f"longest of an installation that said {lines} lines",
    )
    return [
        BenchRow(row=row, unit="s", runs=(seconds,), note=note)
        for row, seconds, note in zip(INSTALL, taken, notes, strict=True)
    ]


def _page(folder: Path, python: Path) -> float:
    """How long a demo takes to a page with values [s]."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder, prefix="demo-") as work, _demo(folder, python, Path(work)) as demo:
        while not _shows(Path(work) / "low/state/portal.json"):
            if demo.poll() is not None or time.monotonic() > began + PATIENCE:
                raise OSError(f"the demo shows no page after {time.monotonic() - began:.0f} s")
            time.sleep(0.05)
        return time.monotonic() - began


@contextmanager
def _demo(folder: Path, python: Path, work: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [str(python), "-m", "checkvalve", "demo", "--headless", "--folder", str(work)]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        try:
            yield demo
        finally:
            for _ in range(2):  # the second ends the wait for what is still missing
                demo.send_signal(signal.SIGTERM)
                time.sleep(0.5)
            demo.wait(60)


def _shows(note: Path) -> bool:
    """Whether the page answers and its values are there."""
    try:
        host = json.loads(note.read_text())["url"].removeprefix("http://").strip("/")
        with closing(HTTPConnection(host, timeout=5)) as browser:
            browser.request("GET", "/api/latest")
            values = json.load(browser.getresponse())["values"]
            browser.request("GET", "/")
            return browser.getresponse().status == 200 and bool(values)
    except (OSError, ValueError, HTTPException):
        return False
