"""Laws of `checkvalve trail`: what it says, and by which exit code."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from trail_entries import entry, filled, tampered

import checkvalve
from protocol.backup import archive
from protocol.backup.restore import restore
from protocol.keymaking import make
from receiver.governed.trail import checkpoint
from receiver.governed.trail.trail import Trail

CONFIG = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys"
senders = "high.pub"
"""


@pytest.fixture
def low(tmp_path: Path) -> Path:
    """The receiver.toml of a low side with a trail, and a trail key beside it."""
    folder = tmp_path / "low"
    (folder / "state").mkdir(parents=True)
    (folder / "receiver.toml").write_text(CONFIG)
    filled(folder / "state" / "trail.db", 120, seed=8)
    make("trail", tmp_path / "witness")
    return folder / "receiver.toml"


def said(capsys: pytest.CaptureFixture[str], code: int, *words: str | Path) -> str:
    """What a command prints, which must end with this code."""
    assert checkvalve.main([str(word) for word in words]) == code, capsys.readouterr()
    return capsys.readouterr().out


def test_show_is_a_table_whose_texts_are_inert(low: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Newest first, an entry a line, whatever its texts are; the next page is named, and found."""
    trail = Trail(low.parent / "state" / "trail.db")
    trail.note([entry("read.refused", who="p-evil\x1b[2J", asset="two\nlines", grant="\u202eg-1")])
    trail.close()
    lines = said(capsys, 0, "trail", "show", low, "--limit", "3").splitlines()
    assert len(lines) == 5
    assert lines[0].split() == ["number", "time", "(UTC)", "kind", "who", "from", "facts"]
    assert lines[1].split(maxsplit=3)[0] == "121"
    assert "p-evil\\x1b[2J" in lines[1]
    assert "asset=two\\nlines grant=\\u202eg-1" in lines[1]
    assert lines[4] == "older ones: --before 119"
    starts = {line.index(word) for line, word in zip(lines[1:4], ("read.refused", *_kinds(lines[2:4])), strict=True)}
    assert len(starts) == 1, "columns"
    assert said(capsys, 0, "trail", "show", low, "--before", "119").splitlines()[1].split()[0] == "118"


def _kinds(lines: list[str]) -> list[str]:
    return [line.split()[3] for line in lines]


def test_show_filters_as_asked(low: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each option narrows; in JSON the texts are themselves."""
    words = ("--who", "p-1", "--who", "p-2", "--kind", "read", "--grant", "g-1", "--asset", "pump-2")
    told = json.loads(said(capsys, 0, "trail", "show", low, "--json", "--limit", "1000", *words))["entries"]
    assert told
    for one in told:
        assert one["who"] in ("p-1", "p-2")
        assert one["kind"].startswith("read.")
        assert one["facts"]["grant"] == "g-1"
        assert one["facts"]["assets"] == ["pump-2", "mixer 7\n\x1b[31m"]
    assert said(capsys, 0, "trail", "show", low, "--who", "nobody").splitlines()[1:] == ["no entry of this kind"]


def test_verify_says_what_it_proves_and_what_not(low: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a checkpoint that all may have been written anew; with one, up to which entry it was not."""
    alone = said(capsys, 0, "trail", "verify", low)
    assert "sound: 120 entries" in alone
    assert "does not prove that nobody wrote all of it anew" in alone
    anchor = alone.splitlines()[-1].rpartition(" ")[2]
    assert "1 to 120 are those that stood" in said(capsys, 0, "trail", "verify", low, "--anchor", anchor)
    note = said(capsys, 0, "trail", "checkpoint", low, "--key", tmp_path / "witness" / "trail.key")
    assert note.splitlines()[-1] == f"for paper: {anchor}"
    trail = Trail(low.parent / "state" / "trail.db")
    trail.note([entry()] * 5)
    trail.close()
    told = said(capsys, 0, "trail", "verify", low, "--pub", tmp_path / "witness.pub")
    assert "entries 1 to 120 are those that stood when the checkpoint of 20" in told
    assert "entries 121 to 125 stand on the chain alone" in told
    unsure = said(capsys, 0, "trail", "verify", low)
    assert "its signature was not looked at" in unsure


def test_verify_of_a_changed_trail_ends_with_1(low: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says which, up to where it may be believed, in words and in JSON."""
    said(capsys, 0, "trail", "checkpoint", low, "--key", tmp_path / "witness")
    tampered(low.parent / "state" / "trail.db", "UPDATE entry SET body = replace(body, 'p-', 'q-') WHERE number = 60")
    told = said(capsys, 1, "trail", "verify", low, "--pub", tmp_path / "witness.pub")
    assert "NOT SOUND: entry 60: does not fit the hash before it" in told
    assert "stood when" not in told
    parsed = json.loads(said(capsys, 1, "trail", "verify", low, "--json"))
    assert (parsed["sound"], parsed["faults"][0]["number"]) == (False, 60)


def test_no_checkpoint_is_made_of_what_is_not_sound(
    low: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither of a changed trail, nor of one that was cut back to before a checkpoint whose copy was taken away."""
    key = tmp_path / "witness" / "trail.key"
    database = low.parent / "state" / "trail.db"
    old = tmp_path / "old.db"
    shutil.copy(database, old)
    said(capsys, 0, "trail", "checkpoint", low, "--key", key)
    trail = Trail(database)
    trail.note([entry()] * 30)
    trail.close()
    said(capsys, 0, "trail", "checkpoint", low, "--key", key)
    kept = low.parent / "state" / "trail-checkpoints"
    assert [one.name for one in sorted(kept.iterdir())] == ["0000000000120.note", "0000000000150.note"]
    shutil.copy(old, database)
    (kept / "0000000000150.note").unlink()
    assert said(capsys, 0, "trail", "verify", low, "--pub", tmp_path / "witness.pub"), "nothing here shows it"
    told = said(capsys, 1, "trail", "checkpoint", low, "--key", key)
    assert "entry 150: the checkpoint of" in told, "the signer's own memory, where the portal's user cannot write"
    assert "the trail ends at 120" in told
    assert "no checkpoint was made" in told
    left = tmp_path / "witness" / "trail.last.note"
    assert "the trail ends at 120" in said(
        capsys, 1, "trail", "verify", low, "--pub", tmp_path / "witness.pub", "--checkpoints", left
    )


def test_a_forged_checkpoint_is_named(low: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who may write into `state` may put one there; the key tells."""
    make("trail", tmp_path / "other")
    said(capsys, 0, "trail", "checkpoint", low, "--key", tmp_path / "other")
    told = said(capsys, 1, "trail", "verify", low, "--pub", tmp_path / "witness.pub")
    assert "NOT SOUND: 0000000000120.note: a checkpoint of entry 120 that this key did not sign" in told


def test_a_key_that_is_replaced_goes_on_where_the_earlier_one_ended(
    low: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The earlier one's public line is put into both `.pub` files; without it nothing is signed over its notes."""
    old, new, to = tmp_path / "witness", tmp_path / "new", tmp_path / "siem"
    said(capsys, 0, "trail", "checkpoint", low, "--key", old)
    said(capsys, 0, "trail", "export", low, "--to", to, "--key", old)
    make("trail", new)
    assert "that this key did not sign" in said(capsys, 1, "trail", "checkpoint", low, "--key", new)
    for path in (new / "trail.pub", tmp_path / "new.pub"):
        path.write_text(path.read_text() + (old / "trail.pub").read_text())
    trail = Trail(low.parent / "state" / "trail.db")
    trail.note([entry()])
    trail.close()
    said(capsys, 0, "trail", "checkpoint", low, "--key", new)
    said(capsys, 0, "trail", "export", low, "--to", to, "--key", new)
    told = said(capsys, 0, "trail", "verify", low, "--pub", tmp_path / "new.pub")
    assert "entries 1 to 121 are those that stood" in told
    assert "sound: 2 segments" in said(capsys, 0, "trail", "verify", *to.iterdir(), "--pub", tmp_path / "new.pub")


def test_segments_are_exported_once_and_verify_alone(
    low: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nothing of the server but the public key."""
    key, to = tmp_path / "witness" / "trail.key", tmp_path / "siem"
    made = said(capsys, 0, "trail", "export", low, "--to", to, "--key", key, "--size", "50").splitlines()
    assert [Path(line).name for line in made] == [
        "trail-0000001-000000000001-000000000050.jsonl",
        "trail-0000002-000000000051-000000000100.jsonl",
        "trail-0000003-000000000101-000000000120.jsonl",
    ]
    assert said(capsys, 0, "trail", "export", low, "--to", to, "--key", key) == "nothing is new\n"
    shutil.rmtree(low.parent)
    pub = tmp_path / "witness.pub"
    assert "sound: 3 segments, entries 1 to 120" in said(capsys, 0, "trail", "verify", *made, "--pub", pub)
    assert "entries 1 to 50 are in none" in said(capsys, 0, "trail", "verify", *made[1:], "--pub", pub)
    assert "NOT SOUND: segment 2 is missing" in said(capsys, 1, "trail", "verify", made[0], made[2], "--pub", pub)


def test_mistakes_are_answered_with_the_next_step(
    low: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No trail, no key, no anchor, a mixture: exit 2, and what to do."""
    for words, hint in (
        (("verify", low, "--anchor", "12"), "as `trail checkpoint`"),
        (("verify", low, tmp_path / "x.jsonl"), "one of them"),
        (("verify", tmp_path / "x.jsonl"), "--pub"),
        (("checkpoint", low, "--key", tmp_path / "none" / "trail.key"), "checkvalve keys new trail"),
        (("export", low, "--to", tmp_path / "siem", "--key", low), "checkvalve keys new trail"),
    ):
        assert checkvalve.main(["trail", *map(str, words)]) == 2, words
        assert hint in capsys.readouterr().err
    (low.parent / "state" / "trail.db").unlink()
    for words in (("show", low), ("verify", low), ("export", low, "--to", tmp_path, "--key", tmp_path / "witness")):
        assert checkvalve.main(["trail", *map(str, words)]) == 2
        assert "there is no trail yet" in capsys.readouterr().err
    said(capsys, 0, "trail", "checkpoint", low, "--key", tmp_path / "witness")


def test_a_backup_has_the_trail_and_its_checkpoints(low: Path, tmp_path: Path) -> None:
    """Taken while it is written, restored, and gone on with: the copy lies behind none of its own checkpoints."""
    state = low.parent / "state"
    trail = Trail(state / "trail.db")
    trail.note([entry()] * 10)
    end = trail.end()
    assert end is not None
    key = make("trail", tmp_path / "k")[0]
    assert checkvalve.main(["trail", "checkpoint", str(low), "--key", str(key)]) == 0
    archive.write(low.parent, "receiver.toml", "low", tmp_path / "low.tar", secrets=False, version="test")
    trail.note([entry()])
    trail.close()
    restore([tmp_path / "low.tar"], tmp_path / "again")
    again = Trail(tmp_path / "again" / "state" / "trail.db")
    assert again.end() == end
    newest = checkpoint.newest(tmp_path / "again" / "state" / "trail-checkpoints")
    assert newest is not None
    assert newest.hash == end.hash
    assert again.note([entry()])[0].number == 131
    again.close()


def test_a_reader_disturbs_no_writer(low: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands open the file to read: they make none, and hold no lock that a writer waits for."""
    trail = Trail(low.parent / "state" / "trail.db")
    with sqlite3.connect(low.parent / "state" / "trail.db") as other:
        other.execute("BEGIN IMMEDIATE")
        said(capsys, 0, "trail", "verify", low)
        said(capsys, 0, "trail", "show", low)
        other.execute("ROLLBACK")
    other.close()
    trail.note([entry()])
    trail.close()


def test_the_clock_is_accepted_with_a_reason_where_it_stood_ahead(
    low: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On record; a clock that is believed anyway needs no accepting."""
    (low.parent / "state/trail.db").unlink()  # its entries are of no real people
    said(capsys, 2, "trail", "clock", low, "--why", "the time server was wrong")
    (low.parent / "state/sure-time.json").write_text(json.dumps({"latest_ns": 4_000_000_000 * 10**9}))
    said(capsys, 2, "trail", "clock", low, "--why", "oops")
    said(capsys, 0, "trail", "clock", low, "--why", "the time server was wrong")
    assert json.loads((low.parent / "state/sure-time.json").read_text())["latest_ns"] < 4_000_000_000 * 10**9
    assert "clock.accepted" in said(capsys, 0, "trail", "show", low, "--kind", "clock")
