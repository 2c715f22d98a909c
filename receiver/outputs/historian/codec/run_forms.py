"""Many runs of rows that lie one after another, and the link's forms of a column of all of them in one go (pure).

A form of one short run is a dozen calls of numpy for some hundred bytes. What takes arithmetic on every row (divisors,
spans, changes) is done for all runs at once here; cutting each one's bytes out of it is what is left for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from protocol.content.array import Array
from protocol.content.column import pack_between, pack_ints


class RunForms:
    """Where runs lie, and the forms of all of them at once."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = np.array(lengths, np.int64)
        ends = np.cumsum(self.lengths)
        self.first = ends - self.lengths
        self.last = ends - 1
        edges = [0, *ends.tolist()]
        self.spans = [slice(begin, end) for begin, end in pairwise(edges)]

    @staticmethod
    def put(wires: list[dict[str, Any]], key: str, forms: Sequence[Any]) -> None:
        """Each form into its map; 0 is left out."""
        for wire, form in zip(wires, forms, strict=True):
            if form != 0:
                wire[key] = form

    def spread(self, each: Array) -> Array:
        """One value a run, for each of its rows."""
        return each.repeat(self.lengths)

    def steps(self, values: Array) -> Array:
        """From one value to the next; 0 at the first of each run."""
        steps = np.empty_like(values)
        np.subtract(values[1:], values[:-1], out=steps[1:])
        steps[self.first] = 0
        return steps

    def scales(self, steps: Array) -> Array:
        """What divides all steps of a run, 1 where they are all 0."""
        each: Array = np.gcd.reduceat(steps, self.first)
        return np.maximum(each, 1)  # also where -2**63 is one: its divisor has no positive form

    def ints_each(self, values: Array) -> list[Any]:
        """As `column.pack_ints`."""
        lows = np.minimum.reduceat(values, self.first)
        bounds = list(zip(lows.tolist(), np.maximum.reduceat(values, self.first).tolist(), self.spans, strict=True))
        narrow = b""
        if any(0 < high - low < 2**8 for low, high, _ in bounds):
            narrow = (values - self.spread(lows)).astype(np.uint8).tobytes()
        return [
            [1, low, narrow[span]] if 0 < high - low < 2**8 else pack_between(values[span], low, high)
            for low, high, span in bounds
        ]

    def steps_each(self, values: Array) -> list[Any]:
        """As `column.pack_steps` of one run."""
        steps = self.steps(values)
        scales = self.scales(steps)
        if (scales != 1).any():
            steps //= self.spread(scales)
        inside = np.minimum(self.first + 1, self.last)
        steps[self.first] = steps[inside]
        starts = values[self.first].tolist()
        return [
            [start, 0, scale, ints]
            for start, scale, ints in zip(starts, scales.tolist(), self.ints_each(steps), strict=True)
        ]

    def runs_each(self, values: Array) -> list[Any]:
        """As `column.pack_runs` of one run."""
        lows = np.minimum.reduceat(values, self.first)
        out: list[Any] = lows.tolist()
        varied = np.flatnonzero(lows != np.maximum.reduceat(values, self.first))
        if not len(varied):
            return out
        new = np.empty(len(values), bool)
        np.not_equal(values[1:], values[:-1], out=new[1:])
        new[self.first] = True
        at = np.flatnonzero(new)
        held, lasting = values[at].astype(np.int64), np.diff(at, append=len(values))
        begins, ends = np.searchsorted(at, self.first[varied]), np.searchsorted(at, self.last[varied], "right")
        for one, begin, end in zip(varied.tolist(), begins.tolist(), ends.tolist(), strict=True):
            span = self.spans[one]
            if 3 * (end - begin) > span.stop - span.start:
                out[one] = pack_ints(values[span].astype(np.int64))
            else:
                out[one] = [end - begin, [pack_ints(held[begin:end]), pack_ints(lasting[begin:end])]]
        return out
