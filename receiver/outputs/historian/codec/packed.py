"""Bytes of the history as they lie on the disk: a version, then a map of arrays under zstd with a checksum (pure).

    version u8 = 2 | zstd of: length u32 | msgpack of a map, text keys | long strings of bytes, one after another

The arrays in the map have the forms of the link (`protocol.content.column`, SPEC.md, section 6.3): one number codec for
what travels and for what is kept. What the first builds wrote begins with zstd's own magic number, 0x28, and is read by
`first_chunk.py` and `first_group.py`.

zstd has one table of symbols for a block of its own, and a clock's jitter shares none with a value's steps. So what
stays is cut: long strings stand behind the map, which has an extension in their place, and every plane of cells is a
block. That is 6 % smaller; what is rewritten soon is not cut.
"""

from __future__ import annotations

from typing import Any

import msgpack
import zstandard

from protocol.errors import FrameError, StoreError
from receiver.outputs.disk import UNBELIEVED

VERSION = 2
BEFORE = 0x28
"""First byte of what the first builds wrote: that of a zstd frame (RFC 8878, 3.1.1)."""
FAILS = (zstandard.ZstdError, FrameError, *UNBELIEVED)
"""What reading bytes that are not what was written raises."""

_HOT_LEVEL, _COLD_LEVEL = 1, 3
"""How hard zstd tries: for what is rewritten soon, and for what stays."""
_LONG = 256
"""Bytes from which on a string stands behind the map: a block's table of symbols takes some forty."""
_LATER = 1
"""The extension in its place: how long it is."""
_BLOCK = zstandard.COMPRESSOBJ_FLUSH_BLOCK

_HOT: list[Any] = []
_COLD: list[Any] = []
_DECOMPRESSORS: list[Any] = []


def pack_hot(held: dict[str, Any]) -> bytes:
    """The map as bytes, quickly."""
    compressor = _HOT.pop() if _HOT else zstandard.ZstdCompressor(level=_HOT_LEVEL, write_checksum=True)
    whole = msgpack.packb(held)
    packed: bytes = compressor.compress(len(whole).to_bytes(4, "little") + whole)
    _HOT.append(compressor)
    return bytes((VERSION,)) + packed


def pack_cold(held: dict[str, Any], plane: int) -> bytes:
    """The map as bytes, small.

    Args:
        plane: Bytes of a plane of cells: how many rows there are.
    """
    longs: list[bytes] = []
    whole = msgpack.packb(dict(zip(held, _parted(list(held.values()), longs), strict=True)))
    compressor = _COLD.pop() if _COLD else zstandard.ZstdCompressor(level=_COLD_LEVEL, write_checksum=True)
    stream = compressor.compressobj(size=4 + len(whole) + sum(map(len, longs)))
    parts = [bytes((VERSION,)), stream.compress(len(whole).to_bytes(4, "little") + whole)]
    for long in longs:
        step = plane if len(long) % plane == 0 else len(long)
        for at in range(0, len(long), step):
            parts += [stream.flush(_BLOCK), stream.compress(long[at : at + step])]
    parts.append(stream.flush())
    _COLD.append(compressor)
    return b"".join(parts)


def unpack(body: bytes, what: str) -> dict[str, Any]:
    """The map of their bytes.

    Args:
        what: It is, for the error.

    Raises:
        StoreError: a later version wrote them.
        zstandard.ZstdError: and the others of `FAILS`: they are not what was written.
    """
    if body[0] != VERSION:
        raise StoreError(f"{what} of the history has version {body[0]}; this build reads {VERSION}")
    decompressor = _DECOMPRESSORS.pop() if _DECOMPRESSORS else zstandard.ZstdDecompressor()
    raw = decompressor.decompress(memoryview(body)[1:])
    _DECOMPRESSORS.append(decompressor)
    behind = 4 + int.from_bytes(raw[:4], "little")
    at = behind

    def later(code: int, length: bytes) -> bytes:
        nonlocal at
        at += int.from_bytes(length, "little")
        return raw[at - int.from_bytes(length, "little") : at]

    held = msgpack.unpackb(raw[4:behind], ext_hook=later)
    if not isinstance(held, dict) or at != len(raw):
        raise ValueError("no map, or more than it says")
    return held


def _parted(form: list[Any], longs: list[bytes]) -> list[Any]:
    """The form with its long strings taken out into `longs`; most of what is in one is short numbers."""
    out = form.copy()
    for at, one in enumerate(form):
        if type(one) is list:
            out[at] = _parted(one, longs)
        elif type(one) is bytes and len(one) >= _LONG:
            longs.append(one)
            out[at] = msgpack.ExtType(_LATER, len(one).to_bytes(4, "little"))
    return out
