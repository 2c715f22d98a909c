"""A journal made by hand, record by record, and an output that only remembers: for tests of the opener."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from protocol import seal
from protocol.block import KEPT, BlockKind
from protocol.content import batch, catalog
from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Row, from_rows
from protocol.keys import PrivateKey, PublicKey, from_bytes
from protocol.store.reader import synced_bytes
from protocol.store.record import HEAD, Record, parse, record, to_bytes
from protocol.store.resync import Place
from receiver.outputs.base import BatchBody, OpenedBlock
from receiver.outputs.scope import Scope
from receiver.publish.opener import Opener

T0 = 1_800_000_000_000_000_000
EPOCH_KEYS = {1: bytes(32), 2: bytes([1]) * 32}


OPEN_RAW = random.Random(3).randbytes(96)
"""Private bytes of `OPEN`."""
SIGN, OTHER_SIGN = (from_bytes("sign", random.Random(seed).randbytes(32)) for seed in (1, 2))
OPEN, OTHER_OPEN = (from_bytes("open", raw) for raw in (OPEN_RAW, random.Random(4).randbytes(96)))


@dataclass
class Source:
    """One stream's blocks."""

    key: bytes = b"stream-a"
    boot: int = 7
    order: int = 0
    seals: dict[int, seal.Seal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for epoch, key in EPOCH_KEYS.items():
            self.seals[epoch] = seal.Seal(key, self.key, epoch)

    def signed(self, kind: BlockKind, number: int, body: Mapping[str, Any], signer: PrivateKey = SIGN) -> Record:
        """A signed block with any body."""
        return self._record(number, seal.sign(kind, self.key, number, body, signer))

    def sealed(self, kind: BlockKind, number: int, epoch: int, body: Mapping[str, Any]) -> Record:
        """A sealed block with any body."""
        return self._record(number, self.seals[epoch].close(kind, number, body, bytes(12)))

    def open(self, number: int = 0) -> Record:
        return self.signed(BlockKind.OPEN, number, {"site": "north", "boot": self.boot, "time": T0, "previous": None})

    def epoch(self, number: int, epoch: int = 1, receiver: PublicKey = OPEN.public) -> Record:
        return self.signed(BlockKind.EPOCH, number, seal.epoch_body(epoch, self.key, EPOCH_KEYS[epoch], [receiver]))

    def page(self, number: int, tags: Sequence[int], epoch: int = 1) -> Record:
        """A CATALOG page that describes these ids."""
        described = tuple(Tag(id=tag, asset="pump", name=f"t{tag}") for tag in tags)
        page = Page(index=number, assets=(Asset(name="pump", vendors=("Acme",)),), tags=described)
        return self.sealed(BlockKind.CATALOG, number, epoch, catalog.to_wire(page))

    def batch(self, number: int, tags: Sequence[int], epoch: int = 1) -> Record:
        """A BATCH with one sample of each id; its value tells the block."""
        columns = from_rows([Row(tag, T0 + number, float(number)) for tag in tags])
        return self.sealed(BlockKind.BATCH, number, epoch, {"first": T0, "last": T0, "columns": batch.to_wire(columns)})

    def _record(self, number: int, block: bytes) -> Record:
        return record(self.key, number, 1, 0, block, time_ns=T0 + number, order=self.order)


class Journal:
    """The files that catch leaves; nothing is synced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("segments", "kept", "leaves"):
            (folder / name).mkdir(parents=True)
        self.segment = 1
        self.size = 0
        self.append([])

    def append(self, records: Iterable[Record], *, kept: bool = True) -> None:
        """Journal these, at once; `kept` is whether what teaches is kept apart as well."""
        for one in records:
            if kept and one.block[3] in KEPT:
                with (self.folder / f"kept/{one.stream.hex()}.seg").open("ab") as file:
                    file.write(to_bytes(one))
            with self.path(self.segment).open("ab") as file:
                file.write(to_bytes(one))
            self.size += one.length
        self.path(self.segment).touch()
        (self.folder / "synced").write_bytes(synced_bytes(Place(self.segment, self.size)))

    def next_segment(self) -> None:
        """The next record begins a segment; the last one gets no index."""
        self.segment, self.size = self.segment + 1, 0
        self.append([])

    def flip(self, number: int, segment: int = 1) -> None:
        """Change a byte in the record of that number (the first of any stream) in a segment."""
        data = bytearray(self.path(segment).read_bytes())
        at = 0
        while (one := parse(bytes(data), at, len(data), check=False)) is not None and one.number != number:
            at += one.length
        data[at + HEAD.size + 40] ^= 4
        self.path(segment).write_bytes(data)

    def path(self, segment: int) -> Path:
        return self.folder / f"segments/{segment:010d}.seg"


class Reading:
    """An opener, its restarts, and what an output would have."""

    def __init__(self, journal: Path, *, scope: Scope | None = None) -> None:
        self.journal = journal
        self.scope = scope or Scope()
        self.place: object = None
        self.blocks: list[OpenedBlock] = []
        self.now = 0.0
        self.wall_ns = T0
        self.own, self.signers = OPEN, [SIGN.public]
        self.opener = self._begun()

    def __del__(self) -> None:
        self.opener.close()  # thousands of readings a run, and a process has 1,024 files

    def start(self) -> None:
        """As a new process does."""
        self.opener.close()
        self.opener = self._begun()

    def _begun(self) -> Opener:
        return Opener(
            self.journal,
            self.place,
            own=self.own,
            signers={key.id: key for key in self.signers},
            scope=self.scope,
            now=self.now,
            wall_ns=self.wall_ns,
        )

    def read(self, steps: int = 1000) -> None:
        """Read on until there is nothing to do, or so often."""
        for _ in range(steps):
            blocks, moved = self.opener.step(self.now)
            if not moved:
                return
            self.blocks += blocks
            self.place = self.opener.place()
        assert steps < 1000, "it never comes to an end"

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.wall_ns += int(seconds * 1e9)

    def numbers(self, stream: bytes = b"stream-a") -> list[int]:
        """Numbers of all blocks of a stream that were handed on, sorted."""
        return sorted(one.number for one in self.blocks if one.stream.key == stream)

    def samples(self) -> list[tuple[bytes, int, int, object]]:
        """Every sample: stream, block, id, value."""
        out = []
        for one in self.blocks:
            if isinstance(one.body, BatchBody):
                out += [(one.stream.key, one.number, row.tag, row.value) for row in one.body.columns.rows()]
        return sorted(out, key=repr)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty one."""
    return Journal(tmp_path / "journal")
