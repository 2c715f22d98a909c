"""What leaves the emitter: each block once, in the set order, over any restarts, and what beats say of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from emitting import STREAM, Emitting, runs, waiting

from protocol.ranges import Ranges
from protocol.store.resync import Place
from protocol.wire.frame import FrameKind
from sender.emit import first_sending
from sender.emit.emitter import REFRESH_PERIOD
from sender.emit.link_control import FIRST_LINKS
from sender.emit.link_session import PERIOD, STEPS
from sender.emit.resend import BlockRange, Resend, StreamBlocks
from sender.store.emit_state import EmitState

SEEDS = range(8)


def _settled(state: EmitState, places: dict[tuple[bytes, int], Place]) -> set[tuple[bytes, int]]:
    """Blocks that a state says had their first sending."""
    assert state.new is not None
    return {
        key
        for key, place in places.items()
        if place < state.new and not any(start <= place < end for start, end in state.backlog)
    }


def test_every_block_has_its_first_sending_once(tmp_path: Path) -> None:
    """However they come, and whatever repeats them later."""
    line = Emitting(tmp_path, repeat=(0.5, 1.0), spread_s=0.05)
    line.start()
    for count in (1, 40, 3, 0, 17):
        line.write(count)
        line.run(0.2)
    line.run(3)
    assert line.firsts() == {(STREAM, number): 1 for number in range(61)}
    assert line.emitter.idle()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_anywhere_sends_what_is_unsettled_again_and_nothing_that_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Killed at random, from a state that is a while old: in the end every block had its first sending."""
    monkeypatch.setattr(first_sending, "LAG", 0.001)  # 2.5 kB wait: backlog
    monkeypatch.setattr(first_sending, "CHUNK", 1500)
    chance = random.Random(seed)
    line = Emitting(tmp_path, seed=seed, repeat=(0.3,), spread_s=0.05, segment_bytes=4000)
    line.start()
    noted: EmitState | None = None
    for _ in range(12):
        line.write(chance.randrange(20))
        for _ in range(chance.randrange(60)):
            line.now += 0.002
            line.next()
            if chance.random() < 0.1:
                noted = line.emitter.state(line.now)
        if chance.random() < 0.5:
            places = {key: place for key, (place, _) in line.places().items()}
            settled = _settled(noted, places) if noted is not None else set()
            line.start(noted)
            before = len(line.sent)
            line.run(0.05 * chance.random())
            again = {(one.stream, one.number) for one in line.sent[before:] if one.what == "first"}
            assert not again & settled, f"seed {seed}"
    line.run(4)
    assert set(line.firsts()) == {(STREAM, number) for number in range(line.numbers[STREAM])}, f"seed {seed}"
    assert all(count >= 1 for count in line.firsts().values()), f"seed {seed}"


def test_a_restart_from_its_last_state_sends_nothing_again(tmp_path: Path) -> None:
    """Where everything had left, the next emitter has nothing but LINK and BEAT to say."""
    line = Emitting(tmp_path)
    line.start()
    line.write(20)
    line.run(1)
    state = line.emitter.state(line.now)
    assert state is not None
    before = len(line.sent)
    line.start(EmitState.from_json(state.to_json()))
    line.run(2)
    assert {one.kind for one in line.sent[before:]} == {FrameKind.LINK, FrameKind.BEAT}


def test_new_goes_before_the_carousel_backlog_resend_and_repeats(tmp_path: Path) -> None:
    """All of them wait at one moment: they leave in the order that the module tells."""
    line = Emitting(tmp_path, repeat=(5.0,))
    line.start()
    line.write(5)
    line.run(1)
    state = line.emitter.state(line.now)
    assert state is not None
    line.write(30)  # numbers 5 to 34: backlog of the next emitter
    line.start(state)
    places = line.places()
    (place, opened) = places[STREAM, 0]
    line.emitter._carousel._blocks = [opened]
    line.emitter._carousel._next = line.now + 5
    line.now += 5.5
    line.write(10)  # numbers 35 to 44: new
    end = place._replace(offset=place.offset + opened.length)
    part = StreamBlocks(stream=STREAM, kept=frozenset(), stretches=(BlockRange(place, end, 0, 1),))
    line.emitter.send_again(Resend(line.spool, [part]))
    before = len(line.sent)
    while line.next() is not None:
        pass
    names = [
        one.what if one.what != "first" else "new" if one.number >= 35 else "backlog" for one in line.sent[before:]
    ]
    assert list(runs([name for name in names if name not in ("LINK", "BEAT")])) == [
        "new", "carousel", "backlog", "resend", "repeat",
    ]  # fmt: skip
    assert names.index("new") > max(at for at, name in enumerate(names) if name in ("LINK", "BEAT"))


