#!/bin/sh
# Fifty registers asked, ten come, and both sides call it a success: jsmodbus as server, pymodbus as client.
#
# Versions: jsmodbus 5.0.0 (npm) as server; pymodbus 3.16.1 and, for comparison, pyModbusTCP 0.3.1 as clients
# Expected: a server whose table ends at register 10 refuses a read of 50 from 0 with exception 2, illegal data address;
#           a client that gets other than the number of registers it asked for reports an error (Modbus Application
#           Protocol V1.1b3, 6.3: the byte count is twice the quantity of registers).
# Seen:     jsmodbus sends the ten it has, with a byte count of 20 and no exception; for a read that begins beyond the
#           end it sends none, with a byte count of 0. pymodbus returns both as normal replies: isError() is False,
#           `registers` has 10 entries, and none. pyModbusTCP refuses the short reply (last_error 4, reception).
# Matters:  code that takes the last registers of a reply for the last of the block puts values under the wrong names.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pymodbus==3.16.1 pyModbusTCP==0.3.1
HOME=$folder npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts jsmodbus@5.0.0

cat > serve.js <<'END'
const net = require("net");
const modbus = require("jsmodbus");
const socket = new net.Server();
const holding = Buffer.alloc(20);
for (let at = 0; at < 10; at += 1) holding.writeUInt16BE(100 + at, 2 * at);
new modbus.server.TCP(socket, { holding });
socket.listen(0, "127.0.0.1", () => console.log(socket.address().port));
END
cat > show.py <<'END'
import asyncio
import logging
import subprocess
import sys
from importlib.metadata import version

from pymodbus.client import AsyncModbusTcpClient
from pyModbusTCP.client import ModbusClient

logging.disable(logging.CRITICAL)
server = subprocess.Popen(["node", "serve.js"], stdout=subprocess.PIPE, text=True)
port = int(server.stdout.readline())


async def by_pymodbus():
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5)
    await client.connect()
    reply = await client.read_holding_registers(0, count=50, device_id=1)
    beyond = await client.read_holding_registers(20, count=5, device_id=1)
    client.close()
    return reply.isError(), reply.registers, beyond.isError(), beyond.registers


def by_pymodbustcp():
    client = ModbusClient("127.0.0.1", port, unit_id=1, timeout=5)
    values = client.read_holding_registers(0, 50)
    trouble = client.last_error
    client.close()
    return values, trouble


try:
    one, other = asyncio.run(by_pymodbus()), by_pymodbustcp()
finally:
    server.terminate()
    server.wait(10)
ten = list(range(100, 110))
print("versions", "jsmodbus 5.0.0 - pymodbus", version("pymodbus"), "- pyModbusTCP", version("pyModbusTCP"))
print("expected", "an exception from the server, or an error from each client")
print("seen    ", "pymodbus: isError", one[0], "registers", one[1], "; beyond the end:", one[2:])
print("         ", "pyModbusTCP:", other[0], "last_error", other[1])
sys.exit(0 if one == (False, ten, False, []) and other == (None, 4) else "the behaviour has changed")
END
timeout 60 v/bin/python show.py
