"""`checkvalve alerts`, `roster`, `break-glass`: on record, or refused with the reason; codes are shown once."""

from __future__ import annotations

import json
import re
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from access_cast import ACME, CUSTODIAN, ENGINEER, SECURITY
from reading_entries import enrolled

import checkvalve
from receiver.governed.alerts.alert import raised
from receiver.governed.alerts.duty_list import shifts
from receiver.governed.sealed_code import FILE, SealedCodes
from receiver.governed.trail.entry import TrailEntry
from receiver.governed.trail.trail import Trail

CONFIG = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys"
senders = "high.pub"
"""
TODAY = datetime.now(UTC).date()


class Line:
    """Types commands about one site."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.state, self._capsys = folder / "receiver.toml", folder / "state", capsys
        self.state.mkdir()
        self.file.write_text(CONFIG)

    def type(self, *words: str, code: int = 0) -> str:
        """`roster show FILE ..` without the file; all that was printed."""
        self._capsys.readouterr()
        assert checkvalve.main([*words[:2], str(self.file), *words[2:]]) == code, self._capsys.readouterr()
        told = self._capsys.readouterr()
        return told.out + told.err

    def note(self, *entries: TrailEntry) -> None:
        """As the pages would."""
        trail = Trail(self.state / "trail.db")
        trail.note(entries)
        trail.close()

    def entries(self) -> list[TrailEntry]:
        """All of them."""
        trail = Trail(self.state / "trail.db")
        found = [one.entry for one in trail.records()]
        trail.close()
        return found


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    """A low side with people."""
    made = Line(tmp_path, capsys)
    made.note(
        *(entry for one in (ACME, CUSTODIAN, ENGINEER, SECURITY) for entry in enrolled(one, time.time_ns() - 10**9))
    )
    return made


def test_alerts_are_listed_with_their_next_step_and_acknowledged_once(site: Line) -> None:
    """Exit 1 while there is one that nobody knows of; texts are inert; who acknowledged is on record."""
    assert "no custodian" in site.type("alerts", "list", code=1)
    site.type("roster", "set", "custodian", "custodian", "--from", str(TODAY - timedelta(1)),
              "--until", str(TODAY + timedelta(30)))  # fmt: skip
    assert site.type("alerts", "list") == "no alert is open\n"
    site.note(raised("reads refused", "8 reads of \x1b[2Jacme", at_ns=time.time_ns(), more={"person": "acme"}))
    told = site.type("alerts", "list", code=1)
    number = len(site.entries())
    assert told.startswith(f"{number}  20")
    assert "reads refused: 8 reads of \\x1b[2Jacme" in told
    assert "next step: Look at what was asked for" in told
    assert "say what was found" in site.type("alerts", "acknowledge", str(number), "--note", "ok", code=2)
    assert "acknowledged by command:" in site.type("alerts", "acknowledge", str(number), "--note", "an old bookmark")
    assert "has acknowledged it already" in site.type(
        "alerts", "acknowledge", str(number), "--note", "an old bookmark", code=2
    )
    assert json.loads(site.type("alerts", "list", "--json")) == {"alerts": []}
    assert site.entries()[-1].kind == "alert.acknowledged"


def test_the_roster_shows_who_is_on_duty_who_comes_next_and_where_nobody_is(site: Line) -> None:
    """Exit 1 where a custodian is missing within a day; a shift has one; a line ends with a reason."""
    day = [str(TODAY + timedelta(days)) for days in (-1, 2, 40)]
    assert "NO CUSTODIAN" in site.type("roster", "show", code=1)
    site.type("roster", "set", "custodian", "custodian", "--from", day[0], "--until", day[1])
    site.type("roster", "set", "engineer", "engineer", "--from", day[1], "--until", day[2], "--asset", "pump-7",
              "--hours", "Mon-Sun 06:00-14:00")  # fmt: skip
    told = site.type("roster", "show")
    present, _, later = told.partition("next:")
    assert "custodian (custodian)  until" in present
    assert re.search(r"engineer +engineer \(engineer\)  from .* 06:00 UTC until .* 14:00 UTC  pump-7", later)
    words = ("roster", "set", "custodian", "custodian", "--from", day[0], "--until", day[1])
    assert "has a custodian already" in site.type(*words, code=2)
    assert "is not enrolled as approver" in site.type("roster", "set", "approver", "acme", *words[4:], code=2)
    assert "has no roster" in site.type("roster", "set", "security", "security", *words[4:], code=2)
    assert "is no time" in site.type("roster", "set", "engineer", "engineer", "--from", "now", *words[6:], code=2)
    (line,) = re.findall(r"custodian .*\[(d-\w+)\]", told)
    assert "say why" in site.type("roster", "end", line, "--why", "ill", code=2)
    site.type("roster", "end", line, "--why", "on sick leave from today")
    assert "NO CUSTODIAN" in site.type("roster", "show", code=1)
    assert site.entries()[-1].facts["why"] == "on sick leave from today"


def test_hours_that_are_over_or_ended_are_on_no_list() -> None:
    """Nothing is listed of an empty roster."""
    assert shifts([], 0) == []


def test_a_sealed_code_is_printed_once_and_kept_as_a_hash(site: Line) -> None:
    """It fits as it was printed, or typed by hand; another does not; the one before opens nothing any more."""
    first = json.loads(site.type("break-glass", "prepare", "--place", "safe of the control room", "--json"))
    told = site.type("break-glass", "prepare", "--place", "safe of the control room")
    key, code = re.findall(r"^(c-\w+): write", told)[0], told.splitlines()[1]
    assert re.fullmatch(r"([A-Z2-7]{5}-){5}[A-Z2-7]", code)
    assert f"{first['credential']}, which lay ready, opens nothing any more" in told
    path = site.state / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_bytes() + b"".join(one.read_bytes() for one in site.state.glob("*") if one.is_file())
    assert code.encode() not in kept
    assert code.replace("-", "").encode() not in kept
    codes = SealedCodes(site.state, pytest.fail, wall_ns=0)
    assert codes.fits(key, code)
    assert codes.fits(key, code.lower().replace("-", " ").replace("O", "0").replace("i", "1"))
    assert not codes.fits(key, first["code"])
    assert not codes.fits("", code)
    assert not codes.fits("c-other", "")
    kinds = [(one.kind, one.facts["credential"], one.facts.get("replaces")) for one in site.entries()[-2:]]
    assert kinds == [
        ("break-glass.prepared", first["credential"], None),
        ("break-glass.prepared", key, first["credential"]),
    ]


def test_a_credential_that_could_not_be_recorded_takes_no_others_place(site: Line) -> None:
    """However often it was tried: what lies ready in the safe still fits."""
    ready = json.loads(site.type("break-glass", "prepare", "--place", "safe", "--json"))
    for _ in range(3):
        assert "say where" in site.type("break-glass", "prepare", "--place", "  ", code=2)
    assert SealedCodes(site.state, pytest.fail, wall_ns=0).fits(ready["credential"], ready["code"])


def test_a_damaged_file_of_codes_fits_nothing_and_is_set_aside(site: Line) -> None:
    """It is told, and another can be prepared."""
    told: list[str] = []
    (site.state / FILE).write_bytes(b'{"c-1": ')
    assert not SealedCodes(site.state, told.append, wall_ns=0).fits("c-1", "x")
    assert len(told) == 1
    site.type("break-glass", "prepare", "--place", "safe")
