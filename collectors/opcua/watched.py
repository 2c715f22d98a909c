"""One scan on one connection: its nodes found, read once, then listened to or polled.

    begin               every node is read once: the values tell the types, and are the first rows, so that a late
                        joiner has each point before anything changes. The monitored items come after that read, so
                        that it overtakes nothing; their own first notification says the same again and is left out
    read, subscribed    the first rows, then what has come; a full read after a hole
    read, polled        every node, in requests of at most CHUNK

A node that the server does not know (any more) costs only itself: its rows are bad with the server's status, and it is
looked for again every RETRY_NS, by its path where that is known. A node that it will not monitor though it can be read
is polled; so is a scan for which it has no subscription. Both are asked for again every RETRY_NS, and told.
What was read in a pass is kept: a request that fails costs its own nodes. A branch is walked at the beginning and every
SPREAD_NS; what is new there is read and listened to. What had come before the connection was lost is handed out first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

from asyncua import ua

from collectors.base import Facts
from collectors.opcua import paths
from collectors.opcua.address import BranchAddress, PathAddress, path_of
from collectors.opcua.branch import expand
from collectors.opcua.config import Config, Node, Watch
from collectors.opcua.decode import Decoder
from collectors.opcua.facts import About, learn
from collectors.opcua.memory import Memory, Spread
from collectors.opcua.session import Session, attribute
from collectors.opcua.stamps import Stamps, same
from collectors.opcua.subscription import Subscription
from protocol.content.sample import Columns, Quality
from protocol.errors import AssetError

RETRY_NS = 60 * 10**9
"""A node that failed is looked for again, and in a subscription its bad rows are renewed, this often [ns]."""

SOON_NS = 2 * 10**9
"""A node that has just gone is looked for after this [ns]: a download to a controller takes so long at least."""

SPREAD_NS = 600 * 10**9
"""A branch is walked again this often [ns]: browsing costs a server more than reading."""


class Watched:
    """See above.

    Args:
        session: Connected.
        config: What is fenced off, and whether the device is subscribed to.
        watch: The scan.
        clock: Wall time [ns].
        facts: Gets what the server says of each point.
        memory: What outlives the connection.
    """

    def __init__(
        self,
        session: Session,
        config: Config,
        watch: Watch,
        clock: Callable[[], int],
        facts: dict[int, Facts],
        memory: Memory,
    ) -> None:
        self._session, self._config, self._clock = session, config, clock
        self._facts, self._memory = facts, memory
        self._branches = [node for node in watch.nodes if isinstance(node.address, BranchAddress)]
        self._nodes = {node.number: node for node in watch.nodes if not isinstance(node.address, BranchAddress)}
        self._asked: dict[int, Any] = {}
        """What a read of every node that was found asks for."""
        self._failed: dict[int, int] = {}
        """StatusCode of the nodes that were not found, or not taken into the subscription."""
        self._gone: set[int] = set()
        """Nodes that the server has said it does not know any more."""
        self._again_ns = self._spread_ns = 0
        self._decoder = Decoder(Stamps(config.time, config.offset_ns, memory.difference))
        self._watch = watch
        self._subscription: Subscription | None = None
        self._polled: dict[int, Any] = {}
        """What is polled beside a subscription, because the server will not monitor it."""
        self._subscribe_ns = 0
        """When a subscription that was refused is asked for again."""
        self._room_ns = 0
        """When nodes that the server would not monitor are asked for again."""
        self._first: dict[int, Any] = {}
        """First value of each node, until its first notification has come."""
        self._trouble: AssetError | None = None
        self.relearned = False
        """More is known of the points than at `begin`; the reader sets it back."""

    async def begin(self) -> None:
        """Find the nodes, read them once, and subscribe to them."""
        if self._config.subscribe:
            await self._listen()
        await self._spread()
        await self._find(self._nodes.values())
        self.relearned = False

    async def read(self) -> Columns:
        """The rows of one pass.

        Raises:
            AssetError: the connection is of no use, and nothing is left to hand out.
        """
        if self._subscription is None and self._config.subscribe and self._clock() >= self._subscribe_ns:
            subscription = await self._listen()
            if subscription is not None:
                await self._monitor(subscription, dict(self._asked))
        if self._subscription is None:
            await self._retry()
            failed = set(self._failed)
            await self._poll(self._asked)
            await self._miss()
            for number, quality in self._failed.items():
                if number in failed:
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

    def rest(self) -> Columns:
        """What has come and was not handed out; nothing is asked for."""
        if self._subscription is not None:
            self._drain(self._subscription)
        return self._decoder.take()

    async def _listen(self) -> Subscription | None:
        """Subscribe; where the server has no subscription for it, the scan is polled until it has."""
        subscription = Subscription(self._session, self._watch, self._clock)
        try:
            await subscription.open()
        except AssetError as error:
            if self._session.lost or error.quality in (Quality.BAD_TIMEOUT, Quality.BAD_NOT_CONNECTED):
                raise
            self._subscribe_ns = self._clock() + RETRY_NS
            scan = f"the scan of {self._watch.every_s:g} s"
            self._memory.remark(f"{scan} is polled, the server gives no subscription for it: {error}", once=True)
            return None
        self._subscription = subscription
        return subscription

    async def _monitor(self, subscription: Subscription, asked: dict[int, Any], bad: Collection[int] = ()) -> list[int]:
        """Monitor nodes; those that the server will not monitor though they can be read are polled.

        Args:
            bad: Those that cannot be read.

        Returns:
            Those of them that cannot be monitored either.
        """
        refused = await subscription.add({number: one.NodeId for number, one in asked.items()})
        readable = {number: asked[number] for number in refused if number not in bad}
        self._polled = {number: one for number, one in self._polled.items() if number not in asked} | readable
        if readable:
            self._room_ns = self._clock() + RETRY_NS
            why = ua.StatusCode(ua.UInt32(refused[next(iter(readable))])).name
            nodes = f"{len(self._polled)} of {len(self._asked)} nodes of the scan of {self._watch.every_s:g} s"
            self._memory.remark(f"{nodes} are polled, the server will not monitor them ({why})", once=True)
        for line in subscription.revised:
            self._memory.remark(line, once=True)
        subscription.revised.clear()
        return [number for number in refused if number in bad]

    async def _spread(self) -> list[Node]:
        """Walk the branches; the nodes that were not known before."""
        fresh = []
        self._spread_ns = self._clock() + SPREAD_NS
        for branch in self._branches:
            assert isinstance(branch.address, BranchAddress)
            spread = self._memory.spreads.setdefault(branch.number, Spread(branch.number, branch.count))
            found = await expand(self._session, branch.address)
            if not found:
                self._memory.remark(f"{branch.name}: nothing is there now ({branch.text})", once=True)
            for steps in found or ():
                spread.place(steps)
            if spread.left_out:
                line = f"{branch.name}: {len(spread.left_out)} values more than its {branch.count}; raise `most`"
                self._memory.remark(line, once=True)
            for steps, number in spread.numbers.items():
                if number not in self._nodes:
                    node = replace(branch, number=number, count=1, address=PathAddress(steps=steps))
                    below = "/".join(name for _, name in steps[len(branch.address.steps) :])
                    self._nodes[number] = replace(node, text=path_of(steps), name=f"{branch.name}/{below}")
                    fresh.append(self._nodes[number])
        return fresh

    async def _find(self, nodes: Iterable[Node]) -> None:
        """Resolve, learn and monitor nodes; the rows of their first values wait in the decoder."""
        wanted = {node.number: node for node in nodes}
        self._again_ns = self._clock() + RETRY_NS
        await self._session.recount()
        found = await paths.resolve(self._session, list(wanted.values()), self._memory)
        ids = {number: node for number, node in found.items() if not isinstance(node, ua.StatusCode)}
        await self._remember(ids, found)
        learned = await learn(self._session, ids, self._clock)
        ids = {number: node for number, node in ids.items() if self._describe(wanted[number], learned[number])}
        failed = {number: int(node.value) for number, node in found.items() if isinstance(node, ua.StatusCode)}
        asked = {number: attribute(node) for number, node in ids.items()}
        self._asked |= asked
        if self._subscription is not None:
            bad = {number for number in asked if _bad(learned[number].value)}
            for number in await self._monitor(self._subscription, asked, bad):
                failed[number] = int(learned[number].value.StatusCode.value)
                del self._asked[number]
            for number, quality in failed.items():
                self._decoder.fail(wanted[number], quality, self._clock())
            for number in [number for number in asked if number not in failed and number not in self._polled]:
                self._decoder.add(wanted[number], learned[number].value, learned[number].read_ns)
                self._first[number] = learned[number].value
        self._failed = {number: code for number, code in self._failed.items() if number not in wanted} | failed
        self.relearned = True

    async def _remember(self, ids: dict[int, Any], found: dict[int, Any]) -> None:
        """Learn the way to nodes whose ids may change; take out those that lie in what must not be read."""
        fenced = bool(self._config.fences.paths)
        if self._config.gentle and not fenced:
            return
        asked = {
            number: node
            for number, node in ids.items()
            if number not in self._memory.paths and (fenced or paths.changeable(self._nodes[number]))
        }
        try:
            ways = await paths.learn(self._session, asked)
        except AssetError as error:
            if fenced or self._session.lost:
                raise
            self._memory.remark(f"the ways to nodes cannot be learned, their ids are believed: {error}", once=True)
            return
        for number, way in ways.items():
            if self._session.fenced(way):
                del ids[number]
                found[number] = paths.missing(Quality.BAD_CONFIGURATION)
                self._memory.remark(f"{self._nodes[number].name}: lies in never_read {path_of(way)}", once=True)
            elif paths.changeable(self._nodes[number]):
                self._memory.paths[number] = way

    def _describe(self, node: Node, about: About) -> bool:
        """Keep what is known of a node; False for one of a branch that cannot be a tag."""
        facts = about.facts
        if self._spreads(node.number):
            content = None if about.value.Value is None else about.value.Value.Value
            if facts.type is None or isinstance(content, list):
                self._memory.remark(f"{node.name}: is no single value, and left out", once=True)
                return False
            facts = replace(facts, name=node.name, address=node.text)
        for element in range(node.number, node.number + node.count):
            self._facts[element] = facts
        return True

    def _spreads(self, number: int) -> bool:
        return any(branch.number <= number < branch.number + branch.count for branch in self._branches)

    def _drain(self, subscription: Subscription) -> None:
        for came in subscription.drain():
            if came.number not in self._nodes:
                continue  # a handle that was never given out
            first = self._first.pop(came.number, None)
            if first is None or came.overflow or not _same(first, came.value):
                self._add(came.number, came.value, came.read_ns, overflow=came.overflow)

    async def _mend(self, subscription: Subscription) -> None:
        """Notice the end of the connection; read all after a hole; look again for what failed."""
        dead = self._session.lost or subscription.dead or ("no keep-alive" if subscription.overdue() else "")
        if dead:
            raise self._session.trouble("listen", dead, Quality.BAD_NOT_CONNECTED)
        if subscription.holes:
            subscription.holes = 0
            await self._poll(self._asked, overflow=True)
        if self._polled and self._clock() >= self._room_ns:
            await self._monitor(subscription, dict(self._polled))
        if self._polled:
            await self._poll(self._polled)
        await self._miss()
        await self._retry()

    async def _retry(self) -> None:
        """Look again for what failed, and for what is new below a branch."""
        again: dict[int, Node] = {}
        if self._branches and self._clock() >= self._spread_ns:
            again |= {node.number: node for node in await self._spread()}
        if self._failed and self._clock() >= self._again_ns:
            again |= {number: self._nodes[number] for number in self._failed}
        if again:
            await self._find(again.values())

    async def _poll(self, asked: dict[int, Any], *, overflow: bool = False) -> None:
        """Read nodes that were found."""
        begun = self._clock()
        values = await self._session.read(list(asked.values()), partly=True)
        read_ns = (begun + self._clock()) // 2
        for number, value in zip(asked, values, strict=True):
            self._add(number, value, read_ns, overflow=overflow)

    def _add(self, number: int, value: Any, read_ns: int, *, overflow: bool) -> None:
        self._decoder.add(self._nodes[number], value, read_ns, overflow=overflow)
        if value.StatusCode is not None and value.StatusCode.value == Quality.BAD_NODE_UNKNOWN:
            self._gone.add(number)

    async def _miss(self) -> None:
        """What the server does not know any more is looked for as a node that was never found."""
        gone, self._gone = self._gone & self._asked.keys(), set()
        if not gone:
            return
        for number in gone:
            del self._asked[number]
            self._polled.pop(number, None)
            self._failed[number] = Quality.BAD_NODE_UNKNOWN
        self._again_ns = min(self._again_ns, self._clock() + SOON_NS)
        if self._subscription is not None:
            await self._subscription.forget(gone)


def _same(one: Any, other: Any) -> bool:
    """The same value, status and source time."""
    stamped = one.SourceTimestamp == other.SourceTimestamp and one.StatusCode == other.StatusCode
    return bool(stamped) and same(_content(one), _content(other))


def _bad(value: Any) -> bool:
    return value.StatusCode is not None and bool(value.StatusCode.is_bad())


def _content(value: Any) -> Any:
    return None if value.Value is None else value.Value.Value
