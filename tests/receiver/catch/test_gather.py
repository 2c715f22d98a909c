"""Laws of the receiving core: a block comes out once, as it was sealed, whatever the link does to its frames."""

from __future__ import annotations

import random
import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from link_sender import Low, Pair, Sender, alone, fate, key_files, totals

from protocol.block import HEADER
from protocol.content.array import Array
from protocol.errors import Reason
from protocol.limits import ASSEMBLY_BLOCKS
from protocol.store.record import How
from protocol.wire.frame import SHARD_HEADER, ShardTag
from receiver.catch.assembly import Assemblies
from receiver.catch.link.early_frames import WAIT_S, EarlyFrames


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Keys of both sides."""
    return key_files(tmp_path_factory.mktemp("keys"))


def open_link(pair: Pair, *, seed: int = 1) -> tuple[Sender, Low, bytes]:
    """A sender whose LINK was heard, and a stream."""
    sender, low = Sender(pair, seed=seed), Low(pair)
    low.receive(sender.link())
    return sender, low, sender.stream()


@pytest.mark.parametrize(
    ("faults", "how"),
    [
        (".....", How.WHOLE),
        ("~....", How.REPAIRED),
        ("x....", How.REPAIRED),
        ("xx...", How.REPAIRED),
        ("x.x..", How.REPAIRED),
        (".xx..", How.REPAIRED),
        ("...xx", How.WHOLE),
        ("ddddd", How.WHOLE),
        ("dx.x~", How.REPAIRED),
        ("~.~.x", How.REPAIRED),
        ("xxx..", None),
        ("..xxx", None),
        ("xxxxx", None),
    ],
)
def test_block_survives_the_loss_of_as_many_shards_as_it_has_spares(pair: Pair, faults: str, how: How | None) -> None:
    """Three data and two spare shards: any three bring the very bytes that were sealed, once; fewer bring nothing."""
    sender, low, stream = open_link(pair)
    low.receive(*fate(sender.shards(stream, 4), faults))
    assert [one.how for one in low.arrivals] == ([] if how is None else [how]), faults
    assert low.blocks() == ({} if how is None else {(stream, 4): sender.block(stream, 4)})


@pytest.mark.parametrize("seed", range(30))
def test_any_mixture_of_loss_doubling_and_order_gives_each_block_once(pair: Pair, seed: int) -> None:
    """Random geometry and fate: a block comes if `need` different shards came, and every frame is accounted for."""
    chance = random.Random(seed)
    sender, low, stream = open_link(pair, seed=seed)
    sent, expected = [], set()
    for number in range(40):
        need, spare = chance.randrange(1, 20), chance.randrange(0, 12)
        frames = sender.shards(stream, number, need=need, spare=spare, size=chance.randrange(100, 3000))
        arriving = fate(frames, "".join(chance.choice("....x.~d") for _ in range(len(frames))))
        if len(set(arriving)) >= need:
            expected.add((stream, number))
        sent += arriving
    if chance.random() < 0.5:
        chance.shuffle(sent)
    low.receive(*sent)
    assert low.blocks() == {key: sender.sealed[key] for key in expected}, f"seed {seed}"
    assert low.sessions.totals()[1] == len(set(sent)) + 1, f"seed {seed}"
    assert low.sessions.again() == len(sent) - len(set(sent)), f"seed {seed}"
    assert set(low.refused) <= {"double"}, f"seed {seed}"
    waiting = sum(one.seen.bit_count() for held in low.intake.gather.assemblies._blocks.values() for one in held)
    used = len(sent) - waiting - low.refused.get("double", 0)
    assert used == sum(one.need for one in low.arrivals), f"seed {seed}"


def test_a_repeat_completes_what_the_first_sending_began(pair: Pair) -> None:
    """Shards of two sendings are shards of one block, however late; after it they are doubles."""
    sender, low, stream = open_link(pair)
    low.receive(*fate(sender.shards(stream, 0), "..xxx"))
    low.wait(3600)
    low.receive(*fate(sender.shards(stream, 0, copy=1), "xx..."))
    assert low.blocks() == {(stream, 0): sender.block(stream, 0)}
    low.receive(*sender.shards(stream, 0, copy=2))
    assert len(low.arrivals) == 1
    assert low.refused == {"double": 2 + 5}


def test_a_block_cut_anew_is_assembled_apart(pair: Pair) -> None:
    """Shards of different geometry never mix; the one that completes first ends both."""
    sender, low, stream = open_link(pair)
    low.receive(*fate(sender.shards(stream, 0, need=3, spare=2), "..xxx"))
    low.receive(*fate(sender.shards(stream, 0, need=4, spare=2), "...xxx"))
    assert low.arrivals == []
    low.receive(*fate(sender.shards(stream, 0, need=4, spare=2, copy=1), "xxx.xx"))
    assert low.blocks() == {(stream, 0): sender.block(stream, 0)}
    assert len(low.intake.gather.assemblies) == 0 == low.intake.gather.assemblies.bytes


def test_a_full_queue_loses_the_block_to_the_next_repeat_only(pair: Pair) -> None:
    """What the writing thread does not take is not accepted: it is missing after the beat, and healed by a repeat."""
    sender, low, stream = open_link(pair)
    low.room = False
    low.receive(*sender.shards(stream, 0))
    assert low.intake.overflow == 1
    low.room = True
    low.receive(sender.beat([totals(stream, 1)]))
    low.wait(0.2)
    assert low.lines[-1] == f"gap stream={stream.hex()} from=0 to=1"
    low.receive(*sender.shards(stream, 0, copy=1))
    assert [(one.number, one.how) for one in low.arrivals] == [(0, How.HEALED)]
    assert low.status()["blocks"] | {"healed": 1, "missing": 0, "expected": 1} == low.status()["blocks"]


def test_frames_before_their_link_wait_for_it(pair: Pair) -> None:
    """Shards, beat and probe of one session whose LINK comes later count as if they came with it, each block once."""
    sender, low = Sender(pair), Low(pair)
    stream = sender.stream()
    link = sender.link()
    low.receive(*sender.shards(stream, 0, need=1, spare=4), sender.beat([totals(stream, 2)]), sender.probe(0, 0, 1))
    assert low.arrivals == []
    assert low.refused == {}
    low.receive(link)
    assert low.blocks() == {(stream, 0): sender.block(stream, 0)}
    assert low.refused == {"double": 4}
    low.wait(0.2)
    assert low.status()["blocks"]["missing"] == 1
    assert low.sessions.totals()[:2] == (7, 8)
    assert len(low.intake.gather.waiting) == 0


def test_no_session_holds_the_ring_and_no_frame_waits_for_ever(pair: Pair) -> None:
    """Frames of two unknown sessions wait side by side, each for its own LINK; what waited too long is counted."""
    low = Low(pair)
    first, second = Sender(pair, seed=1), Sender(pair, seed=2)
    stream = first.stream()
    low.receive(*first.shards(stream, 0), *second.shards(stream, 1))
    assert low.refused == {}
    low.wait(WAIT_S - 0.1)
    low.receive(second.link(), *second.shards(stream, 2))
    assert set(low.blocks()) == {(stream, 1), (stream, 2)}
    assert low.intake.deadline() is not None
    low.wait(0.2)
    assert low.intake.deadline() is None
    assert low.refused["session"] == 5
    low.receive(first.link())  # its order is that of the second: taken, and nothing is left to replay
    assert set(low.blocks()) == {(stream, 1), (stream, 2)}


def test_the_ring_forgets_the_oldest_frames_first() -> None:
    """It never holds more than its size, objects counted; what goes is counted as FULL, whatever its session."""
    refused: Counter[Reason] = Counter()
    ring = EarlyFrames(refused, most_bytes=1800)
    for index in range(20):
        ring.keep(7 + index % 2, bytes([index]) * 20, float(index))
    assert len(ring) == 10
    assert refused == {Reason.FULL: 10}
    assert ring.oldest() == (10.0, 7)
    assert [frame[0] for frame in ring.pop(7)] == [10, 12, 14, 16, 18]
    assert [frame[0] for frame in ring.pop(8)] == [11, 13, 15, 17, 19]
    assert ring.oldest() is None


def test_assembly_gives_up_the_oldest_block_first() -> None:
    """Blocks beyond the number or the bytes push out those whose first shard came first; their shards are counted."""
    refused: Counter[Reason] = Counter()
    blocks = Assemblies(refused, most_blocks=3, most_bytes=10_000)
    for number in range(5):
        blocks.find(b"s" * 8, number, 300, 3, 1).seen = 0b101
    assert len(blocks) == 3
    assert refused == {Reason.FULL: 4}
    assert blocks.bytes == 3 * 400
    blocks.find(b"s" * 8, 9, 9500, 9, 0)
    assert len(blocks) == 2  # the new one and one of 400 bytes
    assert blocks.bytes == 9 * 1056 + 400
    blocks.drop(b"s" * 8, 9)
    blocks.drop(b"s" * 8, 4)
    assert (len(blocks), blocks.bytes) == (0, 0)


def test_authentic_claims_cannot_take_more_memory_than_the_limit(pair: Pair) -> None:
    """A sender gone mad that begins ever new blocks holds 4,096 assemblies at most, the newest."""
    sender, low, stream = open_link(pair)
    extra = 200
    for number in range(ASSEMBLY_BLOCKS + extra):
        low.intake.receive(alone(sender.shards(stream, number, need=2, spare=0, size=100)[0]), low.now, low.wall_ns)
        sender.sealed.clear()
    assert len(low.intake.gather.assemblies) == ASSEMBLY_BLOCKS
    assert low.refused == {"full": extra}


def test_a_block_whose_header_names_another_number_is_refused(pair: Pair) -> None:
    """Authentic frames around a block of another stream, number, version or form: counted, never journaled."""
    sender, low, stream = open_link(pair)
    good = sender.block(stream, 3)
    wrong = {
        "body": [sender.block(stream, 4), sender.block(sender.stream(), 3)],
        "magic": [b"XX" + good[2:]],
        "version": [good[:2] + b"\x09" + good[3:]],
        "short": [good[: HEADER.size - 1]],
    }
    for blocks in wrong.values():
        for block in blocks:
            sender.sealed[(stream, 3)] = block
            low.receive(*sender.shards(stream, 3, need=2, spare=0))
    assert low.arrivals == []
    assert low.refused == {"body": 2, "magic": 1, "version": 1, "short": 1}
    assert low.status()["link"]["versions"] == {"9": 1}
    sender.sealed[(stream, 3)] = good
    low.receive(*sender.shards(stream, 3))
    assert low.blocks() == {(stream, 3): good}


def test_a_block_of_a_kind_nobody_knows_is_kept(pair: Pair) -> None:
    """A later sender's kinds are journaled like any other."""
    sender, low, stream = open_link(pair)
    block = sender.block(stream, 0)
    sender.sealed[(stream, 0)] = block[:3] + b"\xc8" + block[4:]
    low.receive(*sender.shards(stream, 0))
    assert low.blocks()[(stream, 0)][3] == 200


