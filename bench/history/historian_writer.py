"""A plant's samples, and a process that writes them into a history; run as a program by `bench.history.historian`.

    historian_writer.py FOLDER TAGS POLLS EACH FIRST SEED     prints {"samples", "cpu_s"} when all of it is sealed
    historian_writer.py FOLDER TAGS 0 EACH FIRST SEED         writes until it is ended, one line a hand-over

It uses nothing that is younger than the build it is compared with, so that both run this very file.

The mix: 60 % random walks rounded to 0.01, 20 % that seldom step, 10 % on/off, 10 % noise to the last bit; one sample
in 10 s a tag, by clocks that jitter 50 ms; one in 200 is bad. A hand-over is a block of EACH polls, as it is opened.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from protocol.content.array import Array
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Quality, columns
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.historian.output import HistorianOutput

PERIOD_NS = 10 * 10**9
START_NS = 1_767_225_600 * 10**9
"""First poll: 2026-01-01 00:00 UTC [ns]."""
_STRETCH = 360
"""Polls that are worked out in one go."""
TAGS_OF_ASSET = 500
"""Counts are kept a minute and an asset."""
MADE_BEFORE = 1_000_000
"""Samples made in one go, so that making them is not measured with storing them."""


def samples(tags: int, each: int, seed: int, first: int = 0) -> Iterator[tuple[Array, Array, Array]]:
    """Time [ns], value and quality of some polls of every tag, again and again; always the same for a seed.

    Args:
        each: Polls that come at a time; it divides `_STRETCH`, or is a multiple of it.
        first: Number of the first poll: it gives the times.

    Yields:
        Arrays of a row a tag and a column a poll.
    """
    chance = np.random.default_rng(seed)
    kind = chance.choice(4, tags, p=[0.6, 0.2, 0.1, 0.1])[:, None]
    number, walk, poll = np.arange(tags)[:, None], chance.normal(50, 10, (tags, 1)), first
    shape = (tags, _STRETCH)
    held: list[tuple[Array, Array, Array]] = []
    while True:
        at = poll + np.arange(_STRETCH)
        seldom = (chance.random(shape) < 0.01) * chance.normal(0, 1, shape)
        steps = np.where(kind == 0, chance.normal(0, 0.05, shape), np.where(kind == 1, seldom, 0))
        walked = walk + np.cumsum(steps, 1)
        on = (np.sin(at / 50 + number) > 0).astype(float)
        value = np.where(kind == 3, chance.normal(0, 1, shape), np.where(kind == 2, on, np.round(walked, 2)))
        time_ns = START_NS + at * PERIOD_NS + chance.integers(0, 50, shape) * 10**6
        quality = np.where(chance.random(shape) < 0.005, Quality.BAD, Quality.GOOD).astype(np.uint32)
        poll, walk = poll + _STRETCH, walked[:, -1:]
        for begin in range(0, _STRETCH, min(each, _STRETCH)):
            span = slice(begin, begin + each)
            held.append((time_ns[:, span], value[:, span], quality[:, span]))
            if sum(one[0].shape[1] for one in held) >= each:
                yield tuple(np.concatenate(one, 1) for one in zip(*held, strict=True))  # type: ignore[misc]
                held = []


def blocks(tags: int, each: int, seed: int, first: int = 0) -> Iterator[OpenedBlock]:
    """Opened blocks of them, without end.

    Args:
        each: Polls in a block.
        first: Number of the first block.
    """
    stream = StreamDescription(
        key=b"bench%03d" % seed,
        boot=START_NS // 1000 + seed,
        site="bench",
        assets={f"asset{at}": Asset(name=f"asset{at}", site="bench") for at in range(max(tags // TAGS_OF_ASSET, 1))},
        tags={at: Tag(id=at, asset=f"asset{at // TAGS_OF_ASSET}", name=f"tag{at}", unit="bar") for at in range(tags)},
    )
    for number, made in enumerate(samples(tags, each, seed, first * each), first):
        time_ns, value, quality = (one.ravel() for one in made)
        held = columns(np.repeat(np.arange(tags, dtype=np.uint32), each), time_ns, value, quality=quality)
        body = BatchBody(columns=held, first_ns=int(time_ns.min()), last_ns=int(time_ns.max()))
        yield OpenedBlock(stream=stream, number=number, healed=False, received_ns=body.last_ns + 10**9, body=body)


def main(folder: Path, tags: int, count: int, each: int, first: int, seed: int) -> None:
    """Write `count` polls, or without end."""
    output = HistorianOutput(folder)
    source = blocks(tags, each, seed, first)
    if not count:
        for number, block in enumerate(source):
            output.take([block], b"x")
            output.step(0.0)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
    spent = 0.0
    left = count // each
    while left:
        held = [next(source) for _ in range(min(left, MADE_BEFORE // (tags * each) + 1))]
        left -= len(held)
        begin = time.process_time()
        for block in held:
            output.take([block], b"x")
            output.step(0.0)
        spent += time.process_time() - begin
    begin = time.process_time()
    for hour in range(26):  # a day of age, whose end seals everything hot
        output.retain(hour * 3600 * 10**9, 1e8)
    while output.status()["hot_rows"] or output.step(0.0) == 0.0:
        output.step(0.0)
    spent += time.process_time() - begin
    output.close()
    sys.stdout.write(json.dumps({"samples": count // each * each * tags, "cpu_s": spent}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:7]))
