"""Laws of damage at rest on the low side: no file that rots stops catch, hides a block or invents one."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from low_disk import S, T, block, journaled, killed, open_journal

from protocol.block import BlockKind
from protocol.limits import MISSING_AFTER
from protocol.store.reader import walk
from protocol.store.record import HEAD
from protocol.wire.beat import Beat, StreamTotals
from receiver.catch.gaps import Gaps
from receiver.catch.store.floors import Floors
from receiver.catch.store.journal import SAVE_PERIOD, TIDY_PERIOD, Journal

SECOND = 10**9


class Low:
    """Catch's parts without threads and sockets: what is received is counted and journaled."""

    def __init__(self, state: Path, *, most: float = 1e12, segment: int = 5000) -> None:
        self.now = 0.0
        self.journal: Journal = open_journal(state, most=most, segment=segment)
        self.gaps = Gaps({key: held.stream(0) for key, held in self.journal.ledger.streams.items()})

    def take(self, number: int, stream: bytes = S, *, sync: bool = True) -> bool:
        """A block comes; False where it is held to be here already."""
        if number in self.gaps.held.get(stream, ()):
            return False
        how = self.gaps.how(stream, number, repaired=False)
        self.gaps.accept(stream, number, how)
        order = self.journal.ledger.order(stream, self.journal.floors.lowered)
        self.journal.append(block(number, stream=stream, how=how, order=order), self.now)
        return self.journal.sync(self.now) if sync else True

    def beat(self, finished: int, *streams: bytes, oldest: int = 0) -> None:
        """The sender says how much it sent of some streams."""
        told = tuple(
            StreamTotals(stream=stream, oldest=oldest, sealed=finished, finished=finished) for stream in streams or (S,)
        )
        beat = Beat(session=1, boot=1, counter=1, wall_ns=0, synced=1, streams=told, frames=0, bytes=0)
        self.gaps.hear(beat, self.now, 0)
        self.gaps.tick(self.now + MISSING_AFTER)

    def second(self) -> None:
        """A second passes."""
        self.now += TIDY_PERIOD
        self.journal.tick(self.now)
        self.journal.ledger.remember(self.gaps.outlooks())
        while self.journal.damaged:
            self.gaps.damage(*self.journal.damaged.popleft(), 0)

    def save(self) -> None:
        """What is done once a minute."""
        self.second()
        self.now += SAVE_PERIOD
        self.journal.tick(self.now)

    def held(self, stream: bytes = S) -> set[int]:
        """Numbers that count as here."""
        return {number for first, after in self.gaps.held.get(stream, ()) for number in range(first, after)}

    def asked(self, stream: bytes = S) -> set[int]:
        """Numbers that count as missing."""
        return {n for gap in self.gaps.gaps(0) if gap.stream == stream for n in range(gap.first, gap.after)}

    def adds_up(self) -> bool:
        """Each expected block is in one class."""
        counts = self.gaps.counts()
        parts = counts.whole + counts.repaired + counts.healed + counts.missing + counts.expired
        return parts == counts.expected and counts.missing == sum(len(self.asked(key)) for key in self.gaps.streams)

    def kill(self) -> None:
        """As a kill -9."""
        killed(self.journal)


def segment(state: Path, number: int = 1) -> Path:
    """A segment's file."""
    return state / "journal" / "segments" / f"{number:010d}.seg"


def spoil(path: Path, at: int, size: int = 1) -> None:
    """Flip every bit of some bytes."""
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes(byte ^ 255 for byte in data[at : at + size])
    path.write_bytes(data)


def length() -> int:
    """Bytes of a record of the tests."""
    return block(0).length


def test_a_damaged_record_is_missing_asked_for_and_taken_again(tmp_path: Path) -> None:
    """Found at the start: its number is not held any more, has no repeat to wait for, and a kill keeps all of that."""
    low = Low(tmp_path, segment=1 << 20)
    assert all(low.take(number) for number in range(20))
    low.beat(20)
    low.save()
    low.kill()
    spoil(segment(tmp_path), 7 * length() + HEAD.size + 60)
    for _ in range(2):
        low = Low(tmp_path, segment=1 << 20)
        assert any("cannot be read in one place" in line for line in low.journal.warnings)
        assert low.asked() == {7}
        (gap,) = low.gaps.gaps(0)
        assert (gap.damaged, gap.heals_ns) == (True, None)
        assert (low.gaps.counts().damaged, low.gaps.counts().whole) == (1, 19)
        low.save()
        low.kill()
    low = Low(tmp_path, segment=1 << 20)
    assert not low.take(6)
    assert low.take(7)
    for one in (low, None):
        if one is None:
            low.kill()
            low = Low(tmp_path, segment=1 << 20)
        assert low.held() == set(range(20))
        assert (low.gaps.counts().healed, low.gaps.counts().damaged) == (1, 0)
        assert low.adds_up()
    low.kill()


