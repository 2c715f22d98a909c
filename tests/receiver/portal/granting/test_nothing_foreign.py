"""Whatever two vendors, their sponsor and the clock do, neither ever reads a word of the other, nor outside a grant.

A history is a handful of acts (asked, agreed, denied, revoked, begun, suspended, the wall clock set), a recommendation
by who may read, and then looks at random addresses by both vendors. What may be read is reckoned here a second time,
from the acts that went through and from running time alone: a grant lets nobody read once it has run for as long as it
was given, whatever the wall clock was made to say. The trail is held to the same: each look on record names assets of
the reader's own and grants of theirs that were in force, and what was shown is on record.

Histories by the thousand ask the application itself, without a network, a few hundred on one plant; a few of them ask a
server over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import http.client
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import pytest
from granting_site import ASSETS, REASON, WHY, GrantingSite
from portal_plant import served
from starlette.applications import Starlette
from starlette.types import Message

from protocol.recommendation.proposal import Proposal
from receiver.governed.grants.asking import Asked, ask
from receiver.governed.grants.deciding import RuleRefusal, begin, decide, may_decide, revoke
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.request import AccessRequest, Period, RequestState
from receiver.governed.recommendations.recommending import make
from receiver.outputs.base import EventBody
from receiver.portal.app import create_app

S = 10**9
VENDORS = ("acme", "volta")
MACHINE = {"acme": "acme-pump", "volta": "volta-press"}
TAGS = {"acme": "acme-pressure", "volta": "volta-force"}
RANGE = "from=1763884000000&to=1763886000000"
ADDRESSES = (
    "/",
    "/asset/{}",
    "/asset?name={}",
    "/tag/1",
    "/tag/2",
    "/tag?asset={}&name=acme-pressure",
    "/tag?asset={}&name=volta-force",
    "/changes",
    "/api/assets",
    "/api/latest",
    "/api/link",
    "/api/events",
    "/api/events?asset={}",
    "/events",
    "/events?q=volta",
    "/events?asset={}",
    "/events.csv",
    "/events.csv?asset={}",
    "/alarms",
    "/alarms?asset={}",
    "/api/alarms",
    "/api/alarms?asset={}",
    f"/api/trend?series=1&{RANGE}",
    f"/api/trend?series=2&{RANGE}",
    "/healthz",
    "/access",
    "/trail",
    "/trail?person=p-acme",
    "/trail?person=p-volta",
    "/trail?kind=read",
    "/account",
    "/metrics",
    "/trail?grant=g-none",
    "/api/trend?series=1&from=0&to=x",
    "/asset/%00",
    "/nowhere/{}",
    "/tag/999",
    "/static/none",
    "/access/glass",
    "/access/glass?reader=p-volta",
    "/access/roster",
    "/access/alerts",
    "/access/recommendations",
    "/access/visit?grant=g-none",
    "/access/visit?grant=v-acme",
    "/access/visit?grant=v-volta",
    "/access/people",
    "/trend?tag=acme-pump/acme-pressure&tag=volta-press/volta-force",
    "/trend?tag=volta-press/volta-force",
    "/trend",
    f"/api/trends?tag=acme-pump/acme-pressure&{RANGE}",
    f"/api/trends?tag=volta-press/volta-force&{RANGE}",
    f"/api/shares?tag=volta-press/volta-force&{RANGE}",
    f"/api/shares?tag=acme-pump/acme-pressure&{RANGE}",
    "/api/sparks?asset={}&name=acme-pressure",
    "/api/sparks?asset={}&name=volta-force",
    "/api/tags?find=",
    f"/api/samples?{RANGE}",
    f"/api/samples?asset={{}}&{RANGE}&form=csv",
    "/api/samples?since=1970-01-01&form=arrow",
    f"/api/buckets?{RANGE}&width=1h",
    f"/export?asset={{}}&{RANGE}",
    f"/export?tag=volta-press/volta-force&{RANGE}&what=buckets&width=1h",
    "/export/events?asset={}",
    f"/report?asset={{}}&{RANGE}",
    f"/report?asset={{}}&{RANGE}&save=html",
    "/report",
    "/i3x/v1/objects?includeMetadata=true",
    "/i3x/v1/objecttypes",
)
IDS = [one for vendor in VENDORS for one in (f"tag/{MACHINE[vendor]}/{TAGS[vendor]}", f"asset/{MACHINE[vendor]}")]
QUESTION = json.dumps({"elementIds": IDS, "startTime": "2020-01-01T00:00:00Z", "maxDepth": 0, "clientId": "mine"})
"""What is sent to the addresses of i3X that take a question: it names both machines."""
ASKED = ("value", "history", "list", "related")
QUESTIONS = tuple(f"/i3x/v1/objects/{one}" for one in ASKED)
HEAVY = ("/access", "/trail", "/trail?person=p-acme", "/trail?person=p-volta", "/trail?kind=read")
"""Lists that grow with what was done: asked more seldom than the others."""
LIVE = ("/live", "/live?series=1", "/live?asset={}", "/live?events=1")
DRAWN = [one for one in (*ADDRESSES, *QUESTIONS, *LIVE) if one not in HEAVY] * 12 + [*HEAVY]
PLAIN = ("acme-pressure", "volta-force", "6.5", "88.0", "has tripped")
"""What only an answer with data holds: names of tags, values, events."""
ACTS = (1, 2, 2, 3, 3, 4, 7)
"""Acts of a history, one number of these."""
LOOKS = 3
"""Addresses that a vendor looks at who may read; one, who may not."""
Ask: TypeAlias = Callable[[str, str], Awaitable[tuple[int, str]]]
"""Address and cookie in, status and text out."""


@dataclass
class Given:
    """A grant as it is reckoned here."""

    person: str
    last_ns: int
    """Running time from which it lets nobody read."""
    first_ns: int
    revoked: bool = False


class Model:
    """Who may read, by what went through and by running time."""

    def __init__(self, site: GrantingSite) -> None:
        self.site = site
        self.given: dict[str, Given] = {}
        self.suspended: set[str] = set()

    @property
    def running(self) -> int:
        return self.site.clock.since_boot()

    def may(self, vendor: str) -> bool:
        """Whether a grant of the vendor's is in force."""
        return vendor not in self.suspended and any(self.holds(key, vendor) for key in self.given)

    def holds(self, grant: str, vendor: str) -> bool:
        """Whether a grant is the vendor's, and in force."""
        one = self.given.get(grant)
        return (
            one is not None and one.person == vendor and not one.revoked and one.first_ns <= self.running < one.last_ns
        )


