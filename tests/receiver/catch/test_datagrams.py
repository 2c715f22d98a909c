"""Frames taken together count and come out as frames taken one by one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from link_sender import Low, Sender, key_files

from receiver.catch.datagrams import Datagrams, by_block


def _runs(sender: Sender, chance: random.Random) -> list[list[bytes]]:
    """Buffers as a kernel might hand them over: equally long frames of one or several blocks, some spoilt."""
    streams = [sender.stream() for _ in range(2)]
    out = []
    for number in range(30):
        frames: list[bytes] = []
        for stream in chance.sample(streams, chance.choice((1, 1, 2))):
            need, spare = chance.choice(((3, 5), (8, 3), (5, 0)))
            frames += sender.shards(stream, number, need=need, spare=spare, size=chance.choice((300, 900)))
        frames = [one for one in frames if chance.random() > 0.1]
        if chance.random() < 0.2:
            chance.shuffle(frames)
        if chance.random() < 0.3 and frames:
            frames.append(chance.choice(frames))
        if chance.random() < 0.3 and frames:
            at = chance.randrange(len(frames))
            spoilt = bytearray(frames[at])
            spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
            frames[at] = bytes(spoilt)
        by_length: dict[int, list[bytes]] = {}
        for one in frames:
            by_length.setdefault(len(one), []).append(one)
        out += list(by_length.values())
    return out


@pytest.mark.parametrize("seed", range(25))
def test_together_is_as_one_by_one(tmp_path: Path, seed: int) -> None:
    """The same blocks, the same refusals, the same count of frames, for buffers whole, mixed, doubled and spoilt."""
    pair = key_files(tmp_path)
    sender = Sender(pair, seed=seed)
    together, single = Low(pair), Low(pair)
    link = sender.link()
    for low in (together, single):
        low.receive(link)
    for frames in _runs(sender, random.Random(seed)):
        buffer = memoryview(bytearray(b"".join(frames)))
        together.intake.receive(Datagrams(buffer, len(frames[0])), together.now, together.wall_ns)
        single.receive(*frames)
        for low in (together, single):
            low.wait(0.001)
    assert together.blocks() == single.blocks()
    assert together.refused == single.refused
    assert together.status()["link"] == single.status()["link"]
    assert len(together.blocks()) > 20


def test_a_whole_block_is_looked_at_together(tmp_path: Path) -> None:
    """The common case is not left to the slow path; a shorter last datagram, or a lone one, is."""
    sender = Sender(key_files(tmp_path))
    frames = sender.shards(sender.stream(), 7, need=8, spare=3, size=900)
    view = memoryview(b"".join(frames))
    found = by_block(Datagrams(view, len(frames[0])))
    assert found is not None
    (one,) = found
    assert one.indexes == list(range(11))
    assert one.bits == 2**11 - 1
    assert by_block(Datagrams(view[:-1], len(frames[0]))) is None
    assert by_block(Datagrams(view[: len(frames[0])], len(frames[0]))) is None
    assert by_block(Datagrams(memoryview(b""), 0)) is None