def test_a_damaged_record_that_the_sender_keeps_no_more_is_expired(tmp_path: Path) -> None:
    """Nothing brings it again, and it does not count as whole for that."""
    low = Low(tmp_path, segment=1 << 20)
    assert all(low.take(number) for number in range(20))
    low.beat(20, oldest=10)
    low.save()
    low.kill()
    spoil(segment(tmp_path), 7 * length() + HEAD.size + 60)
    low = Low(tmp_path, segment=1 << 20)
    counts = low.gaps.counts()
    assert (counts.whole, counts.missing, counts.expired) == (19, 0, 1)
    assert low.take(7)
    low.kill()


def test_what_an_output_meets_is_looked_at_here_and_asked_for(tmp_path: Path) -> None:
    """A report names bytes; the number is found from the disk, is missing within a second, and once healed stays so."""
    low = Low(tmp_path)
    for number in range(60):
        low.take(number)
    low.save()
    spoil(segment(tmp_path, 2), 3 * length() + HEAD.size + 60)
    first = min(number for first, _ in low.journal.store.segments[1].streams[S] for number in (first,))
    report = {"places": [[2, 3 * length(), 4 * length()], [2, 5 * length(), 6 * length()]]}
    (tmp_path / "damaged-historian.json").write_text(json.dumps(report))
    low.second()
    low.second()
    assert low.asked() == {first + 3}
    assert low.held() == set(range(60)) - {first + 3}
    low.kill()
    low = Low(tmp_path)
    assert low.asked() == {first + 3}
    assert low.take(first + 3)
    low.save()
    (tmp_path / "damaged-influx.json").write_text(json.dumps(report))
    for _ in range(3):
        low.second()
        assert low.held() == set(range(60))
    low.kill()
    low = Low(tmp_path)
    low.second()
    low.second()
    assert low.held() == set(range(60))
    assert low.adds_up()
    low.kill()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nothing",
        "[]",
        "{}",
        '{"places": 5}',
        '{"places": "abc"}',
        '{"places": {"a": 1}}',
        '{"places": [5, "x", null, [], [1], [1, 2], [1, "0", "9"], [1, 0, 1e300], [1.0, 0, 5], [[1], [2], [3]]]}',
        '{"places": [[1, -5, 100], [1, 100, 5], [1, 0, 1180591620717411303424], [1180591620717411303424, 0, 5]]}',
        '{"places": [[0, 0, 5], [-1, 0, 5], [99, 0, 5], [true, false, true]]}',
        json.dumps({"places": [[number, 0, 4000] for number in range(1, 9)] * 200}),
        json.dumps({"places": [[number, at, at + 1] for number in range(1, 9) for at in range(100)]}),
        "[" * 100_000,
        '{"places":' * 50_000,
        "x" * 300_000,
    ],
)
def test_a_report_is_not_believed(tmp_path: Path, content: str) -> None:
    """Whatever it says, of whatever shape: no block that is whole is forgotten, and nothing is raised."""
    low = Low(tmp_path)
    for number in range(60):
        low.take(number)
    (tmp_path / "damaged-historian.json").write_text(content)
    (tmp_path / "damaged-folder.json").mkdir()
    (tmp_path / "damaged-link.json").symlink_to(tmp_path / "floor.json")
    for _ in range(20):
        low.second()
    assert low.held() == set(range(60))
    assert not low.journal.damaged
    low.kill()


def test_an_older_journal_is_told_and_what_it_lacks_is_asked_for(tmp_path: Path) -> None:
    """Restored from a backup: what came since then and the sender may keep is missing, what retention took is not."""
    low = Low(tmp_path, most=12_000)
    for number in range(100):
        low.take(number)
    low.save()
    low.kill()
    shutil.copytree(tmp_path / "journal", tmp_path / "backup")
    kept = {number for _, number in journaled(tmp_path)}
    low = Low(tmp_path, most=12_000)
    for number in range(100, 200):
        low.take(number)
    low.beat(200)
    low.save()
    low.kill()
    shutil.rmtree(tmp_path / "journal")
    (tmp_path / "backup").rename(tmp_path / "journal")
    low = Low(tmp_path)
    assert any("older" in line for line in low.journal.warnings)
    taken = {number for first, after in low.journal.ledger.streams[S].taken for number in range(first, after)}
    assert low.asked() == set(range(200)) - taken - kept
    assert low.asked() >= set(range(170, 200))
    assert low.held() == taken | kept
    assert all(low.take(number) for number in low.asked())
    low.save()
    low.kill()
    low = Low(tmp_path)
    assert low.held() == set(range(200))
    low.kill()


