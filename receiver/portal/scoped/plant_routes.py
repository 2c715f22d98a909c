"""The addresses that show the plant: what of a reader's view answers each, and whether the look goes on record."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from receiver.portal.error_answers import Endpoint
from receiver.portal.scoped.scoped_reading import ScopedReading
from receiver.portal.scoped.scoped_view import ScopedView


def plant_routes(reading: ScopedReading, guarded: Callable[[Endpoint], Endpoint]) -> list[Route]:
    """Every address of the plant's data, and what of the reader's view answers it."""
    shows: dict[str, Callable[[ScopedView], Endpoint]] = {
        "/": lambda view: view.pages.overview,
        "/asset": lambda view: view.pages.asset,
        "/asset/{name:path}": lambda view: view.pages.asset,
        "/tag": lambda view: view.pages.tag,
        "/changes": lambda view: view.pages.changes,
        "/api/assets": lambda view: view.api.assets,
        "/api/events": lambda view: view.api.events,
        "/api/latest": lambda view: view.api.latest,
        "/api/trend": lambda view: view.api.trend,
        "/live": lambda view: view.api.live,
    }
    others: dict[str, Callable[[ScopedView], Endpoint]] = {
        "/tag/{series:int}": lambda view: view.pages.numbered_tag,
        "/api/link": lambda view: view.api.link,
        "/healthz": lambda view: view.api.health,
    }
    routes = [(path, reading.answer(part)) for path, part in shows.items()]
    routes += [(path, reading.answer(part, data=False)) for path, part in others.items()]
    return [Route(path, guarded(answer)) for path, answer in routes]
