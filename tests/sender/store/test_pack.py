"""The packer's blocks: numbered, bounded, and together exactly what was given."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from protocol import evidence, keymaking, keys, seal
from protocol.block import BlockKind, read_header
from protocol.content.batch import from_wire
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns, Quality, columns, concat
from protocol.limits import BATCH_ROWS, BLOCK_BYTES
from protocol.seal import Seal
from protocol.store.record import Record
from sender.geometry import Geometry
from sender.store.pack import EPOCH_PERIOD, FIRST_MINUTE, MINUTE, Packer


class Bench:
    """A packer with everything handed in, and what it made."""

    def __init__(self, folder: Path, *, width: int = 1424, seed: int = 1) -> None:
        for side in ("high", "low"):
            keymaking.make(side, folder / side)
        self.now = 100.0
        self.made: list[Record] = []
        self.sign = keys.load(folder / "high", "sign")
        self.own = keys.load(folder / "low", "open")
        self.geometry = Geometry(width=width, rate=2.5e6, repeats=2, loss=0.01)
        self.packer = Packer(
            site="north",
            boot=7,
            geometry=self.geometry,
            signer=self.sign,
            receivers=[self.own.public],
            previous=None,
            append=self.made.append,
            entropy=random.Random(seed).randbytes,
            wall=lambda: int(self.now * 1e9),
            now=lambda: self.now,
        )

    def wait(self, seconds: float) -> None:
        """Time passes in steps of 50 ms."""
        for _ in range(round(seconds / 0.05)):
            self.now += 0.05
            self.packer.tick()

    def kinds(self) -> list[BlockKind]:
        """Kinds of all blocks, in number order."""
        return [BlockKind(read_header(one.block).kind) for one in self.made]

    def bodies(self, kind: BlockKind) -> list[dict[str, object]]:
        """Opened bodies of a kind."""
        known, seals, out = {self.sign.public.id: self.sign.public}, dict[int, Seal](), []
        for one in self.made:
            header = read_header(one.block)
            if header.kind in (BlockKind.OPEN, BlockKind.EPOCH, BlockKind.HEAD):
                body = seal.verify(one.block, known)
                if header.kind == BlockKind.EPOCH:
                    epoch, key = seal.open_epoch(body, one.stream, self.own)
                    seals[epoch] = Seal(key, one.stream, epoch)
            else:
                body = seals[header.epoch].open(one.block)
            if header.kind == kind:
                out.append(body)
        return out

    def rows(self) -> Columns:
        """All samples, in block and row order."""
        return concat([from_wire(body["columns"]) for body in self.bodies(BlockKind.BATCH)])  # type: ignore[arg-type]


def _many(count: int) -> Columns:
    values = np.random.default_rng(2).normal(size=count)
    return columns(np.arange(count, dtype=np.uint32) % 500, np.arange(count, dtype=np.int64), values)


@pytest.mark.parametrize("chunk", [1, 20_000, 100_000, 600_000])
def test_a_flood_of_samples_stays_within_every_limit(tmp_path: Path, chunk: int) -> None:
    """However many come, and however well they compress: blocks and batches stay in bounds, nothing is lost."""
    bench = Bench(tmp_path)
    still = columns(np.zeros(chunk, np.uint32), np.zeros(chunk, np.int64), np.zeros(chunk))
    total = 0
    for _ in range(max(2, 600_000 // chunk) if chunk > 1 else 50):
        bench.packer.samples("pump", still, chunk)
        total += chunk
    bench.packer.samples("pump", _many(5000), 5000)
    bench.packer.finish()
    assert max(len(one.block) for one in bench.made) <= min(BLOCK_BYTES, bench.geometry.largest)
    assert max((int(body["columns"]["n"]) for body in bench.bodies(BlockKind.BATCH)), default=0) <= BATCH_ROWS  # type: ignore[index]
    assert len(bench.rows()) == total + 5000
    assert bench.packer.counts() == {"pump": (total + 5000, total + 5000)}


def test_a_stream_begins_with_who_and_which_key(tmp_path: Path) -> None:
    """OPEN, EPOCH, TALLY; numbers without a gap; each record hashed as sealed."""
    bench = Bench(tmp_path)
    bench.packer.catalog({"pump": Asset(name="pump")}, [Tag(id=0, asset="pump", name="p")])
    assert bench.kinds() == [BlockKind.OPEN, BlockKind.EPOCH, BlockKind.TALLY, BlockKind.CATALOG]
    assert [one.number for one in bench.made] == [0, 1, 2, 3]
    assert {one.stream for one in bench.made} == {bench.packer.stream}


def test_a_batch_closes_when_it_is_old(tmp_path: Path) -> None:
    """100 ms after its first sample, and what was read is what is in it."""
    bench = Bench(tmp_path)
    bench.packer.samples("pump", _many(3), 3)
    bench.now += 0.09
    bench.packer.tick()
    assert BlockKind.BATCH not in bench.kinds()
    bench.now += 0.011
    bench.packer.tick()
    assert bench.kinds()[-1] == BlockKind.BATCH
    assert bench.rows().floats.tolist() == _many(3).floats.tolist()


def test_tallies_and_heads_tell_of_all_before_them(tmp_path: Path) -> None:
    """A HEAD covers every block since the last one and verifies alone; a TALLY counts the blocks below its number."""
    bench = Bench(tmp_path)
    for _ in range(3):
        bench.packer.samples("pump", _many(10), 10)
        bench.wait(FIRST_MINUTE + MINUTE)
    bench.packer.finish()
    name = evidence.origin("north", bench.packer.stream)
    size, root = 0, evidence.Tree().root()
    for body in bench.bodies(BlockKind.HEAD):
        head = evidence.read_head(body)
        before, after = evidence.check_head(head, name, bench.sign.public)
        assert (head.previous, before) == (size, root)
        assert head.leaves == tuple(one.digest for one in bench.made[size : size + len(head.leaves)])
        size, root = size + len(head.leaves), after
    assert size == len(bench.made) - 1
    last = bench.bodies(BlockKind.TALLY)[-1]
    assert last["assets"] == {"pump": [30, 30]}


def test_a_new_key_is_announced_before_it_is_used(tmp_path: Path) -> None:
    """The EPOCH of the next hour stands a minute ahead of the first block that is sealed with it."""
    bench = Bench(tmp_path)
    while bench.now < 100 + EPOCH_PERIOD + 120:
        bench.packer.samples("pump", _many(1), 1)
        bench.now += 5
        bench.packer.tick()
    epochs = [at for at, kind in enumerate(bench.kinds()) if kind == BlockKind.EPOCH]
    assert len(epochs) == 2
    first_use = next(at for at, one in enumerate(bench.made) if read_header(one.block).epoch == 2)
    assert bench.made[first_use].time_ns - bench.made[epochs[1]].time_ns >= 55e9
    assert len(bench.rows()) > 0


def test_a_text_over_the_limit_is_cut_and_uncertain(tmp_path: Path) -> None:
    """Nothing is dropped for its length; a lone surrogate does no harm."""
    bench = Bench(tmp_path)
    bench.packer.samples("pump", columns([0, 1, 2], 5, ["x" * 100_000, "short", "\ud800" + "y" * 70_000]), 3)
    bench.packer.finish()
    rows = bench.rows()
    assert max(len(text) for text in rows.texts) <= 65_536
    assert rows.texts[1] == "short"
    assert rows.quality.tolist() == [Quality.UNCERTAIN, Quality.GOOD, Quality.UNCERTAIN]
