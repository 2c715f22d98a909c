"""When a Logix device fails, the collector says so at once, keeps nothing of it, and recovers when opened again."""

from __future__ import annotations

import asyncio
import time

import pytest
from enip_peer import Reader, asking, device, reading, run

from protocol.content.sample import Quality
from protocol.errors import AssetError
from simulator.logix.controller import Controller
from simulator.logix.server import start


def test_a_cut_connection_fails_the_device_and_opening_again_works() -> None:
    """After the connection is gone a pass raises; `open` makes a new one; `close` may be called at any time."""

    async def work() -> None:
        async with reading(asking("One_REAL")) as (server, reader):
            await reader.read()
            await server.drop_clients()
            with pytest.raises(AssetError) as failed:
                await reader.read()
            assert failed.value.quality == Quality.BAD_COMMUNICATION
            with pytest.raises(AssetError) as closed:
                await reader.read()
            assert closed.value.quality == Quality.BAD_NOT_CONNECTED
            await reader.collector.open()
            assert await reader.values() == {"One_REAL": 12.5}
            await reader.collector.close()
            await reader.collector.close()

    run(work)


@pytest.mark.parametrize(
    ("fault", "quality"),
    [
        ("hang", Quality.BAD_TIMEOUT),
        ("late 3s", Quality.BAD_TIMEOUT),
        ("reset", Quality.BAD_COMMUNICATION),
        ("wrong_transaction", Quality.BAD_COMMUNICATION),
        ("wrong_function", Quality.BAD_COMMUNICATION),
        ("garbage", Quality.BAD_COMMUNICATION),
    ],
)
def test_a_device_that_misbehaves_fails_as_a_whole_and_recovers(fault: str, quality: int) -> None:
    """Silence, lateness, resets and replies to other requests end the connection; nothing of them becomes a value."""

    async def work() -> None:
        async with reading(asking("One_REAL", "One_INT"), timeout_s=1.0) as (server, reader):
            await reader.read()
            server.faults.add(f"{fault} x1")
            with pytest.raises(AssetError) as failed:
                await reader.read()
            assert failed.value.quality in (quality, Quality.BAD_TIMEOUT if fault == "garbage" else quality)
            await reader.collector.open()
            assert await reader.values() == {"One_REAL": 12.5, "One_INT": -3000}

    run(work)


@pytest.mark.parametrize("fault", ["refuse 16", "busy"])
def test_a_refused_tag_is_bad_with_its_status(fault: str) -> None:
    """A general status of the device itself is that tag's native code, and the connection stays."""

    async def work() -> None:
        async with reading(asking("One_REAL")) as (server, reader):
            server.faults.add(f"{fault} x1")
            row = (await reader.rows())["One_REAL"]
            assert (row.quality, row.native) == (Quality.BAD_DEVICE_FAILURE, 2 if fault == "busy" else 16)
            assert await reader.values() == {"One_REAL": 12.5}
            assert server.counts["connections"] == 1

    run(work)


def test_nobody_there_is_said_at_once() -> None:
    """A closed port fails `open` with BAD_COMMUNICATION, and names the device's answer."""

    async def work() -> None:
        server = await start(Controller())
        await server.close()
        reader = Reader(device(server.port, asking("One_REAL")))
        with pytest.raises(AssetError, match="refused") as failed:
            await reader.collector.open()
        assert failed.value.quality == Quality.BAD_COMMUNICATION

    run(work)


def test_a_cancelled_read_lets_go_of_the_thread() -> None:
    """A pass that is cancelled while the device hangs does not hold `close` until the timeout."""

    async def work() -> None:
        async with reading(asking("One_REAL"), timeout_s=30.0) as (server, reader):
            server.faults.add("hang")
            task = asyncio.create_task(reader.read())
            until = time.monotonic() + 10
            while not server.faults.met and time.monotonic() < until:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            began = time.monotonic()
            await reader.collector.close()
            assert time.monotonic() - began < 15

    run(work)
