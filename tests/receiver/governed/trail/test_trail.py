"""Laws of the trail: in order, durable, and nothing handed out that does not fit its hashes."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import trail_entries
from trail_entries import Disk, entry, filled, some_entries, tampered

from receiver.governed.trail import trail as trail_module
from receiver.governed.trail.entry import TrailEntry, TrailRecord
from receiver.governed.trail.form import BEGINNING, body_of, governs, hash_of, mark_key, read_body
from receiver.governed.trail.trail import MARK_AT, Trail
from receiver.governed.trail.trail_error import TrailError
from receiver.governed.trail.trail_reader import TrailReader
from receiver.governed.trail.verifying import Witness, verify

ROOT = Path(__file__).parents[4]


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    made = Trail(tmp_path / "trail.db")
    yield made
    made.close()


def at_once(trail: Trail, work: Sequence[Callable[[], object]]) -> None:
    """Run each in a thread, all of which leave their wish before one is written."""
    threads = [threading.Thread(target=one) for one in work]
    with trail._pen:
        for one in threads:
            one.start()
        while len(trail._wishes) < len(work):
            threads[0].join(0.001)
    for one in threads:
        one.join()


def test_what_was_noted_is_read_again_in_its_order(trail: Trail) -> None:
    """Numbers count from 1, each hash is made of the one before, and every text comes back as it was."""
    entries = some_entries(1500, seed=2)
    told = [record for at in range(0, 1500, 100) for record in trail.note(entries[at : at + 100])]
    assert [record.number for record in told] == list(range(1, 1501))
    assert [record.entry for record in told] == entries
    assert list(trail.records()) == told
    assert list(trail.records(1499)) == told[1499:]
    assert [record.number for record in trail.governing()] == [one.number for one in told if governs(one.entry)]
    held, governing = BEGINNING, 0
    for record in told:
        held = hash_of(held, body_of(record.entry, record.number, governing))
        assert record.hash == held
        governing = record.number if governs(record.entry) else governing


def test_who_decides_sees_what_others_decided_before(tmp_path: Path, trail: Trail) -> None:
    """`decide` is handed the governing records that its register has not taken, in the transaction that appends."""
    other = Trail(tmp_path / "trail.db")
    seen: list[list[int]] = []

    def decide(new: Sequence[TrailRecord]) -> list[TrailEntry]:
        seen.append([record.number for record in new])
        return [entry("grant.given")]

    trail.note([entry(), entry("request.made")])
    assert other.act(0, decide)[0].number == 3
    assert trail.act(2, decide)[0].number == 4
    assert other.act(3, lambda new: decide(new) and []) == []
    assert seen == [[2], [3], [4]]
    other.close()


def test_a_refused_act_writes_nothing(trail: Trail) -> None:
    """What `decide` raises reaches the caller, and the next act goes on as if it had not been."""

    def refuse(new: Sequence[TrailRecord]) -> list[TrailEntry]:
        raise PermissionError("the asker is the approver")

    with pytest.raises(PermissionError):
        trail.act(0, refuse)
    assert [record.number for record in trail.act(0, lambda new: [entry("grant.given")])] == [1]


def test_an_entry_that_cannot_be_written_down_harms_no_other(trail: Trail) -> None:
    """A fact that JSON does not have, or a kind that is none, is the caller's mistake; others of its group go on."""
    outcome: list[object] = []

    def note(one: TrailEntry) -> None:
        try:
            outcome.append(trail.note([one])[0].entry.kind)
        except ValueError:
            outcome.append(ValueError)

    bad = [entry(x=float("nan")), entry("Read"), entry(x=object()), entry(x="y" * (1 << 20)), entry(at_ns=1 << 63)]
    at_once(trail, [lambda one=one: note(one) for one in [*bad, entry("read.live"), *bad]])  # type: ignore[misc]
    assert sorted(map(str, outcome)) == sorted([str(ValueError)] * 10 + ["read.live"])
    assert len(list(trail.records())) == 1


