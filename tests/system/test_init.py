"""`checkvalve init`: by flags, by questions on a terminal, or not at all; both sides' sheets say the same."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import checkvalve
import receiver.commands.init as low_init
import receiver.config
import sender.commands.init as high_init
import sender.poll.config
from protocol import keymaking
from protocol.commissioning import OTHER
from protocol.keys import SIDES
from protocol.settings.interview import filled
from protocol.settings.table import SettingsTable
from receiver.portal_settings import PortalTable
from receiver.settings import InletTable, RetentionTable
from sender.poll.tables import AssetTable, SpoolTable, TopKeys
from sender.settings import OutletTable

ROOT = Path(__file__).parents[2]
FLAGS = {
    "high": ["--site", "north-plant", "--to", "192.0.2.2:5005", "--rate-mbit", "5.5", "--keep", "30d"],
    "low": ["--listen", "192.0.2.2:5005", "--history", "100d", "--pages", "10.0.0.5:8600"],
}
NAMES = {"high": "sender.toml", "low": "receiver.toml"}
CHECKS = {"high": "send", "low": "receive"}
PATIENCE = 60.0
"""Longest wait for a line on a busy machine [s]."""
BY_HAND = re.compile(r"(?:[0-9a-f]{4} ){7}[0-9a-f]{4}")
"""Half a fingerprint, as a sheet shows it."""


def init(side: str, folder: Path, *more: str) -> int:
    """By flags, where nobody can be asked."""
    return checkvalve.main(["init", side, str(folder), *FLAGS[side], *more])


def content(folder: Path) -> dict[str, bytes]:
    """Every file below, by its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("side", ["high", "low"])
def test_flags_alone_make_a_folder_that_passes_its_check(
    side: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a flag says stands in the file, the rest is the default; the check misses the other side's keys alone."""
    assert init(side, tmp_path / "site") == 0
    assert sorted(content(tmp_path / "site")) == sorted(
        [NAMES[side], "commissioning.txt", f"keys/{side}.pub"]
        + [f"keys/{side}/{kind}.{end}" for kind in SIDES[side] for end in ("key", "pub")]
    )
    check = [CHECKS[side], str(tmp_path / "site" / NAMES[side]), "--check"]
    assert checkvalve.main(check) == 2
    told = capsys.readouterr().err
    assert "has 1 mistake:" in told
    assert "carry over the .pub file" in told
    other = OTHER[side]
    assert init(other, tmp_path / "other") == 0
    shutil.copy(tmp_path / f"other/keys/{other}.pub", tmp_path / "site/keys")
    assert checkvalve.main(check) == 0
    if side == "high":
        high = sender.poll.config.load(tmp_path / "site" / NAMES[side])
        assert (high.site, high.outlet.to, high.outlet.rate_mbit) == ("north-plant", ("192.0.2.2", 5005), 5.5)
        assert (high.outlet.mtu, high.spool.keep, high.assets) == (1500, 30 * 86400.0, ())
    else:
        low = receiver.config.load(tmp_path / "site" / NAMES[side])
        assert (low.inlet.listen, low.portal.listen) == (("192.0.2.2", 5005), ("10.0.0.5", 8600))
        assert (low.retention.history, low.retention.journal, low.outputs) == (100 * 86400.0, 7 * 86400.0, ())


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_private_keys_are_their_owners_whatever_the_umask_is(mask: int, tmp_path: Path) -> None:
    """0600 for each, in folders that nobody else enters."""
    before = os.umask(mask)
    try:
        for side in ("high", "low"):
            assert init(side, tmp_path / side) == 0
    finally:
        os.umask(before)
    private = sorted(tmp_path.rglob("*.key"))
    assert len(private) == 4
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert {path.parent.stat().st_mode & 0o077 for path in private} == {0}
    assert {(tmp_path / side).stat().st_mode & 0o777 for side in ("high", "low")} == {0o700}


def test_both_sheets_name_the_same_fingerprints_once_keys_are_carried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first side has lines to write on until it prints its sheet again; then both read alike, key by key."""
    high, low = tmp_path / "high", tmp_path / "low"
    assert init("low", low) == 0
    assert init("high", high, "--peer", str(low / "keys/low.pub")) == 0
    first = (low / "commissioning.txt").read_text()
    assert len(BY_HAND.findall(first)) == 4
    assert first.count("____ " * 7) == 4
    shutil.copy(high / "keys/high.pub", low / "keys")
    capsys.readouterr()
    sheets = []
    for side, folder in (("high", high), ("low", low)):
        before = content(folder)
        assert checkvalve.main(["init", side, str(folder), "--sheet"]) == 0
        assert content(folder) == before
        sheets.append(capsys.readouterr().out)
    assert sheets[0] == (high / "commissioning.txt").read_text()
    keys = [sheet.split("KEYS")[1] for sheet in sheets]
    assert keys[0] == keys[1]
    assert checkvalve.main(["keys", "show", str(high / "keys/high.pub")]) == 0
    assert checkvalve.main(["keys", "show", str(low / "keys/low.pub")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    halves = BY_HAND.findall(keys[0])
    assert [f"{one} {two}" in shown for one, two in zip(halves[::2], halves[1::2], strict=True)] == [True] * 4
    assert all(len(line) <= 78 for sheet in sheets for line in sheet.splitlines())


@pytest.mark.parametrize("side", ["high", "low"])
def test_the_wrong_sides_keys_are_refused(side: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys of the same side, a private key, a file of something else, and none: each is named, nothing is made."""
    assert init(side, tmp_path / "own") == 0
    (tmp_path / "text.pub").write_text("hello\n")
    capsys.readouterr()
    private = next((tmp_path / "own").rglob("*.key"))
    for wrong in (tmp_path / f"own/keys/{side}.pub", private, tmp_path / "text.pub", tmp_path / "none.pub", tmp_path):
        assert init(side, tmp_path / "site", "--peer", str(wrong)) == 2
        told = capsys.readouterr().err
        assert "--peer: " in told
        assert str(wrong) in told
        assert "this is a bug" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "text.pub"]


