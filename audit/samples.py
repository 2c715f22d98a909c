"""Small things to try the kit on: a frame of the link and the two sides' stores, made from a seed.

`audit selftest` hurts copies of them on purpose; they hold no plant's data. The stores are written here byte by byte as
SPEC.md, section 5 tells, so that this needs no writer's lock and no POSIX system.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from protocol import evidence, keymaking, keys, seal
from protocol.block import HEADER, KEPT, MAGIC, BlockKind
from protocol.evidence import Head, Tree
from protocol.keys import PrivateKey
from protocol.limits import WIRE_VERSION
from protocol.store.reader import SYNCED
from protocol.store.record import Record, record, to_bytes

SITE = "sample-plant"
HIGH_MAC, LOW_MAC = "02:dd:00:00:00:01", "02:dd:00:00:00:02"
PORT = 5005
_START_NS = 1_700_000_000 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Two stores and the key that vouches for them."""

    high: Path
    low: Path
    key: Path
    """Public keys of the high side."""
    streams: tuple[bytes, ...]
    size: int
    """Blocks of each stream."""


def make_stores(
    folder: Path, *, seed: int, streams: int = 2, blocks: int = 60, head_every: int = 20, lost: Iterable[int] = ()
) -> Stores:
    """Write both sides' stores.

    Args:
        folder: Made if missing.
        seed: Of all blocks (the keys are fresh).
        streams: How many, each following the one before.
        blocks: Of each stream [blocks].
        head_every: A HEAD closes so many numbers.
        lost: Numbers that the low side does not hold, in every stream.
    """
    dice = random.Random(seed)
    keymaking.make("high", folder / "keys" / "high")
    signer = keys.load(folder / "keys" / "high", "sign")
    missing = frozenset(lost)
    before: tuple[bytes, int, bytes] | None = None
    names: list[bytes] = []
    high: list[Record] = []
    for boot in range(1, streams + 1):
        names.append(dice.randbytes(8))
        made, root = _stream(names[-1], boot, before, signer, blocks, head_every, dice)
        before = (names[-1], blocks - 1, root)
        high += made
    write_store(folder / "high" / "spool", high)
    write_store(folder / "low" / "journal", [one for one in high if one.number not in missing])
    return Stores(
        high=folder / "high" / "spool",
        low=folder / "low" / "journal",
        key=folder / "keys" / "high.pub",
        streams=tuple(names),
        size=blocks,
    )


def write_store(folder: Path, records: list[Record]) -> None:
    """A store of one segment that holds these records."""
    for name in ("segments", "kept", "leaves"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    data = b"".join(map(to_bytes, records))
    (folder / "segments" / "0000000001.seg").write_bytes(data)
    for stream in {one.stream for one in records}:
        own = [one for one in records if one.stream == stream]
        leaves = bytearray(32 * (max(one.number for one in own) + 1))
        for one in own:
            leaves[32 * one.number : 32 * one.number + 32] = one.digest
        (folder / "leaves" / f"{stream.hex()}.leaf").write_bytes(leaves)
        kept = b"".join(to_bytes(one) for one in own if one.block[3] in KEPT)
        (folder / "kept" / f"{stream.hex()}.seg").write_bytes(kept)
    (folder / "synced").write_bytes(SYNCED.pack(1, len(data)))


def opaque(stream: bytes, number: int, content: bytes) -> Record:
    """A sealed block that nobody can open, as the stores see all of them."""
    header = HEADER.pack(MAGIC, WIRE_VERSION, BlockKind.BATCH, stream, number, 1, content[:12].ljust(12, b"\0"))
    return record(stream, number, 1, 4, header + content, time_ns=_START_NS)


def _stream(
    stream: bytes,
    boot: int,
    before: tuple[bytes, int, bytes] | None,
    signer: PrivateKey,
    blocks: int,
    head_every: int,
    dice: random.Random,
) -> tuple[list[Record], bytes]:
    """Its records, and the head of its tree."""
    body = {"site": SITE, "boot": boot, "time": _START_NS, "previous": None if before is None else list(before)}
    out = [_signed(BlockKind.OPEN, stream, 0, body, signer)]
    closed, name = Tree(), evidence.origin(SITE, stream)
    while len(out) < blocks:
        number = len(out)
        if number % head_every:
            out.append(opaque(stream, number, dice.randbytes(dice.randrange(60, 120))))
            continue
        previous, frontier = closed.size, tuple(closed.frontier)
        fresh = tuple(one.digest for one in out[previous:])
        for leaf in fresh:
            closed.add(leaf)
        note = evidence.sign_note(evidence.checkpoint(name, closed), name, signer)
        head = Head(previous=previous, frontier=frontier, leaves=fresh, note=note)
        out.append(_signed(BlockKind.HEAD, stream, number, evidence.head_body(head), signer))
    for one in out[closed.size :]:
        closed.add(one.digest)
    return out, closed.root()


def _signed(kind: BlockKind, stream: bytes, number: int, body: dict[str, object], signer: PrivateKey) -> Record:
    return record(stream, number, 1, 4, seal.sign(kind, stream, number, body, signer), time_ns=_START_NS)


def frame(source: str, target: str, payload: bytes) -> bytes:
    """An Ethernet frame with a UDP datagram for the link's port."""
    udp = struct.pack(">HHHH", 40000, PORT, 8 + len(payload), 0) + payload
    ip = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
    )
    return _mac(target) + _mac(source) + b"\x08\x00" + ip + udp


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
