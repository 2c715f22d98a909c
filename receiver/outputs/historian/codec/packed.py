"""Bytes of the history as they lie on the disk: a version, then a map of arrays under zstd with a checksum (pure).

    version u8 = 2 | zstd of msgpack of a map, text keys         hot groups (`group.py`), chunks (`chunk.py`)

The arrays in the map have the forms of the link (`protocol.content.column`, SPEC.md, section 6.3): one number codec for
what travels and for what is kept. What the first builds wrote begins with zstd's own magic number, 0x28, and is read by
`first_chunk.py` and `first_group.py`.
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
HOT_LEVEL, COLD_LEVEL = 1, 3
"""How hard zstd tries: what is rewritten soon, and what stays."""
FAILS = (zstandard.ZstdError, FrameError, *UNBELIEVED)
"""What reading bytes that are not what was written raises."""

_COMPRESSORS: dict[int, list[Any]] = {HOT_LEVEL: [], COLD_LEVEL: []}
_DECOMPRESSORS: list[Any] = []


def pack(held: dict[str, Any], level: int) -> bytes:
    """The map as bytes."""
    pool = _COMPRESSORS[level]
    compressor = pool.pop() if pool else zstandard.ZstdCompressor(level=level, write_checksum=True)
    packed: bytes = compressor.compress(msgpack.packb(held))
    pool.append(compressor)
    return bytes((VERSION,)) + packed


def unpack(body: bytes, what: str) -> dict[str, Any]:
    """The map of `pack`'s bytes.

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
    held = msgpack.unpackb(raw)
    if not isinstance(held, dict):
        raise ValueError("no map")
    return held
