"""Alarms and conditions: the server tells what has happened, and what stands is asked for again after each connect.

    begin       one subscription; an item a notifier, with the fields below; then ConditionRefresh, which makes the
                server tell every standing condition once more, between a RefreshStart and a RefreshEnd event
    a condition is told when it differs from what was told of it last, so that a refresh repeats nothing
    at the end  of a refresh, what stood before and was not told again has gone while nobody listened: cleared, with the
                time of reading, and said so in its text
    a hole      in the numbering, or the server's own overflow event: the refresh is asked for again, and it is remarked

A condition has branches (OPC 10000-9, 5.5.2): an older state of it that still waits for a person. Each stands for
itself, and its code says which it is. Order is the server's; time is the event's own where it is believable. The state
is `active` while the alarm is, `acked` once somebody has acknowledged it, `cleared` when it is gone, disabled, or waits
for nobody any more; an event that is of no condition has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asyncua import ua

from collectors.base import Event
from collectors.opcua.address import NodeAddress, PathAddress, path_of, text_of
from collectors.opcua.channel import Channel
from collectors.opcua.config import EVENTS_S, Config
from collectors.opcua.events.kinds import Kinds, learn
from collectors.opcua.events.told import Told, clauses, read, state_of
from collectors.opcua.memory import Memory, Stood
from collectors.opcua.session import Session
from collectors.opcua.stamps import DAY_NS, nanoseconds
from protocol.content.sample import Quality
from protocol.errors import AssetError

QUEUE = 1000
"""Events that the server keeps for each notifier between two publishings: a trip with its consequences."""

RETRY_NS = 60 * 10**9
"""A notifier that was refused is asked for again this often [ns]."""

_START = ua.NodeId(ua.ObjectIds.RefreshStartEventType)
_END = ua.NodeId(ua.ObjectIds.RefreshEndEventType)
_OVERFLOW = ua.NodeId(ua.ObjectIds.EventQueueOverflowEventType)
_AGAIN = ua.NodeId(ua.ObjectIds.RefreshRequiredEventType)


class Conditions(Channel):
    """The events of one server.

    Args:
        session: Connected.
        config: Whose events, and which.
        clock: Wall time [ns].
        memory: Outlives this; the events wait in it.
    """

    def __init__(self, session: Session, config: Config, clock: Callable[[], int], memory: Memory) -> None:
        super().__init__(session, EVENTS_S, clock)
        self._config, self._memory = config, memory
        self._missing: list[NodeAddress | PathAddress] = list(config.notifiers)
        self._again_ns = 0
        self._refreshed: set[tuple[str, str]] | None = None
        """Conditions told since RefreshStart; None outside of a refresh."""
        self._stale = not config.gentle
        """Whether a refresh is to be asked for."""
        self._kinds = Kinds()

    async def begin(self) -> None:
        """Listen, and ask for what stands."""
        if not self._config.gentle:
            self._kinds = await self._learn()
        await self.open()
        await self.mend()

    def check(self) -> None:
        """Notice the end of the subscription.

        Raises:
            AssetError: it will bring nothing more.
        """
        dead = self.dead or ("no keep-alive" if self.overdue() else "")
        if dead:
            raise self._session.trouble("listen to events", dead, Quality.BAD_NOT_CONNECTED)

    async def mend(self) -> None:
        """Ask again for what was refused, and for what may have been missed."""
        if self._missing and self._clock() >= self._again_ns:
            self._again_ns = self._clock() + RETRY_NS
            await self._listen()
        if self.holes:
            self._memory.remark(f"{self.holes} notifications of events never came; standing alarms are asked for again")
            self.holes, self._stale = 0, not self._config.gentle
        if self._stale and len(self._missing) < len(self._config.notifiers):
            self._stale = False
            await self._refresh()

    async def _learn(self) -> Kinds:
        try:
            return await learn(self._session)
        except AssetError as error:
            if self._session.lost:
                raise
            self._memory.remark(f"the server's own kinds of events are told by number: {error}", once=True)
            return Kinds()

    async def _listen(self) -> None:
        found = await self._find(self._missing)
        known = {at: node for at, node in enumerate(found) if not isinstance(node, ua.StatusCode)}
        codes = await self._watch(known)
        if self._kinds.fields and codes and not any(code.is_good() for code in codes.values()):
            self._memory.remark("the server does not give the own fields of its events", once=True)
            self._kinds = Kinds(names=self._kinds.names)
            codes = await self._watch(known)
        refused = []
        for at, where in enumerate(self._missing):
            code = codes.get(at, found[at])
            if not code.is_good():
                refused.append(where)
                text = text_of(where) if isinstance(where, NodeAddress) else path_of(where.steps)
                self._memory.remark(f"events of {text} are not to be had: {code.name}", once=True)
        self._missing = refused

    async def _watch(self, nodes: Mapping[int, Any]) -> dict[int, Any]:
        """The StatusCode of each notifier that is asked for its events."""
        asked = clauses(self._kinds)
        results = await self._session.watch(self._id, [_item(at, node, asked) for at, node in nodes.items()])
        return dict(zip(nodes, (one.StatusCode for one in results), strict=True))

    async def _find(self, notifiers: Sequence[NodeAddress | PathAddress]) -> list[Any]:
        paths = [one.steps for one in notifiers if isinstance(one, PathAddress)]
        ends = iter(await self._session.translate(paths))
        return [next(ends) if isinstance(one, PathAddress) else self._session.typed(one) for one in notifiers]

    async def _refresh(self) -> None:
        """The one method that is called (see `guard`); a server that has none is listened to all the same."""
        call = ua.CallMethodRequest(
            ObjectId=ua.NodeId(ua.ObjectIds.ConditionType),
            MethodId=ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
            InputArguments=[ua.Variant(ua.UInt32(self._id), ua.VariantType.UInt32)],
        )
        await self._session.turn()
        try:
            with self._session.in_words("ask for standing alarms"):
                (result,) = await self._session.services.call([call])
            why = "" if result.StatusCode.is_good() else result.StatusCode.name
        except AssetError as error:
            if self._session.lost or error.quality in (Quality.BAD_TIMEOUT, Quality.BAD_NOT_CONNECTED):
                raise
            why = str(error)
        if why:
            line = f"the server does not tell its standing alarms ({why}); only new ones are seen"
            self._memory.remark(line, once=True)

    def _take(self, part: Any, read_ns: int) -> None:
        if isinstance(part, ua.EventNotificationList):
            for event in part.Events or ():
                self._happened(read(event.EventFields or (), self._session.text, self._kinds), read_ns)

    def _happened(self, told: Told, read_ns: int) -> None:
        if told.type == _START:
            self._refreshed = set()
        elif told.type == _END:
            self._ended(read_ns)
        elif told.type == _OVERFLOW:
            self._memory.remark("the server had no room for all of its events; standing alarms are asked for again")
            self._stale = not self._config.gentle
        elif told.type == _AGAIN:
            self._stale = not self._config.gentle
        elif told.condition:
            self._changed(told, read_ns)
        elif self._config.events == "all" and told.severity >= self._config.least_severity:
            self._memory.happen(self._event(told, read_ns, "", "", self._code(told)))

    def _changed(self, told: Told, read_ns: int) -> None:
        """A condition as it stands now; nothing where that was told already."""
        key = told.condition, told.branch
        if self._refreshed is not None:
            self._refreshed.add(key)
        before = self._memory.stood.get(key)
        state = state_of(told)
        if before is None and (told.severity < self._config.least_severity or state == "cleared"):
            return
        now = Stood(
            state=state,
            acked=bool(told.acked),
            said_ns=nanoseconds(told.time) or 0,
            source=told.source,
            severity=told.severity,
            code=self._code(told),
            text=told.message,
        )
        if now == before:
            return
        after = " (acknowledged)" if state == "cleared" and told.acked and before and before.state == "cleared" else ""
        self._memory.happen(self._event(told, read_ns, state, after, now.code))
        self._memory.stands(key, None if state == "cleared" and not told.retain else now)

    def _event(self, told: Told, read_ns: int, state: str, after: str, code: str) -> Event:
        return Event(
            source=told.source,
            time_ns=self._time(told, read_ns),
            severity=told.severity,
            code=code,
            text=told.message + after,
            state=state,
        )

    def _time(self, told: Told, read_ns: int) -> int:
        """The event's own time where it is asked for, and within a day of the time of reading."""
        own = nanoseconds(told.time)
        if own is None or self._config.time == "read":
            return read_ns
        own += self._config.offset_ns
        return own if abs(own - read_ns) <= DAY_NS else read_ns

    def _code(self, told: Told) -> str:
        """A condition's name, and which branch of it; else the name of the event's type."""
        if told.condition:
            return f"{told.name} (branch {told.branch})" if told.branch else told.name
        return self._kinds.name(told.type, self._session.text(told.type))

    def _ended(self, read_ns: int) -> None:
        """What stood and was not told again has gone."""
        refreshed, self._refreshed = self._refreshed, None
        if refreshed is None:
            return
        for key in [key for key in self._memory.stood if key not in refreshed]:
            stood = self._memory.stood.pop(key)
            if stood.state != "cleared":
                text = f"{stood.text} (gone while nobody listened)"
                gone = Event(
                    source=stood.source,
                    time_ns=read_ns,
                    severity=stood.severity,
                    code=stood.code,
                    text=text,
                    state="cleared",
                )
                self._memory.happen(gone)


def _item(handle: int, node: Any, asked: Sequence[Any]) -> Any:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.EventNotifier),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=ua.UInt32(handle),
            SamplingInterval=0.0,
            Filter=ua.EventFilter(SelectClauses=list(asked)),
            QueueSize=ua.UInt32(QUEUE),
            DiscardOldest=True,
        ),
    )
