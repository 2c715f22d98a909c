"""Enrolling on a page: by an administrator alone, whole or not at all; the link is shown once and is on no record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sign_in_site import PASSWORD, Reply, SignInSite, WebReader

from receiver.governed.people.enrolment import Standing
from receiver.governed.people.person import PersonRole

PAGE = "/access/people"
ROLES = {"admin": PersonRole.ADMINISTRATOR, "sponsor": PersonRole.SPONSOR, "auditor": PersonRole.AUDITOR}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SignInSite]:
    """An administrator, a sponsor and an auditor have set up."""
    made = SignInSite(tmp_path)
    for who, role in ROLES.items():
        made.ready(f"p-{who}", login=f"j.{who}er@plant.example", name=f"Jo {who}", roles=frozenset({role}))
    yield made
    made.close()


@pytest.fixture
def web(site: SignInSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


def enter(site: SignInSite, web: WebReader, who: str) -> WebReader:
    """Somebody in a browser of their own."""
    made = WebReader(web.base)
    site.clock.move(30)
    made.cookies = {"checkvalve": site.sign_in(f"p-{who}", address="127.0.0.1")}
    return made


def day(site: SignInSite, days: int) -> str:
    """As a form has it."""
    return (datetime.fromtimestamp(site.clock() / 1e9, UTC) + timedelta(days=days)).strftime("%Y-%m-%d")


def of_acme(site: SignInSite) -> dict[str, str]:
    """A vendor's reader, whole, with the administrator's code of a half minute later."""
    site.clock.move(30)
    return {
        "code": site.code("p-admin"),
        "name": "Jo Doe",
        "login": " J.Doe@acme.example",
        "role:reader": "on",
        "ends": day(site, 90),
        "checked_by": "Sam Smith",
        "checked_how": "called back over the contract's number",
        "employer": "Acme Pumps",
        "contract": "2026-17",
        "contact": "Ann Acme",
        "sponsor": "p-sponsor",
    }


def linked(answer: Reply) -> str:
    """The path of the link that the page shows."""
    found = re.search(r'id="link">http://[^/]+(/set-up/[\w-]+)<', answer.text)
    assert found, answer.text
    return found.group(1)


def test_an_administrator_enrols_a_named_person_who_sets_up_by_the_link(site: SignInSite, web: WebReader) -> None:
    """All that must be known is on record, by whom and from where; the link is shown once, and is on no record."""
    admin = enter(site, web, "admin")
    answer = admin.send(PAGE, f"{PAGE}/enrol", **of_acme(site))
    assert answer.status == 200
    path = linked(answer)
    assert path not in admin.get(PAGE).text
    entry = site.of("person.enrolled")[-1]
    assert (entry.who, entry.origin) == ("p-admin", "127.0.0.1")
    told = {name: entry.facts[name] for name in ("login", "employer", "contract", "contact", "sponsor", "checked_how")}
    assert told == {
        "login": "j.doe@acme.example",
        "employer": "Acme Pumps",
        "contract": "2026-17",
        "contact": "Ann Acme",
        "sponsor": "p-sponsor",
        "checked_how": "called back over the contract's number",
    }
    assert path.rpartition("/")[2] not in "".join(repr(one) for one in site.office.desk.authority.trail.records())
    them = WebReader(web.base)
    found = re.search(r'<code class="mono">([A-Z2-7 ]+)</code>', them.get(path).text)
    assert found
    key = str(entry.facts["person"])
    site.seeds[key] = found.group(1).replace(" ", "")
    assert them.send(path, path, password=PASSWORD, again=PASSWORD, code=site.code(key), policy="yes").status == 303
    page = admin.get(PAGE).text
    assert site.office.policy.version in page
    assert "not acknowledged yet" not in page
    assert "Another link" not in page


MISTAKES = (
    ({"contract": ""}, "contract: missing"),
    ({"contact": " "}, "contact: missing"),
    ({"sponsor": ""}, "sponsor: missing"),
    ({"sponsor": "p-auditor"}, "no active sponsor"),
    ({"checked_how": ""}, "checked_how: missing"),
    ({"login": "support@acme.example"}, "several people read"),
    ({"login": "j.sponsorer@plant.example"}, "is enrolled already"),
    ({"ends": "soon"}, "soon is no day"),
    ({"ends": "2099-01-01"}, "more than 400 days"),
    ({"role:approver": "on"}, "for the site&#39;s own people"),
    ({"role:king": "on"}, "choose anew"),
    ({"code": ""}, "your code does not fit"),
    ({"code": "000000"}, "your code does not fit"),
)


def test_an_enrolment_is_whole_or_is_not_made(site: SignInSite, web: WebReader) -> None:
    """What is wrong is told, what was filled in stays, and nothing is on record."""
    admin, before = enter(site, web, "admin"), len(site.of("person.enrolled"))
    for given, says in MISTAKES:
        answer = admin.send(PAGE, f"{PAGE}/enrol", **of_acme(site) | given)
        assert (answer.status, says in answer.text.lower()) == (409, True), given
        assert 'name="name" maxlength="200" value="Jo Doe"' in answer.text
        assert 'name="role:reader" checked' in answer.text
    assert len(site.of("person.enrolled")) == before
    assert [one.facts["how"] for one in site.of("session.failed")] == ["code", "code"]


def test_who_has_set_up_gets_no_other_link_on_a_page(site: SignInSite, web: WebReader) -> None:
    """A link is that person's rights: for who never set up another one voids the first; a recovery is a command."""
    admin = enter(site, web, "admin")
    first = linked(admin.send(PAGE, f"{PAGE}/enrol", **of_acme(site)))
    key = str(site.of("person.enrolled")[-1].facts["person"])
    assert "your code does not fit" in admin.send(PAGE, f"{PAGE}/link", person=key, code="000000").text.lower()
    site.clock.move(30)
    second = linked(admin.send(PAGE, f"{PAGE}/link", person=key, code=site.code("p-admin")))
    assert [web.get(path).status for path in (first, second)] == [404, 200]
    links = len(site.of("person.linked"))
    token = admin.token(PAGE, f"{PAGE}/link")
    for held in ("p-sponsor", "p-admin", "p-nobody"):
        site.clock.move(30)
        answer = admin.post(f"{PAGE}/link", {"token": token, "person": held, "code": site.code("p-admin")})
        assert (answer.status, "/set-up/" in answer.text) == (409, False), held
    assert len(site.of("person.linked")) == links


