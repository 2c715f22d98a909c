"""The erasure code's engines beside reedsolo: 64 data and 8 spare shards of 1,400 bytes.

    encode   the 8 spares of 64 shards
    decode   the worst case, 8 data shards lost and all spares there: the block's data put back

MB/s are 10**6 bytes of *source* data (89,600 bytes a block), whole blocks, processor time of one core.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import cycle
from statistics import median

import numpy as np

from bench.figures import BenchRow, rate, undisturbed
from protocol.content.array import Array
from protocol.errors import ConfigError
from protocol.wire import engines
from protocol.wire.erasure import Code
from protocol.wire.reference import Reference
from protocol.wire.reference import spares as spares_of

NEED, SPARE, WIDTH = 64, 8, 1400
MEGABYTES = NEED * WIDTH / 1e6
LOST = tuple(range(0, NEED, NEED // SPARE))
"""The data shards that are lost: every eighth."""

PATTERNS = 6000
"""Loss patterns taken in turn where each block shall have a new one: more than a code keeps."""

Work = Callable[[], object]


def measure(runs: int = 7, least_s: float = 0.1) -> list[BenchRow]:
    """`fec.ENGINE.encode` and `.decode` for reedsolo, numpy, isal.

    Args:
        runs: Of each; the engines take turns.
        least_s: Processor time of a run [s]; reedsolo's take a block at least, 0.4 s.
    """
    data = np.random.default_rng(2).integers(0, 256, (NEED, WIDTH), dtype=np.uint8)
    spares = Reference().spares(data, SPARE)
    works: dict[str, tuple[Work, Work, Work | None]] = {"reedsolo": _reedsolo(data, spares)}
    missing: dict[str, str] = {}
    for name in reversed(engines.NAMES):
        try:
            works[name] = _engine(name, data, spares)
        except ConfigError as error:
            missing[name] = f"{error}; {error.hint}"
    taken: dict[str, list[float]] = {}
    with undisturbed():
        for _ in range(runs):
            for name, (encode, decode, fresh) in works.items():
                taken.setdefault(f"{name}.encode", []).append(rate(encode, MEGABYTES, least_s))
                taken.setdefault(f"{name}.decode", []).append(rate(decode, MEGABYTES, least_s))
                if fresh is not None:
                    taken.setdefault(f"{name}.fresh", []).append(rate(fresh, MEGABYTES, least_s))
    return [
        BenchRow(
            row=f"fec.{name}.{way}",
            unit="MB/s of source",
            runs=tuple(taken.get(f"{name}.{way}", ())),
            baseline=median(taken[f"reedsolo.{way}"]),
            note=missing.get(name) or _note(name, way, taken),
        )
        for name in ("reedsolo", *reversed(engines.NAMES))
        for way in ("encode", "decode")
    ]


def _note(name: str, way: str, taken: dict[str, list[float]]) -> str:
    if name == "reedsolo":
        return "pure Python, column by column; one block a run at least"
    if way == "encode":
        return f"{NEED}+{SPARE} x {WIDTH} B"
    fresh = median(taken[f"{name}.fresh"])
    return f"a loss pattern that was seen before; a new one with every block: {fresh:,.0f} MB/s"


def _reedsolo(data: Array, spares: Array) -> tuple[Work, Work, None]:
    reference = Reference()
    shards = {index: row.tobytes() for index, row in enumerate([*data, *spares]) if index not in LOST}
    if not np.array_equal(reference.repair(shards, NEED, SPARE), data):
        raise RuntimeError("reedsolo does not repair its own spares")
    return lambda: reference.spares(data, SPARE), lambda: reference.repair(shards, NEED, SPARE), None


def _engine(name: str, data: Array, spares: Array) -> tuple[Work, Work, Work]:
    """Encode; decode a pattern that is kept; decode a new pattern each time."""
    code = Code(name)
    if not np.array_equal(spares_of(code, data, SPARE), spares):
        raise RuntimeError(f"{name} does not make reedsolo's spares")
    rows = np.concatenate([data, spares])
    present = (1 << NEED + SPARE) - 1 - _mask(LOST)
    rows[list(LOST)] = 0
    code.restore(rows, present, NEED)
    if not np.array_equal(rows[:NEED], data):
        raise RuntimeError(f"{name} does not repair")
    dice = random.Random(2)
    patterns = cycle([(1 << NEED + SPARE) - 1 - _mask(dice.sample(range(NEED), SPARE)) for _ in range(PATTERNS)])
    return (
        lambda: spares_of(code, data, SPARE),
        lambda: code.restore(rows, present, NEED),
        lambda: code.restore(rows, next(patterns), NEED),
    )


def _mask(indices: Iterable[int]) -> int:
    return sum(1 << index for index in indices)
