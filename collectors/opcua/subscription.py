"""One scan's subscription: the server pushes, a bounded buffer waits for the next read.

Nothing goes missing unmarked. The buffer drops its oldest notification when it is full, and the next value of that
node carries the overflow bits, as the server does for its own queues. After a hole in the numbering (`channel`) all is
read again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from collectors.opcua.channel import Channel, log
from collectors.opcua.config import Watch
from collectors.opcua.session import Session


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


class Subscription(Channel):
    """The monitored items of one scan.

    Args:
        session: Connected.
        watch: The scan.
        clock: Wall time [ns].
    """

    def __init__(self, session: Session, watch: Watch, clock: Callable[[], int]) -> None:
        super().__init__(session, watch.every_s, clock)
        self._watch = watch
        self._waiting: deque[tuple[int, Any, int]] = deque()
        self._marked: set[int] = set()
        self._items: dict[int, int] = {}
        """Point number -> the server's number of its item."""
        self.revised: list[str] = []
        """What the server gives less of than was asked, in words; the reader takes it out."""
        self.dropped = 0
        """Notifications that the buffer had no room for, ever."""

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
        self._items |= {
            number: int(result.MonitoredItemId)
            for number, result in zip(ids, results, strict=True)
            if number not in refused
        }
        self._revise([one for one in results if one.StatusCode.is_good()])
        return refused

    def _revise(self, taken: Sequence[Any]) -> None:
        """What the server gives less of than was asked."""
        queue, sampling_ms = self._watch.queue, self._watch.sampling_ms
        shortest = min((one.RevisedQueueSize for one in taken), default=queue)
        slowest = max((one.RevisedSamplingInterval for one in taken), default=sampling_ms)
        if shortest < queue:
            self.revised.append(f"the server keeps {shortest} of {queue} values between two publishings")
        if slowest > 1.5 * sampling_ms:
            self.revised.append(f"the server looks at values every {slowest:g} ms, not every {sampling_ms:g} ms")

    async def forget(self, numbers: Iterable[int]) -> None:
        """Take items out whose nodes are gone, so that none speaks beside the one that comes after it."""
        items = [ua.UInt32(self._items.pop(number)) for number in numbers if number in self._items]
        if items:
            parameters = ua.DeleteMonitoredItemsParameters(SubscriptionId=self._id, MonitoredItemIds=items)
            await self._session.turn()
            with self._session.in_words("stop listening"):
                await self._session.services.delete_monitored_items(parameters)

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

    def _take(self, part: Any, read_ns: int) -> None:
        if isinstance(part, ua.DataChangeNotification):
            for item in part.MonitoredItems or ():
                self._keep(int(item.ClientHandle), item.Value, read_ns)

    def _keep(self, number: int, value: Any, read_ns: int) -> None:
        if len(self._waiting) >= self._watch.buffer:
            lost, _, _ = self._waiting.popleft()
            self._marked.add(lost)
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # a line for 1, 2, 4, 8 .. of them
                log.warning("buffer_full dropped=%d", self.dropped)
        self._waiting.append((number, value, read_ns))
