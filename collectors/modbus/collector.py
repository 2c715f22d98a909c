"""Reads one Modbus device: pymodbus below, every reply checked again here.

pymodbus (3.16) answers some things that are no answers as if they were: fewer registers than asked for, input
registers for holding ones, a reply of any unit when unit 0 was asked. So a reply counts only if its function, unit
and length are those of the request; anything else is Bad_DecodingError. In RTU, where no number ties a reply to its
request, it ends the connection too: the replies could be one behind for ever. What the device says itself, an
exception, becomes the quality below, with the exception code beside it in `native`:

     1 function  2 address  3 value     Bad_ConfigurationError, see `isolate`
     5 acknowledge  6 busy              the last values again, Uncertain_LastUsableValue; Bad_NoData if there are none
    10 path unavailable  11 no reply    Bad_CommunicationError: the gateway is there, the device behind it is not
     4 failure  8 parity, and others    Bad_DeviceFailure

Silence, and a connection lost while a reply is awaited, are the whole device's (`AssetError`); the poller closes and
opens again. A device that hung up between two passes, as many do to a slow master, is connected to again at once.
pymodbus itself neither repeats nor reconnects (`retries=0`, `reconnect_delay=0`), and no call is wrapped in a shorter
wait.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Mapping

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.pdu import ModbusPDU

from collectors.base import Collector, Device, Draft, Facts, Identity, Request, Scan
from collectors.guard import Guard
from collectors.modbus import config as configuration
from collectors.modbus import guard as modbus_guard
from collectors.modbus import plan as planning
from collectors.modbus.config import Table
from collectors.modbus.decode import Decoder, Outcome, bad_rows
from collectors.modbus.isolate import Blocks
from collectors.modbus.plan import Read
from protocol.errors import AssetError
from protocol.sample import Columns, Quality, concat

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # it prints the last 20 frames at every error

_QUALITY = {
    1: Quality.BAD_CONFIGURATION,
    2: Quality.BAD_CONFIGURATION,
    3: Quality.BAD_CONFIGURATION,
    5: Quality.UNCERTAIN_LAST_USABLE,
    6: Quality.UNCERTAIN_LAST_USABLE,
    10: Quality.BAD_COMMUNICATION,
    11: Quality.BAD_COMMUNICATION,
}
"""By exception code (Modbus Application Protocol V1.1b3, 7); any other is Bad_DeviceFailure."""

_IDENTIFY_S = 1.0
"""Longest wait for the identification [s]: most devices that do not know it are silent, and nothing depends on it."""

_IDENTIFY_PAGES = 8
"""Most replies taken for one identification: three short texts fit in one, and a device may never say it is done."""

_NOTES = (
    "Modbus has no list of its registers, so only the identification can be read: type the addresses from the manual.",
    "Nothing is probed: a read of an address that was not meant can disturb a small device.",
)


class ModbusCollector(Collector):
    """One device at `tcp://host:port`; see README.md beside this file for its settings."""

    protocol = "modbus"

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__(device, clock=clock, refused=refused)
        self.config = configuration.load(device)
        self.guard = Guard(device.name, refused)
        self._client: AsyncModbusTcpClient | None = None
        self._identity = Identity()
        self._identify = self.config.identify
        self._asking = False
        self._left = False
        """The device hung up between two passes, as many do when nothing was asked for a while."""
        self._begin()

    def _begin(self) -> None:
        """Forget what the device refused and said before: it may have been mended or exchanged."""
        self._blocks = {
            _key(scan): Blocks(planning.reads(items, self.config), isolate=self.config.isolate)
            for scan, items in zip(self.device.scans, self.config.scans, strict=True)
        }
        self._decoders: dict[int, tuple[list[Read], Decoder]] = {}
        self._last: dict[Read, Outcome] = {}

    @classmethod
    def check(cls, device: Device) -> list[str]:
        return configuration.mistakes(device)

    @classmethod
    def plan(cls, device: Device) -> list[Request]:
        return planning.requests(device, configuration.load(device))

    async def open(self) -> None:
        await self.close()
        self._begin()
        await self._connect()
        if self._identify:
            self._identity = await self._ask_identity()

    async def read(self, scan: Scan) -> Columns:
        if self._left:
            await self._connect()
        blocks = self._blocks[_key(scan)]
        begun = self.clock()
        reads = blocks.due(begun)
        parts = [
            bad_rows(read.items, begun, quality=_quality(code), native=code) for read, code in blocks.resting(begun)
        ]
        outcomes = []
        for at, read in enumerate(reads):
            if at and self.config.pause_s:
                await asyncio.sleep(self.config.pause_s)
            outcomes.append(await self._exchange(read, blocks))
        parts.insert(0, self._decoder(_key(scan), reads).columns(outcomes))
        return concat(parts)

    async def close(self) -> None:
        client, self._client, self._left = self._client, None, False
        if client is not None:
            client.close()
            await asyncio.sleep(0)  # the transport closes its socket on the loop's next turn

    async def discover(self) -> Draft:
        return Draft(identity=self._identity, tags=(), notes=_NOTES)

    def facts(self) -> Mapping[int, Facts]:
        return self.config.facts

    def identity(self) -> Identity:
        return self._identity

    async def _connect(self) -> None:
        config, self._left = self.config, False
        self._client = client = AsyncModbusTcpClient(
            config.host,
            port=config.port,
            framer=FramerType.RTU if config.rtu else FramerType.SOCKET,
            timeout=self.device.timeout_s,
            retries=0,
            reconnect_delay=0,
            name=self.device.name,
            trace_packet=modbus_guard.hook(self.guard, rtu=config.rtu),
            trace_connect=self._on_connection,
        )
        client.ctx.callback_data = self._tolerant(client.ctx.callback_data)  # type: ignore[method-assign]
        if not await client.connect():
            await self.close()
            raise AssetError(
                f"{self.device.name}: no connection to {config.host}:{config.port}", quality=Quality.BAD_NOT_CONNECTED
            )

    def _on_connection(self, up: bool) -> None:
        """Without this a request that is under way would wait out its time when the connection is lost."""
        if not up and self._asking:
            self._fail(ConnectionException("connection lost"))
        elif not up:
            self._left = True

    def _tolerant(self, take: Callable[..., int]) -> Callable[..., int]:
        """pymodbus raises out of the transport at a reply it cannot read, and asyncio then drops the connection."""

        def taken(data: bytes, addr: tuple[str, int] | None = None) -> int:
            try:
                return take(data, addr=addr)
            except ModbusException as error:
                self._fail(_Malformed(str(error)))
                return len(data)

        return taken

    def _fail(self, error: Exception) -> None:
        """End the request that is under way, if there is one."""
        if self._client is not None and self._asking and not self._client.ctx.response_future.done():
            self._client.ctx.response_future.set_exception(error)

    async def _exchange(self, read: Read, blocks: Blocks) -> Outcome:
        """One request, one reply, and what it means."""
        sent = self.clock()
        try:
            reply = await self._ask(lambda client: _call(client, read, self.config.unit))
        except _Malformed:
            reply = None
        time_ns = (sent + self.clock()) // 2
        data = None if reply is None else payload(read, self.config.unit, reply)
        if isinstance(data, bytes):
            blocks.served(read)
            outcome = Outcome(data=data, time_ns=time_ns)
            self._last[read] = outcome
            return outcome
        if data is None and self.config.rtu:
            await self.close()
            raise AssetError(f"{self.device.name}: a reply to something else", quality=Quality.BAD_DECODING)
        if data is None:
            return Outcome(data=b"", time_ns=time_ns, quality=Quality.BAD_DECODING)
        blocks.refused(read, data, time_ns)
        return self._excepted(read, data, time_ns)

    def _excepted(self, read: Read, code: int, time_ns: int) -> Outcome:
        """What an exception leaves of the read: nothing, or its last values."""
        quality = _quality(code)
        last = self._last.get(read)
        if quality != Quality.UNCERTAIN_LAST_USABLE:
            return Outcome(data=b"", time_ns=time_ns, quality=quality, native=code)
        if last is None:
            return Outcome(data=b"", time_ns=time_ns, quality=Quality.BAD_NO_DATA, native=code)
        return Outcome(data=last.data, time_ns=time_ns, quality=quality, native=code, other_ns=last.time_ns)

    async def _ask(self, call: Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]) -> ModbusPDU:
        """One call of the library's, its errors in the project's words."""
        client, name = self._client, self.device.name
        if client is None or not client.connected:
            raise AssetError(f"{name}: connection lost", quality=Quality.BAD_NOT_CONNECTED)
        self._asking = True
        try:
            return await call(client)
        except ConnectionException as error:
            raise AssetError(f"{name}: connection lost", quality=Quality.BAD_NOT_CONNECTED) from error
        except ModbusIOException as error:
            if self.config.rtu:
                client.close()  # or a late reply would be taken for the next one
            silent = f"{name}: no reply within {client.ctx.comm_params.timeout_connect:g} s"
            raise AssetError(silent, quality=Quality.BAD_TIMEOUT) from error
        finally:
            self._asking = False

    def _decoder(self, key: int, reads: list[Read]) -> Decoder:
        held = self._decoders.get(key)
        if held is None or held[0] != reads:
            held = self._decoders[key] = (reads, Decoder(reads))
        return held[1]

    async def _ask_identity(self) -> Identity:
        """The basic identification, once; a device that knows none, or is silent, keeps its connection."""
        objects: dict[int, bytes] = {}
        client = self._client
        assert client is not None
        params = client.ctx.comm_params
        params.timeout_connect, whole = min(_IDENTIFY_S, params.timeout_connect), params.timeout_connect
        try:
            following = 0
            for _ in range(_IDENTIFY_PAGES):
                reply = await self._ask(_identification(self.config.unit, following))
                objects.update(getattr(reply, "information", {}))
                following = getattr(reply, "next_object_id", 0) if getattr(reply, "more_follows", 0) else 0
                if not following:
                    break
        except (AssetError, _Malformed):
            self._identify = False
        params.timeout_connect = whole
        if not objects:
            self._identify = False
        if not client.connected:
            await self.close()
            await self._connect()
        return Identity(vendor=_text(objects, 0), model=_text(objects, 1), firmware=_text(objects, 2))


class _Malformed(ModbusException):
    """A reply that pymodbus cannot take apart."""


def payload(read: Read, unit: int, reply: ModbusPDU) -> bytes | int | None:
    """The data of a right reply, the code of an exception, or None for a reply that is not this read's.

    Returns:
        Register bytes as they came, or one byte a bit.
    """
    if reply.dev_id != unit or reply.function_code & 0x7F != read.table.function:
        return None
    if reply.isError():
        return int(reply.exception_code)
    if read.table.bits:
        return bytes(reply.bits[: read.count]) if len(reply.bits) == 8 * read.size else None
    if len(reply.registers) != read.count:
        return None
    return struct.pack(f">{read.count}H", *reply.registers)


def _call(client: AsyncModbusTcpClient, read: Read, unit: int) -> Awaitable[ModbusPDU]:
    calls = {
        Table.COIL: client.read_coils,
        Table.DISCRETE: client.read_discrete_inputs,
        Table.HOLDING: client.read_holding_registers,
        Table.INPUT: client.read_input_registers,
    }
    return calls[read.table](read.start, count=read.count, device_id=unit)


def _identification(unit: int, following: int) -> Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]:
    return lambda client: client.read_device_information(read_code=1, object_id=following, device_id=unit)


def _quality(code: int) -> Quality:
    return _QUALITY.get(code, Quality.BAD_DEVICE_FAILURE)


def _text(objects: Mapping[int, bytes], number: int) -> str:
    held = objects.get(number, b"")
    return held.decode("utf-8", "replace").strip("\0 ") if isinstance(held, bytes) else ""


def _key(scan: Scan) -> int:
    """A scan's own number: the first of its points'."""
    return scan.points[0].number if scan.points else -1
