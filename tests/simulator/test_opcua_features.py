"""The false OPC UA device beyond plain values: types, alarms, history, restarts, security, bad replies."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from small_plant import NOW

from protocol.errors import ConfigError
from simulator import opcua
from simulator.certificates import pair
from simulator.opcua import OpcUaServer
from simulator.opcua_events import ACK_S, Conditions
from simulator.opcua_values import moment_of
from simulator.plant import Plant
from simulator.scene_file import parse

SECOND = 1_000_000_000
STEP = {"kind": "batch", "times_s": [0, 60, 120], "levels": [0, 10, 0], "cycle": "c"}

TAGS: list[dict[str, Any]] = [
    {"name": "Level", "type": "float64", "low": 0, "high": 10, "unit": "m", "every_ms": 1000, "signal": STEP},
    {
        "name": "High",
        "type": "bool",
        "every_ms": 1000,
        "alarm": {"text": "level high", "severity": 700},
        "signal": {"kind": "over", "of": "Level", "limit": 5},
    },
    {"name": "Stamp", "type": "int64", "variant": "DateTime", "signal": {"kind": "fixed", "value": 1_700_000_000_123}},
    {"name": "Id", "type": "string", "variant": "Guid", "signal": {"kind": "fixed", "value": "seven"}},
    {"name": "Raw", "type": "string", "variant": "ByteString", "signal": {"kind": "fixed", "value": "bytes"}},
    {"name": "Told", "type": "string", "variant": "LocalizedText", "signal": {"kind": "fixed", "value": "text"}},
    {"name": "Code", "type": "uint32", "variant": "StatusCode", "signal": {"kind": "fixed", "value": 0x40000000}},
    {"name": "Grid", "type": "int32", "dims": [2, 3], "signal": {"kind": "walk", "mean": 0, "span": 9, "spread": 50}},
    {"name": "Row", "type": "float32", "dims": [4], "signal": {"kind": "walk", "mean": 0, "span": 9, "spread": 5}},
    {"name": "Fast", "type": "float64", "signal": {"kind": "sine", "mean": 0, "span": 1, "period_s": 3}},
]
TRIP = {
    "name": "overspeed",
    "asset": "rig",
    "every_s": 60,
    "for_s": 10,
    "steps": [{"tag": "High", "after_ms": 7, "text": "valve shut", "severity": 800}],
}


def rig(tags: list[dict[str, Any]] | None = None, trip: bool = False, **settings: Any) -> Plant:
    """A plant of one device, standing at NOW."""
    server = {"asset": "rig", "protocol": "opcua", "port": 0, "path": "site", "opcua": settings, "tag": tags or TAGS}
    scene = parse({"scene": {"name": "rig"}, "server": [server], "trip": [TRIP] if trip else []})
    plant = Plant(scene, 3)
    plant.advance(NOW)
    return plant


def served(test: Callable[[OpcUaServer, Plant, str], Awaitable[None]], plant: Plant) -> None:
    """Run a test against a device of its own."""

    async def run() -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        server = await opcua.serve(plant, plant.scene.servers[0], "127.0.0.1", 0)
        try:
            await test(server, plant, f"opc.tcp://127.0.0.1:{server.port}/")
        finally:
            await server.close()

    asyncio.run(run())


async def until(seen: Callable[[], Any], what: str) -> Any:
    """Wait until `seen` gives something."""
    for _ in range(2000):
        found = seen()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"never came: {what}")


class Heard:
    """What a subscription told."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.events: list[Any] = []
        self.event_notification = self.events.append

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        self.values.append(data.monitored_item.Value)

    def status_change_notification(self, status: Any) -> None:
        pass


def test_every_built_in_type_and_arrays_are_served() -> None:
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

    served(test, rig())


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
    twin = Conditions(plant.scene.servers[0].points)
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


def test_a_node_goes_and_comes_back() -> None:
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

    served(test, rig())


