"""What every answer carries and every request must have, whatever page it is for.

Pages show the plant; nothing on them may come from, or go to, anywhere else:

- a Content-Security-Policy that allows scripts, styles and connections from here only, no inline code, no frames
  (W3C CSP Level 3), and headers against type guessing and leaking addresses;
- a Host header naming this machine, so that a foreign name which is made to resolve to us (DNS rebinding) gets nothing;
- GET and HEAD only: there is nothing here to change.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

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
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Host names that are always this machine."""


class HttpGuard:
    """Refuses what is no plain reading of these pages, and adds the headers to every answer (ASGI 3.0)."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = (), any_address: bool = False) -> None:
        """
        Args:
            app: What is guarded.
            hosts: Names and addresses, without a port, under which the pages may be asked for, beside `LOOPBACK`.
            any_address: Take any literal IP address too: for a listener on all interfaces. An address cannot be
                rebound, only a name can.
        """
        self._app = app
        self._hosts = LOOPBACK | {host.lower().strip("[]") for host in hosts}
        self._any_address = any_address

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
        if scope["method"] not in ("GET", "HEAD"):
            text = "These pages can only be read.\n"
            return PlainTextResponse(text, status_code=405, headers={"Allow": "GET, HEAD"})
        if not self.knows(Headers(scope=scope).get("host", "")):
            return PlainTextResponse("These pages are not served under this name.\n", status_code=421)
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this machine (RFC 9110, 7.2)."""
        name = host_name(host)
        if name in self._hosts:
            return True
        return self._any_address and _is_address(name)


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
