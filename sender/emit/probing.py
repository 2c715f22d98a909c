"""The probes of a `linktest`: steps of frames, each at its own rate, size and burst. Pure: time is handed in.

    step      so many PROBE frames of one length, sent back to back in bursts, the bursts at the step's rate
    pause     between two steps nothing is probed, so that what was lost is lost to one of them

While a step runs its rate is that of everything that leaves: new blocks and probes take turns, so data are slowed to
half of it at most and never lost by that, and the link carries what the step says. A step's number is never used
twice in a session; where the session ends in the middle the test is broken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.limits import WIRE_OVERHEAD
from protocol.wire.frame import PROBE_LEAST
from sender.emit.interleave import Parcel
from sender.emit.link_session import LinkSession
from sender.emit.pace import BURST_MOST, Pace

PAUSE = 0.5
"""Between two steps [s]: longer than any queue on the way needs to empty."""
SEGMENTS = 44
"""Most frames of one segmented send (UDP_MAX_SEGMENTS is 64 in most kernels)."""
SEND_BYTES = 65_000
"""Most bytes of one segmented send [bytes]: a UDP datagram's 65,507 and some room."""
STEPS_MOST = 64
"""Most steps of a test: a receiver remembers so many."""
SECONDS_MOST = 900.0
"""Longest test [s]."""
FRAMES_MOST = 1 << 22
"""Most frames of a step: a receiver keeps a bit for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStep:
    """What is sent."""

    rate_kbit: int
    """Headers counted [kb/s]."""
    frames: int
    length: int
    """UDP payload of a frame [bytes]."""
    burst: int
    """Sent back to back at most, headers counted [bytes]."""

    @property
    def wire(self) -> int:
        """Of a frame, headers counted [bytes]."""
        return self.length + WIRE_OVERHEAD

    @property
    def seconds(self) -> float:
        """How long it takes at its rate, the pause after it included [s]."""
        return self.frames * self.wire * 8e-3 / self.rate_kbit + PAUSE


def steps_from(told: Any, largest: int) -> list[ProbeStep]:
    """The steps of an errand, none of its values believed.

    Args:
        told: A list of steps, each with the fields of `ProbeStep`.
        largest: UDP payload of the largest frame that the interface takes [bytes].

    Raises:
        ValueError: what is wrong with it.
    """
    if not isinstance(told, list) or not 0 < len(told) <= STEPS_MOST:
        raise ValueError(f"a test has 1 to {STEPS_MOST} steps")
    out = [_step(one, largest) for one in told]
    if sum(one.seconds for one in out) > SECONDS_MOST:
        raise ValueError(f"a test takes at most {SECONDS_MOST:g} s")
    return out


def _step(told: Any, largest: int) -> ProbeStep:
    limits = {
        "rate_kbit": (1, 100_000_000),
        "frames": (1, FRAMES_MOST),
        "length": (PROBE_LEAST, largest),
        "burst": (1, BURST_MOST),
    }
    for name, (least, most) in limits.items():
        value = told.get(name) if isinstance(told, Mapping) else None
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{name} of a step is {value!r}, not {least} to {most}")
    return ProbeStep(**{name: told[name] for name in limits})


class Probing:
    """One test under way."""

    def __init__(self, steps: Sequence[ProbeStep], session: LinkSession, largest_frame: int, now: float) -> None:
        """
        Args:
            steps: At most STEPS_MOST.
            session: That outlives the test; its numbers are taken here.
            largest_frame: Wire bytes of the largest frame of data, which leaves at a step's pace too [bytes].
            now: Monotonic time [s].
        """
        self.steps = list(steps)
        self.sent = [0] * len(self.steps)
        """Frames that left, a step."""
        self.at = 0
        """The step under way."""
        self.session = session
        self._first = session.reserve_steps(len(self.steps))
        self._largest = largest_frame
        self._begins = now
        self.pace = self._pace()
        """Of everything that leaves during this step."""

    @property
    def done(self) -> bool:
        """Everything has left."""
        return self.at >= len(self.steps)

    def running(self, now: float) -> bool:
        """Whether a step is under way, and not a pause."""
        return not self.done and now >= self._begins

    def next(self, now: float) -> Parcel | None:
        """The next burst; None in a pause and at the end."""
        if self.done:
            return None
        step, sent = self.steps[self.at], self.sent[self.at]
        if sent >= step.frames:
            self.at += 1
            self._begins = now + PAUSE
            if not self.done:
                self.pace = self._pace()
            return None
        if now < self._begins:
            return None
        count = min(self._together(), step.frames - sent)
        frames = b"".join(self._frame(step, index) for index in range(sent, sent + count))
        self.sent[self.at] += count
        return Parcel(memoryview(frames), step.length)

    def deadline(self, now: float) -> float:
        """When `next` may have something [s, monotonic]."""
        return float("inf") if self.done else max(now, self._begins)

    def _together(self) -> int:
        """Frames of one burst."""
        step = self.steps[self.at]
        return max(1, min(SEGMENTS, SEND_BYTES // step.length, self.pace.burst // step.wire))

    def _pace(self) -> Pace:
        step = self.steps[self.at]
        return Pace(step.rate_kbit * 125.0, step.burst, largest_frame=self._largest)

    def _frame(self, step: ProbeStep, index: int) -> bytes:
        what = (self._first + self.at, step.rate_kbit, index, step.frames, step.length)
        first, last = self._first, self._first + len(self.steps) - 1
        return self.session.probe.frame(*what, burst=self._together() * step.wire, first=first, last=last)
