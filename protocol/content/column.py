"""How one array becomes few bytes: the forms, each exact for every value (SPEC.md, section 6.3).

    ints    integers           a constant, or [width, base, planes]
    runs    few changes        a constant, ints, [0, ints, one a tag], or [count, [values, lengths]]
    steps   a series per tag   [start, hops, scale, steps] or [None, starts, scale, steps]
    texts   strings            [count, words, lengths, codes]

ints. A value is base + cell, wrapping at 2**64; a cell has 1, 2, 4 or 8 bytes (`width`; negative: cells are signed),
and plane k of `planes` holds byte k, the lowest first, of every cell. Wide cells of small steps up and down are signed
with base -128: -128 to 127 are then cells 0 to 255, their upper planes are zero and cost nothing once compressed. As
all arithmetic wraps, the difference of any two int64 brings back either from the other.

steps. Rows lie sorted by tag, so a tag's rows stand together, a *run*. Each run's first value is kept as it is or as
the hop from the run before, whichever is narrower; within a run each value is the one before plus step x scale (the
greatest common divisor of the steps: a time in whole milliseconds, a value in half bars). One scale for all counts in
the hops too; a scale a run (ints) does not. The step at a run's first row means nothing.

Reading never trusts: each length is checked against the rows that are expected before anything is made of it, and
all that can be wrong raises FrameError(BODY).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from protocol.content.array import Array
from protocol.errors import FrameError, Reason
from protocol.limits import TEXT_BYTES

Wire: TypeAlias = Any
"""Plain ints, bytes and lists, as msgpack carries them."""

SCALED_RUN = 8
"""Runs at least this long on average may have a scale each, if that makes cells narrower; a scale costs as a step."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Where each tag's rows begin, and how many they are."""

    first: Array
    """Row at which each run begins, ascending from 0."""
    lengths: Array
    """Rows of each run, 1 or more; their sum is the number of rows."""


def runs_of(tag: Array) -> Runs:
    """The runs of a column that lies sorted."""
    count = len(tag)
    if not count:
        none = np.zeros(0, np.int64)
        return Runs(none, none)
    change = np.empty(count, bool)
    change[0] = True
    np.not_equal(tag[1:], tag[:-1], out=change[1:])
    first = np.flatnonzero(change)
    lengths = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=lengths[:-1])
    lengths[-1] = count - first[-1]
    return Runs(first, lengths)


def refuse(size: int = 0) -> FrameError:
    """What every reader here raises: authentic, but not to be read."""
    return FrameError(Reason.BODY, size=size)


def parts(wire: Wire, count: int) -> Sequence[Wire]:
    """The list itself, if it is one of `count` members."""
    if type(wire) is not list or len(wire) != count:
        raise refuse()
    return wire


def number(wire: Wire, low: int = -(2**63), high: int = 2**63 - 1) -> int:
    """The integer itself, if it is one within the bounds."""
    if type(wire) is not int or not low <= wire <= high:
        raise refuse()
    return wire


def blob(wire: Wire, size: int) -> bytes:
    """The bytes themselves, if they are `size` long."""
    if type(wire) is not bytes or len(wire) != size:
        raise refuse()
    return wire


# ---- ints


def pack_ints(values: Array) -> Wire:
    """int64 values in the fewest bytes each, of 1, 2, 4 or 8."""
    if not len(values):
        return 0
    return pack_between(values, int(np.minimum.reduce(values)), int(np.maximum.reduce(values)))


def pack_between(values: Array, low: int, high: int) -> Wire:
    """The same of values whose least and greatest are known."""
    if low == high:
        return low
    width = _width(high - low)
    if width == 1:
        if low >= -(2**7) and high < 2**7:
            return [-1, 0, planes(values, 1)]
        base = 0 if low >= 0 and high < 2**8 else low
        return [1, base, planes(values - base, 1)]
    around = _width(2 * max(high - _MIDDLE, -_MIDDLE - low - 1) + 1)
    if around <= width:
        return [-around, _MIDDLE, planes(values - _MIDDLE, around)]
    return [width, low, planes(values - low, width)]


def read_ints(wire: Wire, count: int) -> Array:
    """`count` int64 values, in an array of the caller's own."""
    if type(wire) is int:
        return np.full(count, number(wire), np.int64)
    width, base, raw = parts(wire, 3)
    if type(width) is not int or width not in _CELL:
        raise refuse()
    values: Array = cells(raw, width, count).astype(np.int64)
    if base != 0 or type(base) is not int:
        values += number(base)
    return values


