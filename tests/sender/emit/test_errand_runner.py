"""Errands: done once, in the order in which they were left, each with an answer."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from emitting import STREAM, Emitting

from protocol.store.resync import Place
from sender.commands import errand
from sender.emit import errands
from sender.emit.errand_runner import ErrandRunner
from sender.emit.link_session import PERIOD
from sender.emit.probing import ProbeStep
from sender.emit.resend import BlockRange, StreamBlocks

LARGEST = 1472
STEP = ProbeStep(rate_kbit=20_000, frames=50, length=LARGEST, burst=5000)


class _Desk:
    """An emitter with its runner, looked at once a second."""

    def __init__(self, folder: Path, begun: dict[str, Any] | None = None) -> None:
        self.line = Emitting(folder)
        self.line.start()
        self.line.write(20)
        self.line.run(0.1)
        self.state = folder
        self.begin(begun or {})

    def begin(self, begun: Any) -> None:
        """A runner that finds this in emit.json."""
        self.runner = ErrandRunner(self.state, self.line.emitter, largest=LARGEST, begun=begun)

    def run(self, seconds: int) -> None:
        """Let time pass; probes and blocks leave."""
        for _ in range(seconds):
            for _ in range(100):
                self.line.now += 0.01
                while (parcel := self.runner.next(self.line.now)) is not None:
                    self.line.emitter.left(parcel)
                self.line.run(0)
                while self.line.next() is not None:
                    pass
            self.runner.look(self.line.now)

    def leave(self, at: int, kind: str, body: dict[str, Any]) -> str:
        """Leave an errand that is the `at`th in the queue."""
        return errand.put(self.state, kind, body, time_ns=at, salt=b"x")

    def resend(self, first: int, after: int) -> dict[str, Any]:
        """A replay of these blocks."""
        places = self.line.places()
        end, one = places[STREAM, after - 1]
        span = BlockRange(places[STREAM, first][0], Place(end.segment, end.offset + one.length), first, after)
        part = StreamBlocks(stream=STREAM, kept=frozenset(), stretches=(span,))
        return {"parts": [part.to_json()], "blocks": after - first}


def test_errands_are_done_in_the_order_of_their_names(tmp_path: Path) -> None:
    """One at a time, whatever their kind; each is answered and then taken away."""
    desk = _Desk(tmp_path)
    test = desk.leave(2, "linktest", {"steps": [asdict(STEP)]})
    last = desk.leave(3, "replay", desk.resend(4, 6))
    first = desk.leave(1, "replay", desk.resend(0, 3))
    order = []
    for _ in range(12):
        desk.run(1)
        if desk.runner.done not in order:
            order.append(desk.runner.done)
    assert [name for name in order if name] == [first, test, last]
    assert errand.result(tmp_path, first) == {"state": "done", "sent": 3, "gone": []}
    assert errand.result(tmp_path, test) == {"state": "done", "sent": [50]}
    assert errand.result(tmp_path, last) == {"state": "done", "sent": 2, "gone": []}
    assert list((tmp_path / errands.FOLDER).iterdir()) == []
    assert list(dict.fromkeys(one.number for one in desk.line.sent if one.what == "resend")) == [0, 1, 2, 4, 5]


@pytest.mark.parametrize(
    ("kind", "body"),
    [("sing", {}), ("replay", {}), ("linktest", {"steps": []}), ("linktest", {"steps": [{"rate_kbit": 1}]}),
     ("replay", {"parts": [{"stream": 5}]})],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_words_and_the_next_one_done(
    tmp_path: Path, kind: str, body: dict[str, Any]
) -> None:
    """An errand is a file that anybody of the group may have written."""
    desk = _Desk(tmp_path)
    wrong = desk.leave(1, kind, body)
    right = desk.leave(2, "replay", desk.resend(0, 1))
    desk.run(4)
    told = errand.result(tmp_path, wrong)
    assert told is not None
    assert told["state"] == "refused"
    assert told["text"]
    assert errand.result(tmp_path, right) == {"state": "done", "sent": 1, "gone": []}


def test_an_errand_that_was_answered_is_not_done_again(tmp_path: Path) -> None:
    """The emitter died between the answer and taking the errand away."""
    desk = _Desk(tmp_path)
    name = desk.leave(1, "replay", desk.resend(0, 3))
    (tmp_path / errands.FOLDER / f"{name}.done").write_text('{"state": "done", "sent": 3}')
    desk.run(2)
    assert not any(one.what == "resend" for one in desk.line.sent)
    assert errand.result(tmp_path, name) == {"state": "done", "sent": 3}
    assert list((tmp_path / errands.FOLDER).iterdir()) == []


def test_a_resend_goes_on_over_a_restart_with_its_count(tmp_path: Path) -> None:
    """From the position that emit.json notes; what had left counts."""
    desk = _Desk(tmp_path)
    name = desk.leave(1, "replay", desk.resend(0, 12))
    desk.begin({"name": name, "position": [0, 9], "sent": 9})
    desk.run(3)
    assert errand.result(tmp_path, name) == {"state": "done", "sent": 12, "gone": []}
    assert {one.number for one in desk.line.sent if one.what == "resend"} == {9, 10, 11}


def test_a_restart_refuses_the_test_that_was_under_way(tmp_path: Path) -> None:
    """Half of a test says nothing; the next errand is done."""
    desk = _Desk(tmp_path)
    name = desk.leave(1, "linktest", {"steps": [asdict(STEP)]})
    desk.begin({"name": name})
    desk.run(1)
    told = errand.result(tmp_path, name)
    assert told is not None
    assert (told["state"], "restart" in told["text"]) == ("refused", True)


def test_a_note_says_what_is_under_way_until_it_is_done(tmp_path: Path) -> None:
    """What a restart reads: nothing, a name alone for a test, and a position for a resend; and before the first look
    what the last emitter noted."""
    desk = _Desk(tmp_path)
    assert desk.runner.note() == {}
    name = desk.leave(1, "linktest", {"steps": [asdict(STEP)]})
    desk.begin({"name": "of before"})
    assert desk.runner.note() == {"name": "of before"}
    desk.runner.look(desk.line.now)
    assert desk.runner.note() == {"name": name}
    assert desk.runner.status() == {"name": name, "kind": "linktest", "step": 1, "steps": 1}
    desk.run(3)
    assert (desk.runner.note(), desk.runner.status()) == ({}, {})
    again = desk.leave(2, "replay", desk.resend(0, 5))
    desk.runner.look(desk.line.now)
    assert desk.runner.note() == {"name": again, "position": [0, 0], "sent": 0}
    desk.line.run(0.01)
    assert desk.runner.note()["sent"] == 5


def test_a_test_whose_session_ends_says_so(tmp_path: Path) -> None:
    """Its frames are made with the key: none leaves under the next one."""
    desk = _Desk(tmp_path)
    name = desk.leave(1, "linktest", {"steps": [asdict(STEP)] * 3})
    desk.runner.look(desk.line.now)
    session = desk.line.emitter.session
    desk.line.now += PERIOD + 1
    desk.line.run(0.01)
    assert desk.line.emitter.session is not session
    assert desk.runner.next(desk.line.now) is None
    desk.runner.look(desk.line.now)
    told = errand.result(tmp_path, name)
    assert told is not None
    assert (told["state"], "renewed" in told["text"]) == ("refused", True)


def test_all_that_leaves_has_the_pace_of_the_step_that_runs(tmp_path: Path) -> None:
    """And the set one before it, in its pauses and after it."""
    desk = _Desk(tmp_path)
    assert desk.runner.pace(desk.line.now) is None
    desk.leave(1, "linktest", {"steps": [asdict(STEP)] * 2})
    desk.runner.look(desk.line.now)
    pace = desk.runner.pace(desk.line.now)
    assert pace is not None
    assert (pace.rate, pace.burst) == (2.5e6, 5000)
    while desk.runner.next(desk.line.now) is not None:
        pass
    assert desk.runner.pace(desk.line.now) is None, "a pause"
    desk.run(3)
    assert desk.runner.pace(desk.line.now) is None


def test_answers_that_nobody_takes_are_bounded(tmp_path: Path) -> None:
    """The newest stay."""
    folder = errands.ErrandFolder(tmp_path)
    (tmp_path / errands.FOLDER).mkdir()
    for at in range(errands.KEPT + 9):
        folder.finish(f"{at:020d}", {"state": "done"})
    names = sorted(path.stem for path in (tmp_path / errands.FOLDER).glob("*.done"))
    assert names == [f"{at:020d}" for at in range(9, errands.KEPT + 9)]
    assert json.loads((tmp_path / errands.FOLDER / f"{names[0]}.done").read_text()) == {"state": "done"}
