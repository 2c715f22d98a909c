"""A Modbus client by hand: requests and replies as bytes, for tests of the false devices."""

from __future__ import annotations

import asyncio
import struct

from simulator.modbus.server import ModbusServer


def request(transaction: int, pdu: bytes, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def read(function: int, start: int, count: int) -> bytes:
    return struct.pack(">BHH", function, start, count)


async def frame(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """The next reply: transaction, unit, PDU."""
    transaction, protocol, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
    assert protocol == 0
    return transaction, unit, await reader.readexactly(length - 1)


async def ask(server: ModbusServer, pdu: bytes, unit: int = 1) -> bytes:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request(9, pdu, unit))
        transaction, answered, reply = await asyncio.wait_for(frame(reader), 5)
        assert (transaction, answered) == (9, unit)
        return reply
    finally:
        writer.close()
        await writer.wait_closed()