def test_frames_of_other_versions_and_kinds_are_counted_by_number(pair: Pair) -> None:
    """Version 7 and 2 are told apart; a kind of this version that is not known is KIND."""
    sender, low, stream = open_link(pair)
    frame = sender.shards(stream, 0)[0]
    low.receive(frame[:2] + b"\x07" + frame[3:], frame[:2] + b"\x02" + frame[3:], frame[:2] + b"\x07" + frame[3:])
    low.receive(frame[:3] + b"\x00" + frame[4:], frame[:3] + b"\x05" + frame[4:])
    assert low.refused == {"version": 3, "kind": 2}
    assert low.status()["link"]["versions"] == {"2": 1, "7": 2}


def test_probes_are_counted_by_step_and_journaled_never(pair: Pair) -> None:
    """What a linktest needs to know: how many of how many came, a step."""
    sender, low, _ = open_link(pair)
    low.receive(*(sender.probe(0, index, 10) for index in range(10) if index % 5))
    low.receive(*(sender.probe(1, index, 4) for index in range(4)))
    assert [(one["step"], one["of"], one["received"]) for one in low.status()["probes"]] == [(0, 10, 8), (1, 4, 4)]
    assert low.arrivals == []


def test_link_loss_is_what_was_sent_between_two_beats_less_what_came(pair: Pair) -> None:
    """Beats count as received; the time before the first beat does not count."""
    sender, low, stream = open_link(pair)
    low.receive(*fate(sender.shards(stream, 0), ".x..."))
    low.receive(sender.beat())
    assert low.status()["link"]["loss"] == 0.0
    low.receive(*fate(sender.shards(stream, 1, need=15, spare=4), "." * 14 + "x" * 5))
    low.receive(sender.beat())
    told = low.status()["link"]
    assert told["loss"] == pytest.approx(5 / 20)
    assert (told["frames_sent"], told["frames_received"]) == (1 + 5 + 1 + 19 + 1, 1 + 4 + 1 + 14 + 1)
    low.receive(*sender.shards(stream, 2, need=15, spare=4), sender.beat())
    assert low.status()["link"]["loss"] == 0.0
    assert low.status()["link"]["loss_total"] == pytest.approx(5 / 40)


