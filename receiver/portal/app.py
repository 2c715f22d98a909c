"""The pages as one application: routes, errors (`error_answers.py`) and views, wrapped in the guard.

    create_app(history, state, scope, clock=time.time_ns) -> Starlette

`signing_in/` says who asks. Each scope has a view of its own; `scoped/` takes a request to its reader's, and writes
every look down first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from receiver.governed.grants.granted import NOTHING
from receiver.outputs.historian.views import Scope
from receiver.portal.asset_report.scheduled_reports import ScheduledReports
from receiver.portal.describing.open_api import as_document, as_page
from receiver.portal.error_answers import ErrorAnswers
from receiver.portal.faults import DisplayFaults
from receiver.portal.granting.answer_watch import listen_for_ever
from receiver.portal.granting.granting_routes import POSTS as GRANTING_POSTS
from receiver.portal.granting.granting_routes import granting_routes
from receiver.portal.i3x.envelopes import RefusalsToldByI3x
from receiver.portal.i3x.i3x_routes import QUESTIONS, i3x_routes
from receiver.portal.keeper import NoHistory
from receiver.portal.keeping.desk_acts import DeskActs
from receiver.portal.keeping.thing_store import ThingStore
from receiver.portal.metrics.metrics_answer import MetricsAnswer
from receiver.portal.scoped.plant_routes import POSTS as READING_POSTS
from receiver.portal.scoped.plant_routes import plant_routes
from receiver.portal.scoped.scoped_reading import LookRecord, ScopedReading, view_of
from receiver.portal.scoped.scoped_view import ScopedViews
from receiver.portal.scoped.view_maker import ViewMaker
from receiver.portal.serving.guard import HttpGuard
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.oidc import OpenIdProvider
from receiver.portal.signing_in.routes import POSTS as SIGN_IN_POSTS
from receiver.portal.signing_in.routes import sign_in_routes
from receiver.portal.signing_in.sign_in_gate import SignInGate
from receiver.portal.steady import EraFile, Steady, read_eras
from receiver.report_settings import ReportTable

_log = logging.getLogger("receiver.portal")

STATIC = Path(__file__).parent / "static"


def create_app(
    history: Path,
    state: Path,
    scope: Scope | None,
    *,
    clock: Callable[[], int],
    hosts: Iterable[str] = (),
    any_address: bool = False,
    since_boot: Callable[[], int] | None = None,
    boot: str = "",
    record: LookRecord | None = None,
    office: SignInOffice | None = None,
    oidc: OpenIdProvider | None = None,
    foot: str = "",
    zone: str = "",
    reports: Sequence[ReportTable] = (),
    say: Callable[[str], None] = _log.warning,
) -> Starlette:
    """The pages, for every scope that somebody may read with.

    Args:
        history: Folder of the historian's store; it may not be there yet.
        state: Folder of the processes' `status-*.json`.
        scope: What is read without signing in; None: nothing.
        clock: The low side's wall time [ns since 1970 UTC].
        hosts: Names under which the pages may be asked for, beside this machine's loopback ones.
        any_address: Take any literal IP address as Host (see `HttpGuard`).
        since_boot: Time that is never set [ns, any origin]; without it the wall clock is believed to be none that is.
        boot: Names the present boot, in which `since_boot` counts; without it nothing is kept for the next start.
        record: The trail, in which every look of somebody who signed in is written down; left out, the office's.
        office: Signs people in; without it nobody can here.
        oidc: An organisation's own sign-in, beside.
        foot: Stands at the foot of each page: what anyone reads, what is not encrypted.
        zone: Time zone of the plant (IANA), which readers may choose; empty: there is no choice.
        reports: What is made by itself.
        say: Takes lines about these for people.
    """
    faults = DisplayFaults()
    make = _view_maker(history, state, clock, since_boot, boot, faults, office, foot=foot, zone=zone)
    if record is None and office is not None:
        record = office.desk.authority.trail
    anyone = NOTHING if scope is None else scope
    views = ScopedViews(make.view, kept=frozenset({anyone}))
    reading = ScopedReading(views, anyone=anyone, record=record, clock=clock)
    first = views.ready(anyone)
    errors = ErrorAnswers(lambda request: (view_of(request) or first).pages, faults)
    health = MetricsAnswer(state, history, clock=clock, listeners=make.house, faults=faults, for_all=anyone.whole)
    described = [Route("/api/", errors.guarded(as_page)), Route("/api/openapi.json", errors.guarded(as_document))]
    routes = [
        *plant_routes(reading, errors.guarded),
        *i3x_routes(reading, errors.guarded),
        Route("/metrics", errors.guarded(health.metrics)),
        *described,
    ]
    if office is not None:
        routes += sign_in_routes(office, oidc, errors.guarded)
        routes += granting_routes(office, history, clock, errors.guarded)

    posts = (*SIGN_IN_POSTS, *GRANTING_POSTS, *READING_POSTS) if office is not None else ()

    tasks: list[Callable[[], Coroutine[Any, Any, None]]] = [views.tidy_for_ever]
    if office is not None:
        tasks += [office.tend, partial(listen_for_ever, office, history, clock)]
    if reports:
        made = ScheduledReports(reports, history, state, zone=zone, clock=clock, say=say)
        tasks += [partial(made.run, None if record is None else lambda entry: record.note_async([entry]))]

    app = Starlette(
        routes=[*routes, Mount("/static", StaticFiles(directory=STATIC))],
        middleware=[
            Middleware(RefusalsToldByI3x),
            Middleware(HttpGuard, hosts=tuple(hosts), any_address=any_address, posts=posts, questions=QUESTIONS),
            Middleware(GZipMiddleware, minimum_size=2048, compresslevel=4),
            Middleware(SignInGate, office=office, open_to=scope),
        ],
        exception_handlers={HTTPException: errors.refused, NoHistory: errors.refused, Exception: errors.broken},
        lifespan=lambda app: _running(views, anyone, tasks),
    )
    app.state.views = views
    app.state.live = first.live
    return app


def _view_maker(
    history: Path,
    state: Path,
    clock: Callable[[], int],
    since_boot: Callable[[], int] | None,
    boot: str,
    faults: DisplayFaults,
    office: SignInOffice | None,
    *,
    foot: str,
    zone: str,
) -> ViewMaker:
    """What every view is made of; people who sign in keep things on a desk."""
    path = state / "portal-clock.json"
    eras = read_eras(path, boot, _log.warning, wall_ns=clock()) if boot else ()
    steady, era_file = Steady(clock, since_boot or clock, eras), EraFile(path, boot) if boot else None
    desk, forms = None, None
    if office is not None:
        things = ThingStore(state, clock=clock, say=_log.warning)
        desk, forms = DeskActs(things, office.desk.authority, clock), Forms(office.store.secret("forms"))
    return ViewMaker(
        history,
        state,
        clock,
        steady,
        era_file,
        faults,
        foot=foot,
        zone=zone,
        signing_in=office is not None,
        desk=desk,
        forms=forms,
    )


@contextlib.asynccontextmanager
async def _running(
    views: ScopedViews, anyone: Scope, tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]]
) -> AsyncIterator[None]:
    """The first page is whole before the first question; what runs beside ends with the pages."""
    await views.of(anyone)
    running = [asyncio.create_task(task()) for task in tasks]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await views.close()