class Play:
    """Random acts upon one site."""

    def __init__(self, site: GrantingSite, seed: int) -> None:
        self.site, self.draw, self.model = site, random.Random(seed), Model(site)
        self.eyes = random.Random(seed + 10**6)
        """Of its own: one more address leaves all acts as they are."""
        self.steps = seed % 2 == 1
        """The wall clock is set in every second seed: after it was, little is granted until it has held."""
        self.authority = site.office.desk.authority
        self.done: Counter[str] = Counter()
        for vendor in VENDORS:
            self._visit(vendor)

    def act(self) -> None:
        """One of them; what a rule refuses has not happened."""
        waits = any(one.state is RequestState.OPEN for one in self._newest())
        names = ["agree"] * 6 if waits else ["ask"] * 4
        names += ["ask", "begin", "begin", "wait", "suspend"]
        names += ["revoke"] if self.draw.random() < 0.3 else []
        names += ["step"] if self.steps else []
        name = self.draw.choice(names)
        self.site.office.desk.now()
        try:
            getattr(self, f"_{name}")()
            self.done[name] += 1
        except RuleRefusal:
            self.done[f"{name} refused"] += 1

    def end(self) -> None:
        """Everything is revoked, nobody is suspended: the next history begins."""
        for key, one in self.model.given.items():
            if not one.revoked:
                self._revoked(key)
        for vendor in list(self.model.suspended):
            self.site.act(lambda acts, v=vendor: acts.resume(f"p-{v}", "found again"))  # type: ignore[misc]
        self.model.suspended.clear()
        self.model.given.clear()

    def recommend(self, vendor: str) -> None:
        """A vendor recommends something for their machine, a few times: whoever may not read may not."""
        held, machine = self.authority.recommendations, MACHINE[vendor]
        person = self.authority.person(f"p-{vendor}")
        made = list(held)
        if person is None or sum(one.person == person.key for one in made) >= 5:
            return
        scope = self.authority.granted(person.key).scope
        seen = {one.name for one in ASSETS if scope.sees(one)}
        what = f"Ask {vendor} before {machine} starts."
        proposal, key = Proposal(site=ASSETS[0].site, asset=machine, what=what, why=REASON), f"rec-{len(made)}"
        with contextlib.suppress(RuleRefusal):
            make(proposal, person, seen, held, self.authority.now, key=key)
            assert self.model.may(vendor)
            self.authority.act(lambda people, grants, now: make(proposal, person, seen, held, now, key=key))
            self.done["recommended"] += 1

    def _visit(self, vendor: str) -> None:
        """A site visit of each, agreed by two, from now on: it lets nobody read."""
        now_ns, own = self.site.clock(), Extent(assets=frozenset({MACHINE[vendor]}))
        period = Period(from_ns=now_ns, until_ns=now_ns + 80_000 * S, length_s=None)
        asked = Asked(preset="site-visit", extent=own, reason=REASON, purpose="exchange", period=period)
        visitor, policy, key = self.authority.person(f"p-{vendor}"), self.authority.policy, f"r-visit-{vendor}"
        assert visitor is not None
        self.authority.act(lambda people, grants, now: ask(asked, visitor, own, grants, policy, now, key=key))
        for who in ("engineer", "approver"):
            held, by = self.authority.grants.requests[key], self.authority.person(f"p-{who}")
            assert by is not None

            def rule(people, grants, now, held=held, by=by):  # type: ignore[no-untyped-def]
                role = may_decide(held, visitor, by, grants, policy, now)
                return decide(held, role, by, policy, now, yes=True, why=WHY, grant=f"v-{vendor}")

            self.authority.act(rule)
        assert f"v-{vendor}" in self.authority.grants.grants

    def _ask(self) -> None:
        vendor, own_machine = self.draw.choice(VENDORS), self.draw.random() < 0.9
        own = Extent(assets=frozenset({MACHINE[vendor]}))
        person = self.authority.person(f"p-{vendor}")
        assert person is not None
        from_ns = self.site.clock() + self.draw.choice((0, 0, 0, 0, 600, 3600)) * S
        length = self.draw.choice((None, None, 300.0))
        period = Period(from_ns=from_ns, until_ns=from_ns + self.draw.choice((600, 7200, 80_000)) * S, length_s=length)
        asked = Asked(
            preset="standing",
            extent=own if own_machine else Extent(assets=frozenset({"never-was"})),
            reason=REASON,
            purpose="diagnosis",
            period=period,
        )
        key = f"r-{len(self.authority.grants.requests)}"
        self.authority.act(
            lambda people, grants, now: ask(asked, person, own, grants, self.authority.policy, now, key=key)
        )
        refused = self.authority.grants.requests[key].state is RequestState.REFUSED
        assert refused or (own_machine and vendor not in self.model.suspended)

    def _newest(self) -> list[AccessRequest]:
        return list(self.authority.grants.requests.values())[-3:]

    def _agree(self) -> None:
        waits = [one for one in self._newest() if one.state is RequestState.OPEN]
        if not waits:
            return
        chosen, sponsor = self.draw.choice(waits), self.authority.person("p-sponsor")
        assert sponsor is not None
        yes = self.draw.random() < 0.8
        asker, policy, key = self.authority.person(chosen.person), self.authority.policy, f"g-{chosen.key}"
        late_ns = self.authority.now.late_ns

        def rule(people, grants, now):  # type: ignore[no-untyped-def]
            role = may_decide(chosen, asker, sponsor, grants, policy, now)
            return decide(chosen, role, sponsor, policy, now, yes=yes, why=WHY, grant=key)

        self.authority.act(rule)
        if yes:
            period, now = chosen.period, self.model.running
            last_ns = now + period.until_ns - late_ns
            if period.length_s is not None:
                last_ns = 0  # nothing until it is begun
            vendor = chosen.person.removeprefix("p-")
            self.model.given[key] = Given(vendor, last_ns, 0)

    def _revoke(self) -> None:
        keys = [key for key, one in self.model.given.items() if not one.revoked]
        if keys:
            self._revoked(self.draw.choice(keys))

    def _revoked(self, key: str) -> None:
        person, reader = self.authority.person("p-security"), self.authority.person(f"p-{self.model.given[key].person}")
        assert person is not None
        with contextlib.suppress(RuleRefusal):  # it is over already
            self.authority.act(lambda people, grants, now: revoke(grants, key, person, reader, now, why=WHY))
        self.model.given[key].revoked = True

    def _begin(self) -> None:
        keys = [key for key, one in self.model.given.items() if one.last_ns == 0 and not one.revoked]
        if not keys:
            return
        key = self.draw.choice(keys)
        person = self.authority.person(f"p-{self.model.given[key].person}")
        assert person is not None
        self.authority.act(lambda people, grants, now: begin(grants, key, person, now))
        self.model.given[key].last_ns = self.model.running + 300 * S

    def _wait(self) -> None:
        self.site.clock.move(self.draw.choice((1, 60, 299, 300, 600)))

    def _step(self) -> None:
        self.site.clock.step(self.draw.choice((-600, -60, -3, 3, 60, 600)))

    def _suspend(self) -> None:
        vendor = self.draw.choice(VENDORS)
        if vendor not in self.model.suspended and self.draw.random() < 0.3:
            self.site.act(lambda acts: acts.suspend(f"p-{vendor}", "badge was lost"))
            self.model.suspended.add(vendor)


