"""The pages of signing in over HTTP: what a stranger gets, what a form needs, what a cookie is worth."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sign_in_site import PASSWORD, SignInSite, WebReader

from receiver.commands.cli import _status_lines
from receiver.governed.people.person import PersonRole
from receiver.governed.people.person_sessions import hashed
from receiver.governed.people.services import ServiceCredential, end, issue
from receiver.outputs.scope import Scope
from receiver.portal.signing_in.sign_in_pages import inside
from receiver.portal_settings import PortalTable

PAGES = ("/", "/asset/pump-7", "/tag/1", "/changes", "/account", "/no-such-page", "/asset?name=x")
PROGRAMS = ("/api/assets", "/api/latest", "/api/link", "/api/no-such", "/live", "/live?series=1")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SignInSite]:
    made = SignInSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: SignInSite) -> Iterator[WebReader]:
    """Nothing is read without signing in."""
    with site.pages() as made:
        yield made


def test_a_stranger_learns_nothing_not_even_which_pages_there_are(web: WebReader) -> None:
    """Each page leads to signing in, each address of programs says 401, and healthz says well or not."""
    for page in PAGES:
        reply = web.get(page)
        assert (reply.status, reply.location.partition("?")[0]) == (303, "/sign-in"), page
    for address in PROGRAMS:
        assert web.get(address).status == 401, address
    assert set(web.get("/healthz").text) <= set('{"ok":truefals}\n')
    for page in ("/sign-in", "/sign-in/no-such", "/set-up/no-such"):
        text = web.get(page).text
        assert "Link health" not in text
        assert "data-vital" not in text


def test_whoever_reaches_pages_that_are_open_to_anyone_is_told_so(site: SignInSite) -> None:
    """They read, as before there were people; who wants to sign in can."""
    foot = PortalTable(listen="10.0.0.5:8600", anyone="all", tls=False).foot()  # type: ignore[arg-type]
    assert "anyone who reaches the pages reads everything" in foot
    assert "not encrypted" in foot
    assert list(_status_lines("publish", {"open": foot}))[-1] == f"  pages: {foot}"
    with site.pages(open_to=Scope(), foot=foot) as web:
        assert foot[1:] in web.get("/").text
        assert web.get("/api/assets").status == 200
        assert web.get("/account").location == "/sign-in?next=/account"
        assert web.get("/sign-in").status == 200


def test_a_person_signs_in_reads_and_signs_out(site: SignInSite, web: WebReader) -> None:
    """The cookie is for this host, for HTTP alone and for our own pages; afterwards it is worth nothing."""
    key = site.ready()
    reply = web.send(
        "/sign-in", "/sign-in", login="s.smith@plant.example", password=PASSWORD, code=site.code(key), next="/changes"
    )
    assert (reply.status, reply.location) == (303, "/changes")
    (line,) = [one for one in reply.headers.get_all("Set-Cookie", []) if one.startswith("checkvalve=")]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(line.split("; "))
    assert web.get("/").status == 200
    assert "s.smith@plant.example" in web.get("/account").text
    kept = dict(web.cookies)
    assert web.send("/account", "/sign-out").location == "/sign-in"
    assert "checkvalve" not in web.cookies
    web.cookies = kept
    assert web.get("/").status == 303
    told = ["session.opened", "read.overview", "session.closed"]
    assert site.kinds("person.enrolled", "person.linked", "person.acknowledged") == told


def test_a_refusal_says_the_same_whatever_was_wrong(site: SignInSite, web: WebReader) -> None:
    """Nobody learns which logins there are."""
    key = site.ready()
    right = {"login": "s.smith@plant.example", "password": PASSWORD, "code": site.code(key)}
    texts = set()
    for change in ({"login": "nobody@plant.example"}, {"password": "wrong password 1"}, {"code": "000000"}):
        reply = web.send("/sign-in", "/sign-in", **(right | change))
        assert reply.status == 200
        shown = re.sub(r'name="login"[^>]*>|value="\w+"', "", reply.text)
        texts.add(shown)
    assert len(texts) == 1
    assert "checkvalve" not in web.cookies


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "", "sec_fetch_site": "cross-site"},
    ],
)
def test_a_form_of_another_site_is_refused(web: WebReader, headers: dict[str, str]) -> None:
    """Also with a right token."""
    token = web.token("/sign-in", "/sign-in")
    assert web.post("/sign-in", {"token": token, "login": "a@b.example"}, **headers).status == 403


def test_a_browser_that_sends_no_origin_may_say_it_otherwise(web: WebReader) -> None:
    """Sec-Fetch-Site: same-origin."""
    token = web.token("/sign-in", "/sign-in")
    assert web.post("/sign-in", {"token": token}, origin="", sec_fetch_site="same-origin").status == 200


def test_a_form_without_the_token_of_this_browser_and_this_address_is_refused(site: SignInSite, web: WebReader) -> None:
    """Neither none, nor another visit's, nor another form's."""
    site.ready()
    other = WebReader(web.base)
    token = other.token("/sign-in", "/sign-in")
    web.get("/sign-in")
    for given in ("", "0" * 64, token, "\u20ac"):
        assert web.post("/sign-in", {"token": given}).status == 403
    assert web.post("/sign-out", {"token": web.token("/sign-in", "/sign-in")}).status == 401
    assert site.kinds("person.enrolled", "person.linked", "person.acknowledged") == []


@pytest.mark.parametrize(
    ("body", "status"),
    [("x" * 40_000, 413), ("&".join(f"a{at}=1" for at in range(100)), 400), ("%%%", 400), ("token=1", 403), ("", 403)],
)
def test_a_form_that_is_none_of_ours_is_refused(web: WebReader, body: str, status: int) -> None:
    """Larger, with more fields, or not readable; and nothing is a fault of the pages."""
    web.get("/sign-in")
    assert web.ask("POST", "/sign-in", body, {"Origin": web.base}).status == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST"])
def test_what_is_read_is_not_written(web: WebReader, method: str) -> None:
    """A POST is taken where people sign in and nowhere else."""
    for page in ("/", "/api/assets", "/healthz", "/static/portal.css", "/sign-inx"):
        assert web.ask(method, page, None, {"Origin": web.base}).status == 405


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "",
        "x",
        "/sign-out",
        "/\nx",
        "/live",
        "/" + "x" * 3000,
    ],
)
def test_signing_in_leads_nowhere_else(address: str) -> None:
    """Only to an address of these pages."""
    assert inside(address) == "/"
    assert inside("/tag/3?range=300") == "/tag/3?range=300"


def test_a_link_sets_a_person_up_and_signs_them_in(site: SignInSite, web: WebReader) -> None:
    """Opening it twice is nothing; used it is gone, and the policy is on record."""
    word = site.enrol()
    page = f"/set-up/{word}"
    assert "Sam Smith" in web.get(page).text
    seed = re.search(r'<code class="mono">([A-Z2-7 ]+)</code>', web.get(page).text)
    assert seed
    site.seeds["p-sponsor1"] = seed.group(1).replace(" ", "")
    wrong = web.send(page, page, password=PASSWORD, again=PASSWORD, code="000000", policy="yes")
    assert "the code does not fit" in wrong.text
    assert PASSWORD not in wrong.text
    reply = web.send(page, page, password=PASSWORD, again=PASSWORD, code=site.code("p-sponsor1"), policy="yes")
    assert (reply.status, reply.location) == (303, "/account")
    assert "this one" in web.get("/account").text
    assert web.get(page).status == 404
    (entry,) = site.of("person.acknowledged")
    assert str(entry.facts["policy"]).startswith("Reading policy, version 1 (")


def test_the_first_administrator_sets_up_by_the_link_in_the_file(site: SignInSite, web: WebReader) -> None:
    """It is this user's alone, and gone with the first administrator."""
    site.office.offer_first(web.base + "/", lambda line: None)
    path = site.folder / "first-administrator.link"
    assert path.stat().st_mode & 0o777 == 0o600
    page = path.read_text().strip().removeprefix(web.base)
    seed = re.search(r'<code class="mono">([A-Z2-7 ]+)</code>', web.get(page).text)
    assert seed
    site.seeds["first"] = seed.group(1).replace(" ", "")
    given = {"login": "info@plant.example", "name": "Ada Admin", "ends": "2026-06-30"}
    right = {"password": PASSWORD, "again": PASSWORD, "code": site.code("first"), "policy": "yes"}
    assert "several people read" in web.send(page, page, **given, **right).text
    assert "is no day" in web.send(page, page, **(given | {"ends": "soon"}), **right).text
    reply = web.send(page, page, **(given | {"login": "ada@plant.example"}), **right)
    assert reply.location == "/account"
    assert "administrator" in web.get("/account").text
    assert not path.exists()
    assert web.get(page).status == 404


