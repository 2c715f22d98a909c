"""The two cookies: the session's, and before there is one a visit's, to which the forms of signing in are bound.

Under https both have the prefix `__Host-` (RFC 6265bis, 4.1.3.2): no other host, path or plain page can set them. On
loopback the pages are plain http, where a browser takes no such name; both are HttpOnly and SameSite=Strict anyway.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

SESSION, VISIT, STATE = "checkvalve", "checkvalve-visit", "checkvalve-oidc"


def name(base: str, *, encrypted: bool) -> str:
    """As the cookie is called here."""
    return f"__Host-{base}" if encrypted else base


def word(request: Request, base: str) -> str:
    """What a cookie holds; empty where it is not there."""
    return request.cookies.get(name(base, encrypted=request.url.scheme == "https"), "")


def put(request: Request, response: Response, base: str, held: str, *, same_site: str = "strict") -> None:
    """Set it for as long as the browser is open; `held` empty: take it away."""
    encrypted = request.url.scheme == "https"
    parts = [f"{name(base, encrypted=encrypted)}={held}", "Path=/", "HttpOnly", f"SameSite={same_site.capitalize()}"]
    parts += ["Secure"] if encrypted else []
    parts += [] if held else ["Max-Age=0"]
    response.headers.append("Set-Cookie", "; ".join(parts))
