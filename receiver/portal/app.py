"""The pages as one application: routes, errors (`error_answers.py`) and the live task, wrapped in the guard.

    create_app(history, state, scope, clock=time.time_ns) -> Starlette

One application serves one scope. A later reader with a scope of their own gets a Live and a Keeper of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.portal.api import Api
from receiver.portal.error_answers import Endpoint, ErrorAnswers
from receiver.portal.faults import DisplayFaults
from receiver.portal.keeper import Keeper, NoHistory
from receiver.portal.live import Live, running
from receiver.portal.pages import Pages
from receiver.portal.serving.guard import HttpGuard
from receiver.portal.steady import EraFile, Steady, read_eras

_log = logging.getLogger("receiver.portal")

STATIC = Path(__file__).parent / "static"


def create_app(
    history: Path,
    state: Path,
    scope: Scope,
    *,
    clock: Callable[[], int],
    hosts: Iterable[str] = (),
    any_address: bool = False,
    since_boot: Callable[[], int] | None = None,
    boot: str = "",
) -> Starlette:
    """The pages for one scope.

    Args:
        history: Folder of the historian's store; it may not be there yet.
        state: Folder of the processes' `status-*.json`.
        scope: Whose machines the reader may see.
        clock: The low side's wall time [ns since 1970 UTC].
        hosts: Names under which the pages may be asked for, beside this machine's loopback ones.
        any_address: Take any literal IP address as Host (see `HttpGuard`).
        since_boot: Time that is never set [ns, any origin]; without it the wall clock is believed to be none that is.
        boot: Names the present boot, in which `since_boot` counts; without it nothing is kept for the next start.
    """
    faults = DisplayFaults()
    for_live = Keeper(lambda: Door(history, scope, clock=clock), name="portal-live", faults=faults)
    for_pages = Keeper(lambda: Door(history, scope, clock=clock), name="portal-pages", faults=faults)
    path = state / "portal-clock.json"
    eras = read_eras(path, boot, _log.warning, wall_ns=clock()) if boot else ()
    steady, era_file = Steady(clock, since_boot or clock, eras), EraFile(path, boot) if boot else None
    live = Live(for_live, state, scope=scope, clock=clock, steady=steady, era_file=era_file, faults=faults)
    pages, api = Pages(live, for_pages), Api(live, for_pages)
    errors = ErrorAnswers(pages, faults)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await live.look(asyncio.get_running_loop().time())  # the first page is whole
        try:
            async with running(live):
                yield
        finally:
            await for_live.close()
            await for_pages.close()

    app = Starlette(
        routes=[*_routes(pages, api, errors.guarded), Mount("/static", StaticFiles(directory=STATIC))],
        middleware=[
            Middleware(HttpGuard, hosts=tuple(hosts), any_address=any_address),
            Middleware(GZipMiddleware, minimum_size=2048, compresslevel=4),
        ],
        exception_handlers={HTTPException: errors.refused, NoHistory: errors.refused, Exception: errors.broken},
        lifespan=lifespan,
    )
    app.state.live = live
    return app


def _routes(pages: Pages, api: Api, guarded: Callable[[Endpoint], Endpoint]) -> list[Route]:
    """Every address, and what answers it."""
    answers: dict[str, Endpoint] = {
        "/": pages.overview,
        "/asset": pages.asset,
        "/asset/{name:path}": pages.asset,
        "/tag/{series:int}": pages.tag,
        "/changes": pages.changes,
        "/api/assets": api.assets,
        "/api/events": api.events,
        "/api/latest": api.latest,
        "/api/trend": api.trend,
        "/api/link": api.link,
        "/live": api.live,
        "/healthz": api.health,
    }
    return [Route(path, guarded(answer)) for path, answer in answers.items()]
