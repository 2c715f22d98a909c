"""Laws of a block's body: what is packed comes back, and no few bytes become many."""

from __future__ import annotations

import random
import struct
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import plain
from protocol.content import body
from protocol.errors import FrameError, Reason
from protocol.limits import PLAIN_BYTES
from protocol.plain import plain as plain_map

LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary() | st.text() | st.floats(allow_nan=False)
)
NESTED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def reason(data: bytes) -> Reason:
    """Why these bytes are refused."""
    with pytest.raises(FrameError) as refused:
        body.unpack(data)
    return refused.value.reason


def squeeze(plain: bytes, *, state: bool = True) -> bytes:
    """A zstd frame that states its size, or does not."""
    maker = zstandard.ZstdCompressor(level=1).compressobj(size=len(plain) if state else -1)
    return bytes(maker.compress(plain) + maker.flush())


def peak(data: bytes) -> int:
    """Most bytes held while these are unpacked (what Python and zstandard's Python part ask for)."""
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            body.unpack(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.text(), NESTED, max_size=6))
def test_any_map_comes_back(given_map: dict[str, Any]) -> None:
    """Maps, lists and scalars survive; the frame says how long they are."""
    packed = body.pack(given_map)
    assert body.unpack(packed) == given_map
    assert zstandard.frame_content_size(packed) == len(msgpack.packb(given_map))
    assert plain_map(msgpack.packb(given_map)) == given_map


@pytest.mark.parametrize("plain", [msgpack.packb({}), msgpack.packb({"a": b"x" * 1000})], ids=["empty", "small"])
def test_frame_that_does_not_state_its_size_is_refused(plain: bytes) -> None:
    """Every reader may rely on the stated size (SPEC.md, 6.1): a frame without it is no body, whatever is inside."""
    assert body.unpack(squeeze(plain)) == msgpack.unpackb(plain)
    assert reason(squeeze(plain, state=False)) is Reason.BODY


def test_largest_body_is_read_and_one_byte_more_is_refused() -> None:
    """The limit is a limit, for the writer too."""
    room = PLAIN_BYTES - len(msgpack.packb({"a": b""})) - 3
    largest = {"a": bytes(room)}
    assert body.unpack(body.pack(largest)) == largest
    with pytest.raises(ValueError, match="is the most"):
        body.pack({"a": bytes(room + 1)})
    assert reason(squeeze(msgpack.packb({"a": bytes(room + 1)}))) is Reason.SIZE


def test_bomb_with_stated_size_is_refused_unread() -> None:
    """300 MB in 10 kB: refused by what it says of itself."""
    bomb = squeeze(bytes(300_000_000))
    assert len(bomb) < 20_000
    assert reason(bomb) is Reason.SIZE
    assert peak(bomb) < 100_000


def test_bomb_without_stated_size_is_refused_unread() -> None:
    """300 MB in 10 kB that says nothing of itself: not a byte of it is inflated."""
    bomb = squeeze(bytes(300_000_000), state=False)
    assert reason(bomb) is Reason.BODY
    assert peak(bomb) < 100_000


def test_frame_that_understates_its_size_is_refused() -> None:
    """A frame that says 1,000 bytes and holds 8 million is stopped at 1,000."""
    plain = msgpack.packb({"a": bytes(8_000_000)})
    honest = bytearray(zstandard.ZstdCompressor(level=1).compress(plain))
    at = honest.index(struct.pack("<I", len(plain)))
    honest[at : at + 4] = struct.pack("<I", 70_000)
    assert zstandard.frame_content_size(bytes(honest)) == 70_000
    assert reason(bytes(honest)) is Reason.BODY
    assert peak(bytes(honest)) < 1_000_000