def test_who_guesses_links_is_counted_out(site: SignInSite, web: WebReader) -> None:
    """After twenty, a good one looks like a bad one too."""
    word = site.enrol()
    for at in range(20):
        assert web.get(f"/set-up/{at}").status == 404
    assert web.get(f"/set-up/{word}").status == 404
    assert "failed sign-ins" in [entry.facts["what"] for entry in site.of("alert.raised")]
    site.clock.move(16 * 60)
    assert web.get(f"/set-up/{word}").status == 200


def test_a_person_ends_the_sessions_they_do_not_know(site: SignInSite, web: WebReader) -> None:
    """One, or all others; nobody else's."""
    key = site.ready()
    other = site.ready("p-sponsor2", login="t.smith@plant.example")
    foreign = site.sign_in(other, address="127.0.0.1")
    words = []
    for _ in range(3):
        site.clock.move(30)
        words.append(site.sign_in(key, address="127.0.0.1"))
    web.cookies["checkvalve"] = words[0]
    keys = {one.key for one in site.office.store.sessions(key)}
    web.send("/account", "/account/sessions", session=site.office.store.sessions(other)[0].key)
    web.send("/account", "/account/sessions", session=next(iter(keys - {own(site, words[0])})))
    assert len(site.office.store.sessions(key)) == 2
    web.send("/account", "/account/sessions", session="others")
    assert [one.key for one in site.office.store.sessions(key)] == [own(site, words[0])]
    web.cookies["checkvalve"] = foreign
    assert web.get("/account").status == 200


