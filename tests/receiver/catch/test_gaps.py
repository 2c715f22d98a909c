"""Laws of the counts: each expected block is in exactly one class, whatever comes, is lost or is restarted."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest

from protocol.limits import MISSING_AFTER
from protocol.store.record import How
from protocol.wire.beat import Beat, StreamTotals
from receiver.catch.gaps import GONE_BEATS, Gaps
from receiver.catch.numbers import BlockCounts
from receiver.catch.outlook import outlook_of, restore

S = b"stream-1"
SECOND = 10**9
WALL = 1_700_000_000 * SECOND


def told(
    finished: int,
    *,
    oldest: int = 0,
    sealed: int | None = None,
    waiting: Sequence[tuple[int, int]] = (),
    stream: bytes = S,
) -> StreamTotals:
    """What a beat says of one stream."""
    sealed = max(finished, oldest) if sealed is None else sealed
    return StreamTotals(stream=stream, oldest=oldest, sealed=sealed, finished=finished, waiting=tuple(waiting))


def beat(*streams: StreamTotals, repeats: tuple[float, ...] = (20.0, 900.0), gone: object = None) -> Beat:
    """A beat that says so."""
    spool = {} if gone is None else {"gone": gone}
    return Beat(
        session=1,
        boot=1,
        counter=1,
        wall_ns=0,
        synced=1,
        streams=streams,
        frames=0,
        bytes=0,
        repeats=repeats,
        spool=spool,
    )


def arrive(gaps: Gaps, number: int, *, repaired: bool = False, stream: bytes = S) -> How:
    """A block comes."""
    how = gaps.how(stream, number, repaired=repaired)
    gaps.accept(stream, number, how)
    return how


def after_beat(gaps: Gaps, *streams: StreamTotals, at: float = 0.0, gone: object = None) -> None:
    """A beat, and the time that it takes to count."""
    gaps.hear(beat(*streams, gone=gone), at, WALL + int(at * SECOND))
    gaps.tick(at + MISSING_AFTER)


def restarted(gaps: Gaps) -> Gaps:
    """What a restart makes of it, through JSON."""
    return Gaps(
        {
            key: restore(list(one.held), dict(one.classes), list(one.damaged), json.loads(json.dumps(outlook_of(one))))
            for key, one in gaps.streams.items()
        }
    )


def test_a_number_is_missing_only_after_its_first_sending_and_200_ms() -> None:
    """Before the beat and within 200 ms of it nothing is missing; then exactly what has not come."""
    gaps = Gaps()
    arrive(gaps, 0)
    arrive(gaps, 2)
    assert gaps.tick(100.0) == []
    gaps.hear(beat(told(4, sealed=9)), 100.0, WALL)
    assert gaps.deadline() == pytest.approx(100.0 + MISSING_AFTER)
    assert gaps.tick(100.0 + MISSING_AFTER - 0.001) == []
    assert gaps.counts().missing == 0
    assert gaps.tick(100.0 + MISSING_AFTER) == [(S, 1, 2), (S, 3, 4)]
    assert gaps.counts() == BlockCounts(expected=4, whole=2, missing=2)
    assert gaps.deadline() is None


def test_what_waits_for_its_first_sending_is_not_missing() -> None:
    """Ranges that a beat names as waiting are not expected yet; a later beat without them expects them."""
    gaps = Gaps()
    after_beat(gaps, told(10, waiting=[(2, 5), (8, 9)]))
    assert [(gap.first, gap.after) for gap in gaps.gaps(WALL)] == [(0, 2), (5, 8), (9, 10)]
    after_beat(gaps, told(10, waiting=[(8, 9)]), at=1.0)
    found = gaps.gaps(WALL)
    assert sum(gap.after - gap.first for gap in found) == 9 == gaps.counts().missing
    assert {gap.since_ns - WALL for gap in found} == {SECOND // 5, SECOND + SECOND // 5}


def test_a_block_completed_after_it_was_missing_is_healed_not_repaired() -> None:
    """Healed beats repaired and whole; one that comes in time is what its shards say."""
    gaps = Gaps()
    after_beat(gaps, told(2))
    assert arrive(gaps, 0, repaired=True) is How.HEALED
    assert arrive(gaps, 5, repaired=True) is How.REPAIRED
    assert arrive(gaps, 6) is How.WHOLE
    assert gaps.counts() == BlockCounts(expected=4, whole=1, repaired=1, healed=1, missing=1)


def test_what_the_sender_keeps_no_more_is_expired_and_still_welcome() -> None:
    """Below `oldest` a missing number is expired; if it comes all the same (carousel, replay) it is healed."""
    gaps = Gaps()
    after_beat(gaps, told(10, oldest=4))
    assert gaps.counts() == BlockCounts(expected=10, missing=6, expired=4)
    assert [(gap.first, gap.after) for gap in gaps.gaps(WALL)] == [(4, 10)]
    assert arrive(gaps, 0) is How.HEALED
    after_beat(gaps, told(10, oldest=10), at=1.0)
    assert gaps.counts() == BlockCounts(expected=10, healed=1, expired=9)
    assert gaps.gaps(WALL) == []


def test_a_receiver_that_comes_late_knows_what_it_can_never_have() -> None:
    """All below `oldest` are expired at once, also where the first sending of what is kept is not finished."""
    gaps = Gaps()
    after_beat(gaps, told(3, oldest=7, sealed=9))
    assert gaps.counts() == BlockCounts(expected=7, expired=7)


def test_a_gap_tells_when_the_next_repeat_is_due() -> None:
    """Repeats count from the first sending; after the last one nothing is promised."""
    gaps = Gaps()
    after_beat(gaps, told(1), at=0.0)
    assert [gaps.gaps(WALL + at * SECOND)[0].heals_ns for at in (1, 21, 30, 903)] == [
        WALL + 20 * SECOND,
        WALL + 20 * SECOND,
        WALL + 900 * SECOND,
        None,
    ], "it does not move on while the repeat may still be on its way"


def test_after_a_cut_a_gap_tells_the_repeat_that_will_bring_it() -> None:
    """Of 40 s without a beat, what was sent in the first 20 had its first repeat in the cut: the next one brings it."""
    gaps = Gaps()
    for number in range(10):
        arrive(gaps, number)
    after_beat(gaps, told(10), at=0.0)
    after_beat(gaps, told(410), at=40.0)
    assert [(gap.first, gap.after) for gap in gaps.gaps(WALL + 41 * SECOND)] == [(10, 210), (210, 410)]
    for at in range(41, 60):
        early, late = gaps.gaps(WALL + at * SECOND)
        assert early.heals_ns == WALL + 900 * SECOND, "that of the first of them"
        assert late.heals_ns == WALL + 60 * SECOND, "nor does it move"
    for number in range(210, 410):
        assert arrive(gaps, number) is How.HEALED
    (rest,) = gaps.gaps(WALL + 61 * SECOND)
    assert (rest.first, rest.after, rest.heals_ns) == (10, 210, early.heals_ns)
    assert gaps.counts().missing == 200


def test_a_stream_that_no_beat_names_any_more_is_given_up() -> None:
    """After GONE_BEATS beats without it, all that it had sealed is expected, and what never came is expired."""
    gaps = Gaps()
    arrive(gaps, 1)
    after_beat(gaps, told(3, sealed=5))
    for count in range(GONE_BEATS + 1):
        assert gaps.counts().missing == 2, count
        after_beat(gaps, told(0, stream=b"another1"), at=1.0 + count)
    assert gaps.counts() == BlockCounts(expected=5, whole=1, expired=4)
    assert restarted(gaps).counts() == gaps.counts()


def test_many_gaps_stay_gaps_when_their_times_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond DATED_MOST stretches neighbours share the earlier time; no number is lost or added by that."""
    monkeypatch.setattr("receiver.catch.numbers.DATED_MOST", 16)
    gaps = Gaps()
    for turn in range(200):
        arrive(gaps, 2 * turn)
        after_beat(gaps, told(2 * turn + 2, waiting=[(50, 52)]), at=float(turn))
    assert len(gaps.streams[S].missing_since) <= 16
    found = gaps.gaps(WALL)
    assert [(gap.first, gap.after) for gap in found] == [(n, n + 1) for n in range(1, 400, 2) if n != 51]
    assert found[0].since_ns == WALL + SECOND // 5
    assert all(gap.since_ns <= WALL + gap.first * SECOND for gap in found)
    assert gaps.counts().missing == 199


