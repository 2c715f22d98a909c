"""The reports of an exploited weakness or a severe incident: each deadline right, each question asked, nothing sent."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audit.cli import app
from audit.report import incident
from audit.report.incident import Incident, IncidentFacts
from protocol.errors import ConfigError

AWARE = datetime(2026, 11, 28, 20, 15, tzinfo=UTC)
FACTS = IncidentFacts(
    product="checkvalve-low 0.1.0", files="RECORD sha256 ab", bill="sbom.cdx.json, sha256 cd", contact="J. Doe",
    made="2026-11-28 by J. Doe",
)  # fmt: skip


def due(one: Incident) -> dict[str, datetime | None]:
    """When each report is due."""
    return {end.stage: end.due for end in incident.deadlines(one)}


def test_the_first_two_reports_run_from_the_moment_of_awareness() -> None:
    """24 and 72 hours, over a weekend, over the change of a year, for both kinds."""
    for aware in (AWARE, datetime(2026, 12, 31, 23, 59, tzinfo=UTC)):
        for severe in (False, True):
            found = due(Incident(severe=severe, aware=aware))
            assert found["early"] == aware + timedelta(days=1)
            assert found["notification"] == aware + timedelta(days=3)


def test_the_last_report_of_a_weakness_runs_from_the_measure_and_not_from_awareness() -> None:
    """Where there is none yet it does not run."""
    assert due(Incident(severe=False, aware=AWARE))["final"] is None
    fixed = AWARE + timedelta(days=40)
    assert due(Incident(severe=False, aware=AWARE, fixed=fixed))["final"] == fixed + timedelta(days=14)


@pytest.mark.parametrize(
    ("aware", "last"),
    [
        ((2026, 11, 28), (2027, 1, 1)), ((2026, 12, 20), (2027, 1, 23)), ((2027, 1, 26), (2027, 2, 28)),
        ((2028, 1, 28), (2028, 2, 29)), ((2027, 5, 28), (2027, 6, 30)),
    ],
)  # fmt: skip
def test_a_severe_incident_ends_a_month_after_its_notification(
    aware: tuple[int, int, int], last: tuple[int, int, int]
) -> None:
    """The same day of the next month, or its last one where it has no such day."""
    found = due(Incident(severe=True, aware=datetime(*aware, 8, tzinfo=UTC)))
    assert found["final"] == datetime(*last, 8, tzinfo=UTC)


@pytest.mark.parametrize("severe", [False, True])
def test_each_form_asks_what_its_paragraph_asks_and_says_when_it_is_due(severe: bool) -> None:
    """Four files; head, deadline and blanks; no paragraph of the other kind."""
    one = Incident(severe=severe, aware=AWARE, fixed=AWARE)
    texts = incident.forms(one, FACTS)
    assert list(texts) == ["0-timeline.md", *incident.STAGES.values()]
    paragraph, other = ("14(4)", "14(2)") if severe else ("14(2)", "14(4)")
    for end, letter in zip(incident.deadlines(one), "abc", strict=True):
        text = texts[incident.STAGES[end.stage]]
        assert end.due is not None
        assert f"**Due: {end.due:%Y-%m-%d %H:%MZ}**" in text
        assert set(re.findall(r"^\((14\(\d\)\([a-c]\))", text, re.MULTILINE)) == {f"{paragraph}({letter})"}
        assert text.count("\n> \n") == text.count("\n## ") > 1
        assert f"article {paragraph}. " in text
        assert other not in text
        assert f"{end.due:%Y-%m-%d %H:%MZ}" in texts["0-timeline.md"]
    for text in texts.values():
        assert all(fact in text for fact in (FACTS.product, FACTS.files, FACTS.bill, FACTS.contact, FACTS.made))


def test_what_is_late_is_said_and_what_does_not_run_yet_too() -> None:
    """On the terminal, from now."""
    now = AWARE + timedelta(hours=30)
    early, notification, final = incident.timeline(incident.deadlines(Incident(severe=False, aware=AWARE)), now)
    assert "OVERDUE by 6.0 hours" in early
    assert "42.0 hours are left" in notification
    assert final.startswith("not running yet")


@pytest.mark.parametrize(
    ("text", "told"),
    [("yesterday", "no time"), ("2026-11-28T20:15", "in which zone"), ("2026-11-28", "in which zone"),
     ("2026-11-28T22:15Z", "not come yet"), ("2016-11-28T20:15Z", "before the regulation"),
     ("0001-01-01T00:00+23:59", "before the regulation")],
)  # fmt: skip
def test_a_moment_that_could_be_meant_otherwise_is_refused(text: str, told: str) -> None:
    """Hours count: a zone is asked for, and the future is a slip."""
    with pytest.raises(ConfigError, match=told):
        incident.read_time("--aware", text, AWARE)


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    """It is written in UTC."""
    assert incident.read_time("--aware", "2026-11-28T21:15+01:00", AWARE) == AWARE
    assert incident.read_time("--aware", "now", AWARE) == AWARE


def test_the_command_writes_the_forms_once_and_sends_nothing(tmp_path: Path) -> None:
    """The hash of the bill of materials is in them; a second run leaves them as they were filled in."""
    bill = tmp_path / "sbom.cdx.json"
    bill.write_text("{}")
    out = tmp_path / "incident"
    words = ["audit", "incident", "--aware", "2026-11-20T10:00Z", "--out", str(out), "--sbom", str(bill)]
    done = CliRunner().invoke(app, [*words, "--product", "checkvalve-low 0.1.0", "--contact", "J. | Doe"])
    assert done.exit_code == 0, done.output
    assert "OVERDUE" in done.output
    assert sorted(path.name for path in out.iterdir()) == ["0-timeline.md", *incident.STAGES.values()]
    text = (out / "1-early-warning.md").read_text()
    assert hashlib.sha256(b"{}").hexdigest() in text
    assert "| contact | J. / Doe |" in text
    (out / "1-early-warning.md").write_text("filled in")
    assert isinstance(CliRunner().invoke(app, words).exception, ConfigError)
    assert (out / "1-early-warning.md").read_text() == "filled in"
