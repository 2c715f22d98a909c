"""Devices to collect from, in a process of their own: `python -m bench.field KIND COUNT [TAGS]`.

    modbus COUNT          so many servers of 2,000 registers each, as fast as sockets allow
    logix COUNT TAGS      so many simulated controllers of TAGS named DINT tags and ten INT[1000]
    opcua COUNT TAGS      one server of COUNT x TAGS nodes in folders of 100; each holds the number of its change, and
                          changes once a second

Prints the ports as JSON when all listen, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HOST = "127.0.0.1"
REGISTERS = 2000
ARRAYS, ARRAY = 10, 1000
FOLDER = 100
"""Nodes below one parent: adding to a large folder costs the server time that grows with its square."""
PORTIONS = 10
"""A second's changes are made in so many portions."""


class ModbusDevice(asyncio.Protocol):
    """One connection to a Modbus TCP server that knows reads of holding registers only."""

    asked = 0
    """Requests answered by all of them."""
    _data = struct.pack(f">{REGISTERS}H", *range(REGISTERS))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        while len(self._buffer) >= 8 and len(self._buffer) >= (end := 6 + int.from_bytes(self._buffer[4:6], "big")):
            request, self._buffer = self._buffer[:end], self._buffer[end:]
            if request[7] != 3:
                self._transport.write(request[:4] + struct.pack(">HBBB", 3, request[6], request[7] | 0x80, 1))
                continue
            start, count = struct.unpack_from(">HH", request, 8)
            body = self._data[2 * start : 2 * (start + count)]
            ModbusDevice.asked += 1
            self._transport.write(request[:4] + struct.pack(">HBBB", 3 + len(body), *request[6:8], len(body)) + body)


@contextmanager
def field(kind: str, count: int, tags: int = 0) -> Iterator[list[int]]:
    """A process of devices, and their ports."""
    words = [sys.executable, "-m", "bench.field", kind, str(count), str(tags)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ports: list[int] = json.loads(process.stdout.readline())
        try:
            yield ports
        finally:
            process.stdin.close()
            process.wait(30)


async def modbus(count: int) -> list[int]:
    """Start so many Modbus servers on ports of their own."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(ModbusDevice, HOST, 0) for _ in range(count)]
    return [server.sockets[0].getsockname()[1] for server in servers]


async def logix(count: int, tags: int) -> list[int]:
    """Start so many Logix controllers on ports of their own."""
    from simulator.logix.controller import Controller
    from simulator.logix.server import start

    ports = []
    for seed in range(count):
        controller = Controller(seed=seed)
        for number in range(tags):
            controller.tag(f"Tag_{number:05}", "DINT", value=number)
        for number in range(ARRAYS):
            controller.tag(f"Array_{number}", "INT", (ARRAY,), list(range(ARRAY)))
        ports.append((await start(controller)).port)
    return ports


async def opcua(count: int, tags: int) -> list[int]:
    """One server; its port stands for `count` devices, each of which reads nodes of its own."""
    from asyncua import Server, ua

    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://{HOST}:{port}/")
    space = await server.register_namespace("urn:bench")
    nodes = []
    for number in range(count * tags):
        if number % FOLDER == 0:
            name = f"folder{number // FOLDER}"
            folder = await server.nodes.objects.add_folder(ua.NodeId(name, space), f"{space}:{name}")
        nodes.append(ua.NodeId(number + 1, space))  # 0 is no id
        await folder.add_variable(nodes[-1], f"node{number}", 0, ua.VariantType.Int64)
    await server.start()
    _held.append(asyncio.create_task(_change(server, nodes)))
    return [port] * count


_held: list[asyncio.Task[None]] = []


async def _change(server: Any, nodes: list[Any]) -> None:
    from datetime import UTC, datetime

    from asyncua import ua

    loop = asyncio.get_running_loop()
    begun, round_ = loop.time(), 0
    while True:
        round_ += 1
        for portion in range(PORTIONS):
            moment = datetime.now(UTC)
            value = ua.DataValue(ua.Variant(round_, ua.VariantType.Int64), SourceTimestamp=moment)
            for node in nodes[portion::PORTIONS]:
                await server.write_attribute_value(node, value)
            await asyncio.sleep(max(0.0, begun + round_ + portion / PORTIONS - loop.time()))


async def _main(kind: str, count: int, tags: int) -> None:
    ports = await {
        "modbus": lambda: modbus(count),
        "logix": lambda: logix(count, tags),
        "opcua": lambda: opcua(count, tags),
    }[kind]()
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