MOST = 65_507


def hostile(chance: random.Random, sender: Sender, stream: bytes, replayed: list[bytes]) -> bytes:
    """A datagram that must not become part of a block: by chance one of what an enemy or a bad cable makes."""
    kind = chance.randrange(9)
    number = chance.randrange(1000, 2000)
    valid = [*sender.shards(stream, number, need=1, spare=0), sender.link(), sender.beat(), sender.probe(1, 2, 3)]
    sender.sealed.clear()
    one = bytearray(chance.choice(valid))
    if kind == 0:
        return chance.randbytes(chance.randrange(0, 400))
    if kind == 1:
        return b"CV\x01" + bytes([chance.randrange(6)]) + chance.randbytes(chance.randrange(0, 400))
    if kind == 2:
        return bytes(one[: chance.randrange(len(one))])
    if kind == 3:
        return bytes(one) + chance.randbytes(chance.randrange(1, 40))
    if kind == 4:
        for _ in range(chance.randrange(1, 4)):
            one[chance.randrange(len(one))] ^= 1 << chance.randrange(8)
        return bytes(one)
    if kind == 5:
        return chance.choice(replayed)
    if kind == 6:  # right in form, made with an invented key; sometimes for an invented session or stream
        foreign = sender.session if chance.random() < 0.7 else chance.getrandbits(32)
        of = stream if chance.random() < 0.5 else chance.randbytes(8)
        rows = sender_rows(chance)
        view = ShardTag(chance.randbytes(32), foreign, of).frames(number, rows.size, 1, 0, 0, rows)
        return bytes(view)
    if kind == 7:  # the largest claims that the fields can hold
        head = SHARD_HEADER.pack(b"CV", 1, 1, sender.session, stream, 2**64 - 1, *chance.choice(CLAIMS), 0)
        return head + chance.randbytes(chance.choice((17, 1000, 1440, MOST - 32)))
    one[2] = chance.randrange(2, 256)
    return bytes(one)


