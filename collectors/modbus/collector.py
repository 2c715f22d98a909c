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
opens again. A device that hung up between two passes, as many do to a slow master, is connected to again at once. No
call of the library is wrapped in a shorter wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pymodbus.exceptions import ConnectionException, ModbusIOException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from collectors.base import Collector, Device, Draft, Facts, Identity, Request, Scan
from collectors.guard import Guard
from collectors.modbus import config as configuration
from collectors.modbus import plan as planning
from collectors.modbus import ranges as typed
from collectors.modbus.address import Table, ranges_of
from collectors.modbus.decode import Decoder, Outcome, bad_rows
from collectors.modbus.isolate import Blocks
from collectors.modbus.line import Client, HoldingRegisters, Line, Malformed
from collectors.modbus.plan import Read
from protocol.content.sample import Columns, Quality, concat
from protocol.errors import AssetError, ConfigError

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

_REQUESTS = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}
"""The library's request by table."""

_IDENTIFY_S = 1.0
"""Longest wait for the identification [s]: most devices that do not know it are silent, and nothing depends on it."""

_IDENTIFY_PAGES = 8
"""Most replies taken for one identification: three short texts fit in one, and a device may never say it is done."""

_NOTES = (
    "Modbus has no list of its registers, so only the identification can be read: type the addresses from the manual.",
    "Nothing is probed: a read of an address that was not meant can disturb a small device.",
)


