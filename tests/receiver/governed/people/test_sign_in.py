"""Signing in: one answer for all that is wrong, codes that work once, sessions that end."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sign_in_site import HERE, PASSWORD, THERE, SignInSite

from protocol.errors import ConfigError
from receiver.governed.people import set_up
from receiver.governed.people.acts import LINK_HOURS
from receiver.governed.people.attempts import ADDRESS, BOTH, LOGIN
from receiver.governed.people.passwords import Passwords, refusal
from receiver.governed.people.person_sessions import Glance
from receiver.governed.people.secret_store import NAME, SecretStore, open_store
from receiver.governed.people.session_rules import ABSOLUTE_NS, IDLE_NS, Ending, network
from receiver.governed.people.set_up import SetUpForm
from receiver.governed.trail.trail_error import TrailError

HOUR_S = 3600


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SignInSite]:
    made = SignInSite(tmp_path)
    yield made
    made.close()


def glance(site: SignInSite, word: str, address: str = HERE) -> Glance | None:
    """As a request does it."""
    found = site.office.glance(word, address)
    if found is not None and found.noting:
        site.office.sessions.settle(found, address)
    return found


def test_the_right_password_and_code_open_a_session_on_record(site: SignInSite) -> None:
    """Who, how and from where; the cookie is in no file and in no entry."""
    site.ready()
    word = site.sign_in()
    found = glance(site, word)
    assert found is not None
    assert found.person is not None
    assert found.person.key == "p-sponsor1"
    (entry,) = site.of("session.opened")
    assert (entry.who, entry.origin, entry.facts["how"]) == ("p-sponsor1", HERE, "password")
    held = b"".join(path.read_bytes() for path in site.folder.iterdir())
    for secret in (word, PASSWORD):
        assert secret.encode() not in held


def test_a_code_works_once(site: SignInSite) -> None:
    """Nor does an earlier one work after a later one."""
    site.ready()
    before, now, after = (site.code("p-sponsor1", steps) for steps in (-1, 0, 1))
    assert site.sign_in(code=now)
    assert not site.sign_in(code=now)
    assert not site.sign_in(code=before)
    assert site.sign_in(code=after)
    site.clock.move(60)
    assert not site.sign_in(code=now)


@pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_of_half_a_minute_early_or_late_is_taken(site: SignInSite, steps: int, fits: bool) -> None:
    """A phone's clock is that far off; no further."""
    site.ready()
    site.clock.move(120)
    assert bool(site.sign_in(code=site.code("p-sponsor1", steps))) is fits


