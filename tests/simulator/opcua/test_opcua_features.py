"""The false OPC UA device beyond plain values: types, alarms, history, restarts, nodes that go, clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from asyncua import Client, ua
from opcua_rig import SECOND, Heard, Plain, rig, served, until
from small_plant import NOW

from simulator.opcua.events import ACK_S, AlarmConditions
from simulator.opcua.server import OpcUaServer
from simulator.opcua.values import moment_of
from simulator.plant.plant import Plant


@pytest.fixture(scope="module")
def plain() -> Iterator[Plain]:
    made = Plain()
    yield made
    made.close()


def test_every_built_in_type_and_arrays_are_served(plain: Plain) -> None:
    """A tag's `variant` decides its type on the wire, and an array is one node with its dimensions."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        async with Client(url, timeout=10) as client:
            names = ["Stamp", "Id", "Raw", "Told", "Code", "Grid", "Row"]
            nodes = [client.get_node(f"ns=2;s={name}") for name in names]
            got = {name: data.Value for name, data in zip(names, await client.read_attributes(nodes), strict=True)}
            kinds = [got[name].VariantType.name for name in names]
            assert kinds == ["DateTime", "Guid", "ByteString", "LocalizedText", "StatusCode", "Int32", "Float"]
            assert got["Stamp"].Value.replace(tzinfo=None) == moment_of(1_700_000_000_123_000_000).replace(tzinfo=None)
            assert (got["Raw"].Value, got["Told"].Value.Text) == (b"bytes", "text")
            grid = [
                [plant.moment.values[plant.point("rig", f"Grid[{a},{b}]").number] for b in range(3)] for a in (0, 1)
            ]
            assert got["Grid"].Value == grid
            assert await nodes[5].read_value_rank() == 2
            assert await nodes[5].read_array_dimensions() == [2, 3]
            assert got["Row"].Value == [plant.moment.values[plant.point("rig", f"Row[{at}]").number] for at in range(4)]

    plain.run(test)


def test_history_is_what_the_model_says_page_by_page() -> None:
    """2,500 raw values in both directions, each with its value and time; a bounded number of them."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        async with Client(url, timeout=10) as client:
            node = client.get_node("ns=2;s=Fast")
            end = plant.moment.time_ns
            start = end - 2499 * 100_000_000
            point = plant.point("rig", "Fast")
            expected = [one.value for one in plant.past(point, range(start, end + 1, 100_000_000))]
            got = await node.read_raw_history(moment_of(start), moment_of(end))
            assert [one.Value.Value for one in got] == expected
            assert got[1].SourceTimestamp.replace(tzinfo=None) == moment_of(start + 100_000_000).replace(tzinfo=None)
            assert server.asked["HistoryRead"] == 3
            back = await node.read_raw_history(moment_of(end), moment_of(start), numvalues=5)
            assert [one.Value.Value for one in back] == expected[:-6:-1]
            newest = await node.read_raw_history(None, moment_of(end), numvalues=2)
            assert [one.Value.Value for one in newest] == expected[:-3:-1]

    served(test, rig(history=True))


def test_alarms_come_are_acknowledged_and_go_as_conditions() -> None:
    """An event for each change of state, with the fields of OPC 10000-9, retained until all is over."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        heard = Heard()
        expected = [change for at in range(1, 241) for change in twin.changes(plant.at(NOW + at * SECOND))]
        assert [(one.active, one.acked) for one in expected[:3]] == [(True, False), (True, True), (False, True)]
        assert expected[1].time_ns - expected[0].time_ns == ACK_S * SECOND
        async with Client(url, timeout=10) as client:
            subscription = await client.create_subscription(20, heard)
            await subscription.subscribe_alarms_and_conditions(client.nodes.server, ua.ObjectIds.OffNormalAlarmType)
            for at in range(1, 241):
                plant.advance(NOW + at * SECOND)
                await until(lambda: not server._bell.is_set(), "the push")
            alarms = await until(
                lambda: (
                    len(found := [one for one in heard.events if one.SourceName == "High"]) >= len(expected) and found
                ),
                "the alarms",
            )
            told = [(getattr(one, "ActiveState/Id"), getattr(one, "AckedState/Id"), one.Retain) for one in alarms]
            assert told == [(one.active, one.acked, one.retain) for one in expected]
            first = alarms[0]
            assert (first.ConditionName, first.Severity, first.Message.Text) == ("level high", 700, "level high")
            assert first.EventType == ua.NodeId(ua.ObjectIds.OffNormalAlarmType)
            assert first.Time.replace(tzinfo=None) == moment_of(expected[0].time_ns).replace(tzinfo=None)
            assert len({one.EventId for one in alarms}) == len(alarms)

    plant = rig()
    twin = AlarmConditions(plant.scene.servers[0].points)
    list(twin.changes(plant.moment))
    served(test, plant)


