"""A false controller that runs in a thread of its own, for clients that block; and raw bytes to put to one."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from simulator.logix.controller import Controller
from simulator.logix.server import LogixServer, start

Result = TypeVar("Result")

MOTOR = {
    "Running": True,
    "Fault": False,
    "Speed": 1480.0,
    "Hours": 321,
    "Codes": [1, 2, 3, 4],
    "Label": "abc",
    "Alarm": True,
    "Bits": [at == 33 for at in range(40)],
    "Big": 1 << 40,
}
"""Value of a tag of the type `Motor`."""


def filled() -> Controller:
    """A controller with every type, arrays to three dimensions, nested structures, a program and 300 small tags."""
    made = Controller(seed=7)
    made.template(
        "Motor",
        [
            *(("Running", "BOOL", 0), ("Fault", "BOOL", 0), ("Speed", "REAL", 0), ("Hours", "DINT", 0)),
            *(("Codes", "INT", 4), ("Label", "STRING", 0), ("Alarm", "BOOL", 0), ("Bits", "BOOL", 40)),
            ("Big", "LINT", 0),
        ],
    )
    made.template("Line", [("Rate", "REAL", 0), ("Drive", "Motor", 0), ("Spare", "Motor", 2)])
    values: dict[str, Any] = {
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
    for kind, value in values.items():
        made.tag(f"One_{kind}", kind, value=value)
    made.tag("Name", "STRING", value="hello")
    made.tag("Short", made.string_type(20), value="twenty at most")
    made.tag("Scada", "INT", (1000,), list(range(1000)))
    made.tag("Wave", "REAL", (5000,), [at / 4 for at in range(5000)])
    made.tag("Big", "LINT", (700,), [at << 33 for at in range(700)])
    made.tag("Grid", "DINT", (4, 5), list(range(20)))
    made.tag("Cube", "DINT", (2, 3, 4), list(range(24)))
    made.tag("Flags", "BOOL", (64,), [at in (0, 2, 32) for at in range(64)])
    made.tag("Word", "DINT", value=0b101)
    made.tag("M1", "Motor", value=MOTOR)
    made.tag("Motors", "Motor", (5,), [{**MOTOR, "Hours": at} for at in range(5)])
    made.tag("Packing", "Line", value={"Rate": 1.5, "Drive": MOTOR, "Spare": [MOTOR, {**MOTOR, "Speed": 2.0}]})
    made.tag("Program:Main.Speed", "REAL", value=3.5)
    made.tag("Program:Main.Step", "DINT", value=40)
    made.tag("Map:Local", "DINT", system=True)
    made.tag("__hidden", "DINT", system=True)
    for at in range(300):
        made.tag(f"T{at:03d}", "REAL", value=float(at))
    return made


class Line:
    """A server in a thread; `call` runs a function in its loop."""

    def __init__(self, server: LogixServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def counts(self) -> dict[str, int]:
        return self.call(lambda: self.server.counts)

    def call(self, work: Callable[[], Result]) -> Result:
        """What `work` gives, run where the controller runs."""

        async def run() -> Result:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


@contextmanager
def running(controller: Controller, **settings: Any) -> Iterator[Line]:
    """The controller, listening on a free port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(start(controller, **settings), loop).result(10)
        yield Line(server, loop)
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Wire:
    """A client of nothing but bytes: one TCP connection, requests as they are written down in the manual."""

    def __init__(self, port: int, *, timeout: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.session = 0
        self.connection = 0
        self.sequence = 0

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def command(self, number: int, body: bytes = b"", *, session: int | None = None) -> tuple[int, int, bytes]:
        """Send one encapsulation command; gives back session, status and body of the reply."""
        handle = self.session if session is None else session
        self.socket.sendall(struct.pack("<HHII8sI", number, len(body), handle, 0, b"contextX", 0) + body)
        command, _, handle, status, context, _ = struct.unpack("<HHII8sI", header := self.exactly(24))
        assert command == number
        assert context == b"contextX"
        return handle, status, self.exactly(struct.unpack_from("<H", header, 2)[0])

    def exactly(self, size: int) -> bytes:
        """That many bytes; ConnectionResetError where the other side closes."""
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def register(self) -> Wire:
        """Open a session."""
        self.session, status, _ = self.command(0x65, b"\x01\x00\x00\x00")
        assert status == 0
        return self

    def unconnected(self, cip: bytes) -> bytes:
        """Put a request outside a connection; the CIP reply."""
        body = struct.pack("<IHHHHHH", 0, 5, 2, 0, 0, 0xB2, len(cip)) + cip
        _, status, reply = self.command(0x6F, body)
        assert status == 0
        return reply[16:]

    def forward_open(
        self, size: int = 4000, *, large: bool = True, transport: int = 0xA3, slot: int = 0, serial: int = 77
    ) -> bytes:
        """Open a connection; the CIP reply."""
        sizes = "II" if large else "HH"
        one = struct.pack("<" + sizes[0], (0x4200 << 16 if large else 0x4200) | size)
        data = struct.pack("<BBIIHHIB3x", 10, 5, 0, 0x1234, serial, 0x1009, 0xAB, 7)
        data += struct.pack("<I", 2_000_000) + one + struct.pack("<I", 2_000_000) + one
        route = bytes((0x01, slot, 0x20, 0x02, 0x24, 0x01))
        data += bytes((transport, len(route) // 2)) + route
        reply = self.unconnected(bytes((0x5B if large else 0x54, 2, 0x20, 6, 0x24, 1)) + data)
        if reply[2] == 0:
            (self.connection,) = struct.unpack_from("<I", reply, 4)
        return reply

    def connected(self, cip: bytes) -> bytes:
        """Put a request by the connection; the CIP reply."""
        self.sequence += 1
        body = struct.pack("<IHHHHIHHH", 0, 0, 2, 0xA1, 4, self.connection, 0xB1, len(cip) + 2, self.sequence) + cip
        _, status, reply = self.command(0x70, body)
        assert status == 0, hex(status)
        assert struct.unpack_from("<H", reply, 20)[0] == self.sequence
        assert struct.unpack_from("<I", reply, 12)[0] == 0x1234
        return reply[22:]


def symbol(*names: str) -> bytes:
    """A path of names."""
    return b"".join(bytes((0x91, len(one))) + one.encode() + b"\0" * (len(one) % 2) for one in names)


def request(service: int, path: bytes, data: bytes = b"") -> bytes:
    """A CIP request."""
    return bytes((service, len(path) // 2)) + path + data
