"""An organisation's own sign-in: it says who somebody is, for somebody who is enrolled, and grants nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey
from sign_in_site import SignInSite, WebReader

from receiver.portal.signing_in.oidc import OpenIdProvider
from receiver.portal_settings import OidcTable

ISSUER = "https://login.plant.example"
CLIENT, SECRET = "checkvalve", "the provider's secret"


@dataclass
class FakeProvider:
    """Answers as a provider does; `claims` and `fail` make it answer otherwise."""

    now_s: int
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "1"}))
    claims: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[FakeProvider, dict[str, Any]], str] | None = None
    challenge: str = ""
    nonce: str = ""
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def fetch(self, address: str, form: Mapping[str, str] | None) -> dict[str, Any]:
        """The network."""
        self.asked.append(address)
        if self.down:
            raise OSError("no route to host")
        if address == f"{ISSUER}/.well-known/openid-configuration":
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            return {"issuer": ISSUER} | {name: f"{ISSUER}/{name}" for name in names}
        if address == f"{ISSUER}/jwks_uri":
            return dict(KeySet([self.key]).as_dict())
        assert address == f"{ISSUER}/token_endpoint"
        assert form is not None
        made = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        assert (made, form["client_secret"], form["code"]) == (self.challenge, SECRET, "the code")
        claims = {
            "iss": ISSUER,
            "aud": CLIENT,
            "sub": "1",
            "exp": self.now_s + 300,
            "iat": self.now_s,
            "nonce": self.nonce,
            "email": "S.Smith@plant.example",
            "email_verified": True,
            "groups": ["administrators"],
        } | self.claims
        return {"id_token": self.sign(self, claims) if self.sign else self.token(claims)}

    def token(self, claims: dict[str, Any]) -> str:
        """Signed as it should be."""
        return jwt.encode({"alg": "ES256", "kid": "1"}, claims, self.key)

    def go(self, address: str) -> str:
        """A person signs in there; returns where their browser is sent."""
        asked = {name: held[0] for name, held in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{ISSUER}/authorization_endpoint?")
        assert asked["code_challenge_method"] == "S256"
        self.challenge, self.nonce = asked["code_challenge"], asked["nonce"]
        return f"{urlsplit(asked['redirect_uri']).path}?code=the+code&state={asked['state']}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SignInSite]:
    made = SignInSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def provider(site: SignInSite) -> FakeProvider:
    return FakeProvider(site.clock() // 10**9)


@pytest.fixture
def web(site: SignInSite, provider: FakeProvider) -> Iterator[WebReader]:
    table = OidcTable(issuer=ISSUER, client_id=CLIENT, secret_file="unused", label="Plant AG")  # type: ignore[arg-type]
    with site.pages(oidc=OpenIdProvider(table, SECRET, fetch=provider.fetch)) as made:
        yield made


def test_who_is_enrolled_signs_in_by_the_organisation(site: SignInSite, provider: FakeProvider, web: WebReader) -> None:
    """By the verified address; the page after it goes on by itself, and the session is on record as such."""
    site.ready()
    assert "Sign in with Plant AG" in web.get("/sign-in").text
    leave = web.get("/sign-in/oidc")
    assert "SameSite=Lax" in leave.headers["Set-Cookie"]
    back = provider.go(leave.location)
    reply = web.get(back)
    assert reply.status == 200
    assert 'http-equiv="refresh" content="0; url=/"' in reply.text
    assert "sponsor" in web.get("/account").text
    assert [entry.facts["how"] for entry in site.of("session.opened")] == ["oidc"]
    assert web.get(back).status == 403  # once


def unsigned(provider: FakeProvider, claims: dict[str, Any]) -> str:
    """alg: none."""
    part = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return f"{part}.{provider.token(claims).split('.')[1]}."


def other_key(provider: FakeProvider, claims: dict[str, Any]) -> str:
    """A key that is not the provider's, under its name."""
    return jwt.encode({"alg": "ES256", "kid": "1"}, claims, ECKey.generate_key("P-256"))


def confused(provider: FakeProvider, claims: dict[str, Any]) -> str:
    """HMAC with the public key as its secret."""
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(provider.key.as_pem(private=False)))


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "for somebody else": {"claims": {"aud": "other"}},
    "for several, by another": {"claims": {"aud": ["other", CLIENT], "azp": "other"}},
    "over": {"claims": {"exp": 1}},
    "still to come": {"claims": {"iat": 2**40}},
    "another sign-in": {"claims": {"nonce": "other"}},
    "no nonce": {"claims": {"nonce": None}},
    "not verified": {"claims": {"email_verified": False}},
    "verified as text": {"claims": {"email_verified": "true"}},
    "no address": {"claims": {"email": None}},
    "nobody enrolled": {"claims": {"email": "boss@plant.example"}},
    "unsigned": {"sign": unsigned},
    "another key": {"sign": other_key},
    "a confused algorithm": {"sign": confused},
    "no token": {"sign": lambda provider, claims: "x.y"},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_hold_signs_nobody_in(
    site: SignInSite, provider: FakeProvider, web: WebReader, what: str
) -> None:
    """All are refused alike, and on record as a failure."""
    site.ready()
    for name, held in WRONG[what].items():
        setattr(provider, name, held)
    reply = web.get(provider.go(web.get("/sign-in/oidc").location))
    assert reply.status == 403
    assert "Nobody is enrolled here" in reply.text
    assert site.of("session.opened") == []
    assert [entry.facts["how"] for entry in site.of("session.failed")] == ["oidc"]


def test_who_did_not_leave_from_this_browser_does_not_come_back(
    site: SignInSite, provider: FakeProvider, web: WebReader
) -> None:
    """Nobody is signed in as somebody else by a link."""
    site.ready()
    back = provider.go(web.get("/sign-in/oidc").location)
    other = WebReader(web.base)
    assert other.get(back).status == 403
    other.get("/sign-in/oidc")
    assert other.get(back).status == 403
    assert web.get(back).status == 200


def test_a_suspended_person_is_not_let_in_by_the_organisation(
    site: SignInSite, provider: FakeProvider, web: WebReader
) -> None:
    """What this site says of a person stands above it."""
    site.ready()
    site.act(lambda acts: acts.suspend("p-sponsor1", "why"))
    assert web.get(provider.go(web.get("/sign-in/oidc").location)).status == 403


def test_a_provider_that_does_not_answer_is_told(provider: FakeProvider, web: WebReader) -> None:
    """The other ways to sign in stay."""
    provider.down = True
    assert web.get("/sign-in/oidc").status == 502
    assert web.get("/sign-in").status == 200
