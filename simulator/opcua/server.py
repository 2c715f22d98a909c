"""A false OPC UA device: the plant's points as nodes, each with value, status and source time.

Built on asyncua's server (LGPL, unmodified), because the collector speaks asyncua's client: what both could get wrong
together, the tests of the collector find with other servers. After each tick the values, statuses and times that
changed are written to the address space; a subscriber hears of nothing else. A value that never changes is written
again once in RENEW_S, as a device that goes on sampling would. Writes are refused by the server and counted.

`[server.opcua]` in a scene may say: `namespace` (uri), `history` (false), `renumber` (false; true: NodeIds are numbers,
others after each restart), and what `security` lists. Commands: `restart [5s]`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from asyncua import ua

from protocol.errors import ConfigError
from simulator.device_faults import DeviceFaults
from simulator.opcua.events import AlarmConditions, Teller
from simulator.opcua.gone import Gone
from simulator.opcua.history_storage import History
from simulator.opcua.nodes import NodeTree, VariableNode, node_id, variables_of
from simulator.opcua.security import Guests, secure
from simulator.opcua.values import SharedValue, moment_of, status_of
from simulator.opcua.wire import DeviceWire, WatchedServer, draw_of
from simulator.plant.plant import Plant, PlantMoment
from simulator.plant.signals import SECOND
from simulator.plant.troubles import SourceClock, View
from simulator.scene.scene import DeviceSection
from simulator.serving import Presence, QuestionCounts, listening

RENEW_S = 3600
"""An unchanged value is given a new source time this often [s]; well under the day after which a time is doubted."""

BREATH = 250
"""Values written before anything else has its turn: some 10 ms."""

QUIET = ("asyncua",)
"""Loggers of the library that say a line for every connection, and a page for every hostile byte."""

SETTINGS: dict[str, type[Any]] = {
    "namespace": str,
    "history": bool,
    "renumber": bool,
    "security": list,
    "certificate": str,
    "trusted": str,
    "users": dict,
}


log = logging.getLogger("simulator.opcua.server")


class OpcUaServer:
    """A listening device (`simulator.serving.DeviceServer`)."""

    def __init__(
        self,
        plant: Plant,
        section: DeviceSection,
        server: WatchedServer,
        namespace: int,
        guests: Guests,
        asked: QuestionCounts,
    ) -> None:
        self.faults: DeviceFaults = server.watch.faults
        self._plant, self._section, self._server, self._guests, self._asked = plant, section, server, guests, asked
        self._namespace = namespace
        self._history = bool(section.settings.get("history", False))
        self._view = View(plant, section.points, self.faults.troubles)
        self._view.listen(lambda _: self._ring())
        self._presence = Presence(self.faults, self._leave, self._back, self._restarted)
        self._starts = 0
        self._pushed = 0
        self._port = 0
        self._variables: dict[Any, VariableNode] = {}
        self._nodes: list[Any] = []
        self._gone = Gone(server.iserver.aspace)
        self._node_of: dict[int, Any] = {}
        self._sent: dict[Any, tuple[list[Any], int, int, SourceClock]] = {}
        self._conditions = AlarmConditions(section.points)
        self._teller = Teller(server, namespace, section.asset)
        self._events_until_ns = plant.moment.time_ns
        self._bell = asyncio.Event()
        self._pushing: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def asked(self) -> dict[str, int]:
        return self._asked.counts

    @property
    def counts(self) -> dict[str, int]:
        clients = self._server.bserver.clients if self._server.bserver else []
        return {
            "connections": self._guests.count,
            **self._server.watch.counts,
            "users_refused": self._guests.refused,
            "pushed": self._pushed,
            "events": self._teller.sent,
            "open": len(clients),
            "faults": self.faults.met,
        }

    async def start(self, port: int) -> None:
        """Write the first values and begin to listen."""
        self._port = port
        await self._build()
        if self._history:
            storage = History(self._plant, lambda: self._variables, lambda: self._view.moment.time_ns)
            self._server.iserver.history_manager.set_storage(storage)
        await self._teller.open()
        await self._push(self._view.moment)
        await self._server.start()
        self._presence.there = True
        self._pushing = asyncio.create_task(self._push_ever())
        self._pushing.add_done_callback(_log_end)

    async def close(self) -> None:
        self._view.close()
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)
        there = self._presence.there
        await self._presence.close()
        if there or self._server.bserver is not None:
            await self._server.iserver.stop()

    async def settled(self) -> None:
        """Wait until an `absent` or a restart is in effect."""
        await self._presence.settled()

    async def _build(self) -> None:
        """The device's own nodes, as of this start."""
        draw = draw_of(self._plant.seed, self._starts) if self._section.settings.get("renumber") else None
        made = variables_of(self._section, self._namespace, draw)
        items = NodeTree(self._section, self._namespace, made, history=self._history).items
        with _uncollected():
            results = await self._server.iserver.isession.add_nodes(items)
        bad = [result for result in results if not result.StatusCode.is_good()]
        if bad:
            raise ConfigError(f"{self._section.asset}: {len(bad)} nodes refused, the first with {bad[0].StatusCode}")
        self._nodes = [result.AddedNodeId for result in results]
        self._variables = {variable.node: variable for variable in made}
        self._node_of = {point.number: variable.node for variable in made for point in variable.points}
        self._gone.forget()
        self._sent = {}

    async def _leave(self) -> None:
        await self._server.leave()

    async def _back(self) -> None:
        if self._section.settings.get("renumber") and self._starts:
            space = self._server.iserver.aspace
            own = set(self._nodes)
            for node in own:
                if node in space:
                    del space[node]
            objects = space[ua.NodeId(ua.ObjectIds.ObjectsFolder)]
            objects.references[:] = [one for one in objects.references if one.NodeId not in own]
            await self._build()
        await self._push(self._view.moment)
        await self._server.back()

    def _restarted(self) -> None:
        self._starts += 1

    def _ring(self) -> None:
        self._bell.set()

    async def _push_ever(self) -> None:
        """Bring the address space up to the newest moment; ticks that come meanwhile are one push."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            if self._presence.there:
                await self._push(self._view.moment)

    async def _push(self, moment: PlantMoment) -> None:
        await self._hide()
        clock, write = self.faults.troubles.clock, self._server.iserver.aspace.write_attribute_value
        server_time, value_of = moment_of(moment.time_ns), ua.AttributeIds.Value
        written = 0
        for node, variable in self._variables.items():
            if node in self._gone:
                continue
            numbers = [point.number for point in variable.points]
            values = [moment.values[number] for number in numbers]
            status = max(moment.quality[number] for number in numbers)
            time_ns = max(moment.times_ns[number] for number in numbers)
            sent = self._sent.get(node)
            same = sent is not None and (sent[0], sent[1], sent[3]) == (values, status, clock)
            if same and sent is not None and time_ns - sent[2] < RENEW_S * SECOND:
                continue
            self._sent[node] = (values, status, time_ns, clock)
            self._pushed += 1
            written += 1
            if written % BREATH == 0:
                await asyncio.sleep(0)  # requests are answered meanwhile, from values each of which has its time
            await write(
                node,
                value_of,
                SharedValue(
                    variable.form.of(values),
                    StatusCode=status_of(status),
                    SourceTimestamp=None if clock is SourceClock.MISSING else moment_of(time_ns),
                    ServerTimestamp=server_time,
                ),
            )
        await self._tell(moment)

    async def _tell(self, moment: PlantMoment) -> None:
        """Alarms that changed, and what trips recorded since the last moment."""
        section = self._section
        root = node_id(self._namespace, "/".join(("", *filter(None, section.path.split("/")), section.asset)))
        for change in self._conditions.changes(moment):
            await self._teller.condition(change, self._node_of[change.point.number])
        now_ns = self._plant.moment.time_ns
        if now_ns > self._events_until_ns:
            for step in self._plant.events(self._events_until_ns + 1, now_ns + 1, section.asset):
                await self._teller.step(step, root)
        self._events_until_ns = now_ns

    async def _hide(self) -> None:
        """Let the nodes that are gone not be there, and those that came back be there again."""
        gone = self.faults.troubles.gone(self._section.points)
        if gone or self._gone:
            for node in await self._gone.keep_to({self._node_of[number]: None for number in gone}):
                self._sent.pop(node, None)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Small objects that stay, a million of them: looking through them again and again is half the time of a start."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _log_end(task: asyncio.Task[None]) -> None:
    """A device whose values stand still must not look as if it were well."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("values stand still", exc_info=error)


