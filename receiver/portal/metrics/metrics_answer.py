"""`/metrics`: what a monitor fetches, such as Prometheus every 15 seconds.

It is there where the pages show everything: the figures are of the whole pipeline, and an output may be called after
somebody. Guard, hosts and methods are those of all pages. It waits for no history and no other process.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from receiver.portal.live import Live
from receiver.portal.metrics import metric_list as names
from receiver.portal.metrics.disk_figures import disk_figures
from receiver.portal.metrics.low_figures import figures
from receiver.portal.metrics.open_metrics import CONTENT_TYPE, HealthFigure, exposition


class MetricsAnswer:
    """Answers in OpenMetrics."""

    def __init__(self, live: Live, state: Path, history: Path) -> None:
        """
        Args:
            live: Has the processes' last reports.
            state: The receiver's folder.
            history: The folder of the history.
        """
        self._live, self._state, self._history = live, state, history

    async def metrics(self, request: Request) -> Response:
        """`/metrics`."""
        disks = await asyncio.to_thread(lambda: list(disk_figures(self._state, self._history)))
        own = [
            HealthFigure(names.BUILD, 1, {"version": _version()}),
            HealthFigure(names.LISTENERS, len(self._live.streams.listeners), {}),
            HealthFigure(names.FAULTS, self._live.faults.count, {}),
        ]
        low = [] if self._live.reports is None else list(figures(self._live.reports))
        return Response(exposition(names.METRICS, [*low, *disks, *own]), media_type=CONTENT_TYPE)


def _version() -> str:
    for name in ("checkvalve-low", "checkvalve"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
