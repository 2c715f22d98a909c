"""The tables of docs/scale.md, worked out from the figures that stand in docs/bench.md.

Each stands behind a line `<!-- NAME, by deploy/scale.py -->`; a test works them out again and compares. A cost was
measured at one rate of samples or two, and has a part that does not grow with the rate. So at another it is at most

    what it is at any higher rate that was measured       fewer samples never cost more
    its proportion of any lower rate that was measured    the fixed part weighs less

and the least of these is what is written. Usage, after docs/bench.md was measured anew: python deploy/scale.py
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
DAY_S, MONTH_DAYS = 86_400, 30
PLANTS = ((500, 10), (1_000, 1), (5_000, 1), (10_000, 1), (20_000, 1), (50_000, 1), (100_000, 1))
"""Tags, and the period of each [s]."""
JOURNAL_DAYS, HISTORY_DAYS = 7, 400
"""Defaults of `[retention]`; the test compares."""
RATE_MBIT = 20
"""Same, of `[outlet]`."""
LOW = ("receive", "catch", "publish", "historian")
"""Processes of the low side that work by the sample; the pages work by the reader."""
COPIES = 3
"""A block, and its two repeats of `[outlet]`'s default."""
Table = list[tuple[str, ...]]
Point = tuple[float, float]
"""A rate [samples/s], and a cost there: bytes a second, cores."""


class Measured:
    """The rows of docs/bench.md."""

    def __init__(self, page: str) -> None:
        rows = re.findall(r"^\| `([a-z0-9_.]+)` \| ([^|]+?) \|", page, re.MULTILINE)
        self._values = {name: _number(told) for name, told in rows if told != "-"}
        self._notes = dict(re.findall(r"^- `([a-z0-9_.]+)`: (.+)$", page, re.MULTILINE))

    def __getitem__(self, row: str) -> float:
        return self._values[row]

    def noted(self, row: str, form: str) -> float:
        """A figure that stands in a row's note, by what stands around it."""
        found = re.search(form, self._notes[row])
        assert found is not None, f"the note of {row} has no {form}"
        return _number(found[1])

    def cores(self, process: str) -> Point:
        """At which rate, and how many cores, a process was measured."""
        if process == "poll":
            return self.noted("collect.fleet.cpu", r"([\d,]+) samples/s"), self["collect.fleet.cpu"]
        return self["soak.published"], self[f"soak.cpu.{process}"]

    def wire(self) -> list[Point]:
        """Bytes a second on the link, all copies counted."""
        return [(rate, rate * self[f"link.bytes_per_sample.{rate // 1000}k"]) for rate in (1_000, 10_000)]

    def journal(self) -> list[Point]:
        """Bytes a second into the journal: as measured; and it holds one of the link's three copies, and no spares."""
        return [(rate, size / COPIES) for rate, size in self.wire()] + [_each(self, "soak.journal")]

    def history_bytes(self, samples_a_day: float, days: float) -> float:
        """All but the last day as the history keeps it; that day as it stands while it is written."""
        return samples_a_day * ((days - 1) * self["historian.size"] + self["soak.history"])


def at_most(points: Sequence[Point], rate: float) -> float:
    """What it costs at a rate, by what it costs at others."""
    return min(cost * max(rate / at, 1) for at, cost in points)


def _each(of: Measured, row: str) -> Point:
    """A row of the soak that is for each sample."""
    return of["soak.published"], of["soak.published"] * of[row]


def _costs(of: Measured) -> Table:
    """What one sample takes."""
    wire = [(f"link.bytes_per_sample.{k}k", f"the link, all copies counted, at {k},000 samples/s") for k in (1, 10)]
    rows = [
        ("historian.size", "history, sealed and swept"),
        ("soak.history", "history while it is written, most of it not sealed yet"),
        ("soak.journal", "journal"),
        *wire,
    ]
    return [("where", "bytes a sample", "row"), *((text, _short(of[row]), f"`{row}`") for row, text in rows)]


def _plants(of: Measured) -> Table:
    """Disk, link and processor by plant."""
    head = ("tags", "period", "samples/s", f"journal, {JOURNAL_DAYS} days", f"history, {MONTH_DAYS} days")
    out: Table = [(*head, f"history, {HISTORY_DAYS} days", "link", "cores, high side", "cores, low side")]
    for tags, period_s in PLANTS:
        rate = tags / period_s
        high = sum(at_most([of.cores(one)], rate) for one in ("poll", "emit"))
        low = sum(at_most([of.cores(one)], rate) for one in LOW) + of["soak.cpu.portal"]
        journal = at_most(of.journal(), rate) * DAY_S * JOURNAL_DAYS
        disk = (journal, *(of.history_bytes(rate * DAY_S, days) for days in (MONTH_DAYS, HISTORY_DAYS)))
        link = f"{_short(at_most(of.wire(), rate) * 8e-6)} Mb/s"
        beyond = " *" if rate > of["soak.offered"] else ""
        cells = (f"{tags:,}", f"{period_s} s", f"{rate:,.0f}{beyond}", *(f"{_short(one / 1e9)} GB" for one in disk))
        out.append((*cells, link, f"{high:.2f}", f"{low:.2f}"))
    return out