def test_what_can_no_longer_be_read_is_missing_since_then_and_taken_again() -> None:
    """It counts as missing and not as whole, no repeat is promised, and a restart keeps that; a replay heals it."""
    gaps = Gaps()
    for number in range(6):
        arrive(gaps, number, repaired=number == 3)
    after_beat(gaps, told(6))
    gaps.damage(S, 2, 4, WALL + 9 * SECOND)
    for one in (gaps, restarted(gaps)):
        assert one.counts() == BlockCounts(expected=6, whole=3, repaired=1, missing=2, damaged=2)
        (gap,) = one.gaps(WALL)
        assert (gap.first, gap.after, gap.since_ns, gap.heals_ns, gap.damaged) == (2, 4, WALL + 9 * SECOND, None, True)
        after_beat(one, told(6), at=20.0)
        assert len(one.gaps(WALL)) == 1
        assert arrive(one, 2) is How.HEALED
        assert one.counts() == BlockCounts(expected=6, whole=3, repaired=1, healed=1, missing=1, damaged=1)
        one.damage(S, 2, 3, WALL + 30 * SECOND)
        assert [(gap.first, gap.since_ns) for gap in one.gaps(WALL)] == [
            (3, WALL + 9 * SECOND),
            (2, WALL + 30 * SECOND),
        ]


