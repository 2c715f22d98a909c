"""`checkvalve bench WHAT [--json FILE]`: the figures of the README, measured again on this machine.

A bench is a module with `measure(runs) -> list[BenchRow]`, and a line in BENCHES. It is imported when it is asked for,
so that measuring the codec does not need what the portal needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from bench.figures import BenchRow, document, machine, show, write_section
from protocol import terminal

BENCHES = {
    "codec": ("bench.codec", "batches against rows: bytes a sample, samples a second"),
    "fec": ("bench.fec", "the erasure code's engines against reedsolo"),
    "collect": ("bench.collect", "collectors against the bare libraries, and a fleet of 30 devices"),
    "loss": ("bench.loss", "bad links on virtual time: loss in, loss out, overhead, latency; draws loss.png"),
    "confine": ("bench.confine", "what confinement costs: both ends with the system-call filter and without"),
    "access": ("bench.access.access", "governed reading: entries of the trail noted, read and verified"),
    "audit": ("bench.audit", "audit capture: frames a second, memory"),
    "first": ("bench.first", "a fresh checkout: installed, and the demo to its first page with values"),
    "outputs": (
        "bench.sinks.outputs",
        "columns to what a destination takes; a journal into real servers",
    ),
    "historian": ("bench.history.historian", "the historian: samples a second, bytes a sample, how fast it is read"),
    "portal": ("bench.portal.portal", "the pages in a headless browser: time until a page is drawn"),
    "link": ("bench.link", "both ends over a real link: bulk, loss, samples, delay, idle"),
}
"""Command: its module, and its line of help. `soak` has a command of its own: it takes minutes, not runs."""

Json = Annotated[Path | None, typer.Option(help="Write the figures to this file too.")]
Page = Annotated[Path | None, typer.Option(help="Put them into this Markdown page, under their heading.")]

benches = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Measure the figures of the README here.",
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(benches, name="bench")


def _command(name: str, module: str) -> Callable[[int, Path | None, Path | None], None]:
    def run(
        runs: Annotated[int, typer.Option(min=1, help="Measurements of each figure; the median counts.")] = 7,
        json: Json = None,
        page: Page = None,
    ) -> None:
        _measured(name, f"{runs} runs", lambda: import_module(module).measure(runs), json, page)

    return run


def _measured(
    name: str, what: str, measure: Callable[[], Sequence[BenchRow]], json: Path | None, page: Path | None
) -> None:
    console = terminal.console()
    facts = machine()
    with console.status(f"measuring {name}, {what}"):
        rows = measure()
    show(rows, facts, console)
    if json is not None:
        json.write_text(document(rows, facts))
    if page is not None:
        write_section(page, name, rows, facts)


@benches.command()
def soak(
    minutes: Annotated[float, typer.Option(min=0.05, help="With people looking on.")] = 10.0,
    tags: Annotated[int, typer.Option(min=42, help="Of the plant.")] = 20_000,
    rate: Annotated[int, typer.Option(min=1, help="Samples a second that are read.")] = 20_000,
    pages: Annotated[int, typer.Option(min=4, max=200, help="Live pages that are open.")] = 40,
    json: Json = None,
    page: Page = None,
) -> None:
    """The whole path for minutes, with pages open: loss, memory, processor, delay, how fast pages answer."""
    from bench.soak.soak import measure

    what = f"{minutes:g} minutes"
    _measured("soak", what, lambda: measure(minutes, tags=tags, rate=rate, pages=pages), json, page)


for _name, (_module, _line) in BENCHES.items():
    benches.command(_name, help=f"{_line[0].upper()}{_line[1:]}.")(_command(_name, _module))


if __name__ == "__main__":
    benches(prog_name="python -m bench.cli")
