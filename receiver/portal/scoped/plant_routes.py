"""The addresses that show the plant: what of a reader's view answers each, and whether the look goes on record."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from receiver.portal.error_answers import Endpoint
from receiver.portal.scoped.scoped_reading import ScopedReading
from receiver.portal.scoped.scoped_view import ScopedView

POSTS = ("/trend",)
"""Addresses at and below which forms are sent."""


def plant_routes(reading: ScopedReading, guarded: Callable[[Endpoint], Endpoint]) -> list[Route]:
    """Every address of the plant's data, and what of the reader's view answers it."""
    shows: dict[str, Callable[[ScopedView], Endpoint]] = {
        "/": lambda view: view.pages.overview,
        "/asset": lambda view: view.pages.asset,
        "/asset/{name:path}": lambda view: view.pages.asset,
        "/tag": lambda view: view.pages.tag,
        "/changes": lambda view: view.pages.changes,
        "/alarms": lambda view: view.alarms.part,
        "/events": lambda view: view.alarms.events,
        "/events.csv": lambda view: view.alarms.table,
        "/report": lambda view: view.reports.report,
        "/export": lambda view: view.exports.export,
        "/export/events": lambda view: view.exports.events,
        "/api/alarms": lambda view: view.alarms.standing,
        "/api/assets": lambda view: view.api.assets,
        "/api/buckets": lambda view: view.sampling.buckets,
        "/api/events": lambda view: view.api.events,
        "/api/latest": lambda view: view.api.latest,
        "/api/samples": lambda view: view.sampling.samples,
        "/api/trend": lambda view: view.api.trend,
        "/live": lambda view: view.api.live,
        "/trend": lambda view: view.trends.show,
        "/api/trends": lambda view: view.trending.trends,
        "/api/shares": lambda view: view.trending.shares,
        "/api/sparks": lambda view: view.trending.sparks,
        "/api/tags": lambda view: view.trending.tags,
        "/search": lambda view: view.search.page,
        "/api/search": lambda view: view.search.answer,
    }
    others: dict[str, Callable[[ScopedView], Endpoint]] = {
        "/tag/{series:int}": lambda view: view.pages.numbered_tag,
        "/api/link": lambda view: view.api.link,
        "/help": lambda view: view.pages.help,
        "/healthz": lambda view: view.api.health,
    }
    routes = [(path, reading.answer(part)) for path, part in shows.items()]
    routes += [(path, reading.answer(part, data=False)) for path, part in others.items()]
    forms: dict[str, Callable[[ScopedView], Endpoint]] = {
        "/trend/keep-view": lambda view: view.trends.keep_view,
        "/trend/drop-view": lambda view: view.trends.drop_view,
        "/trend/write-note": lambda view: view.trends.write_note,
        "/trend/drop-note": lambda view: view.trends.drop_note,
    }
    sent = [(path, reading.answer(part, data=False)) for path, part in forms.items()]
    return [
        *(Route(path, guarded(answer)) for path, answer in routes),
        *(Route(path, guarded(answer), methods=["POST"]) for path, answer in sent),
    ]
