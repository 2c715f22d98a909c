"""What may leave towards a Logix controller: an allow list of encapsulation commands and of (service, class) pairs.

    encapsulation   NOP, ListServices, ListIdentity, ListInterfaces, RegisterSession, UnRegisterSession,
                    SendRRData (one unconnected item), SendUnitData (one connected item)
    on class 0x02   Multiple Service Packet: each request inside is looked at
    on class 0x06   Unconnected Send: the request inside is looked at; Forward Close; Forward Open of transport class 3
                    to the message router. Class 0 and 1 are implicit I/O, whose data drive outputs
    elsewhere       the pairs of `READS`

The service alone says nothing: 0x4E closes a connection on class 6 and rewrites a tag elsewhere; 0x4C reads a tag, and
starts a download on class 0x37. So a request whose path cannot be read to its last byte is refused as well.

`check` is pure: bytes in, the reason for a refusal out. The hook is in `driver.py`, where the library hands over each
message and nothing of it has left yet.

Sources: ODVA, The CIP Networks Library, volume 1 (2-4 message router, 3-5.5 connection manager, appendix C-1 paths) and
volume 2 (2-3, 2-6 encapsulation); Rockwell Automation 1756-PM020 (services of tags and of classes 0x6B, 0x6C, 0xAC).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

TAG = -1
"""Stands for the class of a path that is a symbol's name."""

READS = frozenset(
    {
        (0x01, 0x01),  # identity, all attributes
        (0x0E, 0x01),
        (0x01, 0x64),  # name of the program
        (0x55, 0x6B),  # list of symbols
        (0x03, 0x6C),  # template attributes
        (0x4C, 0x6C),  # template definition
        (0x4C, TAG),  # Read Tag, by name and by instance
        (0x4C, 0x6B),
        (0x52, TAG),  # Read Tag Fragmented, by name and by instance
        (0x52, 0x6B),
        (0x03, 0x8B),  # wall clock
        (0x0E, 0x8B),
        (0x03, 0xAC),  # change counts
    }
)
"""(service, class) that may be sent; nothing else may."""

ROUTER, CONNECTIONS, SYMBOLS = 0x02, 0x06, 0x6B
MULTIPLE, UNCONNECTED_SEND, FORWARD_CLOSE = 0x0A, 0x52, 0x4E
FORWARD_OPENS = {0x54: "<22xI2xI2xB", 0x5B: "<22xI4xI4xB"}
"""Service -> layout up to the transport byte."""

BARE_COMMANDS = {0x0004, 0x0063, 0x0064, 0x0066}
"""Encapsulation commands that have no body."""

NOP, REGISTER, SEND_RR_DATA, SEND_UNIT_DATA = 0x0000, 0x0065, 0x006F, 0x0070

_ITEMS = {SEND_RR_DATA: (0x0000, 0x00B2), SEND_UNIT_DATA: (0x00A1, 0x00B1)}
"""Command -> types of its two items, address and data."""


class Refusal(Exception):
    """Why a message is not on the allow list."""


class Path(NamedTuple):
    """What a path is about."""

    target: int
    """Class number, or `TAG`."""
    instance: int | None
    ports: int
    """Port segments before it."""


def check(message: bytes) -> str | None:
    """The reason why this encapsulation message must not be sent, None if it may."""
    try:
        _message(message)
    except Refusal as refusal:
        return str(refusal)
    except (struct.error, IndexError):
        return "a request cut short"
    return None