def test_what_can_no_longer_be_read_expires_as_other_gaps_do() -> None:
    """Once the sender keeps it no more nothing is asked for."""
    gaps = Gaps()
    arrive(gaps, 0)
    arrive(gaps, 1)
    gaps.damage(S, 0, 2, WALL)
    after_beat(gaps, told(2, oldest=1))
    assert gaps.counts() == BlockCounts(expected=2, missing=1, expired=1, damaged=1)
    assert [(gap.first, gap.after) for gap in gaps.gaps(WALL)] == [(1, 2)]


def test_what_the_sender_lost_is_expired_at_once_and_remembered() -> None:
    """A beat's `gone`, said once, moves what is not here from missing to expired for good; what is here stays here."""
    gaps = Gaps()
    arrive(gaps, 4)
    after_beat(gaps, told(8))
    assert gaps.counts().missing == 7
    after_beat(gaps, told(8), at=1.0, gone=[[S, 3, 6]])
    for one in (gaps, restarted(gaps)):
        after_beat(one, told(8), at=2.0)
        assert one.counts() == BlockCounts(expected=8, whole=1, missing=5, expired=2, lost=2)
        assert [(gap.first, gap.after) for gap in one.gaps(WALL)] == [(0, 3), (6, 8)]
        assert arrive(one, 3) is How.HEALED
        assert one.counts() == BlockCounts(expected=8, whole=1, healed=1, missing=5, expired=1, lost=1)
        after_beat(one, told(8, oldest=6), at=3.0)
        assert one.counts() == BlockCounts(expected=8, whole=1, healed=1, missing=2, expired=4, lost=1)


def test_what_both_sides_lost_is_not_asked_for() -> None:
    """A block that the journal lost and the spool cannot send has no code."""
    gaps = Gaps()
    arrive(gaps, 0)
    gaps.damage(S, 0, 1, WALL)
    after_beat(gaps, told(1), gone=[[S, 0, 1]])
    assert gaps.counts() == BlockCounts(expected=1, expired=1, lost=1)
    assert gaps.gaps(WALL) == [] == restarted(gaps).gaps(WALL)


@pytest.mark.parametrize(
    "gone",
    [
        7,
        "all",
        {"a": 1},
        [7],
        [[S, 0]],
        [[S, "0", "9"]],
        [[S, 0.0, 9.0]],
        [[S, -1, 3]],
        [[S, 3, 3]],
        [[S, 5, 2]],
        [[S, 0, 2**64]],
        [[S, 0, 10]],
        [[7, 0, 1]],
        [[b"unknown1", 0, 1]],
        [[[], None, None, 1]],
    ],
)
def test_a_gone_that_cannot_be_true_is_no_word(gone: object) -> None:
    """Of another shape, of an unknown stream, beyond what was sealed: nothing is lost by it and nothing raised."""
    gaps = Gaps()
    after_beat(gaps, told(9), gone=gone)
    assert gaps.counts() == BlockCounts(expected=9, missing=9)
    assert set(gaps.streams) == {S}


@pytest.mark.parametrize("key", ["expected", "open", "lost", "found", "oldest", "sealed", "finished"])
@pytest.mark.parametrize(
    "wrong",
    [None, 5.5, True, "x", {}, [5], [[]], [[1]], [[5, 2]], [[-1, 4]], [[0, 2**70]], [[0, 9], [5, 12]], [[0, 5, 2**70]]],
)
def test_what_was_kept_is_not_believed_in_another_shape(key: str, wrong: object) -> None:
    """Types, negative and huge numbers, ranges turned round or over each other: refused, never half taken."""
    gaps = Gaps()
    arrive(gaps, 3)
    after_beat(gaps, told(6))
    kept = json.loads(json.dumps(outlook_of(gaps.streams[S])))
    with pytest.raises((ValueError, KeyError, TypeError)):
        restore([(3, 4)], {How.WHOLE: 1}, [], kept | {key: wrong})