def test_a_person_changes_their_password_by_the_old_one_and_a_code(site: SignInSite, web: WebReader) -> None:
    """Other sessions end, this one goes on; it is on record, without a word of what was typed."""
    key = site.ready()
    other = site.sign_in(key, address="127.0.0.1")
    site.clock.move(30)
    web.cookies = {"checkvalve": site.sign_in(key, address="127.0.0.1")}
    site.clock.move(30)
    new = "nine loud presses by day"
    right = {"old": PASSWORD, "password": new, "again": new}
    for given, says in (
        ({"old": "another sentence of mine"}, "does not fit"),
        ({"code": "000000"}, "does not fit"),
        ({"again": PASSWORD}, "differ"),
        ({"password": "short", "again": "short"}, "characters"),
        ({"password": PASSWORD, "again": PASSWORD}, "is the old one"),
    ):
        answer = web.send("/account", "/account/password", **right | {"code": site.code(key)} | given)
        assert (answer.status, says in answer.text) == (409, True), given
        assert new not in answer.text
    assert "password.changed" not in site.kinds()
    assert len(site.of("session.failed")) == 2
    assert len(site.office.store.sessions(key)) == 2
    assert web.send("/account", "/account/password", **right, code=site.code(key)).status == 200
    assert [(one.who, one.facts["person"]) for one in site.of("password.changed")] == [(key, key)]
    assert site.office.glance(other, "127.0.0.1") is None
    assert web.get("/account").status == 200
    site.clock.move(30)
    assert not site.sign_in(key)
    assert site.sign_in(key, password=new)
    told = "".join(repr(record) for record in site.office.desk.authority.trail.records())
    assert new not in told
    assert PASSWORD not in told


def test_who_guesses_a_password_in_a_session_that_was_left_open_is_counted_out(
    site: SignInSite, web: WebReader
) -> None:
    """As at the door, with the same alert."""
    key = site.ready()
    web.cookies = {"checkvalve": site.sign_in(key, address="127.0.0.1")}
    new = "nine loud presses by day"
    for _ in range(5):
        web.send("/account", "/account/password", old="a guess", code="000000", password=new, again=new)
    site.clock.move(30)
    right = {"old": PASSWORD, "code": site.code(key), "password": new, "again": new}
    assert "too many attempts" in web.send("/account", "/account/password", **right).text.lower()
    assert [one.facts["what"] for one in site.of("alert.raised")] == ["failed sign-ins"]


