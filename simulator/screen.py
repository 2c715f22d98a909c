"""The demo's terminal: one picture that stays, on a terminal; plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from protocol import terminal
from protocol.inert import CELL, inert
from simulator.summary import PathSummary

PLAIN_EVERY = 5.0
"""Where there is no terminal, a line this often [s]."""


class Screen:
    """Shows the counts while the demo runs."""

    def __init__(self, *, live: bool, quiet: bool) -> None:
        """
        Args:
            live: Redraw one picture, where stdout is a terminal.
            quiet: stdout belongs to the JSON object; people's lines go to stderr.
        """
        self._console = terminal.console(error=quiet)
        self._live = Live(console=self._console, auto_refresh=False) if live and sys.stdout.isatty() else None
        self._said = -PLAIN_EVERY
        self._named = False
        """People were said once, where there is no picture."""

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None and self._live.is_started:
            self._live.stop()

    def say(self, line: str) -> None:
        """One line for people."""
        self._console.print(inert(line), soft_wrap=True)

    def show(self, summary: PathSummary, seconds: float, page: str | None, people: Sequence[str]) -> None:
        """Show the present counts in place of those before, and who may sign in."""
        if self._live is not None:
            if not self._live.is_started:
                self._live.start()
            self._live.update(picture(summary, seconds, page, people), refresh=True)
            return
        if people and not self._named:
            self._named = True
            for line in people:
                self.say(line)
        if seconds >= self._said + PLAIN_EVERY:
            self._said = seconds
            lost = sum(count.lost for count in summary.assets.values())
            self.say(
                f"{seconds:5.0f} s  published {summary.published}  not there yet {lost}  link loss {summary.loss:.1%}  "
                f"repaired {summary.blocks_repaired}  frames back {summary.frames_back}"
            )

    def print(self, summary: PathSummary) -> None:
        """Print the last counts, so that they stay on the screen."""
        self._console.print(picture(summary, None, None))


def picture(summary: PathSummary, seconds: float | None, page: str | None, people: Sequence[str] = ()) -> Group:
    """The counts as a table and three lines; below them people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("asset")
    for name in ("read", "sent", "received", "published", "lost", "healed"):
        table.add_column(name, justify="right")
    for name, count in summary.assets.items():
        cells = [count.read, count.sent, count.received, count.published, count.lost, count.healed]
        table.add_row(inert(name, CELL), *(f"{cell:,}" for cell in cells))
    link = Text(
        f"link   {summary.frames_sent:,} frames sent, {summary.frames_received:,} received, loss {summary.loss:.2%}; "
        f"{summary.blocks_sent:,} blocks, {summary.blocks_repaired:,} repaired, {summary.blocks_healed:,} healed, "
        f"{summary.blocks_lost:,} lost"
    )
    latency = "latency  "
    if summary.p50_ms is not None and summary.p99_ms is not None:
        latency += f"p50 {summary.p50_ms:.0f} ms, p99 {summary.p99_ms:.0f} ms from read to queryable"
    back = Text(
        f"frames seen coming back: {summary.frames_back}", style="bold" if not summary.frames_back else "bold red"
    )
    head = (
        [Text(inert(f"page   {page}   ({seconds:.0f} s, Ctrl-C ends)") + "\n")] if page and seconds is not None else []
    )
    below = [Text("\n" + inert(line) if at == 0 else inert(line)) for at, line in enumerate(people)]
    return Group(*head, table, Text(), link, Text(latency), back, *below)
