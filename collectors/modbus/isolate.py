"""A refused block: find the address that spoils it, so that its neighbours come back.

A device answers one illegal address in a block with exception 2 or 3 for the whole block. So the block is cut in two
halves for the next pass, a refused half again, until single values remain that are refused on their own. Those are
set aside and asked for again after a minute, then twice as long each time, up to an hour.

    pass 1  [a b c d]  refused          rows of a b c d bad
    pass 2  [a b] good   [c d] refused
    pass 3  [a b] good   [c] good   [d] refused -> set aside
    a minute later: [d] is asked for once more; good: it is in again

Once everything that was set aside has come back (a controller that was starting), the plan's blocks are whole again.
Where nothing had to be set aside (an address in a gap, or a device that refuses long reads) the cut blocks stay, since
joining them would be refused again. Where the function itself is refused (exception 1) the block is set aside uncut.
Time comes in as an argument; no I/O here and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collectors.modbus.plan import Read, read_of

SPLIT_CODES = (2, 3)
"""Illegal data address, illegal data value: one value can be the culprit (V1.1b3, 7)."""

ASIDE_CODES = (1, *SPLIT_CODES)
"""After these a repetition at once is of no use."""

FIRST_WAIT_NS = 60 * 10**9
"""First wait of what is set aside: longer than most controllers take to start."""

LONGEST_WAIT_NS = 3600 * 10**9
"""Then it doubles up to an hour: the load of asking in vain stays under one request an hour and culprit."""


@dataclass(slots=True)
class _Aside:
    """A read that is asked for seldom."""

    code: int
    wait_ns: int
    again_ns: int


class Blocks:
    """The reads of one scan as they stand after what the device refused.

    Args:
        reads: As planned.
        isolate: False keeps to the plan whatever the device answers.
    """

    def __init__(self, reads: Sequence[Read], *, isolate: bool) -> None:
        self._planned = tuple(reads)
        self._reads = list(reads)
        self._aside: dict[Read, _Aside] = {}
        self._isolate = isolate
        self._mended = False

    def due(self, now: int) -> list[Read]:
        """What to ask for in this pass."""
        aside = self._aside
        if self._mended and not aside:
            self._reads, self._mended = list(self._planned), False
        return [read for read in self._reads if read not in aside or now >= aside[read].again_ns]

    def resting(self, now: int) -> list[tuple[Read, int]]:
        """What is set aside in this pass, with the exception code that put it there."""
        return [(read, held.code) for read, held in self._aside.items() if now < held.again_ns]

    def served(self, read: Read) -> bool:
        """It was answered with data; whether it had been set aside."""
        if self._aside.pop(read, None):
            self._mended = True
            return True
        return False

    def refused(self, read: Read, code: int, now: int) -> bool:
        """It was answered with an exception; whether it is set aside now and was not before."""
        if not self._isolate or code not in ASIDE_CODES:
            return False
        if code in SPLIT_CODES and len(read.items) > 1:
            half = len(read.items) // 2
            at = self._reads.index(read)
            self._aside.pop(read, None)
            self._reads[at : at + 1] = [read_of(read.items[:half]), read_of(read.items[half:])]
            return False
        before = self._aside.get(read)
        wait = min(2 * before.wait_ns, LONGEST_WAIT_NS) if before else FIRST_WAIT_NS
        self._aside[read] = _Aside(code=code, wait_ns=wait, again_ns=now + wait)
        return before is None
