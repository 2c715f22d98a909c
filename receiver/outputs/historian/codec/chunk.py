"""The sealed chunk: up to a few thousand rows of one series, in order, as few bytes (pure; exact to the bit).

    n  rows                          k  kind     runs          f  floats, of the FLOAT rows
    m  time, as steps                q  quality  runs          i  ints     steps, of the INT rows
    l  or as a line: [start, span,   c  native   runs          b  bools    one bit a row
       scale, ints]                  g  marks    runs          s  texts
    o  [which rows have a second     u  stream   runs
       time, steps of its lag]       w  number   steps

The forms are those of a batch on the link (`protocol.content.column` and `.floats`, SPEC.md, section 6.3), with one
run: the series. The line is the one form that is not: a clock that jitters around its period is nearest to the straight
line from its first time to its last, and what is left over, less than from one time to the next, is what is stored.

Chunks are made many at a time, a shelf's. What takes arithmetic on every row (divisors, decimals, spans) is done for
all of them in one go; cutting the few bytes of each out of it is what is left for each one. What has no common form
(values of several kinds, a NaN among decimals) takes the long way, by the same forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from protocol.content.array import Array
from protocol.content.column import (
    Runs,
    number,
    pack_runs,
    pack_steps,
    pack_texts,
    parts,
    planes,
    read_ints,
    read_runs,
    read_steps,
    read_texts,
)
from protocol.content.floats import MOST_DECIMALS, pack_floats, read_floats
from protocol.content.sample import NO_TIME, ValueKind
from protocol.errors import StoreError
from receiver.outputs.historian.codec import first_chunk, packed
from receiver.outputs.historian.codec.run_forms import RunForms
from receiver.outputs.historian.rows import Rows

_FLOAT, _INT, _BOOL, _TEXT = (int(kind) for kind in (ValueKind.FLOAT, ValueKind.INT, ValueKind.BOOL, ValueKind.TEXT))
_DOUBLE, _SINGLE, _BITS64 = 0, 1, 3
"""Classes of `protocol.content.floats`: decimals, decimals rounded to float32, 64 bits."""
_POWERS = 10.0 ** np.arange(MOST_DECIMALS + 1)
_EXACT = 2.0**53
_LOOKED_AT = 8
"""Values of a chunk that are looked at first: which decimals may fit all of it."""
_FAR = 2**40
"""Longest span of a chunk's times, in its scale, that a line is drawn through: the product with a row's place fits."""
MOST_ROWS = 2**20
"""Most rows of a chunk; more are not believed."""


class ChartRows(NamedTuple):
    """What a chart needs of rows of one series."""

    time_ns: Array
    quality: Array
    kind: Array
    value: Array
    """64 bits, as in `Rows`."""


# ---- writing


def encode(rows: Rows) -> bytes:
    """The chunk of rows that are one series, in order, at least one."""
    return encode_each(rows, [len(rows)])[0]


def encode_each(rows: Rows, lengths: Sequence[int]) -> list[bytes]:
    """A chunk of each of the runs that the rows lie in, one after another.

    Args:
        rows: Of one series in each run, in order.
        lengths: Rows of each run, 1 or more.
    """
    cut = RunForms(lengths)
    wires: list[dict[str, Any]] = [{"n": length} for length in lengths]
    _pack_time(rows.time_ns, cut, wires)
    for key, column in (
        ("k", rows.kind),
        ("q", rows.quality),
        ("c", rows.native),
        ("g", rows.marks),
        ("u", rows.stream),
    ):
        cut.put(wires, key, cut.runs_each(column))
    cut.put(wires, "w", cut.steps_each(rows.number))
    if (rows.other_ns != NO_TIME).any():
        for wire, span in zip(wires, cut.spans, strict=True):
            _pack_other(rows.time_ns[span], rows.other_ns[span], wire)
    _pack_values(rows, cut, wires)
    return [packed.pack_cold(wire, wire["n"]) for wire in wires]


def _one_run(rows: int) -> Runs:
    return Runs(np.zeros(1, np.int64), np.array([rows], np.int64))


def _pack_time(time_ns: Array, cut: RunForms, wires: list[dict[str, Any]]) -> None:
    """By a line or by steps, each chunk by what leaves less over."""
    start = time_ns[cut.first]
    steps = cut.steps(time_ns)
    scales = cut.scales(steps)
    units = (time_ns - cut.spread(start)) // cut.spread(scales)
    span = units[cut.last]
    place = np.arange(len(time_ns)) - cut.spread(cut.first)
    gaps = np.maximum(cut.lengths - 1, 1)
    straight = (span > 0) & (span < _FAR) & (cut.lengths < MOST_ROWS)
    line = cut.spread(np.where(straight, span, 0)) * place // cut.spread(gaps)
    left = units - line
    beside = steps // cut.spread(scales) - cut.spread(span // gaps)
    with np.errstate(over="ignore"):
        by_line = np.add.reduceat(np.abs(left.astype(np.float64)), cut.first)
        by_steps = np.add.reduceat(np.abs(beside.astype(np.float64)), cut.first)
    lines, stepped = cut.ints_each(left), None
    for at, wire in enumerate(wires):
        if straight[at] and by_line[at] <= by_steps[at]:
            wire["l"] = [int(start[at]), int(span[at]), int(scales[at]), lines[at]]
        else:
            stepped = cut.steps_each(time_ns) if stepped is None else stepped
            wire["m"] = stepped[at]


def _pack_other(time_ns: Array, other_ns: Array, wire: dict[str, Any]) -> None:
    has = other_ns != NO_TIME
    held = int(np.count_nonzero(has))
    if held:
        lag = pack_steps(other_ns[has] - time_ns[has], _one_run(held))
        wire["o"] = [pack_runs(has.astype(np.uint8), _one_run(len(has))), lag]


def _pack_values(rows: Rows, cut: RunForms, wires: list[dict[str, Any]]) -> None:
    low = np.minimum.reduceat(rows.kind, cut.first)
    high = np.maximum.reduceat(rows.kind, cut.first)
    kinds = np.where(low == high, low, 255)
    for which, forms in ((_FLOAT, _floats_each), (_INT, RunForms.steps_each)):
        at = np.flatnonzero(kinds == which)
        if not len(at):
            continue
        part = cut if len(at) == len(wires) else RunForms(cut.lengths[at].tolist())
        values = rows.value if part is cut else np.concatenate([rows.value[cut.spans[one]] for one in at.tolist()])
        packed_each = _floats_each(part, values) if forms is _floats_each else part.steps_each(values)
        for one, form in zip(at.tolist(), packed_each, strict=True):
            wires[one]["f" if which == _FLOAT else "i"] = form
    for one in np.flatnonzero((kinds != _FLOAT) & (kinds != _INT)).tolist():
        _pack_mixed(rows, cut.spans[one], wires[one])


def _pack_mixed(rows: Rows, span: slice, wire: dict[str, Any]) -> None:
    """The values of a chunk of any kinds."""
    kind, value = rows.kind[span], rows.value[span]
    for key, which in (("f", _FLOAT), ("i", _INT), ("b", _BOOL), ("s", _TEXT)):
        held = value[kind == which]
        if not len(held):
            continue
        if which == _FLOAT:
            wire[key] = pack_floats(held.view(np.float64), _one_run(len(held)))
        elif which == _INT:
            wire[key] = pack_steps(held, _one_run(len(held)))
        elif which == _BOOL:
            wire[key] = np.packbits(held.astype(bool)).tobytes()
        else:
            wire[key] = pack_texts([rows.texts[one] for one in held.tolist()], None)


def _floats_each(cut: RunForms, bits: Array) -> list[Any]:
    """As `floats.pack_floats` of one run: whole runs of one class here, all others there."""
    values = bits.view(np.float64)
    out: list[Any] = [None] * len(cut.spans)
    look = cut.first + np.arange(_LOOKED_AT)[:, None] * cut.lengths // _LOOKED_AT
    some = values[look]
    left = np.ones(len(out), bool)
    hopeless = np.ones(len(out), bool)
    with np.errstate(all="ignore"):
        for decimals in range(MOST_DECIMALS + 1):
            _, double, single = _tried(some, decimals)
            hopeless &= ~(double | single).any(axis=0)
            at = np.flatnonzero(left & (double | single).all(axis=0))
            if not len(at):
                continue
            part = RunForms(cut.lengths[at].tolist())
            held = np.concatenate([values[cut.spans[one]] for one in at.tolist()])
            whole, double, single = _tried(held, decimals)
            by_double = np.logical_and.reduceat(double, part.first)
            by_single = np.logical_and.reduceat(single, part.first)
            if not (by_double | by_single).any():
                continue
            steps = part.steps_each(whole)
            for place, one in enumerate(at.tolist()):
                if by_double[place] or by_single[place]:
                    out[one] = [decimals, _DOUBLE if by_double[place] else _SINGLE, steps[place], b"", b""]
                    left[one] = False
        narrow = values.astype(np.float32).astype(np.float64).view(np.int64) == bits
    for one in np.flatnonzero(left).tolist():
        span = cut.spans[one]
        if hopeless[one] and not narrow[span].any():
            mixed = bits[span].copy()
            mixed[1:] ^= bits[span][:-1]
            out[one] = [0, _BITS64, [0, 0, 1, 0], b"", planes(mixed, 8)]
        else:
            out[one] = pack_floats(values[span], _one_run(span.stop - span.start))
    return out


def _tried(values: Array, decimals: int) -> tuple[Array, Array, Array]:
    """As whole numbers of so many decimals; and where that gives every bit back, in float64 and in float32."""
    scaled = np.rint(values * _POWERS[decimals])
    scaled = np.where(np.abs(scaled) < _EXACT, scaled, 0.0)
    whole = scaled.astype(np.int64)
    back = whole / _POWERS[decimals]
    bits = values.view(np.int64)
    return whole, back.view(np.int64) == bits, back.astype(np.float32).astype(np.float64).view(np.int64) == bits


# ---- reading


def decode(body: bytes, series: int) -> Rows:
    """The rows of `encode`'s bytes, or of the first builds'.

    Raises:
        StoreError: the bytes are not what was written, or a later version wrote them.
    """
    try:
        if body[:1] == bytes((packed.BEFORE,)):
            return first_chunk.decode(body, series)
        wire = packed.unpack(body, "a chunk")
        n = number(wire.get("n"), 1, MOST_ROWS)
        run = _one_run(n)
        time_ns = _read_time(wire, run, n)
        kind, value, texts = _read_values(wire, run, n)
        return Rows(
            series=np.full(n, series, np.uint32),
            time_ns=time_ns,
            other_ns=_read_other(wire["o"], time_ns, run) if "o" in wire else np.full(n, NO_TIME, np.int64),
            quality=read_runs(wire.get("q", 0), run, n, np.uint32, 2**32 - 1),
            native=read_runs(wire.get("c", 0), run, n, np.uint32, 2**32 - 1),
            kind=kind,
            value=value,
            stream=read_runs(wire.get("u", 0), run, n, np.uint32, 2**32 - 1),
            number=read_steps(wire.get("w"), run, n),
            marks=read_runs(wire.get("g", 0), run, n, np.uint8, 2**8 - 1),
            texts=texts,
        )
    except packed.FAILS as error:
        raise StoreError(f"a chunk of the history cannot be read: {error}") from error


def readings(body: bytes) -> ChartRows:
    """Times, qualities and values of a chunk: half the work of `decode`. Raises StoreError, as that."""
    try:
        if body[:1] == bytes((packed.BEFORE,)):
            rows = first_chunk.decode(body, 0)
            return ChartRows(rows.time_ns, rows.quality, rows.kind, rows.value)
        wire = packed.unpack(body, "a chunk")
        n = number(wire.get("n"), 1, MOST_ROWS)
        run = _one_run(n)
        kind, value, _ = _read_values(wire, run, n)
        quality = read_runs(wire.get("q", 0), run, n, np.uint32, 2**32 - 1)
        return ChartRows(_read_time(wire, run, n), quality, kind, value)
    except packed.FAILS as error:
        raise StoreError(f"a chunk of the history cannot be read: {error}") from error


def is_plain(body: bytes) -> bool:
    """Whether all samples of a chunk are good by their quality and none has a mark: much less work than reading them.

    Raises:
        StoreError: as `decode`.
    """
    try:
        if body[:1] == bytes((packed.BEFORE,)):
            return False
        wire = packed.unpack(body, "a chunk")
    except packed.FAILS as error:
        raise StoreError(f"a chunk of the history cannot be read: {error}") from error
    quality = wire.get("q", 0)
    return wire.get("g", 0) == 0 and type(quality) is int and 0 <= quality < 2**30


def _read_time(wire: dict[str, Any], run: Runs, n: int) -> Array:
    if "l" not in wire:
        return read_steps(wire.get("m"), run, n)
    start, span, scale, left = parts(wire["l"], 4)
    line = np.arange(n, dtype=np.int64) * number(span, 1, _FAR) // max(n - 1, 1)
    line += read_ints(left, n)
    line *= number(scale)
    line += number(start)
    return line


def _read_other(form: Any, time_ns: Array, run: Runs) -> Array:
    which, lags = parts(form, 2)
    has = read_runs(which, run, len(time_ns), np.uint8, 1).astype(bool)
    held = int(np.count_nonzero(has))
    other_ns = np.full(len(time_ns), NO_TIME, np.int64)
    other_ns[has] = time_ns[has] + read_steps(lags, _one_run(held), held)
    return other_ns


def _read_values(wire: dict[str, Any], run: Runs, n: int) -> tuple[Array, Array, tuple[str, ...]]:
    """Kind and 64 bits of each row, and what TEXT rows point into."""
    kind = read_runs(wire.get("k", 0), run, n, np.uint8, _TEXT)
    if wire.get("k") == _FLOAT:
        return kind, read_floats(wire.get("f"), run, n).view(np.int64), ()
    value = np.zeros(n, np.int64)
    texts: tuple[str, ...] = ()
    for which in (_FLOAT, _INT, _BOOL, _TEXT):
        here = kind == which
        rows = int(np.count_nonzero(here))
        if not rows:
            continue
        one = _one_run(rows)
        if which == _FLOAT:
            value[here] = read_floats(wire.get("f"), one, rows).view(np.int64)
        elif which == _INT:
            value[here] = read_steps(wire.get("i"), one, rows)
        elif which == _BOOL:
            value[here] = np.unpackbits(np.frombuffer(wire["b"], np.uint8), count=rows)
        else:
            texts = read_texts(wire.get("s"), rows)
            value[here] = np.arange(rows)
    return kind, value, texts