WRONG: dict[str, Callable[[SignInSite], str]] = {
    "password": lambda site: site.sign_in(password="seven quiet pumps by night"),
    "code": lambda site: site.sign_in(code="000000"),
    "no code": lambda site: site.sign_in(code=" "),
    "login": lambda site: site.sign_in(login="nobody@plant.example"),
    "suspended": lambda site: site.act(lambda acts: acts.suspend("p-sponsor1", "why")).sign_in(),
    "ended": lambda site: site.act(lambda acts: acts.end("p-sponsor1", "why")).sign_in(),
    "run out": lambda site: site.later(301 * 86400).sign_in(),
    "a password of 100 kB": lambda site: site.sign_in(password="x" * 100_000),
    "no text": lambda site: site.sign_in(login="\0", password="\0", code="\u0661" * 6),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_alike_and_costs_the_same(
    site: SignInSite, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash of a password is checked whatever it is, and one failure is on record without what was typed."""
    site.ready()
    checked: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, kept: str | bytes, password: str | bytes) -> bool:
        checked.append("")
        return bool(verify(self, kept, password))

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    assert WRONG[what](site) == ""
    assert len(checked) == 1
    (entry,) = site.of("session.failed")
    assert set(entry.facts) <= {"person", "how"}
    assert "session.opened" not in site.kinds()


def test_a_login_is_known_whatever_its_case(site: SignInSite) -> None:
    """As people type it."""
    site.ready()
    assert site.sign_in(login=" S.Smith@PLANT.example ")


@pytest.mark.parametrize(
    ("most", "login", "address"),
    [
        (BOTH.most, lambda at: "s.smith@plant.example", lambda at: HERE),
        (ADDRESS.most, lambda at: f"person{at}@plant.example", lambda at: HERE),
        (LOGIN.most, lambda at: "s.smith@plant.example", lambda at: f"192.0.2.{at}"),
    ],
    ids=["login and address", "address", "login"],
)
def test_who_fails_too_often_waits_and_security_is_told(
    site: SignInSite, most: int, login: Callable[[int], str], address: Callable[[int], str]
) -> None:
    """Also with the right password; after the window it works again, and the clock set back shortens nothing."""
    site.ready()
    for at in range(most):
        assert "alert.raised" not in site.kinds()
        site.sign_in(login=login(at), password="wrong", address=address(at))
    assert len(site.of("alert.raised")) == 1
    failures = len(site.of("session.failed"))
    assert not site.sign_in(login=login(0), address=address(most))
    assert len(site.of("session.failed")) == failures  # counted out: nothing was looked at
    site.clock.step(-7200)
    assert not site.sign_in(login=login(0), address=address(most))
    site.clock.step(7200)
    site.clock.move(2 * HOUR_S)
    assert site.sign_in(address=address(most))


def test_counts_outlive_the_process(site: SignInSite) -> None:
    """A restart forgives nobody."""
    site.ready()
    for _ in range(BOTH.most):
        site.sign_in(password="wrong")
    site.office.close()
    site.office = site.started()
    assert not site.sign_in()


@pytest.mark.parametrize("limit_s", [IDLE_NS / 1e9, ABSOLUTE_NS / 1e9], ids=["idle", "absolute"])
def test_a_session_ends_by_itself(site: SignInSite, limit_s: float) -> None:
    """Without use after half an hour, and after twelve hours whatever is done with it."""
    site.ready()
    word, begun = site.sign_in(), site.clock()
    step = limit_s - 1 if limit_s == IDLE_NS / 1e9 else 600.0
    while (site.clock() - begun) / 1e9 + step < limit_s:
        site.clock.move(step)
        found = glance(site, word)
        assert found is not None
        assert found.ending is None
    site.clock.move(step + 1)
    found = glance(site, word)
    assert found is not None
    assert found.ending in (Ending.IDLE, Ending.ABSOLUTE)
    assert glance(site, word) is None
    assert site.of("session.closed")[0].facts["why"] == found.ending.value


def test_setting_the_clock_back_lengthens_no_session(site: SignInSite) -> None:
    """The later reading of the time counts."""
    site.ready()
    word = site.sign_in()
    site.clock.step(-10 * HOUR_S)
    site.clock.move(IDLE_NS / 1e9 + 1)
    found = glance(site, word)
    assert found is not None
    assert found.person is None


@pytest.mark.parametrize("what", ["suspend", "end", "run out"])
def test_the_sessions_of_who_is_not_active_are_over_at_once(site: SignInSite, what: str) -> None:
    """Also where another process wrote it."""
    site.ready()
    word, other = site.sign_in(), site.started()
    if what == "run out":
        other.desk.act("command:root", lambda acts: acts.change("p-sponsor1", ends_ns=site.clock() + 10**9))
        site.clock.move(1)
    else:
        other.desk.act("command:root", lambda acts: getattr(acts, what)("p-sponsor1", "why"))
    other.close()
    site.clock.move(0.25)
    found = glance(site, word)
    assert found is not None
    assert found.ending is Ending.PERSON
    assert glance(site, word) is None


def test_a_cookie_from_another_network_ends_the_session_and_is_an_alert(site: SignInSite) -> None:
    """The same network is none: an address of it may change."""
    site.ready()
    word = site.sign_in()
    assert network("192.0.2.250") == network(HERE)
    found = glance(site, word, "192.0.2.250")
    assert found is not None
    assert found.ending is None
    found = glance(site, word, THERE)
    assert found is not None
    assert found.ending is Ending.MOVED
    assert glance(site, word) is None
    assert [entry.facts["what"] for entry in site.of("alert.raised")] == ["address changed"]


@pytest.mark.parametrize(("minutes", "alerts"), [(1, ["second address"]), (10, [])])
def test_one_person_at_two_places_is_an_alert(site: SignInSite, minutes: int, alerts: list[str]) -> None:
    """Within five minutes, and once; later the person may have gone there."""
    site.ready()
    words = {HERE: site.sign_in()}
    site.clock.move(60 * minutes)
    words[THERE] = site.sign_in(address=THERE)
    for _ in range(3 if alerts else 0):
        site.clock.move(61)
        for address, word in words.items():
            assert glance(site, word, address)
    assert [entry.facts["what"] for entry in site.of("alert.raised")] == alerts


def test_two_addresses_of_one_network_at_once_are_an_alert_and_a_change_is_none(site: SignInSite) -> None:
    """Two sessions, or one cookie that goes there and comes back; once each, and nobody is thrown out."""
    site.ready()
    beside = "192.0.2.250"
    word = site.sign_in()
    for address, alerts in ((beside, 0), (beside, 0), (HERE, 1), (beside, 1), (HERE, 1)):
        site.clock.move(61)
        assert glance(site, word, address)
        assert len(site.of("alert.raised")) == alerts, address
    assert site.of("alert.raised")[0].facts["addresses"] == sorted([HERE, beside])
    assert site.sign_in(address=beside)
    assert [entry.facts["what"] for entry in site.of("alert.raised")] == ["second address"] * 2


def test_a_third_browser_at_once_is_an_alert(site: SignInSite) -> None:
    """With what each says it is; the same one again is none."""
    key = site.ready()
    person = site.office.desk.person(key)
    assert person is not None
    for agent, alerts in (("desk", 0), ("telephone", 0), ("desk", 0), ("elsewhere", 1), ("elsewhere", 1)):
        site.office.sessions.open(person, "passkey", address=HERE, agent=agent)
        assert len(site.of("alert.raised")) == alerts, agent
    facts = site.of("alert.raised")[0].facts
    assert (facts["what"], facts["agents"]) == ("several browsers", ["desk", "elsewhere", "telephone"])


def test_a_link_is_good_once_and_for_three_days(site: SignInSite) -> None:
    """Looking uses nothing up; what does not fit leaves it good."""
    word = site.enrol()
    found = set_up.look(site.office.desk, site.office.store, word)
    assert found is not None
    site.seeds["p-sponsor1"] = found.link.seed
    right = SetUpForm(password=PASSWORD, again=PASSWORD, code=site.code("p-sponsor1"), policy="v1")
    wrong = (
        replace(right, again="other"),
        replace(right, password="short", again="short"),
        replace(right, code="1"),
        replace(right, policy=""),
    )
    for chosen in wrong:
        with pytest.raises(ConfigError):
            site.office.set_up.use(word, chosen, address=HERE)
    assert "person.acknowledged" not in site.kinds()
    site.clock.move(LINK_HOURS * HOUR_S - 100)
    right = replace(right, code=site.code("p-sponsor1"))
    site.office.set_up.use(word, right, address=HERE)
    assert set_up.look(site.office.desk, site.office.store, word) is None
    other = site.enrol("p-sponsor2", login="t.smith@plant.example")
    site.clock.move(LINK_HOURS * HOUR_S)
    assert set_up.look(site.office.desk, site.office.store, other) is None


def test_a_recovery_takes_everything_away_first(site: SignInSite) -> None:
    """Old password, codes and sessions are worth nothing from the moment on that the link is issued."""
    site.ready()
    word = site.sign_in()
    site.clock.move(60)
    set_up.issue(site.office.desk, site.office.store, "p-sponsor1", by="command:root", recovery=True)
    assert glance(site, word) is None
    assert not site.sign_in()


def test_the_first_link_enrols_one_administrator(site: SignInSite) -> None:
    """While nobody is enrolled, whoever printed it; then it is worth nothing."""
    first = set_up.first(site.office.desk, site.office.store)
    again = set_up.first(site.office.desk, site.office.store)
    assert set_up.look(site.office.desk, site.office.store, first) is None
    found = set_up.look(site.office.desk, site.office.store, again)
    assert found is not None
    assert found.enrolment is None
    site.enrol()
    assert set_up.look(site.office.desk, site.office.store, again) is None
    assert set_up.first(site.office.desk, site.office.store) == ""


def test_without_a_trail_nobody_signs_in(site: SignInSite) -> None:
    """Fails closed: there is no session that is not on record."""
    site.ready()
    (site.folder / "trail.db").rename(site.folder / "elsewhere.db")
    with pytest.raises(TrailError):
        site.sign_in()
    assert site.office.store.sessions() == []
    (site.folder / "elsewhere.db").rename(site.folder / "trail.db")


def test_the_file_of_secrets_is_its_owners_alone(site: SignInSite) -> None:
    """As are those that SQLite makes beside it."""
    site.ready()
    family = [path for path in site.folder.iterdir() if path.name.startswith(NAME)]
    assert family
    assert {path.stat().st_mode & 0o777 for path in family} == {0o600}


def test_each_use_has_a_key_of_its_own(site: SignInSite) -> None:
    """What a page shows that is made with one key tells nothing about what another one keeps; each is kept."""
    store = site.office.store
    keys = [store.secret(use) for use in ("forms", "attempts", "forms")]
    assert keys[0] == keys[2]
    assert keys[0] != keys[1]
    with sqlite3.connect(store.path) as sql:
        held = sql.execute("SELECT value FROM meta WHERE key = 'secret'").fetchone()[0]
    assert held not in keys


def test_a_damaged_file_of_secrets_is_set_aside(tmp_path: Path) -> None:
    """The pages go on; who wants to sign in gets a new link."""
    SecretStore(tmp_path).close()
    path = tmp_path / NAME
    path.write_bytes(b"\xff" * 8192)
    said: list[str] = []
    store = open_store(tmp_path, wall_ns=10**18, say=said.append)
    assert store.sessions() == []
    store.close()
    assert len(said) == 1
    assert [one.name for one in tmp_path.glob("*.damaged-*")]


def test_a_link_in_place_of_the_file_of_secrets_is_refused(tmp_path: Path) -> None:
    """Nothing is written through it."""
    os.symlink(tmp_path / "elsewhere", tmp_path / NAME)
    with pytest.raises(Exception, match="no plain file"):
        open_store(tmp_path, wall_ns=10**18, say=lambda line: None)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("password", ["short", "x" * 200, "aaaaaaaaaaaaaaa", "s.smith12345", "smith1234567"])
def test_a_password_that_is_soon_guessed_is_refused(password: str) -> None:
    """Length, and not one's own name."""
    assert refusal(password, "s.smith@plant.example", "Sam Smith")


def test_the_usual_cost_is_the_librarys(tmp_path: Path) -> None:
    """argon2id, 64 MiB, three passes: nobody made it cheaper for speed."""
    made = Passwords().hash(PASSWORD)
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=")


def test_strangers_cannot_fill_the_disk_with_attempts(site: SignInSite) -> None:
    """What is older than the longest window is forgotten."""
    site.ready()
    for at in range(30):
        site.sign_in(login=f"person{at}@plant.example", address=f"192.0.2.{at}")
        site.clock.move(300)
    with sqlite3.connect(site.folder / NAME) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM attempt").fetchone()
    connection.close()
    assert kept <= 3 * (LOGIN.window_ns / 1e9 / 300 + 1)


def test_a_session_past_its_limit_ends_what_it_holds_open(site: SignInSite) -> None:
    """A live page asks whether its reader still holds; nobody need ask for another page."""
    site.ready()
    found = glance(site, site.sign_in())
    assert found is not None
    assert found.person is not None
    reader = site.office.reader(found.person, found.session, HERE)
    assert reader.holds()
    site.clock.move(IDLE_NS / 1e9)
    site.office.sessions.tidy()
    assert not reader.holds()
    (closed,) = site.of("session.closed")
    assert (closed.who, closed.facts["why"]) == ("system", "idle")
