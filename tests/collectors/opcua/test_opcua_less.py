"""A server that gives less than was asked: what it gives is kept, the rest is polled or bad with its own reason."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.internal_session import InternalSession
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.server.subscription_service import SubscriptionService
from opcua_peer import UaPeer
from opcua_reading import collector, device, latest, run, text_tags, until

from collectors.opcua import bulk, watched
from protocol.content.sample import Quality
from protocol.errors import AssetError

LEVELS = [f"level{number}" for number in range(10)]


@pytest.fixture
def one_subscription(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A server that allows so many subscriptions at a time."""
    most: list[int] = [1]
    made: set[int] = set()
    creates = SubscriptionService.create_subscription

    async def limited(self: Any, *args: Any, **more: Any) -> Any:
        if len(made & self.subscriptions.keys()) >= most[0]:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManySubscriptions)
        created = await creates(self, *args, **more)
        made.add(created.SubscriptionId)
        return created

    monkeypatch.setattr(SubscriptionService, "create_subscription", limited)
    return most


def test_a_scan_that_gets_no_subscription_is_polled(
    peer: UaPeer, monkeypatch: pytest.MonkeyPatch, one_subscription: list[int]
) -> None:
    """The other one is listened to; it is told, and once the server has room it is listened to as well."""
    monkeypatch.setattr(watched, "RETRY_NS", 10**9)

    async def main() -> None:
        made = device(peer.url, text_tags("level0"), [{"name": "b", "at": "ns=2;s=level1"}])
        plc = collector(made)
        await plc.open()
        for _ in range(2):
            rows = [latest(await plc.read(scan)) for scan in made.scans]
            assert rows[1][1].value == 1.0
        (line,) = [line for line in plc.remarks() if "is polled" in line]
        assert "BadTooManySubscriptions" in line
        assert [plc._watches[number]._subscription is None for number in (0, 1)] == [False, True]
        one_subscription[0] = 2
        await asyncio.sleep(1.0)
        await plc.read(made.scans[1])
        assert plc._watches[1]._subscription is not None
        await asyncio.wrap_future(peer.later(peer.put("level1", 77.0)))
        got: list[Any] = []
        while not any(row.value == 77.0 for row in got):
            got += (await plc.read(made.scans[1])).rows()
            await asyncio.sleep(0.02)
        await plc.close()
        await asyncio.wrap_future(peer.later(peer.put("level1", 1.0)))

    run(main())


@pytest.mark.parametrize("most", [0, 1])
def test_events_come_before_values_where_subscriptions_are_few(
    peer: UaPeer, one_subscription: list[int], most: int
) -> None:
    """Values can be polled; where there is none for events either, that is told and values are read all the same."""
    one_subscription[0] = most

    async def main() -> None:
        made = device(peer.url, text_tags("level1"), events="conditions")
        plc = collector(made)
        await plc.open()
        assert latest(await plc.read(made.scans[0]))[0].value == 1.0
        assert [plc._conditions is not None, plc._watches[0]._subscription is not None] == [most == 1, False]
        assert bool(plc.troubles()) == (most == 0)
        assert any("events are not heard" in line for line in plc.remarks()) == (most == 0)
        await plc.close()

    run(main())


@pytest.mark.parametrize("how", ["each", "all"])
def test_nodes_that_are_not_monitored_are_polled(peer: UaPeer, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Whether the server says it of each node or refuses the whole request; a node that is not there stays bad."""
    creates = MonitoredItemService.create_monitored_items

    async def limited(self: Any, parameters: Any) -> Any:
        code = ua.StatusCode(ua.StatusCodes.BadTooManyMonitoredItems)
        if how == "all":
            raise ua.UaStatusCodeError(code.value)
        items, parameters.ItemsToCreate = parameters.ItemsToCreate, parameters.ItemsToCreate[:4]
        results = await creates(self, parameters)
        return [*results, *(ua.MonitoredItemCreateResult(StatusCode=code) for _ in items[4:])]

    monkeypatch.setattr(MonitoredItemService, "create_monitored_items", limited)

    async def main() -> None:
        made = device(peer.url, text_tags(*LEVELS, "nowhere"))
        plc = collector(made)
        await plc.open()
        rows = await until(plc, made, lambda rows: {row.tag for row in rows} == set(range(11)))
        assert {row.tag: row.value for row in rows if row.quality == 0} == {at: float(at) for at in range(10)}
        assert {row.quality for row in rows if row.tag == 10} == {Quality.BAD_NODE_UNKNOWN}
        (line,) = [line for line in plc.remarks() if "are polled" in line]
        assert f"{6 if how == 'each' else 10} of 11 " in line
        assert "BadTooManyMonitoredItems" in line
        polled = {row.tag for row in (await plc.read(made.scans[0])).rows()}
        assert polled == set(range(4 if how == "each" else 0, 10))
        await plc.close()

    run(main())


def test_nodes_are_monitored_as_soon_as_the_server_has_room(peer: UaPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for again without a new connection, and polled no more."""
    monkeypatch.setattr(watched, "RETRY_NS", 10**8)
    creates, room = MonitoredItemService.create_monitored_items, [0]

    async def limited(self: Any, parameters: Any) -> Any:
        if not room[0]:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManyMonitoredItems)
        return await creates(self, parameters)

    monkeypatch.setattr(MonitoredItemService, "create_monitored_items", limited)

    async def main() -> None:
        made = device(peer.url, text_tags(*LEVELS))
        plc = collector(made)
        await plc.open()
        await until(plc, made, lambda rows: {row.tag for row in rows} == set(range(10)))
        assert len(await plc.read(made.scans[0]))
        room[0] = 1
        for _ in range(100):
            if not len(await plc.read(made.scans[0])):
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("it is polled for ever")
        await plc.close()

    run(main())


@pytest.mark.parametrize("fault", ["refused", "silent"])
def test_a_request_that_fails_costs_its_own_nodes(peer: UaPeer, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """What the others read is kept in every pass; where none is answered the device is lost."""
    reads, broken = InternalSession.read, {"level7"}

    async def breaks(self: Any, parameters: Any) -> Any:
        if broken & {one.NodeId.Identifier for one in parameters.NodesToRead}:
            if fault == "refused":
                raise ua.UaStatusCodeError(ua.StatusCodes.BadDeviceFailure)
            await asyncio.sleep(0.5)
        return await reads(self, parameters)

    monkeypatch.setattr(bulk, "CHUNK", 5)

    async def main() -> None:
        made = device(peer.url, text_tags(*LEVELS), mode="poll", wait=0.3)
        plc = collector(made)
        await plc.open()
        monkeypatch.setattr(InternalSession, "read", breaks)
        for _ in range(2):
            rows = latest(await plc.read(made.scans[0]))
            assert [rows[at].value for at in range(5)] == [0.0, 1.0, 2.0, 3.0, 4.0]
            code = Quality.BAD_TIMEOUT if fault == "silent" else ua.StatusCodes.BadDeviceFailure
            assert {rows[at].quality for at in range(5, 10)} == {code}
        broken.add("level1")
        with pytest.raises(AssetError):
            await plc.read(made.scans[0])
        monkeypatch.setattr(InternalSession, "read", reads)
        await plc.close()

    run(main())
