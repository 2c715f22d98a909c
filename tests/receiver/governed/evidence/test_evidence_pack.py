"""Laws of a vendor's month on paper: all of the vendor's, nothing of another's, and never complete where it is not."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import real_browser
from access_cast import (
    ACME,
    APPROVER,
    CUSTODIAN,
    DAY,
    ENGINEER,
    HOUR,
    POLICY,
    PRESS,
    PUMP,
    SECOND,
    SECURITY,
    SPONSOR,
    VOLTA,
    period,
)  # fmt: skip
from axe_playwright_python.sync_playwright import Axe
from reading_entries import enrolled, given, read
from trail_entries import tampered

import checkvalve
from receiver.commands.programme import evidence_work
from receiver.governed.alerts.alert import raised
from receiver.governed.evidence.calendar_month import month_of
from receiver.governed.evidence.clause_table import PARTS, clauses
from receiver.governed.evidence.evidence_pack import PackTrail
from receiver.governed.evidence.gathering import EvidenceGathering, LookLine
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord
from receiver.governed.trail.trail import Trail

CONFIG = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys"
senders = "high.pub"
"""
OCTOBER = round(datetime(2026, 10, 1, tzinfo=UTC).timestamp()) * SECOND
"""A month that is over, and in it a change of the clock in Berlin."""
HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J{{ 7 * 7 }}"
SECRET = "VOLTA-ONLY"


def entry(kind: str, at_ns: int, who: str = "system", **facts: Fact) -> TrailEntry:
    """Any."""
    return TrailEntry(kind=kind, at_ns=at_ns, who=who, origin="192.0.2.7", facts=facts)