def _message(message: bytes) -> None:
    command, length = struct.unpack_from("<HH", message)
    body = message[24:]
    if len(message) < 24 or length != len(body):
        raise Refusal(f"encapsulation command 0x{command:02x} whose length does not fit")
    if command == NOP or (command in BARE_COMMANDS and not body):
        return
    if command == REGISTER and len(body) == 4:
        return
    if command not in _ITEMS:
        raise Refusal(f"encapsulation command 0x{command:02x}")
    interface, _, count = struct.unpack_from("<IHH", body)
    if interface or count != 2:
        raise Refusal(f"encapsulation command 0x{command:02x} with {count} items for interface {interface}")
    at, items = 8, []
    for expected in _ITEMS[command]:
        kind, size = struct.unpack_from("<HH", body, at)
        if kind != expected:
            raise Refusal(f"encapsulation item 0x{kind:04x}")
        items.append(body[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(body):
        raise Refusal("encapsulation items that do not fill the message")
    _cip(items[1][2:] if command == SEND_UNIT_DATA else items[1])


@lru_cache(maxsize=512)
def _cip(request: bytes) -> None:
    """Refuse a request, or let it pass. A pass asks the same again and again: what passed once is remembered whole."""
    _request(request, inside=False)


def _request(request: bytes, *, inside: bool) -> None:
    """Refuse one request, or let it pass; `inside` is that of a container, which holds no further one."""
    service, end = request[0], 2 + request[1] * 2
    if len(request) < end:
        raise Refusal(f"CIP service 0x{service:02x} with its path cut short")
    path, data = parse_path(request[2:end]), request[end:]
    target = path.target
    if path.ports:
        raise Refusal(f"CIP service 0x{service:02x} on a routed path")
    if (service, target) in READS:
        return None
    if not inside and target == ROUTER and service == MULTIPLE:
        return _multiple(data)
    if not inside and target == CONNECTIONS:
        if service == FORWARD_CLOSE:
            return None
        if service == UNCONNECTED_SEND:
            return _unconnected_send(data)
        if service in FORWARD_OPENS:
            return _forward_open(service, data)
    named = "a tag" if target == TAG else f"class 0x{target:02x}"
    raise Refusal(f"CIP service 0x{service:02x} on {named}")


def _multiple(data: bytes) -> None:
    (count,) = struct.unpack_from("<H", data)
    starts = struct.unpack_from(f"<{count}H", data, 2)
    ends = (*starts[1:], len(data))
    if not count or starts[0] != 2 + 2 * count or any(a >= b for a, b in zip(starts, ends, strict=True)):
        raise Refusal("a Multiple Service Packet whose offsets contradict each other")
    for start, end in zip(starts, ends, strict=True):
        _request(data[start:end], inside=True)


def _unconnected_send(data: bytes) -> None:
    (length,) = struct.unpack_from("<H", data, 2)
    end = 4 + length + length % 2
    words = data[end]
    if len(data) != end + 2 + words * 2:
        raise Refusal("an Unconnected Send whose lengths contradict each other")
    _segments(data[end + 2 :])
    _request(data[4 : 4 + length], inside=True)


def _forward_open(service: int, data: bytes) -> None:
    form = FORWARD_OPENS[service]
    transport = struct.unpack_from(form, data)[-1]
    if transport & 0x0F != 3:
        raise Refusal(f"a Forward Open of transport class {transport & 0x0F} (implicit I/O)")
    at = struct.calcsize(form)
    words = data[at]
    path = parse_path(data[at + 1 :])
    if len(data) != at + 1 + words * 2 or (path.target, path.instance) != (ROUTER, 1):
        raise Refusal("a Forward Open to something else than the message router")


def parse_path(path: bytes) -> Path:
    """What the path is about.

    Raises:
        Refusal: a segment that is not known, or an order in which the target could be mistaken.
    """
    segments = _segments(path)
    ports = 0
    while ports < len(segments) and segments[ports][0] == "port":
        ports += 1
    rest = segments[ports:]
    kinds = [kind for kind, _ in rest]
    if not rest or "port" in kinds:
        raise Refusal("a path without a target")
    if "class" not in kinds:
        if kinds[0] != "symbol" or not set(kinds) <= {"symbol", "element"}:
            raise Refusal("a path that begins with neither class nor name")
        return Path(TAG, None, ports)
    at = kinds.index("class")
    target = rest[at][1]
    # a program's name may stand before the symbol class; members may follow it; all else would be ambiguous
    follow = {"instance", "symbol", "element"} if target == SYMBOLS else {"instance", "attribute"}
    scoped = at == 1 and kinds[0] == "symbol" and target == SYMBOLS
    if kinds.count("class") != 1 or not (at == 0 or scoped) or not set(kinds[at + 1 :]) <= follow:
        raise Refusal(f"a path to class 0x{target:02x} with segments that do not belong there")
    instance = next((number for kind, number in rest if kind == "instance"), None)
    return Path(target, instance, ports)


_LOGICAL = {0x20: "class", 0x24: "instance", 0x28: "element", 0x30: "attribute"}
_WIDTHS = {0: (1, 2, "<B"), 1: (2, 4, "<H"), 2: (2, 6, "<I")}
"""Format bits -> (where the number starts, length of the segment, struct)."""


def _segments(path: bytes) -> list[tuple[str, int]]:
    """(kind, number) of each segment of a padded path, read to its last byte."""
    out: list[tuple[str, int]] = []
    at = 0
    while at < len(path):
        head = path[at]
        if head == 0x91:
            length = path[at + 1]
            out.append(("symbol", 0))
            at += 2 + length + length % 2
        elif head & 0xFC in _LOGICAL and head & 3 in _WIDTHS:
            start, length, form = _WIDTHS[head & 3]
            out.append((_LOGICAL[head & 0xFC], struct.unpack_from(form, path, at + start)[0]))
            at += length
        elif head & 0xE0 == 0 and head & 0x0F not in (0, 15):
            link = path[at + 1] if head & 0x10 else 0
            length = 2 + link if head & 0x10 else 2
            out.append(("port", head & 0x0F))
            at += length + length % 2
        else:
            raise Refusal(f"a path segment 0x{head:02x}")
    if at != len(path):
        raise Refusal("a path cut short")
    return out
