"""A small OPC UA device for the simulator's tests, and how a test is run against one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from small_plant import NOW

from simulator.opcua import server as opcua
from simulator.opcua.server import OpcUaServer
from simulator.plant.plant import Plant
from simulator.scene.file import parse

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


class Plain:
    """One device without settings for the tests that need no more: each start of a server is a second."""

    def __init__(self) -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self.runner = asyncio.Runner()
        self.plant = rig()
        self.server = self.runner.run(opcua.serve(self.plant, self.plant.scene.servers[0], "127.0.0.1", 0))

    def run(self, test: Callable[[OpcUaServer, Plant, str], Coroutine[Any, Any, None]]) -> None:
        """Run a test against it, and let it be well afterwards."""
        try:
            self.runner.run(test(self.server, self.plant, f"opc.tcp://127.0.0.1:{self.server.port}/"))
        finally:
            self.server.faults.clear()

    def close(self) -> None:
        """The end."""
        self.runner.run(self.server.close())
        self.runner.close()


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
