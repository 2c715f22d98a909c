"""How the tests of the OPC UA collector make one, and read from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from collectors.base import Device, numbered
from collectors.opcua.collector import OpcUaCollector
from protocol.content.sample import Columns, Row
from protocol.errors import AssetError

Tags = list[dict[str, Any]]
MODES = ("subscribe", "poll")
BAD_NO_MATCH = 0x806F0000


def device(url: str, *scans: Tags, every: float = 0.1, wait: float = 5.0, kind: str = "process", **more: Any) -> Device:
    """A server with a scan a list of tags; keys that are none of the device's are its settings."""
    made = numbered([(every, tags) for tags in scans])
    own = {key: more.pop(key) for key in ("urls", "never_read", "folder", "requests_s") if key in more}
    return Device(name="t", url=url, kind=kind, settings=more, scans=made, timeout_s=wait, **own)


def collector(made: Device, clock: Callable[[], int] = time.time_ns) -> OpcUaCollector:
    """A collector whose refusals fail the test."""

    def refused(line: str) -> None:
        raise AssertionError(line)

    assert OpcUaCollector.check(made) == []
    return OpcUaCollector(made, clock=clock, refused=refused)


def latest(columns: Columns) -> dict[int, Row]:
    """The last row of each point."""
    return {row.tag: row for row in columns.rows()}


def run(main: Coroutine[Any, Any, None]) -> None:
    """In an event loop that fails the test where something was left to its exception handler."""
    unhandled: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        await main

    asyncio.run(watched())
    assert not unhandled


async def failure(plc: OpcUaCollector, made: Device) -> tuple[AssetError, list[Row]]:
    """The error that reading ends in, and the rows that came before it."""
    rows: list[Row] = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            rows += (await plc.read(made.scans[0])).rows()
        except AssetError as error:
            return error, rows
        await asyncio.sleep(0.01)
    raise AssertionError("it goes on reading")


async def until(plc: OpcUaCollector, made: Device, true: Callable[[list[Row]], bool], seconds: float = 20) -> list[Row]:
    """All rows that came until they fulfil a condition."""
    rows: list[Row] = []
    deadline = time.monotonic() + seconds
    while not true(rows):
        assert time.monotonic() < deadline, rows[-5:]
        await asyncio.sleep(0.02)
        rows += (await plc.read(made.scans[0])).rows()
    return rows


def text_tags(*names: str) -> Tags:
    """Tags by text id."""
    return [{"name": name, "at": f"ns=2;s={name}"} for name in names]