def own(site: SignInSite, word: str) -> str:
    """The key of a cookie's session."""
    found = site.office.glance(word, "127.0.0.1")
    assert found is not None
    return str(found.session.key)


def test_no_secret_is_in_a_log_in_a_file_that_others_read_or_in_the_trail(
    site: SignInSite, caplog: pytest.LogCaptureFixture
) -> None:
    """A whole set-up, sign-in, failure and sign-out with every logger at DEBUG."""
    caplog.set_level(logging.DEBUG)
    word = site.enrol()
    page = f"/set-up/{word}"
    with site.pages() as web:
        found = re.search(r'<code class="mono">([A-Z2-7 ]+)</code>', web.get(page).text)
        assert found
        seed = site.seeds["p-sponsor1"] = found.group(1).replace(" ", "")
        first = site.code("p-sponsor1")
        web.send(page, page, password=PASSWORD, again=PASSWORD, code=first, policy="yes")
        cookies = [web.cookies["checkvalve"]]
        web.send("/account", "/sign-out")
        site.clock.move(30)
        code = site.code("p-sponsor1")
        wrong = "a password typed as login"
        web.send("/sign-in", "/sign-in", login=wrong, password=PASSWORD, code=code)
        web.send("/sign-in", "/sign-in", login="s.smith@plant.example", password=PASSWORD, code=code)
        cookies.append(web.cookies["checkvalve"])
    secrets = [word, PASSWORD, seed, wrong, *cookies]
    told = caplog.text + "".join(repr(record) for record in site.office.desk.authority.trail.records())
    told += "".join(
        path.read_bytes().decode("latin-1") for path in site.folder.rglob("*") if path.stat().st_mode & 0o077
    )
    for secret in secrets:
        assert secret not in told
    assert site.office.store.sessions("p-sponsor1")


def test_what_is_due_about_people_is_told_to_whom_it_concerns(site: SignInSite, web: WebReader) -> None:
    """Administrators see all of it, a sponsor their own people's, a reader nothing."""
    sponsor = site.ready()
    admin = site.ready("p-admin001", login="ada@plant.example", roles=frozenset({PersonRole.ADMINISTRATOR}))
    other = site.ready("p-sponsor2", login="t.smith@plant.example")
    of_acme = {"employer": "Acme", "contract": "2026-17", "contact": "Ann Acme", "sponsor": sponsor}
    reader = site.ready("p-reader01", login="j.doe@acme.example", roles=frozenset({PersonRole.READER}), **of_acme)
    site.clock.move(91 * 86400)
    for key, told in ((admin, True), (sponsor, True), (other, False), (reader, False)):
        web.cookies = {"checkvalve": site.sign_in(key, address="127.0.0.1")}
        assert ("Acme is to confirm its people" in web.get("/account").text) is told, key


def test_a_service_shows_its_token_and_reads_as_a_program(site: SignInSite, web: WebReader) -> None:
    """With its name on record, until its end is; a token that is none of ours is a failure, and 401."""
    owner = site.ready()
    service = ServiceCredential(
        key="s-centre01",
        name="monitoring centre",
        employer="",
        owner=owner,
        sources=("127.0.0.0/8",),
        ends_ns=site.clock() + 10**15,
    )
    site.office.desk.authority.act(
        lambda people, grants, now: issue(service, people, now, at_ns=site.clock(), by="command:root")
    )
    site.office.store.set_token("s-centre01", hashed("the token"))
    assert web.get("/api/assets", Authorization="Bearer the token").status == 200
    assert [entry.who for entry in site.of("read.assets")] == ["service:s-centre01"]
    assert web.get("/account", Authorization="Bearer the token").status == 404
    assert web.get("/api/assets", Authorization="Bearer another").status == 401
    assert [entry.facts["how"] for entry in site.of("session.failed")] == ["token"]
    open_stream = site.office.service("the token", "127.0.0.1")
    assert open_stream.holds()
    authority, services = site.office.desk.authority, site.office.desk.services
    authority.act(
        lambda people, grants, now: end(services, "s-centre01", "replaced", at_ns=site.clock(), by="command:root")
    )
    assert not open_stream.holds()  # its end on record is enough, whether its token was taken away yet or not
