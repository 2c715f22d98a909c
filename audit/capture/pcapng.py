"""pcapng's blocks: sections, interfaces, packets in their three forms, statistics.

    block     type (4), length (4), content, length again (4); a section's byte order is told by its first block
    0A0D0D0A  section header: byte-order magic, version; interfaces are numbered anew
    1         interface: link type, snap length, options (name, filter, unit and offset of time)
    6         enhanced packet: interface, time (8), bytes kept, bytes on the wire, bytes, options (frames lost before)
    3         simple packet: bytes on the wire, bytes; the first interface, no time
    2         packet, obsolete: interface (2), frames lost (2), then as 6
    5         interface statistics: what the capture itself lost

A block is believed when its length is possible, is repeated at its end and fits the file; behind one that is not the
walk goes on where blocks can be told again (`resume.py`), and says so. Blocks of other types are counted by type; those
that Wireshark counts as frames have a number here too, so that both name a frame alike. Source:
draft-ietf-opsawg-pcapng, sections 3 and 4; which blocks have numbers: tried with tshark 4.0.17.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap

import numpy as np

from audit.capture import resume
from audit.capture.records import (
    CHUNK,
    IN,
    MOST_BYTES,
    MOST_PLACES,
    OUT,
    Bytes,
    CaptureInterface,
    CaptureWalk,
    Frames,
    Numbers,
    Order,
    window,
)

_SECTION, _INTERFACE, _OLD, _SIMPLE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 5, 6
PACKET_BLOCKS = (_OLD, _SIMPLE, _ENHANCED)
_NAMES, _SECRETS = 4, 10
_NAME_BYTES = {1: 6, 2: 18, 3: 8, 4: 10}
"""Least bytes of a record of names: an address (IPv4, IPv6, EUI-48, EUI-64), a letter and a zero."""
_NUMBERED = (9, 0xBAD, 0x40000BAD, 0x204)
"""Blocks without a frame that tshark numbers as one: a journal's entry, somebody's own (two forms), a system call."""
_MAGIC = 0x1A2B3C4D
_VERSIONS = ((1, 0), (1, 2))
"""Versions of a section that are laid out as above; 1.2 was written by some for the same."""
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
    own: list[int] = field(default_factory=list)
    """Index of each of the section's interfaces, as far as they were described."""


@dataclass(slots=True)
class _Part:
    """Packet blocks gathered for one chunk, all of one section and with the same interfaces described before them."""

    order: Order
    own: tuple[int, ...]
    at: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
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
    part, held = _Part(section.order, ()), section.own
    for at, kind, total, number in _walk(data, view, section, interfaces, walk):
        if held is not section.own or len(part.own) != len(held) or len(part.at) >= CHUNK:
            if part.at:
                yield _frames(view, part, interfaces, walk)
            held = section.own
            part = _Part(section.order, tuple(held))
        part.at.append(at)
        part.kinds.append(kind)
        part.totals.append(total)
        part.numbers.append(number)
    if part.at:
        yield _frames(view, part, interfaces, walk)


def _walk(
    data: mmap, view: Bytes, section: _Section, interfaces: list[CaptureInterface], walk: CaptureWalk
) -> Iterator[tuple[int, int, int, int]]:
    """Place, kind, length and number of each packet block; other blocks are taken in on the way."""
    at, end, number = 0, len(data), 0
    head, word = struct.Struct("<II"), struct.Struct("<I")
    while at + 12 <= end:
        kind, total = head.unpack_from(data, at)
        problem = ""
        if kind == _SECTION:
            order = _order(data, at, end)
            problem = _section_problem(data, at, order)
            if order is not None and not problem:
                section.order, section.own = order, []
                head, word = struct.Struct(order + "II"), struct.Struct(order + "I")
                kind, total = head.unpack_from(data, at)
        packet = kind in PACKET_BLOCKS
        cut = False
        if problem:
            pass
        elif total % 4 or not (16 if packet else 12) <= total <= (_BLOCK_BYTES if packet else _BIG):
            problem = f"the block at byte {at} claims {total} bytes"
        elif at + total > end:
            cut = True
        elif word.unpack_from(data, at + total - 4)[0] != total:
            problem = f"the block at byte {at} does not repeat its length"
        elif kind == _INTERFACE and len(interfaces) >= _INTERFACES:
            problem = f"more than {_INTERFACES} interfaces at byte {at}"
        if problem or cut:
            onward = resume.block(view, at + 4, section.order) if walk.places < MOST_PLACES else None
            if cut and onward is None:
                return  # cut by the end of the file
            walk.places += 1
            walk.damage = walk.damage or problem or f"the block at byte {at} claims {total} bytes, and others follow"
            if onward is None:
                return
            walk.unread += onward - at
            walk.behind = walk.behind or number + 1
            at = onward
            continue
        if packet:
            number += 1
            yield at, kind, total, number
        elif kind == _INTERFACE:
            described = _interface(data, at, total, section.order, walk)
            described.place = len(section.own)
            section.own.append(len(interfaces))
            interfaces.append(described)
        elif kind == _STATISTICS:
            _statistics(data, at, total, section, interfaces, walk)
        elif kind != _SECTION:
            number += kind in _NUMBERED
            walk.skipped[kind] = walk.skipped.get(kind, 0) + 1
            if not _holds(data, at, total, kind, section.order):
                _strange(walk, kind)
        at += total
        walk.at = at


