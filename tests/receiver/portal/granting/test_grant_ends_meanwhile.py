"""A grant that ends while a question is being asked, an answer made or a stream open."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from granting_site import REASON, WHY, GrantingSite
from i3x_peer import I3xPeer
from portal_plant import Ear
from sign_in_site import HERE, WebReader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Message

from receiver.governed.grants.asking import Asked, ask
from receiver.governed.grants.deciding import decide, may_decide, revoke
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.request import Period
from receiver.portal.app import create_app
from receiver.portal.signing_in.forms import Forms

S = 10**9
PRESSURE = "tag/acme-pump/acme-pressure"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GrantingSite]:
    made = GrantingSite(tmp_path)
    yield made
    made.close()


def granted(site: GrantingSite) -> str:
    """A grant of the pump to its vendor's reader; its key."""
    authority, own = site.office.desk.authority, Extent(assets=frozenset({"acme-pump"}))
    site.office.desk.now()
    period = Period(from_ns=site.clock(), until_ns=site.clock() + 80_000 * S, length_s=None)
    asked = Asked(preset="standing", extent=own, reason=REASON, purpose="diagnosis", period=period)
    reader, sponsor, policy = authority.person("p-acme"), authority.person("p-sponsor"), authority.policy
    assert reader is not None
    assert sponsor is not None
    authority.act(lambda people, grants, now: ask(asked, reader, own, grants, policy, now, key="r-1"))
    held = authority.grants.requests["r-1"]

    def agree(people, grants, now):  # type: ignore[no-untyped-def]
        role = may_decide(held, reader, sponsor, grants, policy, now)
        return decide(held, role, sponsor, policy, now, yes=True, why=WHY, grant="g-1")

    authority.act(agree)
    return "g-1"


def revoked(site: GrantingSite, grant: str) -> None:
    """Security takes it back."""
    authority = site.office.desk.authority
    security, reader = authority.person("p-security"), authority.person("p-acme")
    assert security is not None
    authority.act(lambda people, grants, now: revoke(grants, grant, security, reader, now, why=WHY))


def application(site: GrantingSite) -> tuple[Starlette, str]:
    """The pages without a network, and the cookie of the vendor's reader."""
    reader = site.office.desk.person("p-acme")
    assert reader is not None
    word = site.office.sessions.open(reader, "password", address=HERE, agent="test")
    return create_app(site.folder / "history", site.folder, None, clock=site.clock, office=site.office), word


async def held_back(app: Starlette, site: GrantingSite, grant: str, word: str, path: str, body: bytes) -> list[Message]:
    """A question whose body comes four seconds after the grant was revoked."""
    sent: list[Message] = []
    begun, free = asyncio.Event(), asyncio.Event()

    async def receive() -> Message:
        begun.set()
        await free.wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    kind = b"application/json" if path.startswith("/i3x") else b"application/x-www-form-urlencoded"
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"content-type", kind)]
    headers += [(b"cookie", f"checkvalve={word}".encode())]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": b"", "query_string": b"", "headers": headers}
    scope |= {"client": (HERE, 1), "server": ("localhost", 80), "scheme": "http", "http_version": "1.1"}
    asking = asyncio.create_task(app(scope | {"root_path": ""}, receive, send))
    await begun.wait()
    revoked(site, grant)
    site.clock.move(4)
    free.set()
    await asking
    await app.state.views.close()
    return sent


@pytest.mark.parametrize("path", ["value", "history", "list", "related"])
def test_a_question_that_came_slowly_is_not_answered_after_its_grant(site: GrantingSite, path: str) -> None:
    """Its head came while the grant held, its body after the revocation: nothing is read, and no look is on record."""
    grant = granted(site)
    body = json.dumps({"elementIds": [PRESSURE], "startTime": "2020-01-01T00:00:00Z", "maxDepth": 0}).encode()
    app, word = application(site)
    sent = asyncio.run(held_back(app, site, grant, word, f"/i3x/v1/objects/{path}", body))
    assert sent[0]["status"] == 503
    assert b"acme" not in b"".join(one.get("body", b"") for one in sent[1:])
    assert not [one for one in site.kinds() if one.startswith("read.")]


def test_a_note_that_came_slowly_is_not_kept_after_its_grant(site: GrantingSite) -> None:
    """As for reading: who reads a tag no more writes nothing about it."""
    grant, path = granted(site), "/trend/write-note"
    app, word = application(site)
    headers = [(b"cookie", f"checkvalve={word}".encode()), (b"host", b"localhost")]
    asked = Request({"type": "http", "scheme": "http", "path": path, "query_string": b"", "headers": headers})
    token = Forms(site.office.store.secret("forms")).token(asked, path)
    fields = {"token": token, "about": "acme-pump/acme-pressure", "at": str(site.clock() // 10**6), "text": "x"}
    sent = asyncio.run(held_back(app, site, grant, word, path, urlencode(fields).encode()))
    assert sent[0]["status"] == 404
    assert "desk.kept" not in site.kinds()


def test_streams_of_events_and_of_i3x_end_with_their_grant(site: GrantingSite) -> None:
    """Within a second, and a busy machine's two; the subscription is not there any more."""
    grant = granted(site)
    with site.pages() as web:
        acme = site.enter(web, "acme")
        cookie = "; ".join(f"{name}={word}" for name, word in acme.cookies.items())
        peer = I3xPeer(web.base, {"Cookie": cookie})
        made = peer.post("/subscriptions", clientId="mine").result
        mine = {"clientId": "mine", "subscriptionId": made["subscriptionId"]}
        peer.bulk("/subscriptions/register", [PRESSURE], **mine)
        events, told = Ear(web.base, "/live?events=1", {"Cookie": cookie}), SubscriptionEar(acme, cookie, mine)
        begun = time.monotonic()
        revoked(site, grant)
        assert events.ends()
        assert told.ends()
        assert time.monotonic() - begun < 3.0
        assert peer.post("/subscriptions/sync", **mine).status == 404
        told.close()
        events.close()


class SubscriptionEar(Ear):
    """The stream of a subscription."""

    def __init__(self, web: WebReader, cookie: str, mine: dict[str, str]) -> None:
        self.connection = http.client.HTTPConnection(web.host, timeout=20)
        headers = {"Cookie": cookie, "Content-Type": "application/json"}
        self.connection.request("POST", "/i3x/v1/subscriptions/stream", json.dumps(mine), headers)
        self.reply = self.connection.getresponse()
        assert self.reply.status == 200
