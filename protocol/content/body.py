"""A block's body between columns and seal: a msgpack map, compressed (SPEC.md, section 6.1).

    body = zstd level 1 of msgpack of a map with text keys; the frame states its content size

Level 1, because delta columns leave little for a higher one (1 to 3 %, measured), and no dictionary.

Unpacking is where a few bytes may become many, so every step has its bound before it is taken:

    stated size   none, or more than PLAIN_BYTES, is refused unread
    window        a frame cannot ask for more memory than PLAIN_BYTES
    inflating     by a streaming reader that stops at the limit; the one-shot call would believe the frame
    msgpack       lengths of lists and maps, their number, their depth, no extension types, text keys only

zstandard's contexts hold memory of their own and are not for two threads at once, so they lie in a pool: taking one
out is one step of the interpreter, and a second thread makes its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgpack
import zstandard

from protocol.errors import FrameError, Reason
from protocol.limits import PLAIN_BYTES
from protocol.plain import plain

LEVEL = 1
"""How hard zstd tries, 1 to 22: see above for why so little."""

_COMPRESSORS: list[Any] = []
_DECOMPRESSORS: list[Any] = []


def pack(body: Mapping[str, Any]) -> bytes:
    """The body's bytes, as they are sealed.

    Raises:
        ValueError: more than PLAIN_BYTES before compression, so that no receiver would read it.
    """
    loose: bytes = msgpack.packb(body)
    if len(loose) > PLAIN_BYTES:
        raise ValueError(f"a body of {len(loose)} bytes; {PLAIN_BYTES} is the most")
    compressor = _COMPRESSORS.pop() if _COMPRESSORS else zstandard.ZstdCompressor(level=LEVEL)
    packed: bytes = compressor.compress(loose)
    _COMPRESSORS.append(compressor)
    return packed


def unpack(data: bytes) -> dict[str, Any]:
    """The body's map, within every bound above.

    Raises:
        FrameError: (SIZE) it says that it is more than PLAIN_BYTES; (BODY) it does not say how long it is, is longer
            or shorter than it says, damaged, no map, or past a bound of msgpack.
    """
    return plain(_inflate(data))


def _inflate(data: bytes) -> bytes:
    try:
        stated = zstandard.frame_content_size(data)
    except zstandard.ZstdError as error:
        raise FrameError(Reason.BODY, size=len(data)) from error
    if stated > PLAIN_BYTES:
        raise FrameError(Reason.SIZE, size=stated)
    if stated < 0:
        raise FrameError(Reason.BODY, size=len(data))
    decompressor = _DECOMPRESSORS.pop() if _DECOMPRESSORS else zstandard.ZstdDecompressor(max_window_size=PLAIN_BYTES)
    try:
        # One byte more than may come shows whether it ends there; reading on across frames finds bytes behind it.
        with decompressor.stream_reader(data, read_across_frames=True) as reader:
            inflated: bytes = reader.read(stated + 1)
    except zstandard.ZstdError as error:
        raise FrameError(Reason.BODY, size=len(data)) from error
    _DECOMPRESSORS.append(decompressor)
    if len(inflated) != stated:
        raise FrameError(Reason.BODY, size=len(inflated))
    return inflated
