"""Laws of the wire in an enemy's hands: what is played or invented there hides no loss, holds no session off for long,
asks no person for anything, and is told with its rate."""

from __future__ import annotations

import itertools
import random

import pytest
from link_sender import Low, Pair, Sender, alone, key_files, totals

from protocol.limits import LINK_CHECKS, LINK_DRAWS
from protocol.wire import announce
from protocol.wire.announce import LINK
from protocol.wire.frame import ProbeTag
from receiver.catch.link import heard_session as sessions
from receiver.catch.status.rates import LOOKS, Rates
from receiver.catch.store.floors import Floors


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Keys of both sides."""
    return key_files(tmp_path_factory.mktemp("keys"))


class Lossy:
    """A sender, a wire that loses 7 frames of 10, and somebody who records what is left of it."""

    def __init__(self, pair: Pair, seed: int = 1) -> None:
        self.sender, self.low, self.chance = Sender(pair, seed=seed), Low(pair), random.Random(seed)
        self.stream, self.number = self.sender.stream(), 0
        self.record: list[bytes] = []
        self.low.receive(self.sender.link(), self.sender.beat())

    def second(self, *played: bytes) -> None:
        """A LINK, ten blocks, what is played beside them, a beat."""
        sent = [self.sender.link()]
        for _ in range(10):
            sent += self.sender.shards(self.stream, self.number)
            self.number += 1
        came = [frame for frame in sent if self.chance.random() >= 0.7]
        came.append(self.sender.beat([totals(self.stream, self.number)]))
        self.record += came
        self.low.wait(1.0)
        self.low.receive(*came[:-1], *played, came[-1])

    def told(self) -> dict[str, float]:
        """The link's figures."""
        link: dict[str, float] = self.low.status()["link"]
        return link


def test_a_recording_that_is_played_hides_no_loss(pair: Pair) -> None:
    """Everything that came once comes again, ten times over, beats and LINKs too: the loss stays what it was."""
    honest, played = Lossy(pair), Lossy(pair)
    for _ in range(30):
        honest.second()
        played.second()
    for turn in range(30):
        honest.second()
        played.second(*played.record[:: 1 + turn % 3] * 10)
        assert played.told()["loss"] == pytest.approx(honest.told()["loss"], abs=0.1)
    assert 0.6 < honest.told()["loss_total"] < 0.75
    assert played.told()["loss_total"] == pytest.approx(honest.told()["loss_total"], abs=0.03)
    assert played.told()["frames_received"] == pytest.approx(honest.told()["frames_received"], abs=40)


def test_a_recording_of_the_session_before_moves_no_figure(pair: Pair) -> None:
    """Its key is still known here, its frames are authentic, and nothing is compared with them any more."""
    lossy = Lossy(pair)
    for _ in range(20):
        lossy.second()
    lossy.sender.renew()
    lossy.low.receive(lossy.sender.link(), lossy.sender.beat())
    before, record = lossy.told(), list(lossy.record)
    lossy.low.receive(*record * 3)
    lossy.low.receive(lossy.sender.beat())
    after = lossy.told()
    assert after["frames_received"] == before["frames_received"] + 1
    assert after["loss_total"] == pytest.approx(before["loss_total"], abs=0.001)


