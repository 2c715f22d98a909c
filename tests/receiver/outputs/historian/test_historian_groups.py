"""Laws of hot groups: sealed little by little; unpacked once by a reader, and never mistaken for one another."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from history_blocks import BOOT, T0, opened, shrink, some_blocks, stream
from portal_plant import Clock, Plant

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.outputs.historian import snapshot
from receiver.outputs.historian.codec.group import pack, unpack
from receiver.outputs.historian.hot import fresh, shelves
from receiver.outputs.historian.rows import Rows, from_columns
from receiver.outputs.historian.snapshot import GroupName, ReaderFiles


def group(*values: float) -> bytes:
    """A packed group of one series."""
    columns = from_rows([Row(1, at, value) for at, value in enumerate(values)])
    return pack(from_columns(columns, columns.tag, columns.tag, columns.time_ns))


def numbers(groups: list[Rows]) -> list[list[float]]:
    """Their values."""
    return [[float(one) for one in rows.values() if isinstance(one, float)] for rows in groups]


@pytest.fixture
def unpacks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every body that is unpacked."""
    taken: list[bytes] = []

    def counted(body: bytes) -> Rows:
        taken.append(body)
        return unpack(body)

    monkeypatch.setattr(snapshot, "unpack", counted)
    return taken


def test_a_group_is_unpacked_once_while_it_is_asked_for(tmp_path: Path, unpacks: list[bytes]) -> None:
    """Ten questions about three groups unpack three; one that was left out meanwhile is unpacked again."""
    files = ReaderFiles(tmp_path)
    bodies = {
        GroupName(1, "piece", 1): group(1.0),
        GroupName(1, "fresh", 1): group(2.0, 3.0),
        GroupName(1, "fresh", 2): group(4.0),
    }
    held = list(bodies)
    for _ in range(10):
        assert numbers(files.unpacked(held, bodies.get)) == [[1.0], [2.0, 3.0], [4.0]]
    assert len(unpacks) == 3
    assert numbers(files.unpacked(held[1:], bodies.get)) == [[2.0, 3.0], [4.0]]
    assert len(unpacks) == 3
    assert numbers(files.unpacked(held, bodies.get)) == [[1.0], [2.0, 3.0], [4.0]]
    assert len(unpacks) == 4


def test_a_number_of_another_file_is_another_group(tmp_path: Path, unpacks: list[bytes]) -> None:
    """A history that was put back counts anew, and a table's number says nothing of the other's."""
    files = ReaderFiles(tmp_path)
    bodies = {
        GroupName(1, "fresh", 1): group(1.0),
        GroupName(2, "fresh", 1): group(2.0),
        GroupName(2, "piece", 1): group(3.0),
    }
    for value, name in enumerate(bodies, 1):
        assert numbers(files.unpacked([name], bodies.get)) == [[float(value)]]
    assert len(unpacks) == 3


def test_a_group_s_number_is_never_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is merged, sealed and dropped, and however often the writer starts: a number names one group."""
    shrink(monkeypatch)
    bodies: dict[tuple[str, int], bytes] = {}
    for seed in range(6):
        output = opened(tmp_path)
        for one in some_blocks(random.Random(seed), stream(b"stream-%d" % seed, BOOT + seed), 30, 12):
            output.take([one], b"x")
            with sqlite3.connect(tmp_path / "current.db") as read:
                for table in ("fresh", "piece"):
                    for number, body in read.execute(f"SELECT id, body FROM {table}"):
                        assert bodies.setdefault((table, number), body) == body
            read.close()
        if seed % 2:
            output.retain(T0, 1e9)
            while output.step(0.0) == 0.0:
                pass
        output.close()


def test_a_plant_that_is_read_at_one_period_is_sealed_little_by_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand tags that all come once a round: no round seals more than an eighth of them, and all are sealed."""
    monkeypatch.setattr(shelves, "SEAL_ROWS", shelves.SHELF_SERIES * 64)
    monkeypatch.setattr(shelves, "LEAST_ROWS", 32)
    monkeypatch.setattr(fresh, "FRESH_ROWS", 1)
    clock = Clock()
    tags = [Tag(id=at, asset="a", name=f"t{at}") for at in range(1024)]
    plant = Plant(tmp_path, [Asset(name="a")], tags, clock=clock)
    each = []
    for _ in range(100):
        clock.move(1.0)
        before = plant.output.status()["chunks"]
        plant.send([Row(tag.id, clock.now_ns, 1.0) for tag in tags])
        while plant.output.step(0.0) == 0.0:
            pass
        each.append(plant.output.status()["chunks"] - before)
    plant.close()
    assert max(each) <= len(tags) // 8
    assert sum(each) >= len(tags) - shelves.SHELF_SERIES