class Record:
    """The trail, read on after each history."""

    def __init__(self, play: Play) -> None:
        self._play, self._read = play, 0
        self.shown: Counter[str] = Counter()
        """Looks at data that are on record, by vendor."""

    def check(self, where: str) -> None:
        """Whatever was recorded since the last time shows own assets alone, under own grants that are in force."""
        for record in self._play.authority.trail.records(self._read):
            self._read, entry = record.number, record.entry
            vendor, assets, grants = entry.who.removeprefix("p-"), entry.facts.get("assets"), entry.facts.get("grants")
            if entry.subject != "read" or not assets:
                continue
            assert assets == [MACHINE[vendor]], f"{where}: {entry}"
            assert isinstance(grants, list), f"{where}: {entry}"
            assert grants, f"{where}: {entry}"
            assert all(self._play.model.holds(str(one), vendor) for one in grants), f"{where}: {entry}"
            self.shown[vendor] += 1


async def asked(app: Starlette, address: str, cookie: str) -> tuple[int, str]:
    """One request, without a network; a live stream is left after its first part."""
    path, _, query = address.partition("?")
    method, body = ("POST", QUESTION.encode()) if path in QUESTIONS else ("GET", b"")
    sent: list[Message] = []
    gone = asyncio.Event()

    async def receive() -> Message:
        if sent and sent[0]["status"] == 200 and path == "/live":
            await gone.wait()
        return {"type": "http.disconnect"} if sent else {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > 1:
            gone.set()

    headers = [(b"host", b"localhost"), (b"cookie", f"checkvalve={cookie}".encode())]
    headers += [(b"content-type", b"application/json")] if body else []
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode()}
    scope |= {"headers": headers, "client": ("192.0.2.7", 1), "server": ("localhost", 80), "scheme": "http"}
    await app(scope | {"http_version": "1.1", "root_path": ""}, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode("utf-8", "replace")


class OverHttp:
    """The same requests to a server."""

    def __init__(self, base: str) -> None:
        self._host = urlsplit(base).netloc

    async def __call__(self, address: str, cookie: str) -> tuple[int, str]:
        """The whole answer; a live stream is left after its first part."""
        connection = http.client.HTTPConnection(self._host, timeout=20)
        try:
            headers, question = {"Cookie": f"checkvalve={cookie}"}, address in QUESTIONS
            headers |= {"Content-Type": "application/json"} if question else {}
            connection.request("POST" if question else "GET", address, QUESTION if question else None, headers)
            answer = connection.getresponse()
            live = answer.status == 200 and address.startswith("/live")
            return answer.status, (answer.read1(1 << 16) if live else answer.read()).decode("utf-8", "replace")
        finally:
            connection.close()


def tell(site: GrantingSite) -> None:
    """Each machine tells of itself: a trip that stands, a state; and there is a group of tags of each."""
    authority, groups = site.office.desk.authority, dict[str, Extent]()
    for vendor, machine in MACHINE.items():
        event = EventBody(
            asset=machine,
            source=f"{vendor}-source",
            time_ns=site.clock(),
            severity=900,
            code=f"{vendor}-1",
            text=f"{vendor} has tripped",
            state="active",
            sequence=1,
        )
        site.plant.take(event)
        site.plant.condition(machine, "up", f"{vendor} runs")
        names = frozenset({(machine, TAGS[vendor])})
        groups[f"{vendor} tags"] = Extent(assets=frozenset({machine}), tags=names)
    authority.policy = replace(authority.policy, groups=groups)


@contextlib.contextmanager
def plant(folder: Path) -> Iterator[tuple[GrantingSite, Starlette]]:
    """A site of its own and its pages."""
    made = GrantingSite(folder)
    tell(made)
    try:
        yield made, create_app(made.folder / "history", made.folder, None, clock=made.clock, office=made.office)
    finally:
        made.close()


async def played(
    site: GrantingSite, ask_for: Ask, seed: int, histories: int, *, origin: str = "192.0.2.7", leaf: bool = True
) -> Counter[str]:
    """So many histories of one seed; what was done and seen, counted."""
    play, count = Play(site, seed), Counter[str]()
    record = Record(play)
    words: dict[str, str] = {}
    for number in range(histories):
        for _ in range(play.draw.choice(ACTS)):
            play.act()
        chosen = play.eyes.choice(VENDORS)
        for vendor in VENDORS:
            there = play.authority.granted(f"p-{vendor}").grants  # in a part of the histories: look well
            if vendor in play.model.suspended or not (there or vendor == chosen):
                continue
            if vendor not in words or site.office.glance(words[vendor], origin) is None:
                person = play.authority.person(f"p-{vendor}")
                assert person is not None
                words[vendor] = site.office.sessions.open(person, "password", address=origin, agent="test")
            play.recommend(vendor)
            shown, before = 0, record.shown[vendor]
            for _ in range(LOOKS if there else 1):
                address = play.eyes.choice(DRAWN).format(MACHINE[play.eyes.choice(VENDORS)])
                status, text = await ask_for(address, words[vendor])
                data = looked(play.model, vendor, address, status, text, f"seed {seed}, history {number}")
                count["looks"] += 1
                count["with data"] += data
                shown += data and not address.startswith(("/trail", "/access"))
            record.check(f"seed {seed}, history {number}")
            assert record.shown[vendor] - before >= shown, f"seed {seed}, history {number}: {vendor} saw more"
        play.end()
        count["histories"] += 1
    count["on record"] = record.shown.total()
    for vendor in words if leaf else ():
        count["pages of the trail"] += await leafed(play, ask_for, vendor, words[vendor])
    return count + play.done


def looked(model: Model, vendor: str, address: str, status: int, text: str, where: str) -> bool:
    """Whether an answer shows data; that it shows none of the other, and none without a grant."""
    where = f"{where}: {vendor} at {address} got {status}"
    other = VENDORS[vendor == "acme"]
    for name in IDS if address in QUESTIONS else ():  # each answer is told beside the name that was asked for
        text = text.replace(f'"elementId":"{name}"', "").replace(f"not found: {name}", "")
    told = text.lower().replace(address.lower(), "")
    if address.startswith("/events?"):  # its form, and the way to the same as a table, repeat what was typed
        told = told.replace(f"events.csv?{address.partition('?')[2]}", "").replace(f'name="q" value="{other}"', "")
    if address.startswith("/trail"):  # in their own trail stands what they tried themselves
        machine, tag = MACHINE[other], TAGS[other]
        for typed in (f"{machine}/{tag}", f"/{machine}", f"={machine}", f"p-{other}", f"name={tag}", f"q={other}"):
            told = told.replace(typed, "")
    assert other not in told, where
    data = any(word in text for word in PLAIN) and status == 200
    assert not data or model.may(vendor) or address.startswith(("/trail", "/access")), where
    assert status != 200 or not address.startswith("/access/visit") or model.may(vendor), where
    assert status not in (500, 502), where
    return data


async def leafed(play: Play, ask_for: Ask, vendor: str, word: str) -> int:
    """All of the trail that a vendor is shown, the last pages of it; how many."""
    pages, address = 0, "/trail"
    while address and pages < 5:
        status, text = await ask_for(address, word)
        if status != 200:
            return pages  # suspended, or signed out
        looked(play.model, vendor, address, status, text, f"page {pages} of the trail")
        pages, older = pages + 1, re.search(r'href="(/trail\?[^"]*before=\d+[^"]*)"', text)
        address = html.unescape(older[1]) if older else ""
    return pages


async def without_a_network(folder: Path, seeds: Iterable[int], histories: int) -> Counter[str]:
    """Histories of each seed, on a plant of its own."""
    count = Counter[str]()
    for seed in seeds:
        with plant(folder / str(seed)) as (site, app):
            count += await played(site, partial(asked, app), seed, histories, leaf=seed % 10 < 2)
            await app.state.views.close()
    return count


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_neither_vendor_reads_the_other_nor_outside_a_grant(first: int, tmp_path: Path) -> None:
    """Over every address, stream, error, search and the trail itself: 10,000 histories in all; counts are printed."""
    count = asyncio.run(without_a_network(tmp_path, range(first, first + 10), 250))
    sys.stdout.write(f"seeds from {first}: {dict(count)}\n")
    assert count["histories"] == 2500
    assert count["with data"] > 150, "the histories gave nothing to read"
    assert count["on record"] > count["with data"]
    assert count["agree"] > 500


def test_neither_vendor_reads_the_other_over_a_real_connection(tmp_path: Path) -> None:
    """The same histories, fewer of them, by a server on loopback."""
    with plant(tmp_path) as (site, app), served(app) as base:
        count = asyncio.run(played(site, OverHttp(base), 50, 60, origin="127.0.0.1"))
    sys.stdout.write(f"over HTTP: {dict(count)}\n")
    assert count["with data"] > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("first", range(100, 2100, 100))
def test_neither_vendor_reads_the_other_in_a_million_looks(first: int, tmp_path: Path) -> None:
    """The same for hours."""
    count = asyncio.run(without_a_network(tmp_path, range(first, first + 100), 250))
    sys.stdout.write(f"seeds from {first}: {dict(count)}\n")