class Model:
    """The words of the wire, number by number: what `Gaps` must agree with."""

    def __init__(self) -> None:
        self.expected: set[int] = set()
        self.held: dict[int, How] = {}
        self.damaged: set[int] = set()
        self.lost: set[int] = set()
        self.oldest = 0

    def beat(self, one: StreamTotals) -> None:
        """A beat that has come into force."""
        self.oldest = max(self.oldest, one.oldest)
        waiting = {number for first, after in one.waiting for number in range(first, after)}
        self.expected |= {number for number in range(one.finished) if number not in waiting} | set(range(self.oldest))

    def block(self, number: int, repaired: bool) -> None:
        """A block comes."""
        if number not in self.held:
            late = number in self.expected
            self.held[number] = How.HEALED if late else How.REPAIRED if repaired else How.WHOLE
            self.damaged.discard(number)
            self.lost.discard(number)

    def damage(self, number: int) -> None:
        """A block that was here can no longer be read: how it came is forgotten, so a plain one goes first."""
        if number in self.held:
            how = next(how for how in How if how in self.held.values())
            swapped = next(other for other, held in self.held.items() if held is how)
            self.held[swapped] = self.held[number]
            del self.held[number]
            self.damaged.add(number)
            self.expected.add(number)

    def lose(self, number: int) -> None:
        """A beat said that the sender lost it."""
        if number not in self.held:
            self.expected.add(number)
            self.lost.add(number)
            self.damaged.discard(number)

    def counts(self) -> BlockCounts:
        """Each number looked at by itself."""
        expected = self.expected | set(self.held)
        missing = {number for number in expected if number not in self.held}
        classes = list(self.held.values())
        return BlockCounts(
            expected=len(expected),
            whole=classes.count(How.WHOLE),
            repaired=classes.count(How.REPAIRED),
            healed=classes.count(How.HEALED),
            missing=sum(number >= self.oldest and number not in self.lost for number in missing),
            expired=sum(number < self.oldest or number in self.lost for number in missing),
            damaged=sum(number >= self.oldest for number in self.damaged),
            lost=len(self.lost),
        )


@pytest.mark.parametrize("seed", range(150))
def test_every_expected_block_is_in_exactly_one_class(seed: int) -> None:
    """Random sendings, losses, damages, lost beats, restarts: the figures are those of a count by hand, and add up."""
    chance = random.Random(seed)
    gaps, model, sealed, oldest, now = Gaps(), Model(), 0, 0, 0.0
    first_sent: set[int] = set()
    for _ in range(chance.randrange(5, 60)):
        now += 1.0
        sealed += chance.randrange(8)
        first_sent |= {number for number in range(sealed) if chance.random() < 0.6}
        for number in chance.sample(range(sealed), chance.randrange(sealed + 1) // 2):
            if number in first_sent and chance.random() < 0.5 and number not in model.held:
                repaired = chance.random() < 0.3
                model.block(number, repaired)
                arrive(gaps, number, repaired=repaired)
        if chance.random() < 0.2:
            oldest = chance.randrange(oldest, sealed + 1)
        if chance.random() < 0.7:  # else the beat is lost
            finished = max(first_sent, default=-1) + 1
            missing = [number for number in range(finished) if number not in first_sent]
            ranges = [(number, number + 1) for number in missing]
            one = told(max(finished, 0), oldest=min(oldest, sealed), sealed=sealed, waiting=ranges)
            gone = [chance.randrange(sealed) for _ in range(chance.choice((0, 0, 3)))] if sealed else []
            gaps.hear(beat(one, gone=[[S, number, number + 1] for number in gone]), now, WALL + int(now * SECOND))
            model.beat(one)
            for number in gone:
                model.lose(number)
            gaps.tick(now + 0.5)
        if chance.random() < 0.1 and sealed:
            first = chance.randrange(sealed)
            rotten = [number for number in range(first, first + 3) if number in model.held]
            for number in rotten:
                model.damage(number)
                gaps.damage(S, number, number + 1, WALL + int(now * SECOND))
        if chance.random() < 0.1:
            gaps = restarted(gaps)
        counts = gaps.counts()
        assert counts == model.counts(), f"seed {seed}"
        parts = counts.whole + counts.repaired + counts.healed + counts.missing + counts.expired
        assert parts == counts.expected, f"seed {seed}"
        listed = [number for gap in gaps.gaps(0) for number in range(gap.first, gap.after)]
        assert len(listed) == len(set(listed)) == counts.missing, f"seed {seed}"


def test_outlooks_are_told_once_a_change() -> None:
    """Only streams that changed since the last call are handed over to be kept."""
    gaps = Gaps()
    arrive(gaps, 0)
    assert set(gaps.outlooks()) == {S}
    assert gaps.outlooks() == {}
    after_beat(gaps, told(4))
    assert gaps.outlooks()[S]["open"] == [[1, 4, WALL]]