def reserved() -> int:
    """Most address space that this process ever had [bytes]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmPeak:"))


@pytest.mark.parametrize("window_log", [20, 27, 31])
def test_frame_that_wants_a_huge_window_is_not_given_it(window_log: int) -> None:
    """A frame may ask for 2 GB of memory before its first byte; it gets the size that it states, or is refused."""
    loose: bytes = msgpack.packb({"a": 1})
    head = b"\x28\xb5\x2f\xfd\x80" + bytes([window_log - 10 << 3])  # RFC 8878, 3.1.1: size in 4 bytes, a window
    frame = head + struct.pack("<I", len(loose)) + (len(loose) << 3 | 1).to_bytes(3, "little") + loose  # one raw block
    before = reserved()
    assert body.unpack(frame) == {"a": 1}
    assert reason(frame[:-1]) is Reason.BODY
    assert reserved() < before + 4 * PLAIN_BYTES


@pytest.mark.parametrize(
    "tail", [b"\x00", b"junk", body.pack({}), b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + body.pack({})]
)
def test_bytes_behind_the_frame_are_refused(tail: bytes) -> None:
    """A body is one frame and nothing else."""
    assert reason(body.pack({"a": 1}) + tail) is Reason.BODY


def test_every_cut_frame_is_refused() -> None:
    """No prefix of a body is a body."""
    whole = body.pack({"a": list(range(100)), "b": bytes(range(256))})
    assert {reason(whole[:at]) for at in range(len(whole))} == {Reason.BODY}


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        msgpack.packb([1]),
        msgpack.packb(7),
        msgpack.packb({"a": 1}) + b"\x00",
        msgpack.packb({1: 2}),
        msgpack.packb({b"a": 2}),
        b"\x81\xa1a\xc1",
        b"\x81\xa1a\xa1\xff",
        msgpack.packb({"a": msgpack.ExtType(5, b"x")}),
        msgpack.packb({"a": msgpack.Timestamp(1)}),
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
        b"\x81\xa1a\xc6\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        msgpack.packb({"a": [0] * (plain.ITEMS + 1)}),
        b"\x81\xa1a" + b"\x91" * 900 + b"\x00",
        b"\x81\xa1a" + b"\x91" * 5000 + b"\x00",
    ],
    ids=range(16),
)
def test_msgpack_past_its_bounds_is_refused(plain: bytes) -> None:
    """Not a map, keys that are no text, broken text, extension types, lengths that lie, lists too long or too deep."""
    with pytest.raises(FrameError) as refused:
        plain_map(plain)
    assert refused.value.reason is Reason.BODY
    assert reason(squeeze(plain)) is Reason.BODY


def test_millions_of_empty_lists_are_refused_early() -> None:
    """8 MiB of empty lists would take half a gigabyte of objects."""
    inner = b"\xdc\x3f\xff" + b"\x90" * 0x3FFF
    plain = b"\x81\xa1a\xdc\x01\x00" + inner * 256
    assert reason(squeeze(plain)) is Reason.BODY
    assert peak(squeeze(plain)) < 3 * PLAIN_BYTES


@pytest.mark.parametrize("seed", range(5))
def test_spoilt_bodies_raise_only_frame_errors(seed: int) -> None:
    """2,000 bodies with bytes changed after compression: refused, or a map."""
    dice = random.Random(seed)
    whole = body.pack({"a": list(range(300)), "b": bytes(range(256)) * 4, "c": {"d": "text" * 50}})
    for _ in range(400):
        spoilt = bytearray(whole)
        for _ in range(dice.choice([1, 1, 3, 20])):
            spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        try:
            assert isinstance(body.unpack(bytes(spoilt)), dict)
        except FrameError as error:
            assert error.reason in (Reason.BODY, Reason.SIZE)  # noqa: PT017


def test_threads_do_not_share_a_context() -> None:
    """Two threads that pack and unpack at once both get their own."""
    wrong: list[int] = []

    def work(mine: int) -> None:
        given_map = {"a": bytes([mine]) * 50_000, "b": mine}
        wrong.extend(mine for _ in range(200) if body.unpack(body.pack(given_map)) != given_map)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
