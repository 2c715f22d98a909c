"""Whatever the link does: what comes out is exactly what went in, or a stated gap; never wrong bytes, never silence."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from link_sender import Low, Pair, Sender, key_files, totals

BLOCKS = st.lists(
    st.tuples(st.integers(1, 24), st.integers(0, 24), st.integers(60, 4000), st.sampled_from((0.0, 0.05, 0.3, 0.9))),
    min_size=1,
    max_size=12,
)
"""need, spare, size [bytes], how bad the link is for the block's frames."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Keys of both sides."""
    return key_files(tmp_path_factory.mktemp("keys"))


def _harmed(frame: bytes, chance: random.Random) -> bytes:
    """One bit turned over, its tail lost, bytes added, or two frames' parts joined."""
    at = chance.randrange(1, len(frame))
    kind = chance.randrange(4)
    if kind == 0:
        return frame[:at] + bytes([frame[at] ^ 1 << chance.randrange(8)]) + frame[at + 1 :]
    if kind == 1:
        return frame[:at]
    return frame + chance.randbytes(at % 40 + 1) if kind == 2 else frame[at:] + frame[:at]


def _send(
    sender: Sender, low: Low, stream: bytes, blocks: list[tuple[int, int, int, float]], chance: random.Random
) -> set[int]:
    """Everything through the bad link; returns numbers of which enough shards came unharmed."""
    complete, arriving = set(), list[bytes]()
    for number, (need, spare, size, badness) in enumerate(blocks):
        intact = set()
        for at, frame in enumerate(sender.shards(stream, number, need=need, spare=spare, size=size)):
            if chance.random() < badness:
                if chance.random() < 0.5:
                    arriving.append(_harmed(frame, chance))
                continue
            intact.add(at)
            arriving += [frame] * (1 + (chance.random() < 0.1))
        if len(intact) >= need:
            complete.add(number)
    if chance.random() < 0.5:
        chance.shuffle(arriving)
    low.receive(*arriving)
    return complete


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks=BLOCKS, seed=st.integers(0, 2**32))
def test_each_block_is_itself_or_a_stated_gap(pair: Pair, blocks: list[tuple[int, int, int, float]], seed: int) -> None:
    """Random sizes, parities and faults; then the beat says what was sent, and each number is here or missing."""
    chance = random.Random(seed)
    sender, low = Sender(pair, seed=seed % 997 + 1), Low(pair)
    low.receive(sender.link())
    stream = sender.stream()
    complete = _send(sender, low, stream, blocks, chance)
    low.receive(sender.beat([totals(stream, len(blocks))]))
    low.wait(0.3)
    here = {number for _, number in low.blocks()}
    assert here == complete
    assert all(sender.sealed[key] == block for key, block in low.blocks().items())
    missing = {number for gap in low.status()["gaps"] for number in range(gap["from"], gap["to"])}
    assert missing == set(range(len(blocks))) - complete
    counts = low.status()["blocks"]
    assert counts["whole"] + counts["repaired"] == len(complete)
    assert counts["missing"] == len(missing)
