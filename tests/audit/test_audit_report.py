"""Reports: every day, every change, every missing day; and nothing that was not looked at is called well."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from audit import catalogue, findings_folder, questions
from audit.check import AuditFindings, Check, CheckStatus, Evidence
from audit.cli import app
from audit.report import differ, first_page, junit, page, period, report
from audit.report.report import AuditReport, Document
from protocol.errors import ConfigError

MADE = "2026-11-30T12:00:00Z"


def run(what: str, day: int, answers: dict[str, CheckStatus], *, hour: int = 6, **facts: Any) -> AuditFindings:
    """A run of one command at one day of the month."""
    time = f"2026-11-{day:02d}T{hour:02d}:00:00Z"
    seen = Evidence(value={"packets": 0}, command="ip -s link", time=time)
    checks = tuple(catalogue.check(ident, status, f"saw {status}", seen) for ident, status in answers.items())
    return AuditFindings(what=what, time=time, facts={"host": "here", **facts}, checks=checks)


GOOD = {"CNT-1": CheckStatus.PASS, "NFT-1": CheckStatus.PASS, "L1-1": CheckStatus.SKIP}


def both(days: Sequence[int]) -> list[AuditFindings]:
    """Both sides on these days."""
    return [run(f"live {side}", day, GOOD) for day in days for side in ("high", "low")]


def made(runs: Sequence[AuditFindings], *, people: questions.Answers | None = None, **more: Any) -> AuditReport:
    """A report of these runs."""
    documents = [
        Document(path=f"{place}.json", sha256=f"{place:064x}", findings=one)
        for place, one in enumerate(sorted(runs, key=lambda one: one.time))
    ]
    answers = people or questions.Answers(hardware={})
    return report.make(documents, answers, made=MADE, facts={"by": "me"}, **more)


def one(found: AuditReport, ident: str, of: str | None = None) -> Check:
    """One check of a report."""
    return next(one.check for one in found.answers if one.check.id == ident and of in (None, one.series))


def test_every_day_on_both_sides_passes() -> None:
    """No gap, no change: DAY-1 and DAY-2 pass, and the exit code is 0."""
    found = made(both(range(1, 8)))
    assert (one(found, "DAY-1").status, one(found, "DAY-2").status) == (CheckStatus.PASS, CheckStatus.PASS)
    assert (found.changed, found.exit_code) == ((), 0)
    assert "CAP-1" in found.not_run
    assert "CNT-1" not in found.not_run


def test_a_missing_day_fails_until_somebody_names_the_reason(tmp_path: Path) -> None:
    """It is listed by side; a named change makes it a warning, and stays in the report."""
    runs = [one for one in both(range(1, 8)) if (one.what, one.time[8:10]) != ("live high", "04")]
    found = made(runs)
    assert one(found, "DAY-1").status == CheckStatus.FAIL
    assert one(found, "DAY-1").evidence[0].value["missing"] == {"live high": ["2026-11-04"], "live low": []}
    assert found.exit_code == 1
    form = tmp_path / "a.toml"
    form.write_text('[[change]]\nfrom = 2026-11-04\nto = 2026-11-04\nby = "S. Lind"\nwhy = "no power"\n')
    named = made(runs, people=questions.read(form))
    assert one(named, "DAY-1").status == CheckStatus.WARN
    assert "no power (S. Lind)" in page.html(named)
    elsewhere = made(runs, people=questions.read(form), first=date(2026, 11, 1), last=date(2026, 11, 9))
    assert one(elsewhere, "DAY-1").status == CheckStatus.FAIL  # the 8th and 9th are named by nobody


def test_a_side_that_never_came_is_missing_and_one_side_alone_is_said() -> None:
    """The high side's silence is no pass; `--only low` does not ask for it."""
    low = [one for one in both([1, 2]) if one.what == "live low"]
    assert one(made(low), "DAY-1").status == CheckStatus.FAIL
    assert one(made(low, sides=("low",)), "DAY-1").status == CheckStatus.PASS
    other = run("selftest", 1, {"SELF-1": CheckStatus.PASS})
    assert one(made([other]), "DAY-1").status == CheckStatus.SKIP
    assert one(made([other]), "DAY-2").status == CheckStatus.SKIP


