"""What a Logix device's configuration says: where it is, how it is reached, and which tags are read.

    url   enip://10.0.0.9                       slot 0 of the chassis, or a CompactLogix
          enip://10.0.0.9:44818/1               slot 1
          enip://10.0.0.9/backplane/2/enet/192.168.1.5/backplane/0        a route, in pairs of port and link
          route = ""                            in the settings: none, for a device without a backplane (Micro800)

    at    Pressure    Program:Main.Speed    Motors[2].Speed    Grid[1,2]    Word.5 (a bit)    Local:1:I.Data
          Profile[0] with count = 100 is read whole and becomes Profile[0] .. Profile[99]

Names do not distinguish case; the controller's own spelling is used on the wire. Types are asked of the controller; a
`type` in a tag's table is checked against them, and for a device without a tag list it may say what is meant.

Sources: Rockwell Automation 1756-PM020 (addressing of tags); 1756-RM094 (names: 40 characters, up to three dimensions).
No I/O here; nothing of the library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from collectors.base import Device, Point
from collectors.settings import POLLERS_KEYS, KeyReader, address, refuse, wild
from protocol.content.catalog import TYPES

PORT = 44818
"""Registered port of EtherNet/IP (volume 2, 2-2)."""

ELEMENTS = 100_000
"""Most elements of one array: a tag each."""

LONGEST_TEXT = 65_535
"""Most bytes of a string."""

BITS = 64
"""Bits of the widest integer."""

_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,39}(?::[A-Za-z0-9_]{1,40})*)(?:\[(\d{1,10}(?:,\d{1,10}){0,2})\])?")
_PORTS = {"backplane": 1, "bp": 1, "enet": 2}


@dataclass(frozen=True, slots=True)
class Step:
    """One name on the way to a value."""

    name: str
    index: tuple[int, ...] = ()
    """Element numbers; empty where none are typed."""

    def __str__(self) -> str:
        return self.name + (f"[{','.join(map(str, self.index))}]" if self.index else "")


@dataclass(frozen=True, slots=True)
class Address:
    """A tag's address, taken apart."""

    program: str
    """Empty for the controller's own tags."""
    steps: tuple[Step, ...]
    """The tag, then members."""
    bit: int | None = None
    """Bit of an integer; None where the whole is meant."""

    @property
    def scope(self) -> str:
        """`Program:Main.` or empty."""
        return f"Program:{self.program}." if self.program else ""

    def __str__(self) -> str:
        bit = "" if self.bit is None else f".{self.bit}"
        return self.scope + ".".join(map(str, self.steps)) + bit


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One configured point, ready to be looked up."""

    point: Point
    address: Address
    scale: float | None = None
    """The value is raw x scale + offset; None where neither is written."""
    offset: float = 0.0
    length: int = 0
    """Most bytes of a string of the program's own type; 0: the predefined STRING."""

    @property
    def names(self) -> list[str]:
        """What is read, element by element, without bits."""
        whole = str(replace(self.address, bit=None))
        last = self.address.steps[-1]
        if self.point.count == 1 or len(last.index) > 1:
            return [whole]
        first = last.index[0] if last.index else 0
        stem = whole[: -len(str(last))] + last.name
        return [f"{stem}[{at}]" for at in range(first, first + self.point.count)]

    @property
    def numbers(self) -> range:
        """Its point numbers."""
        return range(self.point.number, self.point.number + self.point.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A device, ready to be read."""

    host: str
    port: int
    route: tuple[tuple[int, str], ...]
    """(port, link) pairs to the controller; `((1, "0"),)` is slot 0, `()` the device at the address itself."""
    large: bool
    """Ask for a large connection (4000 bytes) first; older processors refuse it and lose seconds."""
    browse: bool
    """Ask for the tag list; without it each tag is read once to learn its type. Off for kinds other than `process`."""
    whole: bool
    """Read a structure whole where several of its members are wanted; only in kind `process`."""
    one_request_a_tag: bool
    """For a device that knows no Multiple Service Packet."""
    scans: tuple[tuple[Item, ...], ...]
    """Items of each of the device's scans, in the scans' order."""
    never_read: tuple[str, ...] = ()
    """Patterns of tags that must not be read, `*` for any text."""

    def forbids(self, name: str) -> str:
        """The pattern of `never_read` that a tag, its program or a structure above it fits; empty where none does."""
        ends = [at for at, letter in enumerate(name) if letter in ".["] + [len(name)]
        for pattern in self.never_read:
            fence = wild(pattern.lower())
            if any(fence.fullmatch(name[:end].lower()) for end in ends):
                return pattern
        return ""

    def inside(self, parent: str) -> bool:
        """Whether a structure holds, or may hold, a member that must not be read."""
        start = parent.lower() + "."
        heads = [pattern.lower().partition("*")[0] for pattern in self.never_read]
        return any(
            head.startswith(start) or ("*" in pattern and start.startswith(head))
            for head, pattern in zip(heads, self.never_read, strict=True)
        )

    @property
    def programs(self) -> bool:
        """Some tag is a program's."""
        return any(item.address.program for items in self.scans for item in items)


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


def parse_address(text: str) -> Address:
    """Take a tag's address apart.

    Raises:
        ValueError: it is none; the text says where.
    """
    head, dot, rest = text.partition(".")
    program = ""
    if head.lower().startswith("program:"):
        program, text = head[8:], rest
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,39}", program) or not dot:
            raise ValueError(f"{head!r} names no tag of a program")
    names = text.split(".")
    bit = None
    if len(names) > 1 and names[-1].isdecimal():
        bit = int(names.pop())
        if bit >= BITS:
            raise ValueError(f"bit {bit} is beyond any integer")
    steps = []
    for name in names:
        found = _STEP.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is no name with at most three element numbers")
        index = tuple(int(one) for one in found[2].split(",")) if found[2] else ()
        if any(one > 0xFFFFFFFF for one in index):
            raise ValueError(f"an element number of {name!r} has more than 32 bits")
        steps.append(Step(found[1], index))
    return Address(program, tuple(steps), bit)


