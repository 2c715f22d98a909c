"""A false OPC UA device: the plant's points as nodes, each with value, status and source time.

Built on asyncua's server (LGPL, unmodified), because the collector speaks asyncua's client: what both could get wrong
together, the tests of the collector find with other servers. After each tick the values, statuses and times that
changed are written to the address space; a subscriber hears of nothing else. A value that never changes is written
again once in RENEW_S, as a device that goes on sampling would.

Policy: security None and anonymous, for a loopback. Writes are refused by the server and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import Server, ua
from asyncua.common.callback import CallbackType
from asyncua.crypto.permission_rules import User, UserRole

from protocol.errors import ConfigError
from simulator.faults import Faults
from simulator.nodes import VARIANTS, Tree, node_id
from simulator.plant import Moment, Plant, Value
from simulator.scene import Section
from simulator.serving import listening
from simulator.signals import SECOND
from simulator.troubles import SourceClock, View

RENEW_S = 3600
"""An unchanged value is given a new source time this often [s]; well under the day after which a time is doubted."""

QUIET = ("asyncua.server", "asyncua.common", "asyncua.uaprotocol")
"""Loggers of the library that say a line for every connection; held to errors."""

_START = datetime(1970, 1, 1, tzinfo=UTC)


def moment_of(time_ns: int) -> datetime:
    """A time of the plant [ns since 1970 UTC] as OPC UA's library wants it; exact to the microsecond."""
    return _START + timedelta(microseconds=time_ns // 1000)


class Guests:
    """Lets everyone in as a plain user, whatever name they give, and counts them: nobody is an administrator here."""

    def __init__(self) -> None:
        self.count = 0

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> Any:
        """A user who may read (the library's own manager makes whoever is called `admin` an administrator)."""
        self.count += 1
        return User(role=UserRole.User)


class OpcUaServer:
    """A listening device (`simulator.serving.Server`)."""

    def __init__(self, plant: Plant, section: Section, server: Any, namespace: int, guests: Guests) -> None:
        self.faults = Faults(plant.seed)
        self._view = View(plant, section.points, self.faults.troubles)
        self._view.listen(lambda _: self._ring())
        self._server = server
        self._port = 0
        self._guests = guests
        self._counts: Counter[str] = Counter(requests=0, refused=0, pushed=0)
        self._nodes = [(point, node_id(namespace, point.name), VARIANTS[point.entry.type]) for point in section.points]
        self._sent: dict[int, tuple[Value, int, int, SourceClock]] = {}
        self._bell = asyncio.Event()
        self._pushing: asyncio.Task[None] | None = None
        server.subscribe_server_callback(CallbackType.PreRead, self._read)
        server.subscribe_server_callback(CallbackType.PreWrite, self._write)

    @property
    def port(self) -> int:
        return self._port

    @property
    def asked(self) -> dict[str, int]:
        return {}

    @property
    def counts(self) -> dict[str, int]:
        clients = self._server.bserver.clients if self._server.bserver else []
        return {"connections": self._guests.count, **self._counts, "open": len(clients)}

    async def start(self, port: int) -> None:
        """Write the first values and begin to listen."""
        self._port = port
        await self._push(self._view.moment)
        await self._server.start()
        self._pushing = asyncio.create_task(self._push_ever())

    async def close(self) -> None:
        self._view.close()
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)
        await self._server.stop()

    def _ring(self) -> None:
        self._bell.set()

    async def _push_ever(self) -> None:
        """Bring the address space up to the newest moment; ticks that come meanwhile are one push."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            await self._push(self._view.moment)

    async def _push(self, moment: Moment) -> None:
        clock = self.faults.troubles.clock
        server_time = moment_of(moment.time_ns)
        for point, node, variant in self._nodes:
            number = point.number
            value, status = moment.values[number], moment.quality[number]
            time_ns = moment.times_ns[number]
            held = self._sent.get(number)
            same = held is not None and (held[0], held[1], held[3]) == (value, status, clock)
            if same and held is not None and time_ns - held[2] < RENEW_S * SECOND:
                continue
            self._sent[number] = (value, status, time_ns, clock)
            self._counts["pushed"] += 1
            await self._server.write_attribute_value(
                node,
                ua.DataValue(
                    ua.Variant(value, variant),
                    StatusCode=ua.StatusCode(status),
                    SourceTimestamp=None if clock is SourceClock.MISSING else moment_of(time_ns),
                    ServerTimestamp=server_time,
                ),
            )

    def _read(self, event: Any, _: Any) -> None:
        if event.is_external:
            self._counts["requests"] += 1

    def _write(self, event: Any, _: Any) -> None:
        if event.is_external:
            self._counts["requests"] += 1
            self._counts["refused"] += 1


async def serve(plant: Plant, section: Section, host: str, port: int) -> OpcUaServer:
    """Start the device of a section; takes about two seconds, most of them the standard's own nodes.

    Raises:
        ConfigError: an unknown setting, or no port.
    """
    unknown = set(section.settings) - {"namespace"}
    if unknown:
        raise ConfigError(f"{section.asset}: opcua settings {sorted(unknown)}", hint="known is namespace")
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    guests = Guests()
    server = Server(user_manager=guests)
    server.application_type = ua.ApplicationType.Server
    await server.init()
    uri = str(section.settings.get("namespace", f"urn:checkvalve:simulated:{section.asset}"))
    await server.set_application_uri(f"{uri}:server")
    server.set_server_name(f"{section.vendor} {section.model} (simulated)")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.set_build_info(uri, section.vendor, section.model, section.firmware, "0", datetime.now(UTC))
    namespace = await server.register_namespace(uri)
    results = await server.iserver.isession.add_nodes(Tree(section, namespace).items)
    bad = [result for result in results if not result.StatusCode.is_good()]
    if bad:
        raise ConfigError(f"{section.asset}: {len(bad)} nodes refused, the first with {bad[0].StatusCode}")
    made = OpcUaServer(plant, section, server, namespace, guests)
    with listening(host, port) as probe:
        free = int(probe.getsockname()[1])
    server.set_endpoint(f"opc.tcp://{host}:{free}/")
    await made.start(free)
    return made
