"""For the collector's tests: a false Logix controller in the test's own loop, and a device made of configuration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from collectors.base import Device, numbered
from collectors.enip.collector import LogixCollector
from protocol.content.sample import Columns, Row
from simulator.logix.controller import Controller
from simulator.logix.server import LogixServer, start

Result = TypeVar("Result")

DRIVE = {"Speed": 1480.5, "Hours": 321, "Running": True, "Tripped": False, "Codes": [7, 8, 9], "Label": "north"}
"""Value of a tag of the type `Drive`."""


def controller() -> Controller:
    """Every type, arrays, bits, strings, nested structures and a program."""
    made = Controller(seed=5)
    made.template(
        "Drive",
        [
            *(("Speed", "REAL", 0), ("Hours", "DINT", 0), ("Running", "BOOL", 0), ("Tripped", "BOOL", 0)),
            *(("Codes", "INT", 3), ("Label", "STRING", 0)),
        ],
    )
    made.template("Station", [("Count", "DINT", 0), ("Main", "Drive", 0), ("Ballast", "REAL", 600)])
    for kind, value in VALUES.items():
        made.tag(f"One_{kind}", kind, value=value)
    made.tag("Name", "STRING", value="Füller 2")
    made.tag("Word", "DINT", value=-3)
    made.tag("Profile", "REAL", (2000,), [at / 8 for at in range(2000)])
    made.tag("Ints", "INT", (50,), list(range(-25, 25)))
    made.tag("Big", "ULINT", (10,), [(1 << 63) + at for at in range(10)])
    made.tag("Grid", "DINT", (3, 4), list(range(12)))
    made.tag("Flags", "BOOL", (64,), [at % 3 == 0 for at in range(64)])
    made.tag("Drives", "Drive", (4,), [{**DRIVE, "Hours": at} for at in range(4)])
    made.tag("Cell", "Station", value={"Count": 5, "Main": DRIVE, "Ballast": [0.0] * 600})
    made.tag("Program:Main.Speed", "REAL", value=3.5)
    made.tag("__own", "DINT", system=True)
    made.tag("Map:Local", "DINT", system=True)
    return made


VALUES: dict[str, Any] = {
    "BOOL": True,
    "SINT": -5,
    "INT": -3000,
    "DINT": -7,
    "LINT": -(1 << 40),
    "USINT": 250,
    "UINT": 60_000,
    "UDINT": 4_000_000_000,
    "ULINT": 1 << 63,
    "REAL": 12.5,
    "LREAL": 0.1,
}
"""CIP type -> value of the tag `One_TYPE`."""


def device(
    port: int, tags: list[dict[str, Any]], *, kind: str = "process", timeout_s: float = 5.0, **settings: Any
) -> Device:
    """A device with one scan of these tags."""
    named = [{"name": tag.get("name", tag["at"]), **tag} for tag in tags]
    url = f"enip://127.0.0.1:{port}"
    return Device(
        name="line", url=url, kind=kind, settings=settings, scans=numbered([(1.0, named)]), timeout_s=timeout_s
    )


def asking(*addresses: str) -> list[dict[str, Any]]:
    """Tags named as their addresses."""
    return [{"at": one} for one in addresses]


class Reader:
    """A collector, and what it gave, by the tags' names."""

    def __init__(self, given: Device) -> None:
        self.device = given
        self.refusals: list[str] = []
        self.collector = LogixCollector(given, clock=time.time_ns, refused=self.refusals.append)

    async def read(self) -> Columns:
        """One pass over the first scan."""
        return await self.collector.read(self.device.scans[0])

    async def rows(self) -> dict[str, Row]:
        """One pass, by name; an array's elements are `name[i]`."""
        columns = await self.read()
        found = {row.tag: row for row in columns.rows()}
        out: dict[str, Row] = {}
        for point in self.device.points:
            for at in range(point.count):
                name = point.name if point.count == 1 else f"{point.name}[{at}]"
                out[name] = found.pop(point.number + at)
        assert not found, "rows of no tag"
        return out

    async def values(self) -> dict[str, Any]:
        """One pass, values only."""
        return {name: row.value for name, row in (await self.rows()).items()}


@asynccontextmanager
async def reading(
    tags: list[dict[str, Any]],
    held: Controller | None = None,
    *,
    more: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[LogixServer, Reader]]:
    """A served controller and an opened collector of these tags; `more` is for the server."""
    server = await start(held or controller(), **(more or {}))
    reader = Reader(device(server.port, tags, **settings))
    try:
        await reader.collector.open()
        yield server, reader
    finally:
        await reader.collector.close()
        await server.close()


def run(work: Callable[[], Awaitable[Result]]) -> Result:
    """`asyncio.run` for a coroutine function."""

    async def main() -> Result:
        return await work()

    return asyncio.run(main())
