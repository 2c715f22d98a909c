"""What a Modbus device's configuration says: settings and points, parsed and checked.

No I/O here; nothing of the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from collectors.base import Device, Facts, Point
from collectors.modbus.address import Range, Table, parse_address, ranges_of
from collectors.settings import POLLERS_KEYS, KeyReader, address, refuse

REGISTERS_OF: dict[str, int] = {
    "int16": 1,
    "uint16": 1,
    "float16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
"""Registers that a number of each type takes."""

BCD_TYPES = ("uint16", "uint32", "uint64")
"""Types that `bcd = true` may stand beside: four decimal digits a register."""

TEXT_LIMIT = 250
"""Longest string [bytes]: what one reply can hold (125 registers), since a value is never split."""


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
    """Registers, or 1 in a table of bits."""
    type: str
    """One of `REGISTERS_OF`, `bool` or `string`."""
    bit: int | None = None
    """Bit of the register, 0 the least significant; None where the whole is meant."""
    swap_words: bool = False
    """The first register is the least significant (CDAB, DCBA)."""
    swap_bytes: bool = False
    """The low byte comes first in each register (BADC, DCBA)."""
    bcd: bool = False
    """Four decimal digits a register."""
    alone: int | None = None
    """It shares a request with items of the same number only; None: with any neighbour."""
    scale: float | None = None
    """The value is raw x scale + offset; None where neither is written."""
    offset: float = 0.0

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.width

    @property
    def column_type(self) -> str:
        """Catalog type of what comes out."""
        return "float64" if self.scale is not None else self.type


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
    orders = _orders(keys, words="big", swap=False)
    max_registers = keys.whole("max_registers", 125, 1, 125)
    max_bits = keys.whole("max_bits", 2000, 1, 2000)
    pause_ms = keys.whole("pause_ms", 0, 0, 60_000)
    late_ms = keys.whole("late_ms", 0, 0, 60_000)
    connect_pause_ms = keys.whole("connect_pause_ms", 0, 0, 60_000)
    each = keys.flag("one_request_a_tag", False)
    tls = _certificates(keys) if scheme == "tls" else None
    keys.done()
    never = ranges_of(device.never_read, "never_read", wrong)
    facts: dict[int, Facts] = {}
    scans = []
    for scan in device.scans:
        items: list[Item] = []
        for point in scan.points:
            found = _items(point, orders, max_registers, wrong, facts)
            if each:
                found = [replace(item, alone=point.number) for item in found]
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
        if any(fence.meets(item.table, item.address, item.end) for item in items):
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
    return keys.word("word_order", words, ("big", "little")), keys.flag("byte_swap", swap)


def _items(
    point: Point, orders: tuple[str, bool], max_registers: int, wrong: list[str], facts: dict[int, Facts]
) -> list[Item]:
    """The point's items, its facts beside them; none where its table has a mistake."""
    before = len(wrong)
    keys = KeyReader(f"tags.{point.name}", point.options, wrong)
    words, swap = _orders(keys, words=orders[0], swap=orders[1])
    scaled = "scale" in point.options or "offset" in point.options
    scale, offset = keys.real("scale", 1.0), keys.real("offset", 0.0)
    bcd = keys.flag("bcd", False)
    alone = keys.flag("alone", False)
    length = keys.whole("length", 0, 0, TEXT_LIMIT)
    states = keys.texts("states")
    keys.done(POLLERS_KEYS)
    if type(point.count) is not int or point.count < 1:
        keys.wrong("count", f"{point.count!r} is not possible", "use a whole number from 1")
        return []
    where = parse_address(str(point.at))
    if where is None:
        keys.wrong(
            "at", f"{point.at!r} is no Modbus address", "write holding:0, 40001 or 400001, holding:5.3 for a bit"
        )
        return []
    table, at, bit = where
    kind = _type(keys, point, table, bit, length)
    if bcd and kind not in BCD_TYPES:
        keys.wrong("bcd", f"digits do not make a {kind}", "use type " + ", ".join(BCD_TYPES))
    if scaled and kind in ("bool", "string"):
        keys.wrong("scale", f"a {kind} cannot be scaled", "take scale and offset out")
    width = 1 if kind == "bool" else REGISTERS_OF.get(kind, (length + 1) // 2)
    if not table.bits and width > max_registers:
        keys.wrong("type", f"{width} registers do not fit one read of {max_registers}", "raise max_registers")
    if len(wrong) > before:
        return []
    stop = at + (((bit + point.count - 1) // 16) + 1 if bit is not None else point.count * width)
    if stop > 0x10000:
        keys.wrong("count", f"the last address would be {stop - 1}", "65535 is the highest")
        return []
    first = Item(
        number=point.number,
        table=table,
        address=at,
        width=width,
        type=kind,
        bit=bit,
        swap_words=words == "little",
        swap_bytes=swap,
        bcd=bcd,
        alone=point.number if alone else None,
        scale=scale if scaled else None,
        offset=offset,
    )
    items = [_element(first, i) for i in range(point.count)]
    for item in items:
        facts[item.number] = Facts(type=item.column_type, states=states)
    return items


def _element(first: Item, i: int) -> Item:
    """Element `i` of an array; bits run on into the next register."""
    if first.bit is None:
        return replace(first, number=first.number + i, address=first.address + i * first.width)
    registers, bit = divmod(first.bit + i, 16)
    return replace(first, number=first.number + i, address=first.address + registers, bit=bit)


def _type(keys: KeyReader, point: Point, table: Table, bit: int | None, length: int) -> str:
    """The point's type, by its own word or by its address."""
    if table.bits or bit is not None:
        if point.type not in (None, "bool"):
            keys.wrong("type", f"{point.at} holds a bit, not a {point.type}", "use bool, or leave it out")
        return "bool"
    known = (*REGISTERS_OF, "string")
    if point.type not in known:
        what = "a register does not say its type" if point.type is None else f"{point.type!r} is not in registers"
        step = "name its bit, holding:5.0" if point.type == "bool" else "use one of " + ", ".join(known)
        keys.wrong("type", what, step)
        return "uint16"
    if point.type == "string" and not length:
        keys.wrong("length", "a string needs its length", f"write length = 16 [bytes], at most {TEXT_LIMIT}")
    if point.type != "string" and length:
        keys.wrong("length", f"a {point.type} has its own length", "take it out, or use type string")
    return str(point.type)