async def serve(plant: Plant, section: DeviceSection, host: str, port: int) -> OpcUaServer:
    """Start the device of a section; takes about two seconds, most of them the standard's own nodes.

    Raises:
        ConfigError: an unknown setting, a tag that OPC UA cannot have, or no port.
    """
    for key, value in section.settings.items():
        if type(value) is not SETTINGS.get(key):
            known = ", ".join(f"{name} ({kind.__name__})" for name, kind in SETTINGS.items())
            raise ConfigError(
                f"{section.asset}, opcua.{key}: not a setting, or of another type", hint=f"there is {known}"
            )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    guests, asked = Guests(section.settings.get("users", {})), QuestionCounts()
    server = WatchedServer(DeviceWire(DeviceFaults(plant.seed), asked.add), guests)
    server.application_type = ua.ApplicationType.Server
    server.iserver.bind_condition_methods = True
    with _uncollected():
        await server.init()
    uri = str(section.settings.get("namespace", f"urn:checkvalve:simulated:{section.asset}"))
    await server.set_application_uri(f"{uri}:server")
    server.set_server_name(f"{section.vendor} {section.model} (simulated)")
    await secure(server, section, host, f"{uri}:server")
    await server.set_build_info(uri, section.vendor, section.model, section.firmware, "0", datetime.now(UTC))
    made = OpcUaServer(plant, section, server, await server.register_namespace(uri), guests, asked)
    with listening(host, port) as probe:
        free = int(probe.getsockname()[1])
    server.set_endpoint(f"opc.tcp://{host}:{free}/")
    await made.start(free)
    return made
