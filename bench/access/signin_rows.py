"""Signing in at a site of 200 people: from what was typed to an open session on record.

    access.signin           login, password and code are right
    access.signin.refused   a login that nobody has: it takes as long
    access.signin.work      processor time of the first, in all threads: it stays where the machine is busy

Everything is done each time: limits looked up, the hash checked at the library's own cost (argon2id, 64 MiB, 3 passes),
the code used up, the session opened, the entry in the trail synced to the disk.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pyotp

from bench.figures import BenchRow
from receiver.governed.authority import Authority
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.people.codes import STEP_S
from receiver.governed.people.desk import PeopleDesk
from receiver.governed.people.enrolment import DAY_NS, PersonDraft
from receiver.governed.people.passwords import Passwords
from receiver.governed.people.person import PersonRole
from receiver.governed.people.person_sessions import PersonSessions
from receiver.governed.people.secret_store import Credential, SecretStore, open_store
from receiver.governed.people.sign_in import SignIn
from receiver.governed.trail.trail import Trail

PEOPLE = 200
PASSWORD = "seven quiet pumps at night"  # noqa: S105 - nobody's
ASKED_MS = 300
"""Longest that is asked for [ms]."""


def measure(runs: int = 7, *, people: int = PEOPLE) -> list[BenchRow]:
    """All rows.

    Args:
        runs: Sign-ins of each kind.
        people: Enrolled.
    """
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        state, clock = Path(name), BenchClock()
        trail = Trail(state / "trail.db")
        store = open_store(state, wall_ns=clock.now_ns, say=_refused)
        try:
            right, wrong, work = _timed(_ready(trail, store, clock, people), clock, runs, people)
        finally:
            store.close()
            trail.close()
    note = f"{people} people, argon2id at its defaults, the trail synced; asked for: {ASKED_MS} ms"
    return [
        BenchRow(row="access.signin", unit="ms", runs=right, note=note),
        BenchRow(row="access.signin.refused", unit="ms", runs=wrong, note="a login that nobody has"),
        BenchRow(row="access.signin.work", unit="ms", runs=work, note="processor time of access.signin"),
    ]


class BenchClock:
    """Stands still until it is moved; a code is good once, and nobody waits half a minute for the next."""

    def __init__(self) -> None:
        self.now_ns = time.time_ns()
        self.seed = pyotp.random_base32()

    def __call__(self) -> int:
        return self.now_ns

    def code(self) -> str:
        """The next code, at its time."""
        self.now_ns += (STEP_S + 1) * 10**9
        return pyotp.TOTP(self.seed).generate_otp(self.now_ns // (STEP_S * 10**9))


def _ready(trail: Trail, store: SecretStore, clock: BenchClock, people: int) -> SignIn:
    authority = Authority(trail, AccessPolicy(), store.path.parent, wall_ns=clock.now_ns, running_ns=clock.now_ns)
    desk, passwords = PeopleDesk(authority, clock, clock), Passwords()
    kept = passwords.hash(PASSWORD)
    for key in enrolled(desk, people, clock.now_ns):
        store.set_credential(Credential(key, kept, clock.seed, 0))
    return SignIn(desk, store, PersonSessions(desk, store), passwords)


def enrolled(desk: PeopleDesk, people: int, now_ns: int, employer: str = "") -> list[str]:
    """Enrol so many, who have acknowledged the policy; returns their keys.

    Args:
        desk: Of the site.
        people: How many.
        now_ns: The wall clock [ns since 1970 UTC].
        employer: All but the first read for this vendor; empty: they are the site's own, as the first is.
    """
    keys = [f"p-{at:08}" for at in range(people)]
    for at, key in enumerate(keys):
        draft = _draft(at, now_ns)
        if employer and at:
            roles = frozenset({PersonRole.READER})
            draft = replace(draft, employer=employer, roles=roles, contract="1", contact="C. T.", sponsor=keys[0])
        desk.act("command:bench", lambda acts, key=key, draft=draft: acts.enrol(key, draft))  # type: ignore[misc]
        desk.act("command:bench", lambda acts, key=key: acts.acknowledge(key, "1"))  # type: ignore[misc]
    return keys


def _timed(sign_in: SignIn, clock: BenchClock, runs: int, people: int) -> tuple[tuple[float, ...], ...]:
    right: list[float] = []
    wrong: list[float] = []
    work: list[float] = []
    for run in range(runs):
        code, address = clock.code(), f"192.0.2.{run % 250}"
        for login, took in ((_login(run % people), right), ("nobody@plant.example", wrong)):
            began, worked = time.perf_counter(), time.process_time()
            answer = sign_in.attempt(login, PASSWORD, code, address=address, agent="bench")
            took.append((time.perf_counter() - began) * 1e3)
            work += [(time.process_time() - worked) * 1e3] * (took is right)
            assert bool(answer.word) is (took is right)
    return tuple(right), tuple(wrong), tuple(work)


def _login(at: int) -> str:
    return f"person-{at}.doe@plant.example"


def _draft(at: int, wall_ns: int) -> PersonDraft:
    return PersonDraft(
        login=_login(at),
        name=f"Person {at}",
        roles=frozenset({PersonRole.SPONSOR}),
        ends_ns=wall_ns + 300 * DAY_NS,
        checked_by="bench",
        checked_how="bench",
    )


def _refused(line: str) -> None:
    raise OSError(line)
