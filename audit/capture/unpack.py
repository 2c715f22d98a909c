"""Captures as they are put away: packed by gzip or zstd. Unpacked into a nameless file that goes with the reading.

What comes out of a packed file that was cut is shorter and may look whole; a reader of zstd's own library gives it back
without a word (zstandard 0.25). So each frame's end is looked for, and what is behind the last one is told.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard

from protocol.errors import ConfigError

PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"} | {bytes([first, 0x2A]): "zstd" for first in range(0x50, 0x60)}
"""The first two bytes of a packed file; the latter are zstd's skippable frames, with which pzstd begins."""
_SKIPPABLE = tuple(bytes([first, 0x2A, 0x4D, 0x18]) for first in range(0x50, 0x60))
_PZSTD = 4
"""Bytes that pzstd's skippable frames hold: a length."""
_PIECE = {"gzip": 64 << 10, "zstd": 4 << 10}
"""Packed bytes read at once: gzip makes up to 1,032 times as many of them (zlib.net), zstd 32,768 times."""
_MOST = 1 << 40
"""Longest unpacked capture [bytes]; a file made to fill the disk ends here at the latest."""


@dataclass(slots=True, kw_only=True)
class Unpacked:
    """A packed capture, unpacked."""

    file: IO[bytes]
    """The unpacked bytes; nobody else can see them."""
    packing: str
    """`gzip` or `zstd`."""
    sha256: str
    """Of the packed file, as it lies on the disk."""
    bytes: int
    """Of the packed file."""
    cut: bool
    """The packed file ends before its last frame does: what is missing cannot be known."""
    strange: bool
    """Bytes that are no packed frame stand behind the last one."""
    skipped: int
    """Bytes in zstd's skippable frames, which are somebody's own (RFC 8878, 3.1.2), pzstd's lengths aside."""


def unpack(path: Path, packing: str) -> Unpacked:
    """Unpack all of it.

    Args:
        path: The packed file.
        packing: `gzip` or `zstd`.

    Raises:
        ConfigError: it cannot be unpacked at all, or the disk has no room for it.
    """
    make: Callable[[], Any] = _gzip if packing == "gzip" else _zstd
    out = tempfile.TemporaryFile(prefix="checkvalve-capture-")  # noqa: SIM115  it lives as long as the reading
    digest, size, written = hashlib.sha256(), 0, 0
    held, whole, strange, one = b"", 0, False, make()
    begun, skip, skipped = False, 0, 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE[packing]):
                digest.update(piece)
                size += len(piece)
                held = b"" if strange else held + piece
                while held and not strange:
                    if skip:
                        skip, held = max(skip - len(held), 0), held[skip:]
                        continue
                    if packing == "zstd" and not begun:
                        if len(held) < 8:
                            break
                        if held[:4] in _SKIPPABLE:
                            holds = int.from_bytes(held[4:8], "little")
                            skip, skipped = 8 + holds, skipped + (holds if holds != _PZSTD else 0)
                            continue
                    try:
                        data = one.decompress(held)
                    except (zlib.error, zstandard.ZstdError):
                        strange = True
                        break
                    begun = True
                    written += out.write(data)
                    if written > _MOST:
                        raise ConfigError(f"{path} unpacks to more than {_MOST >> 40} TiB", hint="unpack a part of it")
                    held = one.unused_data if one.eof else b""
                    if one.eof:
                        whole, one, begun = whole + 1, make(), False
    except OSError as error:
        out.close()
        raise ConfigError(
            f"{path} cannot be unpacked: {error.strerror}", hint="TMPDIR names a folder with room"
        ) from None
    if not written:
        out.close()
        raise ConfigError(f"{path} holds nothing that {packing} can unpack")
    out.flush()
    return Unpacked(
        file=out,
        packing=packing,
        sha256=digest.hexdigest(),
        bytes=size,
        cut=(begun or skip > 0 or bool(held)) and not strange,
        strange=strange,
        skipped=skipped,
    )


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _zstd() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
