"""A site that people sign in to: trail, secrets, pages in a folder, clocks that are moved, a browser of few lines."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pyotp
from argon2 import PasswordHasher
from portal_plant import Clock, served

from receiver.governed.authority import Authority
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.people import set_up
from receiver.governed.people.acts import PeopleActs
from receiver.governed.people.desk import PeopleDesk
from receiver.governed.people.enrolment import DAY_NS, PersonDraft
from receiver.governed.people.passwords import Passwords
from receiver.governed.people.person import PersonRole
from receiver.governed.people.secret_store import open_store
from receiver.governed.trail.entry import TrailEntry
from receiver.governed.trail.trail import Trail
from receiver.outputs.scope import Scope
from receiver.portal.app import create_app
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.oidc import OpenIdProvider
from receiver.portal.signing_in.reading_policy import ReadingPolicy

PASSWORD = "seven quiet pumps at night"
CHEAP = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
HERE, THERE = "192.0.2.7", "198.51.100.7"
AGENT = "test browser"


class SignInSite:
    """The office of a folder, and what tests do with it."""

    def __init__(self, folder: Path, now_ns: int | None = None) -> None:
        """
        Args:
            folder: The state folder.
            now_ns: The wall clock, which stands still until it is moved [ns since 1970 UTC].
        """
        self.folder, self.clock = folder, Clock() if now_ns is None else Clock(now_ns)
        folder.mkdir(parents=True, exist_ok=True)
        self.office = self.started()
        self.seeds: dict[str, str] = {}

    def started(self) -> SignInOffice:
        """Another process on the same folder."""
        trail = Trail(self.folder / "trail.db")
        authority = Authority(
            trail, AccessPolicy(), self.folder, wall_ns=self.clock(), running_ns=self.clock.since_boot()
        )
        store = open_store(self.folder, wall_ns=self.clock(), say=lambda line: None)
        desk = PeopleDesk(authority, self.clock, self.clock.since_boot)
        return SignInOffice(desk, store, ReadingPolicy.own(), CHEAP)

    def act(self, wish: Callable[[PeopleActs], Sequence[TrailEntry]]) -> SignInSite:
        """As a command does it."""
        self.office.desk.act("command:root", wish)
        return self

    def later(self, seconds: float) -> SignInSite:
        """Time passes."""
        self.clock.move(seconds)
        return self

    def draft(self, login: str = "s.smith@plant.example", **changes: object) -> PersonDraft:
        """A sponsor of the site's own, or what the changes make of it."""
        made = PersonDraft(
            login=login,
            name="Sam Smith",
            roles=frozenset({PersonRole.SPONSOR}),
            ends_ns=self.clock() + 300 * DAY_NS,
            checked_by="HR",
            checked_how="works here",
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    def enrol(self, key: str = "p-sponsor1", **changes: object) -> str:
        """Enrol somebody; returns the word of the link."""
        self.act(lambda acts: acts.enrol(key, self.draft(**changes)))  # type: ignore[arg-type]
        return set_up.issue(self.office.desk, self.office.store, key, by="command:root", recovery=False)

    def ready(self, key: str = "p-sponsor1", **changes: object) -> str:
        """Enrol somebody and let them set up; returns their key."""
        word = self.enrol(key, **changes)
        found = set_up.look(self.office.desk, self.office.store, word)
        assert found is not None
        self.seeds[key] = found.link.seed
        chosen = set_up.SetUpForm(password=PASSWORD, again=PASSWORD, code=self.code(key), policy="v1")
        assert self.office.set_up.use(word, chosen, address=HERE) == key
        self.clock.move(30)
        return key

    def code(self, key: str, steps: int = 0) -> str:
        """What the phone shows."""
        return pyotp.TOTP(self.seeds[key]).generate_otp(self.clock() // (30 * 10**9) + steps)

    def sign_in(self, key: str = "p-sponsor1", *, address: str = HERE, **given: str) -> str:
        """By the office itself; returns the word of the cookie, empty where refused."""
        held = self.office.desk.people.get(key)
        login = held.draft.login if held else ""
        told = {"login": login, "password": PASSWORD, "code": given.get("code") or self.code(key)} | given
        return self.office.sign_in.attempt(**told, address=address, agent=AGENT).word

    def kinds(self, *skip: str) -> list[str]:
        """What is on record, in order."""
        return [one.entry.kind for one in self.office.desk.authority.trail.records() if one.entry.kind not in skip]

    def of(self, kind: str) -> list[TrailEntry]:
        """The entries of one kind."""
        return [one.entry for one in self.office.desk.authority.trail.records() if one.entry.kind == kind]

    def close(self) -> None:
        """Let go of the folder."""
        self.office.close()
        self.office.desk.authority.trail.close()

    @contextmanager
    def pages(
        self, *, open_to: Scope | None = None, foot: str = "", oidc: OpenIdProvider | None = None
    ) -> Iterator[WebReader]:
        """The pages on loopback; the office is closed with them."""
        app = create_app(
            self.folder / "history", self.folder, open_to, clock=self.clock, office=self.office, oidc=oidc, foot=foot
        )
        with served(app) as base:
            yield WebReader(base)


class Reply:
    """What a request brought."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers = answer.status, answer.headers
        self.text = answer.read().decode()

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        return str(self.headers.get("Location", ""))


class WebReader:
    """Keeps cookies, sends forms as a page of ours does, follows nothing by itself."""

    def __init__(self, base: str) -> None:
        self.base, self.cookies = base, dict[str, str]()
        self.host = urlsplit(base).netloc

    def get(self, path: str, **headers: str) -> Reply:
        """Open a page."""
        return self.ask("GET", path, None, headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Reply:
        """Send a form; a header given as `origin=""` is left out."""
        kept = {"Origin": self.base, "Content-Type": "application/x-www-form-urlencoded"}
        kept |= {name.replace("_", "-").capitalize(): held for name, held in headers.items()}
        return self.ask("POST", path, urlencode(fields), {name: held for name, held in kept.items() if held})

    def send(self, page: str, path: str, **fields: str) -> Reply:
        """Open a page and send its form that goes to `path`."""
        return self.post(path, {"token": self.token(page, path)} | fields)

    def token(self, page: str, path: str) -> str:
        """Of the form on a page that goes to `path`."""
        found = re.search(
            rf'action="{re.escape(path)}">\s*<input type="hidden" name="token" value="(\w+)">', self.get(page).text
        )
        assert found, f"{page} has no form to {path}"
        return found.group(1)

    def ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Reply:
        """One request."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            held = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            connection.request(method, path, body, headers | ({"Cookie": held} if held else {}))
            reply = Reply(connection.getresponse())
        finally:
            connection.close()
        for line in reply.headers.get_all("Set-Cookie", []):
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]
            if not self.cookies[name]:
                del self.cookies[name]
        return reply