def test_a_person_is_suspended_resumed_confirmed_and_ended_on_the_page(site: SignInSite, web: WebReader) -> None:
    """With a reason, on record as the administrator's; sessions are over, a leaver's moments are kept."""
    admin = enter(site, web, "admin")
    login, acme = "j.doe@acme.example", {"employer": "Acme", "contract": "C", "contact": "Ann", "sponsor": "p-sponsor"}
    site.ready("p-doe", login=login, name="Jo Doe", roles=frozenset({PersonRole.READER}), **acme)
    doe = enter(site, web, "doe")
    assert "reason is given" in admin.send(PAGE, f"{PAGE}/suspend", person="p-doe", why=" ").text
    assert admin.send(PAGE, f"{PAGE}/suspend", person="p-doe", why="badge was lost").status == 303
    assert doe.get("/account").status == 303
    assert "badge was lost" in admin.get(PAGE).text
    assert admin.send(PAGE, f"{PAGE}/resume", person="p-doe", why="badge was found").status == 303
    confirmed = {"employer": "Acme", "by": "Ann Acme"}
    assert "nobody is ticked" in admin.send(PAGE, f"{PAGE}/confirm", **confirmed).text.lower()
    assert admin.send(PAGE, f"{PAGE}/confirm", **confirmed, **{"person:p-doe": "on"}).status == 303
    assert site.of("person.confirmed")[0].facts["persons"] == ["p-doe"]
    left = datetime.fromtimestamp(site.clock() / 1e9 - 7200, UTC).strftime("%Y-%m-%dT%H:%M")
    given = {"person": "p-doe", "why": "left Acme", "left": left}
    assert "is no time" in admin.send(PAGE, f"{PAGE}/end", **given | {"left": "yesterday"}).text
    assert admin.send(PAGE, f"{PAGE}/end", **given).status == 303
    held = site.office.desk.people.get("p-doe")
    assert held is not None
    assert held.standing(site.office.desk.now()) is Standing.ENDED
    assert held.leaving is not None
    assert held.leaving.left_ns is not None
    assert site.office.store.credential("p-doe") is None
    whose = {one.who for kind in ("suspended", "resumed", "confirmed", "ended") for one in site.of(f"person.{kind}")}
    assert whose == {"p-admin"}


def test_people_are_shown_to_whom_they_concern_and_changed_by_administrators_alone(
    site: SignInSite, web: WebReader
) -> None:
    """The auditor reads the list; to a sponsor it is not there; neither can act, whatever they send."""
    admin, auditor, sponsor = (enter(site, web, who) for who in ("admin", "auditor", "sponsor"))
    assert [one.get(PAGE).status for one in (admin, auditor, sponsor)] == [200, 200, 404]
    assert web.get(PAGE).location == f"/sign-in?next={PAGE.replace('/', '%2F')}"
    assert "<form" not in auditor.get(PAGE).text
    before = site.kinds("session.opened")
    for act in ("enrol", "link", "suspend", "resume", "end", "confirm"):
        fields = of_acme(site) | {"person": "p-admin", "why": "I say so"}
        for one in (auditor, sponsor):
            assert one.post(f"{PAGE}/{act}", fields).status == 404
        assert admin.post(f"{PAGE}/{act}", fields).status == 403
    assert site.kinds("session.opened") == before
