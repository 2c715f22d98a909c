"""Reads one Modbus device: what its replies mean, and what is asked again, seldom, or no more in a pass.

A reply counts only if its function, its unit and its length are those of the request; anything else is
Bad_DecodingError. What the device says itself, an exception, becomes the quality below, with the exception code beside
it in `native`:

     1 function  2 address  3 value     Bad_ConfigurationError, see `isolate`
     5 acknowledge  6 busy              the last values again, Uncertain_LastUsableValue; Bad_NoData if there are none
    10 path unavailable  11 no reply    Bad_CommunicationError: the gateway is there, the device behind it is not
     4 failure  8 parity, and others    Bad_DeviceFailure

A request without a usable answer (silence, a lost connection, a wrong reply) costs that request: its values are bad
with that reason, what else was read in the pass is kept, and `isolate` sees to it that it is asked seldom. The device
as a whole is lost (`AssetError`) when a pass brought no answer at all; before that is said, one request of another scan
is tried. A gateway that says 10 or 11 speaks for the device behind it: the pass ends. The connection is `line`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from collectors.base import Collector, Device, Draft, Facts, Identity, Request, Scan
from collectors.certificate_ends import ends
from collectors.guard import Guard
from collectors.modbus import config as configuration
from collectors.modbus import guard as modbus_guard
from collectors.modbus import line as lines
from collectors.modbus import mapped, nameplate, sunspec, typed_ranges
from collectors.modbus import plan as planning
from collectors.modbus.address import Table, ranges_of
from collectors.modbus.config import Config, Item
from collectors.modbus.conversion import conversion
from collectors.modbus.decode import Decoder, Outcome, bad_rows
from collectors.modbus.formats import text_of
from collectors.modbus.isolate import Blocks
from collectors.modbus.line import Line, Unanswered, User, Why
from collectors.modbus.overlaps import overlaps
from collectors.modbus.plan import Read
from collectors.modbus.replies import Question
from protocol.content.sample import Columns, Quality, columns, concat
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

GATEWAY = (10, 11)
"""Exceptions of a gateway that does not reach the device behind it: asking on would hold its bus up for nothing."""

MOST_MUTE = 2
"""Requests in a row without an answer that end a pass."""

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
    offers = frozenset({"never_read", "range", "states", "map"})
    example = {"name": "discharge_pressure", "at": "holding:0", "type": "float32"}  # noqa: RUF012 - never changed

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__(device, clock=clock, refused=refused)
        config = self.config = configuration.load(device)
        self.guard = Guard(device.name, refused)
        self._user = User(
            name=device.name,
            timeout_s=device.timeout_s,
            pause_s=config.pause_s,
            connect_pause_s=config.connect_pause_s,
            late_s=config.late_s,
            check=modbus_guard.hook(self.guard, rtu=config.rtu, never_read=config.never_read),
            again=self.budget.wait,
        )
        self._line: Line | None = None
        self._open = False
        self._identity = Identity()
        self._identify = self.config.identify
        self._lines: list[str] = []
        self._lost: AssetError | None = None
        self._blocks = {
            _key(scan): Blocks(planning.reads(items, config), isolate=config.isolate)
            for scan, items in zip(device.scans, config.scans, strict=True)
        }
        self._begin()

    def _begin(self) -> None:
        """Forget what the device refused and said before: it may have been mended or exchanged."""
        for blocks in self._blocks.values():
            blocks.again()
        self._decoders: dict[int, tuple[list[Read], Decoder]] = {}
        self._last: dict[Read, Outcome] = {}
        self._mute = 0
        """Requests in a row that were not answered."""
        self._answers = 0
        """Requests that were, since the device was opened."""
        self._heard: dict[int, int] = {}
        """Answers when the last pass of each scan was over."""

    @classmethod
    def check(cls, device: Device) -> list[str]:
        return configuration.mistakes(device)

    @classmethod
    def doubts(cls, device: Device) -> list[str]:
        return list(overlaps(device, configuration.partly(device)))

    @classmethod
    def stated(cls, device: Device) -> Mapping[int, Facts]:
        config = configuration.partly(device)
        items = [item for scan in config.scans for item in scan]
        return {item.number: replace(config.facts[item.number], conversion=conversion(item)) for item in items}

    @classmethod
    def plan(cls, device: Device) -> list[Request]:
        return planning.requests(device, configuration.load(device))

    def certificates(self) -> Mapping[str, int]:
        files = self.config.tls
        return {} if files is None else ends({"authority": files.authority, "certificate": files.own})

    async def open(self) -> None:
        await self.close()
        self._begin()
        self._line = lines.at(self.config)
        try:
            await self._line.join(self._user)
            self._open = True
            if self._identify:
                self._identity = await self._ask_identity()
        except AssetError as error:
            raise self._named(error) from error

    async def read(self, scan: Scan) -> Columns:
        if not self._open or self._line is None:
            raise AssetError(f"{self.device.name}: not connected", quality=Quality.BAD_NOT_CONNECTED)
        line, key, unit = self._line, _key(scan), self.config.reply_unit
        blocks, begun, now = self._blocks[key], self.clock(), time.monotonic_ns()
        resting = blocks.resting(now)
        reads, strays = blocks.due(now), line.late.strays(unit)
        outcomes = await self._pass(reads, blocks, time.monotonic() + scan.every_s, key)
        if reads:
            await line.settle(unit)
        rows = self._decoder(key, reads).columns(outcomes)
        if line.late.strays(unit) != strays:
            line.drop()
            self._lines.append("a reply came that nothing had asked for: the values of this pass are not trusted")
            rows = _spoilt(rows)
        parts = [rows]
        for read, held in resting:
            quality = _quality(held.code) if held.code else held.quality
            parts.append(bad_rows(read.items, begun, quality=quality, native=held.code))
        return concat(parts)

    async def close(self) -> None:
        self._open, self._lost = False, None
        if self._line is not None:
            self._line.leave(self._user)
        await asyncio.sleep(0)  # the transport closes its socket on the loop's next turn

    def lost(self) -> AssetError | None:
        return self._lost

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        if not ranges:
            return Draft(identity=self._identity, tags=(), notes=_NOTES)
        if sunspec.WORD in ranges:
            return await self._walked()
        wrong: list[str] = []
        wanted = ranges_of(ranges, "range", wrong)
        if wrong:
            raise ConfigError(wrong[0], hint="ranges are typed from the manual")

        async def ask(read: Read) -> bytes | int | None:
            await self.budget.wait()
            try:
                return await self._answer(read)
            except Unanswered as error:
                return typed_ranges.GARBLED if error.why is Why.GARBLED else None

        tags, notes = await typed_ranges.draft(wanted, self.config, ask, halve=self.config.isolate)
        return Draft(identity=self._identity, tags=tuple(tags), notes=tuple(notes))

    async def _walked(self) -> Draft:
        """A draft of the model list that a SunSpec device holds."""

        async def look(at: int, count: int) -> bytes | None:
            item = Item(number=0, table=Table.HOLDING, address=at, width=count, type="uint16")
            if any(fence.meets(item.table, item.start, item.end) for fence in self.config.never_read):
                return None
            await self.budget.wait()
            try:
                answer = await self._answer(planning.read_of([item]))
            except Unanswered:
                return None
            return answer if isinstance(answer, bytes) else None

        said, tags, notes = await sunspec.draft(look)
        texts = {key: text_of(data).strip() for key, data in said.items()}
        return Draft(identity=Identity(**texts) if texts else self._identity, tags=tuple(tags), notes=tuple(notes))

    @classmethod
    def drafted(cls, text: str, first: int) -> Draft:
        tags, notes = mapped.draft(text, first)
        return Draft(identity=Identity(), tags=tuple(tags), notes=tuple(notes))

    def facts(self) -> Mapping[int, Facts]:
        return self.config.facts

    def identity(self) -> Identity:
        return self._identity

    def remarks(self) -> Sequence[str]:
        lines, self._lines = self._lines, []
        return lines

    def troubles(self) -> Sequence[str]:
        held = [one for blocks in self._blocks.values() for one in blocks.troubles()]
        return [f"{self._told(read)} {why}" for read, why in held]

    def _named(self, error: AssetError) -> AssetError:
        if str(error).startswith(f"{self.device.name}: "):
            return error
        return AssetError(f"{self.device.name}: {error}", quality=error.quality, native=error.native)

    async def _pass(self, reads: Sequence[Read], blocks: Blocks, until: float, key: int) -> list[Outcome]:
        """Ask for everything that is due; what is not reached is bad with the reason that ended the pass.

        Raises:
            AssetError: the device answered nothing.
        """
        before, heard = self._answers, self._heard.get(key, 0)
        got: dict[Read, Outcome] = {}
        ended: AssetError | None = None
        for read in reads:
            if (quality := blocks.quality(read)) is not None:
                got[read] = Outcome(data=b"", time_ns=self.clock(), quality=quality)
                continue
            try:
                got[read] = await self._exchange(read, blocks, until)
            except Unanswered as error:
                ended = AssetError(f"{read}: {error}", quality=error.quality)
                blocks.unanswered(read, str(error), error.quality)
                got[read] = Outcome(data=b"", time_ns=self.clock(), quality=error.quality)
                if self._mute >= MOST_MUTE:
                    break
            except AssetError as error:
                ended = error
                if error.native in GATEWAY:  # of one request, or of all: the next pass will show
                    blocks.unanswered(read, f"no reply behind the gateway (exception {error.native})", error.quality)
                else:
                    self._lost = self._named(error)
                break
        if ended is not None and self._answers == before:
            gone = self._lost or ended.native in GATEWAY
            if gone or not (heard < before or await self._speaks(key)):
                if self._line is not None and self._line.unnumbered:
                    self._open = False  # or a late reply would be taken for the next one
                    self._line.leave(self._user)
                raise self._named(ended)
        self._heard[key] = self._answers
        rest = ended or AssetError("", quality=Quality.BAD_NO_DATA)
        absent = Outcome(data=b"", time_ns=self.clock(), quality=rest.quality, native=rest.native)
        return [got.get(read, absent) for read in reads]

    async def _speaks(self, key: int) -> bool:
        """Whether the device answers a request of another scan: then the fault is not its own."""
        if not self.config.isolate or self._mute >= MOST_MUTE:
            return False
        for other, blocks in self._blocks.items():
            due = blocks.due(time.monotonic_ns()) if other != key else []
            if due:
                try:
                    await self._exchange(due[0], blocks, 0.0)
                except (Unanswered, AssetError):
                    return False
                return True
        return False

    async def _answer(self, read: Read) -> bytes | int:
        """One request: its data, or the code of an exception.

        Raises:
            Unanswered: it has no answer that can be used.
            AssetError: no connection.
        """
        assert self._line is not None
        copies = self.config.retries if self._mute == 0 else 0
        pdu = await self._line.ask(_question(read, self.config), self._user, copies=copies)
        if pdu[0] & 0x80:
            return pdu[1]
        return _bits(pdu[2:], read.count) if read.table.bits else pdu[2:]

    async def _patient(self, read: Read, until: float) -> bytes | int:
        """`_answer`, asked again while the pass's time allows it and the device is known to be there."""
        tries = 1 if self.config.scheme == "udp" else 1 + self.config.retries
        while True:
            await self.budget.wait()
            try:
                return await self._answer(read)
            except Unanswered as error:
                tries -= 1
                late = time.monotonic() + self.device.timeout_s > until
                if not tries or late or self._mute or not self._answers or error.why is Why.LOST:
                    raise

    async def _exchange(self, read: Read, blocks: Blocks, until: float) -> Outcome:
        """One request, one reply, and what it means."""
        sent = self.clock()
        try:
            data = await self._patient(read, until)
        except Unanswered as error:
            if error.why is Why.GARBLED and self._line is not None and self._line.numbered:
                self._alive()
            else:
                self._mute += 1
            raise
        time_ns = (sent + self.clock()) // 2
        if data in GATEWAY and isinstance(data, int):
            raise AssetError(_unreached(data), quality=_quality(data), native=data)
        self._alive()
        if isinstance(data, bytes):
            if blocks.served(read):
                self._lines.append(f"{read} is answered again")
            outcome = Outcome(data=data, time_ns=time_ns)
            self._last[read] = outcome
            return outcome
        if blocks.refused(read, data, time.monotonic_ns()):
            self._lines.append(f"{self._told(read)} refused with exception {data}: set aside, asked ever less often")
        return self._excepted(read, data, time_ns)

    def _alive(self) -> None:
        """The device answered: what it did not answer before is that request's own fault."""
        self._mute = 0
        self._answers += 1
        now = time.monotonic_ns()
        for blocks in self._blocks.values():
            for read, why in blocks.alive(now):
                self._lines.append(f"{self._told(read)} {why}: set aside, asked ever less often")

    def _told(self, read: Read) -> str:
        names = self._names(read)
        return f"{read} ({', '.join(names[:3])}{' ..' if len(names) > 3 else ''})"

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

    def _decoder(self, key: int, reads: list[Read]) -> Decoder:
        held = self._decoders.get(key)
        if held is None or held[0] != reads:
            held = self._decoders[key] = (reads, Decoder(reads))
        return held[1]

    async def _ask_identity(self) -> Identity:
        """The basic identification, once; silence, or no answer to it, ends the connection it could come late on."""
        objects: dict[int, bytes] = {}
        line, following = self._line, 0
        assert line is not None
        within = min(_IDENTIFY_S, self.device.timeout_s)
        try:
            for _ in range(_IDENTIFY_PAGES):
                await self.budget.wait()
                pdu = await line.ask(nameplate.question(self.config, following), self._user, within=within)
                if pdu[0] & 0x80 and pdu[1] in GATEWAY:
                    raise AssetError(_unreached(pdu[1]), quality=_quality(pdu[1]), native=pdu[1])
                told, following = nameplate.identified(pdu)
                objects |= told
                if not following:
                    break
        except Unanswered:
            self._identify = False
            line.drop()
        if not objects:
            self._identify = False
        await line.join(self._user)
        return nameplate.identity(objects)


def _question(read: Read, config: Config) -> Question:
    head = bytes([read.table.function]) + read.start.to_bytes(2, "big") + read.count.to_bytes(2, "big")
    return Question(unit=config.unit, pdu=head, size=read.size, reply_unit=config.reply_unit)


def _bits(data: bytes, count: int) -> bytes:
    """One byte a bit, the least significant first (V1.1b3, 6.1)."""
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little", count=count).tobytes()


def _spoilt(rows: Columns) -> Columns:
    """The rows without values: whose they are is not known."""
    quality = np.where(rows.quality >> 31, rows.quality, np.uint32(Quality.BAD_DECODING))
    return columns(rows.tag, rows.time_ns, [None] * len(rows), quality=quality, native=rows.native)


def _unreached(code: int) -> str:
    return f"the gateway does not reach it (exception {code})"


def _quality(code: int) -> Quality:
    return _QUALITY.get(code, Quality.BAD_DEVICE_FAILURE)


def _key(scan: Scan) -> int:
    """A scan's own number: the first of its points'."""
    return scan.points[0].number if scan.points else -1