def history() -> list[TrailEntry]:
    """October of two vendors."""
    start = OCTOBER - 10 * DAY
    acme = replace(ACME, name=f"Jo {HOSTILE}")
    volta = replace(VOLTA, name=SECRET)
    out = [
        line for one in (SPONSOR, APPROVER, ENGINEER, SECURITY, CUSTODIAN, acme, volta) for line in enrolled(one, start)
    ]
    for key, person, extent in (("r-1", "acme", PUMP), ("r-2", "acme", PUMP), ("r-v", "volta", PRESS)):
        wanted = period(OCTOBER + DAY, OCTOBER + DAY + 4 * HOUR)
        reason = HOSTILE if person == "acme" else SECRET
        facts: dict[str, Fact] = {
            "request": key,
            "person": person,
            "preset": "tier-1",
            "reason": reason,
            "purpose": "x",
        }
        facts |= extent.to_facts() | wanted.to_facts()
        out.append(TrailEntry(kind="request.made", at_ns=OCTOBER, who=person, facts=facts))
    out.append(
        entry("request.approved", OCTOBER + HOUR, "approver", request="r-1", role="approver", why="agreed by phone")
    )
    grant = given("g-1", ACME, 0, period(OCTOBER + DAY, OCTOBER + DAY + 4 * HOUR))
    out.append(replace(grant, at_ns=OCTOBER + HOUR, facts={**grant.facts, "request": "r-1"}))
    out.append(
        entry("request.denied", OCTOBER + HOUR, "engineer", request="r-2", role="engineer", why="no shift for it")
    )
    out.append(replace(given("g-v", VOLTA, 0, period(OCTOBER, OCTOBER + 9 * DAY), extent=PRESS), at_ns=OCTOBER))
    out += [
        entry("session.opened", OCTOBER + DAY, "acme", person="acme", session="n-1", how="password"),
        entry("session.failed", OCTOBER + DAY, "acme", person="acme", how="password"),
        entry("session.opened", OCTOBER + DAY, "volta", person="volta", session="n-2", how=SECRET),
    ]
    for count in range(5):
        look = read(ACME, OCTOBER + DAY + count * SECOND, "g-1")
        more: dict[str, Fact] = {"tags": [["pump-7", f"t{count}"]], "from_ns": start, "to_ns": OCTOBER, "rows": 10}
        out.append(replace(look, facts={**look.facts, **more}))
    out.append(read(ACME, OCTOBER + DAY + HOUR, kind="read.refused"))
    out.append(read(VOLTA, OCTOBER + DAY, "g-v", asset=f"press-1 {SECRET}"))
    tier_3 = given("g-3", ACME, 0, period(OCTOBER + 2 * DAY, OCTOBER + 2 * DAY + HOUR), preset="tier-3")
    out.append(replace(tier_3, at_ns=OCTOBER + 2 * DAY))
    number = len(out)
    out.append(entry("notice.delivered", OCTOBER + 2 * DAY + SECOND, notice=number, way="mail", confirmed=True))
    drill: dict[str, Fact] = {
        "grant": "g-d",
        "person": "acme",
        "custodian": "custodian",
        "credential": "c-1",
        "drill": True,
    }
    drill |= {"why": "the yearly exercise", "criteria": ["it has failed"]}
    drill |= PUMP.to_facts() | period(OCTOBER + 3 * DAY, OCTOBER + 3 * DAY + HOUR).to_facts()
    out.append(TrailEntry(kind="break-glass.opened", at_ns=OCTOBER + 3 * DAY, who="custodian", facts=drill))
    number = len(out)
    out.append(entry("notice.delivered", OCTOBER + 3 * DAY + 4 * SECOND, notice=number, way="mail", confirmed=True))
    out.append(
        entry(
            "review.closed", OCTOBER + 3 * DAY + 2 * HOUR, "security", grant="g-d", findings="all well", justified=True
        )
    )
    out.append(entry("break-glass.prepared", OCTOBER + 4 * DAY, "command:root", credential="c-2", place="safe"))
    for person, vendor in (("acme", "Acme"), ("volta", "Volta")):
        told = raised("reads refused", f"{vendor} {SECRET if vendor == 'Volta' else ''}", at_ns=OCTOBER + 5 * DAY)
        out.append(replace(told, facts={**told.facts, "person": person, "vendor": vendor}))
    out.append(
        entry("alert.acknowledged", OCTOBER + 5 * DAY, "security", alert=len(out) - 1, note="asked him by phone")
    )
    out.append(raised("clock stepped", "", at_ns=OCTOBER + 6 * DAY))
    out.append(entry("person.ended", OCTOBER + 20 * DAY, "admin", person="acme", why="left",
                     left_ns=OCTOBER + 18 * DAY, reported_ns=OCTOBER + 18 * DAY + HOUR))  # fmt: skip
    out.append(read(VOLTA, OCTOBER + 40 * DAY, "g-v", asset="press-1"))
    out.append(
        entry("review.closed", OCTOBER + 40 * DAY, "security", grant="g-3", findings="late but well", justified=True)
    )
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The receiver.toml of a low side with that trail."""
    folder = tmp_path_factory.mktemp("low")
    (folder / "state").mkdir()
    (folder / "receiver.toml").write_text(CONFIG)
    trail = Trail(folder / "state" / "trail.db")
    trail.note(history())
    trail.close()
    return folder / "receiver.toml"


@pytest.fixture(scope="module")
def acme(site: Path) -> dict[str, Any]:
    """Its JSON and its page."""
    pack, (whole, page) = evidence_work.made(site, "Acme", "2026-10", site.parent / "acme")
    assert pack.exit_code == 0, (pack.incomplete, pack.faults)
    return {"json": json.loads(whole.read_text()), "text": whole.read_text(), "html": page.read_text()}


def test_a_pack_holds_the_whole_month_of_its_vendor(acme: dict[str, Any]) -> None:
    """People, requests with their denials, grants with approvers, looks by grant, sign-ins, reviews, drills, alerts."""
    told = acme["json"]["pack"]
    assert told["counts"] == {
        "people": 1, "requests": 2, "grants": 3, "looks": 5, "sign-ins": 1, "reviews": 2, "break-glass": 0,
        "drills": 1, "alerts": 2, "trail": len(history()),
    }  # fmt: skip
    assert told["complete"] is True
    assert (told["trail"]["sound"], told["trail"]["first"]) == (True, 15)
    (person,) = told["people"]
    assert (person["checked_by"], person["sponsor"], person["standing"]) == ("A. Smith", "sponsor (sponsor)", "ended")
    assert person["hours_to_act"] == 47.0
    states = {one["key"]: (one["state"], [said["why"] for said in one["decisions"]]) for one in told["requests"]}
    assert states == {"r-1": ("granted", ["agreed by phone"]), "r-2": ("denied", ["no shift for it"])}
    approvals = {one["key"]: [said["role"] for said in one["approvals"]] for one in told["grants"]}
    assert approvals == {"g-1": ["approver"], "g-3": [], "g-d": []}
    (looks,) = told["looks"]
    assert (looks["looks"], looks["rows"], looks["grants"], looks["assets"]) == (5, 50, ["g-1"], ["pump-7"])
    assert len(looks["tags"]) == 5
    assert told["refused"] == {"acme": 1}
    (signs,) = told["sign_ins"]
    assert (signs["opened"], signs["failed"], signs["ways"]) == (1, 1, {"password": 1})
    assert {one["grant"]: one["state"] for one in told["reviews"]} == {"g-d": "in time", "g-3": "overdue"}
    (glass,) = told["break_glass"]
    assert (glass["drill"], glass["told"]) == (True, ["mail after 4 s"])
    assert glass["renewed_ns"] == OCTOBER + 4 * DAY
    assert [(one["what"], one["acknowledged_by"]) for one in told["alerts"]] == [
        ("reads refused", "security (security)"),
        ("clock stepped", ""),
    ]


def test_every_look_stands_in_the_json(acme: dict[str, Any]) -> None:
    """With its entry's number, tags, range and grants, one a line."""
    looks = acme["json"]["looks"]
    assert [one["tags"] for one in looks] == [[["pump-7", f"t{count}"]] for count in range(5)]
    assert {(one["kind"], one["from"]) for one in looks} == {("read.trend", "192.0.2.7")}
    assert acme["text"].splitlines()[2].startswith('{"number":')


