"""What a Modbus device's configuration says: settings and points, parsed and checked.

No I/O here; nothing of the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from collectors.base import Device, Facts, Point
from collectors.modbus.absent import Absent, absent
from collectors.modbus.address import BitField, Range, Table, parse_address, parse_place, ranges_of
from collectors.modbus.formats import BCD_TYPES, FORMATS
from collectors.settings import POLLERS_KEYS, KeyReader, address, refuse

TEXT_LIMIT = 250
"""Longest string [bytes]: what one reply can hold (125 registers), since a value is never split."""

WIDE_BYTES = 4
"""Bytes at each address of a range that `wide` names."""

WORD_ORDERS = ("big", "little", "halves", "pairs")
"""Which register comes first: the most or the least significant; of 64 bits the low half, or the low word of each."""

RETRIES = {"udp": 2}
"""Scheme -> how often a request is asked again where nothing is said; else once. Datagrams are lost on the way."""

PORTS = {"tcp": 502, "udp": 502, "tls": 802}
"""Scheme of a url -> its registered port (802: Modbus/TCP Security, v21, 1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One value: where it lies and how it is read. An array's elements are items of their own."""

    number: int
    """The point number."""
    table: Table
    address: int
    """0-based."""
    width: int
    """Addresses it takes; 1 in a table of bits."""
    type: str
    """`bool`, or one of `formats.FORMATS`."""
    cell: int = 2
    """Bytes at an address; of a table of bits one for a bit."""
    part: BitField | None = None
    """Bits of the register; None where the whole is meant."""
    length: int = 0
    """Bytes of a text."""
    words: str = "big"
    """One of `WORD_ORDERS`."""
    swap_bytes: bool = False
    """The low byte comes first in each register (BADC, DCBA)."""
    bcd: bool = False
    """Four decimal digits a register."""
    alone: int | None = None
    """It shares a request with items of the same number only; None: with any neighbour."""
    factor: int | None = None
    """Address of the power of ten that the device multiplies it by, in the same table; read in the same request."""
    scale: float | None = None
    """The value is raw x scale + offset; None where neither is written."""
    offset: float = 0.0
    absent: Absent | None = None
    """Values that mean: there is none."""
    states: tuple[tuple[int, str], ...] = ()
    """Names of numbers that are no run from 0: the name comes out."""

    @property
    def start(self) -> int:
        """First address that its request must hold."""
        return self.address if self.factor is None else min(self.address, self.factor)

    @property
    def end(self) -> int:
        """First address behind what its request must hold."""
        behind = self.address + self.width
        return behind if self.factor is None else max(behind, self.factor + 1)

    @property
    def column_type(self) -> str:
        """Catalog type of what comes out."""
        if self.states:
            return "string"
        if self.scale is not None or self.factor is not None:
            return "float64"
        return "bool" if self.type == "bool" else FORMATS[self.type].out


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files of a TLS connection; the device is always verified against `authority`."""

    authority: str
    """Whoever signed the device's certificate, or that certificate itself (PEM)."""
    own: str
    """This collector's certificate, where the device asks for one (PEM)."""
    key: str
    check_name: bool
    """The certificate must name the url's host; off only beside a pinned certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A device, ready to be read."""

    scheme: str
    """`tcp`, `udp` or `tls`."""
    host: str
    port: int
    tls: Certificates | None
    unit: int
    """Unit identifier, 0 to 255; 0 and 255 are usual where the device is no gateway (Modbus TCP guide V1.0b, 4.4.2)."""
    reply_unit: int
    """Unit that replies carry; another than `unit` only where a device does not repeat it."""
    rtu: bool
    """RTU frames over TCP instead of MBAP."""
    retries: int
    """How often a request without an answer is asked again within its pass."""
    max_gap: int
    """Most addresses between two values that are read along [addresses]; 0 reads none that nobody asked for."""
    max_registers: int
    max_bits: int
    pause_s: float
    """Wait between a reply and the next request, for weak devices [s]."""
    connect_pause_s: float
    """Wait between the connection and the first request [s]."""
    late_s: float
    """How long after `timeout` a reply may still come, where nothing but order ties it to its request [s]; 0: as long
    again, at least `late.LATE_S`."""
    never_read: tuple[Range, ...]
    isolate: bool
    """Split a refused block to find the culprit; only in kind `process`."""
    identify: bool
    """Ask once for the device identification (43/14); only in kind `process`."""
    scans: tuple[tuple[Item, ...], ...]
    """Items of each of the device's scans, in the scans' order."""
    facts: Mapping[int, Facts]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What holds for all tags of a device."""

    words: str
    """Order of registers; empty where nothing is said."""
    swap: bool
    wide: tuple[Range, ...]
    """Addresses at which four bytes stand."""
    each: bool
    """Each tag has a request of its own."""


def load(device: Device) -> Config:
    """The device's configuration.

    Raises:
        ConfigError: `mistakes` would not be empty.
    """
    wrong: list[str] = []
    config = _parse(device, wrong)
    if wrong:
        refuse(device.name, wrong)
    return config


def mistakes(device: Device) -> list[str]:
    """Every mistake, as `key: what is wrong; next step`."""
    wrong: list[str] = []
    _parse(device, wrong)
    return wrong


def partly(device: Device) -> Config:
    """The configuration without the points that have a mistake; for what is told before all of it is right."""
    return _parse(device, [])


def _parse(device: Device, wrong: list[str]) -> Config:
    scheme = device.url.partition("://")[0]
    scheme = scheme if scheme in PORTS else "tcp"
    host, port = address(device.url, scheme, PORTS[scheme], wrong)
    keys = KeyReader("modbus", device.settings, wrong)
    gentle = device.gentle
    rtu = keys.word("framing", "tcp", ("tcp", "rtu")) == "rtu"
    if rtu and scheme == "udp":
        keys.wrong("framing", "RTU has no datagrams", "take it out, or write tcp:// in the url")
    unit = keys.whole("unit", 1, 0, 255)
    if rtu and not 1 <= unit <= 247:
        keys.wrong("unit", f"{unit} does not answer in RTU", "use 1 to 247")
    reply_unit = keys.whole("reply_unit", unit, 0, 255)
    retries = keys.whole("retries", RETRIES.get(scheme, 1), 0, 5)
    max_gap = keys.whole("max_gap", 0, 0, 2000)
    if gentle and max_gap:
        keys.wrong("max_gap", f"a {device.kind} device is asked for what is typed only", "take it out, or set 0")
    words, swap = _orders(keys, words="big", swap=False)
    max_registers = keys.whole("max_registers", 125, 1, 125)
    max_bits = keys.whole("max_bits", 2000, 1, 2000)
    pause_ms = keys.whole("pause_ms", 0, 0, 60_000)
    late_ms = keys.whole("late_ms", 0, 0, 60_000)
    connect_pause_ms = keys.whole("connect_pause_ms", 0, 0, 60_000)
    each = keys.flag("one_request_a_tag", False)
    wide = ranges_of(keys.texts("wide"), "modbus.wide", wrong)
    tls = _certificates(keys) if scheme == "tls" else None
    keys.done()
    common = _Common(words=words if "word_order" in device.settings else "", swap=swap, wide=wide, each=each)
    never = ranges_of(device.never_read, "never_read", wrong)
    facts: dict[int, Facts] = {}
    scans = []
    for scan in device.scans:
        items: list[Item] = []
        for point in scan.points:
            found = _items(point, common, max_registers, wrong, facts)
            _keep_out(point, found, never, wrong)
            items += found
        scans.append(tuple(items))
    return Config(
        scheme=scheme,
        host=host,
        port=port,
        tls=tls,
        unit=unit,
        reply_unit=reply_unit,
        rtu=rtu,
        retries=retries,
        max_gap=max_gap,
        max_registers=max_registers,
        max_bits=max_bits,
        pause_s=pause_ms / 1000,
        connect_pause_s=connect_pause_ms / 1000,
        late_s=late_ms / 1000,
        never_read=never,
        isolate=not gentle,
        identify=not gentle,
        scans=tuple(scans),
        facts=facts,
    )


def _keep_out(point: Point, items: list[Item], never: tuple[Range, ...], wrong: list[str]) -> None:
    for fence in never:
        if any(fence.meets(item.table, item.start, item.end) for item in items):
            wrong.append(f"tags.{point.name}.at: {point.at} lies in never_read {fence}; take the tag out")
            return


def _certificates(keys: KeyReader) -> Certificates:
    files = {}
    for key in ("authority", "certificate", "key"):
        given = files[key] = keys.text(key)
        if given and not Path(given).is_file():
            keys.wrong(key, f"there is no file {given}", "write its whole path")
    if not files["authority"]:
        keys.wrong("authority", "the device must be known by its certificate", "name the file of whoever signed it")
    if bool(files["certificate"]) != bool(files["key"]):
        keys.wrong("certificate", "certificate and key go together", "name both files, or none")
    return Certificates(
        authority=files["authority"],
        own=files["certificate"],
        key=files["key"],
        check_name=keys.flag("check_name", True),
    )


def _orders(keys: KeyReader, *, words: str, swap: bool) -> tuple[str, bool]:
    return keys.word("word_order", words, WORD_ORDERS), keys.flag("byte_swap", swap)


def _items(point: Point, device: _Common, max_registers: int, wrong: list[str], facts: dict[int, Facts]) -> list[Item]:
    """The point's items, its facts beside them; none where its table has a mistake."""
    before = len(wrong)
    keys = KeyReader(f"tags.{point.name}", point.options, wrong)
    words, swap = _orders(keys, words=device.words or "big", swap=device.swap)
    scaled = "scale" in point.options or "offset" in point.options
    scale, offset = keys.factor("scale"), keys.real("offset", 0.0)
    bcd, alone = keys.flag("bcd", False), keys.flag("alone", False)
    length = keys.whole("length", 0, 0, TEXT_LIMIT)
    states = _states(keys, point.options.get("states", ()))
    factor = keys.text("scale_from")
    none = keys.any("not_available")
    keys.done(POLLERS_KEYS)
    if type(point.count) is not int or point.count < 1:
        keys.wrong("count", f"{point.count!r} is not possible", "use a whole number from 1")
        return []
    where = parse_place(str(point.at))
    if where is None:
        step = "write holding:0, 40001 or 400001, holding:5.3 for a bit, holding:5.4-7, holding:5.high or .low"
        keys.wrong("at", f"{point.at!r} is no Modbus address", step)
        return []
    table, at, part = where
    kind = _type(keys, point, table, part, length)
    form = FORMATS.get(kind)
    if form is not None and form.low_first and "word_order" not in point.options and not device.words:
        words = "little"
    wide = any(one.meets(table, at, at + 1) for one in device.wide)
    registers = 1 if form is None or part is not None else form.registers or (length + 1) // 2
    cell = 1 if table.bits else WIDE_BYTES if wide else 2
    if wide and (part is not None or 2 * registers % WIDE_BYTES):
        keys.wrong("type", f"each address from {point.at} on is 32 bits wide", "use a type of 32 or 64 bits")
    if bcd and (kind not in BCD_TYPES or part is not None):
        keys.wrong("bcd", f"digits do not make a {kind}", "use type " + ", ".join(BCD_TYPES))
    out = "bool" if form is None else form.out
    if (scaled or factor) and (out in ("bool", "string") or states[1]):
        keys.wrong("scale", f"a {kind} cannot be scaled", "take scale and offset out")
    if states[1] and ("int" not in out or bcd):
        keys.wrong("states", f"a {kind} is no number of a state", "use a whole number, or take the names out")
    width = 1 if table.bits else -(-2 * registers // cell)
    stop = at + (((part.first + point.count - 1) // 16) + 1 if part and part.bits == 1 else point.count * width)
    lies = _factor(keys, factor, table, wide, at, stop)
    if not table.bits and max(at + width, (lies or 0) + 1) - min(at, at if lies is None else lies) > (
        max_registers * 2 // cell
    ):
        keys.wrong("type", f"{width} registers do not fit one read of {max_registers}", "raise max_registers")
    gone = absent(keys, none, kind, registers) if none is not None else None
    if len(wrong) > before:
        return []
    if stop > 0x10000:
        keys.wrong("count", f"the last address would be {stop - 1}", "65535 is the highest")
        return []
    first = Item(
        number=point.number,
        table=table,
        address=at,
        width=width,
        type=kind,
        cell=cell,
        part=part,
        length=length,
        words=words,
        swap_bytes=swap,
        bcd=bcd,
        alone=point.number if alone or device.each else None,
        factor=lies,
        scale=scale if scaled else None,
        offset=offset,
        absent=gone,
        states=states[1],
    )
    items = [_element(first, i) for i in range(point.count)]
    for item in items:
        facts[item.number] = Facts(type=item.column_type, states=states[0])
    return items


def _states(keys: KeyReader, given: object) -> tuple[tuple[str, ...], tuple[tuple[int, str], ...]]:
    """Names of 0, 1, 2 .. from a list, or of any numbers from a table."""
    if not isinstance(given, Mapping):
        return keys.texts("states"), ()
    keys.any("states")
    pairs = []
    for number, name in given.items():
        try:
            pairs.append((int(str(number), 0), str(name)))
        except ValueError:
            keys.wrong("states", f"{number!r} is no whole number", 'write { 512 = "standby", 513 = "running" }')
    return (), tuple(pairs)


def _factor(keys: KeyReader, text: str, table: Table, wide: bool, at: int, stop: int) -> int | None:
    """Address of the register that holds the power of ten."""
    if not text:
        return None
    found = parse_address(text)
    if found is None or found[0] is not table or found[2] is not None or table.bits or wide:
        keys.wrong("scale_from", f"{text!r} is no register of the {table.value} table", "write holding:12")
        return None
    if at <= found[1] < stop:
        keys.wrong("scale_from", f"{text} is inside the value itself", "name the register of the factor")
    return found[1]


def _element(first: Item, i: int) -> Item:
    """Element `i` of an array; single bits run on into the next register."""
    if first.part is None or first.part.bits > 1:
        return replace(first, number=first.number + i, address=first.address + i * first.width)
    registers, bit = divmod(first.part.first + i, 16)
    return replace(first, number=first.number + i, address=first.address + registers, part=BitField(bit, 1))


def _type(keys: KeyReader, point: Point, table: Table, part: BitField | None, length: int) -> str:
    """The point's type, by its own word or by its address."""
    if table.bits or (part is not None and part.bits == 1):
        if point.type not in (None, "bool"):
            keys.wrong("type", f"{point.at} holds a bit, not a {point.type}", "use bool, or leave it out")
        return "bool"
    if part is not None:
        if point.type not in (None, "uint8", "int8", "uint16", "int16"):
            keys.wrong("type", f"{point.at} holds {part.bits} bits, not a {point.type}", "leave it out, or use int16")
        return "int16" if str(point.type).startswith("int") else "uint16"
    if point.type not in FORMATS:
        what = "a register does not say its type" if point.type is None else f"{point.type!r} is not in registers"
        step = "name its bit, holding:5.0" if point.type == "bool" else "use one of " + ", ".join(FORMATS)
        keys.wrong("type", what, step)
        return "uint16"
    sized = not FORMATS[point.type].registers
    if sized and not length:
        keys.wrong("length", f"a {point.type} needs its length", f"write length = 16 [bytes], at most {TEXT_LIMIT}")
    if not sized and length:
        keys.wrong("length", f"a {point.type} has its own length", "take it out, or use type string")
    return str(point.type)
