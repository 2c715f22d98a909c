"""Recommending on the pages: who makes, releases and sees what, and the answer that comes back over the diode."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from granting_site import WHY
from recommending_site import ANSWERED, BECAUSE, KEY, PAGE, SITE, RecommendingSite
from sign_in_site import WebReader

from protocol.recommendation.carried_file import opened, signed
from receiver.governed.people.person import PersonRole
from receiver.portal.granting import answer_watch, recommended_form
from receiver.portal.granting.asked_form import FormMistake

COMMAND = "checkvalve recommendation receiver.toml {} --to FOLDER --key DIR"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RecommendingSite]:
    made = RecommendingSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: RecommendingSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


def test_a_recommendation_goes_from_its_maker_to_the_answer_on_the_page(site: RecommendingSite, web: WebReader) -> None:
    """Made, released in writing, carried by a command, answered over the diode; on record and on the page."""
    acme, engineer = site.grant(web, "acme", "acme-pump"), site.enter(web, "engineer")
    number = site.recommend(acme)
    page = engineer.get(PAGE).text
    assert "limit</b>: 1450 &rarr; 1380" in page
    assert "One step at a time." in page
    assert COMMAND.format(number) not in page
    fields = {"recommendation": number, "days": "30"}
    assert engineer.send(PAGE, f"{PAGE}/release", **fields, why="worth reading at the machine").status == 303
    assert COMMAND.format(number) in engineer.get(PAGE).text
    page = acme.get(PAGE).text
    assert "to be carried in" in page
    assert "Nothing here is executed" in page
    assert COMMAND.format(number) not in page
    digest = site.carry(number)
    assert "Withdraw now" not in acme.get(PAGE).text
    site.answer(number, digest, asset="acme-pump", accepted=False)
    assert ANSWERED not in acme.get(PAGE).text, "a device says whatever somebody wrote into it"
    site.answer(number, digest)
    page = acme.get(PAGE).text
    assert ANSWERED in page
    assert f"{number}, acme-pump: accepted" in page
    assert ANSWERED in engineer.get(PAGE).text
    kinds = [one for one in site.kinds() if one.startswith("recommendation.")]
    assert kinds == [f"recommendation.{word}" for word in ("made", "released", "carried", "answered")]
    (made,) = site.of("recommendation.made")
    assert (made.who, made.origin) == ("p-acme", "127.0.0.1")


def test_an_answer_is_on_record_though_nobody_looks(site: RecommendingSite, web: WebReader) -> None:
    """The pages listen while they run; where the history cannot be read they say so, and go on."""
    acme, engineer = site.grant(web, "acme", "acme-pump"), site.enter(web, "engineer")
    number = site.recommend(acme)
    assert engineer.send(PAGE, f"{PAGE}/release", recommendation=number, days="2", why=WHY).status == 303
    history, clock = site.folder / "history", site.clock
    assert answer_watch.answers(site.office, history, clock) == []
    digest = site.carry(number)
    site.answer(number, digest)
    again = site.started()
    assert [one.number for one in answer_watch.answers(again, history, clock)] == [number]
    again.desk.authority.trail.close()
    again.close()
    assert len(site.of("recommendation.answered")) == 1
    answer_watch.answers(site.office, history, clock)
    assert len(site.of("recommendation.answered")) == 1
    current = history / "current.db"
    current.rename(history / "away")
    current.mkdir()
    page = acme.get(PAGE)
    assert (page.status, "The history cannot be read" in page.text) == (200, True)
    assert ANSWERED in page.text, "what is on record stays"


def test_the_running_pages_listen_by_themselves(site: RecommendingSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request is needed for it."""
    monkeypatch.setattr(answer_watch, "LISTEN_S", 0.01)
    with site.pages() as web:
        acme, engineer = site.grant(web, "acme", "acme-pump"), site.enter(web, "engineer")
        number = site.recommend(acme)
        assert engineer.send(PAGE, f"{PAGE}/release", recommendation=number, days="2", why=WHY).status == 303
        site.answer(number, site.carry(number))
        deadline = time.monotonic() + 20
        while not site.of("recommendation.answered"):
            assert time.monotonic() < deadline, "nobody listened"


@pytest.mark.parametrize("who", ["acme", "volta", "sponsor", "approver", "engineer", "security", "auditor"])
def test_each_role_sees_the_recommendations_it_needs(who: str, site: RecommendingSite, web: WebReader) -> None:
    """A vendor no word of another's; the site's people by their roles; forms for who may use them."""
    acme, volta = site.grant(web, "acme", "acme-pump"), site.grant(web, "volta", "volta-press")
    first = site.recommend(acme, why="acme would like it")
    second = site.recommend(volta, "volta-press", why="volta would like it")
    reader = {"acme": acme, "volta": volta}.get(who) or site.enter(web, who)
    page = reader.get(PAGE).text
    seen = {number for number in (first, second) if number in page}
    both, none = {first, second}, set[str]()
    expected = {"acme": {first}, "volta": {second}, "approver": none}.get(who, both)
    assert seen == expected
    other = {"acme": "volta", "volta": "acme"}.get(who)
    assert other is None or other not in page.lower()
    assert (f'action="{PAGE}/make"' in page) == (who in ("acme", "volta"))
    assert (f'action="{PAGE}/release"' in page) == (who == "engineer")
    assert page.count(f'action="{PAGE}/withdraw"') == (1 if who in ("acme", "volta") else 0)