def _parse(device: Device, wrong: list[str]) -> Config:
    host, port = address(device.url, "enip", PORT, wrong)
    keys = KeyReader("enip", device.settings, wrong)
    slot = keys.whole("slot", 0, 0, 255)
    route = _route(device.url, slot, wrong)
    if keys.text("route", "?") not in ("", "?"):
        keys.wrong("route", "a route stands in the url", 'write enip://10.0.0.9/backplane/1, or route = "" for none')
    if device.settings.get("route") == "":
        if "slot" in device.settings or urlsplit(device.url).path.strip("/"):
            keys.wrong("route", "a slot or a route is named as well", "keep one of them")
        route = ()
    if "slot" in device.settings and urlsplit(device.url).path.strip("/"):
        keys.wrong("slot", "the url names a slot or route as well", "keep one of them")
    large = keys.flag("large_forward_open", True)
    browse = keys.flag("browse", device.kind == "process")
    one_request_a_tag = keys.flag("one_request_a_tag", False)
    keys.done()
    scans = tuple(
        tuple(item for point in scan.points if (item := item_of(point, wrong)) is not None) for scan in device.scans
    )
    config = Config(
        host=host,
        port=port,
        route=route,
        large=large,
        browse=browse,
        whole=not device.gentle,
        one_request_a_tag=one_request_a_tag,
        scans=scans,
        never_read=device.never_read,
    )
    for item in (item for items in scans for item in items):
        for name in item.names:
            fence = config.forbids(name)
            if fence:
                wrong.append(f"tags.{item.point.name}.at: {name} is in never_read {fence!r}; take the tag out")
                break
    return config


def _route(url: str, slot: int, wrong: list[str]) -> tuple[tuple[int, str], ...]:
    """The url's path as (port, link) pairs."""
    try:
        path = unquote(urlsplit(url).path).strip("/")
    except ValueError:
        return ()  # `address` has named it
    words = path.replace(",", "/").split("/") if path else [str(slot)]
    if len(words) == 1:
        words = ["backplane", words[0]]
    pairs = list(zip(words[::2], words[1::2], strict=False))
    ports = [_PORTS.get(port.lower()) or (int(port) if port.isdecimal() else 0) for port, _ in pairs]
    sound = all(0 < port < 15 for port in ports) and all(_is_link(link) for _, link in pairs)
    if len(words) % 2 or not sound:
        wrong.append(f"url: {path!r} is no slot and no route; write enip://10.0.0.9/1 or .../backplane/1")
        return ()
    return tuple((port, link) for port, (_, link) in zip(ports, pairs, strict=True))


def _is_link(link: str) -> bool:
    """A slot, or an IPv4 address."""
    parts = link.split(".")
    return len(parts) in (1, 4) and all(part.isdecimal() and int(part) <= 255 for part in parts)


def item_of(point: Point, wrong: list[str]) -> Item | None:
    """The point, checked; None where its table has a mistake, which `wrong` gets."""
    before = len(wrong)
    keys = KeyReader(f"tags.{point.name}", point.options, wrong)
    scaled = "scale" in point.options or "offset" in point.options
    scale, offset = keys.factor("scale"), keys.real("offset", 0.0)
    length = keys.whole("length", 0, 0, LONGEST_TEXT)
    keys.done(POLLERS_KEYS)
    if length and point.type not in (None, "string"):
        keys.wrong("length", f"a {point.type} has none", "take it out")
    if type(point.count) is not int or not 1 <= point.count <= ELEMENTS:
        keys.wrong("count", f"{point.count!r} is not possible", f"use a whole number from 1 to {ELEMENTS}")
    if point.type is not None and point.type not in TYPES:
        keys.wrong("type", f"{point.type!r} is not known", "leave it out, or use one of " + ", ".join(TYPES))
    if scaled and point.type in ("bool", "string"):
        keys.wrong("scale", f"a {point.type} cannot be scaled", "take scale and offset out")
    try:
        where = parse_address(str(point.at))
    except ValueError as error:
        keys.wrong("at", f"{point.at!r}: {error}", "write Pressure, Program:Main.Speed, Motors[2].Speed or Word.5")
        return None
    if where.bit is not None and point.count != 1:
        keys.wrong("count", "a bit is one value", "name each bit, or read the whole integer")
    if len(wrong) > before:
        return None
    return Item(point=point, address=where, scale=scale if scaled else None, offset=offset, length=length)
