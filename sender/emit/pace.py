"""How fast: a token bucket over bytes on the wire.

The law: in every window of `w` seconds the link is given at most rate x w + burst bytes, Ethernet, IP and UDP headers
counted. Tokens are kept as the instant at which the bucket is full again, so there is no drift and nothing to round.

A sleep ends late, and a send takes its time; what the bucket gained meanwhile goes with the next send. Only a bucket
that is full gains nothing, so it is kept low: a send waits for a quarter of the burst, and takes up to half of it where
more is there.
"""

from __future__ import annotations

from collections.abc import Callable

from protocol.limits import WIRE_OVERHEAD

BURST_MOST = 64 * 1024
"""Largest default burst [bytes]: what one segmented send can carry."""
BURST_TIME = 0.001
"""Default burst as time at the rate [s]: shorter than the buffer of the cheapest converter."""


class Pace:
    """When the next bytes may go. Pure: `now` is monotonic time [s], clock and sleep are handed in."""

    def __init__(self, rate: float, burst: int | None = None, *, largest_frame: int) -> None:
        """
        Args:
            rate: [bytes/s], headers counted.
            burst: Most bytes at once [bytes]; None: 1 ms of the rate, at most 64 KiB.
            largest_frame: Wire bytes of the largest frame: the burst is never less.
        """
        self.rate = rate
        wanted = min(BURST_MOST, int(rate * BURST_TIME)) if burst is None else burst
        self.burst = max(wanted, largest_frame)
        self._full_at = float("-inf")

    def wait(self, size: int, now: float) -> float:
        """How long until `size` bytes, at most `burst`, may go [s]; 0 means now."""
        return max(0.0, self._full_at + (size - self.burst) / self.rate - now)

    def spend(self, size: int, now: float) -> None:
        """`size` bytes go now."""
        self._full_at = max(self._full_at, now) + size / self.rate

    def frames(self, length: int) -> int:
        """How many frames of `length` payload bytes one send waits for: a quarter of the burst, at least 1.

        This process may then be late by three quarters of burst / rate, its own send counted, and the link loses no
        time: a burst of 64 KiB at 900 Mb/s allows 0.44 ms. A send of the whole burst would wait for a full bucket.
        """
        return max(1, self.burst // 4 // (length + WIRE_OVERHEAD))

    def send(
        self,
        frames: memoryview,
        length: int,
        out: Callable[[memoryview, int], bool],
        hold: Callable[[], bool] = lambda: False,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> bool:
        """Send frames at this pace, some at a time: what the emitter does, and whoever measures it.

        Args:
            frames: Equally long frames, one after another.
            length: UDP payload of one [bytes].
            out: `Outlet.send`, or what stands for it.
            hold: Asked where `out` did not take some; True: those are given again.
            clock: Monotonic time [s].
            sleep: Lets so much of it pass [s].

        Returns:
            False where `out` did not take them all.
        """
        frame, least, at = length + WIRE_OVERHEAD, self.frames(length), 0
        while at < len(frames):
            while (wait := self.wait(least * frame, now := clock())) > 0:
                sleep(wait)
            room = self.burst - max(0.0, self._full_at - now) * self.rate
            part = frames[at : at + max(least, min(int(room // frame), 2 * least)) * length]
            while not out(part, length):
                if not hold():
                    return False
            at += len(part)
            self.spend(wire_bytes(len(part), -(-len(part) // length)), clock())  # after it: a pause crowds no sends
        return True


def wire_bytes(payload: int, frames: int) -> int:
    """Bytes on the wire of `frames` datagrams of `payload` bytes in all."""
    return payload + frames * WIRE_OVERHEAD
