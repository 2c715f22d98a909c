"""One scan on one connection: its nodes found, read once, then listened to or polled.

    begin               every node is read once: the values tell the types, and are the first rows, so that a late
                        joiner has each point before anything changes. The monitored items come after that read, so
                        that it overtakes nothing; their own first notification says the same again and is left out
    read, subscribed    the first rows, then what has come; a full read after a hole
    read, polled        every node, in requests of at most CHUNK

A node that the server does not know, or will not monitor, costs only itself: its rows are bad with the server's
status, and it is looked for again every RETRY_NS. What had come before the connection was lost is handed out first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from asyncua import ua

from collectors.base import Facts
from collectors.opcua.config import Node, Watch
from collectors.opcua.decode import Decoder
from collectors.opcua.facts import learn, resolve
from collectors.opcua.session import Session, attribute
from collectors.opcua.subscription import Subscription
from protocol.errors import AssetError
from protocol.sample import Columns, Quality

RETRY_NS = 60 * 10**9
"""A node that failed is looked for again, and in a subscription its bad rows are renewed, this often [ns]."""


class Watched:
    """See above.

    Args:
        session: Connected.
        watch: The scan.
        clock: Wall time [ns].
        facts: Gets what the server says of each point.
        subscribe: False polls.
    """

    def __init__(
        self,
        session: Session,
        watch: Watch,
        clock: Callable[[], int],
        facts: dict[int, Facts],
        *,
        subscribe: bool,
    ) -> None:
        self._session, self._clock, self._facts = session, clock, facts
        self._nodes = {node.number: node for node in watch.nodes}
        self._asked: dict[int, Any] = {}
        """What a read of every node that was found asks for."""
        self._failed: dict[int, int] = {}
        """StatusCode of the nodes that were not found, or not taken into the subscription."""
        self._again_ns = 0
        self._decoder = Decoder()
        self._subscription = Subscription(session, watch, clock) if subscribe else None
        self._first: dict[int, Any] = {}
        """First value of each node, until its first notification has come."""
        self._trouble: AssetError | None = None

    async def begin(self) -> None:
        """Find the nodes, read them once, and subscribe to them."""
        if self._subscription is not None:
            await self._subscription.open()
        await self._find(self._nodes.values())

    async def read(self) -> Columns:
        """The rows of one pass.

        Raises:
            AssetError: the connection is of no use, and nothing is left to hand out.
        """
        if self._subscription is None:
            await self._retry()
            await self._poll(overflow=False)
            for number, quality in self._failed.items():
                self._decoder.fail(self._nodes[number], quality, self._clock())
            return self._decoder.take()
        self._drain(self._subscription)
        try:
            await self._mend(self._subscription)
        except AssetError as error:
            self._trouble = error
        rows = self._decoder.take()
        if self._trouble is not None and not len(rows):
            raise self._trouble
        return rows

    async def _find(self, nodes: Iterable[Node]) -> None:
        """Resolve, learn and monitor nodes; the rows of their first values wait in the decoder."""
        wanted = {node.number: node for node in nodes}
        self._again_ns = self._clock() + RETRY_NS
        found = await resolve(self._session, list(wanted.values()))
        ids = {number: node for number, node in found.items() if not isinstance(node, ua.StatusCode)}
        failed = {number: int(code.value) for number, code in found.items() if number not in ids}
        learned = await learn(self._session, ids, self._clock)
        if self._subscription is not None:
            failed |= await self._subscription.add(ids)
        for number, about in learned.items():
            node = wanted[number]
            for element in range(number, number + node.count):
                self._facts[element] = about.facts
            if self._subscription is not None and number not in failed:
                self._decoder.add(node, about.value, about.read_ns)
                self._first[number] = about.value
        if self._subscription is not None:
            for number, quality in failed.items():
                self._decoder.fail(wanted[number], quality, self._clock())
        self._asked |= {number: attribute(node) for number, node in ids.items() if number not in failed}
        self._failed = {number: code for number, code in self._failed.items() if number not in wanted} | failed

    def _drain(self, subscription: Subscription) -> None:
        for came in subscription.drain():
            if came.number not in self._nodes:
                continue  # a handle that was never given out
            first = self._first.pop(came.number, None)
            if first is None or came.overflow or not _same(first, came.value):
                self._decoder.add(self._nodes[came.number], came.value, came.read_ns, overflow=came.overflow)

    async def _mend(self, subscription: Subscription) -> None:
        """Notice the end of the connection; read all after a hole; look again for what failed."""
        dead = self._session.lost or subscription.dead or ("no keep-alive" if subscription.overdue() else "")
        if dead:
            raise self._session.trouble("listen", dead, Quality.BAD_NOT_CONNECTED)
        if subscription.holes:
            subscription.holes = 0
            await self._poll(overflow=True)
        await self._retry()

    async def _retry(self) -> None:
        if self._failed and self._clock() >= self._again_ns:
            await self._find([self._nodes[number] for number in self._failed])

    async def _poll(self, *, overflow: bool) -> None:
        """Read every node that was found."""
        begun = self._clock()
        values = await self._session.read(list(self._asked.values()))
        read_ns = (begun + self._clock()) // 2
        for number, value in zip(self._asked, values, strict=True):
            self._decoder.add(self._nodes[number], value, read_ns, overflow=overflow)


def _same(one: Any, other: Any) -> bool:
    """The same value, status and source time."""
    return bool(
        one.SourceTimestamp == other.SourceTimestamp and one.StatusCode == other.StatusCode and one.Value == other.Value
    )
