"""An organisation's own sign-in (OpenID Connect Core 1.0, code flow with PKCE, RFC 7636).

The provider says who somebody is, nothing more: the verified e-mail address must be the login of a person who is
enrolled here. Nobody is enrolled by it, and what it says of groups and roles is not read. The library for its
signatures is an extra (`checkvalve[oidc]`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlencode

from protocol.errors import CheckvalveError, ConfigError
from receiver.portal_settings import OidcTable

PATIENCE_S = 10.0
"""For one answer of the provider [s]."""

MOST_BYTES = 256 * 1024
"""Of one answer of the provider [bytes]."""

LEEWAY_S = 60
"""Between the provider's clock and ours [s]."""

OPEN_NS = 10 * 60 * 10**9
"""How long somebody may take at the provider [ns]."""

MOST_OPEN = 256

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")

Fetch = Callable[[str, Mapping[str, str] | None], dict[str, Any]]
"""Address and a form to post, None to get; the object that is answered."""


class OidcError(CheckvalveError):
    """What the provider answered does not hold; the person is told no details."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Somebody who was sent to the provider."""

    nonce: str
    verifier: str
    back: str
    ends_ns: int


class OpenIdProvider:
    """The provider; for any thread. Each call but `leave` waits for the network."""

    def __init__(self, table: OidcTable, secret: str, *, fetch: Fetch | None = None) -> None:
        """
        Args:
            table: Its settings.
            secret: That it shares with these pages.
            fetch: Asks it.

        Raises:
            ConfigError: the library is not there.
        """
        if find_spec("joserfc") is None:
            raise ConfigError("portal.oidc needs a library", hint="pip install 'checkvalve[oidc]'")
        self._table, self._secret, self._fetch = table, secret, fetch or _fetched
        self._lock = threading.Lock()
        self._open: dict[str, Departure] = {}

    @property
    def label(self) -> str:
        """As the sign-in page names it."""
        return self._table.label

    def back(self, here: str) -> str:
        """Where the provider sends a browser back to; `here` is the address these pages were asked under."""
        return f"{(self._table.address or here).rstrip('/')}/sign-in/oidc-back"

    def leave(self, back: str, now_ns: int) -> tuple[str, str]:
        """Where a browser is sent, and the state that it brings back.

        Args:
            back: Address of these pages that the provider sends it to.
            now_ns: The time [ns].

        Raises:
            OidcError: the provider cannot be asked.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        with self._lock:
            while len(self._open) >= MOST_OPEN:
                self._open.pop(next(iter(self._open)))
            self._open[state] = Departure(nonce, verifier, back, now_ns + OPEN_NS)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self._table.client_id,
            "redirect_uri": back,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._told('authorization_endpoint')}?{urlencode(asked)}", state

    def email(self, state: str, code: str, *, now_ns: int, wall_ns: int) -> str:
        """The verified address of who came back.

        Raises:
            OidcError: nothing of it holds, or the provider cannot be asked.
        """
        with self._lock:
            left = self._open.pop(state, None)
        if left is None or now_ns >= left.ends_ns:
            raise OidcError("nobody left with this state, or too long ago")
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": left.back,
            "client_id": self._table.client_id,
            "client_secret": self._secret,
            "code_verifier": left.verifier,
        }
        told = self._asked(str(self._told("token_endpoint")), given)
        claims = self._claims(str(told.get("id_token", "")))
        _hold(claims, self._table, left.nonce, wall_ns // 10**9)
        if claims.get("email_verified") is not True or not isinstance(claims.get("email"), str):
            raise OidcError("the provider did not verify an e-mail address")
        return str(claims["email"])

    def _claims(self, token: str) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        keys = self._asked(str(self._told("jwks_uri")), None)
        try:
            return dict(jwt.decode(token, KeySet.import_key_set(keys), algorithms=[*ALGORITHMS]).claims)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise OidcError(f"the provider's token does not hold: {type(error).__name__}") from error

    def _told(self, name: str) -> object:
        told = self._asked(f"{self._table.issuer.rstrip('/')}/.well-known/openid-configuration", None)
        if told.get("issuer") != self._table.issuer:
            raise OidcError("the provider calls itself by another name than [portal.oidc] issuer")
        return told.get(name, "")

    def _asked(self, address: str, form: Mapping[str, str] | None) -> dict[str, Any]:
        try:
            return self._fetch(address, form)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise OidcError(f"the provider does not answer at {address}: {error}") from error


def _hold(claims: Mapping[str, Any], table: OidcTable, nonce: str, now_s: int) -> None:
    """Raises OidcError for a token that is not for us, not of now, or of another sign-in (Core 1.0, 3.1.3.7)."""
    audience = claims.get("aud")
    for_us = audience == table.client_id or (isinstance(audience, list) and table.client_id in audience)
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != table.client_id:
        for_us = False
    ends, begun = claims.get("exp"), claims.get("iat", now_s)
    timely = isinstance(ends, int) and isinstance(begun, int) and begun - LEEWAY_S <= now_s < ends + LEEWAY_S
    same = isinstance(claims.get("nonce"), str) and secrets.compare_digest(
        str(claims["nonce"]).encode(), nonce.encode()
    )
    if claims.get("iss") != table.issuer or not for_us or not timely or not same:
        raise OidcError("the provider's token is not for these pages, not of now, or of another sign-in")


def _fetched(address: str, form: Mapping[str, str] | None) -> dict[str, Any]:
    if not address.startswith(("https://", "http://")):
        raise ValueError("no web address")
    data = urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(address, data=data, headers={"Accept": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - web addresses only
        body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ValueError("larger than any answer of a provider")
    told = json.loads(body)
    if not isinstance(told, dict):
        raise TypeError("no JSON object")
    return told
