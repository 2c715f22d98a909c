#!/bin/sh
# Of ten requests in one segment one is answered: pymodbus's server drops the rest.
#
# Versions: pymodbus 3.16.1 and, for comparison, pyModbusTCP 0.3.1, both as servers
# Expected: a Modbus TCP client may have several transactions open, told apart by their numbers, and TCP may bring
#           several requests in one piece. A server answers each, or refuses those beyond its limit with exception 6,
#           busy (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, on the server's transactions).
# Seen:     pyModbusTCP answers ten of ten. pymodbus answers one; the other nine have no reply, no refusal and no line
#           in its log at level warning. One after another, each waiting for its reply, all ten are answered.
# Matters:  a test that stands on this server takes a pipelining client for broken, or hides that it pipelines.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pymodbus==3.16.1 pyModbusTCP==0.3.1

cat > show.py <<'END'
import asyncio
import logging
import socket
import struct
import sys
from importlib.metadata import version

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pyModbusTCP.server import ModbusServer

REQUESTS = [struct.pack(">HHHBBHH", number, 0, 6, 1, 3, 0, 2) for number in range(1, 11)]
complaints = []


class Listening(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


logging.getLogger().addHandler(Listening(logging.WARNING))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def answered(port, together):
    """The numbers of the transactions that were answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    numbers = []
    for piece in [b"".join(REQUESTS)] if together else REQUESTS:
        writer.write(piece)
        for _ in range(len(piece) // 12):
            try:
                reply = await asyncio.wait_for(reader.readexactly(13), 3)
            except asyncio.TimeoutError:
                break
            numbers.append(struct.unpack(">H", reply[:2])[0])
    writer.close()
    return numbers


async def both(port):
    return len(await answered(port, True)), len(await answered(port, False))


async def of_pymodbus():
    port = free_port()
    device = SimDevice(id=1, simdata=[SimData(0, count=10, values=7, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer([device], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    seen = await both(port)
    await server.shutdown()
    return seen


def of_pymodbustcp():
    port = free_port()
    server = ModbusServer("127.0.0.1", port, no_block=True)
    server.start()
    seen = asyncio.run(both(port))
    server.stop()
    return seen


seen = {"pymodbus": asyncio.run(of_pymodbus()), "pyModbusTCP": of_pymodbustcp()}
print("versions", ", ".join(f"{name} {version(name)}" for name in seen))
print("expected", "10 answers of 10, together and one by one")
print("seen    ", "together, one by one:", seen, "- complaints in the log:", len(complaints))
known = seen == {"pymodbus": (1, 10), "pyModbusTCP": (10, 10)} and not complaints
sys.exit(0 if known else f"the behaviour has changed {complaints[:3]}")
END
timeout 90 v/bin/python show.py
