"""Records of a stream with samples of every type, states and events, and a low side that can open them."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path

from journal_blocks import OPEN_RAW, SIGN, T0, Source

from protocol import keymaking
from protocol.block import BlockKind
from protocol.content import batch, catalog
from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Row, Value, from_rows
from protocol.store.record import Record
from receiver import config as configuration

TAGS = (
    Tag(id=4, asset="pump", name="pressure", unit="bar", type="float64"),
    Tag(id=9, asset="pump", name="energy", type="uint64"),
    Tag(id=2, asset="press", name="mode", type="string"),
    Tag(id=7, asset="press", name="running", type="bool"),
    Tag(id=5, asset="pump", name="pressure", unit="bar", type="float64", conversion="int16 x 0.1"),
)
"""The last one is the first one's second version: another scale alone."""
ASSETS = (Asset(name="pump", site="north", vendors=("Acme",)), Asset(name="press", site="north", vendors=("Volta",)))


def records(source: Source, count: int) -> Iterator[Record]:
    """A stream with an epoch, its page, and blocks of samples, states and events."""
    chance = random.Random(source.key)
    yield source.open()
    yield source.epoch(1)
    yield source.sealed(BlockKind.CATALOG, 2, 1, catalog.to_wire(Page(index=0, assets=ASSETS, tags=TAGS)))
    for number in range(3, count):
        told = {"asset": "pump", "time": T0 + number, "text": f"{number}"}
        if number % 10 == 7:
            yield source.sealed(BlockKind.STATE, number, 1, {**told, "what": "up"})
        elif number % 10 == 8:
            more = {"source": "s", "severity": 500, "code": "c", "state": "", "sequence": number}
            yield source.sealed(BlockKind.EVENT, number, 1, {**told, **more, "asset": "press"})
        else:
            rows = [
                Row(
                    tag,
                    T0 + number * 10**9 + chance.randrange(-(10**9), 10**9),
                    value(chance, tag),
                    chance.choice([0, 2**31]),
                )
                for tag in chance.choices([4, 9, 2, 7, 5], weights=[8, 4, 1, 1, 2], k=chance.randrange(1, 9))
            ]
            body = {"first": T0, "last": T0, "columns": batch.to_wire(from_rows(rows))}
            yield source.sealed(BlockKind.BATCH, number, 1, body)


def value(chance: random.Random, tag: int) -> Value:
    """One of the tag's type."""
    if tag in (4, 5):
        return chance.random()
    if tag == 9:
        return 2**64 - chance.randrange(1, 5)
    return chance.choice("ab") if tag == 2 else chance.random() < 0.5


def low_side(folder: Path) -> configuration.ReceiverConfig:
    """A low side with keys, and nothing in its state."""
    keymaking.make("low", folder / "keys/low")
    (folder / "keys/low/open.key").write_text(_line_of("open", OPEN_RAW))
    (folder / "high.pub").write_text(_line_of("sign.pub", SIGN.public.raw))
    (folder / "receiver.toml").write_text(
        '[inlet]\nlisten = "127.0.0.1:7000"\n[keys]\nown = "keys/low"\nsenders = ["high.pub"]\n'
    )
    (folder / "state").mkdir()
    return configuration.load(folder / "receiver.toml")


def _line_of(kind: str, raw: bytes) -> str:
    return f"checkvalve-key-v1 {kind} {base64.b64encode(raw).decode()}\n"
