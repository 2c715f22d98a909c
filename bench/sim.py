"""The simulator under load: each false device in a process of its own, as `checkvalve simulate` starts it.

    sim.modbus          one register read after another on each of 16 connections, raw sockets
    sim.enip            1,000 named tags of one controller, read by pycomm3 in packets of many
    sim.opcua.ready     from the start of the process until 10,000 nodes are served
    sim.opcua.changes   10,000 nodes that change twice a second, one subscriber: changes that arrived
    sim.large.cpu       cores of the large scene while every device of it is read once a second
    sim.large.rss       its memory then

The load is made in this process, on the same machine, so a figure holds both ends' share of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.figures import BenchRow

CONNECTIONS = 16
TAGS, CLIENTS = 1000, 2
NODES = 10_000
ITEMS = 1000
"""Monitored items asked for in one request."""

START_S = 120.0
"""Longest wait for a scene."""

RATE_S = 3.0
"""One run of a rate [s]."""

LISTEN_S = 8.0
"""One run of a subscription [s]."""

LARGE_S = 10.0
"""One run of the large scene [s]."""

_TICKS = os.sysconf("SC_CLK_TCK")

MODBUS = """
[scene]
name = "one"
[[server]]
asset = "one"
protocol = "modbus"
port = 0
tag = [{ name = "r{i}", repeat = 125, step = 1, at = "holding:0", type = "uint16", signal = { kind = "counter" } }]
"""

LOGIX = f"""
[scene]
name = "one"
[[server]]
asset = "one"
protocol = "enip"
port = 0
firmware = "33.11"
tag = [{{ name = "Tag_{{i:04}}", repeat = {TAGS}, type = "int32", signal = {{ kind = "counter" }} }}]
"""

OPCUA = f"""
[scene]
name = "one"
tick_ms = 500
[[server]]
asset = "one"
protocol = "opcua"
port = 0
tag = [{{ name = "Rack.P{{i:05}}", repeat = {NODES}, type = "float64", unit = "bar", low = 0, high = 100, signal = {{ kind = "sine", mean = 50, span = 40, period_s = 7 }} }}]
"""  # noqa: E501 - a scene's tag is one line


class Running:
    """A scene that is served."""

    def __init__(self, process: subprocess.Popen[bytes], places: dict[str, Any], ready_s: float) -> None:
        self.pid = process.pid
        self.places = places
        self.ready_s = ready_s

    @property
    def port(self) -> int:
        """The TCP port of the asset named `one`."""
        return int(self.places["one"]["port"])

    def cpu_s(self) -> float:
        """Processor time so far [s]."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mb(self) -> float:
        """Memory of the simulator now [MB]."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e6


@contextmanager
def scene(text: str) -> Iterator[Running]:
    """A scene by its text, or by the name of one that is shipped; ended at the end."""
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as folder:
        given, ports = text, Path(folder) / "ports.json"
        if "\n" in text:
            path = Path(folder) / "scene.toml"
            path.write_text(text)
            given = str(path)
        words = [sys.executable, "-m", "simulator.cli", "simulate", given, "--ports-file", str(ports)]
        began = time.monotonic()
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, cwd=Path(__file__).parent.parent)
        try:
            while not ports.exists():
                if process.poll() is not None or time.monotonic() > began + START_S:
                    raise RuntimeError((Path(folder) / "log").read_text()[-2000:])
                time.sleep(0.01)
            yield Running(process, json.loads(ports.read_text()), time.monotonic() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def measure(runs: int = 5) -> list[BenchRow]:
    """All rows.

    Args:
        runs: Of each rate; a subscription and the large scene are run a third as often, once at least.
    """
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    logging.getLogger("pycomm3").setLevel(logging.CRITICAL)
    few = max(1, runs // 3)
    with scene(MODBUS) as one:
        requests = [modbus_rate(one.port, RATE_S) for _ in range(runs)]
    # pycomm3 is the slower end by far, so two of them ask, each a process of its own.
    with scene(LOGIX) as one, ProcessPoolExecutor(CLIENTS, get_context("spawn")) as clients:
        tags = [sum(clients.map(logix_rate, [one.port] * CLIENTS, [RATE_S] * CLIENTS)) for _ in range(runs)]
    ready, changes = [], []
    for _ in range(few):
        with scene(OPCUA) as one:
            ready.append(one.ready_s)
            changes.append(asyncio.run(change_rate(one.port, LISTEN_S)))
    cpu, rss = [], []
    for _ in range(few):
        with scene("large") as one:
            used = large(one, LARGE_S)
            cpu.append(used[0])
            rss.append(used[1])
    return [
        BenchRow(
            row="sim.modbus", unit="requests/s", runs=tuple(requests), note=f"{CONNECTIONS} connections, one at a time"
        ),
        BenchRow(
            row="sim.enip",
            unit="tags/s",
            runs=tuple(tags),
            note=f"{TAGS} named tags a poll, {CLIENTS} times pycomm3",
        ),
        BenchRow(row="sim.opcua.ready", unit="s", runs=tuple(ready), note=f"{NODES} nodes with unit and range"),
        BenchRow(
            row="sim.opcua.changes", unit="changes/s", runs=tuple(changes), note="asyncua's client, one subscription"
        ),
        BenchRow(
            row="sim.large.cpu", unit="cores", runs=tuple(cpu), note="30 devices, 10,000 tags, all read each second"
        ),
        BenchRow(row="sim.large.rss", unit="MB", runs=tuple(rss), note="same"),
    ]


def modbus_rate(port: int, seconds: float) -> float:
    """Requests answered in a second over CONNECTIONS connections, each with one under way; every reply is checked."""
    request = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 0, 10)
    size, head = 9 + 20, struct.pack(">HHHBBB", 7, 0, 23, 1, 3, 20)
    selector = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        made = socket.create_connection(("127.0.0.1", port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.sendall(request)
        selector.register(made, selectors.EVENT_READ)
    done, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        for key, _ in selector.select(1.0):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            reply = connection.recv(size)
            while len(reply) < size:
                more = connection.recv(size - len(reply))
                if not more:
                    raise ConnectionError("the simulator closed a connection")
                reply += more
            if reply[:9] != head:
                raise RuntimeError(f"not the reply: {reply.hex()}")
            done += 1
            connection.sendall(request)
    took = time.monotonic() - began
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    selector.close()
    return done / took


def logix_rate(port: int, seconds: float) -> float:
    """Named tags read in a second; every one must have a value."""
    from pycomm3 import LogixDriver

    names = [f"Tag_{at:04}" for at in range(1, TAGS + 1)]
    with LogixDriver(f"127.0.0.1:{port}") as driver:
        driver.read(*names)
        done, began = 0, time.monotonic()
        while time.monotonic() < began + seconds:
            got = driver.read(*names)
            if any(tag.error for tag in got):
                raise RuntimeError("a tag could not be read")
            done += len(got)
        return done / (time.monotonic() - began)


class _Heard:
    """Counts what a subscription tells."""

    def __init__(self) -> None:
        self.count = 0

    def datachange_notification(self, *_: Any) -> None:
        """Count a change that the server reports."""
        self.count += 1

    def status_change_notification(self, status: Any) -> None:
        """The subscription ended: the figure would be wrong."""
        raise RuntimeError(str(status))


async def change_rate(port: int, seconds: float) -> float:
    """Changes that one subscriber of all nodes hears in a second."""
    from asyncua import Client

    heard = _Heard()
    async with Client(f"opc.tcp://127.0.0.1:{port}/", timeout=30, watchdog_intervall=20) as client:
        subscription = await client.create_subscription(200, heard)
        nodes = [client.get_node(f"ns=2;s=Rack.P{at:05}") for at in range(1, NODES + 1)]
        for at in range(0, NODES, ITEMS):
            await subscription.subscribe_data_change(nodes[at : at + ITEMS], queuesize=10)
        await asyncio.sleep(2)
        before, began = heard.count, time.monotonic()
        await asyncio.sleep(seconds)
        return (heard.count - before) / (time.monotonic() - began)


def large(one: Running, seconds: float) -> tuple[float, float]:
    """Cores and memory of the large scene while a client reads each device of it once a second."""
    with ExitStack() as stack:
        readers = [_reader(place, stack) for place in one.places.values()]
        for read in readers:
            read()
        began, before, turn = time.monotonic(), one.cpu_s(), 0
        while time.monotonic() < began + seconds:
            for read in readers:
                read()
            turn += 1
            time.sleep(max(0.0, began + turn - time.monotonic()))
        return (one.cpu_s() - before) / (time.monotonic() - began), one.rss_mb()


def _reader(place: dict[str, Any], stack: ExitStack) -> Callable[[], object]:
    """What reads most of a device once; its connection ends with `held`."""
    port = int(place["port"])
    if place["protocol"] == "modbus":
        made = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        reads = [(3, 0, 120), (3, 120, 100), (4, 0, 120), (2, 0, 30)]
        requests = b"".join(struct.pack(">HHHBBHH", at, 0, 6, place["unit"], *one) for at, one in enumerate(reads))
        size = sum(9 + (2 * count if function > 2 else (count + 7) // 8) for function, _, count in reads)

        def ask() -> None:
            made.sendall(requests)
            got = b""
            while len(got) < size:
                part = made.recv(4096)
                if not part:
                    raise ConnectionError("the simulator closed a connection")
                got += part

        return ask
    if place["protocol"] == "enip":
        from pycomm3 import LogixDriver

        driver = stack.enter_context(LogixDriver(f"127.0.0.1:{port}"))
        names = ["Drive{30}", "Seal_Temp{64}", "Lane_Count{20}", "Line_Speed", "Line_State", "Recipe"]
        return lambda: driver.read(*names)
    from asyncua.sync import Client

    client = stack.enter_context(Client(f"opc.tcp://127.0.0.1:{port}/", timeout=30))
    nodes = [client.get_node(f"ns=2;s=Exhaust.T{at:03}") for at in range(1, 116)]
    nodes += [client.get_node(f"ns=2;s=Casing.T{at:02}") for at in range(1, 81)]
    return lambda: client.read_values(nodes)


def main() -> None:
    """`python -m bench.sim [RUNS]`: the table on the console."""
    from bench.figures import machine, show
    from protocol import terminal

    show(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3), machine(), terminal.console())


if __name__ == "__main__":
    main()