class ModbusCollector(Collector):
    """One device at `tcp://host:port`, `udp://` or `tls://`; see README.md beside this file for its settings."""

    protocol = "modbus"
    offers = frozenset({"never_read", "range"})

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__(device, clock=clock, refused=refused)
        self.config = configuration.load(device)
        self.guard = Guard(device.name, refused)
        self._line = Line(device, self.config, self.guard, self._on_leaving)
        self._identity = Identity()
        self._identify = self.config.identify
        self._left = False
        """The device hung up between two passes, as many do when nothing was asked for a while."""
        self._free_at = 0.0
        """When the next request may leave [s, monotonic]: a weak device is given its pause."""
        self._lines: list[str] = []
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
        blocks, begun, now = self._blocks[_key(scan)], self.clock(), time.monotonic_ns()
        reads = blocks.due(now)
        parts = [bad_rows(read.items, begun, quality=_quality(code), native=code) for read, code in blocks.resting(now)]
        outcomes = [await self._exchange(read, blocks) for read in reads]
        parts.insert(0, self._decoder(_key(scan), reads).columns(outcomes))
        return concat(parts)

    async def close(self) -> None:
        self._left = False
        self._line.close()
        await asyncio.sleep(0)  # the transport closes its socket on the loop's next turn

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        if not ranges:
            return Draft(identity=self._identity, tags=(), notes=_NOTES)
        wrong: list[str] = []
        wanted = ranges_of(ranges, "range", wrong)
        if wrong:
            raise ConfigError(wrong[0], hint="ranges are typed from the manual")

        async def ask(read: Read) -> bytes | int | None:
            await self._room()
            return await self._answer(read)

        tags, notes = await typed.draft(wanted, self.config, ask, halve=self.config.isolate)
        return Draft(identity=self._identity, tags=tuple(tags), notes=tuple(notes))

    def facts(self) -> Mapping[int, Facts]:
        return self.config.facts

    def identity(self) -> Identity:
        return self._identity

    def remarks(self) -> Sequence[str]:
        lines, self._lines = self._lines, []
        return lines

    async def _connect(self) -> None:
        self._left = False
        await self._line.connect()
        self._free_at = time.monotonic() + self.config.connect_pause_s

    def _on_leaving(self) -> None:
        self._left = True

    async def _answer(self, read: Read) -> bytes | int | None:
        """One request: its data, the code of an exception, or None for a reply that is none.

        Raises:
            AssetError: silence, or a lost connection; in RTU a wrong reply too.
        """
        try:
            reply = await self._ask(lambda client: _call(client, read, self.config.unit))
        except Malformed:
            reply = None
        data = None if reply is None else payload(read, self.config.unit, reply)
        if data is None and self.config.rtu:
            await self.close()
            raise AssetError(f"{self.device.name}: a reply to something else", quality=Quality.BAD_DECODING)
        return data

    async def _exchange(self, read: Read, blocks: Blocks) -> Outcome:
        """One request, one reply, and what it means."""
        await self._room()
        sent = self.clock()
        data = await self._answer(read)
        time_ns = (sent + self.clock()) // 2
        if isinstance(data, bytes):
            if blocks.served(read):
                self._lines.append(f"{read} is answered again")
            outcome = Outcome(data=data, time_ns=time_ns)
            self._last[read] = outcome
            return outcome
        if data is None:
            return Outcome(data=b"", time_ns=time_ns, quality=Quality.BAD_DECODING)
        if blocks.refused(read, data, time.monotonic_ns()):
            names = ", ".join(self._names(read)[:3]) + (" .." if len(read.items) > 3 else "")
            self._lines.append(f"{read} ({names}) refused with exception {data}: set aside, asked ever less often")
        return self._excepted(read, data, time_ns)

    def _names(self, read: Read) -> list[str]:
        numbers = {item.number for item in read.items}
        return [
            point.name
            for point in self.device.points
            if not numbers.isdisjoint(range(point.number, point.number + point.count))
        ]

    def _excepted(self, read: Read, code: int, time_ns: int) -> Outcome:
        """What an exception leaves of the read: nothing, or its last values."""
        quality = _quality(code)
        last = self._last.get(read)
        if quality != Quality.UNCERTAIN_LAST_USABLE:
            return Outcome(data=b"", time_ns=time_ns, quality=quality, native=code)
        if last is None:
            return Outcome(data=b"", time_ns=time_ns, quality=Quality.BAD_NO_DATA, native=code)
        return Outcome(data=last.data, time_ns=time_ns, quality=quality, native=code, other_ns=last.time_ns)

    async def _room(self) -> None:
        """Wait for the device's pause and for the budget."""
        wait = self._free_at - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        await self.budget.wait()

    async def _ask(self, call: Callable[[Client], Awaitable[ModbusPDU]]) -> ModbusPDU:
        """One call of the library's, its errors in the project's words."""
        line, name = self._line, self.device.name
        client = line.client
        if client is None:
            raise AssetError(f"{name}: connection lost", quality=Quality.BAD_NOT_CONNECTED)
        line.asking = True
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
            line.asking = False
            self._free_at = time.monotonic() + self.config.pause_s

    def _decoder(self, key: int, reads: list[Read]) -> Decoder:
        held = self._decoders.get(key)
        if held is None or held[0] != reads:
            held = self._decoders[key] = (reads, Decoder(reads))
        return held[1]

    async def _ask_identity(self) -> Identity:
        """The basic identification, once; a device that knows none, or is silent, keeps its connection."""
        objects: dict[int, bytes] = {}
        client = self._line.client
        assert client is not None
        params = client.ctx.comm_params
        params.timeout_connect, whole = min(_IDENTIFY_S, params.timeout_connect), params.timeout_connect
        try:
            following = 0
            for _ in range(_IDENTIFY_PAGES):
                await self._room()
                reply = await self._ask(_identification(self.config.unit, following))
                objects.update(getattr(reply, "information", {}))
                following = getattr(reply, "next_object_id", 0) if getattr(reply, "more_follows", 0) else 0
                if not following:
                    break
        except (AssetError, Malformed):
            self._identify = False
        params.timeout_connect = whole
        if not objects:
            self._identify = False
        if not client.connected:
            await self.close()
            await self._connect()
        return Identity(vendor=_text(objects, 0), model=_text(objects, 1), firmware=_text(objects, 2))


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
    return reply.raw if isinstance(reply, HoldingRegisters) and len(reply.raw) == read.size else None


def _call(client: Client, read: Read, unit: int) -> Awaitable[ModbusPDU]:
    request = _REQUESTS[read.table](address=read.start, count=read.count, dev_id=unit)
    reply: Awaitable[ModbusPDU] = client.execute(False, request)
    return reply


def _identification(unit: int, following: int) -> Callable[[Client], Awaitable[ModbusPDU]]:
    return lambda client: client.read_device_information(read_code=1, object_id=following, device_id=unit)


def _quality(code: int) -> Quality:
    return _QUALITY.get(code, Quality.BAD_DEVICE_FAILURE)


def _text(objects: Mapping[int, bytes], number: int) -> str:
    held = objects.get(number, b"")
    return held.decode("utf-8", "replace").strip("\0 ") if isinstance(held, bytes) else ""


def _key(scan: Scan) -> int:
    """A scan's own number: the first of its points'."""
    return scan.points[0].number if scan.points else -1
