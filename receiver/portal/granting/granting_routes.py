"""Every address of asking, deciding and reviewing, and what answers it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.routing import Route

from receiver.portal.error_answers import Endpoint
from receiver.portal.granting.alert_page import AlertPage
from receiver.portal.granting.glass_pages import GlassPages
from receiver.portal.granting.grant_pages import GrantPages
from receiver.portal.granting.people_page import PeoplePage
from receiver.portal.granting.recommendation_pages import RecommendationPages
from receiver.portal.granting.trail_page import TrailPage
from receiver.portal.granting.visit_page import VisitPage
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice

POSTS = ("/access",)
"""Addresses at and below which forms are sent."""


def granting_routes(
    office: SignInOffice, history: Path, clock: Callable[[], int], guarded: Callable[[Endpoint], Endpoint]
) -> list[Route]:
    """The routes; arguments as for `GrantPages`, and what wraps an answer so that a bug in it is told."""
    forms = Forms(office.store.secret("forms"))
    pages, glass = GrantPages(office, forms, history, clock), GlassPages(office, forms, history, clock)
    alerts, recommended = AlertPage(office, forms), RecommendationPages(office, forms, history, clock)
    people = PeoplePage(office, forms)
    answers: list[tuple[str, str, Endpoint]] = [
        ("GET", "/access", pages.show),
        ("GET", "/trail", TrailPage(office).show),
        ("GET", "/access/recommendations", recommended.show),
        ("POST", "/access/recommendations/make", recommended.make),
        ("POST", "/access/recommendations/withdraw", recommended.withdraw),
        ("POST", "/access/recommendations/release", recommended.release),
        ("POST", "/access/recommendations/decline", recommended.decline),
        ("POST", "/access/ask", pages.ask),
        ("POST", "/access/decide", pages.decide),
        ("POST", "/access/withdraw", pages.withdraw),
        ("POST", "/access/begin", pages.begin),
        ("POST", "/access/revoke", pages.revoke),
        ("POST", "/access/review", pages.review),
        ("GET", "/access/glass", glass.show),
        ("POST", "/access/glass", glass.open),
        ("GET", "/access/roster", glass.roster),
        ("GET", "/access/alerts", alerts.show),
        ("POST", "/access/alerts", alerts.acknowledge),
        ("GET", "/access/people", people.show),
        ("POST", "/access/people/enrol", people.enrol),
        ("POST", "/access/people/link", people.link),
        ("POST", "/access/people/suspend", people.suspend),
        ("POST", "/access/people/resume", people.resume),
        ("POST", "/access/people/end", people.end),
        ("POST", "/access/people/confirm", people.confirm),
        ("GET", "/access/visit", VisitPage(office, history, clock).show),
    ]
    return [Route(path, guarded(answer), methods=[method]) for method, path, answer in answers]
