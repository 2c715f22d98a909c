"""What a server says of itself, and whether it still has what it took (pure).

A server that was killed may have lost what it had acknowledged (VictoriaMetrics: all of the last 8 to 12 s, tried). It
is another process then, which `/metrics` says by its start; where it says none, a connection that failed is taken for
as much. What may be lost is sent again; what the same process has had for a minute is released.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from receiver.outputs.influx.server_kind import UNKNOWN, VICTORIA, ServerKind

UNTOLD_S = 600.0
"""A server that takes lines but cannot be asked for this long is treated as one that does not tell its start [s]."""

_REFUSED = re.compile(r"^vm_rows_(?:invalid_total\{type=\"influx\"\}|ignored_total(?:\{.*\})?) ([0-9.e+]+)$", re.M)
_INSERTED = re.compile(r"^vm_rows_inserted_total\{type=\"influx\"\} ([0-9.e+]+)$", re.M)
_STARTED = re.compile(r"^process_start_time_seconds ([0-9.e+]+)$", re.M)


@dataclass(frozen=True, slots=True)
class ServerMetrics:
    """What a server says of itself."""

    started: float | None
    """When its process began [s since 1970]; None where it does not say."""
    kind: ServerKind
    """What answers there."""
    inserted: int
    """Rows it took in all, since its start; 0 where it does not say."""
    refused: int
    """Rows it took and threw away, same."""


NOTHING = ServerMetrics(started=None, kind=UNKNOWN, inserted=0, refused=0)
"""Of a server without counters."""


def read_metrics(body: str) -> ServerMetrics:
    """What is wanted of a page of metrics in the text format of Prometheus."""
    started = _STARTED.search(body)
    return ServerMetrics(
        started=float(started[1]) if started else None,
        kind=VICTORIA if "vm_rows_inserted_total" in body else UNKNOWN,
        inserted=sum(int(float(count)) for count in _INSERTED.findall(body)),
        refused=sum(int(float(count)) for count in _REFUSED.findall(body)),
    )


class Keeping(Enum):
    """What a look at a server says of what it took."""

    LOST = "lost"
    """It may lack it: it is another process, or a connection failed."""
    KEPT = "kept"
    """The same process, for as long as it has been asked."""
    UNTOLD = "untold"
    """It did not answer; nothing is known."""


class ServerWatch:
    """One server, looked at now and then."""

    def __init__(self, started: float | None) -> None:
        """
        Args:
            started: When the process began that took what is held [s since 1970]; None where it does not say.
        """
        self.started = started
        self.broken = False
        """A connection failed, which may have been a restart, since what is held was acknowledged."""
        self.metrics: ServerMetrics | None = None
        """What it said last."""
        self._first_refused = 0
        self._untold_since: float | None = None

    @property
    def refused(self) -> int:
        """Rows that it took and threw away since the first look."""
        return max(self.metrics.refused - self._first_refused, 0) if self.metrics else 0

    def look(self, metrics: ServerMetrics | None, now: float, *, failing: bool) -> Keeping:
        """Take in what it says.

        Args:
            metrics: None where it did not answer.
            now: Monotonic time [s].
            failing: It takes no lines at present.
        """
        if metrics is None:
            self._untold_since = now if self._untold_since is None else self._untold_since
            long = now - self._untold_since >= UNTOLD_S
            return Keeping.KEPT if long and not failing and not self.broken else Keeping.UNTOLD
        before, self.metrics, self._untold_since = self.metrics, metrics, None
        fewer = before is not None and metrics.inserted < before.inserted
        if before is None or fewer:
            self._first_refused = metrics.refused if before is None else 0
        lost = self.broken or fewer or metrics.started != self.started
        self.started, self.broken = metrics.started, False
        return Keeping.LOST if lost else Keeping.KEPT
