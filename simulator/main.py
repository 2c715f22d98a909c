"""The plant in a box: one model, every false device of a scene, one process.

    start    all devices listen -> the ports file is written (by rename) -> "ready"
    running  every tick: the plant advances, each device renews its image; every second: status, and a line for each
             device whose connections changed
    stop     devices close; the status file keeps the last counts

The wall clock is read here and nowhere else in this room but the relay's shell.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from simulator import status
from simulator.control import Breakable, open_control
from simulator.plant import Plant
from simulator.scene import Scene, Section
from simulator.serving import TRIES, Server

SERVERS = {"modbus": "simulator.modbus", "opcua": "simulator.opcua", "enip": "simulator.enip"}
"""Protocol -> module with `serve`; imported only where a scene has one, for each brings its library along."""

SCHEMES = {"modbus": "tcp", "opcua": "opc.tcp", "enip": "enip"}
"""How a collector's url for it begins."""

REPORT_S = 1.0
"""Between two looks at the counts [s]."""

QUIET_LOOKS = 10
"""Looks between two lines about a device whose clients only come and go."""


class Room:
    """The running devices of one scene."""

    def __init__(self, scene: Scene, seed: int, host: str, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.plant = Plant(scene, seed)
        self.servers: dict[str, tuple[Section, Server]] = {}
        """By asset's name."""
        self._host = host
        self._now_ns = now_ns
        self._ticks = 0
        self._late = 0
        self._shown: dict[str, tuple[tuple[int, int], int]] = {}

    async def open(self) -> None:
        """Start every device, in the order of the scene.

        Raises:
            ConfigError: a device cannot be started; those that were are closed again.
        """
        self.plant.advance(self._now_ns())
        try:
            for section in self.plant.scene.servers:
                self.servers[section.asset] = section, await self._served(section)
        except BaseException:
            await self.close()
            raise
        self.plant.advance(self._now_ns())

    async def _served(self, section: Section) -> Server:
        """The section's device on its port, or on the next free one above."""
        serve = import_module(SERVERS[section.protocol]).serve
        last = section.port + TRIES if section.port else 0
        for port in range(section.port, last + 1):
            try:
                server: Server = await serve(self.plant, section, self._host, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise ConfigError(f"{section.asset}: {self._host}:{port}: {error.strerror}") from error
            else:
                return server
        raise ConfigError(f"{section.asset}: no free port from {section.port} on", hint="give it another port")

    async def close(self) -> None:
        """Stop every device."""
        await asyncio.gather(*(server.close() for _, server in self.servers.values()))

    def places(self) -> dict[str, dict[str, Any]]:
        """Where each asset is to be found, for the ports file and the first lines."""
        return {
            asset: {
                "protocol": section.protocol,
                "host": self._host,
                "port": server.port,
                "url": f"{SCHEMES[section.protocol]}://{self._host}:{server.port}",
                "points": len(section.points),
            }
            for asset, (section, server) in self.servers.items()
        }

    def breakable(self) -> dict[str, Breakable]:
        """The faults of those devices that take any, by asset."""
        held = {asset: getattr(server, "faults", None) for asset, (_, server) in self.servers.items()}
        return {asset: faults for asset, faults in held.items() if faults is not None}

    def report(self) -> dict[str, Any]:
        """Counts of the model and of each device."""
        return {
            "scene": self.plant.scene.name,
            "seed": self.plant.seed,
            "time_ns": self.plant.moment.time_ns,
            "ticks": self._ticks,
            "late_ticks": self._late,
            "assets": {
                asset: {**place, "counts": self.servers[asset][1].counts} for asset, place in self.places().items()
            },
        }

    def news(self) -> list[str]:
        """A line for each device whose clients changed since its last line; comings and goings at most every 10 s."""
        lines = []
        for asset, (_, server) in self.servers.items():
            counts: Mapping[str, int] = server.counts
            so_far = counts.get("connections", counts.get("clients", 0))
            seen = counts.get("open", so_far), so_far
            shown, looks = self._shown.get(asset, ((0, 0), QUIET_LOOKS))
            self._shown[asset] = shown, looks + 1
            if seen[0] == shown[0] and (seen == shown or looks < QUIET_LOOKS):
                continue
            self._shown[asset] = seen, 0
            now = f"{seen[0]} connected, " if "open" in counts else ""
            refused = counts.get("writes_refused", counts.get("refused", 0))
            lines.append(
                f"{asset}: {now}{so_far} connections so far, {counts.get('requests', 0)} requests, "
                f"{refused} writes refused"
            )
        return lines

    async def run(self, stop: asyncio.Event) -> None:
        """Advance the model tick by tick until `stop`; a tick that was missed is not made up for."""
        tick_ns = self.plant.tick_ns
        while not stop.is_set():
            now = self._now_ns()
            self._late += now // tick_ns - self.plant.moment.time_ns // tick_ns > 1
            self.plant.advance(now)
            self._ticks += 1
            wait_s = (tick_ns - self._now_ns() % tick_ns) / 1e9
            try:
                await asyncio.wait_for(stop.wait(), wait_s)
            except TimeoutError:
                continue


async def simulate(
    scene: Scene,
    *,
    seed: int,
    host: str,
    stop: asyncio.Event,
    say: Callable[[str], None],
    ports_file: Path | None = None,
    status_file: Path | None = None,
    control_port: int | None = None,
    faults: list[str] | None = None,
) -> None:
    """Run a scene until `stop`.

    Args:
        say: Takes one line for the console.
        ports_file: Written once, when all devices listen.
        status_file: Rewritten every second.
        control_port: Where lines of `control` are taken; 0 is any, None is nowhere.
        faults: What devices do wrong from the start, as `spoil` takes it.

    Raises:
        ConfigError: a device cannot be started, or a file not be written.
    """
    room = Room(scene, seed, host)
    await room.open()
    running = asyncio.create_task(room.run(stop))
    control = None
    try:
        spoil(room, faults or [])
        for asset, place in room.places().items():
            moved = "" if place["port"] == _wanted(scene, asset) else f"  (port {_wanted(scene, asset)} was taken)"
            say(f"{asset}: {place['protocol']} {place['url']}, {place['points']} points{moved}")
        if control_port is not None:
            control, port = await open_control(room.breakable, control_port)
            say(f"control: 127.0.0.1:{port}")
        if ports_file is not None:
            status.write(ports_file, room.places())
        say(f"ready: scene {scene.name}, seed {seed}, tick {scene.tick_ms} ms")
        while not stop.is_set() and not running.done():
            for line in room.news():
                say(line)
            if status_file is not None:
                status.write(status_file, room.report())
            await asyncio.wait({running}, timeout=REPORT_S)
        await running
        if status_file is not None:
            status.write(status_file, room.report())
    finally:
        running.cancel()
        if control is not None:
            control.close()
        await room.close()


def spoil(room: Room, texts: list[str]) -> None:
    """Add faults given as `ASSET: TEXT`, the text as `faults.Fault.parse` or `faults.BadNodes.add` takes it.

    Raises:
        ConfigError: no such asset or a device that takes none, or no such fault.
    """
    assets = room.breakable()
    for given in texts:
        asset, _, fault = (part.strip() for part in given.partition(":"))
        if asset not in assets:
            raise ConfigError(f"fault `{given}`: no such asset", hint=f"write asset: fault, for {', '.join(assets)}")
        assets[asset].add(fault)


def _wanted(scene: Scene, asset: str) -> int:
    return next(section.port for section in scene.servers if section.asset == asset)
