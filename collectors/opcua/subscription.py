"""One scan's subscription: the server pushes, a bounded buffer waits for the next read.

Nothing goes missing unmarked. The buffer drops its oldest notification when it is full, and the next value of that
node carries the overflow bits, as the server does for its own queues. A hole in the server's sequence numbers means
that a whole notification was lost (or that asyncua could not take it apart): then `holes` asks for a full read. A
server that sends nothing, not even the keep-alive it owes, is dead, whatever its socket says.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from collectors.opcua.config import Watch
from collectors.opcua.session import Session

KEEP_ALIVE_S = 5.0
"""A server with nothing to say says so this often [s]."""

LIFE_FACTOR = 12
"""Keep-alives after which a server may forget a subscription nobody asks for; at least 3 (OPC 10000-4, 5.14.2)."""

_LAST_SEQUENCE = 2**32 - 1

log = logging.getLogger("checkvalve.opcua")


@dataclass(frozen=True, slots=True)
class Came:
    """One notification."""

    number: int
    """Point number of the node."""
    value: Any
    """DataValue."""
    read_ns: int
    """When it came [ns]."""
    overflow: bool
    """Values of this node were lost before it."""


class Subscription:
    """The monitored items of one scan.

    Args:
        session: Connected.
        watch: The scan.
        clock: Wall time [ns].
    """

    def __init__(self, session: Session, watch: Watch, clock: Callable[[], int]) -> None:
        self._session, self._watch, self._clock = session, watch, clock
        self._waiting: deque[tuple[int, Any, int]] = deque()
        self._marked: set[int] = set()
        self._sequence: int | None = None
        self._id = 0
        self._owed_s = 0.0
        self._heard = 0.0
        self.dead = ""
        """Why it will bring nothing more; empty while it may."""
        self.holes = 0
        """Notifications that the server numbered and that never came; the reader sets it back."""
        self.dropped = 0
        """Notifications that the buffer had no room for, ever."""

    async def open(self) -> None:
        """Create the subscription on the server."""
        interval = self._watch.every_s * 1000
        keep_alive = max(1, round(KEEP_ALIVE_S * 1000 / interval))
        parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=interval,
            RequestedLifetimeCount=ua.UInt32(LIFE_FACTOR * keep_alive),
            RequestedMaxKeepAliveCount=ua.UInt32(keep_alive),
            MaxNotificationsPerPublish=ua.UInt32(0),
            PublishingEnabled=True,
        )
        with self._session.in_words("subscribe"):
            made = await self._session.services.create_subscription(parameters, self._published)
        self._id = made.SubscriptionId
        self._owed_s = made.RevisedPublishingInterval / 1000 * (made.RevisedMaxKeepAliveCount + 1)
        self._heard = asyncio.get_running_loop().time()

    async def add(self, ids: Mapping[int, Any]) -> dict[int, int]:
        """Monitor nodes, by point number.

        Returns:
            The StatusCode of each that the server refused.
        """
        items = [self._item(number, node) for number, node in ids.items()]
        results = await self._session.watch(self._id, items)
        refused = {
            number: int(result.StatusCode.value)
            for number, result in zip(ids, results, strict=True)
            if not result.StatusCode.is_good()
        }
        shortest = min((one.RevisedQueueSize for one in results if one.StatusCode.is_good()), default=self._watch.queue)
        if shortest < self._watch.queue:
            log.info("queue_revised asked=%d got=%d", self._watch.queue, shortest)
        return refused

    def drain(self) -> list[Came]:
        """What has come since the last call, in the order it came."""
        waiting, self._waiting = self._waiting, deque()
        marked, self._marked = self._marked, set()
        out = []
        for number, value, read_ns in waiting:
            out.append(Came(number, value, read_ns, number in marked))
            marked.discard(number)
        self._marked |= marked
        return out

    def overdue(self) -> bool:
        """True when the server owes a keep-alive for longer than two of its periods and the watchdog's patience."""
        return asyncio.get_running_loop().time() - self._heard > 2 * self._owed_s + KEEP_ALIVE_S

    def _item(self, number: int, node: Any) -> Any:
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=ua.UInt32(number),
                SamplingInterval=self._watch.sampling_ms,
                QueueSize=ua.UInt32(self._watch.queue),
                DiscardOldest=True,
            ),
        )

    def _published(self, result: Any) -> None:
        """asyncua's callback for each publish response, keep-alives too."""
        self._heard = asyncio.get_running_loop().time()
        read_ns = self._clock()
        message = result.NotificationMessage
        if not message.NotificationData:
            return
        self._follow(int(message.SequenceNumber))
        for part in message.NotificationData:
            if isinstance(part, ua.DataChangeNotification):
                for item in part.MonitoredItems or ():
                    self._keep(int(item.ClientHandle), item.Value, read_ns)
            elif isinstance(part, ua.StatusChangeNotification):
                self.dead = f"the server ended the subscription ({part.Status.name})"

    def _follow(self, sequence: int) -> None:
        """Count what is missing between two sequence numbers; 0 is never used (OPC 10000-4, 7.25)."""
        if self._sequence is not None and sequence:
            expected = self._sequence % _LAST_SEQUENCE + 1
            if sequence != expected:
                self.holes += (sequence - expected) % _LAST_SEQUENCE
                log.warning("notification_hole expected=%d got=%d", expected, sequence)
        if sequence:
            self._sequence = sequence

    def _keep(self, number: int, value: Any, read_ns: int) -> None:
        if len(self._waiting) >= self._watch.buffer:
            lost, _, _ = self._waiting.popleft()
            self._marked.add(lost)
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # a line for 1, 2, 4, 8 .. of them
                log.warning("buffer_full dropped=%d", self.dropped)
        self._waiting.append((number, value, read_ns))
