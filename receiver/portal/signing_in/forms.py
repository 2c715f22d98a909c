"""Forms that change something: read bounded, and believed only from our own page.

    SameSite=Strict   the browser sends no cookie with a request that another site began
    Origin            the guard refuses a POST that does not say it comes from here (`serving/guard.py`)
    token             each form carries a hash over its address and the cookie, keyed with the site's secret

Three locks on one door, since none of them holds in every browser.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.portal.signing_in import cookies

MOST_BYTES = 32 * 1024
"""Of a form [bytes], where nothing else is said; a passkey's answer has some kilobytes."""

FIELDS = 64
TOKEN = "token"  # noqa: S105 - a field's name


class Forms:
    """Makes tokens and checks them."""

    def __init__(self, secret: bytes) -> None:
        """
        Args:
            secret: The site's own [32 bytes].
        """
        self._secret = secret

    def token(self, request: Request, address: str) -> str:
        """For a form that is sent to `address`; `keep` must be called with the answer that shows it."""
        held = cookies.word(request, cookies.SESSION) or cookies.word(request, cookies.VISIT)
        if not held:
            held = request.scope.setdefault("state", {}).setdefault("visit", secrets.token_urlsafe(24))
        return hmac.digest(self._secret, f"form\0{address}\0{held}".encode(), "sha256").hex()

    def keep(self, request: Request, response: Response) -> Response:
        """Give the browser the visit that tokens of this answer are bound to, where it had none."""
        if visit := request.scope.get("state", {}).get("visit"):
            cookies.put(request, response, cookies.VISIT, visit)
        return response

    async def read(self, request: Request, *, most: int = FIELDS, most_bytes: int = MOST_BYTES) -> dict[str, str]:
        """The fields of a form of ours; lines end with a line feed, whatever the browser sends.

        Args:
            request: The request.
            most: Fields that it may have.
            most_bytes: Its length at most [bytes].

        Raises:
            HTTPException: 413 too large, 400 not readable, 403 not from a form of ours.
        """
        body = await bounded(request, most_bytes)
        try:
            given = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=most)
        except ValueError as error:
            raise HTTPException(400) from error
        fields = {name: held.replace("\r\n", "\n") for name, held in given}
        self.check(request, fields.pop(TOKEN, ""))
        return fields

    def check(self, request: Request, token: str) -> None:
        """Raises HTTPException (403) for a token that is not this page's and this browser's."""
        held = cookies.word(request, cookies.SESSION) or cookies.word(request, cookies.VISIT)
        wanted = hmac.digest(self._secret, f"form\0{request.url.path}\0{held}".encode(), "sha256").hex()
        if not held or not hmac.compare_digest(wanted, token if token.isascii() else ""):
            raise HTTPException(403)


async def bounded(request: Request, most_bytes: int = MOST_BYTES) -> bytes:
    """The body; HTTPException (413) for one that is larger than the form is."""
    held = bytearray()
    async for part in request.stream():
        held += part
        if len(held) > most_bytes:
            raise HTTPException(413)
    return bytes(held)