_MIDDLE = -128
_FEW = 512  # cells up to here are quicker turned over at once than plane by plane
_CELL: dict[int, np.dtype[Any]] = {
    sign * width: np.dtype(f"{kind}{width}") for kind, sign in (("u", 1), ("i", -1)) for width in (1, 2, 4, 8)
}


_PLANED = {width: np.dtype(f"<u{width}") for width in (1, 2, 4, 8)}


def _width(most: int) -> int:
    """Bytes of an unsigned cell that holds `most`."""
    return 1 if most < 2**8 else 2 if most < 2**16 else 4 if most < 2**32 else 8


def planes(values: Array, width: int) -> bytes:
    """The lowest `width` bytes of each value, lowest plane first."""
    if width == 1:
        return values.astype(np.uint8).tobytes()
    return values.astype(_PLANED[width]).view(np.uint8).reshape(-1, width).tobytes("F")


def cells(wire: Wire, width: int, count: int) -> Array:
    """Cells from their planes, of `width` bytes, signed where it is negative."""
    size = abs(width)
    raw = np.frombuffer(blob(wire, size * count), np.uint8)
    if size == 1:
        return raw.view(_CELL[width])
    split = raw.reshape(size, count)
    if count <= _FEW:
        return split.T.copy().view(f"<{_CELL[width].kind}{size}").ravel().astype(_CELL[width], copy=False)
    whole: Array = split[-1].astype(_CELL[size])
    for plane in split[-2::-1]:
        whole <<= 8
        whole |= plane
    return whole.view(_CELL[width])


# ---- runs


def pack_runs(values: Array, runs: Runs, order: Array | None = None) -> Wire:
    """Unsigned values that seldom change; `order` puts them into row order first."""
    if (values == values[0]).all():
        return int(values[0])
    placed = values if order is None else values[order]
    each = placed[runs.first]
    if len(each) < len(placed) and (np.repeat(each, runs.lengths) == placed).all():
        return [0, pack_ints(each.astype(np.int64))]
    changes = runs_of(placed)
    if 3 * len(changes.first) > len(values):
        return pack_ints(placed.astype(np.int64))
    return [len(changes.first), [pack_ints(placed[changes.first].astype(np.int64)), pack_ints(changes.lengths)]]


def read_runs(wire: Wire, runs: Runs, count: int, dtype: type[np.unsignedinteger[Any]], most: int) -> Array:
    """`count` values of 0 to `most`."""
    if type(wire) is int:
        return np.full(count, number(wire, 0, most), dtype)
    each = read_each(wire, runs, dtype, most)
    if each is not None:
        return each.repeat(runs.lengths)
    if type(wire) is list and len(wire) == 2:
        held = number(wire[0], 1, count)
        values, lengths = parts(wire[1], 2)
        return within(read_ints(values, held), most).astype(dtype).repeat(read_lengths(lengths, held, count))
    return within(read_ints(wire, count), most).astype(dtype)


def read_each(wire: Wire, runs: Runs, dtype: type[np.unsignedinteger[Any]], most: int) -> Array | None:
    """One value a tag, where the form has that: the tag's rows are all alike."""
    if type(wire) is int:
        return np.full(len(runs.first), number(wire, 0, most), dtype)
    if type(wire) is list and len(wire) == 2 and wire[0] == 0:
        return within(read_ints(wire[1], len(runs.first)), most).astype(dtype)
    return None


def read_lengths(wire: Wire, held: int, count: int) -> Array:
    """Lengths of `held` runs that make `count` rows, 1 or more each."""
    if type(wire) is int:
        if wire * held != count:
            raise refuse()
        return np.full(held, wire, np.int64)
    lengths = within(read_ints(wire, held), count)
    if np.minimum.reduce(lengths) < 1 or np.add.reduce(lengths) != count:
        raise refuse()
    return lengths


def within(values: Array, most: int) -> Array:
    """The int64 values themselves, if all are 0 to `most`; as unsigned ones, negative ones are the largest."""
    if len(values) and np.maximum.reduce(values.view(np.uint64)) > most:
        raise refuse()
    return values


# ---- steps


