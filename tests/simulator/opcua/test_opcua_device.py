"""The false OPC UA device, read by a client: values, statuses, source times, units, refusals, faults."""

from __future__ import annotations

import asyncio
import logging
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient
from small_plant import NOW, small

from protocol.content.sample import Quality
from simulator.modbus import server as modbus
from simulator.opcua import server as opcua
from simulator.opcua.nodes import FOLDER, NodeTree
from simulator.opcua.server import OpcUaServer
from simulator.opcua.values import moment_of
from simulator.plant.plant import Plant
from simulator.plant.troubles import SourceClock
from simulator.scene.file import parse

SEED = 4
TICK = 100_000_000
T = TypeVar("T")


class Line:
    """One device for all tests of this file (the server's start is two seconds), its loop in a thread of its own."""

    def __init__(self) -> None:
        self.now = NOW
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.plant, self.server = self.call(self.open())

    async def open(self) -> tuple[Plant, OpcUaServer]:
        plant = Plant(small(), SEED)
        plant.advance(NOW)
        return plant, await opcua.serve(plant, plant.scene.servers[1], "127.0.0.1", 0)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        self.call(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def run(self, test: Callable[[Any, int], Coroutine[Any, Any, None]]) -> None:
        """Run a test with a client of its own, at a time that no other test had."""

        async def whole() -> None:
            self.now += 3600 * 10 * TICK
            self.plant.advance(self.now)
            async with Client(f"opc.tcp://127.0.0.1:{self.server.port}/", timeout=10) as client:
                await until(lambda: shown(self.plant, client, "Turbine.Load"), "the first push")
                await test(client, self.now)

        self.call(whole())

    def changes(self, asset: str, name: str, count: int) -> list[int]:
        """The next ticks at which the point's value is another than a tick before [ns]."""
        number, time_ns = self.plant.point(asset, name).number, self.now
        found: list[int] = []
        while len(found) < count:
            before, time_ns = self.plant.at(time_ns).values[number], time_ns + TICK
            if self.plant.at(time_ns).values[number] != before:
                found.append(time_ns)
        return found


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    logging.getLogger("asyncua.client").setLevel(logging.ERROR)
    made = Line()
    yield made
    made.close()


async def shown(plant: Plant, client: Any, name: str) -> Any:
    """The point's data if it is that of the plant's moment."""
    data = (await client.read_attributes([node(client, name)]))[0]
    number = plant.point("turbine-1", name).number
    fresh = data.SourceTimestamp == moment_of(plant.moment.times_ns[number])
    return data if fresh and data.Value.Value == plant.moment.values[number] else None


def node(client: Any, name: str) -> Any:
    return client.get_node(f"ns=2;s={name}")


async def until(check: Callable[[], Any], what: str) -> Any:
    """Ask again until the answer is true, for at most five seconds."""
    deadline = asyncio.get_running_loop().time() + 5
    while asyncio.get_running_loop().time() < deadline:
        if answer := await check():
            return answer
        await asyncio.sleep(0.01)
    raise AssertionError(f"never came: {what}")


def test_every_point_is_served_with_its_type_value_status_and_time(line: Line) -> None:
    """All values of one moment in one read, each of the built-in type that its catalog type means."""

    async def test(client: Any, now: int) -> None:
        points, moment = line.plant.scene.servers[1].points, line.plant.moment
        got = await client.read_attributes([node(client, point.name) for point in points])
        for point, data in zip(points, got, strict=True):
            number = point.number
            assert data.StatusCode.value == moment.quality[number], point.name
            if not moment.quality[number] >> 31:
                assert data.Value.Value == moment.values[number], point.name
                assert data.Value.VariantType.name == TYPES[point.entry.type], point.name
            # a value that stands still keeps the time at which it came to stand
            since = int((data.SourceTimestamp - moment_of(0)) / timedelta(microseconds=1)) * 1000
            assert since == moment.times_ns[number] or line.plant.at(since).values[number] == moment.values[number]
            assert since <= now
        assert {point.entry.type for point in points} <= set(TYPES)

    line.run(test)


TYPES = {
    "bool": "Boolean",
    "int16": "Int16",
    "uint16": "UInt16",
    "int32": "Int32",
    "uint32": "UInt32",
    "int64": "Int64",
    "float32": "Float",
    "float64": "Double",
    "string": "String",
}


def test_range_unit_and_description_can_be_read(line: Line) -> None:
    """An analog item says its range and unit as OPC 10000-8 does, in the standard's own namespace."""

    async def test(client: Any, _: int) -> None:
        temperature = node(client, "Turbine.Bearing1.Temperature")
        assert (await temperature.read_type_definition()).Identifier == ua.ObjectIds.AnalogItemType
        span = await (await temperature.get_child("0:EURange")).read_value()
        assert (span.Low, span.High) == (0.0, 200.0)
        unit = await (await temperature.get_child("0:EngineeringUnits")).read_value()
        assert unit.NamespaceUri == "http://www.opcfoundation.org/UA/units/un/cefact"
        assert (unit.UnitId, unit.DisplayName.Text, unit.Description.Text) == (4408652, "°C", "degree Celsius")
        assert (await temperature.read_description()).Text == "bearing 1, compressor end: metal temperature"
        hours = await node(client, "Turbine.FiredHours").read_type_definition()
        assert hours.Identifier == ua.ObjectIds.AnalogUnitType
        state = await node(client, "Turbine.State").read_type_definition()
        assert state.Identifier == ua.ObjectIds.BaseDataVariableType

    line.run(test)


def test_the_device_can_be_browsed_down_to_every_point(line: Line) -> None:
    """From Objects through area and asset; the name plate says that it is simulated."""

    async def test(client: Any, _: int) -> None:
        asset = await client.nodes.objects.get_child(["2:north", "2:area-1", "2:unit-1", "2:turbine-1"])
        plate = {(await one.read_browse_name()).Name: await one.read_value() for one in await asset.get_properties()}
        assert plate == {
            "Manufacturer": "Borealis Turbines",
            "Model": "BT-40",
            "SerialNumber": "BT40-0117",
            "SoftwareRevision": "2.8.1",
            "Simulated": True,
        }
        found: set[str] = set()
        waiting = [asset]
        while waiting:
            for child in await waiting.pop().get_children():
                name = child.nodeid.Identifier
                if name.startswith("/"):
                    waiting.append(child)
                elif "/" not in name:
                    found.add(name)
        assert found == {point.name for point in line.plant.scene.servers[1].points}

    line.run(test)


def test_both_protocols_show_the_same_value_at_the_same_time(line: Line) -> None:
    """The pump's pressure, read by Modbus and as the turbine's controller sees it, is one number at one time."""

    async def test(client: Any, _: int) -> None:
        device = await modbus.serve(line.plant, line.plant.scene.servers[0], "127.0.0.1", 0)
        meter = AsyncModbusTcpClient("127.0.0.1", port=device.port, timeout=5)
        assert await meter.connect()
        seen = []
        for time_ns in line.changes("pump-7", "discharge_pressure", 5):
            line.plant.advance(time_ns)
            held = (await meter.read_holding_registers(0, count=2, device_id=1)).registers
            pressure = struct.unpack(">f", struct.pack(">HH", *held))[0]
            data = await until(lambda: shown(line.plant, client, "Cooling.PumpDischargePressure"), "the push")
            assert data.Value.Value == pressure
            assert data.SourceTimestamp == moment_of(time_ns)
            seen.append(pressure)
        assert len(set(seen)) > 1
        meter.close()
        await device.close()

    line.run(test)


def test_a_subscriber_hears_of_changes_only(line: Line) -> None:
    """A signal that changes is notified with its source times; one that stands still is notified once."""

    async def test(client: Any, _: int) -> None:
        heard: dict[str, list[Any]] = {"Turbine.Speed": [], "Turbine.Starts": []}

        class Handler:
            def datachange_notification(self, source: Any, value: Any, data: Any) -> None:
                heard[source.nodeid.Identifier].append(data.monitored_item.Value)

        subscription = await client.create_subscription(20, Handler())
        await subscription.subscribe_data_change([node(client, name) for name in heard], queuesize=50)

        async def last() -> bool:
            got = heard["Turbine.Speed"]
            return bool(got) and got[-1].SourceTimestamp == moment_of(line.plant.moment.time_ns)

        await until(last, "the first values")
        number = line.plant.point("turbine-1", "Turbine.Speed").number
        expected = [line.plant.moment.values[number]]
        for time_ns in line.changes("turbine-1", "Turbine.Speed", 5):
            expected.append(line.plant.advance(time_ns).values[number])
            await until(last, "the notification")
        assert [data.Value.Value for data in heard["Turbine.Speed"]] == expected
        assert len(heard["Turbine.Starts"]) == 1
        await subscription.delete()

    line.run(test)


def test_nothing_can_be_written_not_even_as_admin(line: Line) -> None:
    """Writes are refused and counted, whoever asks."""

    async def test(client: Any, _: int) -> None:
        before = dict(line.server.counts)
        speed = await node(client, "Turbine.Speed").read_value()
        with pytest.raises(ua.UaStatusCodeError):
            await node(client, "Turbine.Speed").write_value(1.0)
        admin = Client(f"opc.tcp://127.0.0.1:{line.server.port}/", timeout=10)
        admin.set_user("admin")
        async with admin:
            with pytest.raises(ua.UaStatusCodeError):
                await node(admin, "Turbine.Speed").write_value(1.0)
            with pytest.raises(ua.UaStatusCodeError):
                await admin.nodes.objects.add_variable("ns=2;s=mine", "mine", 1.0)
        assert await node(client, "Turbine.Speed").read_value() == speed
        assert line.server.counts["refused"] == before["refused"] + 3
        assert line.server.counts["connections"] == before["connections"] + 1

    line.run(test)


def test_spoiled_nodes_say_so_and_heal(line: Line) -> None:
    """A bad status takes the value away, an uncertain one keeps it; healed, both are as the model says."""

    async def test(client: Any, _: int) -> None:
        name, faults = "Turbine.Bearing2.Temperature", line.server.faults.troubles
        value = line.plant.moment.values[line.plant.point("turbine-1", name).number]

        async def shows(status: int) -> Any:
            data = (await client.read_attributes([node(client, name)]))[0]
            return data if data.StatusCode.value == status else None

        faults.spoil("Turbine.Bearing2.*", Quality.BAD_SENSOR_FAILURE)
        data = await until(lambda: shows(Quality.BAD_SENSOR_FAILURE), "bad")
        assert data.Value is None or data.Value.Value is None
        other = (await client.read_attributes([node(client, "Turbine.Bearing1.Temperature")]))[0]
        assert other.StatusCode.value == 0
        faults.spoil("Turbine.Bearing2.*", Quality.UNCERTAIN_LAST_USABLE)
        assert (await until(lambda: shows(Quality.UNCERTAIN_LAST_USABLE), "uncertain")).Value.Value == value
        faults.heal("Turbine.Bearing2.*")
        assert (await until(lambda: shows(0), "good")).Value.Value == value

    line.run(test)


def test_a_wrong_clock_shows_in_the_source_times(line: Line) -> None:
    """Missing, stopped and far-off source times, and right ones again."""

    async def test(client: Any, _: int) -> None:
        faults, times = line.server.faults.troubles, line.changes("turbine-1", "Turbine.Speed", 7)
        number = line.plant.point("turbine-1", "Turbine.Speed").number

        async def time_at(step: int) -> Any:
            wanted = line.plant.advance(times[step]).values[number]

            async def seen() -> Any:
                data = (await client.read_attributes([node(client, "Turbine.Speed")]))[0]
                return (data.SourceTimestamp,) if data.Value.Value == wanted else None

            return (await until(seen, f"change {step}"))[0]

        assert await time_at(0) == moment_of(times[0])
        faults.set_clock(SourceClock.STOPPED)
        assert [await time_at(step) for step in (1, 2, 3)] == [moment_of(times[0])] * 3
        faults.set_clock(SourceClock.FAR)
        assert await time_at(4) == moment_of(times[4]) + timedelta(days=1095)
        faults.set_clock(SourceClock.MISSING)
        assert await time_at(5) is None
        faults.set_clock(SourceClock.RIGHT)
        assert await time_at(6) == moment_of(times[6])

    line.run(test)


def test_a_folder_never_holds_too_many() -> None:
    """A thousand points in one folder are spread, since each further child costs the server more."""
    tags = [
        {"name": f"Rack.P{at:04}", "type": "bool", "signal": {"kind": "fixed", "value": True}} for at in range(1000)
    ]
    server = {"asset": "rack", "protocol": "opcua", "port": 0, "tag": tags}
    section = parse({"scene": {"name": "rack"}, "server": [server]}).servers[0]
    items = NodeTree(section, 2).items
    children: dict[str, int] = {}
    for item in items:
        children[str(item.ParentNodeId.Identifier)] = children.get(str(item.ParentNodeId.Identifier), 0) + 1
    assert max(children.values()) <= FOLDER
    names = [str(item.RequestedNewNodeId.Identifier) for item in items]
    assert len(names) == len(set(names))
    assert {f"Rack.P{at:04}" for at in range(1000)} < set(names)
    placed = {"85"}
    for item in items:
        assert str(item.ParentNodeId.Identifier) in placed
        placed.add(str(item.RequestedNewNodeId.Identifier))
