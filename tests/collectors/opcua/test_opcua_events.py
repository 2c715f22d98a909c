"""Alarms and conditions of a server become events: each once, in order, also over a broken connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from opcua_peer import UaPeer, Wire, ago
from opcua_reading import collector, device, run, text_tags

from collectors.base import Device, Event
from collectors.guard import WriteRefused
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.guard import allowed
from protocol.errors import AssetError


async def at(peer: UaPeer, work: Coroutine[Any, Any, Any]) -> None:
    """Do something in the server."""
    await asyncio.wrap_future(peer.later(work))


async def heard(plc: OpcUaCollector, made: Device, enough: Callable[[list[Event]], bool]) -> list[Event]:
    """Events until they fulfil a condition."""
    events: list[Event] = []
    deadline = time.monotonic() + 20
    while not enough(events):
        assert time.monotonic() < deadline, events
        await asyncio.sleep(0.02)
        await plc.read(made.scans[0])
        events += plc.events()
    return events


def told(events: list[Event]) -> list[tuple[str, str]]:
    """What, and in which state."""
    return [(event.code, event.state) for event in events]


def test_an_alarm_comes_is_acknowledged_and_goes(peer: UaPeer) -> None:
    """Each change once, in order, with source, time, severity, name and text; what is no condition is left out."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), events="conditions")
        plc = collector(made)
        await plc.open()
        begun = [ago(seconds=seconds) for seconds in (3, 2, 1)]
        await at(peer, peer.alarm("P1", active=True, at=begun[0]))
        await at(peer, peer.event(Message=(ua.LocalizedText("somebody came in"), ua.VariantType.LocalizedText)))
        await at(peer, peer.alarm("P1", active=True, at=begun[0]))
        await at(peer, peer.alarm("P1", active=True, acked=True, at=begun[1]))
        await at(peer, peer.alarm("P1", active=False, acked=True, at=begun[2]))
        events = await heard(plc, made, lambda events: len(events) >= 3)
        assert told(events) == [("P1", "active"), ("P1", "acked"), ("P1", "cleared")]
        stamps = [int(moment.timestamp() * 1_000_000) * 1000 for moment in begun]
        assert [event.time_ns for event in events] == stamps
        assert (events[0].source, events[0].severity, events[0].text) == ("pump", 700, "P1 is high")
        await plc.close()

    run(main())


def test_an_alarm_that_goes_before_it_is_acknowledged_is_told_again_when_it_is(peer: UaPeer) -> None:
    """Cleared, and later: cleared (acknowledged)."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), events="conditions")
        plc = collector(made)
        await plc.open()
        for active, acked in ((True, False), (False, False), (False, True)):
            await at(peer, peer.alarm("P2", active=active, acked=acked))
        events = await heard(plc, made, lambda events: len(events) >= 3)
        assert told(events) == [("P2", "active"), ("P2", "cleared"), ("P2", "cleared")]
        assert events[2].text == "P2 is high (acknowledged)"
        await plc.close()

    run(main())


def test_what_stands_is_told_at_the_first_connect_and_not_again_at_the_next(peer: UaPeer) -> None:
    """What went while nobody listened is told as cleared, what came as active; what stood is not told twice."""

    async def main() -> None:
        async with Wire(peer.port) as wire:
            made = device(wire.url, text_tags("pressure"), events="conditions")
            plc = collector(made)
            for name in ("S1", "S2"):
                await at(peer, peer.alarm(name, active=True))
            await plc.open()
            events = await heard(plc, made, lambda events: len(events) >= 2)
            assert told(events) == [("S1", "active"), ("S2", "active")]
            wire.cut()
            deadline = time.monotonic() + 20
            while plc._session is not None and not plc._session.lost:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            await plc.close()
            await at(peer, peer.forget("S1"))
            await at(peer, peer.alarm("S3", active=True))
            await plc.open()
            events = await heard(plc, made, lambda events: len(events) >= 2)
            assert sorted(told(events)) == [("S1", "cleared"), ("S3", "active")]
            gone = next(event for event in events if event.code == "S1")
            assert gone.text == "S1 is high (gone while nobody listened)"
            await plc.close()
            for name in ("S2", "S3"):
                await at(peer, peer.alarm(name, active=False, acked=True))

    run(main())


def test_events_below_the_least_severity_are_left_out_and_all_may_be_wanted(peer: UaPeer) -> None:
    """`events = "all"` takes what is no condition too, under the name of its type."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), events="all", least_severity=600)
        plc = collector(made)
        await plc.open()
        for severity, text in ((599, "small"), (600, "large")):
            message = (ua.LocalizedText(text), ua.VariantType.LocalizedText)
            await at(peer, peer.event(Severity=(severity, ua.VariantType.UInt16), Message=message))
        await at(peer, peer.alarm("L1", active=True, severity=10))
        await at(peer, peer.alarm("L2", active=True, severity=900))
        events = await heard(plc, made, lambda events: any(event.code == "L2" for event in events))
        assert [(event.code, event.text) for event in events] == [("BaseEventType", "large"), ("L2", "L2 is high")]
        await plc.close()
        for name in ("L1", "L2"):
            await at(peer, peer.alarm(name, active=False, acked=True))

    run(main())


