"""`simulate` from the command line: all devices of a scene, where they are, what they say, and how they end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client
from pycomm3 import LogixDriver
from pyModbusTCP.client import ModbusClient
from small_plant import fixed, on_free_ports, one_device

from protocol.errors import ConfigError
from simulator.main import Room, spoil
from simulator.opcua.values import moment_of
from simulator.plant.plant import Plant
from simulator.scene.file import load, parse

ROOT = Path(__file__).parents[2]
TICK = 100_000_000


@contextmanager
def running(scene: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command, once its ports file is there; it must be ended by the test or is killed."""
    ports = scene.with_name("ports.json")
    command = [sys.executable, "-m", "simulator.cli", "simulate", str(scene), "--ports-file", str(ports), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            deadline = time.monotonic() + 30
            while not ports.exists():
                assert process.poll() is None, process.stdout and process.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process, json.loads(ports.read_text())
        finally:
            process.kill()


@pytest.fixture
def scene_file(tmp_path: Path) -> Path:
    path = tmp_path / "scene.toml"
    path.write_text(on_free_ports(), encoding="utf-8")
    return path


def test_every_protocol_shows_the_plant_of_the_seed(scene_file: Path, tmp_path: Path) -> None:
    """What three clients read from the running command is what a plant of that seed says of that time."""
    status = tmp_path / "status.json"
    with running(scene_file, "--seed", "31", "--status", str(status)) as (process, places):
        twin = Plant(load(scene_file), 31)
        asyncio.run(opcua_agrees(twin, places["turbine-1"]["url"]))
        modbus_agrees(twin, places["pump-7"]["port"])
        logix_agrees(twin, places["packaging-2"]["port"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout is not None
        said = process.stdout.read()
    for asset, place in places.items():
        assert f"{asset}: {place['protocol']} {place['url']}" in said
    assert "seed 31" in said
    assert "Traceback" not in said
    told = json.loads(status.read_text())
    assert told["assets"]["pump-7"]["counts"]["requests"] >= 1
    assert told["assets"]["turbine-1"]["counts"]["connections"] == 1
    assert told["ticks"] >= 1
    assert sorted(os.listdir(tmp_path)) == ["ports.json", "scene.toml", "status.json"]


async def opcua_agrees(twin: Plant, url: str) -> None:
    """Value and source time of every good point, against the model at that source time."""
    logging.getLogger("asyncua.client").setLevel(logging.ERROR)
    points = twin.scene.servers[1].points
    async with Client(url, timeout=10) as client:
        got = await client.read_attributes([client.get_node(f"ns=2;s={point.name}") for point in points])
    good = 0
    for point, data in zip(points, got, strict=True):
        if data.StatusCode.value == 0:
            time_ns = int((data.SourceTimestamp - moment_of(0)) / timedelta(microseconds=1)) * 1000
            # A step of a trip has its own time between two ticks, and is shown from the next tick on.
            shown_ns = time_ns + twin.scene.tick_ms * 1_000_000 - 1000
            shown = twin.at(shown_ns)
            assert data.Value.Value == shown.values[point.number], point.name
            assert time_ns == shown.times_ns[point.number] // 1000 * 1000, point.name
            good += 1
    assert good >= len(points) - 2


def modbus_agrees(twin: Plant, port: int) -> None:
    """One read holds the values of one tick, between the asking and the answer."""
    numbers = [twin.point("pump-7", name).number for name in ("discharge_pressure", "suction_pressure", "flow")]
    client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, timeout=5)
    first = time.time_ns()
    held = client.read_holding_registers(0, 6)
    last = time.time_ns()
    client.close()
    assert held is not None
    got = list(struct.unpack(">fff", struct.pack(">6H", *held)))
    # a tick takes effect when the process gets to it, so the tick before may still be shown
    shown = [[twin.at(at).values[number] for number in numbers] for at in range(first - 5 * TICK, last + TICK, TICK)]
    assert got in shown


def logix_agrees(twin: Plant, port: int) -> None:
    """One tag read as a whole structure belongs to one tick."""
    names = ("State", "Good", "Rejected", "CycleTime")
    numbers = [twin.point("packaging-2", f"Filler.{name}").number for name in names]
    first = time.time_ns()
    with LogixDriver(f"127.0.0.1:{port}") as driver:
        tag = driver.read("Filler")
    last = time.time_ns()
    assert tag.error is None
    shown = [[twin.at(at).values[number] for number in numbers] for at in range(first - 5 * TICK, last + TICK, TICK)]
    assert [tag.value[name] for name in names] in shown


def test_a_taken_port_moves_up_and_is_printed(tmp_path: Path) -> None:
    """The wanted port is somebody else's: the next free one is used, said and written."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        scene = tmp_path / "scene.toml"
        text = on_free_ports()
        scene.write_text(
            text[: text.index('asset = "turbine-1"')]
            .rpartition("[[server]]")[0]
            .replace("port = 0", f"port = {wanted}")
        )
        with running(scene) as (process, places):
            assert places["pump-7"]["port"] > wanted
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert process.stdout is not None
            assert f"(port {wanted} was taken)" in process.stdout.read()


def test_mistakes_end_with_2_and_a_next_step(tmp_path: Path) -> None:
    """A scene that is none, a fault that is none."""
    scene = tmp_path / "scene.toml"
    scene.write_text('[[server]]\nasset = "a"\nprotocol = "telex"\nport = 0\n')
    for given, expected in ((["nosuch"], "hint: give a file"), ([str(scene)], "modbus, opcua, enip")):
        command = [sys.executable, "-m", "simulator.cli", "simulate", *given]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert expected in done.stderr
        assert "Traceback" not in done.stderr


def test_a_running_plant_is_broken_and_healed_by_lines(tmp_path: Path) -> None:
    """`--control`: a fault given while it runs is met, counted, listed and healed; the console says what was asked."""
    scene = tmp_path / "scene.toml"
    text = on_free_ports()
    scene.write_text(text[: text.index('asset = "turbine-1"')].rpartition("[[server]]")[0], encoding="utf-8")
    with running(scene, "--control", "0") as (process, places):
        assert process.stdout is not None
        said = ""
        while "control: 127.0.0.1:" not in said:
            said = process.stdout.readline()
        client = ModbusClient(host="127.0.0.1", port=places["pump-7"]["port"], unit_id=1, timeout=20)
        with socket.create_connection(("127.0.0.1", int(said.rpartition(":")[2])), 20) as line:
            answers = line.makefile()

            def tell(words: str) -> str:
                line.sendall(f"{words}\n".encode())
                return answers.readline().strip()

            assert tell("fault pump-7 refuse 2 at holding:0") == "ok pump-7: refuse 2 at holding:0-0"
            assert client.read_holding_registers(0, 2) is None
            assert client.last_except == 2
            counts = json.loads(tell("counts pump-7").removeprefix("ok "))
            assert (counts["requests"], counts["faults"]) == (1, 1)
            assert tell("heal pump-7") == "ok pump-7 is well"
            assert client.read_holding_registers(0, 2) is not None
            assert tell("fault pump-7 restart 0.1s").startswith("ok")
            answers.close()
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_console_says_what_is_asked() -> None:
    """The line of a device names the questions since the last one, with how often, and what was refused."""

    async def run() -> None:
        room = Room(one_device([fixed("level", "holding:0", "uint16", 5)]), 1, "127.0.0.1")
        await room.open()
        client = ModbusClient(host="127.0.0.1", port=room.places()["device"]["port"], unit_id=1, timeout=20)
        for _ in range(3):
            assert await asyncio.to_thread(client.read_holding_registers, 0, 1) == [5]
        assert not await asyncio.to_thread(client.write_single_register, 0, 1)
        (line,) = room.news()
        assert line == (
            "device: 1 connected, 1 connections so far, 4 requests (holding 0+1 x3, write (6) x1), 1 writes refused"
        )
        client.close()
        await room.close()

    asyncio.run(run())


def test_faults_are_added_by_asset_and_text() -> None:
    """A fault reaches the device it names; an unknown asset or fault is refused with the names there are."""

    async def run() -> None:
        room = Room(one_device([fixed("level", "holding:0", "uint16", 5)]), 1, "127.0.0.1")
        await room.open()
        spoil(room, ["device: busy x1"])
        port = room.places()["device"]["port"]
        client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, timeout=5)
        assert await asyncio.to_thread(client.read_holding_registers, 0, 1) is None
        assert client.last_except == 6
        assert await asyncio.to_thread(client.read_holding_registers, 0, 1) == [5]
        for text in ("nobody: busy", "device: sleepy"):
            with pytest.raises(ConfigError):
                spoil(room, [text])
        client.close()
        await room.close()

    asyncio.run(run())


def test_the_console_says_who_comes_once_not_each_time() -> None:
    """A line when somebody is connected, none for one who only comes and goes, then one in ten looks."""

    async def run() -> None:
        room = Room(one_device([fixed("level", "holding:0", "uint16", 5)]), 1, "127.0.0.1")
        await room.open()
        port = room.places()["device"]["port"]

        async def visit() -> None:
            before = room.servers["device"][1].counts["connections"]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            while room.servers["device"][1].counts["connections"] == before or room.servers["device"][1].counts["open"]:
                await asyncio.sleep(0.001)

        lines = []
        for _ in range(25):
            await visit()
            lines += room.news()
        assert len(lines) == 3
        assert lines[0].startswith("device: 0 connected, 1 connections so far")
        await room.close()

    asyncio.run(run())


def test_a_device_that_cannot_start_ends_all() -> None:
    """The devices that were started are closed again, so that their ports are free."""

    async def run() -> None:
        good = {"asset": "good", "protocol": "modbus", "port": 0, "tag": [fixed("a", "holding:0", "uint16", 1)]}
        clash = [fixed("a", "holding:0", "float32", 1.0), fixed("b", "holding:1", "uint16", 1)]
        bad = {"asset": "bad", "protocol": "modbus", "port": 0, "tag": clash}
        room = Room(parse({"scene": {"name": "two"}, "server": [good, bad]}), 1, "127.0.0.1")
        with pytest.raises(ConfigError, match="shares holding:1"):
            await room.open()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", room.places()["good"]["port"])

    asyncio.run(run())
