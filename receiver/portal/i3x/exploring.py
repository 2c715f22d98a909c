"""What there is: namespaces, types, relations and objects (guide, "Exploratory Methods")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.portal.i3x import address_space
from receiver.portal.i3x.address_space import AddressSpace, PlantElement
from receiver.portal.i3x.envelopes import I3xQuestion, answer, bulk
from receiver.portal.live import Live
from receiver.portal.scoped import looks

INFO = {
    "specVersion": "1.0",
    "serverName": "Checkvalve",
    "capabilities": {
        "query": {"history": True},
        "update": {"current": False, "history": False},
        "subscribe": {"stream": True},
    },
}
"""The same for everybody, signed in or not: so it says nothing of this build, and nothing of the plant."""


async def info(request: Request) -> Response:
    """`GET /info`: what this server can do."""
    return answer(INFO)


async def not_written(request: Request) -> Response:
    """`PUT /objects/value`, `PUT /objects/history`: nothing here ever writes, and no path leads to the plant."""
    raise HTTPException(501, "nothing is written here: these data came through a data diode")


class Exploring:
    """Answers of one reader's address space."""

    def __init__(self, space: AddressSpace, live: Live) -> None:
        """
        Args:
            space: The elements.
            live: What they are made of.
        """
        self._space, self._live = space, live

    async def namespaces(self, request: Request) -> Response:
        """`GET /namespaces`."""
        return answer(address_space.NAMESPACES)

    async def relation_types(self, request: Request) -> Response:
        """`GET /relationshiptypes`."""
        return answer(_of_namespace(request, address_space.RELATIONS))

    async def some_relation_types(self, request: Request) -> Response:
        """`POST /relationshiptypes/query`."""
        asked = await I3xQuestion.of(request)
        return bulk(asked.names(), address_space.RELATIONS.__getitem__, what="Relationship type")

    async def types(self, request: Request) -> Response:
        """`GET /objecttypes`."""
        self._all_seen(request)
        return answer(_of_namespace(request, self._space.types()))

    async def some_types(self, request: Request) -> Response:
        """`POST /objecttypes/query`."""
        names = (await I3xQuestion.of(request)).names()
        self._all_seen(request)
        absent = partial(looks.absent, request)
        return bulk(names, self._space.types().__getitem__, what="Object type", absent=absent)

    async def objects(self, request: Request) -> Response:
        """`GET /objects`: all of them, those of a type, or the root."""
        asked = request.query_params
        kind = asked.get("typeElementId")
        root, metadata = _truth(request, "root"), _truth(request, "includeMetadata")
        self._all_seen(request)
        found: Iterable[PlantElement] = self._space.elements.values()
        if root:
            found = [one for one in found if one.parent is None]
        if kind is not None:
            found = [one for one in found if one.type_id == kind]
        return answer(self._told(found, metadata=metadata))

    async def some_objects(self, request: Request) -> Response:
        """`POST /objects/list`."""
        asked = await I3xQuestion.of(request)
        names, metadata = asked.names(), asked.truth("includeMetadata")
        elements = self._space.elements
        self._seen(request, names)
        absent = partial(looks.absent, request)
        return bulk(names, lambda one: elements[one].described(metadata=metadata), absent=absent)

    async def related(self, request: Request) -> Response:
        """`POST /objects/related`: what stands in a relation to each, or in one relation."""
        asked = await I3xQuestion.of(request)
        names, only, metadata = asked.names(), asked.may("relationshipType"), asked.truth("includeMetadata")
        elements = self._space.elements

        def around(name: str) -> list[dict[str, Any]]:
            return [
                {"sourceRelationship": relation, "object": elements[one].described(metadata=metadata)}
                for relation, ids in elements[name].relations.items()
                if only is None or relation == only
                for one in ids
            ]

        self._all_seen(request)
        return bulk(names, around, absent=partial(looks.absent, request))

    def _told(self, elements: Iterable[PlantElement], *, metadata: bool) -> list[dict[str, Any]]:
        return self._live.faults.each(lambda one: one.id, lambda one: one.described(metadata=metadata), elements)

    def _seen(self, request: Request, names: Iterable[str]) -> None:
        elements = self._space.elements
        assets, tags = self._space.seen(elements[one] for one in names if one in elements)
        looks.show(request, "read.model", assets, tags)

    def _all_seen(self, request: Request) -> None:
        looks.show(request, "read.model", self._live.picture.assets)


def _of_namespace(request: Request, told: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = request.query_params.get("namespaceUri")
    return [one for one in told.values() if wanted is None or one["namespaceUri"] == wanted]


def _truth(request: Request, name: str) -> bool:
    held = request.query_params.get(name, "false").lower()
    if held not in ("true", "false"):
        raise HTTPException(400, f"{name} is neither true nor false")
    return held == "true"
