"""The high side on a disk that damages what it holds: one bit costs one block, is said on both sides, stops nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pipe import Pipe

from protocol import gapcode
from protocol.block import KEPT
from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import Segment
from protocol.store.layout import segment_path
from protocol.store.reader import walk
from protocol.store.record import HEAD, Record
from protocol.store.resync import Place
from protocol.wire.beat import Beat
from receiver.outputs.base import StateBody
from sender.commands import replay_plan
from sender.store.retain import Fate, Fates
from sender.store.spool import TIDY_PERIOD


def _spool(pipe: Pipe) -> Path:
    return pipe.high / "spool"


def _places(pipe: Pipe) -> dict[tuple[bytes, int], tuple[Place, Record]]:
    found: dict[tuple[bytes, int], tuple[Place, Record]] = {}
    walk(_spool(pipe), lambda place, one: found.update({(one.stream, one.number): (place, one)}))
    return found


def _flip(pipe: Pipe, number: int, at: int = HEAD.size + 60) -> None:
    """One bit of a block's record in the spool."""
    place, _ = _places(pipe)[pipe.packer.stream, number]
    path = segment_path(_spool(pipe), place.segment)
    data = bytearray(path.read_bytes())
    data[place.offset + at] ^= 4
    path.write_bytes(data)


def _busy(pipe: Pipe, seconds: float, *, emit: bool = True) -> None:
    for _ in range(round(seconds * 5)):
        pipe.sample()
        pipe.run(0.2, emit=emit)


def _notes(pipe: Pipe) -> list[str]:
    return [one.body.text for one in pipe.opened if isinstance(one.body, StateBody) and one.body.what == "note"]


def _heard(pipe: Pipe) -> Beat:
    assert pipe.intake.beat is not None
    return pipe.intake.beat


def _gone(beat: Beat) -> dict[bytes, Ranges]:
    out: dict[bytes, Ranges] = {}
    for stream, first, after in (beat.spool or {}).get("gone", ()):
        out.setdefault(stream, Ranges()).add(first, after)
    return out


@pytest.mark.parametrize("at", [0, 5, 13, 35, HEAD.size + 1, HEAD.size + 5, HEAD.size + 60])
def test_a_flipped_bit_costs_one_block_over_a_restart_of_polling(tmp_path: Path, at: int) -> None:
    """In the length, the stream, the number, the hash or the block: the others are kept and sent, the one is stated."""
    pipe = Pipe(tmp_path)
    _busy(pipe, 4, emit=False)
    pipe.finish()
    blocks, stream = pipe.packer.number, pipe.packer.stream
    lost = blocks // 2
    _flip(pipe, lost, at)
    pipe.kill_poll()
    pipe.kill_emit()
    pipe.start_poll()
    pipe.start_emit()
    _busy(pipe, 3)
    pipe.run(10)
    taken = {one.number for one in pipe.opened if one.stream.key == stream}
    assert taken == set(range(blocks)) - {lost}
    assert pipe.spool.status()["damaged"] == 1
    assert any(f"stream {stream.hex()} block {lost}" in line for line in pipe.spool.warnings)
    assert any(f"stream {stream.hex()} block {lost}" in line for line in _notes(pipe)), "the low side has it in words"
    assert _gone(_heard(pipe)) == {stream: Ranges([(lost, lost + 1)])}, "and by number"
    totals = next(one for one in _heard(pipe).streams if one.stream == stream)
    assert (totals.finished, totals.sealed, totals.waiting) == (blocks, blocks, ())
    assert pipe.emitter._accounts.damaged()["ranges"] == [[stream.hex(), lost, lost + 1]]
    assert any(f"block {lost}" in line for line in pipe.emitter.warnings())


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_damaged_block_that_is_kept_twice_leaves_from_its_second_copy(
    tmp_path: Path, number: int, restart: bool
) -> None:
    """OPEN, EPOCH and CATALOG of a stream that is no longer the newest: without them none of it could be opened. The
    index knows nothing yet; polling appends the block again, and until it does the emitter takes it from there."""
    pipe = Pipe(tmp_path, repeat=(1.0,))
    _busy(pipe, 2, emit=False)
    pipe.finish()
    stream, blocks = pipe.packer.stream, pipe.packer.number
    pipe.kill_poll()
    pipe.start_poll()
    pipe.packer.stream, newest = stream, pipe.packer.stream
    _flip(pipe, number)
    pipe.packer.stream = newest
    if restart:
        pipe.kill_poll()
        pipe.start_poll()
    pipe.kill_emit()
    pipe.start_emit()
    _busy(pipe, 3)
    pipe.run(8)
    assert sorted(pipe.numbers(stream)) == list(range(blocks))
    assert _gone(_heard(pipe)) == {}
    assert any("nothing is lost" in line for line in pipe.emitter.warnings())
    assert pipe.spool.status()["damaged"] == 0


