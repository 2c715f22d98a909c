"""Whether a value that was read well means anything: what the instrument says of itself decides its quality. Pure.

    ne43         the tag's range is what 4 and 20 mA stand for. NAMUR NE 43: a transmitter that has failed sends at most
                 3.6 or at least 21 mA; one that is beyond its range saturates at 3.8 or 20.5 mA
    valid_when   another tag of the asset vouches for this one
    clamp        what is beyond is cut, and marked as limited

    signal [mA]    3.6      3.8                    20.5      21
           ---------|--------|----------------------|---------|---------
           Bad      | Uncertain |       Good        | Uncertain |   Bad

So a good reply from a broken transmitter is Bad_SensorFailure, and has no value. A voucher that is itself bad, or was
never read, makes the tag Uncertain: nobody knows. In a poll the newest word of the voucher counts for the whole pass;
of notifications each counts from its own time on, and a tag that did not change when its voucher did is told again.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import Columns, Quality, Row, ValueKind, concat, from_rows, severity

FAILED_LOW, SATURATED_LOW = -0.4 / 16, -0.2 / 16
"""3.6 and 3.8 mA as parts of the range below its lower end (NAMUR NE 43, 4 to 20 mA)."""

SATURATED_HIGH, FAILED_HIGH = 0.5 / 16, 1.0 / 16
"""20.5 and 21 mA as parts of the range above its upper end."""

BEYOND_RANGE = 0x40940000
"""UncertainEngineeringUnitsExceeded (OPC 10000-4, 7.39.2)."""

LIMITED_LOW, LIMITED_HIGH = 0x500, 0x600
"""Info bits of a StatusCode: a data value, limited low or high (OPC 10000-4, 7.39.1)."""

EXACT = 2.0**53
"""Whole numbers from here on are not all float64 numbers."""

_GATE = re.compile(
    r"\s*(!?)\s*(\S(?:.*?\S)?)\s*(?:(==|!=|<=|>=|<|>)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|true|false))?\s*"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`valid_when`, taken apart."""

    tag: str
    compare: str
    value: float | int
    """A whole number stays one: Python compares it as it is, beyond 2^53 too."""

    def says(self, row: Row, *, unsigned: bool = False) -> bool | None:
        """Whether the row vouches; None where it says nothing.

        Args:
            unsigned: A whole number is `uint64`.
        """
        value = row.value
        if row.quality >> 31 or not isinstance(value, bool | int | float):
            return None
        if unsigned and isinstance(value, int):
            value %= 1 << 64
        return bool(_COMPARE[self.compare](value, self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What decides on the values of some points."""

    numbers: range
    span: tuple[float, float] | None = None
    """What 4 and 20 mA stand for."""
    clamp: tuple[float, float] | None = None
    gate: Gate | None = None
    voucher: int = -1
    """Point number of the gate's tag."""
    unsigned: bool = False
    """Its type is `uint64`: what travels as a negative number is one from 2^63 on."""
    voucher_unsigned: bool = False
    """The voucher's type is."""


def parse_gate(text: str) -> Gate:
    """`sensor_ok`, `!sensor_fault` or `status == 0`.

    Raises:
        ValueError: it is none of them.
    """
    found = _GATE.fullmatch(text)
    if not found or (found[1] and found[3]):
        raise ValueError(f"{text!r} is no condition; write sensor_ok, !sensor_fault or status == 0")
    if found[3]:
        word = found[4]
        known = {"true": 1, "false": 0}
        whole = word.lstrip("+-").isdecimal()
        value = known[word] if word in known else int(word) if whole else float(word)
        return Gate(tag=found[2], compare=found[3], value=value)
    return Gate(tag=found[2], compare="==" if found[1] else "!=", value=0)


class Validity:
    """The rules of one device.

    Args:
        rules: Of the points that have any.
        count: Points of the device.
        subscribes: Rows are notifications.
    """

    def __init__(self, rules: Sequence[Rule], count: int, *, subscribes: bool) -> None:
        self._subscribes = subscribes
        self._idle = not rules
        self._span = np.full((2, count), np.nan)
        self._clamp = np.full((2, count), [[-np.inf], [np.inf]])
        self._unsigned = np.zeros(count, bool)
        self._gates: dict[int, list[Rule]] = {}
        for rule in rules:
            at = slice(rule.numbers.start, rule.numbers.stop)
            if rule.span:
                self._span[:, at] = np.array(rule.span)[:, None]
            if rule.clamp:
                self._clamp[:, at] = np.array(rule.clamp)[:, None]
            if rule.gate is not None:
                self._gates.setdefault(rule.voucher, []).append(rule)
                self._unsigned[rule.voucher] |= rule.voucher_unsigned
            self._unsigned[at] |= rule.unsigned
        self._clamps = bool(np.isfinite(self._clamp).any())
        self._state: dict[Gate, bool | None] = {}
        self._last: dict[int, Row] = {}

    def apply(self, rows: Columns) -> Columns:
        """The rows with the quality that their instruments give them."""
        if self._idle or not len(rows):
            return rows
        rows = self._again(rows) if self._subscribes and self._gates else rows
        quality = rows.quality.copy()
        number = _numbers(rows, self._unsigned)
        self._measured(rows.tag, number, quality)
        self._vouched(rows, quality)
        if self._clamps:
            rows = self._cut(rows, number, quality)
        empty = (quality >> 31).astype(bool) & (rows.kind != ValueKind.NONE)
        return _emptied(replace(rows, quality=quality), empty)

    def _measured(self, tag: Array, number: Array, quality: Array) -> None:
        """NE 43."""
        low, high = self._span[:, tag]
        width = high - low
        with np.errstate(invalid="ignore"):
            failed = (number <= low + FAILED_LOW * width) | (number >= high + FAILED_HIGH * width)
            beyond = (number < low + SATURATED_LOW * width) | (number > high + SATURATED_HIGH * width)
        quality[failed & (quality >> 31 == 0)] = Quality.BAD_SENSOR_FAILURE
        quality[beyond & ~failed & (quality >> 30 == 0)] = BEYOND_RANGE

    def _vouched(self, rows: Columns, quality: Array) -> None:
        for voucher, rules in self._gates.items():
            told = list(rows.select(rows.tag == voucher).rows())
            for rule in rules:
                assert rule.gate is not None
                before = self._state.get(rule.gate)
                says = [before, *(self._says(rule.gate, row) for row in told)]
                concerned = np.flatnonzero((rows.tag >= rule.numbers.start) & (rows.tag < rule.numbers.stop))
                which = np.full(len(concerned), len(told))
                if self._subscribes:
                    times = np.array([row.time_ns for row in told], np.int64)
                    which = np.searchsorted(times, rows.time_ns[concerned], side="right")
                for at, word in zip(concerned.tolist(), which.tolist(), strict=True):
                    quality[at] = _judged(int(quality[at]), says[word])
            for rule in rules:
                if told and rule.gate is not None:
                    self._state[rule.gate] = self._says(rule.gate, told[-1])

    def _says(self, gate: Gate, row: Row) -> bool | None:
        return gate.says(row, unsigned=bool(self._unsigned[row.tag]))

    def _again(self, rows: Columns) -> Columns:
        """The rows, and last rows of points that did not change while their voucher did."""
        came = set(rows.tag.tolist())
        more = []
        for voucher, rules in self._gates.items():
            told = list(rows.select(rows.tag == voucher).rows()) if voucher in came else []
            for rule in rules:
                for number in rule.numbers:
                    if number in came:
                        mine = list(rows.select(rows.tag == number).rows())
                        self._last[number] = mine[-1]
                    held = self._last.get(number)
                    if not told or held is None or rule.gate is None:
                        continue
                    changed = self._says(rule.gate, told[-1]) != self._state.get(rule.gate)
                    if changed and held.time_ns < told[-1].time_ns:
                        more.append(held._replace(time_ns=told[-1].time_ns, other_ns=held.time_ns))
        return concat([rows, from_rows(more)]) if more else rows

    def typed(self, numbers: Iterable[int]) -> None:
        """Points that the device says are `uint64`."""
        self._unsigned[list(numbers)] = True

    def _exact(self, rows: Columns, at: int) -> int:
        value = int(rows.ints[np.count_nonzero(rows.kind[:at] == ValueKind.INT)])
        return value % (1 << 64) if self._unsigned[rows.tag[at]] else value

    def _cut(self, rows: Columns, number: Array, quality: Array) -> Columns:
        low, high = self._clamp[:, rows.tag]
        with np.errstate(invalid="ignore"):
            under, over = number < low, number > high
        for at in np.flatnonzero((rows.kind == ValueKind.INT) & (np.abs(number) >= EXACT)).tolist():
            value = self._exact(rows, at)  # Python compares it as it is, a float64 would be one of its neighbours
            under[at], over[at] = value < float(low[at]), value > float(high[at])
        good = quality >> 31 == 0
        quality[under & good] |= LIMITED_LOW
        quality[over & good] |= LIMITED_HIGH
        if not (under | over).any():
            return rows
        cut = np.clip(number, low, high)
        floats, ints = rows.kind == ValueKind.FLOAT, rows.kind == ValueKind.INT
        whole = rows.ints.copy()
        for at in np.flatnonzero((under | over)[ints]).tolist():
            row = np.flatnonzero(ints)[at]
            limit = math.ceil(low[row]) if under[row] else math.floor(high[row])
            whole[at] = limit if limit < 1 << 63 else limit - (1 << 64)
        return replace(rows, floats=np.where((under | over)[floats], cut[floats], rows.floats), ints=whole)


def rules(points: Mapping[str, tuple[range, Any]], resolve: Mapping[str, int]) -> list[Rule]:
    """The rules of an asset whose tables have been checked.

    Args:
        points: Tag name -> its point numbers and its table (`settings.TagTable`).
        resolve: Tag name -> point number, an array's elements too.
    """
    out = []
    unsigned = {number for numbers, table in points.values() if table.type == "uint64" for number in numbers}
    for numbers, table in points.values():
        gate = parse_gate(table.valid_when) if table.valid_when else None
        low, high = table.span
        if gate is not None or table.ne43 or table.clamp:
            out.append(
                Rule(
                    numbers=numbers,
                    span=(low, high) if table.ne43 else None,
                    clamp=table.clamp,
                    unsigned=table.type == "uint64",
                    gate=gate,
                    voucher=resolve[gate.tag] if gate else -1,
                    voucher_unsigned=gate is not None and resolve[gate.tag] in unsigned,
                )
            )
    return out


def _judged(quality: int, says: bool | None) -> int:
    if severity(quality) == 2 or says is True:
        return quality
    if says is False:
        return int(Quality.BAD_SENSOR_FAILURE)
    return quality if severity(quality) else int(Quality.UNCERTAIN) | quality


def _numbers(rows: Columns, unsigned: Array) -> Array:
    """Each row's value as float64, NaN where it is no number.

    Args:
        unsigned: Whether a point's whole numbers are `uint64`, by point number.
    """
    number = np.full(len(rows), np.nan)
    number[rows.kind == ValueKind.FLOAT] = rows.floats
    ints = rows.kind == ValueKind.INT
    large = unsigned[rows.tag[ints]] & (rows.ints < 0)
    number[ints] = np.where(large, rows.ints.astype(np.uint64).astype(np.float64), rows.ints)
    return number


def _emptied(rows: Columns, empty: Array) -> Columns:
    """The rows in their order, those of the mask without a value."""
    if not empty.any():
        return rows
    kept = {
        which: ~empty[rows.kind == which] for which in (ValueKind.FLOAT, ValueKind.INT, ValueKind.BOOL, ValueKind.TEXT)
    }
    kind = rows.kind.copy()
    kind[empty] = ValueKind.NONE
    return replace(
        rows,
        kind=kind,
        floats=rows.floats[kept[ValueKind.FLOAT]],
        ints=rows.ints[kept[ValueKind.INT]],
        bools=rows.bools[kept[ValueKind.BOOL]],
        texts=tuple(text for text, keep in zip(rows.texts, kept[ValueKind.TEXT].tolist(), strict=True) if keep),
    )
