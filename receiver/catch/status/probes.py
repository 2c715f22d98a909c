"""What came of a `linktest`: counted a step, never journaled. Pure.

A step knows how many frames it should have (each of them says so), so what did not come is known without asking:

    lost         frames of the step less different ones that came
    kernel       what the kernel dropped at the socket from the step's first frame to the next step's
    writer       blocks of data that the writing thread's queue refused meanwhile
    wire         the rest

The kernel counts buffers, and one may hold up to 64 frames that it had merged: where it dropped any, some of what is
counted as the wire's may be its own. A step of which nothing came is known by its neighbours, who name the first and
the last step of their test.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from protocol.errors import FrameError, Reason
from protocol.wire.frame import Probe

STEPS_KEPT = 64
"""Steps that are remembered: as many as a test may have."""
FRAMES_MOST = 1 << 22
"""Most frames of a step: one bit is kept for each."""
ENDED_S = 2.0
"""A step of which nothing came for so long is over [s]; the pause between two is 0.5 s, a beat comes every second."""


@dataclass(slots=True)
class StepSeen:
    """One step, as far as it was received."""

    probe: Probe
    """Its first frame that came."""
    length: int
    """UDP payload of a frame [bytes]."""
    drops_before: int
    overflow_before: int
    began: float
    """When its first frame came [s, monotonic]."""
    last: float = 0.0
    """When its last one came [s, monotonic]."""
    received: int = 0
    """Different frames."""
    doubled: int = 0
    kernel: int = 0
    """Buffers that the kernel dropped."""
    writer: int = 0
    """Blocks of data that the queue refused."""
    run: int = 0
    """Longest run of frames that did not come before one that did."""
    top: int = 0
    """One past the highest index that came."""
    seen: bytearray = field(default_factory=bytearray)
    """A bit a frame."""

    def plain(self) -> dict[str, Any]:
        """For the status."""
        lost = self.probe.of - self.received
        return {
            "session": self.probe.session,
            "step": self.probe.step,
            "first": self.probe.first,
            "last": self.probe.last,
            "rate": self.probe.rate,
            "burst": self.probe.burst,
            "length": self.length,
            "of": self.probe.of,
            "received": self.received,
            "doubled": self.doubled,
            "lost_kernel": min(self.kernel, lost),
            "lost_wire": max(0, lost - self.kernel),
            "lost_writer": self.writer,
            "run": max(self.run, self.probe.of - self.top),
        }


class Probes:
    """The steps of the last tests."""

    def __init__(self) -> None:
        self.steps: OrderedDict[tuple[int, int], StepSeen] = OrderedDict()
        """By session and number, oldest first."""
        self.kernel_drops = 0
        """Of the socket so far; the shell keeps it true."""
        self.overflow = 0
        """Blocks that the queue refused so far."""
        self._newest: StepSeen | None = None
        self._told = True

    def take(self, probe: Probe, length: int, now: float) -> bool:
        """A probe whose tag is right; False where it came before.

        Args:
            probe: Its fields.
            length: UDP payload [bytes].
            now: Monotonic time [s].

        Raises:
            FrameError: GEOMETRY where its fields make no sense together, FLOOR where it is of a test before the newest:
                step numbers of a session rise.
        """
        if not (0 <= probe.index < probe.of <= FRAMES_MOST and probe.first <= probe.step <= probe.last):
            raise FrameError(Reason.GEOMETRY, size=length)
        newest = self._newest
        if newest is not None and newest.probe.session == probe.session and probe.step < newest.probe.first:
            raise FrameError(Reason.FLOOR, size=length)
        step = self.steps.get((probe.session, probe.step)) or self._begin(probe, length, now)
        at, bit = probe.index >> 3, 1 << (probe.index & 7)
        if not step.seen or step.seen[at] & bit:
            step.doubled += 1
            return False
        step.seen[at] |= bit
        step.received += 1
        step.run = max(step.run, probe.index - step.top)
        step.top = max(step.top, probe.index + 1)
        step.last = now
        self._count(now)
        return True

    def ended(self, now: float) -> list[dict[str, Any]]:
        """The whole last test once it is over, each test once; else nothing."""
        self._count(now)
        newest = self._newest
        if newest is None or self._told or now < newest.last + ENDED_S:
            return []
        at_end = newest.probe.step == newest.probe.last
        if not at_end and now < newest.last + 5 * ENDED_S:
            return []  # the steps after it may all be lost: then it is over a while later
        self._told = True
        return self.test()

    def test(self) -> list[dict[str, Any]]:
        """The steps of the newest test."""
        newest = self._newest
        if newest is None:
            return []
        same = (newest.probe.session, newest.probe.first)
        return [one.plain() for one in self.steps.values() if (one.probe.session, one.probe.first) == same]

    def _begin(self, probe: Probe, length: int, now: float) -> StepSeen:
        self._count(now)
        while len(self.steps) >= STEPS_KEPT:
            self.steps.popitem(last=False)
        if self._newest is not None:
            self._newest.seen = bytearray()  # late frames of it count as doubled
        step = StepSeen(probe, length, self.kernel_drops, self.overflow, now, now, seen=bytearray((probe.of + 7) // 8))
        self.steps[probe.session, probe.step] = self._newest = step
        self._told = False
        return step

    def _count(self, now: float) -> None:
        """What was dropped here is the newest step's, until a while after its last frame."""
        step = self._newest
        if step is not None and now <= step.last + ENDED_S:
            step.kernel = self.kernel_drops - step.drops_before
            step.writer = self.overflow - step.overflow_before
