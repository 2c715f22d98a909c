"""What is sent again, and when."""

from __future__ import annotations

import pytest

from protocol.store.resync import Place
from sender.emit.repeat import LATE, Repeats, SentRun


def _drain(repeats: Repeats, now: float) -> list[tuple[int, SentRun]]:
    out = []
    while (due := repeats.due(now)) is not None:
        out.append(due)
        repeats.done()
    return out


def test_each_stretch_comes_again_at_each_of_its_times() -> None:
    """20 s and 900 s after the first sending, not before, each once."""
    repeats = Repeats((20.0, 900.0))
    repeats.sent(Place(1, 0), Place(1, 100), 3, 50.0)
    assert repeats.deadline() == 70.0
    assert _drain(repeats, 69.9) == []
    ((copy, run),) = _drain(repeats, 70.0)
    assert (copy, run.start, run.end) == (1, Place(1, 0), Place(1, 100))
    assert _drain(repeats, 949.0) == []
    ((copy, run),) = _drain(repeats, 950.0)
    assert (copy, run.start, run.end) == (2, Place(1, 0), Place(1, 100))
    assert repeats.deadline() is None


def test_neighbours_within_a_tenth_of_a_second_are_one_stretch() -> None:
    """The list stays short at any load; a stretch elsewhere begins a new one."""
    repeats = Repeats((20.0,))
    for at in range(5):
        repeats.sent(Place(1, at * 100), Place(1, at * 100 + 100), 1, at * 0.01)
    repeats.sent(Place(2, 0), Place(2, 100), 1, 0.06)
    found = [(run.start, run.end, run.blocks) for _, run in _drain(repeats, 30)]
    assert found == [(Place(1, 0), Place(1, 500), 5), (Place(2, 0), Place(2, 100), 1)]


def test_a_repeat_that_is_far_too_late_is_dropped_and_counted() -> None:
    """It still has its later ones."""
    repeats = Repeats((20.0, 900.0))
    repeats.sent(Place(1, 0), Place(1, 100), 7, 0.0)
    assert _drain(repeats, 20.0 + LATE + 1) == []
    assert repeats.dropped == 7
    assert len(_drain(repeats, 900.0)) == 1


def test_a_restart_takes_repeats_up_at_their_age() -> None:
    """What was due in 5 s before is due in 5 s after, whatever the clock reads then."""
    before = Repeats((20.0, 900.0))
    before.sent(Place(1, 0), Place(1, 100), 7, 100.0)
    after = Repeats((20.0, 900.0))
    after.restore(before.to_json(115.0), 3.0)
    assert after.deadline() == 8.0
    assert Repeats(()).due(1e9) is None


@pytest.mark.parametrize("stage", [0, 1])
def test_a_restart_in_the_middle_of_a_repeat_begins_it_again(stage: int) -> None:
    """What of it had not left would wait for the next one, or for ever after the last; its later ones stay."""
    after = (20.0, 900.0)
    before = Repeats(after)
    before.sent(Place(1, 0), Place(1, 100), 7, 0.0)
    for _ in range(stage):
        assert len(_drain(before, 20.0)) == 1
    before.sent(Place(1, 100), Place(1, 200), 1, 1.0)
    now = after[stage]
    due = before.due(now)
    assert due is not None
    again = Repeats(after)
    again.restore(before.to_json(now), now)
    assert again.due(now) == due
    again.done()
    left = [(copy, run.start.offset) for copy, run in _drain(again, 900.0)]
    assert (2, 0) in left or stage == 1
    before.done()
    assert before.to_json(now) == Repeats.to_json(_restored(before, now), now)


def _restored(repeats: Repeats, now: float) -> Repeats:
    """The same after a restart."""
    out = Repeats(repeats.after)
    out.restore(repeats.to_json(now), now)
    return out
