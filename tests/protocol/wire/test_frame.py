"""Datagrams: shards, links, beats and probes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import keymaking, keys
from protocol.errors import FrameError, Reason
from protocol.wire import announce, frame
from protocol.wire.beat import Beat, BeatTag, StreamTotals
from protocol.wire.frame import PROBE_LEAST, FrameKind, Probe, ProbeTag, ShardTag

STREAM = bytes(range(8))
TAG = ShardTag(b"l" * 32, 0x01020304, STREAM)
ROWS = np.arange(5 * 40, dtype=np.uint8).reshape(5, 40)
FRAMES = TAG.frames(77, 119, 3, 2, 1, ROWS)
LENGTH = 48 + 40


def _frames() -> list[bytes]:
    return [bytes(FRAMES[at : at + LENGTH]) for at in range(0, len(FRAMES), LENGTH)]


def test_a_shard_says_what_it_is() -> None:
    """Header, content and order of all frames of a block."""
    for index, one in enumerate(_frames()):
        assert frame.kind_of(one) == FrameKind.SHARD
        assert frame.shard_fields(one) == (0x01020304, STREAM, 77, 119, 3, 2, index, 1)
        assert one[32:-16] == ROWS[index].tobytes()
        assert TAG.fits(memoryview(one))


@pytest.mark.parametrize("at", range(LENGTH))
def test_each_byte_of_a_shard_is_under_its_tag(at: int) -> None:
    """Each header field, the shard and the tag itself: one changed bit is refused by form or by tag."""
    changed = bytearray(_frames()[1])
    changed[at] ^= 1
    try:
        if frame.kind_of(bytes(changed)) != FrameKind.SHARD:
            return
        session, stream, *_ = frame.shard_fields(bytes(changed))
    except FrameError:
        return
    assert not ((session, stream) == (0x01020304, STREAM) and TAG.fits(memoryview(changed)))


def test_no_nonce_serves_two_contents() -> None:
    """Frames that differ in number, index, need, spare or copy differ in their nonce bytes."""
    seen = set()
    for number, need, spare, copy in ((77, 3, 2, 1), (78, 3, 2, 1), (77, 3, 2, 2), (77, 4, 1, 1)):
        rows = np.zeros((need + spare, 40), np.uint8)
        view = TAG.frames(number, need * 40, need, spare, copy, rows)
        for at in range(0, len(view), LENGTH):
            one = bytes(view[at : at + LENGTH])
            seen.add(one[16:24] + one[28:32])
    assert len(seen) == 20


def _believe(datagram: bytes) -> None:
    """What a receiver does with a datagram, one kind after another."""
    kind = frame.kind_of(datagram)
    if kind == FrameKind.SHARD:
        session, stream, *_ = frame.shard_fields(datagram)
        if not ShardTag(b"l" * 32, session, stream).fits(memoryview(datagram)):
            raise FrameError(Reason.TAG, size=len(datagram))
    elif kind == FrameKind.LINK:
        announce.read_link(datagram)
        raise FrameError(Reason.KEY, size=len(datagram))
    elif kind == FrameKind.BEAT:
        BeatTag(b"l" * 32, 1).read(datagram)
    else:
        ProbeTag(b"l" * 32, 1).read(datagram)


@given(st.binary(max_size=120))
def test_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    """FrameError and nothing else, with or without the right beginning."""
    for one in (data, b"CV\x01\x01" + data, b"CV\x01\x02" + data, b"CV\x01\x03" + data, b"CV\x02\x01" + data):
        with pytest.raises(FrameError):
            _believe(one)


@pytest.mark.parametrize(
    "fields",
    [
        (0, 3, 2, 0),
        (119, 0, 2, 0),
        (119, 128, 2, 0),
        (119, 127, 129, 0),
        (119, 3, 2, 5),
        (262145, 3, 2, 0),
        (2, 3, 0, 0),
    ],
)
def test_an_impossible_geometry_is_refused(fields: tuple[int, int, int, int]) -> None:
    """size, need, spare and index are checked against each other and the limits."""
    size, need, spare, index = fields
    head = frame.SHARD_HEADER.pack(b"CV", 1, 1, 1, STREAM, 7, size, need, spare, index, 0)
    with pytest.raises(FrameError) as caught:
        frame.shard_fields(head + bytes(40 + 16))
    assert caught.value.reason == Reason.GEOMETRY


def test_another_version_is_refused_not_guessed() -> None:
    """Version 2 with a version 1 body is no frame."""
    with pytest.raises(FrameError) as caught:
        frame.kind_of(b"CV\x02" + _frames()[0][3:])
    assert caught.value.reason == Reason.VERSION


def test_a_link_is_for_one_receiver_and_from_one_signer(tmp_path: Path) -> None:
    """Each byte counts; another receiver's key or an unknown signer does not open it."""
    for side in ("high", "low", "twin"):
        keymaking.make("high" if side == "high" else "low", tmp_path / side)
    signer = keys.load(tmp_path / "high", "link-sign")
    own, twin = keys.load(tmp_path / "low", "catch"), keys.load(tmp_path / "twin", "catch")
    link = announce.make_link(9, 1_700_000_000_000_000, 4, b"k" * 32, own.public, signer)
    known = {signer.public.id: signer.public}
    assert len(link) == 184
    assert announce.read_link(link).order == (1_700_000_000_000_000, 4)
    assert announce.open_link(link, known, own) == b"k" * 32
    for signers, key in ((known, twin), ({}, own)):
        with pytest.raises(FrameError) as caught:
            announce.open_link(link, signers, key)
        assert caught.value.reason == Reason.KEY
    for at in range(4, len(link)):
        changed = bytearray(link)
        changed[at] ^= 1
        with pytest.raises(FrameError):
            announce.open_link(bytes(changed), known, own)


