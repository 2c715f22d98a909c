"""The requests that a scan will cost, worked out from the configuration alone.

Types, and with them sizes, are the controller's to say; where the configuration has none, a value counts as a STRING
(88 bytes), the largest that is predefined; `type` in a tag's table brings the plan closer. Tags are counted by name, as
a controller without instance numbers is asked; with them requests are shorter. Members that will be read as one
structure are counted one by one. So the plan is an upper bound, and what is sent is never more often; a device that
knows no Multiple Service Packet has `one_request_a_tag`, a string of a type of the program's own its `length`. Only
while a tag is looked for at which the connection fails there are more requests. What a connect costs is listed as one
line without a period.

Packing follows the library: tags share a Multiple Service Packet until the connection's size is reached; a value that
is larger than the connection is read in fragments.
"""

from __future__ import annotations

import math

from collectors.base import Device, Request
from collectors.enip.config import Address, Config, Item
from collectors.enip.driver import SMALL

LARGE = 4000
"""Connection size after a large Forward Open [bytes]."""

FRAME = 46
"""Encapsulation header, common packet items and sequence count, before the request or reply itself [bytes]."""

MULTIPLE = 8
"""Service, path and count of a Multiple Service Packet [bytes]; each tag adds an offset of 2."""

COUNT = 2
"""Sequence count, which the library counts with each part when it packs [bytes]."""

REPLY = 6
"""Head and type word of one reply [bytes]."""

UNKNOWN = 88
"""Bytes of a value whose type nobody has typed: a STRING."""

SIZES = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "float16": 4,
    "int64": 8,
    "uint64": 8,
    "float64": 8,
    "string": 88,
}
"""Bytes of a value of a catalog type in the controller; all others take 4."""


def requests(device: Device, config: Config) -> list[Request]:
    """Every read request of one pass over each scan, and of a connect."""
    room = LARGE if config.large and config.browse else SMALL
    out: list[Request] = []
    for scan, items in zip(device.scans, config.scans, strict=True):
        groups = [(item,) for item in items] if config.one_request_a_tag else [items]
        for group in groups:
            out += _packets(group, room, scan.every_s)
        if items and config.browse:
            out.append(
                Request(
                    what="read change counts (class 0xAC)",
                    every_s=scan.every_s,
                    points=0,
                    request_bytes=FRAME + 18,
                    reply_bytes=FRAME + 42,
                )
            )
    return [*out, *_opening(config)]


def _opening(config: Config) -> list[Request]:
    """Who it is, and what its tags are; once at each connect."""
    items = [item for items in config.scans for item in items]
    what = "session, connection, identity and name of the program"
    if config.browse:
        what += "; the tag list, some 30 tags a request, where the change counts have moved; unlisted tags once each"
    else:
        what += f"; each of {len(items)} tags once, to learn its type"
    asked = max((request_bytes(item.address) for item in items), default=0)
    most = FRAME + (SMALL if config.browse else REPLY + UNKNOWN)
    return [Request(what=what, every_s=math.inf, points=0, request_bytes=FRAME + asked, reply_bytes=most)]


def _packets(items: tuple[Item, ...], room: int, every_s: float) -> list[Request]:
    packets: list[Request] = []
    group: list[tuple[Item, int, int]] = []
    used = 10
    for item in items:
        asked, size = request_bytes(item.address), item.point.count * _size(item)
        whole = size + asked + COUNT + 2
        if whole > room:
            packets += _fragments(item, asked, size, room, every_s)
            continue
        if used + whole > room:
            packets.append(_packet(group, every_s))
            group, used = [], 10
        group.append((item, asked, size))
        used += whole
    return packets + ([_packet(group, every_s)] if group else [])


def _size(item: Item) -> int:
    """Bytes of one element."""
    if item.length:
        return (4 + item.length + 3) // 4 * 4
    return UNKNOWN if item.point.type is None else SIZES.get(item.point.type, 4)


def _packet(group: list[tuple[Item, int, int]], every_s: float) -> Request:
    points = sum(item.point.count for item, _, _ in group)
    asked = sum(asked for _, asked, _ in group)
    size = sum(size for _, _, size in group) + REPLY * len(group)
    if len(group) == 1:
        item = group[0][0]
        count = f" x {item.point.count}" if item.point.count > 1 else ""
        return Request(
            what=f"read {item.address}{count}",
            every_s=every_s,
            points=points,
            request_bytes=FRAME + asked,
            reply_bytes=FRAME + size,
        )
    names = ", ".join(str(item.address) for item, _, _ in group[:3]) + (" .." if len(group) > 3 else "")
    extra = MULTIPLE + 2 * len(group)
    return Request(
        what=f"read {len(group)} tags together: {names}",
        every_s=every_s,
        points=points,
        request_bytes=FRAME + extra + asked,
        reply_bytes=FRAME + extra + size,
    )


def _fragments(item: Item, asked: int, size: int, room: int, every_s: float) -> list[Request]:
    """As many reads as the value has pieces of the connection's size."""
    piece = (room - 2 - REPLY) // 4 * 4
    count = -(-size // piece)
    return [
        Request(
            what=f"read {item.address} x {item.point.count}, part {part + 1} of {count}",
            every_s=every_s,
            points=item.point.count if part == 0 else 0,
            request_bytes=FRAME + asked + 4,
            reply_bytes=FRAME + REPLY + min(piece, size - part * piece),
        )
        for part in range(count)
    ]


def request_bytes(address: Address) -> int:
    """A Read Tag by name: service, path, number of elements [bytes] (1756-PM020, symbolic segment addressing)."""
    names = [address.scope[:-1]] if address.program else []
    names += [step.name for step in address.steps]
    path = sum(2 + len(name) + len(name) % 2 for name in names)
    for step in address.steps:
        path += sum(2 if one < 0x100 else 4 if one < 0x10000 else 6 for one in step.index)
    return 2 + path + 2
