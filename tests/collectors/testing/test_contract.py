"""The project's own collectors keep every law of the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asyncua import ua
from enip_peer import controller
from modbus_peer import Peer
from opcua_peer import UaPeer
from overheard import heard

from collectors.enip.collector import LogixCollector
from collectors.modbus.collector import ModbusCollector
from collectors.opcua.collector import OpcUaCollector
from collectors.testing.contract import CollectorContract
from simulator.logix.server import start


def told(sent: bytes) -> list[tuple[str, bool]]:
    """As the contract wants it."""
    return [(one.what, one.reads) for one in heard(sent)]


class TestModbus(CollectorContract):
    """Modbus TCP, against a server of raw sockets."""

    collector = ModbusCollector
    tags = (
        {"name": "level", "at": "holding:0", "type": "float32"},
        {"name": "array", "at": "input:10", "type": "uint16", "count": 3},
        {"name": "coil", "at": "coil:3"},
        {"name": "contact", "at": "discrete:9"},
    )
    ranges = ("holding:0-9", "coil:0-4")
    fence = "holding:1-5"
    planted = bytes.fromhex("00 63 00 00 00 06 01 06 00 00 00 01")
    attempts = {  # noqa: RUF012 - never changed
        "write_register": lambda plc: plc._line.client.write_register(0, 1),
        "write_coils": lambda plc: plc._line.client.write_coils(0, [True]),
        "mask_write": lambda plc: plc._line.client.mask_write_register(address=0),
        "read and write": lambda plc: plc._line.client.readwrite_registers(read_count=1, values=[1]),
        "restart": lambda plc: plc._line.client.diag_restart_communication(True),
    }

    @asynccontextmanager
    async def device(self) -> AsyncIterator[int]:
        async with Peer() as peer:
            yield peer.port

    def url(self, port: int) -> str:
        return f"tcp://127.0.0.1:{port}"

    def heard(self, sent: bytes) -> list[tuple[str, bool]]:
        return told(sent)


def _logix(call: str, *arguments: Any, **options: Any) -> Any:
    return lambda plc: asyncio.to_thread(getattr(plc._driver, call), *arguments, **options)


class TestLogix(CollectorContract):
    """EtherNet/IP, against the simulated controller."""

    collector = LogixCollector
    tags = (
        {"name": "level", "at": "One_REAL"},
        {"name": "bit", "at": "Word.3"},
        {"name": "profile", "at": "Profile[0]", "count": 2000},
        {"name": "speed", "at": "Drives[1].Speed"},
        {"name": "text", "at": "Name"},
    )
    fence = "One_*"
    planted = bytes.fromhex(
        "6f00 1e00 00000000 00000000 0000000000000000 00000000"
        "00000000 0000 0200 0000 0000 b200 0e00 4d 03 9104 4c657665 c300 0100 0500"
    )
    attempts = {  # noqa: RUF012 - never changed
        "write": _logix("write", "One_DINT", 5),
        "write_many": _logix("write", ("One_DINT", 5), ("One_REAL", 1.0)),
        "write_bit": _logix("write", "Word.3", True),
        "write_array": _logix("write", "Ints{50}", list(range(50))),
        "set_clock": _logix("set_plc_time"),
        "reset": _logix("generic_message", service=0x05, class_code=0x01, instance=1),
    }

    @asynccontextmanager
    async def device(self) -> AsyncIterator[int]:
        server = await start(controller())
        try:
            yield server.port
        finally:
            await server.close()

    def url(self, port: int) -> str:
        return f"enip://127.0.0.1:{port}"

    def heard(self, sent: bytes) -> list[tuple[str, bool]]:
        return told(sent)


NODE = ua.NodeId("pressure", 2)
WRITTEN = ua.DataValue(ua.Variant(1.0))


class TestOpcUaPolled(CollectorContract):
    """OPC UA by polling, against asyncua's server."""

    collector = OpcUaCollector
    tags = (
        {"name": "pressure", "at": "ns=2;s=pressure"},
        {"name": "array", "at": "ns=2;s=array", "count": 3},
        {"name": "text", "at": "/Objects/2:Plant/2:string"},
    )
    fence = "ns=2;s=pressure"
    settings = {"mode": "poll"}  # noqa: RUF012 - never changed
    planted = b"MSGF" + (32).to_bytes(4, "little") + bytes(16) + b"\x01\x00" + (673).to_bytes(2, "little") + bytes(4)
    attempts = {  # noqa: RUF012 - never changed
        "write": lambda plc: plc._session._client.write_values([plc._session._client.get_node(NODE)], [1.0]),
        "call": lambda plc: plc._session._client.nodes.server.call_method("0:GetMonitoredItems", 1),
        "delete": lambda plc: plc._session._client.delete_nodes([plc._session._client.get_node(NODE)]),
        "add": lambda plc: plc._session._client.nodes.objects.add_variable(2, "more", 1.0),
    }
    peer: UaPeer

    @pytest.fixture(autouse=True)
    def _hold(self, peer: UaPeer) -> None:
        self.peer = peer

    @asynccontextmanager
    async def device(self) -> AsyncIterator[int]:
        yield self.peer.port

    def url(self, port: int) -> str:
        return f"opc.tcp://127.0.0.1:{port}/plc"

    def heard(self, sent: bytes) -> list[tuple[str, bool]]:
        return told(sent)


class TestOpcUaSubscribed(TestOpcUaPolled):
    """OPC UA by subscription."""

    settings = {}  # noqa: RUF012 - never changed