@pytest.mark.parametrize("index", [True, False])
def test_a_segment_that_is_gone_is_asked_for_and_what_retention_took_is_not(tmp_path: Path, index: bool) -> None:
    """The file alone, or with its index: its numbers are missing; those below the retention's edge stay whole."""
    low = Low(tmp_path, most=30_000)
    for number in range(300):
        low.take(number)
    low.beat(300)
    low.save()
    gone = low.journal.store.segments[2]
    inside = {number for first, after in gone.streams[S] for number in range(first, after)}
    low.kill()
    segment(tmp_path, gone.number).unlink()
    if index:
        segment(tmp_path, gone.number).with_suffix(".idx").unlink()
    low = Low(tmp_path)
    assert low.asked() == inside
    assert low.held() == set(range(300)) - inside
    low.kill()


def test_numbers_that_only_their_leaves_know_are_asked_for(tmp_path: Path) -> None:
    """The segment was cut below what was synced, back to before the last save: no index and no file knows the rest."""
    low = Low(tmp_path, segment=1 << 20)
    for number in range(10):
        low.take(number)
    low.save()
    for number in range(10, 30):
        low.take(number)
    low.kill()
    with segment(tmp_path).open("r+b") as file:
        file.truncate(12 * length())
    low = Low(tmp_path, segment=1 << 20)
    assert low.asked() == set(range(12, 30))
    assert low.held() == set(range(12))
    assert low.journal.warnings
    low.kill()


@pytest.mark.parametrize("pattern", [b"[", b'{"place":', b"\xff" * 32])
def test_leaves_that_repeat_are_no_leaves(tmp_path: Path, pattern: bytes) -> None:
    """A stream's file and its leaves both damaged: what is in no segment is not held for what the leaves now say."""
    low = Low(tmp_path, most=12_000)
    for number in range(0, 200, 2):
        low.take(number)
    low.save()
    low.kill()
    kept = {number for _, number in journaled(tmp_path)}
    (tmp_path / "accepted" / f"{S.hex()}.json").write_text("[" * 100_000)
    (tmp_path / "journal" / "leaves" / f"{S.hex()}.leaf").write_bytes(pattern * 5000)
    low = Low(tmp_path)
    low.beat(200)
    assert low.held() == kept
    assert low.asked() == set(range(200)) - kept
    low.kill()


def test_a_lowered_order_stays_with_the_streams_that_came_after_it(tmp_path: Path) -> None:
    """A stream keeps the count it began with, over restarts and without its file; a damaged floor.json loses none."""
    low = Low(tmp_path)
    low.take(0, S)
    low.journal.floors = Floors(link=(5, 5), lowered=1)
    low.take(1, S)
    low.take(0, T)
    low.save()
    low.kill()
    (tmp_path / "floor.json").write_text('{"link": [5')
    low = Low(tmp_path)
    assert low.journal.floors == Floors(lowered=1)
    assert (low.journal.ledger.streams[S].order, low.journal.ledger.streams[T].order) == (0, 1)
    low.kill()
    for name in ("floor.json", "accepted"):
        path = tmp_path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    low = Low(tmp_path)
    assert low.journal.floors.lowered == 1
    third = b"stream-3"
    for number in (2, 3):
        for stream in (S, T, third):
            low.take(number, stream)
        low.journal.floors = Floors(lowered=2)
    assert sorted(orders(low.journal)) == [(S, 0), (T, 1), (third, 1)]
    low.kill()


@pytest.mark.parametrize("lost", ["the stream's file", "all of accepted/"])
@pytest.mark.parametrize("hurt", range(3))
def test_a_flipped_mark_of_order_is_outvoted(tmp_path: Path, lost: str, hurt: int) -> None:
    """No hash covers it, but each record repeats it: a stream whose file is lost keeps what most of them say."""
    journal = open_journal(tmp_path)
    for number, kind in enumerate((BlockKind.OPEN, BlockKind.EPOCH, BlockKind.HEAD, BlockKind.BATCH)):
        journal.append(block(number, kind=kind, order=1), 0.0)
    journal.sync(0.0)
    journal.save(0.0)
    killed(journal)
    shutil.rmtree(tmp_path / "accepted") if "all" in lost else (tmp_path / "accepted" / f"{S.hex()}.json").unlink()
    for path in (segment(tmp_path), tmp_path / "journal" / "kept" / f"{S.hex()}.seg"):
        data = bytearray(path.read_bytes())
        data[hurt * length() + 23] ^= 64
        path.write_bytes(data)
    journal = open_journal(tmp_path)
    assert journal.ledger.order(S, 0) == 1
    assert journal.ledger.lowered == 1
    killed(journal)


