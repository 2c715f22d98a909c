"""Nothing that is journaled stays unpublished: whatever the order of blocks, whatever is damaged, after any restart."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from pathlib import Path

import pytest
from journal_blocks import OPEN, OTHER_OPEN, OTHER_SIGN, SIGN, Journal, Reading, Source, journal

from protocol.block import BlockKind
from protocol.ranges import Ranges
from protocol.store.record import Record
from protocol.store.resync import Place
from receiver.outputs.scope import Scope
from receiver.publish.place import StoredPlace
from receiver.publish.waiting import WaitingBlocks

__all__ = ["journal"]


def _smallest(source: Source) -> list[Record]:
    """A stream with one batch, whose ids are described on two pages."""
    return [source.open(), source.epoch(1), source.page(2, [0, 1]), source.page(3, [2]), source.batch(4, [0, 2])]


def _stream(source: Source) -> list[Record]:
    """Two epochs, pages in both, batches that need one page or two."""
    return [
        source.open(),
        source.epoch(1),
        source.page(2, [0, 1]),
        source.batch(3, [0, 1]),
        source.page(4, [2]),
        source.batch(5, [0, 2]),
        source.epoch(6, 2),
        source.batch(7, [1], 2),
        source.page(8, [3, 4], 2),
        source.batch(9, [2, 3, 4], 2),
        source.batch(10, [0]),
    ]


@pytest.mark.parametrize("kept", ["whole", "gone"])
def test_every_order_with_a_restart_anywhere_publishes_every_block_once(tmp_path: Path, kept: str) -> None:
    """OPEN, EPOCH, two pages and a batch in each of 120 orders, a restart before each of them and one at the end."""
    records = _smallest(Source())
    for order in itertools.permutations(range(5)):
        for restart in range(6):
            journal = Journal(tmp_path / f"{order}-{restart}")
            reading = Reading(journal.folder)
            for at, which in enumerate(order):
                if at == restart:
                    reading.start()
                journal.append([records[which]], kept=kept == "whole")
                reading.read()
            if restart == 5:
                reading.start()
                reading.read()
            assert reading.numbers() == [0, 1, 2, 3, 4], f"order {order}, restart before {restart}"


@pytest.mark.parametrize("seed", range(60))
def test_any_order_of_several_streams_and_any_restarts_publish_every_sample_once(tmp_path: Path, seed: int) -> None:
    """Three streams of two epochs, shuffled; segments end, processes end and kept files go at random; the seed is the
    test's number."""
    chance = random.Random(seed)
    sources = [Source(b"stream-%c" % at, boot=at) for at in b"abc"]
    blocks = [one for source in sources for one in _stream(source)]
    late = chance.random() < 0.5
    shuffled = sorted(blocks, key=lambda one: one.number + (chance.expovariate(0.2) if late else 99 * chance.random()))
    journal = Journal(tmp_path / "journal")
    reading = Reading(journal.folder)
    while shuffled:
        count = chance.randrange(1, 6)
        journal.append(shuffled[:count], kept=chance.random() < 0.8)
        del shuffled[:count]
        if chance.random() < 0.2:
            journal.next_segment()
        reading.read(chance.choice((0, 1, 3, 999)))
        if chance.random() < 0.4:
            reading.start()
    reading.read()
    for source in sources:
        assert reading.numbers(source.key) == list(range(11))
    assert len(reading.samples()) == len(set(reading.samples())) == 3 * 9
    assert not reading.opener.waiting
    assert not reading.opener.refused


# --- what was lost before ---------------------------------------------------------------------------------------------


def test_a_healed_epoch_and_a_clean_restart_publish_what_follows(journal: Journal) -> None:
    """EPOCH's first sending is lost, so the page stands before it in `kept/`; after a restart batches still open."""
    a = Source()
    journal.append([a.open(), a.page(2, [0]), a.batch(3, [0]), a.epoch(1)])
    reading = Reading(journal.folder)
    reading.read()
    reading.start()
    journal.append([a.batch(number, [0]) for number in range(4, 20)])
    reading.read()
    assert reading.numbers() == list(range(20))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_a_low_side_that_joins_late_publishes_what_comes_from_then_on(journal: Journal, order: tuple[int, ...]) -> None:
    """OPEN, EPOCH and page come by the carousel in any order, among newer batches, and publish is restarted."""
    a = Source()
    taught = [(a.open(), a.epoch(1), a.page(2, [0]))[at] for at in order]
    reading = Reading(journal.folder)
    for at, one in enumerate(taught):
        journal.append([a.batch(100 + at, [0]), one])
        reading.read()
        reading.start()
    journal.append([a.batch(103, [0])])
    reading.read()
    assert reading.numbers() == [0, 1, 2, 100, 101, 102, 103]