def pack_steps(values: Array, runs: Runs) -> Wire:
    """int64 values of rows that lie in runs; at least one row."""
    first, lengths = runs.first, runs.lengths
    starts = values[first]
    hops = starts[1:] - starts[:-1]
    if len(first) == len(values):
        return _joined(starts, hops, _whole_scale(np.gcd.reduce(hops)), 0)
    steps = np.empty_like(values)
    np.subtract(values[1:], values[:-1], out=steps[1:])
    steps[first] = 0
    each = np.gcd.reduceat(steps, first)
    each[each == 0] = each.max()
    scale: int | Array = _whole_scale(np.gcd(np.gcd.reduce(each), np.gcd.reduce(hops)))
    own = None
    if len(values) >= SCALED_RUN * len(first) and each.min() > 0 and each.max() > scale:
        own = steps // each.repeat(lengths)
    if scale != 1:
        steps //= scale
    if own is not None and _span(own) < _span(steps):
        scale, steps = each, own
    inside = first[np.argmax(lengths > 1)] + 1
    steps[first] = steps[inside]
    return _joined(starts, hops, scale, pack_ints(steps))


def read_steps(wire: Wire, runs: Runs, count: int) -> Array:
    """`count` int64 values, lying in `runs`; at least one row."""
    first, lengths = runs.first, runs.lengths
    start, hops, scale, steps = parts(wire, 4)
    values = read_ints(steps, count)
    unit = number(scale) if type(scale) is int else 1
    if type(scale) is not int:
        values *= read_ints(scale, len(first)).repeat(lengths)
    elif unit != 1:
        values *= unit
    if start is None:
        starts = read_ints(hops, len(first))
    else:
        starts = np.empty(len(first), np.int64)
        starts[0] = number(start)
        starts[1:] = read_ints(hops, len(first) - 1)
        if unit != 1:
            starts[1:] *= unit
        np.add.accumulate(starts, out=starts)
    if len(first) == count:
        return starts
    values[first] = 0
    np.add.accumulate(values, out=values)
    starts -= values[first]
    values += starts.repeat(lengths)
    return values


def _span(values: Array) -> int:
    """Bytes of a cell of these."""
    return _width(int(values.max()) - int(values.min()))


def _whole_scale(divisor: Any) -> int:
    """Of all steps and hops; 1 where all are 0, and where -2**63 is one, whose divisor has no positive form."""
    return max(int(divisor), 1)


def _joined(starts: Array, hops: Array, scale: int | Array, steps: Wire) -> Wire:
    packed = pack_ints(hops // scale if isinstance(scale, int) and scale != 1 else hops)
    each = scale if isinstance(scale, int) else pack_ints(scale)
    if type(packed) is list:
        plain = pack_ints(starts)
        if type(plain) is int or abs(plain[0]) < abs(packed[0]):
            return [None, plain, each, steps]
    return [int(starts[0]), packed, each, steps]


# ---- texts


def pack_texts(texts: Sequence[str], place: Array | None) -> Wire:
    """Strings by a dictionary; `place` puts them into row order.

    Half a surrogate pair is no character and has no UTF-8; it is sent as `?`.

    Raises:
        ValueError: a text longer than TEXT_BYTES.
    """
    codes = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    words = [text.encode("utf-8", "replace") for text in codes]
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    if len(words) and int(lengths.max()) > TEXT_BYTES:
        raise ValueError(f"a text of {int(lengths.max())} bytes; {TEXT_BYTES} is the most")
    held = np.fromiter(map(codes.__getitem__, texts), np.int64, len(texts))
    return [len(words), b"".join(words), pack_ints(lengths), pack_ints(held if place is None else held[place])]


def read_texts(wire: Wire, count: int) -> tuple[str, ...]:
    """`count` strings; equal ones are one object."""
    held, raw, lengths, codes = parts(wire, 4)
    held = number(held, 1, max(count, 1))
    sizes = within(read_ints(lengths, held), TEXT_BYTES)
    joined = blob(raw, int(np.add.reduce(sizes)))
    picked = within(read_ints(codes, count), held - 1)
    words = np.empty(held, object)
    at = 0
    try:
        for code, size in enumerate(sizes.tolist()):
            words[code] = joined[at : at + size].decode()
            at += size
    except UnicodeDecodeError as error:
        raise refuse(len(joined)) from error
    return tuple(words[picked].tolist())