def test_a_change_that_was_taken_back_is_two_changes_and_fails() -> None:
    """The newest answers are all well; the day and both changes are there all the same."""
    runs = [*both(range(1, 8)), run("live low", 4, GOOD | {"NFT-1": CheckStatus.FAIL}, hour=7)]
    found = made(runs)
    assert [(c.subject, c.before, c.after, c.worse) for c in found.changed] == [
        ("NFT-1", "PASS", "FAIL", True),
        ("NFT-1", "FAIL", "PASS", False),
    ]
    assert one(found, "NFT-1", "live low").status == CheckStatus.PASS
    assert one(found, "DAY-2").status == CheckStatus.FAIL
    assert found.days["live low"][3].worst == CheckStatus.FAIL
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        (CheckStatus.PASS, CheckStatus.FAIL, True),
        (CheckStatus.PASS, CheckStatus.WARN, True),
        (CheckStatus.PASS, CheckStatus.SKIP, True),
        (CheckStatus.PASS, None, True),
        (CheckStatus.ATTESTED, CheckStatus.PASS, False),
        (CheckStatus.FAIL, CheckStatus.PASS, False),
        (None, CheckStatus.PASS, False),
        (None, CheckStatus.FAIL, True),
    ],
)
def test_what_is_worse_is_told(before: CheckStatus | None, after: CheckStatus | None, worse: bool) -> None:
    """An answer that got lost, or can no longer be measured, is worse than a pass."""
    old, new = ({} if status is None else {"NFT-1": status} for status in (before, after))
    (found,) = period.compare("live low", run("live low", 1, old), run("live low", 2, new))
    assert found.worse == worse


def test_a_fact_that_changed_is_a_change() -> None:
    """Started again, another program: told, not judged; a switch turned down is for the worse."""
    runs = [
        run("live high", 1, GOOD, boot="a", tool="1", confined="on"),
        run("live high", 2, GOOD, boot="b", tool="1", confined="on"),
        run("live high", 3, GOOD, boot="b", tool="2", confined="off"),
    ]
    found = made(runs, sides=("high",))
    assert [(c.subject, c.worse) for c in found.changed] == [("boot", False), ("tool", False), ("confined", True)]
    assert one(found, "DAY-2").status == CheckStatus.FAIL


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"confined": "off"}, "unconfined"),
        ({"pause_s": 60.0}, "pauses of up to 60 s"),
        ({"confined": "none"}, "confined nothing"),
        ({"preflight": "warn"}, "preflight only warned"),
        ({"diode": "appliance 02:dd:00:00:0a:01"}, "attested, not excluded"),
    ],
)
def test_a_weakened_switch_is_shown_even_when_it_was_put_back(facts: dict[str, Any], told: str) -> None:
    """One run of the period is enough."""
    strong: dict[str, Any] = {"confined": "on", "preflight": "refuse"}
    runs = [run("live high", day, GOOD, **(strong | (facts if day == 2 else {}))) for day in (1, 2, 3)]
    found = made(runs, sides=("high",))
    assert any(told in line for line in found.weakened)
    assert told in page.html(found)
    assert made([runs[0], runs[2]], sides=("high",)).weakened == ()


def _form(folder: Path, text: str) -> questions.Answers:
    path = folder / "answers.toml"
    path.write_text(text)
    return questions.read(path)


def _answer(ident: str = "HW-1", answer: str = "yes", on: str = "2026-11-20", more: str = "") -> str:
    return f'[{ident}]\nanswer = "{answer}"\nby = "M. Okafor"\non = {on}\nseen = "one strand"\n{more}'


