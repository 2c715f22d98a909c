"""Laws of verifying: each way to change a trail is named, and a damaged file is told in words."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from trail_entries import T0, entry, filled, some_entries, tampered

from protocol.keys import PrivateKey, from_bytes
from receiver.governed.trail import checkpoint
from receiver.governed.trail.checkpoint import Checkpoint
from receiver.governed.trail.form import BEGINNING, INDEXED, governs, mark_key, marks_of, read_body
from receiver.governed.trail.index_sum import IndexSum, MarkWeights
from receiver.governed.trail.trail import Trail
from receiver.governed.trail.trail_error import TrailError
from receiver.governed.trail.verifying import NAMED, Verified, Witness, verify

COUNT = 200


def key(seed: int = 1) -> PrivateKey:
    """A trail key."""
    return from_bytes("trail", random.Random(seed).randbytes(32))


def looked(path: Path, *witnesses: Witness, halve_from: int = 10**9) -> Verified:
    """Verified, with the same draw each time."""
    return verify(path, witnesses, random=random.Random(3).randrange, halve_from=halve_from)


def at(path: Path, number: int) -> Witness:
    """What is there now, as a checkpoint would keep it."""
    with sqlite3.connect(path) as opened:
        held = opened.execute("SELECT hash FROM entry WHERE number = ?", (number,)).fetchone()[0]
    opened.close()
    return Witness(number=number, digits=held.hex(), told=f"the checkpoint of {number} o'clock")


def rehashed(path: Path, since: int) -> None:
    """Every hash from `since` on made anew, as who knows the rule can do."""
    with sqlite3.connect(path) as opened:
        rows = opened.execute("SELECT number, body, hash FROM entry ORDER BY number").fetchall()
    opened.close()
    held, changes = BEGINNING, []
    for number, body, stored in rows:
        held = sha256(held + body.encode()).digest() if number >= since else stored
        changes.append(f"UPDATE entry SET hash = x'{held.hex()}' WHERE number = {number}")
    tampered(path, *changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trail") / "trail.db"
    filled(path, COUNT, seed=7)
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copy(whole, tmp_path / "trail.db"))


def test_a_whole_trail_is_sound(path: Path) -> None:
    """In one process and in two; witnesses that it holds are named as such."""
    witnesses = (at(path, 50), at(path, COUNT))
    for halve_from in (1, 10**9):
        done = looked(path, *witnesses, halve_from=halve_from)
        assert done.sound, done.faults
        assert done.entries == COUNT
        assert [one.number for one in done.agreed] == [50, COUNT]


EDIT = "UPDATE entry SET body = replace(body, 'p-', 'q-') WHERE number = 120"
SWAP = (
    "CREATE TABLE other AS SELECT * FROM entry WHERE number IN (60, 61)",
    "UPDATE entry SET (body, hash) = (SELECT body, hash FROM other WHERE other.number = 121 - entry.number)"
    " WHERE number IN (60, 61)",
    "DROP TABLE other",
)
HIDDEN = mark_key("grant=g-3")

TAMPERED = {
    "a row edited": ((EDIT,), {120: "does not fit the hash before it"}),
    "a hash changed": (("UPDATE entry SET hash = zeroblob(32) WHERE number = 120",), {120: "does not fit", 121: "fit"}),
    "rows swapped": (SWAP, {60: "in its place stands entry 61", 61: "in its place stands entry 60"}),
    "rows taken away": (("DELETE FROM entry WHERE number IN (30, 90, 91, 92)",), {30: "entry 30 is", 90: "90 to 92"}),
    "a row of no sense": (("UPDATE entry SET body = '[1' WHERE number = 9",), {9: "cannot be read"}),
    "a mark taken away": ((f"DELETE FROM mark WHERE key = {HIDDEN} AND number > 100",), {0: "the index"}),
    "a mark put in": (("INSERT INTO mark VALUES (5, 7)",), {0: "the index"}),
    "marks balanced": ((f"UPDATE mark SET key = key + 1 WHERE key = {HIDDEN}",), {0: "the index"}),
    "a mark of nothing": (("INSERT INTO mark VALUES (5, -7)",), {0: "the index"}),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_tampered_with_is_named(path: Path, how: str) -> None:
    """Each at its number and in its words, without any checkpoint; entries around it are not blamed."""
    statements, wanted = TAMPERED[how]
    tampered(path, *statements)
    faults = {one.number: one.text for one in looked(path).faults}
    for number, words in wanted.items():
        assert words in faults[number]
    assert faults.keys() - {0} <= wanted.keys() | {number + 1 for number in wanted}, faults


def test_two_processes_find_what_one_finds(path: Path) -> None:
    """On either side of the middle, and at it."""
    tampered(path, EDIT, *SWAP, *(f"DELETE FROM entry WHERE number = {number}" for number in (30, 99, 101, 150)))
    assert looked(path, halve_from=1).faults == looked(path).faults
    assert len(looked(path).faults) == 9


def test_a_row_hashed_again_shows_in_the_next_one(path: Path) -> None:
    """Its own hash fits, that of the entry after it does not."""
    with sqlite3.connect(path) as opened:
        before = opened.execute("SELECT hash FROM entry WHERE number = 119").fetchone()[0]
        body = opened.execute("SELECT replace(body, 'p-', 'q-') FROM entry WHERE number = 120").fetchone()[0]
    opened.close()
    tampered(path, EDIT, f"UPDATE entry SET hash = x'{sha256(before + body.encode()).hexdigest()}' WHERE number = 120")
    assert 121 in {one.number for one in looked(path).faults}
    assert 120 not in {one.number for one in looked(path).faults}


@pytest.mark.parametrize("number", [COUNT + 5, 1 << 40, (1 << 63) - 1])
def test_a_number_far_beyond_the_others_is_named_at_once(path: Path, number: int) -> None:
    """It is not counted up to: one flipped bit in a number would take a lifetime."""
    tampered(path, f"UPDATE entry SET number = {number} WHERE number = {COUNT}")
    faults = {one.number: one.text for one in looked(path).faults}
    assert "not there" in faults[COUNT]
    assert "stands entry 200" in faults[number]


def test_without_a_second_process_one_does_both_halves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory, no process, or a main module that cannot be started again: slower, and as sure."""
    tampered(path, EDIT)

    def refused(*words: object) -> None:
        raise OSError("no process")

    monkeypatch.setattr(ProcessPoolExecutor, "submit", refused)
    assert looked(path, halve_from=1).faults == looked(path).faults


