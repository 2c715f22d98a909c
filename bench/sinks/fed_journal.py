"""A journal full of samples, as catch leaves it, and an output that is fed from it as its process does.

5,000 tags once a second; a block holds one poll. The samples are those of `bench/mix.py`, twenty polls of them over and
over, each poll a second later than the one before, so no two have the same series and time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.mix import START_NS, signals
from protocol import seal
from protocol.block import BlockKind
from protocol.content import batch, catalog
from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Columns
from protocol.keys import from_bytes
from protocol.store.record import record
from protocol.store.segment_store import Store
from receiver.outputs.base import BatchBody, OpenedBlock, Output, StreamDescription
from receiver.outputs.scope import Scope
from receiver.publish.opener import Opener

TAGS = 5_000
POLLS = 20
STREAM = b"bench-01"
SECOND = 10**9
PAGE_TAGS = 500
"""Tags that one CATALOG page describes."""
SYNC_BLOCKS = 200
"""Blocks that are written together."""

_SIGN = from_bytes("sign", random.Random(1).randbytes(32))
_OPEN = from_bytes("open", random.Random(2).randbytes(96))
_EPOCH_KEY = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """How an output was fed."""

    samples: int
    seconds: float
    """From the first block read until the destination had acknowledged the last sample [s]."""

    @property
    def rate(self) -> float:
        """[samples/s]"""
        return self.samples / self.seconds


def polls(count: int) -> Iterator[Columns]:
    """Samples of the tags, a poll after the other."""
    whole = signals(TAGS, POLLS)
    each = [whole.select(np.arange(at * TAGS, (at + 1) * TAGS)) for at in range(POLLS)]
    for number in range(count):
        of = each[number % POLLS]
        yield replace(of, time_ns=of.time_ns + (number - number % POLLS) * SECOND)


def described() -> StreamDescription:
    """The stream that the samples are of."""
    assets, tags = _catalog(each=polls(1))
    return StreamDescription(
        key=STREAM, boot=1, site="plant", assets={one.name: one for one in assets}, tags={one.id: one for one in tags}
    )


def opened(count: int) -> Iterator[OpenedBlock]:
    """Opened blocks of the polls, without a journal."""
    stream = described()
    for number, of in enumerate(polls(count)):
        body = BatchBody(columns=of, first_ns=int(of.time_ns[0]), last_ns=int(of.time_ns[-1]))
        yield OpenedBlock(stream=stream, number=number, healed=False, received_ns=int(of.time_ns[-1]), body=body)


def journal(folder: Path, count: int) -> int:
    """Write a journal of so many polls; returns the number of samples."""
    store, number = Store(folder), 0
    sealing = seal.Seal(_EPOCH_KEY, STREAM, 1)

    def append(block: bytes) -> None:
        nonlocal number
        store.append(record(STREAM, number, 1, 0, block, time_ns=START_NS + number * SECOND))
        number += 1

    opening = {"site": "plant", "boot": 1, "time": START_NS, "previous": None}
    append(seal.sign(BlockKind.OPEN, STREAM, number, opening, _SIGN))
    epoch = seal.epoch_body(1, STREAM, _EPOCH_KEY, [_OPEN.public])
    append(seal.sign(BlockKind.EPOCH, STREAM, number, epoch, _SIGN))
    assets, tags = _catalog(each=polls(1))
    for at in range(0, len(tags), PAGE_TAGS):
        page = Page(index=at // PAGE_TAGS, assets=assets, tags=tags[at : at + PAGE_TAGS])
        append(sealing.close(BlockKind.CATALOG, number, catalog.to_wire(page), number.to_bytes(12, "big")))
    for of in polls(count):
        body = {"first": int(of.time_ns[0]), "last": int(of.time_ns[-1]), "columns": batch.to_wire(of)}
        append(sealing.close(BlockKind.BATCH, number, body, number.to_bytes(12, "big")))
        if number % SYNC_BLOCKS == 0:
            store.sync()
    store.sync()
    store.close()
    return count * TAGS


def fed(folder: Path, samples: int, output: Output, done: Callable[[Output], bool]) -> Fed:
    """Feed an output from a journal, as its process does, until the destination has everything.

    Args:
        done: Whether everything that was taken is acknowledged.
    """
    opener = Opener(
        folder,
        None,
        own=_OPEN,
        signers={_SIGN.public.id: _SIGN.public},
        scope=Scope(),
        now=time.monotonic(),
        wall_ns=time.time_ns(),
    )
    began = time.monotonic()
    idle = False
    while not (idle and done(output)):
        moved = False
        if output.wants():
            blocks, moved = opener.step(time.monotonic())
            if moved:
                output.take(blocks, opener.place())
            idle = not moved
        wait = output.step(time.monotonic())
        if not moved:
            time.sleep(min(wait, 0.02))
    seconds = time.monotonic() - began
    opener.close()
    return Fed(samples=samples, seconds=seconds)


def _catalog(each: Iterator[Columns]) -> tuple[tuple[Asset, ...], tuple[Tag, ...]]:
    """Fifty assets, each with its share of the tags; a tag's type follows its first value."""
    kinds = {0: "float64", 1: "float64", 2: "int64", 3: "bool", 4: "string"}
    first = next(each)
    assets = tuple(Asset(name=f"press{number:02d}", vendors=("Acme",)) for number in range(50))
    tags = tuple(
        Tag(
            id=int(ident),
            asset=assets[at % 50].name,
            name=f"Line1.Motor{at:04d}.Speed",
            type=kinds[int(kind)],
            unit="rpm",
        )
        for at, (ident, kind) in enumerate(zip(first.tag.tolist(), first.kind.tolist(), strict=True))
    )
    return assets, tags