def test_many_who_note_at_once_share_a_sync(trail: Trail) -> None:
    """Those that come while one writes are written by the next, together."""
    commits: list[str] = []
    trail._writer.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
    told: list[TrailRecord] = []
    at_once(trail, [lambda n=n: told.extend(trail.note([entry(n=n)])) for n in range(10)])  # type: ignore[misc]
    assert sorted(one.number for one in told) == list(range(1, 11))
    assert list(trail.records()) == sorted(told, key=lambda one: one.number)
    assert len(commits) == 1


def test_coroutines_note_without_stopping_their_loop(trail: Trail) -> None:
    """Each gets its own records back."""

    async def crowd() -> list[list[TrailRecord]]:
        return await asyncio.gather(*(trail.note_async([entry(n=n)]) for n in range(20)))

    told = asyncio.run(crowd())
    assert [one[0].entry.facts["n"] for one in told] == list(range(20))
    assert sorted(one[0].number for one in told) == list(range(1, 21))


def test_an_entry_is_on_its_way_to_the_disk_before_its_coroutine_goes_on(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the coroutine computes next, and a slow disk, take the longer of both times and not their sum."""
    monkeypatch.setattr(trail_module, "HAND_S", 20.0)
    trail._writer = disk = Disk(trail._writer)  # type: ignore[assignment]
    disk.held.clear()

    async def answer() -> int:
        waiting = trail.note_async([entry()])
        begun = trail._writer.in_transaction
        assert not waiting.done()
        second = trail.note_async([entry()])  # while the disk is busy nobody stands back for it
        disk.held.set()
        assert begun
        return (await waiting)[0].number + (await second)[0].number

    assert asyncio.run(answer()) == 3


def test_a_coroutine_that_left_takes_nothing_with_it(trail: Trail) -> None:
    """Its entry is on record all the same, and so are the others of its group."""

    async def crowd() -> list[TrailRecord]:
        left, stayed = trail.note_async([entry(n=0)]), trail.note_async([entry(n=1)])
        left.cancel()
        return await stayed

    assert asyncio.run(crowd())[0].entry.facts["n"] == 1
    assert [one.entry.facts["n"] for one in trail.records()] == [0, 1]


def test_a_page_is_what_a_look_at_every_entry_finds(trail: Trail) -> None:
    """By who, kind, subject, grant and asset, alone and together, page by page: the newest first, none left out."""
    seed = 5
    entries = some_entries(400, seed)
    trail.note(entries)
    chance = random.Random(seed)
    for _ in range(60):
        kinds = chance.sample(("read", "read.page", "grant", "session.opened", "none.such"), chance.randrange(3))
        who = chance.sample(("p-1", "p-2", "p-9"), chance.randrange(3))
        grant = chance.sample(("g-1", "g-5"), chance.randrange(2))
        asset = chance.sample(("pump-0", "pump-3", "mixer 7\n\x1b[31m"), chance.randrange(3))
        want = [
            number
            for number, one in reversed(list(enumerate(entries, 1)))
            if (not kinds or one.kind in kinds or one.subject in kinds)
            and (not who or one.who in who)
            and (not grant or one.facts["grant"] in grant)
            and (not asset or set(one.facts["assets"]) & set(asset))  # type: ignore[arg-type]
        ]
        got: list[int] = []
        while page := trail.page(
            before=got[-1] if got else None, limit=37, kinds=kinds, who=who, grant=grant, asset=asset
        ):
            assert len(page) == min(37, len(want) - len(got))
            got += [record.number for record in page]
        assert got == want, (seed, kinds, who, grant, asset)


def unmarked(path: Path) -> tuple[int, int]:
    """Up to which entry there are marks, and the last entry."""
    with sqlite3.connect(path) as opened:
        found = opened.execute("SELECT (SELECT max(number) FROM marked), (SELECT max(number) FROM entry)").fetchone()
    opened.close()
    return found[0] or 0, found[1] or 0


def looks(count: int) -> list[TrailEntry]:
    """Entries that govern nothing, of a few people and assets."""
    return [entry(who=f"p-{at % 3}", assets=[f"pump-{at % 4}"], at=at) for at in range(count)]


def test_a_look_without_marks_is_found_like_any_other(tmp_path: Path, trail: Trail) -> None:
    """Whoever searches meets entries that nobody made marks for yet, at the border too; an act leaves none of them."""
    path, entries = tmp_path / "trail.db", looks(2 * MARK_AT + 15)
    for at in range(0, len(entries), 30):
        trail.note(entries[at : at + 30])
        marked, last = unmarked(path)
        assert last - marked < MARK_AT
        want = [number for number, one in reversed(list(enumerate(entries[:last], 1))) if one.who == "p-2"]
        for before in (None, marked, marked + 1, marked + 2, last):
            asked = [number for number in want if before is None or number < before]
            assert [one.number for one in trail.page(limit=10**6, before=before, who=["p-2"])] == asked
    marked, last = unmarked(path)
    assert 0 < marked < last
    assert verify(path, random=random.Random(1).randrange).sound
    assert [one.number for one in trail.page(limit=3, who=["p-0"], asset=["pump-0"])] == [205, 193, 181]
    trail.act(0, lambda new: [entry("grant.given")])
    assert unmarked(path) == (last + 1, last + 1)
    assert verify(path, random=random.Random(1).randrange).sound


def copied(path: Path, folder: Path) -> Path:
    """The files as a kill leaves them: the database and its log."""
    folder.mkdir()
    for one in path.parent.glob(f"{path.name}*"):
        shutil.copy(one, folder)
    return folder / path.name


def test_killed_before_marks_are_made_nothing_is_lost(tmp_path: Path, trail: Trail) -> None:
    """The next process finds every acknowledged entry, and makes the marks as it goes on."""
    entries = looks(MARK_AT - 1)
    for one in entries:
        trail.note([one])
    path = copied(tmp_path / "trail.db", tmp_path / "killed")
    assert unmarked(path) == (0, len(entries))
    other = Trail(path)
    assert [one.entry for one in other.records()] == entries
    assert [one.number for one in other.page(limit=2, asset=["pump-1"])] == [98, 94]
    assert other.note([entry()])[0].number == MARK_AT
    assert unmarked(path) == (MARK_AT, MARK_AT)
    other.close()


def test_of_a_torn_end_of_the_log_only_what_nobody_was_told_is_missing(tmp_path: Path, trail: Trail) -> None:
    """A commit that reached the disk in part is none, whatever part; the trail goes on at its number."""
    for one in looks(6):
        trail.note([one])
    whole = (tmp_path / "trail.db-wal").stat().st_size
    trail.note([entry(word="not acknowledged")])
    end = (tmp_path / "trail.db-wal").stat().st_size
    for cut in (1, 500, end - whole - 1):
        path = copied(tmp_path / "trail.db", tmp_path / str(cut))
        os.truncate(f"{path}-wal", end - cut)
        assert verify(path, random=random.Random(1).randrange).entries == 6
        last = trail.at(7)
        witness = Witness(number=7, digits=last.hash.hex(), told="a checkpoint")
        assert "its end was cut off" in verify(path, [witness], random=random.Random(1).randrange).faults[0].text
        other = Trail(path)
        assert other.note([entry()])[0].number == 7
        other.close()


def test_many_of_every_kind_at_once_make_one_chain(tmp_path: Path, trail: Trail) -> None:
    """Coroutines, threads and acts, and another process's: each gets its own records, and the whole verifies."""
    other = Trail(tmp_path / "trail.db")

    async def crowd() -> list[list[TrailRecord]]:
        sides = (trail, other)
        begun = [sides[n % 2].note_async([entry(n=n), entry(n=n)]) for n in range(40)]
        acts = [asyncio.to_thread(sides[n % 2].act, 0, lambda new, n=n: [entry("grant.given", n=n)]) for n in range(6)]  # type: ignore[misc]
        notes = [asyncio.to_thread(sides[n % 2].note, [entry(n=n)]) for n in range(20)]
        told: list[list[TrailRecord]] = await asyncio.gather(*begun, *acts, *notes)
        return told

    told = asyncio.run(crowd())
    wanted = [*range(40), *range(6), *range(20)]
    assert [[one.entry.facts["n"] for one in records] for records in told] == [
        [n] * (2 if at < 40 else 1) for at, n in enumerate(wanted)
    ]
    assert sorted(one.number for records in told for one in records) == list(range(1, 107))
    other.close()
    assert verify(tmp_path / "trail.db", random=random.Random(1).randrange).sound


def test_an_index_that_claims_more_than_there_is_is_refused(tmp_path: Path) -> None:
    """Otherwise nobody would look at the entries after it one by one, and they would be kept back."""
    path = tmp_path / "trail.db"
    trail = Trail(path)
    trail.note(looks(5))
    tampered(path, "INSERT INTO marked VALUES (9)")
    with pytest.raises(TrailError, match="index goes up to entry 9"):
        trail.note([entry()])
    with pytest.raises(TrailError, match="up to which its index goes"):
        trail.page(who=["p-1"])
    trail.close()
    assert "index goes up to entry 9" in verify(path, random=random.Random(1).randrange).faults[0].text
    tampered(path, "DELETE FROM marked", "INSERT INTO marked VALUES (4)")
    assert "the index" in verify(path, random=random.Random(1).randrange).faults[0].text


def test_a_trail_of_an_earlier_build_is_read_and_gone_on_with(tmp_path: Path) -> None:
    """Without `marked` every entry has its marks: readers take it as it is, who writes brings it up to date."""
    path = tmp_path / "trail.db"
    entries = filled(path, 60)
    earlier = [f"DROP TRIGGER {name}" for name in ("marked_update", "marked_delete")] + ["DROP TABLE marked"]
    with sqlite3.connect(path) as opened:
        for statement in (*earlier, "PRAGMA user_version=1"):
            opened.execute(statement)
    opened.close()
    reader = TrailReader(path)
    assert [one.entry for one in reader.records()] == entries
    assert len(reader.page(limit=99, who=["p-1"])) == sum(one.who == "p-1" for one in entries)
    reader.close()
    assert verify(path, random=random.Random(1).randrange).sound
    trail = Trail(path)
    assert unmarked(path) == (60, 60)
    assert trail.note([entry()])[0].number == 61
    assert verify(path, random=random.Random(1).randrange).sound
    trail.close()


def test_a_full_disk_is_said_and_survived(trail: Trail) -> None:
    """Nothing is half written; once there is room the next note is the next number."""
    trail.note([entry()])
    pages = trail._writer.execute("PRAGMA page_count").fetchone()[0]
    trail._writer.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(TrailError, match="disk is full"):
        trail.note(some_entries(500, 3))
    with pytest.raises(TrailError, match="disk is full"):
        trail.act(0, lambda new: some_entries(500, 3))
    trail._writer.execute("PRAGMA max_page_count=1000000")
    assert trail.note([entry()])[0].number == 2


def test_a_disk_that_fails_in_the_middle_is_survived(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even rolling back works the connection is given up, and the next note takes up what is there."""
    trail.note([entry()])

    def failing(entries: Sequence[TrailEntry]) -> None:
        trail._writer.close()
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(trail, "_append", failing)
        with pytest.raises(TrailError, match="disk I/O error"):
            trail.note([entry()])
    assert trail.note([entry()])[0].number == 2


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entry SET body = replace(body, 'p-', 'q-') WHERE number = 40", "does not fit the hash"),
        ("UPDATE entry SET hash = zeroblob(32) WHERE number = 40", "does not fit|not there any more"),
        ("DELETE FROM entry WHERE number = 40", "not there any more"),
        ("DELETE FROM entry WHERE number > 20", "not there any more"),
    ],
)
def test_nothing_is_appended_to_an_end_that_is_not_what_was_written(tmp_path: Path, statement: str, said: str) -> None:
    """A running process finds it before it writes, and one that starts finds what the end alone can show."""
    path = tmp_path / "trail.db"
    trail = Trail(path)
    trail.note(some_entries(40, 4))
    tampered(path, statement)
    with pytest.raises(TrailError, match=said):
        trail.note([entry()])
    with pytest.raises(TrailError, match=said):
        trail.act(0, lambda new: [])
    trail.close()


def test_a_changed_record_is_handed_to_nobody(tmp_path: Path) -> None:
    """Neither to a register, nor to a page, nor to a report; the entries around it are."""
    path = tmp_path / "trail.db"
    entries = filled(path, 60)
    changed = next(number for number, one in enumerate(entries, 1) if governs(one) and number > 10)
    tampered(path, f"UPDATE entry SET body = replace(body, 'p-', 'q-') WHERE number = {changed}")
    trail = Trail(path)
    said = f"entry {changed} of the trail does not fit"
    with pytest.raises(TrailError, match=said):
        list(trail.governing())
    with pytest.raises(TrailError, match=said):
        trail.act(0, lambda new: [])
    with pytest.raises(TrailError, match=said):
        trail.page(limit=60)
    with pytest.raises(TrailError, match=said):
        list(trail.records())
    assert len(trail.page(limit=60 - changed)) == 60 - changed
    trail.close()


def test_an_index_keeps_no_governing_entry_back(tmp_path: Path) -> None:
    """A revocation whose mark was taken away is missed: nobody goes on without it."""
    path = tmp_path / "trail.db"
    entries = filled(path, 80)
    numbers = [number for number, one in enumerate(entries, 1) if governs(one)]
    for at in (0, len(numbers) // 2, -1):
        copy = tmp_path / f"{at}.db"
        shutil.copy(path, copy)
        tampered(copy, f"DELETE FROM mark WHERE number = {numbers[at]} AND key = {mark_key('governing=')}")
        trail = Trail(copy)
        with pytest.raises(TrailError, match="kept back"):
            list(trail.governing())
        trail.close()


def test_a_file_that_was_exchanged_is_not_written(tmp_path: Path) -> None:
    """Another file under the name, or none: the open one would be written for nobody."""
    path = tmp_path / "trail.db"
    trail = Trail(path)
    trail.note([entry()])
    path.rename(tmp_path / "aside.db")
    with pytest.raises(TrailError):
        trail.note([entry()])
    filled(path, 3)
    with pytest.raises(TrailError, match="exchanged"):
        trail.note([entry()])
    trail.close()


@pytest.mark.parametrize("table", ["entry", "mark"])
def test_the_tables_refuse_by_themselves_what_is_no_appending(tmp_path: Path, table: str) -> None:
    """A mistake in a statement of ours, or of somebody at a prompt, changes nothing."""
    path = tmp_path / "trail.db"
    filled(path, 3)
    with sqlite3.connect(path) as other:
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET number = 9 WHERE number = 3"):
            with pytest.raises(sqlite3.IntegrityError, match="append only"):
                other.execute(statement)
        for number in (3, 5):
            with pytest.raises(sqlite3.IntegrityError, match="append only"):
                other.execute(f"INSERT OR REPLACE INTO entry VALUES ({number}, '', x'')")
    other.close()


@pytest.mark.parametrize("made", ["nothing of ours", "no trigger", "one more", "a link", "later"])
def test_a_file_that_is_no_trail_is_refused(tmp_path: Path, made: str) -> None:
    """Another program's, one whose guards were taken away, or a later build's: nothing is written into it."""
    path = tmp_path / "trail.db"
    if made == "a link":
        filled(tmp_path / "elsewhere.db", 1)
        path.symlink_to(tmp_path / "elsewhere.db")
    elif made == "nothing of ours":
        path.write_bytes(random.Random(1).randbytes(9000))
    else:
        filled(path, 1)
        statement = {
            "no trigger": "DROP TRIGGER entry_delete",
            "one more": "CREATE TRIGGER also AFTER INSERT ON entry BEGIN SELECT 1; END",
            "later": "PRAGMA user_version=3",
        }[made]
        with sqlite3.connect(path) as other:
            other.execute(statement)
        other.close()
    with pytest.raises(TrailError):
        Trail(path)


def test_members_and_kinds_of_a_later_build_are_read() -> None:
    """Old and new builds read each other's entries; what is no entry is told in words."""
    body = body_of(entry("read.page", n=1), 7, 3)
    later = body.replace(b'"read.page"', b'"blimp.flown"')[:-1] + b',"zone":[1]}'
    assert read_body(later, 7).entry.kind == "blimp.flown"
    assert read_body(later, 7).governing == 3
    for broken in (b"", b"7", b"[]", b"{}", body[:-1], body.replace(b'"at":', b'"at":true,"a":'), b"[" * 9000, b"\xff"):
        with pytest.raises(TrailError, match="entry 7"):
            read_body(broken, 7)
    with pytest.raises(TrailError, match="place of entry 8 of the trail stands entry 7"):
        read_body(body, 8)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Neither the file nor its log may be read by others; made by root, it belongs to who writes the history."""
    path = tmp_path / "trail.db"
    if os.geteuid() == 0:
        (tmp_path / "history").mkdir()
        os.chown(tmp_path / "history", 12345, 12345)
        os.chmod(tmp_path, 0o777)
        for above in tmp_path.parents[:3]:
            os.chmod(above, stat.S_IMODE(above.stat().st_mode) | 0o011)
    trail = Trail(path)
    trail.note([entry()])
    for one in tmp_path.glob("trail.db*"):
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
        assert one.stat().st_uid == (12345 if os.geteuid() == 0 else os.geteuid())
    trail.close()
    assert [one.name for one in tmp_path.glob("trail.db*")] == ["trail.db"]


def writer(path: Path, seed: int, count: int) -> subprocess.Popen[str]:
    """Another process that writes."""
    script = Path(trail_entries.__file__)
    return subprocess.Popen(
        [sys.executable, str(script), str(path), str(seed), str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(script.parent)])},
    )


def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Two processes write at once and are killed, again and again: one chain without a hole, and all they were told."""
    seed = 11
    chance = random.Random(seed)
    path = tmp_path / "trail.db"
    acknowledged: dict[int, str] = {}
    for life in range(3):
        pair = [writer(path, 2 * life + side, 10_000) for side in range(2)]
        for process in pair:
            assert process.stdout
            left = chance.randrange(20, 60)
            for line in process.stdout:
                if line.startswith("noted"):
                    acknowledged[int(line.split()[1])] = line.split()[2]
                    left -= 1
                    if not left:
                        process.send_signal(signal.SIGKILL)
                        break
        for process in pair:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("noted") and line.endswith("\n"):
                    acknowledged[int(line.split()[1])] = line.split()[2]
            assert process.wait() == -signal.SIGKILL
            process.stdout.close()
    trail = Trail(path)
    records = list(trail.records())
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    there = {record.number: record.entry.facts["word"] for record in records}
    assert acknowledged.items() <= there.items(), f"seed {seed}"
    assert len(acknowledged) > 120
    governing = [record for record in records if governs(record.entry)]
    assert list(trail.governing()) == governing
    sides = {record.entry.facts["word"].split("-")[0] for record in records}  # type: ignore[union-attr]
    assert len(sides) == 6
    trail.close()