def test_what_is_remembered_of_marks_changes_no_sum() -> None:
    """Whatever the facts are, an entry weighs what its marks weigh: texts, lists, both of one name, other things."""
    seed = 12
    chance = random.Random(seed)
    sums = IndexSum.of(chance.randrange)
    weights = MarkWeights(sums)
    values = [
        "a",
        "b",
        ["a"],
        ["a", "b", "a"],
        ["a", 7, None],
        [],
        7,
        None,
        {"a": "b"},
        ["x"] * 60,
        [str(n) for n in range(900)],
    ]
    for number in range(1, 1200):
        facts: dict[str, Any] = {
            name: chance.choice(values) for name in chance.sample([*INDEXED, "tag"], chance.randrange(5))
        }
        one = entry(chance.choice(("read.page", "grant.given")), chance.choice(("p-1", "p-2")), **facts)
        marks = marks_of(one, governs=governs(one))
        weight = weights.of(one.kind, one.who, governs(one), dict(one.facts))
        assert sums.of_entries([weight], [number]) == sums.of_entries([sums.weight(marks)], [number]), (seed, facts)


def test_guards_that_were_taken_away_are_named(path: Path) -> None:
    """The rows may be sound still; who took the triggers away meant something by it."""
    with sqlite3.connect(path) as opened:
        opened.execute("DROP TRIGGER entry_update")
    opened.close()
    assert [one.text for one in looked(path).faults] == ["its trigger entry_update is not there"]


def test_a_trail_written_anew_fits_itself_and_no_checkpoint(path: Path) -> None:
    """The chain is whole from the changed entry on; every checkpoint after it tells, and those before bound it."""
    witnesses = [at(path, number) for number in (100, 150, COUNT)]
    index = "DELETE FROM mark"
    tampered(path, EDIT, index)
    rehashed(path, since=120)
    with Trail(path)._writer as made:  # an honest index of the forged entries
        for record in Trail(path).records():
            body = made.execute("SELECT body FROM entry WHERE number = ?", (record.number,)).fetchone()[0]
            read = read_body(body, record.number)
            for mark in marks_of(read.entry, governs=read.governs):
                made.execute("INSERT OR IGNORE INTO mark VALUES (?, ?)", (mark_key(mark), record.number))
    assert looked(path).sound
    done = looked(path, *witnesses)
    assert [one.number for one in done.agreed] == [100]
    assert [one.number for one in done.faults] == [150, COUNT]
    assert "written anew up to it, after entry 100" in done.faults[0].text


