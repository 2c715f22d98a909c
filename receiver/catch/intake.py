"""The receiving thread's parts joined: datagrams to blocks, and both to counts. Pure; time is handed in.

    datagram -> gather -> BlockDone     -> gaps say how it counts -> put: taken, it is here; refused, it stays missing
                       -> Beat          -> gaps
                       -> HeardSession  -> a line for people

The block is accepted before the next event is asked for, so that its further shards are seen as doubles. One that the
queue to the writing thread does not take is not accepted: it stays missing and is healed by a repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from protocol.store.record import How
from protocol.wire.beat import Beat
from protocol.wire.erasure import Code
from receiver.catch.datagrams import Datagrams
from receiver.catch.gaps import Gaps
from receiver.catch.gather import BlockDone, Event, Gather
from receiver.catch.link.sessions import Sessions
from receiver.catch.numbers import StreamNumbers
from receiver.catch.status.rates import Rates
from receiver.catch.store.floors import LOWERED_MOST, AcceptRequest

GAP_LINES = 20
"""Most lines about new gaps at one time; the gaps themselves are in the status."""
_LOWERED_OUT = f"accept refused: the floor was lowered {LOWERED_MOST} times; begin a new state folder"


class Arrival(NamedTuple):
    """A complete block, for the writing thread."""

    stream: bytes
    number: int
    need: int
    spare: int
    how: How
    time_ns: int
    """When it was complete, our wall clock [ns since 1970 UTC]."""
    block: bytes


class Intake:
    """All that the receiving thread knows."""

    def __init__(
        self,
        sessions: Sessions,
        code: Code,
        streams: Mapping[bytes, StreamNumbers],
        *,
        put: Callable[[Arrival], bool],
        say: Callable[[str], None],
    ) -> None:
        """
        Args:
            sessions: Sessions and floors.
            code: Repairs blocks.
            streams: What was kept over a restart.
            put: Hands a block to the writing thread; False where its queue is full.
            say: Takes a line for people.
        """
        self.sessions = sessions
        self.gaps = Gaps(streams)
        self.gather = Gather(sessions, code, self.gaps.held)
        self.overflow = 0
        """Blocks that the writing thread's queue had no room for."""
        self.beat: Beat | None = None
        """The last beat above its floor."""
        self.beat_at = 0.0
        """When it came [s, monotonic]."""
        self.taken_bytes = 0
        """Of blocks that came on their first sending, as sealed [bytes]."""
        self.taken_since: float | None = None
        """When the first one of them came [s, monotonic]."""
        self.rates = Rates()
        """Of everything that was refused or lost here."""
        self._put, self._say = put, say

    def receive(self, datagrams: Datagrams, now: float, wall_ns: int) -> None:
        """Datagrams came.

        Args:
            datagrams: As the kernel handed them over; not kept.
            now: Monotonic time [s].
            wall_ns: Our wall clock [ns since 1970 UTC].
        """
        for event in self.gather.receive_all(datagrams, now, wall_ns):
            self._on(event, now, wall_ns)

    def tick(self, now: float, wall_ns: int) -> None:
        """Let time pass; call it at `deadline` and whenever it is cheap.

        Args:
            now: Monotonic time [s].
            wall_ns: Our wall clock [ns since 1970 UTC].
        """
        for event in self.gather.tick(now, wall_ns):
            self._on(event, now, wall_ns)
        if self.rates.due(now):
            self.rates.look(self._counters(), now)
        for step in self.gather.probes.ended(now):
            self._say("linktest " + " ".join(f"{name}={value}" for name, value in step.items()))
        missing = self.gaps.tick(now)
        for stream, first, after in missing[:GAP_LINES]:
            self._say(f"gap stream={stream.hex()} from={first} to={after}")
        if len(missing) > GAP_LINES:
            self._say(f"gap and {len(missing) - GAP_LINES} more")

    def deadline(self) -> float | None:
        """When to call `tick` next [s, monotonic]."""
        times = [at for at in (self.gather.deadline(), self.gaps.deadline()) if at is not None]
        return min(times, default=None)

    def grant(self, request: AcceptRequest) -> None:
        """Do what a person asked for."""
        if request.lower:
            lowered = self.sessions.lower()
            self._say("accept floors are forgotten; the next LINK is taken" if lowered else _LOWERED_OUT)
        if request.session is not None:
            taken = self.sessions.accept(request.session)
            self._say(f"accept session={request.session:08x} {'confirmed' if taken else 'is not the current one'}")

    def damage(self, stream: bytes, first: int, after: int, wall_ns: int) -> None:
        """Blocks that were journaled can no longer be read: they are missing, and taken when they come again.

        Args:
            wall_ns: Our wall clock [ns since 1970 UTC].
        """
        self.gaps.damage(stream, first, after, wall_ns)
        self._say(f"damaged stream={stream.hex()} from={first} to={after}")

    def _counters(self) -> dict[str, int]:
        counts = {reason.value: count for reason, count in self.gather.refused.items()}
        return counts | {
            "kernel_drops": self.gather.probes.kernel_drops, "queue_overflow": self.overflow,
            "again": self.sessions.again()}  # fmt: skip

    def _on(self, event: Event, now: float, wall_ns: int) -> None:
        if isinstance(event, BlockDone):
            how = self.gaps.how(event.stream, event.number, repaired=event.repaired)
            arrival = Arrival(event.stream, event.number, event.need, event.spare, how, wall_ns, event.block)
            if self._put(arrival):
                self.gaps.accept(event.stream, event.number, how)
                if how is not How.HEALED:
                    self.taken_bytes += len(event.block)
                    self.taken_since = now if self.taken_since is None else self.taken_since
            else:
                self.overflow += 1
                self.gather.probes.overflow = self.overflow
        elif isinstance(event, Beat):
            self.beat, self.beat_at = event, now
            self.gaps.hear(event, now, wall_ns)
        else:
            self._say(f"link session={event.number:08x}")