def _order(data: mmap, at: int, end: int) -> Order | None:
    if at + 28 > end:
        return None
    orders: tuple[Order, ...] = ("<", ">")
    return next((order for order in orders if struct.unpack_from(order + "I", data, at + 8)[0] == _MAGIC), None)


def _section_problem(data: mmap, at: int, order: Order | None) -> str:
    if order is None:
        return f"the section at byte {at} has no byte-order magic"
    version = struct.unpack_from(order + "HH", data, at + 12)
    if version not in _VERSIONS:
        return f"the section at byte {at} is of version {version[0]}.{version[1]}, which is not known here"
    return ""


def _holds(data: mmap, at: int, total: int, kind: int, order: Order) -> bool:
    """Whether a block without frames holds what its type says; of types that are not known here none does.

    Names are records of type 1 to 4 up to one of type 0, then options; secrets begin with four letters and a length
    that fits.
    """
    if kind == _NAMES:
        return _holds_names(data, at + 8, at + total - 4, order)
    if kind == _SECRETS and total >= 20:
        letters, size = struct.unpack_from(order + "II", data, at + 8)
        return letters.to_bytes(4, "big").isalnum() and bool(size <= total - 20)
    return False


def _holds_names(data: mmap, at: int, end: int, order: Order) -> bool:
    head = struct.Struct(order + "HH")
    while at + 4 <= end:
        kind, size = head.unpack_from(data, at)
        at += 4 + (size + 3) // 4 * 4
        if kind == 0:
            return size == 0 and _whole_options(data, at, end, order)
        least = _NAME_BYTES.get(kind)
        if least is None or size < least or at > end:
            return False
    return at == end


def _strange(walk: CaptureWalk, kind: int) -> None:
    walk.strange[kind] = walk.strange.get(kind, 0) + 1


def _interface(data: mmap, at: int, total: int, order: str, walk: CaptureWalk) -> CaptureInterface:
    if total < 20:
        _strange(walk, _INTERFACE)
        return CaptureInterface(link=-1)
    (link,) = struct.unpack_from(order + "H", data, at + 8)
    if not _whole_options(data, at + 16, at + total - 4, order):
        _strange(walk, _INTERFACE)
    out = CaptureInterface(link=link)
    for code, value in _options(data, at + 16, at + total - 4, order):
        if code == 2:
            out.name = value.decode("utf-8", "replace")[:80]
        elif code == 3:
            out.description = value.decode("utf-8", "replace")[:80]
        elif code == 11:
            out.filter = value[1:].decode("utf-8", "replace")[:400] if value[:1] == b"\0" else "bpf"
        elif code == 9 and value:
            out.units = value[0]
        elif code == 14 and len(value) == 8:
            (out.offset_s,) = struct.unpack(order + "q", value)
    return out


def _statistics(
    data: mmap, at: int, total: int, section: _Section, interfaces: list[CaptureInterface], walk: CaptureWalk
) -> None:
    """The last statistics of an interface count: they are totals."""
    index = struct.unpack_from(section.order + "I", data, at + 8)[0] if total >= 24 else len(section.own)
    if index >= len(section.own) or not _whole_options(data, at + 20, at + total - 4, section.order):
        _strange(walk, _STATISTICS)
        return
    told = {
        code: struct.unpack(section.order + "Q", value)[0]
        for code, value in _options(data, at + 20, at + total - 4, section.order)
        if code in (5, 7) and len(value) == 8
    }
    if told:  # isb_ifdrop and isb_osdrop
        interfaces[section.own[index]].dropped = sum(told.values())


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


