"""Alarms and events of a false OPC UA device (OPC 10000-9), told at the Server object.

    a tag with `alarm`   a condition of OffNormalAlarmType: active and unacknowledged when it becomes true; somebody in
                         the plant acknowledges it ACK_S later; retained until it is both inactive and acknowledged
    a trip's step        a SystemEventType event with the step's own time, to the millisecond

The pure part is `AlarmConditions`: moments in, changes out. Nothing that a client does has an effect; ConditionRefresh
alone is answered.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asyncua import ua
from asyncua.common import event_objects

from simulator.opcua.nodes import node_id
from simulator.opcua.values import moment_of
from simulator.plant.plant import PlantMoment
from simulator.plant.signals import SECOND
from simulator.plant.trips import TripEvent
from simulator.scene.scene import ScenePoint

ACK_S = 30
"""An alarm is acknowledged this long after it came [s]."""


@dataclass(frozen=True, slots=True)
class ConditionChange:
    """A condition's new state."""

    point: ScenePoint
    active: bool
    acked: bool
    time_ns: int
    """When it took that state [ns since 1970]."""
    count: int
    """How many changes the condition had, this one included."""

    @property
    def retain(self) -> bool:
        """Whether anybody has still to know of it."""
        return self.active or not self.acked


class AlarmConditions:
    """The alarms of one device."""

    def __init__(self, points: Sequence[ScenePoint]) -> None:
        self._points = [point for point in points if point.entry.alarm is not None]
        self._conditions: dict[int, ConditionChange] = {}
        self._came_ns: dict[int, int] = {}

    def changes(self, moment: PlantMoment) -> Iterator[ConditionChange]:
        """What became otherwise since the last moment, in the order of the tags."""
        for point in self._points:
            number = point.number
            active = bool(moment.values[number])
            before = self._conditions.get(number)
            if before is None:
                before = ConditionChange(point, False, True, moment.times_ns[number], 0)
                self._conditions[number] = before
            if active != before.active:
                self._came_ns[number] = moment.times_ns[number] if active else self._came_ns.get(number, 0)
                before = ConditionChange(
                    point, active, before.acked and not active, moment.times_ns[number], before.count + 1
                )
                self._conditions[number] = before
                yield before
            due_ns = self._came_ns.get(number, 0) + ACK_S * SECOND
            if not before.acked and moment.time_ns >= due_ns:
                self._conditions[number] = replace(before, acked=True, time_ns=due_ns, count=before.count + 1)
                yield self._conditions[number]


class Teller:
    """Makes the library's events of changes and steps, and hands them to subscribers."""

    def __init__(self, server: Any, namespace: int, asset: str) -> None:
        self._server, self._namespace, self._asset = server, namespace, asset
        self.sent = 0
        """Events so far."""
        self._conditions: dict[int, Any] = {}

    async def open(self) -> None:
        """Let clients subscribe to events at the Server object."""
        node = self._server.get_node(ua.NodeId(ua.ObjectIds.Server))
        await node.set_event_notifier([ua.EventNotifier.SubscribeToEvents])

    async def condition(self, change: ConditionChange, source: Any) -> None:
        """Tell a condition's change; `source` is the NodeId of its variable."""
        point, alarm = change.point, change.point.entry.alarm
        assert alarm is not None
        event = self._conditions.get(point.number)
        if event is None:
            event = event_objects.OffNormalAlarm(source, alarm.text, alarm.severity)
            event.add_property("NodeId", node_id(self._namespace, f"{point.name}/Condition"), ua.VariantType.NodeId)
            event.ConditionName = alarm.text
            event.ConditionClassId = ua.NodeId(ua.ObjectIds.ProcessConditionClassType)
            event.ConditionClassName = ua.LocalizedText("Process")
            event.BranchId = ua.NodeId()
            event.Quality = ua.StatusCode(0)
            event.InputNode = source
            event.SuppressedOrShelved = False
            _state(event, "EnabledState", True, ("Enabled", "Disabled"))
            self._conditions[point.number] = event
        event.Retain = change.retain
        _state(event, "ActiveState", change.active, ("Active", "Inactive"))
        _state(event, "AckedState", change.acked, ("Acknowledged", "Unacknowledged"))
        event.add_property("ActiveState/TransitionTime", moment_of(change.time_ns), ua.VariantType.DateTime)
        words = alarm.text if change.active else f"{alarm.text}: back to normal"
        await self._tell(event, source, point.name, words, change.time_ns, (point.number, change.count))

    async def step(self, step: TripEvent, source: Any) -> None:
        """Tell one entry of the sequence of events."""
        event = event_objects.SystemEvent(source, step.text, step.severity)
        event.Severity = step.severity
        await self._tell(event, source, step.tag or step.trip, step.text, step.time_ns, (1 << 31, step.number))

    async def _tell(self, event: Any, source: Any, name: str, words: str, time_ns: int, key: tuple[int, int]) -> None:
        event.emitting_node = ua.NodeId(ua.ObjectIds.Server)
        event.EventId = struct.pack(">QII", time_ns, *key)
        event.SourceNode, event.SourceName = source, name
        event.Message = ua.LocalizedText(words)
        event.add_property("Time", moment_of(time_ns), ua.VariantType.DateTime)
        event.add_property("ReceiveTime", moment_of(time_ns), ua.VariantType.DateTime)
        self.sent += 1
        await self._server.iserver.subscription_service.trigger_event(event)


def _state(event: Any, name: str, on: bool, words: tuple[str, str]) -> None:
    setattr(event, f"{name}/Id", on)
    setattr(event, name, ua.LocalizedText(words[0] if on else words[1]))