CLAIMS = [
    (2**32 - 1, 255, 255, 255),
    (262_144, 127, 128, 254),
    (262_144, 1, 254, 0),
    (0, 0, 0, 0),
    (1, 1, 0, 0),
    (262_145, 64, 8, 0),
]


def sender_rows(chance: random.Random) -> Array:
    """One shard of random bytes."""
    return np.frombuffer(chance.randbytes(300), np.uint8).reshape(1, 300)


def attack(pair: Pair, seed: int, count: int) -> None:
    """Hostile datagrams among real ones: nothing escapes, every one is counted, only the real blocks come out."""
    chance = random.Random(seed)
    sender, low, stream = open_link(pair, seed=seed)
    real = [sender.shards(stream, number, need=4, spare=2) for number in range(20)]
    sealed = dict(sender.sealed)
    replayed = [frame for frames in real[:10] for frame in frames]
    for frames in real[:10]:
        low.receive(*frames)
    mutated = Sender(pair, seed=seed + 10_000)
    mutated.session, mutated.key = sender.session, chance.randbytes(32)
    handled = 0
    for index in range(count):
        before = low.sessions.totals()[1] + sum(low.refused.values()) + len(low.intake.gather.waiting)
        low.receive(hostile(chance, mutated, stream, replayed))
        after = low.sessions.totals()[1] + sum(low.refused.values()) + len(low.intake.gather.waiting)
        assert after > before, f"seed {seed}, datagram {index} was not counted"
        handled += 1
        if index % max(1, count // 10) == 0:
            low.now += 1.5
            low.receive(*real[10 + index * 10 // count])
    assert handled == count
    assert low.blocks() == {key: sealed[key] for key in low.blocks()}, f"seed {seed}"
    assert {number for _, number in low.blocks()} == set(range(20)), f"seed {seed}"
    assert low.sessions.known.keys() == {sender.session}, f"seed {seed}"
    assert {"short", "long", "magic", "kind", "geometry", "tag", "double", "version"} <= set(low.refused), (
        f"seed {seed}"
    )
    low.status()


def test_hostile_datagrams_are_counted_and_none_is_believed(pair: Pair) -> None:
    """3,000 random, cut, changed, replayed, forged and boasting datagrams, from a fixed seed."""
    attack(pair, 20_240_601, 3000)


@pytest.mark.soak
def test_a_hundred_thousand_hostile_datagrams_are_counted(pair: Pair) -> None:
    """The same law for long."""
    for seed in range(10):
        attack(pair, seed, 10_000)


@given(st.binary(max_size=300), st.sampled_from([b"", b"CV\x01\x01", b"CV\x01\x02", b"CV\x01\x03", b"CV\x01\x04"]))
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_it_raise(pair: Pair, data: bytes, start: bytes) -> None:
    """Whatever hypothesis invents is refused or waits for a LINK, also under the session's own number."""
    sender, low, _ = _opened(pair)
    whole = start + data
    for one in (whole, whole[:4] + struct.pack(">I", sender.session) + whole[8:]):
        before = sum(low.refused.values()) + len(low.intake.gather.waiting) + low.sessions.totals()[1]
        low.receive(one)
        after = sum(low.refused.values()) + len(low.intake.gather.waiting) + low.sessions.totals()[1]
        assert after == before + 1
    assert low.arrivals == []


_OPENED: list[tuple[Sender, Low, bytes]] = []


def _opened(pair: Pair) -> tuple[Sender, Low, bytes]:
    """One receiver for all examples: states pile up, as they do in life."""
    if not _OPENED:
        _OPENED.append(open_link(pair))
    return _OPENED[0]


def test_a_frame_one_byte_short_or_long_is_refused_by_its_length(pair: Pair) -> None:
    """Before its tag is looked at."""
    sender, low, stream = open_link(pair)
    frame = sender.shards(stream, 0)[0]
    low.receive(frame[:-1], frame + b"\0")
    assert low.refused == {"short": 1, "long": 1}
