"""Alarms and conditions: the server tells what has happened, and what stands is asked for again after each connect.

    begin       one subscription; an item a notifier, with the fields below; then ConditionRefresh, which makes the
                server tell every standing condition once more, between a RefreshStart and a RefreshEnd event
    a condition is told when it differs from what was told of it last, so that a refresh repeats nothing
    at the end  of a refresh, what stood before and was not told again has gone while nobody listened: cleared, with the
                time of reading, and said so in its text
    a hole      in the numbering, or the server's own overflow event: the refresh is asked for again, and it is remarked

A condition has branches (OPC 10000-9, 5.5.2): an older state of it that still waits for a person. Each stands for
itself. Order is the server's; time is the event's own where it is believable. The state is `active` while the alarm is,
`acked` once somebody has acknowledged it, `cleared` when it is gone, disabled, or waits for nobody any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncua import ua

from collectors.base import Event
from collectors.opcua.address import NodeAddress, PathAddress, path_of, text_of
from collectors.opcua.channel import Channel
from collectors.opcua.config import EVENTS_S, Config
from collectors.opcua.decode import DAY_NS, nanoseconds
from collectors.opcua.memory import Memory, Stood
from collectors.opcua.session import Session
from protocol.content.sample import Quality

QUEUE = 1000
"""Events that the server keeps for each notifier between two publishings: a trip with its consequences."""

RETRY_NS = 60 * 10**9
"""A notifier that was refused is asked for again this often [ns]."""

_BASE, _CONDITION = ua.ObjectIds.BaseEventType, ua.ObjectIds.ConditionType
_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("type", _BASE, "EventType"),
    ("source", _BASE, "SourceName"),
    ("time", _BASE, "Time"),
    ("severity", _BASE, "Severity"),
    ("message", _BASE, "Message"),
    ("condition", _CONDITION, ""),
    ("name", _CONDITION, "ConditionName"),
    ("branch", _CONDITION, "BranchId"),
    ("retain", _CONDITION, "Retain"),
    ("enabled", _CONDITION, "EnabledState/Id"),
    ("acked", ua.ObjectIds.AcknowledgeableConditionType, "AckedState/Id"),
    ("active", ua.ObjectIds.AlarmConditionType, "ActiveState/Id"),
)
"""Name here, type that defines it, path of browse names from that type; no path: the condition's own id."""