def test_an_older_copy_or_a_cut_end_fits_itself_and_no_later_checkpoint(whole: Path, tmp_path: Path) -> None:
    """Nothing in the copy shows it; a checkpoint beyond its end does."""
    path = tmp_path / "trail.db"
    filled(path, 150, seed=7)
    old = Path(shutil.copy(path, tmp_path / "old.db"))
    trail = Trail(path)
    trail.note([entry()] * 50)
    trail.close()
    late, early = at(path, 200), at(path, 120)
    assert looked(old, early).sound
    done = looked(old, early, late)
    assert [one.number for one in done.agreed] == [120]
    assert "the trail ends at 150" in done.faults[0].text
    assert "an older copy was put back" in done.faults[0].text


def test_a_trail_that_is_written_meanwhile_is_verified_up_to_its_end_of_then(path: Path) -> None:
    """Entries that come while it is read are neither missed nor blamed."""
    trail = Trail(path)

    def write(done: int, of: int) -> None:
        trail.note(some_entries(20, done))

    done = verify(path, random=random.Random(1).randrange, progress=write)
    assert done.sound, done.faults
    assert done.entries == COUNT
    trail.close()


def test_many_faults_are_counted_and_some_are_named(path: Path) -> None:
    """A page of a thousand lines helps nobody."""
    tampered(path, "UPDATE entry SET body = replace(body, 'p-', 'q-')")
    done = looked(path)
    assert len(done.faults) == NAMED
    assert done.more == COUNT - NAMED + 1  # and the index


@pytest.mark.parametrize("made", ["absent", "folder", "empty", "link", "other", "view", "fifo"])
def test_what_is_no_trail_is_told_in_words(whole: Path, tmp_path: Path, made: str) -> None:
    """No exception but TrailError, and nothing is waited for or followed."""
    path = tmp_path / "made.db"
    if made == "folder":
        path.mkdir()
    elif made == "empty":
        path.touch()
    elif made == "link":
        path.symlink_to(whole)
    elif made == "fifo":
        os.mkfifo(path)
    elif made in ("other", "view"):
        with sqlite3.connect(path) as opened:
            endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS number FROM n"
            opened.execute("CREATE TABLE t (x)" if made == "other" else f"CREATE VIEW entry AS {endless}")
        opened.close()
    try:
        done = looked(path)
    except TrailError:
        assert made in ("absent", "folder", "link", "fifo")
    else:
        assert not done.sound