def test_an_event_of_a_kind_of_the_servers_own_has_its_name_and_fields(peer: UaPeer) -> None:
    """Under the browse name of its type, its fields in its text; what just happened has no state."""

    async def main() -> None:
        kind = await asyncio.wrap_future(
            peer.later(
                peer.own_kind("BatchEndType", ("Batch", ua.VariantType.Int32), ("Operator", ua.VariantType.String))
            )
        )
        made = device(peer.url, text_tags("pressure"), events="all")
        plc = collector(made)
        await plc.open()
        message = (ua.LocalizedText("batch ended"), ua.VariantType.LocalizedText)
        fields = {"Batch": (17, ua.VariantType.Int32), "Operator": ("anna", ua.VariantType.String)}
        await at(peer, peer.event(EventType=(kind, ua.VariantType.NodeId), Message=message, **fields))
        await at(peer, peer.event(Message=message))
        events = await heard(plc, made, lambda events: len(events) >= 2)
        assert told(events) == [("BatchEndType", ""), ("BaseEventType", "")]
        assert [event.text for event in events] == ["batch ended (Batch=17, Operator=anna)", "batch ended"]
        await plc.close()

    run(main())


def test_branches_of_a_condition_are_told_apart(peer: UaPeer) -> None:
    """An older state that still waits for somebody is no second `active` of the condition."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), events="conditions")
        plc = collector(made)
        await plc.open()
        await at(peer, peer.alarm("BR", active=True))
        await at(peer, peer.alarm("BR", active=True, branch=ua.NodeId(7, 2)))
        await at(peer, peer.alarm("BR", active=False, acked=True, branch=ua.NodeId(7, 2)))
        events = await heard(plc, made, lambda events: len(events) >= 3)
        branch = "BR (branch i=7)"
        assert told(events) == [("BR", "active"), (branch, "active"), (branch, "cleared")]
        await plc.close()
        await at(peer, peer.alarm("BR", active=False, acked=True))

    run(main())


def test_the_time_of_an_event_is_its_own_where_it_is_believable(peer: UaPeer) -> None:
    """A clock that was never set gives way to the time of reading."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), events="conditions")
        plc = collector(made)
        await plc.open()
        await at(peer, peer.alarm("T1", active=True, at=datetime(1980, 1, 1, tzinfo=UTC)))
        events = await heard(plc, made, lambda events: len(events) >= 1)
        assert abs(events[0].time_ns - time.time_ns()) < timedelta(minutes=1).total_seconds() * 10**9
        await plc.close()
        await at(peer, peer.alarm("T1", active=False, acked=True))

    run(main())


def test_a_notifier_that_is_not_there_costs_only_itself(peer: UaPeer) -> None:
    """It is remarked; the others are listened to, and values are read."""

    async def main() -> None:
        notifiers = ["ns=2;s=nobody", "i=2253", "/Objects/2:Nowhere"]
        made = device(peer.url, text_tags("pressure"), events="conditions", notifiers=notifiers)
        plc = collector(made)
        await plc.open()
        await at(peer, peer.alarm("N1", active=True))
        assert await heard(plc, made, lambda events: len(events) >= 1)
        remarks = plc.remarks()
        assert any("ns=2;s=nobody" in line for line in remarks)
        assert any("/Objects/2:Nowhere" in line for line in remarks)
        await plc.close()
        await at(peer, peer.alarm("N1", active=False, acked=True))

    run(main())