@pytest.mark.parametrize("seed", SEEDS)
def test_totals_of_beats_rise_and_are_never_above_what_is_sealed(tmp_path: Path, seed: int) -> None:
    """`sealed` is what the spool has, `finished` no more, and what waits is just what had no first sending."""
    chance = random.Random(seed)
    line = Emitting(tmp_path, seed=seed, repeat=(0.4,), spread_s=0.05, segment_bytes=3000)
    line.start()
    seen = (0, 0)
    for _ in range(10):
        line.write(chance.randrange(12))
        for _ in range(chance.randrange(1, 300)):
            line.now += 0.01
            before = len(line.beats)
            line.next()
            if len(line.beats) == before or not line.beats[-1].streams:
                continue
            (told,) = line.beats[-1].streams
            had = {number for (_, number), count in line.firsts().items() if count}
            assert told.oldest <= told.finished <= told.sealed <= line.numbers[STREAM], f"seed {seed}"
            assert (told.sealed, told.finished) >= seen, f"seed {seed}"
            assert waiting(line.beats[-1]).isdisjoint(had), f"seed {seed}"
            assert set(range(told.finished)) - waiting(line.beats[-1]) <= had, f"seed {seed}"
            seen = (told.sealed, told.finished)


@pytest.mark.parametrize("where", ["new", "backlog", "repeat"])
@pytest.mark.parametrize("hit", [(0,), (7,), (7, 8, 9), (3, 12), (19,)], ids=str)
def test_a_damaged_record_is_stepped_over_and_named_as_gone(tmp_path: Path, where: str, hit: tuple[int, ...]) -> None:
    """Met as new, as backlog or in a repeat: everything else leaves, and no receiver waits for what never can."""
    line = Emitting(tmp_path, repeat=(0.5,))
    if where != "backlog":
        line.start()
    line.write(20)
    if where == "repeat":
        line.run(0.1)
    line.damage(*hit)
    line.write(1)
    if where == "backlog":
        line.start()
    line.run(REFRESH_PERIOD + 2.5)
    whole = set(range(21)) - set(hit)
    firsts = {number for _, number in line.firsts()}
    assert firsts == (whole if where != "repeat" else set(range(21)))
    assert {one.number for one in line.sent if one.what == "repeat"} == whole
    assert waiting(line.beats[-1]) == set()
    oldest = line.beats[-1].streams[0].oldest
    assert line.gone().get(STREAM, set()) | set(range(oldest)) >= set(hit)


def test_a_damaged_last_block_keeps_no_beat_from_saying_that_all_is_sent(tmp_path: Path) -> None:
    """Nothing stands behind it yet: `finished` is `sealed` all the same."""
    line = Emitting(tmp_path)
    line.start()
    line.write(5)
    line.damage(4)
    line.run(REFRESH_PERIOD + 2.5)
    (told,) = line.beats[-1].streams
    assert (told.finished, told.sealed) == (5, 5)


def test_links_come_before_any_other_frame_of_their_session(tmp_path: Path) -> None:
    """At a start and at each renewal: what nobody could read yet leaves only after FIRST_LINKS."""
    line = Emitting(tmp_path, repeat=(1.0,), spread_s=0.05)
    line.write(5)
    line.start()
    for _ in range(3):
        line.write(5)
        line.run(1.5)
        line.write(5)
        line.now += PERIOD
    sessions = list(dict.fromkeys(one.session for one in line.sent))
    assert len(sessions) >= 3
    for session in sessions:
        kinds = [one.kind for one in line.sent if one.session == session]
        assert kinds[:FIRST_LINKS] == [FrameKind.LINK] * FIRST_LINKS


def test_no_session_lives_longer_than_its_period(tmp_path: Path) -> None:
    """Whatever is under way: its last frames are made before the key is renewed, and counted for nobody then."""
    line = Emitting(tmp_path)
    line.start()
    began = {line.emitter.session.number: line.now}
    for _ in range(20):
        line.now += PERIOD / 7
        line.write(1)
        while line.next() is not None:
            began.setdefault(line.emitter.session.number, line.now)
            assert line.now - began[line.emitter.session.number] < PERIOD


