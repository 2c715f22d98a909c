"""The addresses of i3X: which part of the reader's view answers each, and whether the look goes on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from receiver.portal.error_answers import Endpoint
from receiver.portal.i3x.envelopes import ROOT
from receiver.portal.i3x.exploring import info, not_written
from receiver.portal.scoped.scoped_reading import ScopedReading
from receiver.portal.scoped.scoped_view import ScopedView

Part: TypeAlias = Callable[[ScopedView], Endpoint]

GETS: dict[str, Part] = {
    "/objecttypes": lambda view: view.i3x.exploring.types,
    "/objects": lambda view: view.i3x.exploring.objects,
}
POSTS: dict[str, Part] = {
    "/objecttypes/query": lambda view: view.i3x.exploring.some_types,
    "/objects/list": lambda view: view.i3x.exploring.some_objects,
    "/objects/related": lambda view: view.i3x.exploring.related,
    "/objects/value": lambda view: view.i3x.querying.value,
    "/objects/history": lambda view: view.i3x.querying.history,
    "/subscriptions/register": lambda view: view.i3x.subscribing.register,
    "/subscriptions/sync": lambda view: view.i3x.subscribing.sync,
    "/subscriptions/stream": lambda view: view.i3x.subscribing.stream,
}
PLAIN_GETS: dict[str, Part] = {
    "/namespaces": lambda view: view.i3x.exploring.namespaces,
    "/relationshiptypes": lambda view: view.i3x.exploring.relation_types,
}
"""They show nothing of the plant."""
PLAIN_POSTS: dict[str, Part] = {
    "/relationshiptypes/query": lambda view: view.i3x.exploring.some_relation_types,
    "/subscriptions": lambda view: view.i3x.subscribing.create,
    "/subscriptions/list": lambda view: view.i3x.subscribing.some,
    "/subscriptions/delete": lambda view: view.i3x.subscribing.delete,
    "/subscriptions/unregister": lambda view: view.i3x.subscribing.unregister,
}
WRITES = ("/objects/value", "/objects/history")
"""A PUT here is answered that nothing is written."""

QUESTIONS = {ROOT + path: ("POST", "PUT") if path in WRITES else ("POST",) for path in (*POSTS, *PLAIN_POSTS)}
"""For the guard: methods with a body, by address."""

_PACKED = [Middleware(GZipMiddleware, minimum_size=0, compresslevel=4)]
"""Whoever takes gzip must be given it, however short the answer (guide, "Transport & Encoding")."""


def i3x_routes(reading: ScopedReading, guarded: Callable[[Endpoint], Endpoint]) -> list[Route]:
    """Every address of i3X."""
    routes = [_route("/info", info, guarded, "GET")]
    for parts, method in ((GETS, "GET"), (POSTS, "POST")):
        routes += [_route(path, reading.answer(part), guarded, method) for path, part in parts.items()]
    for parts, method in ((PLAIN_GETS, "GET"), (PLAIN_POSTS, "POST")):
        routes += [_route(path, reading.answer(part, data=False), guarded, method) for path, part in parts.items()]
    return routes


def _route(path: str, answer: Endpoint, guarded: Callable[[Endpoint], Endpoint], method: str) -> Route:
    if path not in WRITES:
        return Route(ROOT + path, guarded(answer), methods=[method], middleware=_PACKED)

    async def read_alone(request: Request) -> ASGIApp:
        return await (answer if request.method == "POST" else not_written)(request)

    return Route(ROOT + path, guarded(read_alone), methods=[method, "PUT"], middleware=_PACKED)