@pytest.mark.parametrize(("side", "other", "kind"), [("high", "low", "open"), ("low", "high", "sign")])
def test_a_private_key_that_was_carried_over_is_said_to_be_one(
    side: str, other: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of `--check`, and that new keys are needed; of a side's own it is said that it is its own."""
    for one in (side, other):
        assert init(one, tmp_path / one) == 0
    capsys.readouterr()
    assert init(side, tmp_path / "site", "--peer", str(tmp_path / other / f"keys/{other}/{kind}.key")) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"{kind}.key holds a private key ({kind}), which must never leave its side" in told
    assert f"let the {other} side make new keys" in told
    own = next((tmp_path / side).rglob("*.key"))
    assert init(side, tmp_path / "site", "--peer", str(own)) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "holds this side's own private key" in told
    assert f"carry over the .pub file of the {other} side" in told
    assert not (tmp_path / "site").exists()


def test_every_wrong_or_missing_flag_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the words of the configuration's own check; nothing is made."""
    words = ["--to", "224.0.0.1:5005", "--rate-mbit", "-1", "--mtu", "big", "--loss-target", "1", "--keep", "soon"]
    assert checkvalve.main(["init", "high", str(tmp_path / "site"), *words]) == 2
    told = capsys.readouterr().err
    for flag in ("--site: missing", "--to: ", "--rate-mbit: ", "--mtu: ", "--loss-target: ", "--keep: "):
        assert told.count(f"  {flag}") == 1, told
    assert "multicast" in told
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_there_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with anything in it, a file, a link to nowhere, the folder one is in: refused with a next step."""
    held, file, link, here = (tmp_path / name for name in ("held", "file", "link", "here"))
    held.mkdir()
    here.mkdir()
    (held / "other.txt").write_text("mine")
    file.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    monkeypatch.chdir(here)
    before = content(tmp_path)
    for folder in (held, file, link, Path(".")):
        assert init("high", folder) == 2
        assert "\nhint: name " in capsys.readouterr().err
    assert content(tmp_path) == before
    (tmp_path / "empty").mkdir()
    assert init("high", tmp_path / "empty") == 0
    made = content(tmp_path)
    assert init("high", tmp_path / "empty") == 2
    assert content(tmp_path) == made


@pytest.mark.parametrize("at", ["lay_keys", "sheet", "rename"])
@pytest.mark.parametrize("side", ["high", "low"])
def test_a_killed_init_leaves_no_folder_and_the_next_one_no_trace_of_it(side: str, at: str, tmp_path: Path) -> None:
    """Ended as by SIGKILL before its keys, before its sheet, before it is put in place."""
    script = (
        "import os, signal, sys, checkvalve\n"
        "from protocol import commissioning\n"
        "where = os if sys.argv[1] == 'rename' else commissioning\n"
        "setattr(where, sys.argv[1], lambda *given: os.kill(os.getpid(), signal.SIGKILL))\n"
        "checkvalve.main(sys.argv[2:])\n"
    )
    argv = [sys.executable, "-c", script, at, "init", side, str(tmp_path / "site"), *FLAGS[side]]
    done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=100, check=False)
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "site").exists()
    assert init(side, tmp_path / "site") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be made whole is taken away, and told without a trace of Python."""

    def full(side: str, folder: Path) -> list[Path]:
        folder.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keymaking, "make", full)
    assert init("low", tmp_path / "site") == 2
    assert "cannot be made: No space left on device; nothing was made\nhint: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def converse(words: list[str], typed: list[str]) -> tuple[int, str]:
    """Run a command on a terminal, each line typed once a question is there: exit code and what was shown."""
    master, slave = os.openpty()
    argv = ["setsid", "--ctty", sys.executable, "-P", "-m", "checkvalve", *words]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    ready = select.poll()  # select() knows no descriptor above 1,023
    ready.register(master, select.POLLIN)
    shown, asked, ends, left = b"", 0, time.monotonic() + PATIENCE, list(typed)
    while time.monotonic() < ends:
        if ready.poll(100):
            try:
                data = os.read(master, 65_536)
            except OSError:  # its last process has closed the terminal
                break
            shown += data
        elif process.poll() is not None:
            break
        if left and shown.endswith(b": ") and len(shown) > asked:
            asked = len(shown)
            os.write(master, left.pop(0).encode(errors="surrogateescape"))
    process.kill()
    os.close(master)
    assert left == [], shown.decode(errors="replace")
    return process.wait(), shown.decode(errors="replace").replace("\r\n", "\n")


