"""A recommendation goes out by hand and comes back over the diode: both commands, and the whole path between them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from access_cast import ACME, DAY, ENGINEER
from pipe import Pipe, lossy

import checkvalve
from protocol import keymaking
from protocol.recommendation.proposal import Proposal, ProposedValue
from receiver.governed.open_authority import open_authority
from receiver.governed.recommendations import recommending
from receiver.governed.recommendations.vendor_recommendation import RecommendationState
from receiver.outputs.historian.output import HistorianOutput
from sender.poll.answer_event import event_of
from sender.recommendations.answer_events import AnswerTeller

NUMBER = "rec-3k5q7a2m"
WHY = "agreed for the June outage"
SENDER = """
site = "north"
[outlet]
to = "127.0.0.1:5005"
[keys]
own = "keys"
receivers = ["../low/keys.pub"]
[recommendations]
keys = ["keys/low-recommend.pub"]
[[asset]]
name = "pump"
collector = "modbus"
url = "tcp://127.0.0.1:1"
[[asset.scan]]
every = "1s"
tags = [ { name = "t0", at = "holding:0", type = "float32" } ]
"""
RECEIVER = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys"
senders = ["../high/keys.pub"]
"""


class Sides:
    """Two folders, a stick between them, and a lossy link back."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.pipe = Pipe(folder)
        self.high, self.low, self.stick = folder / "high", folder / "low", folder / "stick"
        self.stick.mkdir()
        (self.high / "sender.toml").write_text(SENDER)
        (self.low / "receiver.toml").write_text(RECEIVER)
        keymaking.make("recommend", self.low / "low-recommend")
        (self.high / "keys/low-recommend.pub").write_bytes((self.low / "low-recommend.pub").read_bytes())
        self.output = HistorianOutput(self.low / "state/history")

    def type(self, file: Path, *words: object, code: int = 0) -> str:
        """Type `checkvalve recommendation FILE ..`; gives all that was printed."""
        self._capsys.readouterr()
        assert checkvalve.main(["recommendation", str(file), *map(str, words)]) == code
        told = self._capsys.readouterr()
        return told.out + told.err

    def recommend(self) -> None:
        """Acme proposes, the plant engineer releases."""
        now_ns = time.time_ns()
        proposal = Proposal(
            site="north",
            asset="pump",
            what="Lower the speed limit.",
            why="The bearing runs warm.",
            values=(ProposedValue(name="t0", now="1450", proposed="1380"),),
        )
        maker, engineer = replace(ACME, ends_ns=now_ns + DAY), replace(ENGINEER, ends_ns=now_ns + DAY)
        authority = open_authority(self.low, self.low / "state")
        held = authority.recommendations
        authority.act(lambda people, grants, now: recommending.make(proposal, maker, {"pump"}, held, now, key=NUMBER))
        authority.act(
            lambda people, grants, now: recommending.release(
                held, NUMBER, engineer, now, why="worth reading there", expires_ns=now.late_ns + 30 * DAY
            )
        )
        authority.trail.close()

    def poll_starts(self) -> AnswerTeller:
        """A stream begins; the newest answers are said."""
        packer, told = self.pipe.packer, iter(range(1, 100))
        return AnswerTeller(
            self.high / "state", lambda one: packer.event("", event_of(one), next(told)), pytest.fail, wall_ns=0
        )

    def cross(self) -> None:
        """What was packed goes over a link that loses a tenth, into the history."""
        self.pipe.run(20, lossy(0.1))
        blocks, self.pipe.opened = self.pipe.opened, []
        self.output.take(blocks, b"place")


@pytest.fixture
def sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Sides:
    """Nothing is recommended yet."""
    return Sides(tmp_path, capsys)


def test_a_recommendation_goes_in_by_hand_and_its_answer_comes_back_over_the_diode(sides: Sides) -> None:
    """Written at the low side, read and accepted at the high side, heard at the low side, and once for all restarts."""
    high, low = sides.high / "sender.toml", sides.low / "receiver.toml"
    teller = sides.poll_starts()
    assert "nothing was recommended yet" in sides.type(low)
    sides.recommend()
    assert "to be carried in" in sides.type(low)
    assert "no such recommendation" in sides.type(low, "rec-none", code=2)
    key = sides.low / "low-recommend"
    said = sides.type(low, NUMBER, "--to", sides.stick, "--key", key)
    assert said.split() == [str(sides.stick / f"{NUMBER}{end}") for end in (".checkvalve-recommendation", ".txt")]
    assert "CHECKVALVE RECOMMENDATION" in (sides.stick / f"{NUMBER}.txt").read_text()
    carried = sides.stick / f"{NUMBER}.checkvalve-recommendation"
    assert "t0: 1450 -> 1380   here: tag t0 at holding:0, float32" in sides.type(high, carried)
    assert "accepted by" in sides.type(high, carried, "--accept", "--why", WHY)
    teller.look(0)
    sides.cross()
    assert f"accepted on {time.strftime('%Y')}" in sides.type(low)
    told = sides.type(low, NUMBER)
    assert WHY in told
    assert "  | The bearing runs warm." in told

    sides.pipe.kill_poll()
    sides.pipe.start_poll()
    sides.poll_starts()
    sides.cross()
    assert "note:" not in sides.type(low)
    authority = open_authority(sides.low, sides.low / "state")
    held = authority.recommendations.get(NUMBER)
    kinds = [one.entry.kind for one in authority.trail.governing()]
    authority.trail.close()
    assert held is not None
    assert held.state(authority.now) is RecommendationState.ACCEPTED
    assert kinds == [f"recommendation.{verb}" for verb in ("made", "released", "carried", "answered")]
    sides.output.close()