@pytest.mark.parametrize("seed", SEEDS)
def test_a_session_is_renewed_before_its_step_numbers_run_out(tmp_path: Path, seed: int) -> None:
    """Tests of any number of steps: no number serves twice in a session, and none is above the field."""
    chance = random.Random(seed)
    line = Emitting(tmp_path, seed=seed)
    line.start()
    used: set[tuple[int, int]] = set()
    for _ in range(12):
        steps = chance.choice((1, 64, STEPS // 3, STEPS))
        session = line.emitter.outlast(60.0, steps, line.now)
        first = session.reserve_steps(steps)
        span = {(session.number, number) for number in (first, first + steps - 1)}
        assert first + steps <= STEPS, f"seed {seed}"
        assert not span & used, f"seed {seed}"
        used |= span
        line.run(0.5)
        assert session is line.emitter.session


def test_a_session_outlasts_what_was_asked_of_it(tmp_path: Path) -> None:
    """A test that begins shortly before the renewal begins the next session, and is not broken off."""
    line = Emitting(tmp_path)
    line.start()
    line.now += PERIOD - 10
    session = line.emitter.outlast(60.0, 1, line.now)
    line.run(59)
    assert line.emitter.session is session


@pytest.mark.parametrize("seed", SEEDS)
def test_the_deadline_is_never_before_what_next_can_give(tmp_path: Path, seed: int) -> None:
    """Where `next` has nothing, waiting until `deadline` brings something: no spinning and no oversleeping."""
    chance = random.Random(seed)
    line = Emitting(tmp_path, seed=seed, repeat=(0.3, 1.1), spread_s=0.05, segment_bytes=5000)
    line.start()
    for _ in range(15):
        line.write(chance.randrange(6))
        if line.numbers[STREAM] > 3 and chance.random() < 0.3:
            line.damage(line.numbers[STREAM] - 1)
        ends = line.now + chance.random()
        idle = 0
        while line.now < ends:
            if line.next() is not None:
                idle = 0
                continue
            idle += 1
            assert idle < 3, f"seed {seed}: nothing at its own deadline, again and again"
            due = line.emitter.deadline(line.now)
            assert due > line.now, f"seed {seed}: it spins"
            assert due <= line.now + 1.0, f"seed {seed}: a BEAT is due every second"
            line.now = due


@pytest.mark.parametrize("first", range(30, 38))
def test_backlog_that_holds_nothing_but_damage_delays_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """The newest chunk is all damage: the next one leaves at once, not with the next beat."""
    monkeypatch.setattr(first_sending, "CHUNK", 1500)
    line = Emitting(tmp_path)
    line.write(40)
    line.damage(*range(first, 40))
    line.start()
    began = line.now
    while len(line.firsts()) < first:
        if line.next() is None:
            line.now = line.emitter.deadline(line.now)
        assert line.now == began


def test_a_resend_under_way_asks_to_be_called_again(tmp_path: Path) -> None:
    """Slices that hold nothing of what was asked for end too: `deadline` says now until all of it has left."""
    line = Emitting(tmp_path)
    line.start()
    line.write(300)
    line.run(1)
    places = line.places()
    start, last = places[STREAM, 0][0], places[STREAM, 299]
    end = last[0]._replace(offset=last[0].offset + last[1].length)
    part = StreamBlocks(stream=STREAM, kept=frozenset(), stretches=(BlockRange(start, end, 298, 300),))
    line.emitter.send_again(Resend(line.spool, [part]))
    for _ in range(50):
        if line.emitter.resent():
            break
        if line.next() is None:
            assert line.emitter.deadline(line.now) == line.now or line.emitter.resent()
    assert list(runs([one.number for one in line.sent if one.what == "resend"])) == [298, 299]


def test_a_state_is_a_picture_and_no_window(tmp_path: Path) -> None:
    """What leaves after it was given changes nothing in it."""
    line = Emitting(tmp_path)
    line.start()
    line.write(3)
    line.run(0.1)
    state = line.emitter.state(line.now)
    assert state is not None
    told = state.to_json()
    line.write(9)
    line.run(1)
    assert state.to_json() == told
    assert state.finished == {STREAM: Ranges([(0, 3)])}