def test_a_wrong_answer_is_told_why_and_asked_again(tmp_path: Path) -> None:
    """An empty line is the default, what a flag says is not asked for, and the result passes its check."""
    assert init("low", tmp_path / "low") == 0
    typed = ["\n", "\udcff\n", "north-plant\n", "plc7:5005\n", "192.0.2.2:5005\n", "fast\n", "0\n", "5\n"]
    typed += ["90%\n", "2%\n", "\n", "\n", f"{tmp_path}\n", f"{tmp_path}/low/keys/low.pub\n"]
    code, shown = converse(["init", "high", str(tmp_path / "site"), "--mtu", "9000"], typed)
    assert code == 0, shown
    for reason in ("an answer is needed", "is not an IPv4 address", "'fast' is no number", "0 does not fit", "90%"):
        assert reason in shown
    assert "largest IP packet" not in shown
    assert f"--peer: {tmp_path}" not in shown
    told = sender.poll.config.load(tmp_path / "site/sender.toml")
    assert (told.site, told.outlet.to, told.outlet.mtu) == ("north-plant", ("192.0.2.2", 5005), 9000)
    assert (told.outlet.rate_mbit, told.outlet.loss_target, told.spool.max_gb) == (5.0, 0.02, 20.0)
    assert (tmp_path / "site/keys/low.pub").read_bytes() == (tmp_path / "low/keys/low.pub").read_bytes()


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 2)], ids=["Ctrl-C", "Ctrl-D"])
def test_who_stops_at_a_question_has_made_nothing(key: str, code: int, tmp_path: Path) -> None:
    """Neither key ends in a trace of Python."""
    ended, shown = converse(["init", "low", str(tmp_path / "site")], ["192.0.2.2:5005\n", key])
    assert (ended, "this is a bug" in shown, "Traceback" in shown) == (code, False, False), shown
    assert list(tmp_path.iterdir()) == []


