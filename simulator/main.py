"""The plant in a box: one model, every false device of a scene, one process.

    start    all devices listen -> the ports file is written (by rename) -> "ready"
    running  every tick: the plant advances, each device renews its image, faults come and go by the scene's times
             every second: status, and a line for each device whose clients changed, with what they ask most
    stop     devices close; the status file keeps the last counts

The wall clock is read here and nowhere else in this room but the relay's shell.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from simulator import sender_file, status
from simulator.control import open_control
from simulator.device_faults import DeviceFaults
from simulator.plant.plant import Plant
from simulator.scene.fault_schedule import FaultSchedule
from simulator.scene.scene import DeviceSection, Scene
from simulator.serving import DeviceServer

SERVERS = {"modbus": "simulator.modbus.server", "opcua": "simulator.opcua.server", "enip": "simulator.logix.server"}
"""Protocol -> module with `serve`; imported only where a scene has one, for each brings its library along."""

SCHEMES = {"modbus": "tcp", "opcua": "opc.tcp", "enip": "enip"}
"""How a collector's url for it begins."""

REPORT_S = 1.0
"""Between two looks at the counts [s]."""

QUIET_LOOKS = 10
"""Looks between two lines about a device whose clients only come and go."""

ASKED_LOOKS = 30
"""Looks between two lines about a device whose clients stay and ask."""

MOST_ASKED = 3
"""Questions named in a line."""


class Room:
    """The running devices of one scene."""

    def __init__(self, scene: Scene, seed: int, host: str, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.plant = Plant(scene, seed)
        self.servers: dict[str, tuple[DeviceSection, DeviceServer]] = {}
        """By asset's name."""
        self._host = host
        self._now_ns = now_ns
        self._ticks = 0
        self._late = 0
        self._shown: dict[str, _Shown] = {}
        self._schedule = FaultSchedule(scene.faults)
        self._began_ns = now_ns()

    async def open(self) -> None:
        """Start every device, in the order of the scene.

        Raises:
            ConfigError: a device cannot be started; those that were are closed again.
        """
        self.plant.advance(self._now_ns())
        sections = self.plant.scene.servers
        made: dict[str, DeviceServer] = {}
        try:
            for section in sorted(sections, key=lambda one: "behind" in one.settings):
                made[section.asset] = await self._served(section, made)
                self.servers = {one.asset: (one, made[one.asset]) for one in sections if one.asset in made}
            for fault in self.plant.scene.faults:
                made[fault.asset].faults.check(fault.what)
        except BaseException:
            await self.close()
            raise
        self._began_ns = self._now_ns()
        self.plant.advance(self._began_ns)

    async def _served(self, section: DeviceSection, made: Mapping[str, Any]) -> DeviceServer:
        """The section's device on its port or on the next free one above, or behind another one."""
        if "behind" in section.settings:
            behind: DeviceServer = made[section.settings["behind"]].attach(self.plant, section)
            return behind
        server: DeviceServer = await import_module(SERVERS[section.protocol]).serve(
            self.plant, section, self._host, section.port
        )
        return server

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
                **({"unit": server.unit} if hasattr(server, "unit") else {}),
            }
            for asset, (section, server) in self.servers.items()
        }

    def breakable(self) -> dict[str, DeviceFaults]:
        """The faults of each device, by asset."""
        return {asset: server.faults for asset, (_, server) in self.servers.items()}

    def counts(self) -> dict[str, dict[str, int]]:
        """What each device counted, by asset."""
        return {asset: server.counts for asset, (_, server) in self.servers.items()}

    def report(self) -> dict[str, Any]:
        """Counts of the model and of each device."""
        return {
            "scene": self.plant.scene.name,
            "seed": self.plant.seed,
            "time_ns": self.plant.moment.time_ns,
            "ticks": self._ticks,
            "late_ticks": self._late,
            "assets": {
                asset: {
                    **place,
                    "counts": self.servers[asset][1].counts,
                    "faults": self.servers[asset][1].faults.texts(),
                    "asked": dict(_most(self.servers[asset][1].asked.items(), 20)),
                }
                for asset, place in self.places().items()
            },
        }

    def news(self) -> list[str]:
        """A line for each device whose clients changed, and now and then for one whose clients go on asking.

        Who comes and goes is told at most every QUIET_LOOKS, who stays every ASKED_LOOKS.
        """
        lines = []
        for asset, (_, server) in self.servers.items():
            counts: Mapping[str, int] = server.counts
            total = counts.get("connections", counts.get("clients", 0))
            now = counts.get("open", total), total, counts.get("requests", 0)
            shown = self._shown.setdefault(asset, _Shown())
            shown.looks += 1
            due = (
                now[0] != shown.seen[0]
                or (now[1] != shown.seen[1] and shown.looks > QUIET_LOOKS)
                or (now[2] != shown.seen[2] and shown.looks > ASKED_LOOKS)
            )
            if due:
                lines.append(f"{asset}: {_client_words(server, counts, now[2] - shown.seen[2], shown.asked)}")
                self._shown[asset] = _Shown(now, 0, dict(server.asked))
        return lines

    def keep_schedule(self, now_s: float) -> None:
        """Let the scene's faults come and go [s since the start]."""
        for change in self._schedule.due(now_s):
            faults = self.servers[change.asset][1].faults
            if change.begins:
                faults.add(change.what)
            else:
                faults.remove(change.what)

    async def run(self, stop: asyncio.Event) -> None:
        """Advance the model tick by tick until `stop`; a tick that was missed is not made up for."""
        tick_ns = self.plant.tick_ns
        while not stop.is_set():
            now = self._now_ns()
            self._late += now // tick_ns - self.plant.moment.time_ns // tick_ns > 1
            self.plant.advance(now)
            self.keep_schedule((now - self._began_ns) / 1e9)
            self._ticks += 1
            wait_s = (tick_ns - self._now_ns() % tick_ns) / 1e9
            try:
                await asyncio.wait_for(stop.wait(), wait_s)
            except TimeoutError:
                continue


