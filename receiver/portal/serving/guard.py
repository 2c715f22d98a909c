"""What every answer carries and every request must have, whatever page it is for.

Pages show the plant; nothing on them may come from, or go to, anywhere else:

- a Content-Security-Policy that allows scripts, styles and connections from here only, no inline code, no frames
  (W3C CSP Level 3), and headers against type guessing and leaking addresses;
- a Host header naming this machine, so that a foreign name which is made to resolve to us (DNS rebinding) gets nothing;
- GET and HEAD only: there is nothing here to change. What is changed by people who sign in stands under addresses of
  its own; there a POST is taken that says it comes from these pages (Origin, RFC 6454; else Sec-Fetch-Site);
- questions of programs that are too long for an address stand in a body (i3X, `portal/i3x/`). They change nothing of
  the plant or of people, so they need no token; but they must be JSON, which no form of a foreign page can send, and
  what a browser says to send for a foreign page is refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" a browser sends `Origin: null` with our own forms (Fetch, "append a request Origin header").
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Host names that are always this machine."""


class HttpGuard:
    """Refuses what is no plain reading of these pages, and adds the headers to every answer (ASGI 3.0)."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str] = (),
        any_address: bool = False,
        posts: Iterable[str] = (),
        questions: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """
        Args:
            app: What is guarded.
            hosts: Names and addresses, without a port, under which the pages may be asked for, beside `LOOPBACK`.
            any_address: Take any literal IP address too: for a listener on all interfaces. An address cannot be
                rebound, only a name can.
            posts: Addresses at and below which a POST is taken.
            questions: Methods with a body by the address that takes them; they only read, or are answered that
                nothing is written.
        """
        self._app = app
        self._hosts = LOOPBACK | {host.lower().strip("[]") for host in hosts}
        self._any_address = any_address
        self._posts = tuple(posts)
        self._questions = {path: frozenset(methods) for path, methods in (questions or {}).items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on and add the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                # Scripts and styles are asked for again each time, and answered by "not modified".
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
            await send(message)

        refused = self._refusal(scope)
        await (refused or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        posts = scope["method"] == "POST" and below(scope["path"], *self._posts)
        asks = scope["method"] in self._questions.get(scope["path"], ())
        if scope["method"] not in ("GET", "HEAD") and not posts and not asks:
            text = "These pages can only be read.\n"
            return PlainTextResponse(text, status_code=405, headers={"Allow": "GET, HEAD"})
        if not self.knows(headers.get("host", "")):
            return PlainTextResponse("These pages are not served under this name.\n", status_code=421)
        if posts and not _from_here(headers):
            return PlainTextResponse("This was not sent by these pages.\n", status_code=403)
        if asks and not _from_a_program(headers):
            return PlainTextResponse("This was sent by a foreign page.\n", status_code=403)
        if asks and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return PlainTextResponse("Say Content-Type: application/json.\n", status_code=400)
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this machine (RFC 9110, 7.2)."""
        name = host_name(host)
        if name in self._hosts:
            return True
        return self._any_address and _is_address(name)


def below(path: str, *roots: str) -> bool:
    """Whether an address is one of these, or below one."""
    return any(path == root or path.startswith(root + "/") for root in roots)


def _from_here(headers: Headers) -> bool:
    """Whether a browser says that this was sent by a page of this host; its scheme may be a proxy's."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "same-origin"
    return origin.partition("://")[2].lower() == headers.get("host", "").lower()


def _from_a_program(headers: Headers) -> bool:
    """Whether no browser says that a foreign page sent this: a program says neither."""
    if headers.get("origin") is None and headers.get("sec-fetch-site", "none") == "none":
        return True
    return _from_here(headers)


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