def test_nothing_of_another_vendor_is_in_a_pack(acme: dict[str, Any]) -> None:
    """No name, no asset, no alert, no sign-in: in neither file."""
    for word in (SECRET, "volta", "Volta", "press-1", "g-v", "r-v"):
        assert word not in acme["text"], word
        assert word not in acme["html"], word


def test_what_was_done_later_stands_in_the_pack_of_that_month(site: Path, tmp_path: Path) -> None:
    """The review that was closed in November is open in October's pack, and late in November's."""
    pack, _ = evidence_work.made(site, "Acme", "2026-11", tmp_path)
    assert [(one.grant, one.state) for one in pack.reviews] == [("g-3", "late")]
    assert pack.people == ()
    assert "the month is not over" in "".join(pack.incomplete) or datetime.now(UTC) > datetime(2026, 12, 1, tzinfo=UTC)


def test_a_page_needs_nothing_and_runs_nothing(acme: dict[str, Any]) -> None:
    """Texts are text: no markup, no template, no sign that turns a row around; a policy forbids the rest."""
    page = acme["html"]
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\x1b[2J{{ 7 * 7 }}" in page
    assert "default-src &#39;none&#39;" in page
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == set()
    assert "\u202e" not in page
    assert page.count("<table") == page.count("</table")
    assert "every single look" in page


def test_each_clause_says_what_is_not_proven(acme: dict[str, Any]) -> None:
    """On the page and in the JSON; parts are parts of a pack; closed texts are cited by number."""
    rows = acme["json"]["clauses"]
    assert len(rows) == len(clauses()) > 20
    for one, row in zip(clauses(), rows, strict=True):
        assert len(one.not_proven) > 20
        assert row["not_proven"] == one.not_proven
        assert one.not_proven in acme["html"].replace("&#39;", "'")
        assert set(one.parts) <= set(PARTS)
        assert one.parts
        assert one.text.public or one.about == "see your own copy"
    assert {one.text.name for one in clauses()} >= {"CIP-003", "SP 800-53 MA-4", "IEC 62443-3-3", "NCSC"}
    assert sum(one.text.name == "NCSC" for one in clauses()) == 8


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE entry SET body = replace(body, 'agreed by phone', 'agreed by letter') WHERE number = 18", "entry 18"),
        ("DELETE FROM entry WHERE number = 20", "entry 20"),
    ],
)
def test_a_month_of_a_trail_that_does_not_verify_is_never_complete(
    statement: str, words: str, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pack is made with what could be read, says so in its first lines, and the exit code is 1."""
    (tmp_path / "state").mkdir()
    (tmp_path / "receiver.toml").write_text(CONFIG)
    (tmp_path / "state/trail.db").write_bytes((site.parent / "state/trail.db").read_bytes())
    tampered(tmp_path / "state/trail.db", statement)
    out = tmp_path / "out"
    assert checkvalve.main(["evidence", str(tmp_path / "receiver.toml"), "Acme", "2026-10", "--out", str(out)]) == 1
    assert "NOT COMPLETE: the trail does not verify" in capsys.readouterr().out
    told = json.loads((out / "evidence.json").read_text())["pack"]
    assert told["complete"] is False
    assert any(line.startswith(words) for line in told["trail"]["faults"])
    assert "THE TRAIL DOES NOT VERIFY" in (out / "evidence.html").read_text()


def test_a_read_that_no_grant_allowed_is_named_and_the_code_is_1(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `--check` of everybody, and in the pack of the vendor alone."""
    assert checkvalve.main(["evidence", str(site), "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert f"volta read press-1 {SECRET}" in lines[0]
    assert "which was ended" in lines[1]
    assert lines[2] == "7 reads compared with the grants in force at their time: 2 faults"
    pack, _ = evidence_work.made(site, "Volta", "2026-10", tmp_path)
    assert len(pack.faults) == 1
    assert pack.exit_code == 1


@pytest.mark.parametrize(
    ("zone", "from_text", "to_text"),
    [("UTC", "2026-10-01T00:00Z", "2026-11-01T00:00Z"), ("Europe/Berlin", "2026-09-30T22:00Z", "2026-10-31T23:00Z"),
     ("Asia/Kolkata", "2026-09-30T18:30Z", "2026-10-31T18:30Z")],
)  # fmt: skip
def test_a_month_is_the_plants_own(zone: str, from_text: str, to_text: str) -> None:
    """From midnight to midnight on its wall, over a change of the clock."""
    month = month_of("2026-10", zone)
    moments = [round(datetime.fromisoformat(text).timestamp()) * SECOND for text in (from_text, to_text)]
    assert [month.from_ns, month.to_ns] == moments
    assert month.holds(moments[0])
    assert not month.holds(moments[1])


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-1", "october", "2026-10-01", "0000-01"])
def test_what_is_no_month_is_told(text: str, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2."""
    assert checkvalve.main(["evidence", str(site), "Acme", text, "--out", "/nonexistent/x"]) == 2
    assert "is no month" in capsys.readouterr().err


def test_a_clock_that_was_set_forward_and_back_loses_no_entry() -> None:
    """What governs and was stamped after the month counts, where the month goes on behind it."""
    month = month_of("2026-10", "UTC")
    late = replace(given("g-1", ACME, 0, period(OCTOBER, OCTOBER + 60 * DAY)), at_ns=OCTOBER + 40 * DAY)
    entries = [*enrolled(ACME, OCTOBER), late, read(ACME, OCTOBER + DAY, "g-1")]
    gathering = EvidenceGathering("Acme", month, POLICY, lambda line: None)
    for number, one in enumerate(entries, 1):
        gathering.take(TrailRecord(number=number, entry=one, hash=bytes(32)))
    pack = gathering.pack(trail=PackTrail(sound=True, entries=4, hash="", anchor=""), made_ns=month.to_ns)
    assert (pack.looks_total, pack.faults, len(pack.grants)) == (1, (), 1)


def looks(count: int) -> Iterator[TrailRecord]:
    """A vendor that looks very often."""
    first = [*enrolled(ACME, OCTOBER), given("g-1", ACME, 0, period(OCTOBER, OCTOBER + 9 * DAY))]
    for number, one in enumerate(first, 1):
        yield TrailRecord(number=number, entry=one, hash=bytes(32))
    for number in range(count):
        look = read(ACME, OCTOBER + number, "g-1")
        tags: list[Fact] = [["pump-7", f"t{number}"]]
        yield TrailRecord(number=number + 4, entry=replace(look, facts={**look.facts, "tags": tags}), hash=bytes(32))


def test_memory_does_not_grow_with_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times as many looks, each at another tag, take no more than the tags that are named."""
    month, peaks = month_of("2026-10", "UTC"), []
    monkeypatch.setattr("receiver.governed.evidence.gathering.TAGS_KEPT", 200)
    for count in (1_000, 4_000):
        lines: deque[LookLine] = deque(maxlen=1)
        gathering = EvidenceGathering("Acme", month, POLICY, lines.append)
        tracemalloc.start()
        for record in looks(count):
            gathering.take(record)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        pack = gathering.pack(trail=PackTrail(sound=True, entries=count, hash="", anchor=""), made_ns=month.to_ns)
        assert pack.looks_total == count
        assert len(pack.looks[0].tags) == 200
        assert pack.looks[0].more_tags
    assert peaks[1] < peaks[0] * 1.2, peaks


def test_without_a_trail_or_with_a_broken_one_the_check_says_so(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No trail is the operator's to mend; what cannot be read is a failing disk's; neither is a clean bill."""
    (tmp_path / "receiver.toml").write_text(CONFIG)
    assert checkvalve.main(["evidence", str(tmp_path / "receiver.toml"), "--check"]) == 2
    assert "there is no trail yet" in capsys.readouterr().err
    assert checkvalve.main(["evidence", str(tmp_path / "receiver.toml"), "Acme", "2026-10"]) == 2
    capsys.readouterr()
    (tmp_path / "state").mkdir()
    (tmp_path / "state/trail.db").write_bytes((site.parent / "state/trail.db").read_bytes())
    tampered(tmp_path / "state/trail.db", "DELETE FROM entry WHERE number = 20")
    assert checkvalve.main(["evidence", str(tmp_path / "receiver.toml"), "--check"]) == 3
    assert "entry 20 is not there" in capsys.readouterr().err


def test_a_vendor_that_nobody_knows_has_an_empty_month_that_says_so(site: Path, tmp_path: Path) -> None:
    """A name typed otherwise than enrolments carry it is no clean bill; names of other vendors are not offered."""
    pack, (_, page) = evidence_work.made(site, "ACME <b>", "2026-10", tmp_path)
    assert {name: count for name, count in pack.counts().items() if count and name not in ("trail", "alerts")} == {}
    text = page.read_text()
    assert pack.exit_code == 1
    assert "checkvalve person list" in "".join(pack.incomplete)
    assert SECRET not in text
    assert "Nobody of the vendor was enrolled" in text
    assert "ACME &lt;b&gt;" in text


def test_the_page_breaks_no_rule_of_axe_and_prints_whole(acme: dict[str, Any], tmp_path: Path) -> None:
    """On a desk and on a telephone nothing lies beyond the window; on paper every clause is there."""
    (tmp_path / "evidence.html").write_text(acme["html"])
    with real_browser.opened() as browser:
        page = browser.new_context(viewport={"width": 1180, "height": 900}, bypass_csp=True).new_page()
        page.goto((tmp_path / "evidence.html").as_uri())
        for width in (1180, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") == width
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.pdf(path=tmp_path / "evidence.pdf", prefer_css_page_size=True)
    paper = pypdfium2.PdfDocument(tmp_path / "evidence.pdf")
    text = " ".join(" ".join(one.get_textpage().get_text_bounded() for one in paper).split())
    paper.close()
    assert [one.id for one in clauses() if one.id not in text] == []
    assert "who made it: name, date, signature" in text