def orders(journal: Journal) -> set[tuple[bytes, int]]:
    """What the journal's records are marked with."""
    out: set[tuple[bytes, int]] = set()
    walk(journal.store.folder, lambda _, one: out.add((one.stream, one.order)))
    return out


def test_a_record_that_says_no_way_of_coming_counts_as_whole(tmp_path: Path) -> None:
    """The byte `how` is not hashed: any value of it is taken."""
    low = Low(tmp_path)
    low.take(0)
    low.kill()
    for value in (3, 77, 255):
        data = bytearray(segment(tmp_path).read_bytes())
        data[22] = value
        segment(tmp_path).write_bytes(data)
        low = Low(tmp_path)
        assert low.gaps.counts().whole == 1
        low.kill()


def _cut(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size + 1)])


def _zero(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    at, size = chance.randrange(len(data) + 1), chance.choice((1, 64, 700, 4096))
    data[at : at + size] = bytes(len(data[at : at + size]))
    path.write_bytes(data)


def _flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _garbage(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    at, size = chance.randrange(len(data) + 1), chance.choice((1, 64, 700))
    data[at : at + size] = chance.randbytes(len(data[at : at + size]))
    path.write_bytes(data)


def _longer(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + bytes(chance.randrange(1, 300)))


def _gone(path: Path, chance: random.Random) -> None:
    path.unlink()


def _types(path: Path, chance: random.Random) -> None:
    path.write_text(chance.choice(("[]", "{}", "null", '{"place": "x"}', "[[[[", "5", '{"held": {"a": [1]}}')))


def _nested(path: Path, chance: random.Random) -> None:
    path.write_text(chance.choice(("[", '{"place":')) * 100_000)


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (
    *(_cut, _zero, _flip, _garbage, _longer, _gone, _types, _nested),
)


@pytest.mark.parametrize("seed", range(120))
def test_no_damage_at_rest_hides_or_invents_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Any file damaged between two runs: no exception, the counts add up, what is held can be read or was taken by
    retention, what can be read is held, and all the rest is taken when it is sent again, and stays.
    """
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no power cut here: what was written can be read
    monkeypatch.setattr(os, "fdatasync", lambda file: None)
    chance = random.Random(seed)
    low = Low(tmp_path, most=chance.choice((1e12, 20_000)))
    low.journal.floors = Floors(link=(7, 7), beat=(7, 70), confirmed=True, lowered=chance.randrange(3))
    floors = low.journal.floors
    for number in range(150):
        for stream in (S, T):
            if chance.random() < 0.85:
                low.take(number, stream, sync=chance.random() < 0.7)
        if chance.random() < 0.1:
            low.beat(number, S, T)
        if chance.random() < 0.05:
            low.save()
    low.journal.sync(low.now)
    if chance.random() < 0.5:
        low.save()
    before = {stream: low.held(stream) for stream in (S, T)}
    taken = {stream: before[stream] - {n for key, n in journaled(tmp_path) if key == stream} for stream in (S, T)}
    low.kill()
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("lock",))
    hurt = chance.choice(files)
    how = chance.choice(DAMAGES)
    how(hurt, chance)
    case = f"seed {seed}: {how.__name__} {hurt.relative_to(tmp_path)}"
    low = Low(tmp_path)
    assert low.journal.floors in (floors, Floors(lowered=floors.lowered)), case
    met = [[one.start.segment, one.start.offset, one.end.offset] for one in walk(tmp_path / "journal", lambda *_: None)]
    (tmp_path / "damaged-output.json").write_text(json.dumps({"places": met}))
    for _ in range(3):
        low.second()
    low.beat(150, S, T)
    assert low.adds_up(), case
    for stream in (S, T):
        readable = {number for key, number in journaled(tmp_path) if key == stream}
        assert readable <= low.held(stream), case
        assert low.held(stream) <= readable | taken[stream], case
        assert low.asked(stream) >= set(range(150)) - low.held(stream), case
        for number in low.asked(stream):
            assert low.take(number, stream), case
    low.save()
    low.kill()
    low = Low(tmp_path)
    assert low.adds_up(), case
    for stream in (S, T):
        assert low.held(stream) >= set(range(150)), case
        assert {n for key, n in journaled(tmp_path) if key == stream} | taken[stream] >= set(range(150)), case
    low.kill()
