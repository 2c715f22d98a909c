"""The scenes that are shipped: they hold what they promise, run, and go through all their faults."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import struct
import tomllib
from typing import Any

import pytest
from asyncua import Client
from modbus_client import read, request
from pycomm3 import LogixDriver

from simulator.device_faults import Act
from simulator.main import Room
from simulator.modbus.framing import crc
from simulator.plant.plant import Plant
from simulator.plant.troubles import WORDS, SourceClock
from simulator.scene.file import SCENES, load, parse
from simulator.scene.scene import Scene


def on_free_ports(name: str) -> Scene:
    """A shipped scene with every port 0."""
    text = (SCENES / f"{name}.toml").read_text(encoding="utf-8")
    return parse(tomllib.loads(re.sub(r"(?m)^port = \d+", "port = 0", text)))


@pytest.mark.parametrize("name", ["small", "large", "awkward"])
def test_a_shipped_scene_is_well_formed(name: str) -> None:
    """Read without a mistake, and every fault of it is one that some device takes."""
    scene = load(name)
    assert scene.name == name
    assert {section.protocol for section in scene.servers} == {"modbus", "opcua", "enip"}


def test_the_first_scene_of_the_page_works_in_ten_lines() -> None:
    """What `docs/simulator.md` shows can be served as it stands."""
    page = (SCENES.parents[1] / "docs" / "simulator.md").read_text(encoding="utf-8")
    text = page.partition("```toml\n")[2].partition("```")[0]
    assert len(text.splitlines()) == 10
    for protocol in ("modbus", "opcua", "enip"):
        scene = parse(tomllib.loads(text.replace("modbus", protocol).replace("port = 15020", "port = 0")))
        assert [point.name for point in scene.points] == ["level", "valve", "outflow", "high"]

    async def run() -> None:
        room = Room(parse(tomllib.loads(text.replace("port = 15020", "port = 0"))), 1, "127.0.0.1")
        await room.open()
        port = room.places()["tank-1"]["port"]
        assert len(await exchange(port, request(1, read(3, 0, 5)))) == 9 + 10
        await room.close()

    asyncio.run(run())


def test_the_valve_closes_and_the_flow_falls() -> None:
    """In the small scene the flow is gone a moment after the discharge valve is shut."""
    plant = Plant(load("small"), 1)
    valve, flow = plant.point("pump-7", "valve_position").number, plant.point("pump-7", "flow").number
    seen = [plant.at(1_795_420_000_000_000_000 + at * 1_000_000_000).values for at in range(300)]
    shut = [at for at in range(1, 300) if seen[at][valve] == 0 and seen[at - 1][valve] == 0]
    assert len(shut) >= 10
    assert all(float(seen[at][flow]) < 10 for at in shut)
    assert max(float(one[flow]) for one in seen) > 150


def test_the_large_scene_is_large() -> None:
    """10,000 tags on 30 devices, no two of which want one port."""
    scene = load("large")
    assert (len(scene.points), len(scene.servers)) == (10_000, 30)
    ports = [section.port for section in scene.servers if "behind" not in section.settings]
    assert len(ports) == len(set(ports))


def test_the_awkward_scene_has_every_oddity() -> None:
    """Each kind of fault, of trouble and of wrong clock is in it."""
    words = {fault.what.partition(" ")[0] for fault in load("awkward").faults}
    acts = {str(act) for act in Act} - {"refuse"}
    assert acts <= words | {"refuse"}
    assert set(WORDS) <= words
    clocks = {fault.what.split()[1] for fault in load("awkward").faults if fault.what.startswith("clock")}
    assert clocks == {str(clock) for clock in SourceClock} - {"right"}
    assert {"restart", "download"} <= words


def test_the_awkward_scene_lives_through_its_faults() -> None:
    """Ten minutes of its schedule, every report made; with all faults gone, all devices answer."""

    async def run() -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        scene = on_free_ports("awkward")
        room = Room(scene, 5, "127.0.0.1")
        await room.open()
        try:
            for second in range(0, 600, 7):
                room.plant.advance(room.plant.moment.time_ns + 7_000_000_000)
                room.keep_schedule(float(second))
                assert len(room.report()["assets"]) == len(scene.servers)
            for asset, (_, server) in room.servers.items():
                server.faults.clear()
                while server.faults.away:
                    await asyncio.sleep(0.02)
                settled: Any = getattr(server, "settled", None)
                if settled is not None:
                    await settled()
                assert server.faults.texts() == [], asset
            await answers(room)
        finally:
            await room.close()

    asyncio.run(run())


async def answers(room: Room) -> None:
    """Each kind of device, asked by a client of its own kind."""
    ports = {asset: place["port"] for asset, place in room.places().items()}
    plain = await exchange(ports["gateway-1"], request(1, read(3, 65535, 1)))
    assert plain == request(1, b"\x03\x02\xff\xff")
    behind = await exchange(ports["relay-2"], request(1, read(1, 0, 1), unit=9))
    assert behind == request(1, b"\x81\x0b", unit=9)
    window = await exchange(ports["relay-2"], request(1, read(4, 1000, 30), unit=2))
    assert len(window) == 9 + 60
    serial = bytes((247,)) + read(4, 0, 2)
    reply = await exchange(ports["meter-3"], serial + struct.pack("<H", crc(serial)))
    assert (reply[:3], crc(reply)) == (bytes((247, 4, 4)), 0)
    untrusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    untrusting.check_hostname, untrusting.verify_mode = False, ssl.CERT_NONE
    assert (await exchange(ports["vault-4"], request(1, read(3, 0, 1), unit=77), untrusting))[
        :7
    ].hex() == "0001000000054d"

    def logix(asset: str, *tags: str) -> list[Any]:
        with LogixDriver(f"127.0.0.1:{ports[asset]}") as driver:
            found = [driver.read(tag) for tag in tags]
            assert all(one.error is None for one in found), found
            return [one.value for one in found]

    assert len((await asyncio.to_thread(logix, "old-5", "Counts{400}"))[0]) == 400
    assert (await asyncio.to_thread(logix, "small-6", "Cube[2,3,4]", "Bits[39]"))[0] > 0
    assert len((await asyncio.to_thread(logix, "edited-7", "Nested[1]"))[0]["Parts"]) == 3
    async with Client(f"opc.tcp://127.0.0.1:{ports['odd-8']}/", timeout=10) as client:
        parent = await client.nodes.objects.get_child(["2:odd", "2:types", "2:odd-8"])
        children = await parent.get_children()
        assert {type(child.nodeid.Identifier) for child in children} >= {int}
        data = await client.read_attributes(children)
        assert sum(one.StatusCode.is_good() and one.Value is not None for one in data) >= 20


async def exchange(port: int, raw: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """Bytes there and the first bytes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(raw)
        return await asyncio.wait_for(reader.read(300), 10)
    finally:
        writer.transport.abort()