@pytest.mark.parametrize("wrong", ["open", "sign"])
def test_a_wrong_key_file_and_then_the_right_one_publish_everything(journal: Journal, wrong: str) -> None:
    """Whoever's mistake it was: nothing is refused for it, everything waits, and opens after a start with the key."""
    a = Source()
    journal.append(_stream(a))
    reading = Reading(journal.folder)
    reading.own, reading.signers = (OTHER_OPEN, [SIGN.public]) if wrong == "open" else (OPEN, [OTHER_SIGN.public])
    reading.start()
    reading.read()
    opened = [0] if wrong == "open" else []  # OPEN is signed, and not sealed
    assert reading.numbers() == opened
    assert reading.opener.waiting == 11 - len(opened)
    assert not reading.opener.refused
    reading.own, reading.signers = OPEN, [SIGN.public]
    reading.start()
    reading.read()
    assert reading.numbers() == list(range(11))
    assert not reading.opener.waiting


def test_a_place_with_many_waiting_blocks_stays_small_and_opens_them_all(journal: Journal) -> None:
    """Five thousand blocks without their EPOCH are one range; the place is written with every hand-over."""
    a = Source()
    journal.append([a.open(), a.page(2, [0]), *(a.batch(number, [0]) for number in range(3, 5000))])
    reading = Reading(journal.folder)
    reading.read()
    assert reading.opener.waiting == 4998
    assert isinstance(reading.place, bytes)
    assert len(reading.place) < 300
    reading.start()
    journal.append([a.epoch(1)])
    reading.read()
    assert reading.numbers() == list(range(5000))


def test_a_place_is_some_kilobytes_whatever_waits() -> None:
    """864,000 waiting blocks, no two of them neighbours, in each of 10,000 streams: all are covered, none exactly."""
    numbers = Ranges()
    for number in range(0, 2 * 864_000, 2):
        numbers.add(number)
    streams = [WaitingBlocks(b"%08d" % at, Place(9, 10_000 - at), 0.0, numbers=numbers) for at in range(10_000)]
    place = StoredPlace(Place(12, 5), None, tuple(streams)).to_bytes()
    assert len(place) < 16_000
    held = StoredPlace.from_bytes(place)
    assert all(one.numbers.top == numbers.top and not one.exact for one in held.waiting)
    told = {one.stream for one in held.waiting}
    assert held.at == min(one.at for one in streams if one.stream not in told)


def test_many_scattered_waiting_blocks_are_handed_on_again_rather_than_lost(journal: Journal) -> None:
    """Every other batch waits for a page: a restart has some doubles, and every sample."""
    a = Source()
    journal.append([a.open(), a.epoch(1), a.page(2, [0])])
    journal.append([a.batch(number, [number % 2]) for number in range(3, 400)])
    reading = Reading(journal.folder)
    reading.read()
    assert reading.opener.waiting == 199
    reading.start()
    journal.append([a.page(400, [1])])
    reading.read()
    assert sorted(set(reading.numbers())) == list(range(401))
    assert not reading.opener.refused


def test_many_waiting_streams_are_handed_on_again_rather_than_lost(journal: Journal) -> None:
    """A hundred streams wait, more than a place tells; after a restart each opens when its EPOCH comes."""
    sources = [Source(b"%08d" % at) for at in range(100)]
    for one in sources:
        journal.append([one.open(), one.page(2, [0]), one.batch(3, [0])])
    reading = Reading(journal.folder)
    reading.read()
    reading.start()
    journal.append([one.epoch(1) for one in sources])
    reading.read()
    assert all(sorted(set(reading.numbers(one.key))) == [0, 1, 2, 3] for one in sources)
    assert not reading.opener.refused


