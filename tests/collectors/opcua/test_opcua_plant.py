"""The OPC UA collector against the simulated plant: another server than the tests' own, with faults of real ones."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opcua_reading import Tags, device, failure, until

from collectors.base import Device, Event
from collectors.opcua import watched
from collectors.opcua.collector import OpcUaCollector
from protocol.content.sample import Quality
from protocol.errors import AssetError
from simulator.opcua import server as opcua
from simulator.opcua.server import OpcUaServer
from simulator.plant.plant import Plant
from simulator.scene.file import parse

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
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
    {"name": "Speed", "type": "float64", "every_ms": 1000, "signal": {"kind": "fixed", "value": 7}},
]
Test = Callable[[OpcUaServer, Plant, str], Awaitable[None]]


def served(test: Test, **settings: Any) -> None:
    """Run a test against a simulated device of its own, at a standing time."""
    server = {"asset": "rig", "protocol": "opcua", "port": 0, "path": "site", "opcua": settings, "tag": TAGS}
    plant = Plant(parse({"scene": {"name": "rig"}, "server": [server]}), 3)
    plant.advance(NOW)

    async def run() -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        device = await opcua.serve(plant, plant.scene.servers[0], "127.0.0.1", 0)
        try:
            await test(device, plant, f"opc.tcp://127.0.0.1:{device.port}/")
        finally:
            await device.close()

    asyncio.run(run())


def collector(made: Device, plant: Plant) -> OpcUaCollector:
    """A collector whose clock is the plant's."""
    assert OpcUaCollector.check(made) == []
    return OpcUaCollector(made, clock=lambda: plant.moment.time_ns, refused=print)


async def again(plc: OpcUaCollector) -> None:
    """Open, as often as it takes."""
    deadline = time.monotonic() + 30
    while True:
        try:
            await plc.open()
            return
        except AssetError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


def test_a_restart_that_renumbers_every_node_costs_no_tag() -> None:
    """Typed by path, by branch, or by the number it had: the same values under the same point numbers."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        finder = collector(device(url), plant)
        await finder.open()
        assert finder._session is not None
        (node,) = await finder._session.translate([((0, "Objects"), (2, "site"), (2, "rig"), (2, "Speed"))])
        await finder.close()
        tags: Tags = [
            {"name": "number", "at": node.to_string()},
            {"name": "path", "at": "/Objects/2:site/2:rig/2:Speed"},
            {"name": "branch", "at": "/Objects/2:site/2:rig/2:Sp*", "count": 4, "pattern": True},
        ]
        made = device(url, tags)
        plc = collector(made, plant)
        await plc.open()
        await until(plc, made, lambda rows: {row.tag for row in rows if row.value == 7.0} >= {0, 1, 2})
        server.faults.add("restart 0.05s")
        await server.settled()
        await failure(plc, made)
        await plc.close()
        await again(plc)
        rows = await until(plc, made, lambda rows: {row.tag for row in rows} >= {0, 1, 2})
        assert {(row.tag, row.value) for row in rows} == {(0, 7.0), (1, 7.0), (2, 7.0)}
        assert any(f"number: {node.to_string()} is" in line for line in plc.remarks())
        await plc.close()

    served(test, renumber=True)


def test_a_node_that_goes_and_comes_back_is_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone is bad meanwhile; when it is there again, it speaks once, not twice."""
    monkeypatch.setattr(watched, "SOON_NS", 0)
    monkeypatch.setattr(watched, "RETRY_NS", 0)

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        made = device(url, [{"name": "s", "at": "ns=2;s=Speed"}, {"name": "l", "at": "ns=2;s=Level"}])
        plc = collector(made, plant)
        await plc.open()
        await until(plc, made, lambda rows: {row.tag for row in rows} == {0, 1})
        server.faults.add("gone Speed")
        rows = await until(plc, made, lambda rows: any(row.tag == 0 and row.quality >> 31 for row in rows))
        assert {row.quality for row in rows if row.tag == 0 and row.value is None} == {Quality.BAD_NODE_UNKNOWN}
        assert all(row.quality == 0 for row in rows if row.tag == 1)
        server.faults.remove("gone Speed")
        await until(plc, made, lambda rows: any(row.tag == 0 and row.value == 7.0 for row in rows))
        subscription = plc._watches[0]._subscription
        assert subscription is None or len(subscription._items) == 2
        await plc.close()

    served(test)


def test_the_alarms_of_the_plant_become_events_with_their_own_times() -> None:
    """Active, acknowledged, cleared; what stands at the connect is told first."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        made = device(url, [{"name": "s", "at": "ns=2;s=Speed"}], events="conditions")
        plc = collector(made, plant)
        await plc.open()
        events: list[Event] = []
        deadline = time.monotonic() + 60
        step = 0
        while len(events) < 3:
            assert time.monotonic() < deadline, events
            step += 1
            plant.advance(NOW + step * SECOND)
            for _ in range(3):
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            await plc.read(made.scans[0])
            events += plc.events()
        told = [(event.state, event.source, event.severity) for event in events[:3]]
        assert told == [(state, "High", 700) for state in ("active", "acked", "cleared")]
        assert all(event.text.startswith("level high") for event in events)
        times = [event.time_ns for event in events]
        assert times == sorted(times)
        assert all((at - NOW) % SECOND == 0 for at in times)
        await plc.close()

    served(test)
