"""pcapng's blocks: sections, interfaces, packets in their three forms, statistics.

    block     type (4), length (4), content, length again (4); a section's byte order is told by its first block
    0A0D0D0A  section header: byte-order magic, version; interfaces are numbered anew
    1         interface: link type, snap length, options (name, filter, unit and offset of time)
    6         enhanced packet: interface, time (8), bytes kept, bytes on the wire, bytes, options (frames lost before)
    3         simple packet: bytes on the wire, bytes; the first interface, no time
    2         packet, obsolete: interface (2), frames lost (2), then as 6
    5         interface statistics: what the capture itself lost

A block is believed when its length is possible, is repeated at its end and fits the file; at the first that is not the
walk ends and says so. Source: draft-ietf-opsawg-pcapng, sections 3 and 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap

import numpy as np

from audit.capture.records import (
    CHUNK,
    MOST_BYTES,
    Bytes,
    CaptureInterface,
    CaptureWalk,
    Frames,
    Numbers,
    Order,
    window,
)

_SECTION, _INTERFACE, _OLD, _SIMPLE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 5, 6
_MAGIC = 0x1A2B3C4D
_INTERFACES = 4096
"""Most interfaces of a file: more is no capture, and would only fill the memory."""
_OPTIONS = 64
"""Most options read of one block."""
_BLOCK_BYTES = MOST_BYTES + 4096
"""Longest packet block believed [bytes]."""
_BIG = 16 << 20
"""Longest block of another kind believed [bytes]: key logs and name tables."""


@dataclass(slots=True)
class _Section:
    """The section that is read: its byte order, and which interfaces are its own."""

    order: Order = "<"
    base: int = 0
    """Index of the section's first interface."""


@dataclass(slots=True)
class _Part:
    """Packet blocks gathered for one chunk, all of one section."""

    order: Order
    base: int
    at: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)


def blocks(data: mmap, view: Bytes, interfaces: list[CaptureInterface], walk: CaptureWalk) -> Iterator[Frames]:
    """The frames of a file.

    Args:
        data: The mapped file.
        view: The same as an array.
        interfaces: Filled on the way.
        walk: Kept up to date.
    """
    section = _Section()
    part = _Part(section.order, section.base)
    number = 1
    for at, kind, total in _walk(data, section, interfaces, walk):
        if (part.order, part.base) != (section.order, section.base) or len(part.at) >= CHUNK:
            if part.at:
                yield (frames := _frames(view, part, interfaces, number, walk))
                number += len(frames.at)
            part = _Part(section.order, section.base)
        part.at.append(at)
        part.kinds.append(kind)
        part.totals.append(total)
    if part.at:
        yield _frames(view, part, interfaces, number, walk)


def _walk(
    data: mmap, section: _Section, interfaces: list[CaptureInterface], walk: CaptureWalk
) -> Iterator[tuple[int, int, int]]:
    """Place, kind and length of each packet block; other blocks are taken in on the way."""
    at, end = 0, len(data)
    head, word = struct.Struct("<II"), struct.Struct("<I")
    while at + 12 <= end:
        kind, total = head.unpack_from(data, at)
        if kind == _SECTION:
            order = _order(data, at, end)
            if order is None:
                walk.damage = f"the section at byte {at} has no byte-order magic"
                return
            section.order, section.base = order, len(interfaces)
            head, word = struct.Struct(order + "II"), struct.Struct(order + "I")
            kind, total = head.unpack_from(data, at)
        packet = kind in (_ENHANCED, _SIMPLE, _OLD)
        if total % 4 or not (16 if packet else 12) <= total <= (_BLOCK_BYTES if packet else _BIG):
            walk.damage = f"the block at byte {at} claims {total} bytes"
            return
        if at + total > end:
            return  # cut by the end of the file
        if word.unpack_from(data, at + total - 4)[0] != total:
            walk.damage = f"the block at byte {at} does not repeat its length"
            return
        if packet:
            yield at, kind, total
        elif kind == _INTERFACE:
            if len(interfaces) >= _INTERFACES:
                walk.damage = f"more than {_INTERFACES} interfaces at byte {at}"
                return
            interfaces.append(_interface(data, at, total, section.order))
        elif kind == _STATISTICS:
            _statistics(data, at, total, section, interfaces)
        elif kind != _SECTION:
            walk.skipped[kind] = walk.skipped.get(kind, 0) + 1
        at += total
        walk.at = at


def _order(data: mmap, at: int, end: int) -> Order | None:
    if at + 28 > end:
        return None
    orders: tuple[Order, ...] = ("<", ">")
    return next((order for order in orders if struct.unpack_from(order + "I", data, at + 8)[0] == _MAGIC), None)


def _interface(data: mmap, at: int, total: int, order: str) -> CaptureInterface:
    if total < 20:
        return CaptureInterface(link=-1)
    (link,) = struct.unpack_from(order + "H", data, at + 8)
    out = CaptureInterface(link=link)
    for code, value in _options(data, at + 16, at + total - 4, order):
        if code == 2:
            out.name = value.decode("utf-8", "replace")[:80]
        elif code == 11:
            out.filter = value[1:].decode("utf-8", "replace")[:400] if value[:1] == b"\0" else "bpf"
        elif code == 9 and value:
            out.units = value[0]
        elif code == 14 and len(value) == 8:
            (out.offset_s,) = struct.unpack(order + "q", value)
    return out