def test_a_place_of_an_earlier_build_is_gone_on_from(journal: Journal) -> None:
    """It named every waiting block with a place of its own."""
    a = Source()
    first, page, batch = a.open(), a.page(2, [0]), a.batch(3, [0])
    journal.append([first, page, batch])
    places = [first.length, first.length + page.length]
    waiting = [[a.key.hex(), 2, 1, places[0]], [a.key.hex(), 3, 1, places[1]]]
    reading = Reading(journal.folder)
    reading.place = json.dumps({"at": [1, journal.size], "waiting": waiting}).encode()
    reading.start()
    journal.append([a.epoch(1)])
    reading.read()
    assert reading.numbers() == [1, 2, 3]
    assert not reading.opener.said


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [b"", b"\x00\xff", b"[]", b"{}", b'{"at": [1], "waiting": []}', b'{"at": ["1", 2], "waiting": []}', 7, "text",
     b'{"at": [-1, 0], "waiting": []}', b'{"at": [1, 0], "waiting": [["zz", 1, 2, 3]]}', b"[" * 100_000,
     b'{"at": [1, 0], "waiting": [], "mark": [1, 0, 5]}', b'{"at": [1e400, 0], "waiting": []}', 1.5],
)  # fmt: skip
def test_a_place_that_cannot_be_believed_is_said_and_read_from_the_beginning(journal: Journal, place: object) -> None:
    """Cut, of another shape, wrong types, nested without end: never an exit, never a silence."""
    journal.append(_stream(Source()))
    reading = Reading(journal.folder)
    reading.place = place
    reading.start()
    reading.read()
    assert reading.numbers() == list(range(11))
    assert "cannot be believed" in reading.opener.said[0]


@pytest.mark.parametrize(
    ("fault", "running"),
    [("lost", False), ("older", False), ("anew and longer", False), ("lost", True), ("older", True)],
)
def test_another_journal_is_read_from_its_beginning_and_said(tmp_path: Path, fault: str, running: bool) -> None:
    """The journal's folder is lost, restored from an old copy or begun anew while the output keeps its place."""
    a, b = Source(), Source(b"stream-b", boot=8)
    journal = Journal(tmp_path / "journal")
    journal.append(_stream(a))
    reading = Reading(journal.folder)
    reading.read()
    shutil.rmtree(journal.folder)
    journal = Journal(tmp_path / "journal")
    if fault == "older":
        journal.append(_stream(a)[:5])
    if not running:
        if fault == "anew and longer":
            journal.append([*_stream(b), *(b.batch(number, [0]) for number in range(11, 40))])
        reading.start()
    reading.read()
    journal.append(_stream(b))
    reading.read()
    assert set(reading.numbers(b.key)) >= set(range(11))
    assert "the journal is not as it was" in reading.opener.said[0]


def test_a_journal_whose_read_part_retention_took_is_the_same_journal(journal: Journal) -> None:
    """The mark stands in a segment that went: nothing is said, nothing is read again."""
    a = Source()
    journal.append(_stream(a)[:6])
    reading = Reading(journal.folder)
    reading.read()
    journal.next_segment()
    journal.append(_stream(a)[6:])
    journal.path(1).unlink()
    reading.start()
    reading.read()
    assert reading.numbers() == list(range(11))
    assert not reading.opener.said


def test_a_waiting_block_that_retention_took_is_counted_and_no_more_waited_for(journal: Journal) -> None:
    """It is in no journal any more: `expired`, and the others open."""
    a = Source()
    journal.append([a.open(), a.page(2, [0]), a.batch(3, [0])])
    journal.next_segment()
    journal.append([a.batch(4, [0])])
    reading = Reading(journal.folder)
    reading.read()
    journal.path(1).unlink()
    journal.append([a.epoch(1)])
    reading.read()
    assert reading.numbers() == [0, 1, 4]
    assert reading.opener.refused == {"expired": 2}
    assert not reading.opener.waiting


def test_what_teaches_is_learned_from_kept_where_retention_took_it_unread(journal: Journal) -> None:
    """The opener was far behind: the segment with EPOCH and page is gone, their kept copies are not."""
    a = Source()
    journal.append([a.open()])
    reading = Reading(journal.folder)
    reading.read()
    journal.next_segment()
    journal.append([a.epoch(1), a.page(2, [0])])
    journal.next_segment()
    journal.append([a.batch(3, [0])])
    journal.path(2).unlink()
    reading.read()
    assert reading.numbers() == [0, 3]