def test_a_trip_is_told_with_its_own_times() -> None:
    """The steps of a trip and its end are events with the millisecond at which they happened."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        heard = Heard()
        async with Client(url, timeout=10) as client:
            subscription = await client.create_subscription(20, heard)
            await subscription.subscribe_events(client.nodes.server, ua.ObjectIds.SystemEventType)
            plant.advance(NOW + 130 * SECOND)
            steps = plant.events(NOW + 1, plant.moment.time_ns + 1, "rig")
            assert len(steps) >= 3
            await until(lambda: len(heard.events) >= len(steps), "the steps")
            got = [(one.Message.Text, one.Severity, one.Time.replace(tzinfo=None)) for one in heard.events]
            assert got == [(one.text, one.severity, moment_of(one.time_ns).replace(tzinfo=None)) for one in steps]

    served(test, rig(trip=True))


def test_a_restart_gives_nodes_other_numbers_and_ends_subscriptions() -> None:
    """After `restart` the same port answers, each variable has another NodeId, its path leads to it."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        async def found() -> Any:
            async with Client(url, timeout=10) as client:
                path = ["2:site", "2:rig", "2:Level"]
                node = await client.nodes.objects.get_child(path)
                return node.nodeid, await node.read_value()

        before, value = await found()
        assert isinstance(before.Identifier, int)
        server.faults.add("restart 0.05s")
        await server.settled()
        await until(lambda: server._presence.there, "back")
        after, again = await found()
        assert (after != before, again) == (True, value)
        async with Client(url, timeout=10) as client:
            old = (await client.read_attributes([client.get_node(before)]))[0]
        assert old.StatusCode.name == "BadNodeIdUnknown"

    served(test, rig(renumber=True))


def test_a_node_goes_and_comes_back(plain: Plain) -> None:
    """Gone: its subscriber hears BadNodeIdUnknown, reading and browsing do not find it. Healed: it is there again."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        heard = Heard()
        async with Client(url, timeout=10) as client:
            node = client.get_node("ns=2;s=Fast")
            subscription = await client.create_subscription(20, heard)
            handle = await subscription.subscribe_data_change(node)
            await until(lambda: heard.values, "the first value")
            server.faults.add("gone Fast")
            await until(lambda: heard.values[-1].StatusCode.name == "BadNodeIdUnknown", "the end")
            assert (await client.read_attributes([node]))[0].StatusCode.name == "BadNodeIdUnknown"
            parent = await client.nodes.objects.get_child(["2:site", "2:rig"])
            assert "Fast" not in [(await one.read_browse_name()).Name for one in await parent.get_children()]
            await subscription.unsubscribe(handle)
            server.faults.remove("gone Fast")
            data = await until(lambda: well(client, node), "back")
            assert data.Value.Value == plant.moment.values[plant.point("rig", "Fast").number]
            assert "Fast" in [(await one.read_browse_name()).Name for one in await parent.get_children()]

    async def well(client: Any, node: Any) -> Any:
        data = (await client.read_attributes([node]))[0]
        return data if data.StatusCode.is_good() else None

    plain.run(test)


def test_two_values_share_a_source_time_where_the_clock_is_coarse(plain: Plain) -> None:
    """`clock paired`: the value changes, its source time only every second time; `clock jump -1h`: an hour behind."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        async with Client(url, timeout=10) as client:
            node = client.get_node("ns=2;s=Fast")

            async def at(time_ns: int) -> Any:
                value = plant.advance(time_ns).values[plant.point("rig", "Fast").number]

                async def seen() -> Any:
                    data = (await client.read_attributes([node]))[0]
                    return data if data.Value.Value == value else None

                return (await until(seen, "the value")).SourceTimestamp

            server.faults.add("clock paired")
            even = NOW - NOW % (SECOND // 5) + SECOND
            assert await at(even) == await at(even + SECOND // 10)
            assert await at(even + SECOND // 5) != await at(even)
            server.faults.add("clock jump -1h")
            late = (await at(even + SECOND)).replace(tzinfo=None)
            assert late == moment_of(even + SECOND).replace(tzinfo=None) - timedelta(hours=1)

    plain.run(test)