@dataclass(slots=True)
class _Shown:
    """What was last said of a device."""

    seen: tuple[int, int, int] = (0, 0, 0)
    """Connected, connections so far, requests."""
    looks: int = QUIET_LOOKS
    asked: dict[str, int] = field(default_factory=dict)


def _client_words(server: DeviceServer, counts: Mapping[str, int], requests: int, before: Mapping[str, int]) -> str:
    """Who is there, what they asked since the last line, what was refused so far."""
    so_far = counts.get("connections", 0)
    now = f"{counts['open']} connected, " if "open" in counts else ""
    fresh = {words: count - before.get(words, 0) for words, count in server.asked.items()}
    most = _most(((words, count) for words, count in fresh.items() if count), MOST_ASKED)
    what = f" ({', '.join(f'{words} x{count}' for words, count in most)})" if most else ""
    refused = counts.get("writes_refused", counts.get("refused", 0))
    return f"{now}{so_far} connections so far, {requests} requests{what}, {refused} writes refused"


def _most(asked: Iterable[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    return sorted(asked, key=lambda one: -one[1])[:count]


async def simulate(
    scene: Scene,
    *,
    seed: int,
    host: str,
    stop: asyncio.Event,
    say: Callable[[str], None],
    ports_file: Path | None = None,
    sender_toml: Path | None = None,
    status_file: Path | None = None,
    control_port: int | None = None,
    faults: list[str] | None = None,
) -> None:
    """Run a scene until `stop`.

    Args:
        say: Takes one line for the console.
        ports_file: Written once, when all devices listen.
        sender_toml: The high side's configuration for this scene, written before the ports file.
        status_file: Rewritten every second.
        control_port: Where lines of `control` are taken; 0 is any, None is nowhere.
        faults: What devices do wrong from the start, as `spoil` takes it.

    Raises:
        ConfigError: a device cannot be started, or a file not be written.
    """
    if sender_toml is not None:
        scene = sender_file.prepared(scene, sender_toml)
    room = Room(scene, seed, host)
    await room.open()
    gc.collect()
    gc.freeze()  # what devices are made of stays: a collection that looks at all of it holds every reply up
    running = asyncio.create_task(room.run(stop))
    control = None
    try:
        spoil(room, faults or [])
        for asset, place in room.places().items():
            moved = "" if place["port"] == _wanted(scene, asset) else f"  (port {_wanted(scene, asset)} was taken)"
            say(f"{asset}: {place['protocol']} {place['url']}, {place['points']} points{moved}")
        if control_port is not None:
            control, port = await open_control(room.breakable, control_port, room.counts, room.plant.trip)
            say(f"control: 127.0.0.1:{port}")
        if sender_toml is not None:
            sender_file.write(sender_toml, scene, room.places())
            say(f"the high side's configuration: {sender_toml}; checkvalve send {sender_toml} --check")
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
    """Add faults given as `ASSET: TEXT`, the text as `faults.DeviceFaults.add` takes it.

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
