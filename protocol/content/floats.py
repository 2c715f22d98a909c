"""float64 values as few bytes, to the bit: [decimals, classes, steps, singles, doubles] (SPEC.md, section 6.3).

An instrument has a resolution, so most values are decimal. Every value is of one of these classes:

    0         whole / 10**decimals, in float64
    1         the same, rounded to float32: what a 32-bit REAL register holds
    2         exact in float32; its 32 bits, xor the bits before it in the class, in planes (`singles`)
    3         anything else, NaN and -0.0 with it; its 64 bits likewise (`doubles`)
    4 to 11   class 0, its bits (as a 64-bit integer) less 1, plus 1, less 2, plus 2, .. plus 4: what a
              collector's raw x 0.1 makes, 0.30000000000000004

`classes` are runs, so one NaN costs its own eight bytes and leaves its column as it was. `whole` are steps over all
rows; where a row does not use it, it repeats the one before. `decimals` is 0 to 6, one for the batch: a tag with
fewer digits has a scale of 10 or 100 in its steps, which takes them away again.

The quotient is exact arithmetic's, rounded once (IEEE 754: whole numbers below 2**53 and powers of ten up to 10**22
are exact), so any implementation gets the same bits. What does not come back to the bit is of class 2 or 3.
"""

from __future__ import annotations

import numpy as np

from protocol.content.array import Array
from protocol.content.column import (
    SCALED_RUN,
    Runs,
    Wire,
    cells,
    number,
    pack_runs,
    pack_steps,
    parts,
    planes,
    read_runs,
    read_steps,
)

MOST_DECIMALS = 6
"""Digits after the point that are tried: a float32 near 100 has 5."""

_DOUBLE, _SINGLE, _BITS32, _BITS64, _NEAR = range(5)
_NEAREST = 4
_NUDGES = np.array([0, 0, 0, 0, -1, 1, -2, 2, -3, 3, -4, 4], np.int64)
_POWERS = np.array([1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6])
_EXACT = 2.0**53
_SAMPLE = 64
_DIGIT_BYTES = np.log2(10.0) / 8
_SIGN_BYTES = 0.25  # of a step, with what an upper plane loses by it; measured
_MIXED_BYTES = 0.8  # of a class that changes from row to row; measured


def pack_floats(values: Array, runs: Runs) -> Wire:
    """float64 values of rows that lie in runs, to the bit; at least one row."""
    bits = values.view(np.int64)
    with np.errstate(all="ignore"):
        decimals = _decimals(values, runs)
        whole = _whole(values, decimals)
        back = whole / _POWERS[decimals]
        double = back.view(np.int64) == bits
        if double.all():
            return [decimals, _DOUBLE, pack_steps(whole, runs), b"", b""]
        single = back.astype(np.float32).astype(np.float64).view(np.int64) == bits
        fixed, classes = _classes(values, back, double, single, runs)
        singles = values[classes == _BITS32].astype(np.float32).view(np.uint32)
    if not fixed.all():
        last = np.maximum.accumulate(np.where(fixed, np.arange(len(whole)), 0))
        whole = np.where(fixed[last], whole[last], 0)
    doubles = bits[classes == _BITS64]
    return [decimals, pack_runs(classes, runs), pack_steps(whole, runs), _pack_bits(singles), _pack_bits(doubles)]


def read_floats(wire: Wire, runs: Runs, count: int) -> Array:
    """`count` float64 values, to the bit; at least one row."""
    decimals, kinds, steps, singles, doubles = parts(wire, 5)
    power = _POWERS[number(decimals, 0, MOST_DECIMALS)]
    values: Array = read_steps(steps, runs, count) / power
    classes = read_runs(kinds, runs, count, np.uint8, len(_NUDGES) - 1)
    most = int(np.maximum.reduce(classes))
    if most >= _NEAR:
        bits = values.view(np.int64)
        bits += _NUDGES[classes]
    if most >= _SINGLE:
        np.copyto(values, values.astype(np.float32), where=classes == _SINGLE)
    for which, raw, width in ((_BITS32, singles, 4), (_BITS64, doubles, 8)):
        if raw != b"" or most > _SINGLE:
            here = classes == which
            exact = _read_bits(raw, width, int(np.count_nonzero(here)))
            with np.errstate(invalid="ignore"):  # a signalling NaN
                values[here] = exact.view(f"f{width}")
    return values