def test_a_damaged_block_that_is_to_be_repeated_is_skipped(tmp_path: Path) -> None:
    """It had its first sending into a dead link; the others of its run are repeated, and the emitter goes on."""
    pipe = Pipe(tmp_path, repeat=(3.0,))
    for _ in range(5):
        pipe.sample()
        pipe.run(0.2, lambda random: 0)
    blocks, lost = pipe.packer.number, pipe.packer.number - 4
    _flip(pipe, lost)
    pipe.run(5)
    _busy(pipe, 2)
    numbers = set(pipe.numbers(pipe.packer.stream))
    assert set(range(blocks)) - numbers == {lost}
    assert _gone(_heard(pipe)) == {pipe.packer.stream: Ranges([(lost, lost + 1)])}


def test_a_damaged_block_of_the_backlog_and_of_a_replay_is_skipped(tmp_path: Path) -> None:
    """`replay` says it is damaged, and sends the others."""
    pipe = Pipe(tmp_path, repeat=())
    for _ in range(10):
        pipe.sample()
        pipe.run(0.2, lambda random: 0)
    stream, blocks = pipe.packer.stream, pipe.packer.number
    _flip(pipe, 5)
    code = gapcode.encode(stream, [(0, blocks)])
    (found,) = replay_plan.find(_spool(pipe), [code], pipe.geometry)
    told = replay_plan.in_words([found], 1e6, 0.0)
    assert "  block 5: gone, damaged on this side's disk" in told
    assert not any("does not keep" in line for line in told)
    pipe.errands._errands._folder.mkdir(exist_ok=True)
    (pipe.errands._errands._folder / "1.json").write_text(json.dumps({"kind": "replay", **replay_plan.body([found])}))
    pipe.run(5)
    assert set(range(blocks)) - set(pipe.numbers(stream)) == {5}


def test_a_damaged_page_of_the_backlog_costs_its_blocks_and_no_more(tmp_path: Path) -> None:
    """More than a chunk waits; a page of zeros is in the middle of it."""
    pipe = Pipe(tmp_path, repeat=(), rate=None)
    for _ in range(30):
        rows = 4000
        pipe.sample(rows)
        pipe.run(0.2, emit=False)
    pipe.finish()
    places = _places(pipe)
    path = segment_path(_spool(pipe), 1)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        at = file.tell()
        file.write(bytes(4096))
    hit = [one for place, one in places.values() if place.offset < at + 4096 and place.offset + one.length > at]
    hurt = {(one.stream, one.number) for one in hit if one.block[3] not in KEPT}
    pipe.emitter._first.reader.place = Place(1, 0)
    pipe.run(60)
    there = {(one.stream.key, one.number) for one in pipe.opened}
    assert set(places) - there == hurt
    gone = _gone(_heard(pipe))
    apart = {key for key in hurt if places[key][1].block[3] in KEPT}
    assert {
        (stream, number) for stream in gone for first, last in gone[stream] for number in range(first, last)
    } == hurt - apart, "what is kept apart can still come"


@pytest.mark.parametrize("restart", [False, True])
def test_a_flipped_end_of_the_spool_silences_nobody_for_long(tmp_path: Path, restart: bool) -> None:
    """Polling that reads nothing new mends it with its next look; an emitter that starts meanwhile waits for it, and
    does not send everything again."""
    pipe = Pipe(tmp_path, repeat=())
    _busy(pipe, 2)
    synced = _spool(pipe) / "synced"
    data = bytearray(synced.read_bytes())
    data[12] ^= 1
    frames = pipe.emitter.frames_total
    if restart:
        pipe.save()
        pipe.kill_emit()
        synced.write_bytes(data)
        pipe.start_emit()
        frames = 0
        pipe.run(0.5)
        assert any("cannot be believed" in line for line in pipe.emitter.warnings())
        pipe.save()
    else:
        synced.write_bytes(data)
    pipe.run(TIDY_PERIOD + 0.5)
    assert pipe.emitter.warnings() == []
    assert pipe.emitter.frames_total - frames < 150, "beats, links and the carousel, not the spool again"
    _busy(pipe, 1)
    pipe.run(1)
    assert pipe.numbers(pipe.packer.stream) == list(range(pipe.packer.number))