def test_a_gentle_server_is_not_asked_for_what_stands(peer: UaPeer) -> None:
    """It is listened to, no more."""

    async def main() -> None:
        await at(peer, peer.alarm("G1", active=True))
        made = device(peer.url, text_tags("pressure"), events="conditions", kind="safety")
        plc = collector(made)
        await plc.open()
        await at(peer, peer.alarm("G2", active=True))
        events = await heard(plc, made, lambda events: len(events) >= 1)
        assert told(events) == [("G2", "active")]
        await plc.close()
        for name in ("G1", "G2"):
            await at(peer, peer.alarm(name, active=False, acked=True))

    run(main())


def test_an_event_subscription_that_the_server_ends_is_an_asset_error(peer: UaPeer) -> None:
    """Values would go on, and alarms would be missed in silence."""

    async def main() -> None:
        made = device(peer.url, text_tags("pressure"), events="conditions")
        plc = collector(made)
        await plc.open()
        await plc.read(made.scans[0])
        assert plc._conditions is not None
        ended = ua.StatusChangeNotification(Status=ua.StatusCode(ua.StatusCodes.BadTimeout))
        message = ua.NotificationMessage(SequenceNumber=ua.UInt32(0), NotificationData=[ended])
        plc._conditions._published(ua.PublishResult(NotificationMessage=message))
        with pytest.raises(AssetError, match="listen to events"):
            await plc.read(made.scans[0])
        await plc.close()

    run(main())


def refresh(number: int, *arguments: Any, **other: Any) -> Any:
    """A Call request."""
    given = [ua.Variant(one, ua.VariantType.UInt32) if isinstance(one, int) else one for one in arguments]
    call = ua.CallMethodRequest(
        ObjectId=other.get("object", ua.NodeId(ua.ObjectIds.ConditionType)),
        MethodId=other.get("method", ua.NodeId(number)),
        InputArguments=given,
    )
    request = ua.CallRequest()
    request.Parameters.MethodsToCall = [call] * other.get("times", 1)
    return request


ONE, TWO = ua.ObjectIds.ConditionType_ConditionRefresh, ua.ObjectIds.ConditionType_ConditionRefresh2


def test_the_only_calls_let_through_ask_for_standing_alarms() -> None:
    """Matched by object, method, and the number and kind of arguments."""
    assert allowed(refresh(ONE, 7))
    assert allowed(refresh(TWO, 7, 9))


@pytest.mark.parametrize(
    "request_made",
    [
        refresh(ONE),
        refresh(ONE, 7, 9),
        refresh(TWO, 7),
        refresh(ONE, 7, times=2),
        refresh(ONE, 7, times=0),
        refresh(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge, 7),
        refresh(ONE, 7, object=ua.NodeId(ua.ObjectIds.Server)),
        refresh(ONE, 7, object=ua.NodeId(ua.ObjectIds.ConditionType, 2)),
        refresh(ONE, 7, method=ua.NodeId(ONE, 2)),
        refresh(ONE, 7, method=ua.NodeId(str(ONE))),
        refresh(ONE, ua.Variant("7", ua.VariantType.String)),
        refresh(ONE, ua.Variant([7], ua.VariantType.UInt32)),
        refresh(ONE, ua.Variant(True, ua.VariantType.Boolean)),
        refresh(ONE, ua.Variant(7, ua.VariantType.UInt64)),
    ],
)
def test_every_other_call_is_refused(request_made: Any) -> None:
    """Other methods, other objects, more methods, other arguments."""
    assert not allowed(request_made)


def test_an_alarm_cannot_be_acknowledged_through_the_collector(peer: UaPeer) -> None:
    """No byte of it leaves."""

    async def main() -> None:
        async with Wire(peer.port) as wire:
            made = device(wire.url, text_tags("pressure"), mode="poll")
            lines: list[str] = []
            plc = OpcUaCollector(made, clock=time.time_ns, refused=lines.append)
            await plc.open()
            assert plc._session is not None
            before = wire.sent
            with pytest.raises(WriteRefused):
                await plc._session.services.call(
                    refresh(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge, 7).Parameters.MethodsToCall
                )
            assert (wire.sent, len(lines)) == (before, 1)
            await plc.close()

    run(main())
