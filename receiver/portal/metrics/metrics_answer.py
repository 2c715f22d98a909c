"""`/metrics`: what a monitor fetches, such as Prometheus every 15 seconds.

The figures are of the whole pipeline and of nothing in the plant, and an output may be called after somebody. So it is
for the site alone: for anyone where the pages show everything to anyone, else for the site's own people and services
(`checkvalve service issue`); to everybody else it is not there. It waits for no history and no other process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sized
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.governed.people.person import Person
from receiver.portal.faults import DisplayFaults
from receiver.portal.metrics import metric_list as names
from receiver.portal.metrics.disk_figures import disk_figures
from receiver.portal.metrics.low_figures import figures
from receiver.portal.metrics.open_metrics import CONTENT_TYPE, HealthFigure, exposition
from receiver.portal.reports import read_low


class MetricsAnswer:
    """Answers in OpenMetrics."""

    def __init__(
        self,
        state: Path,
        history: Path,
        *,
        clock: Callable[[], int],
        listeners: Sized,
        faults: DisplayFaults,
        for_all: bool,
    ) -> None:
        """
        Args:
            state: The receiver's folder, with the processes' reports.
            history: The folder of the history.
            clock: The low side's wall time [ns since 1970 UTC].
            listeners: Pages that follow live.
            faults: What could not be shown.
            for_all: Anyone may read everything here.
        """
        self._state, self._history, self._clock, self._for_all = state, history, clock, for_all
        self._listeners, self._faults = listeners, faults

    async def metrics(self, request: Request) -> Response:
        """`/metrics`."""
        if not (self._for_all or _of_the_site(request)):
            raise HTTPException(404)
        held = await asyncio.to_thread(lambda: list(self._read()))
        held.append(HealthFigure(names.LISTENERS, len(self._listeners), {}))
        held.append(HealthFigure(names.FAULTS, self._faults.count, {}))
        return Response(exposition(names.METRICS, held), media_type=CONTENT_TYPE)

    def _read(self) -> Iterator[HealthFigure]:
        yield HealthFigure(names.BUILD, 1, {"version": _version()})
        yield from figures(read_low(self._state, self._clock()))
        yield from disk_figures(self._state, self._history)


def _of_the_site(request: Request) -> bool:
    """Whether one of the site's own asks."""
    person: Person | None = getattr(request.scope.get("state", {}).get("reader"), "person", None)
    return person is not None and not person.employer


def _version() -> str:
    for name in ("checkvalve-low", "checkvalve"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
