"""Laws of going back to an earlier build: it reads what a store holds, or refuses it in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest

from protocol.errors import StoreError
from receiver.outputs.influx.line_group import LineGroup
from receiver.outputs.influx.line_store import LineStore
from receiver.outputs.parquet.hour_store import HourStore
from receiver.outputs.shipping.shipment import Shipment, Shipments
from receiver.outputs.shipping.shipping_store import ShippingStore

AnyStore: TypeAlias = ShippingStore[Shipment] | ShippingStore[LineGroup] | HourStore


def never(told: object) -> None:
    assert not told, "nothing is waited for"


OPENED: dict[str, tuple[int, Callable[[Path], AnyStore]]] = {
    "lines": (2, lambda path: LineStore(path, waiting=never, wait=never)),
    "shipments": (1, lambda path: ShippingStore(path, Shipments(), waiting=never, wait=never)),
    "hours": (1, lambda path: HourStore(path, waiting=never, wait=never)),
}
"""By store: the version before, whose build cannot read all that this one writes."""


def version(path: Path, becomes: int | None = None) -> int:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        if becomes is not None:
            other.execute("UPDATE meta SET value = ? WHERE key = 'version'", (becomes,))
        return int(other.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()[0])


def take(store: AnyStore, place: bytes) -> None:
    if isinstance(store, HourStore):
        store.store([], place, oldest=None)
    else:
        store.store([], place)


@pytest.mark.parametrize("kind", OPENED)
def test_a_store_of_the_build_before_is_gone_on_with_and_refused_by_it_afterwards(kind: str, tmp_path: Path) -> None:
    """Its version is written with the first that is stored: the build before would set the file aside, or mix it up."""
    before, opened = OPENED[kind]
    path = tmp_path / "one.db"
    with closing(opened(path)) as one:
        take(one, b"1")
    version(path, before)
    with closing(opened(path)) as one:
        assert one.place == b"1"
        take(one, b"2")
    assert version(path) > before
    version(path, 99)
    with pytest.raises(StoreError, match="99"):
        opened(path)
