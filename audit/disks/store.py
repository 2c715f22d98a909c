"""One side's store as an auditor reads it: leaves, kept blocks, and what of the segments is still there.

The folder is a spool or a journal, or a copy of one (protocol/store/segment_store.py tells the layout). It is only
read, needs no key, and may be damaged in any way: what cannot be read is noted and the rest is read all the same. A
record is believed when its block matches its hash, its header repeats stream and number, and its leaf says the same.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from protocol.block import SIGNED, read_header
from protocol.errors import ConfigError, FrameError
from protocol.limits import BLOCK_BYTES
from protocol.ranges import Ranges
from protocol.store.reader import SYNCED
from protocol.store.record import HEAD, Record, parse

Leaves: TypeAlias = npt.NDArray[np.uint8]

NOTES = 50
"""Most notes of damage kept; all are counted."""
_MOST_LEAVES = 1 << 32
"""Numbers up to here have leaves that are read; a sparse file made longer than that is damage."""
_MOST_MADE = 1 << 26
"""The same where the leaves must be made from the blocks: one forged number must not take all memory."""


@dataclass(slots=True, kw_only=True)
class SideStream:
    """What one side holds of one stream."""

    leaves: Leaves
    """SHA-256 of each number, rows of 32 bytes, zeros where it is not held."""
    signed: dict[int, list[bytes]] = field(default_factory=dict)
    """OPEN, EPOCH and HEAD blocks by number; two different ones of a number are both kept."""
    records: Ranges = field(default_factory=Ranges)
    """Numbers whose block is still here."""
    wrong: Ranges = field(default_factory=Ranges)
    """Numbers whose block is here and is not what its hash, its header or its leaf says."""
    listed: bool = True
    """Whether there was a leaf file; without one the leaves were made from the blocks."""


@dataclass(slots=True, kw_only=True)
class StoreSide:
    """What one side's store holds, stream by stream, and what in it cannot be read."""

    name: str
    """`high` or `low`."""
    folder: Path
    streams: dict[bytes, SideStream] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Damage, in words."""
    damaged: int = 0
    """How many notes there were."""
    segments: int = 0
    bytes: int = 0
    """Of all segments read [bytes]."""

    def note(self, text: str) -> None:
        self.damaged += 1
        if len(self.notes) < NOTES:
            self.notes.append(text)


def read_side(name: str, folder: Path) -> StoreSide:
    """Read a store.

    Args:
        name: `high` or `low`.
        folder: The spool, the journal, or a copy.

    Raises:
        ConfigError: it is no store.
    """
    if not any((folder / part).is_dir() for part in ("leaves", "segments", "kept")):
        raise ConfigError(
            f"{folder} is no store: no leaves, segments or kept in it",
            hint="the high side's is state/spool, the low side's state/journal",
        )
    side = StoreSide(name=name, folder=folder)
    for path in sorted((folder / "leaves").glob("*.leaf")):
        stream = _stream_of(side, path)
        if stream is not None:
            side.streams[stream] = SideStream(leaves=_read_leaves(side, path))
    _read_segments(side)
    for path in sorted((folder / "kept").glob("*.seg")):
        _read_file(side, path, path.stat().st_size, open_end=True)
    return side


def _read_segments(side: StoreSide) -> None:
    synced = _synced(side.folder)
    paths = sorted((side.folder / "segments").glob("*.seg"))
    for path in paths:
        size = path.stat().st_size
        if synced is not None and path.stem.isdigit():
            if int(path.stem) > synced[0]:
                continue  # written and not yet stated
            size = min(size, synced[1]) if int(path.stem) == synced[0] else size
        side.segments += 1
        side.bytes += size
        _read_file(side, path, size, open_end=synced is None and path == paths[-1])


def _read_file(side: StoreSide, path: Path, size: int, *, open_end: bool) -> None:
    """All records of a file; the last one may be cut where a crash, or a copy of a live folder, may have cut it."""
    if path.is_symlink() or not path.is_file():  # a FIFO would never end
        side.note(f"{side.name}: {path.parent.name}/{path.name} is no plain file")
        return
    data = path.read_bytes()[:size]
    at = 0
    while (
        one := parse(data, at, len(data), check=False)
    ) is not None:  # unlike the store's reader: on behind a bad one
        _add_record(side, path, one)
        at += one.length
    if at < size and not (open_end and _cut(data, at)):
        side.note(f"{side.name}: {path.parent.name}/{path.name}: {size - at} bytes from byte {at} on are no records")


def _cut(data: bytes, at: int) -> bool:
    """Whether what is left could be the beginning of a record."""
    if len(data) - at < HEAD.size:
        return True
    length = int.from_bytes(data[at : at + 4], "big")
    return 0 < length + 4 - HEAD.size <= BLOCK_BYTES


def _add_record(side: StoreSide, path: Path, one: Record) -> None:
    stream = side.streams.get(one.stream)
    if stream is None:
        stream = side.streams[one.stream] = SideStream(leaves=np.zeros((0, 32), np.uint8), listed=False)
    stream.records.add(one.number)
    digest = hashlib.sha256(one.block).digest()
    if not stream.listed:
        _add_leaf(side, stream, one.number, digest)
    why = _wrong(stream, one, digest)
    if why:
        stream.wrong.add(one.number)
        side.note(f"{side.name}: stream {one.stream.hex()} block {one.number} in {path.parent.name}/{path.name}: {why}")
        return
    if one.block[3] in SIGNED and one.block not in (blocks := stream.signed.setdefault(one.number, [])):
        blocks.append(one.block)


def _wrong(stream: SideStream, one: Record, digest: bytes) -> str:
    """Why a record is not to be believed; empty where it is."""
    if digest != one.digest:
        return "its bytes do not match its hash"
    try:
        header = read_header(one.block)
    except FrameError as error:
        return f"it is no block: {error}"
    if (header.stream, header.number) != (one.stream, one.number):
        return f"its header says stream {header.stream.hex()} number {header.number}"
    leaf = stream.leaves[one.number].tobytes() if one.number < len(stream.leaves) else bytes(32)
    if leaf != digest:
        return "it has no leaf" if leaf == bytes(32) else "its leaf says another hash"
    return ""


def _add_leaf(side: StoreSide, stream: SideStream, number: int, digest: bytes) -> None:
    if number >= _MOST_MADE:
        side.note(f"{side.name}: number {number} is beyond what is read")
        return
    if number >= len(stream.leaves):
        room = max(1024, 2 * len(stream.leaves), number + 1)
        grown = np.zeros((min(room, _MOST_MADE), 32), np.uint8)
        grown[: len(stream.leaves)] = stream.leaves
        stream.leaves = grown
    stream.leaves[number] = np.frombuffer(digest, np.uint8)


def _read_leaves(side: StoreSide, path: Path) -> Leaves:
    size = path.stat().st_size
    if size % 32:
        side.note(f"{side.name}: leaves/{path.name} has {size} bytes, no multiple of 32")
    count = min(size // 32, _MOST_LEAVES)
    if size // 32 > count:
        side.note(f"{side.name}: leaves/{path.name} is longer than any stream")
    if not count:
        return np.zeros((0, 32), np.uint8)
    return np.memmap(path, np.uint8, "r", shape=(count, 32))


def _stream_of(side: StoreSide, path: Path) -> bytes | None:
    try:
        stream = bytes.fromhex(path.stem)
    except ValueError:
        stream = b""
    if len(stream) == 8:
        return stream
    side.note(f"{side.name}: {path.parent.name}/{path.name} is named after no stream")
    return None


def _synced(folder: Path) -> tuple[int, int] | None:
    """Up to where the writer says that all is durable; None: it does not."""
    try:
        segment, offset = SYNCED.unpack((folder / "synced").read_bytes()[: SYNCED.size])
    except (OSError, struct.error):
        return None
    return int(segment), int(offset)
