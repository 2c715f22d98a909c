"""A batch: the samples of one BATCH block as delta columns, exact to the bit (SPEC.md, section 6.3).

    n   rows, 0 to BATCH_ROWS; an empty batch has nothing else
    t   tags      [tags, first tag, hops, rows of each]: the distinct tags, ascending
    m   time_ns   steps
    o   other_ns  [runs of 0 and 1: which rows have one, steps of other_ns - time_ns]
    k   kind      runs
    q   quality   runs
    c   native    runs
    g   flags     runs
    f   floats    floats, of the FLOAT rows
    i   ints      steps, of the INT rows
    b   bools     one bit a BOOL row, the highest bit first
    s   texts     texts, of the TEXT rows

The forms (steps, runs, texts) are those of `column`, floats has its own module. A key is left out where all its values
are 0 (q, c, g), where no row has a second time (o) and where no row is of its kind (f, i, b, s). A reader ignores keys
that it does not know.

Rows travel sorted by tag, and within a tag in the order they came in. That is *the* order of a batch: a sample's
identity is its stream, its block and its row here. What was read, written again, has the same rows.

Keys are one letter because a quiet plant sends small batches often, and each byte of them travels as shards, spares
and repeats some fifteen times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from protocol.content.array import Array
from protocol.content.column import (
    Runs,
    blob,
    number,
    pack_ints,
    pack_runs,
    pack_steps,
    pack_texts,
    parts,
    read_each,
    read_ints,
    read_lengths,
    read_runs,
    read_steps,
    read_texts,
    refuse,
    runs_of,
)
from protocol.content.floats import pack_floats, read_floats
from protocol.content.sample import NO_TIME, Columns, ValueKind
from protocol.limits import BATCH_ROWS

_VALUED = (1, 2, 3, 4)
"""FLOAT, INT, BOOL and TEXT: numpy compares with plain integers several times faster than with an enum's."""

_Subsets: TypeAlias = tuple[tuple[int, Runs], tuple[int, Runs], int, int]
"""Rows and runs of FLOAT and of INT; rows of BOOL and of TEXT."""


def to_wire(columns: Columns) -> dict[str, Any]:
    """The columns as plain ints, bytes and lists, sorted by tag; `body.pack` makes bytes of them.

    Raises:
        ValueError: more than BATCH_ROWS rows, a text longer than TEXT_BYTES, or arrays that contradict each other.
    """
    count = len(columns)
    if count > BATCH_ROWS:
        raise ValueError(f"{count} rows; {BATCH_ROWS} is the most of a batch")
    if not count:
        return {"n": 0}
    if int(columns.kind.max()) > max(ValueKind):
        raise ValueError(f"a row of kind {int(columns.kind.max())}")
    order = _order(columns.tag)
    tag = _placed(columns.tag, order)
    time_ns = _placed(columns.time_ns, order)
    runs = runs_of(tag)
    wire: dict[str, Any] = {
        "n": count,
        "t": _pack_tags(tag, runs),
        "m": pack_steps(time_ns, runs),
        "k": pack_runs(columns.kind, runs, order),
    }
    for key, column in (("q", columns.quality), ("c", columns.native), ("g", columns.flags)):
        packed = pack_runs(column, runs, order)
        if packed != 0:
            wire[key] = packed
    if (columns.other_ns != NO_TIME).any():
        wire["o"] = _pack_other(_placed(columns.other_ns, order), time_ns, tag, runs)
    wire.update(_pack_values(columns, tag, order))
    return wire


def from_wire(body: Mapping[str, Any]) -> Columns:
    """The columns of a body, in their order, in arrays of the caller's own.

    Raises:
        FrameError: (BODY) it cannot be read whole; never another exception, whatever the body holds.
    """
    count = number(body.get("n"), 0, BATCH_ROWS)
    if not count:
        return _EMPTY
    tag, runs = _read_tags(body.get("t"), count)
    time_ns = read_steps(body.get("m"), runs, count)
    kind, subsets = _read_kind(body.get("k"), tag, runs)
    (float_rows, float_runs), (int_rows, int_runs), bool_rows, text_rows = subsets
    return Columns(
        tag=tag,
        time_ns=time_ns,
        other_ns=_read_other(body["o"], time_ns, tag, runs) if "o" in body else np.full(count, NO_TIME, np.int64),
        flags=read_runs(body.get("g", 0), runs, count, np.uint8, 2**8 - 1),
        quality=read_runs(body.get("q", 0), runs, count, np.uint32, 2**32 - 1),
        native=read_runs(body.get("c", 0), runs, count, np.uint32, 2**32 - 1),
        kind=kind,
        floats=read_floats(body.get("f"), float_runs, float_rows) if float_rows else np.zeros(0),
        ints=read_steps(body.get("i"), int_runs, int_rows) if int_rows else np.zeros(0, np.int64),
        bools=_read_bools(body.get("b", b""), bool_rows),
        texts=read_texts(body.get("s"), text_rows) if text_rows else (),
    )


def _order(tag: Array) -> Array | None:
    """Rows by tag, equal tags in the order they came in; None where they lie so already."""
    if bool((tag[1:] >= tag[:-1]).all()):
        return None
    return np.argsort(tag, kind="stable")


