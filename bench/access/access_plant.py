"""A plant to be read: machines of one vendor with a hundred tags each, and a day of one of them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from protocol.content.array import Array
from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import columns
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.historian.output import HistorianOutput

TAGS_OF_ASSET = 100
PERIOD_NS = 10 * 10**9


def write_history(folder: Path, tags: int, day: int, vendor: str) -> list[str]:
    """A value of each tag now, and `day` of the first tag before it, one in 10 s; returns the names of the assets."""
    names = [f"pump-{at}" for at in range(-(-tags // TAGS_OF_ASSET))]
    assets = {name: Asset(name=name, site="north-plant", vendors=(vendor,)) for name in names}
    made = [
        Tag(id=at, asset=names[at // TAGS_OF_ASSET], name=f"flow-{at}", unit="m3/h", type="float64")
        for at in range(tags)
    ]
    now_ns = time.time_ns()
    past = np.arange(now_ns - day * PERIOD_NS, now_ns, PERIOD_NS)[:day]
    bodies: list[Page | BatchBody] = [
        Page(index=0, assets=tuple(assets.values()), tags=tuple(made)),
        _batch(np.zeros(day, np.uint32), past),
        _batch(np.arange(tags, dtype=np.uint32), np.full(tags, now_ns)),
    ]
    stream = StreamDescription(
        key=b"\x01" * 8, boot=1, site="north-plant", assets=assets, tags={tag.id: tag for tag in made}
    )
    blocks = [
        OpenedBlock(stream=stream, number=number, healed=False, received_ns=now_ns, body=body)
        for number, body in enumerate(bodies)
    ]
    output = HistorianOutput(folder, clock=time.time_ns)
    output.take(blocks, b"place")
    output.close()
    return names


def _batch(idents: Array, times: Array) -> BatchBody:
    chance = np.random.default_rng(1)
    rows = columns(idents, times, np.round(chance.normal(50, 10, len(idents)), 2))
    return BatchBody(columns=rows, first_ns=int(times.min()), last_ns=int(times.max()))