BEAT = Beat(
    session=9,
    boot=1,
    counter=2,
    wall_ns=-5,
    synced=1,
    streams=(StreamTotals(stream=STREAM, oldest=0, sealed=10, finished=8, waiting=((2, 3), (5, 6))),),
    frames=100,
    bytes=2000,
    backlog_s=0.5,
    repeats=(20.0, 900.0),
    spool={"bytes": 1},
)


def test_a_beat_comes_back_as_it_was_said() -> None:
    """All fields, and any changed byte is refused."""
    tag = BeatTag(b"l" * 32, 9)
    one = tag.frame(BEAT)
    assert tag.read(one) == BEAT
    for at in range(len(one)):
        changed = bytearray(one)
        changed[at] ^= 1
        with pytest.raises(FrameError):
            tag.read(bytes(changed))


def test_eight_streams_fit_the_smallest_mtu() -> None:
    """A beat with eight streams, each with four waiting ranges of huge numbers, stays within 1,472 bytes."""
    big = 2**60
    waiting = tuple((big + 10 * at, big + 10 * at + 5) for at in range(4))
    totals = tuple(
        StreamTotals(stream=bytes([at] * 8), oldest=big, sealed=big + 100, finished=big + 99, waiting=waiting)
        for at in range(8)
    )
    beat = Beat(session=9, boot=1, counter=2, wall_ns=0, synced=1, streams=totals, frames=2**40, bytes=2**50)
    assert len(BeatTag(b"l" * 32, 9).frame(beat)) <= 1472


def test_a_probe_is_counted_by_step_and_index() -> None:
    """What was packed is read; a changed one is refused."""
    tag = ProbeTag(b"l" * 32, 9)
    one = tag.frame(3, 20_000, 17, 400, 1472, burst=2500, first=2, last=9)
    assert len(one) == 1472
    assert tag.read(one) == Probe(9, 3, 20_000, 17, 400, 2500, 2, 9)
    for at in range(8, len(one)):
        with pytest.raises(FrameError):
            tag.read(one[:at] + bytes([one[at] ^ 1]) + one[at + 1 :])
    assert len(tag.frame(3, 20_000, 18, 400, 0)) == PROBE_LEAST
