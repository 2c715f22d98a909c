#!/bin/sh
# pymodbus's server refuses under a function code that nobody asked for.
#
# Versions: pymodbus 3.16.1 and, for comparison, pyModbusTCP 0.3.1, both as servers
# Expected: a server answers what it will not do with the function code of the request plus 0x80, and says why: 126
#           registers are one too many, exception 3 (illegal data value), 83 03; function 65 is not known, C1 01
#           (Modbus Application Protocol V1.1b3, 6.3 and 7).
# Seen:     pymodbus answers both with 80 01, the refusal of a function 0 that does not exist, always with reason 1. An
#           address out of range is answered as it should be (83 02). pyModbusTCP answers all three as expected.
# Matters:  a master that pairs replies by function code does not know this one as its answer, and one that sorts by
#           reason takes "too many at once" for "no such function" and gives up the function, not the size.
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
from pyModbusTCP.server import DataBank, ModbusServer

logging.disable(logging.CRITICAL)
REQUESTS = {
    "126 registers": b"\x03\x00\x00\x00\x7e",
    "function 65": b"\x41\x00",
    "address 60000": b"\x03\xea\x60\x00\x01",
}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def ask(port, pdu):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(struct.pack(">HHHB", 7, 0, len(pdu) + 1, 1) + pdu)
    reply = await asyncio.wait_for(reader.read(300), 5)
    writer.close()
    return reply[7:].hex()


async def pymodbus_answers():
    port = free_port()
    device = SimDevice(id=1, simdata=[SimData(0, count=500, values=7, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer([device], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    answers = {name: await ask(port, pdu) for name, pdu in REQUESTS.items()}
    await server.shutdown()
    return answers


async def pymodbustcp_answers():
    port = free_port()
    server = ModbusServer("127.0.0.1", port, no_block=True, data_bank=DataBank(h_regs_size=500))
    server.start()
    answers = {name: await ask(port, pdu) for name, pdu in REQUESTS.items()}
    server.stop()
    return answers


odd, plain = asyncio.run(pymodbus_answers()), asyncio.run(pymodbustcp_answers())
want = {"126 registers": "8303", "function 65": "c101", "address 60000": "8302"}
print("versions", "pymodbus", version("pymodbus"), "- pyModbusTCP", version("pyModbusTCP"))
print("expected", want)
print("seen    ", "pymodbus", odd, "- pyModbusTCP", plain)
if plain == want and odd == {"126 registers": "8001", "function 65": "8001", "address 60000": "8302"}:
    sys.exit(0)
sys.exit("the behaviour has changed")
END
v/bin/python show.py