def test_a_colleague_sees_a_recommendation_while_they_may_read_its_asset(
    site: RecommendingSite, web: WebReader
) -> None:
    """It names an asset and what is thought of it: that is not for whoever happens to have the same employer."""
    site.people["colleague"] = site.ready(
        "p-colleague",
        login="c.acme@acme.example",
        name="Col of acme",
        employer="Acme",
        roles=frozenset({PersonRole.READER}),
        contract="C-1",
        contact="A. Contact",
        sponsor="p-sponsor",
    )
    acme = site.grant(web, "acme", "acme-pump")
    number = site.recommend(acme)
    colleague = site.enter(web, "colleague")
    assert number not in colleague.get(PAGE).text
    colleague = site.grant(web, "colleague", "acme-pump")
    page = colleague.get(PAGE).text
    assert number in page
    assert "Withdraw now" not in page
    site.clock.move(5 * 3600)
    acme, colleague = site.enter(web, "acme"), site.enter(web, "colleague")
    assert number in acme.get(PAGE).text, "their own, whatever they may read by now"
    assert number not in colleague.get(PAGE).text


def test_what_a_rule_refuses_is_told_and_changes_nothing(site: RecommendingSite, web: WebReader) -> None:
    """In the rule's own words; what was filled in stays."""
    acme, engineer = site.grant(web, "acme", "acme-pump"), site.enter(web, "engineer")
    for given, says in (
        ({"asset": f"{SITE}/volta-press"}, "not among what you may read now"),
        ({"asset": f"{SITE}/never-was"}, "not among what you may read now"),
        ({"what": ""}, "should be changed is missing"),
        ({"what": "x" * 2001}, "longer than 2,000 characters"),
        ({"values": "limit 1380"}, "line 1 of the values is none"),
        ({"attachment-1-name": "curve.csv"}, "a name and a text"),
        ({"attachment-8-text": "7;8"}, "a name and a text"),
        (
            {"attachment-1-name": "a", "attachment-1-text": "1", "attachment-2-name": " a", "attachment-2-text": "2"},
            "two attachments have one name",
        ),
        ({"attachment-1-name": "a", "attachment-1-text": "\u6e29" * 32_769}, "longer than 32,768 characters"),
        ({"values": "\n".join(["limit: 1 -> 2"] * 51)}, "51 values; 50 are the most"),
    ):
        fields = {"asset": f"{SITE}/acme-pump", "what": "Lower <b>it", "why": BECAUSE, "values": ""} | given
        answer = acme.send(PAGE, f"{PAGE}/make", **fields)
        assert (answer.status, says in answer.text.lower()) == (409, True), (given, says)
        assert BECAUSE in answer.text
        assert "what" in given or "Lower &lt;b&gt;it" in answer.text
    assert [one for one in site.kinds() if one.startswith("recommendation.")] == []
    number = site.recommend(acme)
    for given, says in (
        ({"why": "ok"}, "a written reason"),
        ({"days": "0"}, "for a day at least"),
        ({"days": "181"}, "180 days at most"),
        ({"days": "soon"}, "no whole number"),
        ({"recommendation": "rec-never"}, "no such recommendation"),
    ):
        fields = {"recommendation": number, "why": WHY, "days": "30"} | given
        answer = engineer.send(PAGE, f"{PAGE}/release", **fields)
        assert (answer.status, says in answer.text.lower()) == (409, True), (given, says)
    assert len([one for one in site.kinds() if one.startswith("recommendation.")]) == 1
    assert engineer.send(PAGE, f"{PAGE}/decline", recommendation=number, why="the gear box sets it").status == 303
    page = acme.get(PAGE).text
    assert "the gear box sets it" in page


def test_texts_are_attached_and_carried_as_they_were_typed(site: RecommendingSite, web: WebReader) -> None:
    """Shown as text to who sees the recommendation, and part of what is signed, whatever the name is made of."""
    acme, engineer = site.grant(web, "acme", "acme-pump"), site.enter(web, "engineer")
    names = ("../../etc/<b>passwd", "=cmd|calc\u202e.csv")
    texts = ("time;bar\r\n07:00;6.5", '</details><script>alert("x")</script>')
    fields = {f"attachment-{at}-name": name for at, name in enumerate(names, 1)}
    fields |= {f"attachment-{at}-text": text for at, text in enumerate(texts, 1)}
    number = site.recommend(acme, **fields)
    held = site.office.desk.authority.recommendations.get(number)
    assert held is not None
    kept = [(one.name, one.text) for one in held.proposal.attachments]
    assert kept == [(names[0], "time;bar\n07:00;6.5"), (names[1], texts[1])]
    for page in (engineer.get(PAGE).text, acme.get(PAGE).text):
        assert "../../etc/&lt;b&gt;passwd</summary>" in page
        assert "time;bar\n07:00;6.5" in page
        assert "<script>" not in page.partition("</main>")[0]
        assert "\u202e" not in page
    fields = {"recommendation": number, "days": "30", "why": WHY}
    assert engineer.send(PAGE, f"{PAGE}/release", **fields).status == 303
    released = site.office.desk.authority.recommendations.get(number)
    assert released is not None
    file = opened(signed(released.to_carry(), KEY), [KEY.public])
    assert [(one.name, one.text) for one in file.carried.proposal.attachments] == kept