def _placed(values: Array, order: Array | None) -> Array:
    return values if order is None else values[order]


def _pack_tags(tag: Array, runs: Runs) -> Any:
    distinct = tag[runs.first].astype(np.int64)
    return [len(distinct), int(distinct[0]), pack_ints(distinct[1:] - distinct[:-1]), pack_ints(runs.lengths)]


def _read_tags(wire: Any, count: int) -> tuple[Array, Runs]:
    held, start, hops, rows = parts(wire, 4)
    held = number(held, 1, count)
    distinct = np.empty(held, np.int64)
    distinct[0] = number(start, 0, 2**32 - 1)
    distinct[1:] = read_ints(hops, held - 1)
    if held > 1 and (np.minimum.reduce(distinct[1:]) < 1 or np.maximum.reduce(distinct[1:]) >= 2**32):
        raise refuse()
    np.add.accumulate(distinct, out=distinct)
    if int(distinct[-1]) >= 2**32:
        raise refuse()
    lengths = read_lengths(rows, held, count)
    return distinct.astype(np.uint32).repeat(lengths), Runs(np.add.accumulate(lengths) - lengths, lengths)


def _read_kind(wire: Any, tag: Array, runs: Runs) -> tuple[Array, _Subsets]:
    """Each row's kind, and how many rows the kinds have; for two of them also where their runs lie."""
    each = read_each(wire, runs, np.uint8, max(ValueKind))
    if each is not None:
        rows = [int(held) for held in np.bincount(each, runs.lengths, len(ValueKind)).tolist()[1:]]
        lengths = [runs.lengths[each == which] for which in _VALUED[:2]]
        within = [Runs(np.add.accumulate(one) - one, one) for one in lengths]
        return each.repeat(runs.lengths), ((rows[0], within[0]), (rows[1], within[1]), rows[2], rows[3])
    kind = read_runs(wire, runs, len(tag), np.uint8, max(ValueKind))
    masks = [kind == which for which in _VALUED]
    rows = [int(np.count_nonzero(mask)) for mask in masks]
    within = [runs_of(tag[mask]) for mask in masks[:2]]
    return kind, ((rows[0], within[0]), (rows[1], within[1]), rows[2], rows[3])


def _pack_other(other_ns: Array, time_ns: Array, tag: Array, runs: Runs) -> Any:
    has = other_ns != NO_TIME
    return [pack_runs(has.astype(np.uint8), runs), pack_steps(other_ns[has] - time_ns[has], runs_of(tag[has]))]


def _read_other(wire: Any, time_ns: Array, tag: Array, runs: Runs) -> Array:
    which, steps = parts(wire, 2)
    has = read_runs(which, runs, len(tag), np.uint8, 1).astype(bool)
    held = int(np.count_nonzero(has))
    if not held:
        raise refuse()
    other_ns = np.full(len(tag), NO_TIME, np.int64)
    other_ns[has] = read_steps(steps, runs_of(tag[has]), held) + time_ns[has]
    return other_ns


def _pack_values(columns: Columns, tag: Array, order: Array | None) -> dict[str, Any]:
    kind = _placed(columns.kind, order)
    wire: dict[str, Any] = {}
    for which, size in (
        (ValueKind.FLOAT, len(columns.floats)),
        (ValueKind.INT, len(columns.ints)),
        (ValueKind.BOOL, len(columns.bools)),
        (ValueKind.TEXT, len(columns.texts)),
    ):
        here = kind == int(which)
        if int(np.count_nonzero(here)) != size:
            raise ValueError(f"{size} values of kind {which.name}, but {int(np.count_nonzero(here))} rows")
        if not size:
            continue
        place = None if order is None else _place(columns.kind == int(which), order[here])
        if which is ValueKind.FLOAT:
            wire["f"] = pack_floats(_placed(columns.floats, place), runs_of(tag[here]))
        elif which is ValueKind.INT:
            wire["i"] = pack_steps(_placed(columns.ints, place), runs_of(tag[here]))
        elif which is ValueKind.BOOL:
            wire["b"] = np.packbits(_placed(columns.bools, place)).tobytes()
        else:
            wire["s"] = pack_texts(columns.texts, place)
    return wire


def _place(mask: Array, rows: Array) -> Array:
    """For the rows of one kind, in their new order: which of that kind's values each one has."""
    rank = np.cumsum(mask)
    rank -= 1
    picked: Array = rank[rows]
    return picked


def _read_bools(wire: Any, count: int) -> Array:
    raw = np.frombuffer(blob(wire, (count + 7) // 8), np.uint8)
    return np.unpackbits(raw, count=count).view(bool)


_EMPTY = Columns(
    tag=np.zeros(0, np.uint32),
    time_ns=np.zeros(0, np.int64),
    other_ns=np.zeros(0, np.int64),
    flags=np.zeros(0, np.uint8),
    quality=np.zeros(0, np.uint32),
    native=np.zeros(0, np.uint32),
    kind=np.zeros(0, np.uint8),
    floats=np.zeros(0),
    ints=np.zeros(0, np.int64),
    bools=np.zeros(0, bool),
    texts=(),
)