def test_a_damaged_block_at_the_mark_does_not_send_the_spool_again(tmp_path: Path) -> None:
    """It says nothing of the place; another whole block there does."""
    pipe = Pipe(tmp_path, repeat=())
    _busy(pipe, 2)
    pipe.save()
    pipe.kill_emit()
    noted = json.loads((pipe.high / "emit.json").read_text())
    assert noted["mark"]
    _flip(pipe, pipe.packer.number - 1)
    pipe.start_emit()
    assert pipe.emitter.anew == 0
    pipe.kill_emit()
    _busy(pipe, 1, emit=False)
    place, one = next((place, one) for place, one in _places(pipe).values() if one.number == 3)
    (pipe.high / "emit.json").write_bytes(
        statefile.pack({**noted, "check": None, "mark": [*place, one.digest[::-1].hex()]})
    )
    pipe.start_emit()
    assert pipe.emitter.anew == 1
    assert any("sent again" in line for line in pipe.emitter.warnings())


def test_a_spool_that_was_begun_anew_under_a_running_emitter_is_sent(tmp_path: Path) -> None:
    """Somebody took the spool away and polling began another: it is shorter, and all of it leaves."""
    pipe = Pipe(tmp_path, repeat=(1.0,))
    _busy(pipe, 4)
    before = pipe.emitter.anew
    pipe.kill_poll()
    _spool(pipe).rename(pipe.high / "spool.old")
    pipe.start_poll()
    _busy(pipe, 1)
    pipe.run(8)
    assert pipe.emitter.anew == before + 1
    _busy(pipe, 2)
    pipe.run(1)
    assert sorted(pipe.numbers(pipe.packer.stream)) == list(range(pipe.packer.number))
    assert _gone(_heard(pipe)) == {}


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
    "garbage": lambda data: random.Random(3).randbytes(200),
    "nested": lambda data: b'{"boot":' + b"[" * 50_000,
    "a list": lambda data: b"[]",
    "no object": lambda data: b"17",
    "flipped": lambda data: data.replace(b'": ', b'": 9', 1),
    "of another shape": lambda data: json.dumps(dict.fromkeys(json.loads(data), "x")).encode(),
    "of lists": lambda data: json.dumps({key: [[1]] for key in json.loads(data)}).encode(),
    "of nothing": lambda data: json.dumps(dict.fromkeys(json.loads(data))).encode(),
    "infinite": lambda data: json.dumps(dict.fromkeys(json.loads(data), float("inf"))).encode(),
    "huge": lambda data: json.dumps(dict.fromkeys(json.loads(data), 10**40)).encode(),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_damaged_note_of_the_emitter_sends_the_spool_again_and_says_so(tmp_path: Path, how: str) -> None:
    """The file is set aside, the session is above the one before, all that is unsent leaves; polling goes on."""
    pipe = Pipe(tmp_path, repeat=(20.0,))
    _busy(pipe, 2)
    pipe.save()
    pipe.kill_emit()
    _busy(pipe, 1, emit=False)
    path, boot = pipe.high / "emit.json", pipe.emitter._link.boot
    broken = BROKEN[how](path.read_bytes())
    path.write_bytes(broken)
    pipe.spool._retain(pipe.now)
    assert Fates.read(pipe.high).fate(Segment(1, size=100)) is Fate.UNSENT
    assert path.read_bytes() == broken, "the poller leaves it to the emitter"
    pipe.high_wall += 10**9
    pipe.start_emit()
    assert pipe.emitter._link.boot > boot
    assert pipe.emitter.anew == 1
    assert len(list(pipe.high.glob("emit.json.damaged-*"))) == 1
    assert any("emit.json" in line for line in pipe.keeper.troubles)
    _busy(pipe, 1)
    pipe.run(2)
    assert sorted(pipe.numbers(pipe.packer.stream)) == list(range(pipe.packer.number))
    assert "new" in json.loads(path.read_text())