def _whole_options(data: mmap, at: int, end: int, order: str) -> bool:
    """Whether the options end where their block does, or at an end of options with nothing but zeros behind."""
    head = struct.Struct(order + "HH")
    for _ in range(_OPTIONS):
        if at == end:
            return True
        if at + 4 > end:
            return False
        code, size = head.unpack_from(data, at)
        at += 4 + (size + 3) // 4 * 4
        if code == 0:
            return size == 0 and at <= end and not any(data[at:end])
    return False


def _frames(view: Bytes, part: _Part, interfaces: list[CaptureInterface], walk: CaptureWalk) -> Frames:
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
    way = _packet_options(view, part, at + 28, kept, room, kinds, walk)
    known = index < len(part.own)
    own = np.array(part.own if known.all() else (*part.own, _unknown(interfaces)), np.int64)
    index = own[np.minimum(index, len(own) - 1)]
    high = np.where(simple, 0, words[:, 3]).astype(np.uint64)
    units = (high << np.uint64(32)) | np.where(simple, 0, words[:, 4]).astype(np.uint64)
    time_ns = np.zeros(len(at), np.int64)
    for one in np.unique(index):
        here = (index == one) & ~simple
        time_ns[here] = _nanoseconds(units[here], interfaces[int(one)])
    start = at + np.where(simple, 12, 28)
    return Frames(
        number=np.array(part.numbers, np.int64),
        at=start,
        kept=kept,
        length=length,
        time_ns=time_ns,
        interface=index,
        way=way,
    )


def _unknown(interfaces: list[CaptureInterface]) -> int:
    """Index of the interface that stands for packets whose own was never described."""
    for index, one in enumerate(interfaces):
        if one.link == -1:
            return index
    interfaces.append(CaptureInterface(link=-1, name="not described"))
    return len(interfaces) - 1


def _packet_options(
    view: Bytes, part: _Part, at: Numbers, kept: Numbers, room: Numbers, kinds: Numbers, walk: CaptureWalk
) -> Bytes:
    """Each frame's way, where its flags tell it; frames that its drop count says were lost before it are added up.

    A block whose options do not lead to its end holds something else there: it is counted as strange.
    """
    way = np.zeros(len(at), np.uint8)
    behind = room - (kept + 3) // 4 * 4
    for kind in kinds[(kinds == _SIMPLE) & (behind >= 4)].tolist():
        _strange(walk, kind)
    here = np.flatnonzero((kinds != _SIMPLE) & (behind >= 8))
    place = at[here] + (kept[here] + 3) // 4 * 4
    end = np.array(part.totals, np.int64)[here] + np.array(part.at, np.int64)[here] - 4
    for _ in range(_OPTIONS + 1):
        inside = place + 4 <= end
        for kind in kinds[here[~inside & (place != end)]].tolist():
            _strange(walk, kind)
        here, place, end = here[inside], place[inside], end[inside]
        if not len(here):
            break
        words = window(view, place, 12)
        code, size = (
            one.astype(np.int64)
            for one in words[:, :4].copy().view(np.dtype(np.uint16).newbyteorder(part.order)).reshape(-1, 2).T
        )
        flags = (code == 2) & (size == 4) & (place + 8 <= end)
        told = words[flags, 4 if part.order == "<" else 7] & 3
        way[here[flags]] = np.where(told == 1, IN, np.where(told == 2, OUT, 0))
        lost = (code == 4) & (size == 8) & (place + 12 <= end) & (kinds[here] == _ENHANCED)
        if lost.any():
            counts = words[lost, 4:].copy().view(np.dtype(np.uint64).newbyteorder(part.order)).reshape(-1)
            walk.drops += sum(map(int, counts))
        more = code != 0
        over = ~more & ((size != 0) | (place + 8 <= end))  # behind an end of options nothing stands
        for one in np.flatnonzero(over).tolist():
            if size[one] or view[place[one] + 4 : end[one]].any():
                _strange(walk, int(kinds[here[one]]))
        here, place, end = here[more], (place + 4 + (size + 3) // 4 * 4)[more], end[more]
    for kind in kinds[here].tolist():  # more of them than are read
        _strange(walk, kind)
    return way


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