def _limits(of: Measured) -> Table:
    """What one core, one server or one link takes, the least first."""
    link = RATE_MBIT * 1e6 / 8 / of["link.bytes_per_sample.10k"]
    found = [
        (_full(of, "poll"), "polling: Modbus, Logix and OPC UA together, one core", "`collect.fleet.cpu`, derived"),
        (link, f"the link at `rate_mbit = {RATE_MBIT}`, default repeats", "`link.bytes_per_sample.10k`, derived"),
        (_full(of, "historian"), "history, small hand-overs each moment, one core", "`soak.cpu.historian`, derived"),
        (of["historian.ingest"], "history, large hand-overs (catching up), one core", "`historian.ingest`"),
        (of["outputs.postgresql"], "PostgreSQL, on the same machine", "`outputs.postgresql`"),
        (of["outputs.questdb"], "QuestDB, on the same machine", "`outputs.questdb`"),
        (of["outputs.influx"], "VictoriaMetrics, on the same machine", "`outputs.influx`"),
        (_full(of, "emit"), "emitting at 20,000 samples/s, one core", "`soak.cpu.emit`, derived"),
        (_full(of, "catch"), "catching at 20,000 samples/s, one core", "`soak.cpu.catch`, derived"),
        (of["link.samples"], "spool, link and journal at full speed, one core a side", "`link.samples`"),
    ]
    return [("samples/s", "of what", "row"), *((_round(rate), text, row) for rate, text, row in sorted(found))]


def _full(of: Measured, process: str) -> float:
    """Samples a second at which a process would fill one core, by proportion."""
    rate, cores = of.cores(process)
    return rate / cores


def _memory(of: Measured) -> Table:
    """What each process held at most."""
    held = {one: of.noted(f"soak.rss.{one}", r"to ([\d,]+) MB") for one in ("emit", *LOW, "portal")}
    rows = [("high", "poll, 10,000 tags of 30 devices", of["collect.fleet.rss"], "`collect.fleet.rss`")]
    rows += [("high" if one == "emit" else "low", one, size, f"`soak.rss.{one}`") for one, size in held.items()]
    rows.append(("low", "an output that catches up", of["outputs.catchup.rss"], "`outputs.catchup.rss`"))
    sums = {side: sum(row[2] for row in rows if row[0] == side) for side in ("high", "low")}
    out: Table = [("side", "process", "MB", "row")]
    out += [(side, text, f"{size:,.0f}", row) for side, text, size, row in rows]
    return out + [(side, "together", f"{total:,.0f}", "derived") for side, total in sums.items()]


TABLES: Mapping[str, Callable[[Measured], Table]] = {
    "costs": _costs,
    "plants": _plants,
    "limits": _limits,
    "memory": _memory,
}


def page(text: str, bench: str) -> str:
    """docs/scale.md with its tables made anew.

    Args:
        text: The page as it is.
        bench: docs/bench.md.
    """
    measured = Measured(bench)
    for name, made in TABLES.items():
        mark = f"<!-- {name}, by deploy/scale.py -->\n"
        before, _, behind = text.partition(mark)
        text = before + mark + "".join(_written(made(measured))) + re.sub(r"\A(\|.*\n)*", "", behind)
    return text


def _written(table: Table) -> Iterator[str]:
    """Markdown; columns of figures lie to the right."""
    head, *rows = table
    figures = [all(re.match(r"[\d.]", row[at]) for row in rows) for at in range(len(head))]
    yield f"| {' | '.join(head)} |\n"
    yield f"|{'|'.join('--:' if one else '---' for one in figures)}|\n"
    yield from (f"| {' | '.join(row)} |\n" for row in rows)


def _number(told: str) -> float:
    """`10.7 M` and `12,345`, as the page writes them."""
    plain = told.strip().replace(",", "")
    return float(plain.removesuffix(" M")) * (1e6 if plain.endswith(" M") else 1)


def _short(value: float) -> str:
    """Three figures; no more were measured."""
    return f"{float(f'{value:.3g}'):,.10g}"


def _round(value: float) -> str:
    """Two figures, for what is derived."""
    return f"{float(f'{value:.2g}'):,.0f}"


if __name__ == "__main__":
    file = DOCS / "scale.md"
    file.write_text(page(file.read_text(), (DOCS / "bench.md").read_text()))