_START = ua.NodeId(ua.ObjectIds.RefreshStartEventType)
_END = ua.NodeId(ua.ObjectIds.RefreshEndEventType)
_OVERFLOW = ua.NodeId(ua.ObjectIds.EventQueueOverflowEventType)
_AGAIN = ua.NodeId(ua.ObjectIds.RefreshRequiredEventType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event, its fields by the names above; None where the server says nothing."""

    type: Any
    source: str
    time: datetime | None
    severity: int
    message: str
    condition: str
    """Id of the condition, empty for an event that is of none."""
    name: str
    branch: str
    retain: bool | None
    enabled: bool | None
    acked: bool | None
    active: bool | None


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

    async def begin(self) -> None:
        """Listen, and ask for what stands."""
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

    async def _listen(self) -> None:
        found = await self._find(self._missing)
        known = {at: node for at, node in enumerate(found) if not isinstance(node, ua.StatusCode)}
        results = await self._session.watch(self._id, [_item(at, node) for at, node in known.items()])
        codes = dict(zip(known, (one.StatusCode for one in results), strict=True))
        refused = []
        for at, where in enumerate(self._missing):
            code = codes.get(at, found[at])
            if not code.is_good():
                refused.append(where)
                text = text_of(where) if isinstance(where, NodeAddress) else path_of(where.steps)
                self._memory.remark(f"events of {text} are not to be had: {code.name}", once=True)
        self._missing = refused

    async def _find(self, notifiers: Sequence[NodeAddress | PathAddress]) -> list[Any]:
        paths = [one.steps for one in notifiers if isinstance(one, PathAddress)]
        ends = iter(await self._session.translate(paths))
        return [next(ends) if isinstance(one, PathAddress) else self._session.typed(one) for one in notifiers]

    async def _refresh(self) -> None:
        """The one method that is called (see `guard`); a server that has none is listened to all the same."""
        call = ua.CallMethodRequest(
            ObjectId=ua.NodeId(_CONDITION),
            MethodId=ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
            InputArguments=[ua.Variant(ua.UInt32(self._id), ua.VariantType.UInt32)],
        )
        await self._session.turn()
        with self._session.in_words("ask for standing alarms"):
            (result,) = await self._session.services.call([call])
        if not result.StatusCode.is_good():
            line = f"the server does not tell its standing alarms ({result.StatusCode.name}); only new ones are seen"
            self._memory.remark(line, once=True)

    def _take(self, part: Any, read_ns: int) -> None:
        if isinstance(part, ua.EventNotificationList):
            for event in part.Events or ():
                self._happened(_read(event.EventFields or (), self._session.text), read_ns)

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
            self._memory.happen(_event(told, read_ns, "active", "", _type_name(told.type)))

    def _changed(self, told: Told, read_ns: int) -> None:
        """A condition as it stands now; nothing where that was told already."""
        key = told.condition, told.branch
        if self._refreshed is not None:
            self._refreshed.add(key)
        before = self._memory.stood.get(key)
        state = _state(told)
        if before is None and (told.severity < self._config.least_severity or state == "cleared"):
            return
        now = Stood(
            state=state,
            acked=bool(told.acked),
            said_ns=nanoseconds(told.time) or 0,
            source=told.source,
            severity=told.severity,
            code=told.name,
            text=told.message,
        )
        if now == before:
            return
        after = " (acknowledged)" if state == "cleared" and told.acked and before and before.state == "cleared" else ""
        self._memory.happen(_event(told, read_ns, state, after, told.name))
        self._memory.stands(key, None if state == "cleared" and not told.retain else now)

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


def _item(handle: int, node: Any) -> Any:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.EventNotifier),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=ua.UInt32(handle),
            SamplingInterval=0.0,
            Filter=ua.EventFilter(SelectClauses=[_operand(kind, path) for _, kind, path in _FIELDS]),
            QueueSize=ua.UInt32(QUEUE),
            DiscardOldest=True,
        ),
    )


def _operand(kind: int, path: str) -> Any:
    return ua.SimpleAttributeOperand(
        TypeDefinitionId=ua.NodeId(ua.Int32(kind)),
        BrowsePath=[ua.QualifiedName(name, 0) for name in path.split("/") if name],
        AttributeId=ua.AttributeIds.Value if path else ua.AttributeIds.NodeId,
    )


def _read(fields: Sequence[Any], id_text: Callable[[Any], str]) -> Told:
    """The fields of one event; whatever is not of its kind counts as not said."""
    said = {name: one.Value for (name, _, _), one in zip(_FIELDS, fields, strict=False)}

    def flag(name: str) -> bool | None:
        return said.get(name) if isinstance(said.get(name), bool) else None

    def text(name: str) -> str:
        value = said.get(name)
        return (value.Text or "") if isinstance(value, ua.LocalizedText) else str(value) if value is not None else ""

    severity, time = said.get("severity"), said.get("time")
    return Told(
        type=said.get("type"),
        source=text("source"),
        time=time if isinstance(time, datetime) else None,
        severity=min(1000, max(1, severity)) if isinstance(severity, int) else 1,
        message=text("message"),
        condition=id_text(said.get("condition")),
        name=text("name"),
        branch=id_text(said.get("branch")),
        retain=flag("retain"),
        enabled=flag("enabled"),
        acked=flag("acked"),
        active=flag("active"),
    )


def _state(told: Told) -> str:
    """A condition that is no alarm has no active state; it stands while it is retained."""
    stands = told.retain if told.active is None else told.active
    if told.enabled is False or not stands:
        return "cleared"
    return "acked" if told.acked else "active"


def _time(told: Told, read_ns: int) -> int:
    """The event's own time where it is within a day of the time of reading."""
    own = nanoseconds(told.time)
    return own if own is not None and abs(own - read_ns) <= DAY_NS else read_ns


def _event(told: Told, read_ns: int, state: str, after: str, code: str) -> Event:
    return Event(
        source=told.source,
        time_ns=_time(told, read_ns),
        severity=told.severity,
        code=code,
        text=told.message + after,
        state=state,
    )


def _type_name(kind: Any) -> str:
    """The standard's name of an event type, or its id."""
    if isinstance(kind, ua.NodeId) and kind.NamespaceIndex == 0:
        return str(ua.ObjectIdNames.get(kind.Identifier, kind.to_string()))
    return str(kind.to_string()) if isinstance(kind, ua.NodeId) else ""
