"""For tests of the low side's disk: a journal of small segments, blocks for it, and what its journal holds."""

from __future__ import annotations

import random
from pathlib import Path

from protocol.block import BlockKind
from protocol.store.reader import walk
from protocol.store.record import How, Record, record
from receiver.catch.store.journal import Journal

S, T = b"stream-1", b"stream-2"


def block(
    number: int,
    *,
    stream: bytes = S,
    how: How = How.WHOLE,
    size: int = 200,
    order: int = 0,
    kind: BlockKind = BlockKind.BATCH,
) -> Record:
    """A journaled block."""
    content = b"CB\x01" + bytes([kind]) + stream + number.to_bytes(8, "big") + random.Random(number).randbytes(size)
    return record(stream, number, 3, 2, content, how=how, time_ns=number, order=order)


def open_journal(
    state: Path, *, now: float = 0.0, keep_s: float = 1e9, most: float = 1e12, segment: int = 5000
) -> Journal:
    """A journal of small segments."""
    return Journal(state, keep_s=keep_s, most_bytes=most, now=now, segment_bytes=segment)


def killed(journal: Journal) -> None:
    """As a kill -9: files are let go, nothing is written."""
    journal.close()


def journaled(state: Path) -> list[tuple[bytes, int]]:
    """What the journal holds, in order."""
    out: list[tuple[bytes, int]] = []
    walk(state / "journal", lambda _, one: out.append((one.stream, one.number)))
    return out
