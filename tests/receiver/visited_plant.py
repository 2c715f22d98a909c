"""A site visit that was asked for, approved by two, and is over; the machine came up with another firmware in it."""

from __future__ import annotations

from granting_site import WHY, GrantingSite
from sign_in_site import WebReader

ANNOUNCED = "the bearing is exchanged and the drive gets its <new> firmware"


def visited(site: GrantingSite, web: WebReader) -> str:
    """Asked, approved by two, and over; returns the grant."""
    site.plant.condition("acme-pump", "up", "Acme P-1 firmware 1.0")
    site.request(site.enter(web, "acme"), preset="site-visit", until=site.at(4), reason=ANNOUNCED, ticket="MOC-7")
    for who in ("engineer", "approver"):
        answer = site.enter(web, who).send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
        assert answer.status == 303, answer.text
    site.clock.move(3600)
    site.plant.condition("acme-pump", "down", "reboot")
    site.plant.condition("acme-pump", "up", "Acme P-1 firmware 1.1")
    site.clock.move(4 * 3600)
    return next(iter(site.office.desk.authority.grants.grants))