def test_a_persons_answer_is_attested_and_never_passed(tmp_path: Path) -> None:
    """Yes, no, none, too old, from the future; the photograph's hash goes with it."""
    (tmp_path / "panel.jpg").write_bytes(b"jpeg")
    text = _answer(more='photo = "panel.jpg"\n') + _answer("HW-2", "no") + _answer("HW-3", on="2024-01-01")
    text += _answer("HW-4", on="2027-01-01")
    found = {one.id: one for one in questions.checks(_form(tmp_path, text), date(2026, 11, 30))}
    assert {ident: one.status for ident, one in found.items()} == {
        "HW-1": CheckStatus.ATTESTED, "HW-2": CheckStatus.FAIL, "HW-3": CheckStatus.WARN, "HW-4": CheckStatus.WARN,
        "HW-5": CheckStatus.SKIP, "HW-6": CheckStatus.SKIP,
    }  # fmt: skip
    assert "M. Okafor on 2026-11-20" in found["HW-1"].found
    assert len(found["HW-1"].evidence[0].value["photo_sha256"]) == 64


BAD = {
    "no name": '[HW-1]\nanswer = "yes"\non = 2026-01-01\n',
    "no day": '[HW-1]\nanswer = "yes"\nby = "me"\n',
    "a day in quotes": '[HW-1]\nanswer = "yes"\nby = "me"\non = "2026-01-01"\n',
    "maybe": _answer(answer="maybe"),
    "another question": _answer("HW-9"),
    "another key": _answer(more="seal = 1\n"),
    "no photograph": _answer(more='photo = "none.jpg"\n'),
    "no table": "HW-1 = 1\n",
    "a change without a reason": '[[change]]\nfrom = 2026-01-01\nto = 2026-01-01\nby = "me"\nwhy = " "\n',
    "a change that ends first": '[[change]]\nfrom = 2026-01-02\nto = 2026-01-01\nby = "me"\nwhy = "x"\n',
    "a change without an end": '[[change]]\nfrom = 2026-01-02\nby = "me"\nwhy = "x"\n',
    "one bracket": '[change]\nfrom = 2026-01-02\nto = 2026-01-02\nby = "me"\nwhy = "x"\n',
    "no TOML": "[",
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_form_is_a_mistake(tmp_path: Path, name: str) -> None:
    """An answer without a name, a day or sense is none; it is said, not passed over."""
    with pytest.raises(ConfigError):
        _form(tmp_path, BAD[name])


def test_the_blank_form_is_read_and_answers_nothing(tmp_path: Path) -> None:
    """As `audit questions` prints it."""
    printed = CliRunner().invoke(app, ["audit", "questions"]).output
    checks = questions.checks(_form(tmp_path, printed), date(2026, 11, 30))
    assert {one.status for one in checks} == {CheckStatus.SKIP}
    assert len(checks) == 6


class _Page(HTMLParser):
    """What a page loads, links and says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        held = {key: value or "" for key, value in attrs}
        self.loads += [held[key] for key in ("src", "srcset", "data", "action") if key in held]
        self.loads += [held["href"]] if tag == "link" else []
        self.ids |= {held["id"]} if "id" in held else set()
        self.targets |= {held["href"]} if tag == "a" else set()


def test_the_page_stands_alone_and_every_link_leads_somewhere() -> None:
    """No script, nothing loaded; each answered check has its place, its evidence and what it does not prove."""
    found = made([*both([1, 2]), run("capture <x>.pcap", 2, {"CAP-1": CheckStatus.FAIL})])
    text = page.html(found)
    told = _Page(text)
    assert "script" not in told.tags
    assert told.loads == []
    assert "url(" not in text
    assert {target.removeprefix("#") for target in told.targets} <= told.ids
    assert told.ids >= {one.check.id for one in found.answers}
    for answer in found.answers:
        assert answer.check.not_proven[:40].replace("'", "&#x27;") in text
    assert "informative" in text
    assert "NIST SP 800-53 Rev. 5 (2020)" in text


HOSTILE = "<script>alert(1)</script>\"'&\x00\x1b\ud83d"


def test_nothing_hostile_reaches_the_page_or_the_xml() -> None:
    """A host name, a file name, an evidence made to be run is shown as text."""
    seen = Evidence(value={HOSTILE: HOSTILE}, command=HOSTILE, time=HOSTILE)
    checks = (catalogue.check("CNT-1", CheckStatus.FAIL, HOSTILE, seen),)
    found = made([AuditFindings(what=HOSTILE, time="2026-11-01T06:00:00Z", facts={"host": HOSTILE}, checks=checks)])
    text = page.html(found)
    assert "<script" not in text
    assert "alert(1)" in text
    ET.fromstring(junit.xml(found).encode("utf-8", "replace"))


def test_junit_counts_as_the_report_does() -> None:
    """A case a check, failures and skips as they are."""
    found = made([*both([1, 2]), run("capture x", 2, {"CAP-1": CheckStatus.FAIL, "CAP-4": CheckStatus.ATTESTED})])
    tree = ET.fromstring(junit.xml(found))
    assert len(tree.findall(".//testcase")) == len(found.answers)
    assert len(tree.findall(".//failure")) == found.counts["FAIL"]
    assert len(tree.findall(".//skipped")) == found.counts["SKIP"]
    assert tree.attrib["failures"] == str(found.counts["FAIL"])


def test_the_commands_write_three_files_and_end_with_the_right_code(tmp_path: Path) -> None:
    """From kept findings; the JSON holds all that the page shows."""
    for found in both([1, 2]):
        findings_folder.keep(found, tmp_path / "kept")
    words = ["audit", "report", str(tmp_path / "kept"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["junit.xml", "report.html", "report.json"]
    held = json.loads((tmp_path / "out" / "report.json").read_text())
    assert held["period"] == {"from": "2026-11-01", "to": "2026-11-02"}
    assert {one["id"] for one in held["answers"]} == {*GOOD, "DAY-1", "DAY-2", *questions.questions()}
    assert all({"found", "evidence", "clauses", "remedy", "not_proven", "time"} <= set(one) for one in held["answers"])
    assert CliRunner().invoke(app, [*words, "--to", "2026-11-03"]).exit_code == 1
    assert isinstance(CliRunner().invoke(app, [*words, "--from", "2027-01-01"]).exception, ConfigError)
    assert isinstance(CliRunner().invoke(app, [*words, "--to", "tomorrow"]).exception, ConfigError)


def test_two_captures_of_one_name_are_two() -> None:
    """A capture that failed is not covered by a later one that passes and bears its name."""
    first = run("capture link.pcap", 1, {"CAP-1": CheckStatus.FAIL}, file={"sha256": "a" * 64})
    second = run("capture link.pcap", 2, {"CAP-1": CheckStatus.PASS}, file={"sha256": "b" * 64})
    found = made([first, second])
    assert [(one.series, one.check.status) for one in found.answers if one.check.id == "CAP-1"] == [
        ("capture link.pcap (aaaaaaaa)", CheckStatus.FAIL),
        ("capture link.pcap (bbbbbbbb)", CheckStatus.PASS),
    ]
    assert (found.exit_code, found.changed) == (1, ())
    again = run("capture link.pcap", 2, {"CAP-1": CheckStatus.PASS}, file={"sha256": "a" * 64})
    assert [(one.subject, one.before, one.after) for one in made([first, again]).changed] == [("CAP-1", "FAIL", "PASS")]


@pytest.mark.parametrize(
    ("name", "digest"), [("link.pcap", "a" * 63 + "b"), ("link.pcap (aaaaaaaa)", "d" * 64), ("link.pcap", "")]
)
def test_no_two_series_become_one_by_their_names(name: str, digest: str) -> None:
    """A hash that was made to begin alike, and a file that is called as a series is, cover no failure."""
    runs = [
        run("capture link.pcap", 1, {"CAP-1": CheckStatus.FAIL}, file={"sha256": "a" * 64}),
        run("capture link.pcap", 1, {"CAP-1": CheckStatus.PASS}, file={"sha256": "c" * 64}, hour=7),
        run(f"capture {name}", 2, {"CAP-1": CheckStatus.PASS}, file={"sha256": digest}),
    ]
    for order in (runs, runs[::-1]):
        found = made(order)
        assert found.counts["FAIL"] == 1
        assert len([one for one in found.answers if one.check.id == "CAP-1"]) == 3


@pytest.mark.parametrize("status", [CheckStatus.PASS, CheckStatus.SKIP, CheckStatus.ATTESTED, CheckStatus.WARN])
def test_a_file_that_failed_is_not_passed_by_judging_it_again(status: CheckStatus) -> None:
    """The worst answer of a file stands, with how it was asked again; a named person's reason makes it a warning."""
    file = {"sha256": "a" * 64, "content_sha256": "c" * 64}
    first = run("capture link.pcap", 1, {"CAP-1": CheckStatus.FAIL}, file=file)
    packed = {"sha256": "b" * 64, "content_sha256": "c" * 64}
    again = run(
        "capture link.pcap", 2, {"CAP-1": status}, file=packed, appliance={"mac": "02:00:00:00:00:09", "by": "X"}
    )
    found = made([first, again])
    (answer,) = [one for one in found.answers if one.check.id == "CAP-1"]
    assert (answer.check.status, found.exit_code) == (CheckStatus.FAIL, 1)
    assert "judged again" in answer.check.found
    assert any("02:00:00:00:00:09" in one and "X" in one for one in found.weakened)
    when = datetime(2026, 11, 2, tzinfo=UTC)
    named = questions.NamedChange(
        start=when, end=when + timedelta(days=1), by="J. Doe", why="the address had a typing mistake"
    )
    people = questions.Answers(hardware={}, changes=(named,))
    (answer,) = [one for one in made([first, again], people=people).answers if one.check.id == "CAP-1"]
    assert answer.check.status == CheckStatus.WARN
    assert "J. Doe" in answer.check.found


def test_a_file_that_could_not_be_judged_can_be_asked_again() -> None:
    """Without the address it was skipped; with it, it passes."""
    file = {"sha256": "a" * 64}
    runs = [
        run("capture x.pcap", 1, {"CAP-1": CheckStatus.SKIP}, file=file),
        run("capture x.pcap", 2, {"CAP-1": CheckStatus.PASS}, file=file),
    ]
    assert [one.check.status for one in made(runs).answers if one.check.id == "CAP-1"] == [CheckStatus.PASS]


@pytest.mark.parametrize("day", [1, 12])
def test_a_file_that_failed_outside_of_the_period_still_failed(day: int) -> None:
    """A file does not change: a milder answer inside a period does not stand where a worse one was given elsewhere."""
    runs = [
        run("capture x.pcap", day, {"CAP-1": CheckStatus.FAIL}, file={"sha256": "a" * 64}),
        run("capture y.pcap", 11, {"CAP-1": CheckStatus.SKIP}, file={"sha256": "a" * 64}),
        run("capture z.pcap", 1, {"CAP-1": CheckStatus.FAIL}, file={"sha256": "b" * 64}),
        *both([11]),
    ]
    found = made(runs, first=date(2026, 11, 11), last=date(2026, 11, 11))
    assert (found.exit_code, found.outside) == (1, 1)
    assert one(found, "CAP-1", "capture x.pcap").status == CheckStatus.FAIL


@pytest.mark.parametrize(
    ("what", "ident", "facts"),
    [
        ("live high", "CNT-1", {}),
        ("provoke", "PRV-1", {}),
        ("code", "SRC-2", {}),
        ("journal spool journal", "JRN-3", {"high": {"stream_ids": ["aa"]}, "low": {"stream_ids": ["aa"]}}),
    ],
)
def test_what_failed_in_the_period_stays_until_somebody_names_the_reason(
    what: str, ident: str, facts: dict[str, Any]
) -> None:
    """The period's first run failed and a later one passed: DAY-2 fails, and warns with a name."""
    failed = run(what, 1, {ident: CheckStatus.FAIL}, hour=5, **facts)
    passed = run(what, 2, {ident: CheckStatus.PASS}, hour=7, **facts)
    assert made([failed, passed, *both([1, 2])]).exit_code == 1
    named = questions.NamedChange(
        start=datetime(2026, 11, 1, tzinfo=UTC), end=datetime(2026, 11, 3, tzinfo=UTC), by="J. Doe", why="mended"
    )
    found = made([failed, passed, *both([1, 2])], people=questions.Answers(hardware={}, changes=(named,)))
    assert (one(found, "DAY-2").status, found.exit_code) == (CheckStatus.WARN, 0)


def test_files_that_were_judged_together_are_told_apart_by_what_they_hold() -> None:
    """As many other files are another series; the same ones asked again keep their worst answer."""
    asked = [
        run("coverage of 2 captures", 1, {"CAP-5": CheckStatus.FAIL}, files={"a": "a" * 64, "b": "b" * 64}),
        run("coverage of 2 captures", 2, {"CAP-5": CheckStatus.SKIP}, files={"b": "b" * 64, "a": "a" * 64}),
        run("coverage of 2 captures", 3, {"CAP-5": CheckStatus.PASS}, files={"a": "c" * 64, "b": "d" * 64}),
    ]
    answers = sorted(one.check.status for one in made(asked).answers if one.check.id == "CAP-5")
    assert answers == [CheckStatus.FAIL, CheckStatus.PASS]


def test_journals_of_two_sites_in_folders_of_one_name_are_two() -> None:
    """They share no stream; a later run of one site shares some and is the same series."""

    def journal(day: int, status: CheckStatus, *streams: str) -> AuditFindings:
        sides: dict[str, Any] = {side: {"stream_ids": list(streams)} for side in ("high", "low")}
        return run("journal spool journal", day, {"JRN-3": status}, **sides)

    found = made([journal(1, CheckStatus.FAIL, "aa"), journal(2, CheckStatus.PASS, "bb")])
    assert found.exit_code == 1
    assert [one.check.status for one in found.answers if one.check.id == "JRN-3"] == [
        CheckStatus.FAIL,
        CheckStatus.PASS,
    ]
    grown = made(
        [
            journal(1, CheckStatus.FAIL, "aa"),
            journal(2, CheckStatus.PASS, "aa", "cc"),
            journal(3, CheckStatus.PASS, "cc"),
        ]
    )
    assert len([one for one in grown.answers if one.check.id == "JRN-3"]) == 1


def test_a_report_is_not_written_among_findings(tmp_path: Path) -> None:
    """The next one would read it as findings, and refuse the folder."""
    findings_folder.keep(run("live high", 1, GOOD), tmp_path)
    words = ["audit", "report", str(tmp_path), "--out", str(tmp_path / ".")]
    assert isinstance(CliRunner().invoke(app, words).exception, ConfigError)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_side_of_which_nothing_was_given_was_not_looked_at() -> None:
    """The verdict names the sides that there are findings of, and those that there are none of."""
    text = page.html(made([run("live high", 1, GOOD)]))
    assert "Looked at: high side. Nothing of `audit live` on the low side was given." in text
    assert "Looked at: high and low side." in page.html(made(both([1])))
    assert "Looked at: neither side." in page.html(made([run("capture x.pcap", 1, {"CAP-1": CheckStatus.PASS})]))


def test_where_nothing_could_be_measured_the_verdict_says_so() -> None:
    """A capture without the address to compare is no good news."""
    text = page.html(made([run("capture x.pcap", 1, {"CAP-1": CheckStatus.SKIP})]))
    assert "nothing was measured" in text
    assert "nothing passed" in text


def test_what_was_not_read_in_a_folder_is_named(tmp_path: Path) -> None:
    """A run that was renamed or moved below leaves its name on the report, not its answers."""
    keep = tmp_path / "keep"
    findings_folder.keep(run("live high", 1, GOOD), keep)
    findings_folder.keep(run("live high", 1, {"CNT-1": CheckStatus.FAIL}), keep).rename(keep / "x.json.old")
    findings_folder.keep(run("live high", 1, {"CNT-1": CheckStatus.FAIL}), keep / "below")
    CliRunner().invoke(app, ["audit", "report", str(keep), "--out", str(tmp_path / "out")])
    told = json.loads((tmp_path / "out" / "report.json").read_text())["not_read"]
    assert told == [str(keep / "below"), str(keep / "x.json.old")]
    assert "x.json.old" in (tmp_path / "out" / "report.html").read_text()


def test_the_same_document_twice_counts_once(tmp_path: Path) -> None:
    """One copy in the folder and one that is named."""
    path = findings_folder.keep(run("live high", 1, GOOD), tmp_path)
    assert len(report.load([tmp_path, path])) == 1
    with pytest.raises(ConfigError):
        report.load([tmp_path / "none"])


def test_a_difference_is_worse_first_and_ends_with_one(tmp_path: Path) -> None:
    """Two documents, two folders; a command that is no longer run is worse too."""
    old, new = tmp_path / "old", tmp_path / "new"
    first = findings_folder.keep(run("live low", 1, GOOD), old)
    second = findings_folder.keep(run("live low", 2, GOOD | {"NFT-1": CheckStatus.FAIL, "L1-1": CheckStatus.PASS}), new)
    found = differ.diff(first, second)
    assert found.exit_code == 1
    assert found.text().splitlines()[0].startswith("worse")
    assert (differ.diff(first, first).changed, differ.diff(first, first).exit_code) == ((), 0)
    findings_folder.keep(run("selftest", 1, {"SELF-1": CheckStatus.PASS}), old)
    assert differ.diff(old, old).exit_code == 0
    assert differ.diff(old, new).only_old == ("selftest on here",)
    other = findings_folder.keep(run("code", 2, {"SRC-1": CheckStatus.PASS}), tmp_path / "other")
    with pytest.raises(ConfigError):
        differ.diff(first, other)
    done = CliRunner().invoke(app, ["audit", "diff", str(first), str(second), "--json"])
    assert (done.exit_code, len(json.loads(done.output)["changes"])) == (1, 2)


def test_a_time_that_is_none_and_a_period_without_end_are_mistakes() -> None:
    """They are said, not guessed."""
    with pytest.raises(ConfigError):
        made([AuditFindings(what="live high", time="yesterday")])
    with pytest.raises(ConfigError):
        made(both([1]), first=date(1990, 1, 1))


@pytest.mark.parametrize("what", period.OF_A_MACHINE)
def test_runs_of_two_machines_are_two_series(what: str, tmp_path: Path) -> None:
    """A machine that fails is not covered by another that passes later; they are told apart where they share a name."""
    high = run(what, 1, {"SRC-1": CheckStatus.FAIL}, host="high-1", machine="a" * 16)
    low = run(what, 2, {"SRC-1": CheckStatus.PASS}, host="low-1", machine="b" * 16)
    found = made([high, low])
    assert [(one.series, one.check.status) for one in found.answers if one.check.id == "SRC-1"] == [
        (f"{what} on high-1", CheckStatus.FAIL),
        (f"{what} on low-1", CheckStatus.PASS),
    ]
    assert (found.exit_code, found.changed) == (1, ())
    twin = run(what, 2, {"SRC-1": CheckStatus.PASS}, host="high-1", machine="b" * 16)
    assert {one.series for one in made([high, twin]).answers if one.check.id == "SRC-1"} == {
        f"{what} on high-1 (aaaaaaaa)", f"{what} on high-1 (bbbbbbbb)",
    }  # fmt: skip
    for one in (high, low):
        findings_folder.keep(one, tmp_path / "old")
    findings_folder.keep(high, tmp_path / "new")
    assert differ.diff(tmp_path / "old", tmp_path / "new").only_old == (f"{what} on low-1",)


def test_the_first_page_tells_the_verdict_and_stays_one_page() -> None:
    """However much failed: verdict, period, machines, failures first, what is not proven; the rest is counted."""
    failing = dict.fromkeys(catalogue.catalogue(), CheckStatus.FAIL)
    runs = [*both([1, 2]), *(run("code", 2, failing, host=f"machine-{place}") for place in range(20))]
    found = made([*runs, run("capture x", 2, {"CAP-1": CheckStatus.WARN, "CAP-4": CheckStatus.SKIP})])
    text = page.html(found)
    first = text[text.index('<section class="first">') :].partition("</section>")[0]
    places = [
        first.index(word) for word in ("checks failed", "2026-11-01 to", "here: live", "What failed", "not proven")
    ]
    assert places == sorted(places)
    assert text.index(first) < text.index("<h2>What needs a person")
    assert first.count("<li>") <= first_page.FAILS + first_page.WARNS + 8
    assert f"{len(failing) - first_page.FAILS} more checks" in first
    assert "code on machine-0 and 19 more" in first
    assert "SKIP" in first
    assert len(first) < 12_000
