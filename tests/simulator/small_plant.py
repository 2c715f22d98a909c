"""Plants and devices for the simulator's tests: fixed time, free ports, everything on 127.0.0.1."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from simulator.modbus import server as modbus
from simulator.plant.plant import Plant
from simulator.scene.file import SCENES, parse
from simulator.scene.scene import Scene

NOW = 1_795_420_000_300_000_000
"""An instant on a tick [ns since 1970]; the plant is a function of time, so tests choose theirs."""

SMALL = (SCENES / "small.toml").read_text(encoding="utf-8")
"""The shipped scene's text."""


def on_free_ports(text: str = SMALL) -> str:
    """The same scene with port 0 everywhere, so that tests running beside each other never meet."""
    for port in (15020, 14840, 44818):
        text = text.replace(f"port = {port}", "port = 0")
    return text


def small() -> Scene:
    """The shipped scene on free ports."""
    return parse(tomllib.loads(on_free_ports()))


def one_device(tags: list[dict[str, Any]], *, protocol: str = "modbus", **settings: Any) -> Scene:
    """A scene of one device."""
    server = {"asset": "device", "protocol": protocol, "port": 0, protocol: settings, "tag": tags}
    return parse({"scene": {"name": "one", "tick_ms": 100}, "server": [server]})


def fixed(name: str, at: str, kind: str, value: Any, **more: Any) -> dict[str, Any]:
    """The table of a constant tag."""
    return {"name": name, "at": at, "type": kind, "signal": {"kind": "fixed", "value": value}, **more}


@asynccontextmanager
async def modbus_device(plant: Plant) -> AsyncIterator[modbus.ModbusServer]:
    """The plant's first device, listening; it must be a Modbus one."""
    server = await modbus.serve(plant, plant.scene.servers[0], "127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()