TEMPLATES = [
    (high_init.TEMPLATE, (TopKeys, OutletTable, SpoolTable, AssetTable)),
    (low_init.TEMPLATE, (InletTable, RetentionTable, PortalTable)),
]
UNSAID = {"simulated", "never_read"}
"""Keys of a device that its collector's page explains."""


@pytest.mark.parametrize(("template", "models"), TEMPLATES, ids=["high", "low"])
def test_the_template_is_right_and_complete(
    template: Path, models: tuple[type[SettingsTable], ...], tmp_path: Path
) -> None:
    """It passes the check as it stands, and names each key of each table, set or as a remark."""
    config = tmp_path / "file.toml"
    shutil.copy(template, config)
    (sender.poll.config if "sender" in str(template) else receiver.config).load(config)
    named = set(re.findall(r"^(?:# )?(\w+) = ", template.read_text(), re.MULTILINE))
    named |= set(re.findall(r"(\w+) = \[\.\.\]", template.read_text()))
    for model in models:
        keys = {one.alias or name for name, one in model.model_fields.items()}
        assert keys - named - UNSAID == set(), model


def test_a_devices_example_is_right_once_it_is_uncommented(tmp_path: Path) -> None:
    """The plant of the template by hand."""
    head, _, example = high_init.TEMPLATE.read_text().partition("uncommented:\n#\n")
    (tmp_path / "sender.toml").write_text(head + "\n" + re.sub("^# ", "", example, flags=re.MULTILINE))
    (asset,) = sender.poll.config.load(tmp_path / "sender.toml").assets
    assert (asset.table.name, len(asset.watched)) == ("pump-7", 1)


def test_a_template_keeps_all_that_is_not_replaced() -> None:
    """Remarks stay in their column, lists and other tables as they stand; a line that is missing is an error."""
    text = '# head\na = 1\n\n[x]          # why\na = "one"    # what\nb = [1, 2]   # list\n'
    out = filled(text, {"x.a": 'q"#'})
    assert out == '# head\na = 1\n\n[x]          # why\na = "q\\"#"   # what\nb = [1, 2]   # list\n'
    assert tomllib.loads(filled(text, {"a": 2.5, "x.b": True})) == {"a": 2.5, "x": {"a": "one", "b": True}}
    with pytest.raises(ValueError, match="y"):
        filled(text, {"x.y": 1})


def test_init_goes_to_the_side_that_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    """Also for its help; without a side the next step names both."""
    for side, flag in (("high", "--to"), ("low", "--listen")):
        for words in (["init", side, "--help"], ["init", "--help", side]):
            assert checkvalve.main(words) == 0
            assert f"{flag} " in capsys.readouterr().out
    assert checkvalve.main(["init", "--help"]) == 0
    capsys.readouterr()
    for wrong in (["init", "middle", "x"], ["init", "--sheet"]):
        assert checkvalve.main(wrong) == 2
        told = capsys.readouterr().err
        assert "checkvalve init high DIR, or checkvalve init low DIR" in told


def test_an_installed_machine_begins_with_the_empty_plant() -> None:
    """install.sh copies the template of the side that it has installed, never the demo's plant."""
    script = (ROOT / "deploy/bundle/install.sh").read_text()
    assert "/site-packages/$room/commands/empty.toml" in script
    assert "examples/$config" not in script
    for room, template in (("sender", high_init.TEMPLATE), ("receiver", low_init.TEMPLATE)):
        assert f" room={room} " in script
        assert template == ROOT / room / "commands/empty.toml"
