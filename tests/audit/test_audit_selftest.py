"""`audit selftest`: it passes here, and fails where the kit has become blind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from capture_files import FORMS, HIGH, LOW, Form, data, ethernet, write

from audit import catalogue, selftest
from audit.capture import capture
from audit.check import Check, CheckStatus
from audit.disks import compare
from audit.plantings import plantings
from audit.selftest import Twins
from protocol.errors import ConfigError
from protocol.process import confine
from protocol.process.confine import Mode, Role

NOW = 1_700_000_000 * 10**9


def _wall() -> int:
    return NOW


def _run(folder: Path, **more: Any) -> dict[str, Check]:
    return {check.id: check for check in selftest.run(folder, wall=_wall, **more).checks}


def _twins(role: Role, mode: Mode) -> Twins:
    """As they end here; without forking, for tests of everything else."""
    calls = (("recvfrom", True), ("sendto (control)", False))
    ended = ("SIGSYS", "exit 0") if mode != Mode.OFF else ("exit 0", "exit 0")
    ends = (
        (call, dies, how, how == ("SIGSYS" if dies else "exit 0"))
        for (call, dies), how in zip(calls, ended, strict=True)
    )
    return Twins(role=role, mode=mode, ended=tuple(ends))


def test_the_kit_finds_all_that_is_planted(tmp_path: Path) -> None:
    """Twins die, and each planted thing fails its check and is named."""
    why = confine.possible()
    if why is not None:
        pytest.skip(f"not confined here: {why}")
    checks = _run(tmp_path)
    assert list(checks) == ["PR-7", "SELF-1", "SELF-2", "SELF-3", "SELF-4"]
    assert {check.status for check in checks.values()} == {CheckStatus.PASS}
    assert "emitter" in str(checks["PR-7"].evidence[0].value)


def test_each_kind_of_reverse_frame_is_found_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By each evidence one, in words; the capture without it passes, so nothing else is found in its place."""
    monkeypatch.setattr(selftest, "run_twins", _twins)
    check = _run(tmp_path)["SELF-1"]
    names = [one.name for one in plantings()]
    assert len(names) >= 23
    assert check.found.startswith(f"{len(names)} of {len(names)} kinds found")
    assert all(name in check.found and name in check.evidence[0].value for name in names)


def test_a_kind_that_is_not_found_fails_the_selftest_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that hold no such frame stand for a reader that does not see it: two kinds are missed, and named."""
    gone = [one.name for one in plantings()][2::12]
    blind = [replace(one, planted=one.clean) if one.name in gone else one for one in plantings()]
    monkeypatch.setattr(selftest, "plantings", lambda: blind)
    monkeypatch.setattr(selftest, "run_twins", _twins)
    check = _run(tmp_path)["SELF-1"]
    assert check.status == CheckStatus.FAIL
    assert len(gone) == 2
    assert [name for name in check.evidence[0].value if f"{name} (without: PASS" in check.found] == gone


def _blind(ident: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """A run whose check `ident` passes whatever there is."""

    def run(*given: Any, **more: Any) -> Any:
        found = real(*given, **more)
        checks = [
            catalogue.check(ident, CheckStatus.PASS, "all is well", *one.evidence) if one.id == ident else one
            for one in found.checks
        ]
        return type(found)(what=found.what, time=found.time, checks=tuple(checks))

    return run


@pytest.mark.parametrize(
    ("module", "ident", "fails"),
    [(capture, "CAP-1", "SELF-1"), (compare, "JRN-2", "SELF-2"), (compare, "JRN-3", "SELF-3")],
)
def test_a_blind_check_fails_the_selftest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, ident: str, fails: str
) -> None:
    """A kit that passes everything is found out, and only there."""
    monkeypatch.setattr(selftest, "run_twins", _twins)
    monkeypatch.setattr(module, "run", _blind(ident, module.run))
    checks = _run(tmp_path)
    assert [name for name, check in checks.items() if check.status == CheckStatus.FAIL] == [fails]


def test_twins_that_live_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that kills nothing fails PR-7; twins that die without one fail SELF-4."""
    if confine.possible() is not None:
        pytest.skip("nothing is confined here")
    monkeypatch.setattr(selftest, "run_twins", lambda role, mode: _twins(role, Mode.OFF))
    assert _run(tmp_path / "a")["PR-7"].status == CheckStatus.FAIL
    monkeypatch.setattr(selftest, "run_twins", lambda role, mode: _twins(role, Mode.ON))
    assert _run(tmp_path / "b")["SELF-4"].status == CheckStatus.FAIL


def test_where_nothing_can_be_confined_it_is_skipped_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a pass."""
    monkeypatch.setattr(confine, "possible", lambda: "no seccomp on this machine")
    checks = _run(tmp_path)
    assert {checks[ident].status for ident in ("PR-7", "SELF-4")} == {CheckStatus.SKIP}


@pytest.mark.parametrize("form", [form for form in FORMS if form.link == 1], ids=lambda f: f"{f.name}{f.order}{f.nano}")
def test_a_frame_is_planted_in_a_copy_of_ones_own_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Form
) -> None:
    """In every form; the capture itself is not touched."""
    monkeypatch.setattr(selftest, "run_twins", _twins)
    own, folder = tmp_path / "own.pcap", tmp_path / "work"
    folder.mkdir()
    held = write(form, [data()] * 20)
    own.write_bytes(held + b"cut"[: 3 * (form.order == "<")])
    checks = _run(folder, own=own, high=HIGH)
    assert checks["SELF-1"].status == CheckStatus.PASS
    assert "1 of 21 frames" in checks["SELF-1"].found
    assert own.read_bytes().startswith(held)
    own.write_bytes(write(form, [ethernet(LOW, 0x0806, bytes(40))] * 400))
    assert _run(tmp_path / "again", own=own, high=HIGH)["SELF-1"].status == CheckStatus.PASS


def test_a_capture_that_takes_no_frame_is_refused(tmp_path: Path) -> None:
    """Another link type, damage, or an address that is missing."""
    own = tmp_path / "own.pcap"
    for held in (write(Form("pcap", link=101), [data()]), write(FORMS[0], [data()]) + b"\xff" * 60):
        own.write_bytes(held)
        with pytest.raises(ConfigError):
            selftest.plant(own, tmp_path / "copy", b"x" * 60)
