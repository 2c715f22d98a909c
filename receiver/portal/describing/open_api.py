"""`/api/openapi.json` and `/api/`: what programs may ask, made of one table (OpenAPI Specification 3.1.1).

The document tells of the addresses and of nothing in the plant: it is the same for every reader. A test holds it equal
to the routes, and another asks every address all sorts of questions by it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from receiver.portal.describing.addresses import ADDRESSES
from receiver.portal.describing.answer_shapes import SHAPES, JsonSchema, of
from receiver.portal.describing.i3x_shapes import I3X_SHAPES
from receiver.portal.describing.program_address import REFUSALS, ProgramAddress, QueryParameter
from receiver.portal.i3x.envelopes import ROOT
from receiver.portal.pages import templates
from receiver.portal.signing_in import cookies

VERSION = "1"
"""Of the addresses; it rises where an answer loses a name or changes what one means."""

SCHEMES: dict[str, JsonSchema] = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": cookies.name(cookies.SESSION, encrypted=True),
        "description": "Of a person who signed in at /sign-in.",
    },
    "session_on_loopback": {
        "type": "apiKey",
        "in": "cookie",
        "name": cookies.name(cookies.SESSION, encrypted=False),
        "description": "The same where the pages are plain HTTP, on loopback: a browser takes no __Host- name there.",
    },
    "service": {
        "type": "http",
        "scheme": "bearer",
        "description": "Token of a service, from `checkvalve service issue`: good from its addresses, until its end.",
    },
}

TEXT_OF = (
    "Reading alone: GET and HEAD, and POST where a question of i3X stands in a body. A reader sees the assets of "
    "grants in force and nothing beside them; every look of somebody who signed in is on record before it is answered. "
    "What `[portal] anyone` opens is answered without signing in, and is not on record. A name in the Host header that "
    "is not this machine's is answered 421. Times are milliseconds since 1970 UTC, and RFC 3339 where i3X asks for it. "
    "Further names may appear in an answer."
)


ALL_SHAPES = SHAPES | I3X_SHAPES


@cache
def document() -> dict[str, Any]:
    """The whole of it."""
    paths: dict[str, dict[str, Any]] = {}
    for one in ADDRESSES:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Checkvalve", "version": VERSION, "description": TEXT_OF},
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in SCHEMES],
        "paths": paths,
        "components": {"schemas": ALL_SHAPES | {"Document": of("object")}, "securitySchemes": SCHEMES},
    }


async def as_document(request: Request) -> Response:
    """`/api/openapi.json`."""
    return Response(orjson.dumps(document(), option=orjson.OPT_APPEND_NEWLINE), media_type="application/json")


async def as_page(request: Request) -> Response:
    """`/api/`: the same for people."""
    shown = templates().get_template("describing.html")
    return HTMLResponse(
        shown.render(
            addresses=ADDRESSES, schemes=SCHEMES, says=TEXT_OF, shapes=ALL_SHAPES, ranged=ranged, refusals=REFUSALS
        )
    )


def ranged(parameter: QueryParameter) -> str:
    """What a parameter may be, in words."""
    schema = parameter.schema
    kinds = [one["type"] for one in schema.get("anyOf", [schema])]
    told = ["date and time" if one == "string" and len(kinds) > 1 else _KINDS[one] for one in kinds]
    parts = [" or ".join(told)]
    if "maximum" in schema:
        parts.append(f"{schema['minimum']} to {schema['maximum']}")
    if "default" in schema:
        parts.append(f"left out: {schema['default']}")
    return ", ".join(parts)


_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "array": "texts, each by itself",
    "boolean": "true or false",
}
PARTLY = ("I3xHistories", "I3xBatches")
"""Shapes of answers that may be told in part."""


def _operation(one: ProgramAddress) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{one.shape}"} if one.shape else of("string")
    body = {one.media: {"schema": schema}}
    body |= {media: {"schema": of("string")} for media in one.others}
    answers: dict[str, Any] = {"200": {"description": "As asked.", "content": body}} if one.answers else {}
    if one.shape in PARTLY:
        answers["206"] = {"description": "Not all of it: `responseDetail` says what is missing.", "content": body}
    refused = {"text/plain": {"schema": of("string")}}
    if one.path.startswith(ROOT):
        refused = {"application/json": {"schema": {"$ref": "#/components/schemas/I3xRefusal"}}}
    for status in one.refusals:
        answers[str(status)] = {"description": REFUSALS[status], "content": refused}
    if one.path == "/healthz":
        answers["503"] = {"description": "Somebody should be called.", "content": body}
    told: dict[str, Any] = {"operationId": _name(one), "summary": one.says, "responses": answers}
    if one.body:
        asked = {"schema": {"$ref": f"#/components/schemas/{one.body}"}}
        told["requestBody"] = {"required": True, "content": {"application/json": asked}}
    if one.parameters:
        told["parameters"] = [_parameter(parameter) for parameter in one.parameters]
    if one.open:
        told["security"] = []
    return told


def _parameter(one: QueryParameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": "query",
        "required": one.required,
        "description": one.says,
        "schema": one.schema,
    }


def _name(one: ProgramAddress) -> str:
    if one.path.startswith(ROOT):
        words = one.path.removeprefix(ROOT).strip("/").split("/")
        return "_".join(["i3x", *(["write"] if one.method == "PUT" else []), *words])
    return {"/api/": "describe", "/api/openapi.json": "document"}.get(one.path, one.path.rpartition("/")[2])
