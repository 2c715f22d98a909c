"""Nothing of pymodbus's that writes, or that is not needed, gets a byte past the guard."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from modbus_peer import Peer
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.file_message import FileRecord

from collectors.base import Device, numbered
from collectors.guard import Guard, WriteRefused
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.guard import allowed, hook
from protocol.content.sample import Quality

READS = {
    "read_coils",
    "read_discrete_inputs",
    "read_holding_registers",
    "read_input_registers",
    "read_device_information",
}
NO_REQUEST = {"execute", "convert_from_registers", "convert_to_registers"}
ARGUMENTS: dict[str, Any] = {
    "address": 0,
    "value": True,
    "values": [1],
    "msg": b"\1\2",
    "toggle": True,
    "read_count": 1,
    "records": [FileRecord(file_number=1, record_number=1, record_data=b"ab")],
}
OTHERS = sorted(
    name
    for name, method in inspect.getmembers(ModbusClientMixin, inspect.isfunction)
    if not name.startswith("_") and name not in READS | NO_REQUEST
)


def device(peer: Peer) -> Device:
    """One register; of kind `safety`, so that nothing but reads would be sent."""
    tags = [{"name": "a", "at": "holding:0", "type": "uint16"}]
    return Device(name="pump", url=peer.url, kind="safety", settings={}, scans=numbered([(1.0, tags)]))


def test_the_list_of_refused_calls_is_the_librarys_own() -> None:
    """The writes are among what is tried below; a call that a newer library brings is tried too."""
    writes = {"write_coil", "write_coils", "write_register", "write_registers", "mask_write_register"}
    assert writes | {"readwrite_registers", "write_file_record", "diag_restart_communication"} <= set(OTHERS)
    assert len(OTHERS) >= 30


@pytest.mark.parametrize("name", [*OTHERS, "vendor function 100", "CANopen 43/13"])
def test_no_byte_of_a_call_that_is_not_a_read_reaches_the_device(name: str) -> None:
    """It is refused, counted and reported, and the collector reads on over the same connection."""

    async def main() -> None:
        async with Peer() as peer:
            made = device(peer)
            lines: list[str] = []
            plc = ModbusCollector(made, clock=lambda: 0, refused=lines.append)
            await plc.open()
            with pytest.raises(WriteRefused):
                await call(plc, name)
            await plc.read(made.scans[0])
            assert [str(asked) for asked in peer.asked] == ["read holding 0..0"]
            assert peer.received == 12
            assert peer.connections == 1
            assert plc.guard.count == len(lines) == 1
            assert lines[0].startswith("pump: modbus function ")
            columns = await plc.read(made.scans[0])
            assert columns.quality.tolist() == [Quality.GOOD]
            await plc.close()

    asyncio.run(main())


async def call(plc: ModbusCollector, name: str) -> None:
    """The library's call of that name, on the collector's own client."""
    assert plc._line is not None
    client = plc._line.client
    assert client is not None
    if name in OTHERS:
        method = getattr(client, name)
        needed = [
            parameter.name
            for parameter in inspect.signature(method).parameters.values()
            if parameter.default is inspect.Parameter.empty or parameter.name in ("values", "read_count")
        ]
        await method(**{each: ARGUMENTS[each] for each in needed})
    else:
        request = ModbusPDU(dev_id=1)
        request.function_code = 43 if "43" in name else 100
        request.encode = lambda: b"\x0d\0\0"  # type: ignore[method-assign]
        await client.execute(False, request)


def test_only_four_functions_and_the_identification_are_on_the_list() -> None:
    """Unknown is refused: every code of a byte is tried, with and without what may stand behind it."""
    for function in range(256):
        read = bytes([function, 0, 0, 0, 1])
        assert allowed(read) is (function in (1, 2, 3, 4))
        assert allowed(bytes([function, 14, 1, 0])) is (function == 43)
        assert not allowed(bytes([function, 13, 1, 0]))
        assert not allowed(read + b"\6")
        assert not allowed(read[:-1])


@pytest.mark.parametrize(
    "frame",
    [
        "000100000006010300000001" + "00020000000601060000ffff",  # a write that rides behind a read
        "000100010006010300000001",  # another protocol
        "000100000007010300000001",  # a length that is not the frame's
        "00010000000201",
        "",
    ],
)
def test_a_frame_is_exactly_one_read(frame: str) -> None:
    """The header is looked at too, so that what is checked is what the device would run."""
    guard = Guard("d", lambda line: None)
    with pytest.raises(WriteRefused, match="malformed"):
        hook(guard, rtu=False)(True, bytes.fromhex(frame))
    assert guard.count == 1


def test_what_comes_in_is_not_judged() -> None:
    """The guard stands in front of the device, not of us."""
    check = hook(Guard("d", lambda line: None), rtu=False)
    assert check(False, b"\x06") == b"\x06"
    read = bytes.fromhex("000100000006010300000001")
    assert check(True, read) == read


def test_the_guard_reads_rtu_frames_too() -> None:
    """Function at the second byte, checksum at the end."""
    check = hook(Guard("d", lambda line: None), rtu=True)
    read = bytes.fromhex("010300000001840a")
    assert check(True, read) == read
    with pytest.raises(WriteRefused, match="function 6"):
        check(True, bytes.fromhex("0106000000018 40a".replace(" ", "")))
