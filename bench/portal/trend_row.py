"""The trend page, from the click to the drawn chart.

    portal.trend    eight tags over thirty days, all on one page: first byte, scripts, one question, drawn [ms]

The history has a sample in 10 s of each tag, sealed, as the bench of the historian writes it. A browser that has the
page's scripts already asks again whether they changed, as it does at each visit; the note tells the first visit too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from bench.figures import BenchRow
from bench.history.historian_writer import PERIOD_NS, START_NS
from bench.portal.headless import NoBrowser, chromium, served
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app

TAGS = 8
DAYS = 30
DAY_S = 86_400
ROW = "portal.trend"

_ROOT = Path(__file__).resolve().parents[2]
_WRITER = _ROOT / "bench" / "history" / "historian_writer.py"
_DRAWN = "() => performance.getEntriesByName('trend-drawn').length"
_WHEN = "() => performance.getEntriesByName('trend-drawn')[0].startTime"


def measure(runs: int = 7, *, days: float = DAYS) -> list[BenchRow]:
    """The row.

    Args:
        runs: Visits of the page.
        days: Of history, and of the chart.
    """
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        history, polls = Path(name) / "history", round(days * DAY_S * 1e9 / PERIOD_NS)
        _write(history, polls)
        end_ns = START_NS + polls * PERIOD_NS
        app = create_app(history, Path(name), Scope(), clock=lambda: end_ns)
        query = [("tag", f"asset0/tag{at}") for at in range(TAGS)] + [("range", str(round(days * DAY_S)))]
        try:
            with served(app) as base, chromium() as browser:
                page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
                taken: list[float] = []
                for _ in range(runs + 1):
                    page.goto(f"{base}/trend?{urlencode(query)}")
                    page.wait_for_function(_DRAWN)
                    taken.append(float(page.evaluate(_WHEN)))
                    page.wait_for_selector("#plot[data-marked]")  # the next visit finds a server at rest
                samples = page.locator("[data-cell=count]").all_inner_texts()
                assert len(samples) == TAGS, samples
        except NoBrowser as error:
            return [BenchRow(row=ROW, unit="ms", note=str(error))]
    note = f"{TAGS} tags, {days:g} days of 10 s, {TAGS * polls / 1e6:.1f} M samples; 1280 pixels wide; "
    note += f"first visit {taken[0]:.0f}; the lanes of bad and healed times follow; asked for: 300 ms"
    return [BenchRow(row=ROW, unit="ms", runs=tuple(taken[1:]), note=note)]


def _write(folder: Path, polls: int) -> None:
    command = [sys.executable, "-P", str(_WRITER), str(folder), str(TAGS), str(polls), "360", "0", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(_ROOT)})
    if done.returncode:
        raise RuntimeError(f"writing a history failed:\n{done.stderr[-2000:]}")