def test_frames_that_are_not_remembered_hide_no_more_than_the_seconds_they_come_in(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording longer than the memory can fill up what was sent while it is played, and nothing of before."""
    monkeypatch.setattr(sessions, "SENDINGS", 8)
    lossy = Lossy(pair)
    for _ in range(30):
        lossy.second()
    before = lossy.told()["loss_total"]
    for _ in range(3):
        lossy.second(*lossy.record * 5)
    assert lossy.told()["loss_total"] >= (30 * before - 1) / 33 - 0.001  # the second before them is still open
    for _ in range(5):
        lossy.second()
    assert lossy.told()["loss"] > 0.5
    assert lossy.low.sessions.again() > 1000


def test_frames_that_overtake_their_beat_are_no_loss(pair: Pair) -> None:
    """What comes late for one beat is taken with the next, so that a way that changes the order loses nothing."""
    sender, low = Sender(pair), Low(pair)
    stream = sender.stream()
    low.receive(sender.link(), sender.beat())
    late: list[bytes] = []
    for number in range(20):
        frames = sender.shards(stream, number)
        beat = sender.beat()
        low.receive(*late, *frames[:2], beat)
        late = frames[2:]
    low.receive(*late, sender.beat())
    assert low.status()["link"]["loss_total"] == 0.0


def test_probes_of_a_test_before_are_not_the_last_test(pair: Pair) -> None:
    """Played again they change neither the table nor the counts; those of the session before do not either."""
    sender, low = Sender(pair), Low(pair)
    low.receive(sender.link())
    old = [sender.probe(0, index, 4) for index in range(4)]
    probes = low.intake.gather.probes
    low.receive(*old)
    tag = ProbeTag(sender.key, sender.session)
    low.receive(*(tag.frame(2, 1000, index, 4, 100, first=2, last=2) for index in range(4)))
    received = low.sessions.totals()[1]
    probes.steps.pop((sender.session, 0))  # as if 64 steps lay between
    low.receive(*old)
    assert [one["step"] for one in probes.test()] == [2]
    sender.renew()
    low.receive(sender.link(), *old)
    assert [one["step"] for one in probes.test()] == [2]
    assert low.sessions.totals()[1] == received + 1
    assert low.refused == {"floor": 8}


def false_links(pair: Pair, session: int, *, boot: int = 1000, seed: int = 1) -> itertools.chain[bytes]:
    """LINKs that are right in every field that can be read on the wire: only key and signature are invented."""
    chance = random.Random(seed)
    head = LINK.pack(b"CV", 1, 2, session, boot, 0, pair.own.public.id, pair.signer.public.id, b"", b"")[:40]
    return itertools.chain.from_iterable([head + chance.randbytes(144)] for _ in itertools.count())


@pytest.mark.parametrize(("rate", "most_s", "seeds"), [(1000, 3.0, 10), (10_000, 40.0, 4)])
@pytest.mark.parametrize("burst", [False, True], ids=["evenly", "all at once beside the true one"])
def test_false_links_hold_a_new_session_off_for_seconds(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, rate: int, most_s: float, seeds: int, burst: bool
) -> None:
    """Three true LINKs and then one a second, among so many false ones: how long until its session is opened."""
    checked = [0]
    real = announce.check_link

    def counting(*given: object) -> object:
        checked[0] += 1
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(announce, "check_link", counting)
    took = []
    for seed in range(seeds):
        sender, low = Sender(pair, seed=seed), Low(pair)
        low.sessions.draw._chance.seed(seed)
        false = false_links(pair, sender.session, seed=seed)
        at, checked[0] = 0, 0
        while low.sessions.current is None:
            second, step = divmod(at, 100)
            count = (rate if step == 50 else 0) if burst else rate // 100
            flood = list(itertools.islice(false, count))
            if step == 50:
                flood += [sender.link()] * (1 if second else 3)
            for datagram in flood:
                low.intake.receive(alone(datagram), low.now, low.wall_ns)
            low.wait(0.01)
            at += 1
            assert at < 60 * 100, f"seed {seed}: not opened in a minute"
        assert checked[0] <= (at / 100 + 1) * (LINK_CHECKS + LINK_DRAWS), f"seed {seed}"
        took.append(at / 100 - 0.5)
    assert max(took) <= most_s, took


def test_the_same_false_link_is_looked_at_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated as fast as one likes it costs a comparison, and takes no true one's place."""
    sender, low = Sender(pair), Low(pair)
    false = list(itertools.islice(false_links(pair, sender.session), LINK_CHECKS))
    low.receive(*false)
    monkeypatch.setattr(announce, "check_link", None)
    low.receive(*false * 100)
    assert low.refused == {"signature": 101 * LINK_CHECKS}
    monkeypatch.undo()
    low.wait(1.0)
    low.receive(*false, sender.link())
    assert low.sessions.current is not None


def test_links_for_others_and_below_the_floor_take_no_true_ones_turn(pair: Pair) -> None:
    """They have few turns of their own: a flood of either leaves a new session's first LINK to be heard at once."""
    present, low = Sender(pair, boot=5000), Low(pair, floors=Floors(link=(4000, 0)))
    low.receive(present.link())
    low.wait(1.0)
    below = itertools.islice(false_links(pair, present.session, boot=3000), 500)
    others = (one[:24] + b"another!" + one[32:] for one in itertools.islice(false_links(pair, present.session), 500))
    low.receive(*below, *others)
    present.renew()
    low.receive(present.link())
    assert low.sessions.current is not None
    assert low.sessions.current.number == present.session


def test_frames_of_invented_sessions_cost_a_new_session_nothing(pair: Pair) -> None:
    """2,000 a second of ever new sessions, before its frames and after them: all its blocks are there with its LINK."""
    chance = random.Random(1)
    sender, low = Sender(pair), Low(pair)
    stream = sender.stream()
    frame = sender.shards(stream, 0)[0]

    def invented(count: int) -> list[bytes]:
        return [frame[:4] + chance.randbytes(4) + frame[8:] for _ in range(count)]

    for number in range(1, 30):
        low.receive(*invented(200), *sender.shards(stream, number), *invented(200))
        low.wait(0.2)
    low.receive(sender.link())
    assert {number for _, number in low.blocks()} == set(range(1, 30))


ASKS = ("accept", "lower")
"""Words of a line that asks somebody to change what is believed."""


@pytest.mark.parametrize("live", [True, False])
def test_unsigned_bytes_ask_nobody_to_change_anything(pair: Pair, live: bool) -> None:
    """LINKs below the floor with a false signature, frames and beats of invented sessions, cut and foreign bytes."""
    sender, low = Sender(pair, boot=5000), Low(pair, floors=Floors(link=(4000, 0), confirmed=True))
    false = false_links(pair, 0xBAD, boot=3000)
    chance = random.Random(1)
    stream = sender.stream()
    frame = sender.shards(stream, 0)[0]
    for _ in range(20):
        low.receive(*itertools.islice(false, 20), *(chance.randbytes(60) for _ in range(20)))
        low.receive(*(frame[:4] + chance.randbytes(4) + frame[8:] for _ in range(20)))
        if live:
            low.receive(sender.link(), sender.beat())
        low.wait(1.0)
    told = low.status()["warnings"]
    assert told
    assert not [line for line in told if any(word in line for word in ASKS)]
    assert ("keys show" in " ".join(told)) is not live


def test_frames_below_the_floor_are_not_called_a_strangers(pair: Pair) -> None:
    """Where their LINK is known to be the sender's, one line says what is so, and none says to compare keys."""
    old = Sender(pair, seed=1, boot=1000)
    low = Low(pair, floors=Floors(link=(2000, 0), confirmed=True))
    stream = old.stream()
    for number in range(6):
        low.receive(old.link(), *old.shards(stream, number))
        low.wait(1.0)
    told = low.status()["warnings"]
    assert any("below the floor" in line for line in told)
    assert not [line for line in told if "keys show" in line]


def test_an_old_link_of_the_senders_own_is_told_and_judged_by_a_person(pair: Pair) -> None:
    """While a newer session is heard it is a recording; else the high side is asked first. It goes when it ends."""
    old, present = Sender(pair, seed=1, boot=1000), Sender(pair, seed=2, boot=2000)
    low = Low(pair, floors=Floors(link=(2000, 0), confirmed=True))
    false = false_links(pair, 0xBAD, boot=1500)
    for _ in range(3):
        low.receive(*itertools.islice(false, 3), old.link())  # the false ones take the turn first
        low.wait(1.0)
    for _ in range(3):
        low.receive(old.link())
        low.wait(1.0)
    (line,) = [line for line in low.status()["warnings"] if "below the floor" in line]
    assert f"{old.session:08x}" in line
    assert "high side" in line
    assert "accept" in line
    low.receive(present.link(), present.beat(), old.link())
    (line,) = [line for line in low.status()["warnings"] if "below the floor" in line]
    assert "accept" not in line
    assert "recording" in line
    low.wait(6.0)
    assert not [line for line in low.status()["warnings"] if "below the floor" in line]


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("magic", "no frames of Checkvalve"),
        ("version", "another wire version"),
        ("tag", "not made with its key"),
        ("key", "not in [keys] senders"),
        ("signature", "false LINKs"),
        ("floor", "a recording"),
        ("session", "nobody opened"),
        ("again", "had come before"),
    ],
)
def test_a_flood_is_told_with_its_rate_and_only_while_it_lasts(pair: Pair, reason: str, says: str) -> None:
    """50 a second of each kind beside a live sender: one line with rate and next step, gone six seconds after it."""
    sender, low = Sender(pair, boot=5000), Low(pair)
    stream = sender.stream()
    frame = sender.shards(stream, 0)[0]
    chance = random.Random(1)
    false = false_links(pair, sender.session, boot=6000)
    low.receive(sender.link(), sender.beat())
    beat = sender.beat()
    low.receive(beat)
    kinds = {
        "magic": lambda: chance.randbytes(50),
        "version": lambda: frame[:2] + b"\x09" + frame[3:],
        "tag": lambda: frame[:-1] + bytes([frame[-1] ^ 1]),
        "key": lambda: next(false)[:32] + chance.randbytes(152),
        "signature": lambda: next(false),
        "floor": lambda: beat,
        "session": lambda: frame[:4] + chance.randbytes(4) + frame[8:],
        "again": lambda: frame,
    }
    for _ in range(200):
        low.receive(sender.link(), sender.beat(), *(kinds[reason]() for _ in range(5)))
        low.wait(0.1)
    lines = [line for line in low.status()["warnings"] if says in line]
    assert len(lines) == 1, low.status()["warnings"]
    assert 45 <= float(lines[0].split()[0]) <= 60, lines
    assert "tcpdump" in lines[0]
    for _ in range(180):
        low.receive(sender.beat())
        low.wait(0.1)
    assert low.status()["warnings"] == []


def test_drops_of_this_machine_are_told_with_their_rate(pair: Pair) -> None:
    """What the kernel and the disk were too slow for, while it happens."""
    low = Low(pair)
    for at in range(10):
        low.intake.gather.probes.kernel_drops += 30
        low.intake.overflow += 2 if at > 7 else 0
        low.wait(1.0)
    told = low.status()["warnings"]
    assert any("kernel drops at least 30 frames a second" in line for line in told), told
    assert any("0.8 blocks a second are given up" in line for line in told), told
    for _ in range(6):
        low.wait(1.0)
    assert low.status()["warnings"] == []


def test_a_rate_is_of_the_last_seconds() -> None:
    """Not of the whole life, and nothing before the second look."""
    rates = Rates()
    assert rates.of("x") == 0.0
    for at in range(100):
        rates.look({"x": 7 * at, "y": 1}, float(at))
    assert rates.of("x", "y") == 7.0
    for at in range(100, 100 + LOOKS):
        rates.look({"x": 700}, float(at))
    assert rates.of("x") == 0.0