def test_what_teaches_is_looked_for_in_the_whole_journal_where_kept_is_gone(journal: Journal) -> None:
    """Kept files are lost and publish is restarted: EPOCH and page stand in the journal, long read."""
    a = Source()
    journal.append(_stream(a)[:6])
    journal.next_segment()
    reading = Reading(journal.folder)
    reading.read()
    for path in (journal.folder / "kept").iterdir():
        path.unlink()
    reading.start()
    journal.append(_stream(a)[6:], kept=False)
    reading.read()
    assert reading.numbers() == list(range(11))


@pytest.mark.parametrize("number", range(11))
def test_a_damaged_record_costs_itself_and_is_told_by_place_and_number(journal: Journal, number: int) -> None:
    """One byte is flipped in any record that was not read yet: all others come out, and what teaches is in `kept/`."""
    a = Source()
    journal.append(_stream(a))
    journal.flip(number)
    reading = Reading(journal.folder)
    reading.read()
    assert reading.numbers() == [other for other in range(11) if other != number]
    assert reading.opener.losses.count == len(reading.opener.losses.places) == 1
    assert not reading.opener.waiting
    healed = next(one for one in _stream(a) if one.number == number)
    journal.append([healed])
    reading.read()
    assert reading.numbers() == list(range(11))
    assert not any(one.count for one in reading.opener.losses.numbers.values())


def test_a_waiting_block_that_was_damaged_is_counted_and_comes_again_healed(journal: Journal) -> None:
    """It was read whole once; when its EPOCH comes its record is rotten: `expired`, told, and no exit."""
    a = Source()
    journal.append([a.open(), a.page(2, [0]), a.batch(3, [0]), a.batch(4, [0])])
    reading = Reading(journal.folder)
    reading.read()
    journal.flip(3)
    journal.append([a.epoch(1)])
    reading.read()
    assert reading.numbers() == [0, 1, 2, 4]
    assert reading.opener.refused == {"expired": 1}
    assert len(reading.opener.losses.places) == 1
    journal.append([a.batch(3, [0])])
    reading.read()
    assert reading.numbers() == [0, 1, 2, 3, 4]


def test_an_end_that_cannot_be_believed_is_waited_for_and_said(journal: Journal) -> None:
    """`synced` is garbage at the start: nothing is taken for another journal, and reading goes on when it is mended."""
    a = Source()
    journal.append(_stream(a)[:6])
    reading = Reading(journal.folder)
    reading.read()
    whole = (journal.folder / "synced").read_bytes()
    (journal.folder / "synced").write_bytes(bytes(24))
    reading.start()
    reading.read()
    assert "cannot be believed" in reading.opener.trouble
    (journal.folder / "synced").write_bytes(whole)
    journal.append(_stream(a)[6:])
    reading.read()
    assert reading.numbers() == list(range(11))
    assert not reading.opener.said
    assert not reading.opener.trouble


def test_a_malformed_block_is_refused_once_and_counted(journal: Journal) -> None:
    """No key mends it: it waits for nothing, also after a restart, and what comes after it is published."""
    a = Source()
    bad = [a.sealed(BlockKind.STATE, 3, 1, {"asset": 5}), a.signed(BlockKind.OPEN, 4, {"site": "x"})]
    journal.append([a.epoch(1), a.page(2, [0]), *bad, a.open(), a.batch(5, [0])])
    reading = Reading(journal.folder)
    reading.read()
    assert reading.numbers() == [0, 1, 2, 5]
    assert reading.opener.refused == {"body": 2}
    assert not reading.opener.waiting
    reading.start()
    reading.read()
    assert not reading.opener.refused


def test_a_state_waits_for_the_page_that_says_who_may_see_it(journal: Journal) -> None:
    """An output of one vendor is not denied what came before its asset was described."""
    a = Source()
    state = a.sealed(BlockKind.STATE, 2, 1, {"asset": "pump", "time": 1, "what": "up", "text": ""})
    tally = a.sealed(BlockKind.TALLY, 3, 1, {"time": 1, "number": 3, "assets": {"pump": [1, 1]}})
    other = a.sealed(BlockKind.STATE, 4, 1, {"asset": "", "time": 1, "what": "note", "text": "of the sender"})
    journal.append([a.open(), a.epoch(1), state, tally, other])
    reading = Reading(journal.folder, scope=Scope(vendors=frozenset({"Acme"})))
    reading.read()
    assert reading.opener.waiting == 2
    journal.append([a.page(5, [0])])
    reading.read()
    assert reading.numbers() == [0, 1, 2, 3, 5]