def test_only_known_certificates_and_users_come_in(tmp_path: Path) -> None:
    """Basic256Sha256 with a trusted certificate and the right password reads; anything less is turned away."""
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    pair("client", "urn:test:client", "localhost", trusted / "client.pem")
    pair("stranger", "urn:test:client", "localhost", tmp_path / "stranger.pem")

    def client_of(url: str, user: str, password: str) -> Client:
        client = Client(url, timeout=10)
        client.application_uri = "urn:test:client"
        client.set_user(user)
        client.set_password(password)
        return client

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        async def read(user: str, password: str, certificate: Path | None) -> Any:
            client = client_of(url, user, password)
            if certificate is not None:
                key = certificate.parent / f"{certificate.stem}-key.pem"
                key.write_bytes(certificate.with_suffix(".key").read_bytes())
                await client.set_security_string(f"Basic256Sha256,SignAndEncrypt,{certificate},{key}")
            async with client:
                return await client.get_node("ns=2;s=Level").read_value()

        level = plant.moment.values[plant.point("rig", "Level").number]
        own = trusted / "client.pem"
        assert await read("vendor", "secret", own) == level
        with pytest.raises(ua.UaStatusCodeError, match=r"BadUserAccessDenied|User does not have"):
            await read("vendor", "guess", own)
        assert server.counts["users_refused"] == 1
        with pytest.raises(ua.UaStatusCodeError, match=r"not trusted|Untrusted"):
            await read("vendor", "secret", tmp_path / "stranger.pem")
        with pytest.raises(ua.UaError):
            await read("vendor", "secret", None)
        with pytest.raises(ua.UaError):
            async with Client(url, timeout=10):
                pass

    settings: dict[str, Any] = {"security": ["encrypt"], "users": {"vendor": "secret"}, "trusted": str(trusted)}
    served(test, rig(**settings, certificate=str(tmp_path / "own.pem")))
    assert (tmp_path / "own.key").stat().st_mode & 0o777 == 0o600


def test_each_fault_does_what_it_says() -> None:
    """Refused, busy, short, late, slow, hanging, under other numbers, garbage: and well again afterwards."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        async def attempt(fault: str, timeout_s: float = 10.0) -> Any:
            client = Client(url, timeout=timeout_s)
            async with client:
                nodes = [client.get_node("ns=2;s=Level"), client.get_node("ns=2;s=High")]
                server.faults.add(fault)
                try:
                    return await client.read_attributes(nodes)
                finally:
                    server.faults.clear()

        assert len(await attempt("short x1")) == 1
        assert len(await attempt("late 0.05s x1")) == 2
        assert len(await attempt("slow 0.05s x1")) == 2
        with pytest.raises(ua.UaStatusCodeError) as refused:
            await attempt("refuse 0x80160000 x1")
        assert refused.value.code == 0x80160000
        with pytest.raises(ua.UaStatusCodeError) as busy:
            await attempt("busy x1")
        assert busy.value.code == 0x80EE0000
        for fault in ("hang x1", "wrong_transaction x1", "wrong_unit x1", "garbage x1", "reset x1"):
            with pytest.raises((ua.UaError, ConnectionError, asyncio.TimeoutError, TimeoutError)):
                await attempt(fault, 0.3)
        assert server.faults.met >= 9
        assert len(await attempt("late 0.01s x1")) == 2

    served(test, rig())


def test_an_absent_device_is_nowhere_and_returns_on_its_port() -> None:
    """Connections are reset and refused; healed, the same port answers."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        server.faults.add("absent")
        await server.settled()
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        server.faults.clear()
        await server.settled()
        async with Client(url, timeout=10) as client:
            assert await client.get_node("ns=2;s=Level").read_value() is not None

    served(test, rig())


def test_two_values_share_a_source_time_where_the_clock_is_coarse() -> None:
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

    served(test, rig())


def test_bytes_that_are_no_chunk_end_the_connection_and_are_counted() -> None:
    """A length of four thousand million, an unknown kind, a header cut short and a good client beside them."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        hostile = [
            b"MSGF\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
            b"HELF" + struct.pack("<I", 8),
            b"OPNX\x20\0\0\0",
        ]
        async with Client(url, timeout=10) as client:
            for raw in hostile:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(raw)
                assert await asyncio.wait_for(reader.read(), 5) == b""
                writer.close()
            assert server.counts["malformed"] == len(hostile)
            assert await client.get_node("ns=2;s=Level").read_value() is not None

    served(test, rig())


def test_a_setting_that_is_none_is_refused() -> None:
    """Mistyped, it is named before anything listens."""
    plant = rig(renumbr=True)
    with pytest.raises(ConfigError, match="renumbr"):
        asyncio.run(opcua.serve(plant, plant.scene.servers[0], "127.0.0.1", 0))
