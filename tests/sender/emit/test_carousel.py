"""The carousel: who joins late has OPEN, EPOCH and CATALOG within two rounds, at a small part of the link."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from protocol import keymaking, keys
from protocol.block import BlockKind, signed_body
from protocol.content.catalog import Asset, Tag
from protocol.store.record import Record
from protocol.store.segment_store import Store
from sender.emit.carousel import ROUND, ROUND_KINDS, SHARE, Carousel, round_time
from sender.geometry import Geometry
from sender.store.pack import EPOCH_PERIOD, Packer

GEOMETRY = Geometry(width=1424, rate=2.5e6, repeats=0, loss=None)


class _Plant:
    """A spool with what a packer seals, one stream after another."""

    def __init__(self, folder: Path) -> None:
        for side in ("high", "low"):
            keymaking.make(side, folder / side)
        self.folder, self.now, self.boot = folder, 100.0, 0
        self.store = Store(folder / "spool")
        self.records: list[Record] = []

    def stream(self, tags: int, epochs: int = 1) -> list[Record]:
        """Blocks of a new stream: so many tags described, so many keys one after another."""
        self.boot += 1
        before = len(self.records)
        packer = Packer(
            site="north",
            boot=self.boot,
            geometry=GEOMETRY,
            signer=keys.load(self.folder / "high", "sign"),
            receivers=[keys.load(self.folder / "low", "open").public],
            previous=None,
            append=self._append,
            entropy=random.Random(self.boot).randbytes,
            wall=lambda: round(self.now * 1e9),
            now=lambda: self.now,
        )
        packer.catalog({"a": Asset(name="a")}, [Tag(id=at, asset="a", name=f"tag{at}") for at in range(tags)])
        for _ in range(epochs - 1):
            self.now += EPOCH_PERIOD + 1
            packer.tick()
        self.store.sync()
        return self.records[before:]

    def _append(self, one: Record) -> None:
        self.records.append(one)
        self.store.append(one)


def _round(carousel: Carousel, now: float, seconds: float) -> list[tuple[float, Record]]:
    """What leaves in so long, each at its deadline."""
    out = []
    while carousel.deadline() <= now + seconds:
        at = carousel.deadline()
        assert carousel.due(at - 0.001) is None
        one = carousel.due(at)
        assert one is not None
        out.append((at, one))
    return out


def _numbers(records: list[Record]) -> set[int]:
    return {one.number for one in records if one.block[3] in ROUND_KINDS}


@pytest.mark.parametrize("tags", [3, 2000])
def test_each_block_leaves_once_a_round_evenly(tmp_path: Path, tags: int) -> None:
    """None is left out, none twice, and the pauses between them are equal."""
    plant = _Plant(tmp_path)
    records = plant.stream(tags)
    carousel = Carousel(tmp_path / "spool", GEOMETRY)
    for one in records:
        carousel.note(one, 0.0)
    wanted = _numbers(records)
    first = carousel.deadline()
    left = _round(carousel, first, ROUND * (1 - 1 / len(wanted)) + 0.001)
    assert sorted(one.number for _, one in left) == sorted(wanted)
    pauses = {round(after - before, 6) for (before, _), (after, _) in itertools.pairwise(left)}
    assert len(pauses) <= 1


@pytest.mark.parametrize("order", ["as sealed", "backwards", "after a restart"])
def test_the_round_is_the_same_in_whatever_order_its_blocks_were_sent(tmp_path: Path, order: str) -> None:
    """Backlog leaves newest first, so OPEN may come last; a restart reads what was sent before it."""
    plant = _Plant(tmp_path)
    records = plant.stream(700)
    carousel = Carousel(tmp_path / "spool", GEOMETRY)
    if order == "after a restart":
        carousel.resume(0.0)
    else:
        for one in records if order == "as sealed" else records[::-1]:
            carousel.note(one, 0.0)
    left = _round(carousel, carousel.deadline(), 2 * ROUND)
    assert {one.number for _, one in left} == _numbers(records)


def test_the_newest_stream_has_the_round_for_itself(tmp_path: Path) -> None:
    """Also where an older one's OPEN is sent after it."""
    plant = _Plant(tmp_path)
    old, new = plant.stream(5), plant.stream(5)
    carousel = Carousel(tmp_path / "spool", GEOMETRY)
    for one in [*new, *old]:
        carousel.note(one, 0.0)
    assert {one.stream for _, one in _round(carousel, 0.0, 2 * ROUND)} == {new[0].stream}


def test_keys_that_nothing_in_the_round_needs_leave_it(tmp_path: Path) -> None:
    """The newest two stay, and each under which a page of the catalog was sealed."""
    plant = _Plant(tmp_path)
    records = plant.stream(5, epochs=9)
    carousel = Carousel(tmp_path / "spool", GEOMETRY)
    for one in records:
        carousel.note(one, 0.0)
    epochs = [one for one in records if one.block[3] == BlockKind.EPOCH]
    assert len(epochs) >= 9
    left = _round(carousel, carousel.deadline(), 3 * ROUND)
    told = {int(signed_body(one.block)["epoch"]) for _, one in left if one.block[3] == BlockKind.EPOCH}
    known = sorted(int(signed_body(one.block)["epoch"]) for one in epochs)
    assert set(known[-2:]) <= told
    assert len(told) <= 4
    assert {one.block[3] for _, one in left} == {BlockKind.OPEN, BlockKind.EPOCH, BlockKind.CATALOG}


@pytest.mark.parametrize("size", [0, 1e3, 7.5e6, 1e9])
def test_a_round_takes_no_more_than_its_share_of_the_link(size: float) -> None:
    """A larger catalog makes it longer, never faster."""
    takes = round_time(size, GEOMETRY.rate)
    assert takes >= ROUND
    assert size / takes <= SHARE * GEOMETRY.rate * 1.000001


def test_an_empty_spool_has_no_round(tmp_path: Path) -> None:
    """Nothing is due, at no time."""
    carousel = Carousel(tmp_path, GEOMETRY)
    carousel.resume(0.0)
    assert carousel.due(1e9) is None
    assert carousel.deadline() == float("inf")
