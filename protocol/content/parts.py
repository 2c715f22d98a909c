"""A file in parts, as FILE blocks carry it (SPEC.md, section 6.2), and the folder in which it waits to be sent.

    cut    bytes -> bodies of FILE blocks
    FileParts  bodies, in any order and any number of times -> whole files, each once, each compared with its hash

A file is named by its name and its hash together: two that share a name are two files. What is gathered is bounded, and
nothing a body says is believed before the hash of all its parts is that of the whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol.errors import FrameError, Reason
from protocol.limits import NAME_BYTES

OUTBOX = "outbox"
"""Folder in the high side's `state`: a file that is renamed into it is sent, then taken away."""
PART_BYTES = 32 * 1024
"""Of one part [bytes]: fits a block of 127 shards at the smallest mtu."""
LARGEST = 1 << 20
"""Largest file [bytes]: a daily audit has about 50 kB; what is larger would crowd out samples."""
OPEN_FILES = 64
"""Files gathered at once; the oldest is given up first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """A file that came whole."""

    asset: str
    """Empty where it concerns the sender itself."""
    name: str
    time_ns: int
    """When it was made, by the sender's clock [ns since 1970 UTC]."""
    data: bytes
    sha256: bytes


@dataclass(slots=True)
class _Gathered:
    """The parts that came of one file, and what all of them must say of it."""

    asset: str
    time_ns: int
    size: int
    of: int
    parts: dict[int, bytes] = field(default_factory=dict)


def cut(asset: str, name: str, time_ns: int, data: bytes) -> Iterator[dict[str, Any]]:
    """Bodies of the FILE blocks of a file; an empty file has one part.

    Args:
        asset: Whose it is; empty: the sender's own.
        time_ns: When it was made [ns since 1970 UTC].

    Raises:
        ValueError: it is larger than `LARGEST`, or its name is too long.
    """
    if len(data) > LARGEST:
        raise ValueError(f"{name} has {len(data)} bytes; {LARGEST} is the most")
    if not 0 < len(name.encode()) <= NAME_BYTES:
        raise ValueError(f"a name of {len(name.encode())} bytes; 1 to {NAME_BYTES} are allowed")
    of = max(1, -(-len(data) // PART_BYTES))
    for part in range(of):
        yield {
            "asset": asset,
            "name": name,
            "time": time_ns,
            "size": len(data),
            "sha256": hashlib.sha256(data).digest(),
            "part": part,
            "of": of,
            "bytes": data[part * PART_BYTES : (part + 1) * PART_BYTES],
        }


class FileParts:
    """Gathers parts into files."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, bytes], _Gathered] = {}
        self._done: set[tuple[str, bytes]] = set()

    @property
    def waiting(self) -> int:
        """Files of which parts are missing."""
        return len(self._open)

    def add(self, body: Mapping[str, Any]) -> WholeFile | None:
        """Take one part; the file, when this part made it whole.

        Raises:
            FrameError: (BODY) it is no part, contradicts one that came before, or the whole is not what its hash says.
        """
        name, digest, part, data, said = _checked(body)
        key = (name, digest)
        if key in self._done:
            return None
        held = self._open.setdefault(key, said)
        if (held.asset, held.size, held.of) != (said.asset, said.size, said.of):
            raise FrameError(Reason.BODY, size=len(data))
        held.parts[part] = data
        if len(held.parts) < held.of:
            while len(self._open) > OPEN_FILES:
                del self._open[next(iter(self._open))]
            return None
        del self._open[key]
        whole = b"".join(held.parts[at] for at in range(held.of))
        if len(whole) != held.size or hashlib.sha256(whole).digest() != digest:
            raise FrameError(Reason.BODY, size=len(whole))
        self._done.add(key)
        return WholeFile(asset=held.asset, name=name, time_ns=held.time_ns, data=whole, sha256=digest)


def _checked(body: Mapping[str, Any]) -> tuple[str, bytes, int, bytes, _Gathered]:
    try:
        name, asset, digest, data = body["name"], body["asset"], body["sha256"], body["bytes"]
        numbers = [body[key] for key in ("time", "size", "part", "of")]
    except KeyError:
        raise FrameError(Reason.BODY, size=0) from None
    if not (isinstance(name, str) and isinstance(asset, str) and isinstance(digest, bytes) and isinstance(data, bytes)):
        raise FrameError(Reason.BODY, size=0)
    if any(type(number) is not int for number in numbers):
        raise FrameError(Reason.BODY, size=len(data))
    time_ns, size, part, of = numbers
    fits = 0 <= size <= LARGEST and of == max(1, -(-size // PART_BYTES)) and 0 <= part < of
    last = size - (of - 1) * PART_BYTES
    if not fits or len(digest) != 32 or len(data) != (last if part == of - 1 else PART_BYTES):
        raise FrameError(Reason.BODY, size=len(data))
    return name, digest, part, data, _Gathered(asset=asset, time_ns=time_ns, size=size, of=of)
