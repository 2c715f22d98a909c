"""A refused block: find the address that spoils it, so that its neighbours come back.

A device answers one illegal address in a block with exception 2 or 3 for the whole block. So the block is cut in two
halves for the next pass, a refused half again, until single values remain that are refused on their own. Those are
set aside and asked for again after a minute, then twice as long each time, up to an hour.

    pass 1  [a b c d]  refused          rows of a b c d bad
    pass 2  [a b] good   [c d] refused
    pass 3  [a b] good   [c] good   [d] refused -> set aside
    a minute later: [d] is asked for once more; good: it is in again

A request that is never answered, or only with something that is no answer, costs a device's time in every pass. It is
treated in the same way, but silence alone says nothing of the request: the device may have gone. So it counts only
once the device has answered something else afterwards, and for what was answered before only at the third time in a
row. Requests that were not answered are asked last, so that they cannot hide the others.

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

STRIKES = 3
"""A request that was answered before may be unanswered so often in a row before it is cut or set aside: replies are
lost on the way, and three in a row seldom."""

STRIKES_ALONE = 2
"""The same for a single value that never was answered; a block that never was is cut at once."""


@dataclass(slots=True)
class _Aside:
    """A read that is asked for seldom."""

    code: int
    """The exception, or 0."""
    why: str
    """In words."""
    quality: int
    """Of its values meanwhile, where there was no exception."""
    wait_ns: int
    again_ns: int


@dataclass(slots=True)
class _Silent:
    """A read that was not answered last time."""

    strikes: int = 0
    """Times in a row that it was not answered by a device that was there."""
    open: bool = True
    """Nobody knows yet whether the device was there."""
    why: str = ""
    quality: int = 0


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
        self._silent: dict[Read, _Silent] = {}
        self._answered: set[Read] = set()
        self._qualities: dict[Read, int] = {}

    def due(self, now: int) -> list[Read]:
        """What to ask for in this pass, what was not answered last time behind the others."""
        aside = self._aside
        if self._mended and not aside:
            self._reads, self._mended = list(self._planned), False
        self._qualities.clear()
        due = [read for read in self._reads if read not in aside or now >= aside[read].again_ns]
        return sorted(due, key=lambda read: read in self._silent or read in aside)

    def again(self) -> None:
        """The device was opened anew and may have been mended; what was silent is still asked last."""
        self._aside.clear()
        self._mended = False
        cut = set(self._reads) - set(self._planned)
        for read in cut:
            self._silent.pop(read, None)
        self._reads = list(self._planned)
        for held in self._silent.values():
            held.strikes, held.open = 0, False

    def resting(self, now: int) -> list[tuple[Read, _Aside]]:
        """What is set aside in this pass, and why."""
        return [(read, held) for read, held in self._aside.items() if now < held.again_ns]

    def troubles(self) -> list[tuple[Read, str]]:
        """What has no values at present, and why: what is set aside, and what was not answered last time."""
        silent = [(read, held.why) for read, held in self._silent.items() if held.why and read not in self._aside]
        return [(read, f"{held.why}: set aside") for read, held in self._aside.items()] + silent

    def served(self, read: Read) -> bool:
        """It was answered with data; whether it had been set aside."""
        self._answered.add(read)
        self._silent.pop(read, None)
        if self._aside.pop(read, None):
            self._mended = True
            return True
        return False

    def refused(self, read: Read, code: int, now: int) -> bool:
        """It was answered with an exception; whether it is set aside now and was not before."""
        self._silent.pop(read, None)
        if not self._isolate or code not in ASIDE_CODES:
            return False
        if code in SPLIT_CODES and len(read.items) > 1:
            self._cut(read)
            return False
        return self._put_aside(read, now, f"refused with exception {code}", code)

    def unanswered(self, read: Read, why: str, quality: int) -> None:
        """No answer, or none that is one; what it means is known once the device answers something else."""
        held = self._silent.setdefault(read, _Silent())
        held.open, held.why, held.quality = True, why, quality

    def alive(self, now: int) -> list[tuple[Read, str]]:
        """The device answered something: what was not answered before is that request's own fault.

        Returns:
            What is set aside now and was not before, and why.
        """
        if not self._silent:
            return []
        out = []
        for read, held in [(read, held) for read, held in self._silent.items() if held.open]:
            held.open = False
            held.strikes += 1
            single = len(read.items) == 1
            most = STRIKES if read in self._answered else STRIKES_ALONE if single else 1
            if not self._isolate or (held.strikes < most and read not in self._aside):
                continue
            self._qualities[read] = held.quality
            if not single:
                self._cut(read)
            elif self._put_aside(read, now, held.why, 0, held.quality):
                out.append((read, held.why))
        return out

    def quality(self, read: Read) -> int | None:
        """Quality of what was cut or set aside after this pass began; None: it is to be asked."""
        return self._qualities.get(read)

    def _cut(self, read: Read) -> None:
        half = len(read.items) // 2
        at = self._reads.index(read)
        self._aside.pop(read, None)
        self._silent.pop(read, None)
        self._reads[at : at + 1] = [read_of(read.items[:half]), read_of(read.items[half:])]

    def _put_aside(self, read: Read, now: int, why: str, code: int, quality: int = 0) -> bool:
        before = self._aside.get(read)
        wait = min(2 * before.wait_ns, LONGEST_WAIT_NS) if before else FIRST_WAIT_NS
        self._aside[read] = _Aside(code=code, why=why, quality=quality, wait_ns=wait, again_ns=now + wait)
        return before is None
