"""Every address of signing in, and what answers it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from receiver.portal.error_answers import Endpoint
from receiver.portal.signing_in.account import AccountPages
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.oidc import OpenIdProvider
from receiver.portal.signing_in.oidc_pages import OidcPages
from receiver.portal.signing_in.set_up_pages import SetUpPages
from receiver.portal.signing_in.sign_in_pages import SignInPages

POSTS = ("/sign-in", "/sign-out", "/set-up", "/account")
"""Addresses at and below which forms are sent."""


def sign_in_routes(
    office: SignInOffice, oidc: OpenIdProvider | None, guarded: Callable[[Endpoint], Endpoint]
) -> list[Route]:
    """The routes.

    Args:
        office: What they work with.
        oidc: An organisation's own sign-in.
        guarded: Wraps an answer so that a bug in it is told (`error_answers.py`).
    """
    forms = Forms(office.store.secret("forms"))
    label = oidc.label if oidc else ""
    sign_in, set_up, account = SignInPages(office, forms, label), SetUpPages(office, forms), AccountPages(office, forms)
    answers: list[tuple[str, str, Endpoint]] = [
        ("GET", "/sign-in", sign_in.show),
        ("POST", "/sign-in", sign_in.password),
        ("POST", "/sign-in/passkey-ask", sign_in.passkey_ask),
        ("POST", "/sign-in/passkey", sign_in.passkey),
        ("POST", "/sign-out", sign_in.sign_out),
        ("GET", "/set-up/{word}", set_up.show),
        ("POST", "/set-up/{word}", set_up.use),
        ("GET", "/account", account.show),
        ("POST", "/account/password", account.password),
        ("POST", "/account/sessions", account.end_session),
        ("POST", "/account/passkey-offer", account.passkey_offer),
        ("POST", "/account/passkey-add", account.passkey_add),
        ("POST", "/account/passkey-remove", account.passkey_remove),
    ]
    if oidc is not None:
        pages = OidcPages(office, oidc)
        answers += [("GET", "/sign-in/oidc", pages.begin), ("GET", "/sign-in/oidc-back", pages.back)]
    return [Route(path, guarded(answer), methods=[method]) for method, path, answer in answers]
