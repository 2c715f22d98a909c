"""The batch codec against rows: bytes a sample, and samples a second in and out.

The same 10,000 samples (`signals`: 500 tags, 20 polls) go two ways:

    columns   to_wire + pack; unpack + from_wire, with all their checks: what sender and receiver do
    rows      a tuple (tag, time, value, quality) a sample, msgpack + zstd level 1

Columns begin and end as numpy arrays, rows as Python objects, since that is what each kind of pipeline has in hand.
"""

from __future__ import annotations

from statistics import median

import msgpack
import numpy as np
import zstandard

from bench.figures import BenchRow, rate, undisturbed
from bench.mix import signals
from protocol.content import body
from protocol.content.batch import from_wire, to_wire
from protocol.content.sample import Columns

NOTE = "500 tags x 20 polls; processor time of one core, garbage collector off as in the sender"


def measure(runs: int = 7, least_s: float = 0.1) -> list[BenchRow]:
    """`codec.size`, `codec.encode`, `codec.decode`.

    Args:
        runs: Of each; columns and rows take turns.
        least_s: Processor time of a run [s].
    """
    samples = signals()
    rows = [(row.tag, row.time_ns, row.value, row.quality) for row in samples.rows()]
    packer, unpacker = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
    packed, packed_rows = body.pack(to_wire(samples)), packer.compress(msgpack.packb(rows))
    _check(from_wire(body.unpack(packed)), samples)
    count = len(samples)
    taken: dict[str, list[float]] = {name: [] for name in ("encode", "encode_rows", "decode", "decode_rows")}
    with undisturbed():
        for _ in range(runs):
            taken["encode"].append(rate(lambda: body.pack(to_wire(samples)), count, least_s))
            taken["encode_rows"].append(rate(lambda: packer.compress(msgpack.packb(rows)), count, least_s))
            taken["decode"].append(rate(lambda: from_wire(body.unpack(packed)), count, least_s))
            taken["decode_rows"].append(rate(lambda: msgpack.unpackb(unpacker.decompress(packed_rows)), count, least_s))
    return [
        BenchRow(
            row="codec.size",
            unit="bytes/sample",
            runs=(len(packed) / count,),
            baseline=len(packed_rows) / count,
            note="the same samples each time, so one run; baseline: rows as msgpack, zstd level 1",
        ),
        BenchRow(
            row="codec.encode",
            unit="samples/s",
            runs=tuple(taken["encode"]),
            baseline=median(taken["encode_rows"]),
            note=f"from columns to packed bytes, sorting included; {NOTE}",
        ),
        BenchRow(
            row="codec.decode",
            unit="samples/s",
            runs=tuple(taken["decode"]),
            baseline=median(taken["decode_rows"]),
            note=f"from packed bytes to columns, all checks included; {NOTE}",
        ),
    ]


def _check(got: Columns, samples: Columns) -> None:
    """No figure for a codec that loses a bit."""
    expected = samples.select(np.argsort(samples.tag, kind="stable"))
    arrays = ("tag", "time_ns", "other_ns", "flags", "quality", "native", "kind", "floats", "ints", "bools")
    same = all(getattr(got, name).tobytes() == getattr(expected, name).tobytes() for name in arrays)
    if not same or got.texts != expected.texts:
        raise RuntimeError("the codec does not give back what it was given")