def _statistics(data: mmap, at: int, total: int, section: _Section, interfaces: list[CaptureInterface]) -> None:
    """The last statistics of an interface count: they are totals."""
    if total < 24:
        return
    (index,) = struct.unpack_from(section.order + "I", data, at + 8)
    if section.base + index >= len(interfaces):
        return
    told = {
        code: struct.unpack(section.order + "Q", value)[0]
        for code, value in _options(data, at + 20, at + total - 4, section.order)
        if code in (5, 7) and len(value) == 8
    }
    if told:  # isb_ifdrop and isb_osdrop
        interfaces[section.base + index].dropped = sum(told.values())


def _options(data: mmap, at: int, end: int, order: str) -> Iterator[tuple[int, bytes]]:
    head = struct.Struct(order + "HH")
    for _ in range(_OPTIONS):
        if at + 4 > end:
            return
        code, size = head.unpack_from(data, at)
        if code == 0 or at + 4 + size > end:
            return
        yield code, bytes(data[at + 4 : at + 4 + size])
        at += 4 + (size + 3) // 4 * 4


def _frames(view: Bytes, part: _Part, interfaces: list[CaptureInterface], number: int, walk: CaptureWalk) -> Frames:
    at, kinds = np.array(part.at, np.int64), np.array(part.kinds, np.int64)
    totals = np.array(part.totals, np.int64)
    words = window(view, at, 28).view(np.dtype(np.uint32).newbyteorder(part.order)).reshape(-1, 7).astype(np.int64)
    simple, old = kinds == _SIMPLE, kinds == _OLD
    room = totals - np.where(simple, 16, 32)
    length = np.where(simple, words[:, 2], words[:, 6])
    room = np.maximum(room, 0)
    kept = np.where(simple, np.minimum(length, room), words[:, 5])
    walk.clipped += int((kept > room).sum())
    kept = np.minimum(kept, room)
    index = np.where(simple, 0, words[:, 2])
    if old.any():
        halves = (words[:, 2] & 0xFFFF, words[:, 2] >> 16)
        lost = halves[0] if part.order == ">" else halves[1]
        index = np.where(old, halves[1] if part.order == ">" else halves[0], index)
        walk.drops += int(lost[old & (lost != 0xFFFF)].sum())
    _count_lost(view, part, kept, room, kinds, walk)
    index = part.base + index
    known = index < len(interfaces)
    if not known.all():
        index = np.where(known, index, _unknown(interfaces))
    high = np.where(simple, 0, words[:, 3]).astype(np.uint64)
    units = (high << np.uint64(32)) | np.where(simple, 0, words[:, 4]).astype(np.uint64)
    time_ns = np.zeros(len(at), np.int64)
    for one in np.unique(index):
        here = (index == one) & ~simple
        time_ns[here] = _nanoseconds(units[here], interfaces[int(one)])
    start = at + np.where(simple, 12, 28)
    return Frames(first=number, at=start, kept=kept, length=length, time_ns=time_ns, interface=index)


def _unknown(interfaces: list[CaptureInterface]) -> int:
    """Index of the interface that stands for packets whose own was never described."""
    for index, one in enumerate(interfaces):
        if one.link == -1:
            return index
    interfaces.append(CaptureInterface(link=-1, name="not described"))
    return len(interfaces) - 1


def _count_lost(view: Bytes, part: _Part, kept: Numbers, room: Numbers, kinds: Numbers, walk: CaptureWalk) -> None:
    """Enhanced blocks may say how many frames were lost before them (epb_dropcount); few have options at all."""
    for row in np.flatnonzero((kinds == _ENHANCED) & (room - (kept + 3) // 4 * 4 >= 12)):
        at = part.at[row] + 28 + (int(kept[row]) + 3) // 4 * 4
        options = bytes(view[at : part.at[row] + part.totals[row] - 4][:256])
        head = struct.Struct(part.order + "HH")
        place = 0
        while place + 4 <= len(options):
            code, size = head.unpack_from(options, place)
            if code == 0:
                break
            if code == 4 and size == 8 and place + 12 <= len(options):
                walk.drops += struct.unpack_from(part.order + "Q", options, place + 4)[0]
            place += 4 + (size + 3) // 4 * 4


def _nanoseconds(units: np.ndarray[tuple[int], np.dtype[np.uint64]], interface: CaptureInterface) -> Numbers:
    """Times of an interface in nanoseconds; what no calendar holds wraps around and is shown as it is."""
    power = interface.units & 0x7F
    if interface.units & 0x80:
        whole, fraction = units >> np.uint64(min(power, 63)), units & np.uint64((1 << min(power, 63)) - 1)
        if power > 30:
            fraction >>= np.uint64(min(power, 63) - 30)
        nanoseconds = whole * np.uint64(1_000_000_000) + (
            (fraction * np.uint64(1_000_000_000)) >> np.uint64(min(power, 30))
        )
    elif power <= 9:
        nanoseconds = units * np.uint64(10 ** (9 - power))
    else:
        nanoseconds = units // np.uint64(10 ** min(power - 9, 19))
    offset = np.array([interface.offset_s], np.int64) * np.array([1_000_000_000], np.int64)
    out: Numbers = nanoseconds.astype(np.int64) + offset
    return out