def damaged(path: Path, whole: bytes, seed: int) -> None:
    """Bytes flipped, overwritten, cut or doubled, mostly few and mostly near one another."""
    chance = random.Random(seed)
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 5, 40))):
        start = chance.randrange(len(data))
        match chance.randrange(6):
            case 0 | 1:
                data[start] ^= 1 << chance.randrange(8)
            case 2:
                data[start] = chance.randrange(256)
            case 3:
                length = chance.randrange(1, 200)
                data[start : start + length] = chance.randbytes(len(data[start : start + length]))
            case 4:
                page, other = start // 4096 * 4096, chance.randrange(len(data)) // 4096 * 4096
                data[page : page + 4096] = data[other : other + 4096]
            case _:
                if chance.random() < 0.1:
                    del data[start:]
                    data = data or bytearray(1)
                else:
                    data[min(start // 4096 * 4096 + chance.randrange(100), len(data) - 1)] = chance.randrange(256)
    path.write_bytes(data)


def hostile(whole: Path, folder: Path, seeds: range) -> int:
    """How many of the damaged files were found not to be what was written."""
    data, first = whole.read_bytes(), at(whole, COUNT)
    found = 0
    for seed in seeds:
        path = folder / "damaged.db"
        damaged(path, data, seed)
        try:
            done = verify(path, [first], random=random.Random(seed).randrange)
            found += not done.sound
            for fault in done.faults:
                assert fault.text, f"seed {seed}"
        except TrailError:
            found += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        try:
            trail = Trail(path)
            try:
                list(trail.governing())
                list(trail.records())
                trail.page(limit=20, kinds=["grant"])
                trail.act(0, lambda new: [entry("grant.given")])
                trail.note([entry()])
            finally:
                trail.close()
        except TrailError:
            pass
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        for one in folder.glob("damaged.db*"):
            one.unlink()
    return found


def test_a_damaged_file_is_told_in_words(whole: Path, tmp_path: Path) -> None:
    """Never an exception but TrailError, from verifying and from reading, whatever bytes there are."""
    assert hostile(whole, tmp_path, range(160)) > 120


@pytest.mark.soak
def test_twenty_thousand_damaged_files_are_told_in_words(whole: Path, tmp_path: Path) -> None:
    """The same for long."""
    assert hostile(whole, tmp_path, range(1000, 21_000)) > 15_000


def note_of(number: int, held: bytes, signer: PrivateKey) -> str:
    """A checkpoint, signed."""
    one = Checkpoint(trail=checkpoint.trail_name(held), number=number, hash=held, time=checkpoint.moment(T0))
    return checkpoint.sign(one, signer)


def test_a_checkpoint_is_believed_of_its_signer_alone() -> None:
    """What was signed comes back; another key, or any changed letter, is refused."""
    note = note_of(1234, bytes(range(32)), key())
    told = checkpoint.opened(note, [key().public])
    assert (told.number, told.hash, told.time) == (1234, bytes(range(32)), "2026-09-21T14:13:20Z")
    with pytest.raises(TrailError, match="did not sign"):
        checkpoint.opened(note, [key(2).public])
    for place in range(note.index("\n\n")):
        changed = note[:place] + chr(ord(note[place]) ^ 1) + note[place + 1 :]
        with pytest.raises(TrailError):
            checkpoint.opened(changed, [key().public])


def test_an_anchor_is_what_a_checkpoint_prints(tmp_path: Path) -> None:
    """Typed with or without its hyphens, in any case; half a hash is the least."""
    told = checkpoint.read(note_of(1234, bytes(range(32)), key()))
    assert told.anchor == "1234:00010203-04050607-08090a0b-0c0d0e0f"
    for text in (told.anchor, told.anchor.replace("-", ""), f" {told.anchor.upper().replace('-', ' ')} "):
        assert checkpoint.anchor(text) == (1234, bytes(range(16)).hex())
    for text in (
        "",
        "12",
        "12:ab",
        "0:" + 32 * "a",
        ":" + 32 * "a",
        told.anchor[:-1],
        "1:" + 65 * "a",
        "x:" + 32 * "a",
    ):
        with pytest.raises(ValueError, match="no anchor"):
            checkpoint.anchor(text)


def test_a_trail_that_is_behind_its_checkpoint_is_not_gone_on_with(path: Path) -> None:
    """An older copy that was put back, or a file begun anew: told at the opening, and nobody acts."""
    folder = path.with_name("trail-checkpoints")
    held = bytes.fromhex(at(path, COUNT).digits)
    checkpoint.keep(folder, note_of(COUNT, held, key()))
    Trail(path).close()
    checkpoint.keep(folder, note_of(COUNT + 1, held, key()))
    with pytest.raises(TrailError, match=f"its checkpoint of 2026-09-21T14:13:20Z names entry {COUNT + 1}"):
        Trail(path)
    path.unlink()
    with pytest.raises(TrailError, match="names entry"):
        Trail(path)


def test_kept_checkpoints_come_back_oldest_first(tmp_path: Path) -> None:
    """Each in a file of its own; what is none, or a link, is told or passed over."""
    folder = tmp_path / "trail-checkpoints"
    kept = [note_of(number, bytes([number % 256]) * 32, key()) for number in (5, 1000, 99)]
    for one in kept:
        checkpoint.keep(folder, one)
    assert [checkpoint.read(text).number for _, text in checkpoint.notes(folder)] == [5, 99, 1000]
    (folder / "0000000002000.note").write_text("nonsense")
    (folder / "readme").write_text("not a note")
    newest = checkpoint.newest(folder)
    assert newest is not None
    assert newest.number == 1000
    (folder / "0000000003000.note").symlink_to("/etc/passwd")
    with pytest.raises(TrailError, match="a link"):
        list(checkpoint.notes(folder))