def test_who_made_it_withdraws_it_and_nobody_else(site: RecommendingSite, web: WebReader) -> None:
    """Another vendor's number is answered as one that never was."""
    acme, volta = site.grant(web, "acme", "acme-pump"), site.grant(web, "volta", "volta-press")
    number = site.recommend(acme)
    site.recommend(volta, "volta-press")
    told = [
        volta.send(PAGE, f"{PAGE}/withdraw", recommendation=one, why="no longer meant").text.replace(one, "")
        for one in (number, "rec-never")
    ]
    tokens = [text.count("is not your recommendation") for text in told]
    assert tokens == [1, 1]
    assert "acme" not in told[0].lower()
    assert acme.send(PAGE, f"{PAGE}/withdraw", recommendation=number, why="no longer meant").status == 303
    assert f"{number}, acme-pump: withdrawn" in acme.get(PAGE).text


def test_no_grant_no_recommendation(site: RecommendingSite, web: WebReader) -> None:
    """Also where the form was opened while there was one."""
    acme, sponsor = site.grant(web, "acme", "acme-pump"), site.enter(web, "sponsor")
    token = acme.token(PAGE, f"{PAGE}/make")
    grant = next(iter(site.office.desk.authority.grants.grants))
    assert sponsor.send("/access", "/access/revoke", grant=grant, why="the work is done").status == 303
    fields = {"token": token, "asset": f"{SITE}/acme-pump", "what": "Lower it", "why": BECAUSE}
    assert acme.post(f"{PAGE}/make", fields).status == 409
    page = acme.get(PAGE).text
    assert "You may read no asset now" in page
    assert site.of("recommendation.made") == []


@pytest.mark.parametrize("act", ["make", "withdraw", "release", "decline"])
def test_a_form_of_recommending_is_believed_from_our_own_page_alone(
    act: str, site: RecommendingSite, web: WebReader
) -> None:
    """Without a token, with another page's, from another origin, not signed in."""
    acme, address = site.enter(web, "acme"), f"{PAGE}/{act}"
    fields = {"recommendation": "rec-1", "why": WHY, "days": "30"}
    before = site.kinds()
    assert acme.post(address, fields).status == 403
    assert acme.post(address, fields | {"token": acme.token("/account", "/sign-out")}).status == 403
    assert acme.post(address, fields, origin="https://elsewhere.example").status == 403
    assert WebReader(web.base).post(address, fields).status in (303, 401, 403, 404)
    assert site.kinds() == before


def test_a_long_text_is_shown_to_its_last_letter_and_a_hidden_one_is_seen(
    site: RecommendingSite, web: WebReader
) -> None:
    """Who releases must have been able to read all of it."""
    acme, engineer = site.grant(web, "acme", "acme-pump"), site.enter(web, "engineer")
    words = " ".join(f"word-{at}" for at in range(850))
    assert 7_000 < len(words) < 8_000
    site.recommend(acme, why=words, what="Lower \u202eit", values="\u6e29\u5ea6: 1 \u2192 2")
    page = engineer.get(PAGE).text
    assert words in page
    assert "Lower \\u202eit" in page
    assert "\u6e29\u5ea6</b>: 1 &rarr; 2" in page
    longest = "\u6e29" * 8_000
    site.recommend(acme, why=longest)
    assert longest in engineer.get(PAGE).text


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("speed limit: 1450 -> 1380", ("speed limit", "1450", "1380")),
        ("start: 06:30 -> 07:00", ("start", "06:30", "07:00")),
        ("oil: VG 68", ("oil", "", "VG 68")),
        ("oil: -> VG 68", ("oil", "", "VG 68")),
    ],
)
def test_a_value_is_read_from_its_line(line: str, value: tuple[str, str, str]) -> None:
    """Name, what it is thought to be where that is known, what it should be."""
    (read,) = recommended_form.values(f"\n{line}\n")
    assert (read.name, read.now, read.proposed) == value


@pytest.mark.parametrize("line", ["limit", "limit 1380", ": 1380", "limit: ", "limit: 1 -> ", "a: 1 -> 2 -> 3"])
def test_a_line_that_is_no_value_is_told(line: str) -> None:
    """With its number, and how one is written."""
    with pytest.raises(FormMistake, match="line 2 of the values"):
        recommended_form.values(f"oil: VG 68\n{line}")
