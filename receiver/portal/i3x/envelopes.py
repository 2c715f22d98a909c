"""What every answer of i3X looks like (guide, "Response Format"), and what a question must look like.

    {"success": true, "result": ..}                                      one answer
    {"success": ..., "results": [{"success", "elementId", "result"}, ..]}   one a name asked for, in the same order
    {"success": false, "responseDetail": {"title", "status", "detail"}}  refused (after RFC 9457)

Whatever refuses a question of i3X, be it the guard, signing in, an unknown address or a bug, does so in plain text
like everywhere in these pages; `RefusalsToldByI3x` stands around all of them and gives it that form.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ROOT = "/i3x/v1"
"""All addresses of i3X stand below it: the specification asks for the version in the path."""

MOST_BYTES = 2 * 1024 * 1024
"""Of a question's body [bytes]: `MOST_NAMES` of 200 bytes."""
MOST_NAMES = 10_000
"""Elements, or subscriptions, of one question."""
MOST_ANSWER = 64 * 1024 * 1024
"""Of an answer to many names [bytes]; one name may be asked for many times over."""


def answer(result: Any, *, detail: Mapping[str, Any] | None = None, status: int = 200) -> Response:
    """One answer.

    Args:
        detail: What should be known beside, as `problem` makes it.
        status: 206 where it is not whole.
    """
    told = {"success": True, "result": result}
    return _json(told | ({"responseDetail": detail} if detail else {}), status)


def bulk(
    names: Iterable[str],
    found: Callable[[str], Any],
    *,
    key: str = "elementId",
    what: str = "Element",
    detail: Mapping[str, Any] | None = None,
    status: int = 200,
    absent: Callable[[list[str]], None] | None = None,
) -> Response:
    """An answer for each name, as often as it was asked for.

    Args:
        names: As they were asked for.
        found: The answer for one.
        key: What the name is called there.
        what: It is, in the words of a refusal.
        absent: Takes the names of what is not there, each once, for the record.

    Where `found` raises KeyError there is no such thing, or none that the reader may see: that is told alike.

    Raises:
        HTTPException: the answer would be too long.
    """
    made: dict[str, tuple[bool, bytes]] = {}
    results, whole, room = [], True, MOST_ANSWER
    for name in names:
        if name not in made:
            made[name] = _one(name, found, key, what)
        well, told = made[name]
        room -= len(told)
        if room < 0:
            raise HTTPException(400, f"the answer would be longer than {MOST_ANSWER} bytes: ask for fewer at a time")
        whole = whole and well
        results.append(orjson.Fragment(told))
    if absent is not None:
        absent([name for name, (well, _) in made.items() if not well])
    return _json({"success": whole, "results": results} | ({"responseDetail": detail} if detail else {}), status)


def _one(name: str, found: Callable[[str], Any], key: str, what: str) -> tuple[bool, bytes]:
    try:
        return True, orjson.dumps({"success": True, key: name, "result": found(name)})
    except KeyError:
        told = problem(404, f"{what} not found: {name}")
        return False, orjson.dumps({"success": False, key: name, "responseDetail": told})


def problem(status: int, detail: str, title: str = "") -> dict[str, Any]:
    """What went wrong, or should be known."""
    return {"title": title or HTTPStatus(status).phrase, "status": status, "detail": detail}


def _json(told: Mapping[str, Any], status: int) -> Response:
    return Response(orjson.dumps(told), status_code=status, media_type="application/json")


class I3xQuestion:
    """The body of a question, a JSON object; whatever is wrong with it is answered 400 with the reason."""

    def __init__(self, held: Mapping[str, Any]) -> None:
        self._held = held

    @classmethod
    async def of(cls, request: Request) -> I3xQuestion:
        """Read it, bounded.

        Raises:
            HTTPException: it is too long, or no JSON object.
        """
        body = b""
        async for some in request.stream():
            body += some
            if len(body) > MOST_BYTES:
                raise HTTPException(400, f"the question is longer than {MOST_BYTES} bytes: ask for fewer at a time")
        try:
            held = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise HTTPException(400, "the question is no JSON") from error
        if not isinstance(held, dict):
            raise HTTPException(400, "the question is no JSON object")
        return cls(held)

    def text(self, name: str) -> str:
        """A text that must be there."""
        held = self._held.get(name)
        if not isinstance(held, str) or not held:
            raise HTTPException(400, f"{name} is missing, or no text")
        return held

    def may(self, name: str) -> str | None:
        """A text that may be left out."""
        held = self._held.get(name)
        if held is not None and not isinstance(held, str):
            raise HTTPException(400, f"{name} is no text")
        return held

    def truth(self, name: str) -> bool:
        """True or false; false where it is left out."""
        held = self._held.get(name, False)
        if not isinstance(held, bool):
            raise HTTPException(400, f"{name} is neither true nor false")
        return held

    def whole(self, name: str) -> int | None:
        """A whole number; None where it is left out."""
        held = self._held.get(name)
        if held is not None and type(held) is not int:
            raise HTTPException(400, f"{name} is no whole number")
        return held

    def depth(self) -> int:
        """`maxDepth`: 0 is all of it, 1 nothing beside the element itself."""
        held = self.whole("maxDepth")
        if held is not None and held < 0:
            raise HTTPException(400, "maxDepth is below 0")
        return 1 if held is None else held

    def names(self, name: str = "elementIds") -> list[str]:
        """Texts that must be there."""
        held = self._held.get(name)
        if not isinstance(held, list) or not all(isinstance(one, str) for one in held):
            raise HTTPException(400, f"{name} is missing, or no list of texts")
        if len(held) > MOST_NAMES:
            raise HTTPException(400, f"{name} has more than {MOST_NAMES} entries: ask for fewer at a time")
        return held


class RefusalsToldByI3x:
    """The middleware (ASGI 3.0): below `/i3x`, plain text with a status of 400 and above is told as i3X asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        if scope["type"] != "http" or not scope["path"].startswith("/i3x"):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []
        body = b""

        async def told(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                kind = MutableHeaders(scope=message).get("content-type", "")
                if message["status"] >= 400 and kind.startswith("text/plain"):
                    held.append(message)
                    return
            elif held and message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await _tell(held[0], body, scope["method"], send)
                return
            await send(message)

        await self._app(scope, receive, told)


async def _tell(start: Message, body: bytes, method: str, send: Send) -> None:
    status, headers = start["status"], MutableHeaders(scope=start)
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
        del headers["content-encoding"]
    detail = body.decode("utf-8", "replace").strip().removeprefix(str(status)).lstrip(": ")
    refused = {"success": False, "responseDetail": problem(status, detail or HTTPStatus(status).phrase)}
    told = orjson.dumps(refused)
    headers["content-type"], headers["content-length"] = "application/json", str(len(told))
    await send(start)
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else told})
