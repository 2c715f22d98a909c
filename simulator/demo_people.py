"""The people of the demo: two vendors and the site's own, enrolled by the command line and set up on the pages.

    person enrol      prints a one-time link for each; the link's page takes a password and a first code
    roster set        approver, engineer and custodian are on duty
    break-glass       a sealed code lies ready
    Acme Pumps        asked to read pump-7, and its sponsor agreed: a standing grant
    Borealis          asks to read turbine-1 in an emergency: the request waits for an approver

A real person's password and code seed are known to that person alone. These are known to whoever runs the demo: they
stand in `people.toml` of the work folder, which only its owner reads, and the codes of this half minute on the screen.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import supervise
from protocol.errors import ConfigError
from protocol.store import statefile
from simulator.page_visitor import PageVisitor

FILE = "people.toml"
"""In the work folder, 0600."""

STEP = 30
"""How long a code is good [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPerson:
    """Somebody to try the pages as."""

    login: str
    name: str
    role: str
    employer: str = ""
    """Vendor's name as the demo's assets carry it; empty: the site's own."""
    password: str = ""
    key: str = ""
    """What an authenticator takes, base 32."""
    used: int = 0
    """Step of the code that was used at setting up: it is good no more."""

    def code(self, now: float) -> str:
        """What an authenticator shows (RFC 6238).

        Args:
            now: Wall time [s since 1970 UTC].
        """
        step = max(int(now) // STEP, self.used + 1)
        digest = hmac.digest(base64.b32decode(self.key), step.to_bytes(8, "big"), "sha1")
        at = digest[-1] & 15
        return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


PEOPLE = (
    DemoPerson(login="sam.sponsor@plant.example", name="Sam Sponsor", role="sponsor"),
    DemoPerson(login="ada.approver@plant.example", name="Ada Approver", role="approver"),
    DemoPerson(login="eli.engineer@plant.example", name="Eli Engineer", role="engineer"),
    DemoPerson(login="cleo.custodian@plant.example", name="Cleo Custodian", role="custodian"),
    DemoPerson(login="sia.security@plant.example", name="Sia Security", role="security"),
    DemoPerson(login="ann.acme@acme.example", name="Ann Acme", role="reader", employer="Acme Pumps"),
    DemoPerson(login="bo.borealis@borealis.example", name="Bo Borealis", role="reader", employer="Borealis Turbines"),
    DemoPerson(login="max.manager@plant.example", name="Max Manager", role="administrator"),
)
"""The site's own first: a sponsor must be there before the people that are sponsored."""

SPONSOR, ASKS, WAITS = PEOPLE[0].login, PEOPLE[5].login, PEOPLE[6].login
ON_DUTY = ("approver", "engineer", "custodian")


class DemoPeople:
    """Makes them in a thread of its own, while the demo's values arrive; `list` has whoever is ready."""

    def __init__(self, folder: Path, page: str, say: Callable[[str], None]) -> None:
        """
        Args:
            folder: The demo's work folder, with `low/receiver.toml`.
            page: Address of the pages.
            say: Takes lines for people.
        """
        self._folder, self._page, self._say = folder, page, say
        self._receiver = str(folder / "low/receiver.toml")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-people", daemon=True)
        self._written = 0
        self.list: tuple[DemoPerson, ...] = ()
        self.sealed = ""
        """The code in the envelope of break-glass."""

    def start(self) -> None:
        """Begin."""
        self._say("people to sign in as are being enrolled; they are named here in some seconds")
        self._thread.start()

    def finish(self) -> None:
        """Wait until everybody is there, or it was said why not."""
        self._thread.join()

    def close(self) -> None:
        """Leave off, wherever it is."""
        self._stop.set()
        self._thread.join()

    def tend(self, now: float) -> list[str]:
        """Lines for a screen; and the codes in the file are kept those of this half minute.

        Args:
            now: Wall time [s since 1970 UTC].
        """
        if self.list and int(now) // STEP != self._written:
            self._written = int(now) // STEP
            statefile.write(self._folder / FILE, self._told(now).encode(), 0o600)
        return self.lines(now)

    def lines(self, now: float) -> list[str]:
        """Everybody, with the code of now; empty until they are there."""
        rows = [f"  {one.login:31}{one.employer or one.role:19}{one.password}  {one.code(now)}" for one in self.list]
        head = f"sign in at {self._page}sign-in as one of these, by password and code (good once, and for a minute):"
        file = f"  codes of later half minutes, and the sealed code of break-glass: {self._folder / FILE}"
        return [head, *rows, file] if rows else []

    def _run(self) -> None:
        try:
            self.list = self._held() or self._made()
        except (ConfigError, OSError, ValueError, KeyError) as error:
            if not self._stop.is_set():
                self._say(f"the demo's people are not there: {error}")

    def _held(self) -> tuple[DemoPerson, ...]:
        """Those of an earlier demo in the same folder."""
        found = statefile.read(self._folder / FILE)
        if found is None:
            return ()
        told = tomllib.loads(found.decode())
        self.sealed = told["sealed"]
        kept = {one["login"]: one for one in told["person"]}
        return tuple(
            replace(one, password=kept[one.login]["password"], key=kept[one.login]["key"])
            for one in PEOPLE
            if one.login in kept
        )

    def _made(self) -> tuple[DemoPerson, ...]:
        visitors: dict[str, PageVisitor] = {}
        made = []
        for one in PEOPLE:
            visitors[one.login] = PageVisitor(self._page)
            made.append(self._set_up(one, self._enrolled(one), visitors[one.login]))
        self._duties()
        self._asked(visitors)
        for visitor in visitors.values():
            visitor.send("/account", "/sign-out")
        return tuple(made)

    def _enrolled(self, one: DemoPerson) -> str:
        """The address of the link that the command prints; a demo that was ended early left people without one."""
        words = ["--login", one.login, "--name", one.name, "--role", one.role, "--until", _day(300)]
        words += ["--checked-by", "the demo", "--checked-how", "nobody is behind it"]
        if one.employer:
            words += ["--employer", one.employer, "--contract", "DEMO-1", "--contact", "the demo", "--sponsor", SPONSOR]
        try:
            return str(self._told_by("person", "enrol", self._receiver, *words)["link"])
        except ConfigError as error:
            if "enrolled already" not in str(error):
                raise
            return str(self._told_by("person", "link", self._receiver, one.login, "--recovery")["link"])

    def _set_up(self, one: DemoPerson, link: str, visitor: PageVisitor) -> DemoPerson:
        path = link[link.index("/set-up/") :]
        found = re.search(r'<code class="mono">([A-Z2-7 ]+)</code>', visitor.get(path))
        if found is None:
            raise ConfigError(f"{link} shows no key for an authenticator")
        words = secrets.token_hex(8)
        password = "-".join(words[at : at + 4] for at in range(0, len(words), 4))
        now = time.time()
        ready = replace(one, password=password, key=found[1].replace(" ", ""))
        visitor.send(path, path, password=password, again=password, code=ready.code(now), policy="yes")
        return replace(ready, used=int(now) // STEP)

    def _duties(self) -> None:
        for one in PEOPLE:
            if one.role in ON_DUTY:
                words = [one.role, one.login, "--from", _day(-1), "--until", _day(90)]
                self._command("roster", "set", self._receiver, *words)
        place = "an envelope in the control room"
        self.sealed = str(self._told_by("break-glass", "prepare", self._receiver, "--place", place)["code"])

    def _asked(self, visitors: dict[str, PageVisitor]) -> None:
        acme, sponsor = visitors[ASKS], visitors[SPONSOR]
        standing = {"preset": "standing", "until": f"{_day(30)}T12:00", "purpose": "condition monitoring"}
        reason = "bearing temperature and flow of pump-7 under the service contract"
        acme.send("/access", "/access/ask", reason=reason, **standing, **{"asset:pump-7": "on"})
        found = re.search(r'name="request" value="(r-\w+)"', sponsor.get("/access"))
        if found is None:
            raise ConfigError("the sponsor sees no request")
        why = "covered by the service contract; reviewed each quarter"
        sponsor.send("/access", "/access/decide", request=found[1], answer="approve", why=why)
        soon = (datetime.now(UTC) + timedelta(hours=4)).strftime("%Y-%m-%dT%H:%M")
        emergency = {"preset": "tier-3", "until": soon, "purpose": "fault finding", "ticket": "DEMO-42"}
        reason = "turbine-1 tripped on overspeed; I want to see its last minutes"
        visitors[WAITS].send("/access", "/access/ask", reason=reason, **emergency, **{"asset:turbine-1": "on"})

    def _told_by(self, *words: str) -> dict[str, object]:
        told = json.loads(self._command(*words, "--json"))
        if not isinstance(told, dict):
            raise ConfigError(f"checkvalve {' '.join(words)} printed no object")
        return told

    def _command(self, *words: str) -> str:
        if self._stop.is_set():
            raise ConfigError("the demo ends")
        done = subprocess.run(supervise.command(*words), capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"checkvalve {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def _told(self, now: float) -> str:
        until = datetime.fromtimestamp((int(now) // STEP + 1) * STEP, UTC).strftime("%H:%M:%SZ")
        lines = [
            "# Who may sign in to the demo's pages. Nobody is behind these logins; they end with the demo.",
            f'# "code" is what an authenticator shows until {until}; each is good once. "key" is for one of your own.',
            f"sealed = {json.dumps(self.sealed)}   # the code of break-glass, in its envelope",
        ]
        for one in self.list:
            lines += ["", "[[person]]"]
            told = {"login": one.login, "role": one.role, "employer": one.employer, "password": one.password}
            told |= {"code": one.code(now), "key": one.key}
            lines += [f"{name} = {json.dumps(value)}" for name, value in told.items() if value]
        return "\n".join(lines) + "\n"


def _day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")
