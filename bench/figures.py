"""A measured figure, the machine it was measured on, and the three ways to show them: table, JSON, page.

    {"machine": {..}, "rows": [{"row", "value", "unit", "baseline", "ratio", "runs", "lost", "note"}]}

`value` is the median of `runs`; `baseline` was measured in the same run, turn by turn with it, or is null; `ratio` is
value / baseline. A figure that could not be measured here is a row whose value is null and whose note says why: a row
is never left out, so that tables can be compared over time.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from protocol.inert import inert

LIBRARIES = ("numpy", "msgpack", "zstandard", "reedsolo", "pyeclib", "cryptography")
"""Whose versions are stated, where they are installed."""


WIDE = 110
"""Columns of a terminal from which the spread of the runs is shown."""

_PAGE = """# Measured

Each section is written by `checkvalve bench WHAT --page docs/bench.md` and names its machine. A baseline is measured in
the same run, turn by turn, so ratios hold where absolute figures move with the machine and its load.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """One figure of one run of a bench, as it stands in its table."""

    row: str
    """Its stable name, `codec.size`."""
    unit: str
    """As in `docs/bench.md`."""
    runs: tuple[float, ...] = ()
    """What each run gave; empty where it could not be measured."""
    baseline: float | None = None
    """Median of what it is compared with, in the same unit."""
    lost: int | None = None
    """What was lost meanwhile, where the row can lose something; 0 is a claim, null is none."""
    note: str = ""
    """How it was measured, or why it could not be."""

    @property
    def value(self) -> float | None:
        """The median of the runs."""
        return statistics.median(self.runs) if self.runs else None

    @property
    def ratio(self) -> float | None:
        """value / baseline, where both are there."""
        return None if self.value is None or not self.baseline else self.value / self.baseline

    def plain(self) -> dict[str, Any]:
        """As it stands in the JSON file."""
        names = ("row", "value", "unit", "baseline", "ratio", "runs", "lost", "note")
        return {name: list(self.runs) if name == "runs" else getattr(self, name) for name in names}


def machine() -> dict[str, Any]:
    """What the figures depend on, and when they were taken."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def document(rows: Sequence[BenchRow], facts: dict[str, Any]) -> str:
    """The figures as a JSON document, for other programs."""
    return json.dumps({"machine": facts, "rows": [row.plain() for row in rows]}, indent=1) + "\n"


def show(rows: Sequence[BenchRow], facts: dict[str, Any], console: Console) -> None:
    """The table on a terminal, or as plain text elsewhere; figures are never cut, the spread needs a wide one."""
    table = Table(title=inert(_headline(facts)), title_justify="left", caption_justify="left", box=SIMPLE_HEAD)
    wide = console.width >= WIDE
    names = ["row", "value", "unit", "baseline", "ratio", *(["spread"] if wide else []), "lost"]
    for name in names:
        table.add_column(name, justify="left" if name in ("row", "unit") else "right", no_wrap=name != "unit")
    for row in rows:
        value, unit, baseline, ratio, spread, lost = _cells(row)
        table.add_row(inert(row.row), value, inert(unit), baseline, ratio, *([spread] if wide else []), lost)
    console.print(table)
    for row in rows:
        if row.note:
            console.print(inert(f"{row.row}: {row.note}"), soft_wrap=True)


def write_section(path: Path, name: str, rows: Sequence[BenchRow], facts: dict[str, Any]) -> None:
    """Put this bench's section into the page, in place of its last one.

    Args:
        path: The page; begun where it is not there.
        name: The bench, `codec`; its section is headed so.
        rows: What was measured.
        facts: From `machine`.
    """
    text = path.read_text() if path.exists() else _PAGE
    head = f"## {name}\n"
    section = head + "\n" + _markdown(name, rows, facts)
    before, heading, after = text.partition(head)
    if not heading:
        path.write_text(text.rstrip("\n") + "\n\n" + section)
        return
    _, next_head, rest = after.partition("\n## ")
    path.write_text(before + section + (f"\n## {rest}" if next_head else ""))


@contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage collector while figures are taken; the sender runs without it too."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def rate(work: Callable[[], object], units: float, least_s: float = 0.1) -> float:
    """Units of work per second of this process's processor time.

    Args:
        work: Done again and again.
        units: What one of them is worth.
        least_s: Processor time that is filled with it at least [s].
    """
    done = 0
    start = time.process_time()
    while True:
        work()
        done += 1
        spent = time.process_time() - start
        if spent >= least_s:
            return done * units / spent


def _headline(facts: dict[str, Any]) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in facts["libraries"].items())
    return (
        f"{facts['date']}; {facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, load {facts['load']}; "
        f"Linux {facts['kernel']}, Python {facts['python']}; {libraries}"
    )


def _markdown(name: str, rows: Sequence[BenchRow], facts: dict[str, Any]) -> str:
    runs = max(len(row.runs) for row in rows)
    how = f"median of {runs} runs" if runs > 1 else "one run"
    lines = [_headline(facts) + ".", "", f"`checkvalve bench {name}`, {how}."]
    lines += ["", "| row | value | unit | baseline | ratio | spread | lost |", "|---|--:|---|--:|--:|--:|--:|"]
    lines += [f"| `{row.row}` | " + " | ".join(_cells(row)) + " |" for row in rows]
    notes = [f"- `{row.row}`: {row.note}" for row in rows if row.note]
    return "\n".join(lines + ([""] if notes else []) + notes) + "\n"


def _cells(row: BenchRow) -> list[str]:
    spread = f"{_short(min(row.runs))} .. {_short(max(row.runs))}" if len(row.runs) > 1 else ""
    return [
        _short(row.value),
        row.unit,
        _short(row.baseline),
        _short(row.ratio),
        spread,
        "" if row.lost is None else str(row.lost),
    ]


def _short(value: float | None) -> str:
    """Three digits; millions as M, thousands set apart."""
    if value is None:
        return "-"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M" if abs(value) < 1e9 else f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name", platform.machine())
    family = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    return name + family