def _classes(values: Array, back: Array, double: Array, single: Array, runs: Runs) -> tuple[Array, Array]:
    """Which rows `whole` serves, and every row's class."""
    bits = values.view(np.int64)
    away = bits - back.view(np.int64)
    near = _is_near(away)
    fits32 = values.astype(np.float32).astype(np.float64).view(np.int64) == bits
    # A whole run goes by float32 where that fits it: 12.5 alone would fit both, and change the class at each such row.
    by_single = np.logical_and.reduceat(single | ~double, runs.first).repeat(runs.lengths)
    classes = np.where(
        double & ~(single & by_single),
        _DOUBLE,
        np.where(
            single,
            _SINGLE,
            np.where(near, _NEAR - 1 + 2 * np.abs(away) - (away < 0), np.where(fits32, _BITS32, _BITS64)),
        ),
    )
    return near | single, classes.astype(np.uint8)


def _whole(values: Array, decimals: int) -> Array:
    scaled: Array = np.rint(values * _POWERS[decimals])
    if not (np.abs(scaled) < _EXACT).all():
        scaled[~(np.abs(scaled) < _EXACT)] = 0.0
    return scaled.astype(np.int64)


def _is_near(away: Array) -> Array:
    """Within 4 units of the last place; as unsigned numbers, those far below are the largest."""
    near: Array = (away + _NEAREST).view(np.uint64) <= 2 * _NEAREST
    return near


def _decimals(values: Array, runs: Runs) -> int:
    """Digits after the point that make the fewest bytes, judged by pairs of neighbours.

    A pair that some digit count fits costs its step's logarithm, by the fewest digits that fit it, as a scale takes
    needless ones away again; but not in each run's first value, and nowhere in runs too short to have a scale. A
    pair that nothing fits costs the logarithm of its bits' difference.
    """
    share = len(runs.first) / len(values)
    short = share * SCALED_RUN > 1
    after = np.arange(0 if short else 1, len(values), max(1, len(values) // _SAMPLE))
    pair = np.stack([np.zeros(len(after)) if short else values[after - 1], values[after]])
    bits = pair.view(np.int64)
    scaled = np.rint(pair * _POWERS[:, None, None])
    scaled[~(np.abs(scaled) < _EXACT)] = 0.0
    scaled += 0.0
    back = scaled / _POWERS[:, None, None]
    fits = _is_near(bits - back.view(np.int64))
    halves = pair.astype(np.float32)
    fits |= back.astype(np.float32).astype(np.float64).view(np.int64) == bits
    own = np.argmax(fits.all(axis=1), axis=0)
    by_step = _bytes_of(np.abs(scaled[own, 1, np.arange(len(own))] - scaled[own, 0, np.arange(len(own))]))
    by_bits = np.where(
        (halves.astype(np.float64).view(np.int64) == bits).all(axis=0),
        _bytes_of(halves.view(np.uint32)[0] ^ halves.view(np.uint32)[1]),
        _bytes_of(pair.view(np.uint64)[0] ^ pair.view(np.uint64)[1]),
    )
    digits = np.arange(MOST_DECIMALS + 1)[:, None]
    spent = _DIGIT_BYTES * (1.0 if short else share) * (digits - own)
    fitted = fits.all(axis=1).any(axis=0) & (digits >= own)
    part = fitted.mean(axis=1)
    cost = np.where(fitted, by_step + _SIGN_BYTES + spent, by_bits).mean(axis=1) + _MIXED_BYTES * part * (1.0 - part)
    return int(np.argmin(cost))


def _bytes_of(size: Array) -> Array:
    held: Array = np.log2(size + 1.0) / 8
    return held


def _pack_bits(bits: Array) -> bytes:
    mixed = bits.copy()
    mixed[1:] ^= bits[:-1]
    return planes(mixed, bits.itemsize)


def _read_bits(wire: Wire, width: int, count: int) -> Array:
    bits: Array = np.bitwise_xor.accumulate(cells(wire, width, count))
    return bits
