"""Blocks: sealed ones and signed ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import keymaking, keys, seal
from protocol.block import BlockKind
from protocol.errors import FrameError, Reason
from protocol.seal import Seal

STREAM = bytes(range(8))
BODY = {"asset": "pump-7", "time": 1, "what": "up", "text": "connected"}
ONE = Seal(b"k" * 32, STREAM, 3).close(BlockKind.STATE, 41, BODY, bytes(12))


def test_a_sealed_block_opens_with_its_key_alone() -> None:
    """Another epoch's, stream's or key's seal does not open it."""
    assert Seal(b"k" * 32, STREAM, 3).open(ONE) == BODY
    for other in (Seal(b"x" * 32, STREAM, 3), Seal(b"k" * 32, bytes(8), 3), Seal(b"k" * 32, STREAM, 4)):
        with pytest.raises(FrameError) as caught:
            other.open(ONE)
        assert caught.value.reason == Reason.SEAL


@given(st.integers(0, len(ONE) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_sealed_block_is_refused(at: int, flip: int) -> None:
    """Header, nonce, content and tag are all under the seal."""
    changed = bytearray(ONE)
    changed[at] ^= flip
    with pytest.raises(FrameError):
        Seal(b"k" * 32, STREAM, 3).open(bytes(changed))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_block_are_refused(data: bytes) -> None:
    """FrameError, whatever they are."""
    with pytest.raises(FrameError):
        Seal(b"k" * 32, STREAM, 3).open(data)
    with pytest.raises(FrameError):
        seal.verify(data, {})


def test_a_signed_block_is_believed_by_signer_and_bytes(tmp_path: Path) -> None:
    """Any changed byte, and any other signer, is refused."""
    keymaking.make("high", tmp_path / "high")
    signer = keys.load(tmp_path / "high", "sign")
    block = seal.sign(BlockKind.OPEN, STREAM, 0, {"site": "north", "boot": 7}, signer)
    known = {signer.public.id: signer.public}
    assert seal.verify(block, known) == {"site": "north", "boot": 7}
    with pytest.raises(FrameError) as caught:
        seal.verify(block, {})
    assert caught.value.reason == Reason.KEY
    for at in range(len(block)):
        changed = bytearray(block)
        changed[at] ^= 1
        with pytest.raises(FrameError):
            seal.verify(bytes(changed), known)


def test_an_epoch_key_is_for_its_receivers_alone(tmp_path: Path) -> None:
    """Each named receiver opens it, another does not, and not for another stream."""
    keymaking.make("low", tmp_path / "low")
    keymaking.make("low", tmp_path / "twin")
    keymaking.make("recovery", tmp_path / "safe")
    own, twin = keys.load(tmp_path / "low", "open"), keys.load(tmp_path / "twin", "open")
    safe = keys.load(tmp_path / "safe", "recovery")
    body = seal.epoch_body(2, STREAM, b"e" * 32, [own.public, safe.public])
    assert seal.open_epoch(body, STREAM, own) == (2, b"e" * 32)
    assert seal.open_epoch(body, STREAM, safe) == (2, b"e" * 32)
    for stream, key, reason in ((STREAM, twin, Reason.KEY), (bytes(8), own, Reason.SIGNATURE)):
        with pytest.raises(FrameError) as caught:
            seal.open_epoch(body, stream, key)
        assert caught.value.reason == reason


def test_an_epoch_block_fits_two_shards_of_an_ethernet_frame(tmp_path: Path) -> None:
    """One receiver's EPOCH must not cost the carousel more than two data shards."""
    keymaking.make("low", tmp_path / "low")
    keymaking.make("high", tmp_path / "high")
    own, signer = keys.load(tmp_path / "low", "open"), keys.load(tmp_path / "high", "sign")
    block = seal.sign(BlockKind.EPOCH, STREAM, 1, seal.epoch_body(1, STREAM, b"e" * 32, [own.public]), signer)
    assert len(block) <= 2 * 1424