@pytest.mark.parametrize("key", ["new", "mark", "backlog", "repeats", "finished", "errand"])
@pytest.mark.parametrize("value", [7, "x", [7], [[7]], {"a": 7}, [[1, float("nan"), 1, 0, 1, 5, "x"]], {"00" * 8: 3}])
def test_no_value_in_the_emitters_note_can_stop_it(tmp_path: Path, key: str, value: Any) -> None:
    """A note without a check, as versions before wrote it, with one value of another kind."""
    pipe = Pipe(tmp_path, repeat=(0.5,))
    _busy(pipe, 1)
    pipe.save()
    pipe.kill_emit()
    noted = {**json.loads((pipe.high / "emit.json").read_text()), key: value}
    del noted["check"]
    (pipe.high / "emit.json").write_text(json.dumps(noted))
    Fates.read(pipe.high)
    pipe.start_emit()
    _busy(pipe, 2)
    pipe.run(1)
    assert sorted(pipe.numbers(pipe.packer.stream)) == list(range(pipe.packer.number))


@pytest.mark.parametrize("how", [*BROKEN, "gone"])
def test_a_damaged_note_of_the_poller_lowers_no_counter(tmp_path: Path, how: str) -> None:
    """The clock stands behind the newest stream: that stream's OPEN says what the next counter must be above, and the
    segments how long the spool ran."""
    pipe = Pipe(tmp_path)
    _busy(pipe, 2)
    boot = pipe.spool._boot
    pipe.spool.store._next_segment(500.0)
    pipe.spool.close(pipe.now)
    path = _spool(pipe) / "note.json"
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(BROKEN[how](path.read_bytes()))
    pipe.high_wall -= 10**18
    pipe.start_poll()
    assert pipe.spool._boot > boot
    assert pipe.spool.running(pipe.now) >= 500.0
    assert how == "gone" or any("note.json" in line for line in pipe.spool.warnings)
    _busy(pipe, 2)
    assert pipe.received(pipe.packer.stream)


def test_what_is_gone_takes_turns_in_the_beats(tmp_path: Path) -> None:
    """Forty damaged blocks, eight ranges a beat: after some beats all were named."""
    pipe = Pipe(tmp_path, repeat=())
    _busy(pipe, 20, emit=False)
    stream = pipe.packer.stream
    lost = set(range(5, 85, 2))
    for number in lost:
        _flip(pipe, number)
    said: set[int] = set()
    for _ in range(12):
        pipe.run(1)
        said |= {number for first, after in _gone(_heard(pipe)).get(stream, ()) for number in range(first, after)}
    assert said == lost


@pytest.mark.parametrize("seed", range(12))
def test_any_damage_of_the_spool_loses_what_it_hit_and_states_it(tmp_path: Path, seed: int) -> None:
    """Faults anywhere in the spool's files, both processes restarted: what was whole arrives, what was not is named as
    gone by number, or said by its bytes where nothing on the disk knows the number any more."""
    dice = random.Random(seed)
    print("seed", seed)  # noqa: T201  shown when the test fails
    pipe = Pipe(tmp_path, repeat=(2.0,), spool_bytes=16 << 20)
    _busy(pipe, 6, emit=False)
    if seed % 2:
        pipe.run(TIDY_PERIOD, emit=False)
    pipe.spool.flush(pipe.now)
    before = _places(pipe)
    pipe.kill_poll()
    pipe.kill_emit()
    for _ in range(1 + seed // 2 % 2):
        victims = sorted(path for path in _spool(pipe).rglob("*") if path.is_file() and path.stat().st_size)
        victim = dice.choice([*victims, *(_spool(pipe) / "segments").glob("*.seg")])
        data = bytearray(victim.read_bytes())
        at, span = dice.randrange(len(data)), dice.choice((1, 30, 200, 1000))
        data[at : at + span] = dice.choice((bytes, dice.randbytes))(len(data[at : at + span]))
        victim.write_bytes(data if dice.random() < 0.8 else data[:at])
    pipe.start_poll()
    pipe.start_emit()
    gone: set[tuple[bytes, int]] = set()
    for _ in range(20):
        _busy(pipe, 1)
        gone |= {(key, at) for key, held in _gone(_heard(pipe)).items() for span in held for at in range(*span)}
    pipe.finish()
    pipe.run(5)
    there = {
        (stream, number)
        for stream, held in pipe.journal.ledger.streams.items()
        for span in held.held
        for number in range(*span)
    }
    oldest = {one.stream: one.oldest for one in _heard(pipe).streams}
    silent = {key for key in set(before) - there - gone if key[1] >= oldest.get(key[0], 0)}
    assert not silent or pipe.spool.status()["damaged_bytes"] >= sum(before[key][1].length for key in silent)
    assert not gone & there
    assert gone <= set(before)
    stream = pipe.packer.stream
    assert {number for key, number in there if key == stream} == set(range(pipe.packer.number))
