"""Captures of a link into which one frame that came back was put, one capture for each evidence that tells it.

    capture     frames 1 to FRAMES of the link, the planted one among them as number PLACE
    clean       the same without it, in the same form: what is found in the one must not be found in the other

A planting says what must be told of it: the frame by its number, or, of what no reader can read as a frame, that
something is there. They are written byte by byte here, so that the reader is not asked to vouch for itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from audit.samples import HIGH_MAC, LOW_MAC, frame

FRAMES, PLACE = 60, 31
"""Frames of each capture, and the number of the one that was planted, from 1."""
_START_S = 1_700_000_000
_PAYLOAD = 42
_OTHER_CARD = "02:dd:00:00:00:09"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planting:
    """One reverse frame in one capture."""

    name: str
    """By what it is told, in words that a report shows."""
    clean: bytes
    """The file without it."""
    planted: bytes
    """The file with it."""
    check: str = "CAP-1"
    """What must find it."""
    told: str = f"the first is frame {PLACE},"
    """What the check must say, where it fails or warns."""


def plantings() -> Iterator[Planting]:
    """Every kind."""
    same = _link()
    for name, hurt in _FRAMES.items():
        yield Planting(name=name, clean=pcap(same), planted=pcap(_put(hurt(link_frame(PLACE)))))
    yield Planting(
        name="the high side's own address, to a group",
        clean=pcap(same),
        planted=pcap(_put(frame(HIGH_MAC, "01:00:5e:00:00:fb", b"an answer"))),
        check="CAP-3",
        told=f"(first: frame {PLACE})",
    )
    yield Planting(
        name="another interface of the file",
        clean=_pcapng(same, interfaces=2),
        planted=_pcapng(same, interfaces=2, odd_interface=1),
    )
    yield Planting(
        name="the file's own word on its direction", clean=_pcapng(same, way=1), planted=_pcapng(same, way=1, odd_way=2)
    )
    told = f"nothing tells that it is one (first: frame {PLACE})"
    yield Planting(
        name="another interface of the file, without a name",
        clean=_pcapng(same, interfaces=2, named=False),
        planted=_pcapng(same, interfaces=2, named=False, odd_interface=1),
        told=told,
    )
    for place, value, what in ((10, 3, "packet type among those that came in"), (7, 9, "number of the interface")):
        cooked = [_cooked(one, 276, 0) for one in same]
        odd = [*cooked[: PLACE - 1], _patched(cooked[PLACE - 1], place, bytes([value])), *cooked[PLACE:]]
        yield Planting(name=f"the {what} of Linux cooked v2", clean=pcap(cooked, 276), planted=pcap(odd, 276))
    for link, what in ((113, "Linux cooked"), (276, "Linux cooked v2")):
        yield Planting(
            name=f"the packet type of {what}",
            clean=pcap([_cooked(one, link, 0) for one in same], link),
            planted=pcap([_cooked(one, link, 4 * (at == PLACE)) for at, one in enumerate(same, 1)], link),
        )
    yield from _hidden(same)


def _hidden(same: Sequence[bytes]) -> Iterator[Planting]:
    """Behind what a careless reader stops at, or steps over."""
    reverse = frame(LOW_MAC, HIGH_MAC, b"an answer")
    mixed = [*same[: PLACE - 1], reverse, *same[PLACE:]]
    for length in (0x7FFFFFFF, 400):
        held = bytearray(pcap(mixed))
        at = 24 + (PLACE - 3) * (16 + len(same[0]))  # two records before the planted one
        held[at + 8 : at + 12] = struct.pack("<I", length)
        told = "cannot be read as frames"
        yield Planting(name=f"behind a length of {length}", clean=pcap(same), planted=bytes(held), told=told)
    held = bytearray(_pcapng(mixed))
    at = held.index(reverse) - 28
    held[at : at + 4] = struct.pack("<I", 0x0BAD0001)
    named = bytearray(_pcapng(mixed, interfaces=2, odd_interface=1))
    place = named.index(reverse) - 28
    named[place : place + 4] = struct.pack("<I", 4)
    told = "of type 0x4 (names) were not looked into"
    yield Planting(
        name="in a block that claims to be names", clean=_pcapng(same, interfaces=2), planted=bytes(named), told=told
    )
    told = "hold more than a frame and options"
    behind = _pcapng(same[:-1], behind=_block(6, bytes(20) + reverse))
    yield Planting(name="behind the options of a packet block", clean=_pcapng(same), planted=behind, told=told)
    told = "of type 0xbad0001 were not looked into"
    yield Planting(name="in a block of an unknown type", clean=_pcapng(same), planted=bytes(held), told=told)
    held = bytearray(_pcapng(mixed))
    held[at + 4 : at + 8] = struct.pack("<I", 0x7FFFFFF0)
    told = "cannot be read as frames"
    yield Planting(name="in a block whose length is wrong", clean=_pcapng(same), planted=bytes(held), told=told)


def link_frame(index: int) -> bytes:
    """A frame as the link sends it: a shard with numbers of its own, in packet and stream.

    Args:
        index: Its number.
    """
    shard = b"CV\1\1" + struct.pack(">I8sQIBBBB", 7, b"a stream", index, 900, 1, 0, 0, 0) + bytes(40)
    return _patched(frame(HIGH_MAC, LOW_MAC, shard), 18, struct.pack(">H", index))


def _patched(one: bytes, at: int, value: bytes) -> bytes:
    return one[:at] + value + one[at + len(value) :]


_FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "another source address": lambda one: frame(LOW_MAC, HIGH_MAC, b"an answer"),
    "no source address that was kept": lambda one: one[:9],
    "the high side's own address, to the high side": lambda one: _patched(one, 0, bytes.fromhex("02dd00000001")),
    "of the link, to another card": lambda one: _patched(one, 0, bytes.fromhex(_OTHER_CARD.replace(":", ""))),
    "of the link, with another time to live": lambda one: _patched(one, 22, b"\x3f"),
    "of the link, numbered by another machine": lambda one: _patched(one, 18, b"\x9c\x40"),
    "hidden whole in a record of the link": lambda one: one + bytes(16) + frame(LOW_MAC, HIGH_MAC, b"")[:14],
    "of the link, from another port in between": lambda one: _patched(one, 34, b"\xc7\x38"),
    "hidden behind a frame of the link": lambda one: one + frame(LOW_MAC, HIGH_MAC, b"an answer") + bytes(100),
}
"""What makes one frame of the link into one that came back."""


def _link() -> list[bytes]:
    return [link_frame(index) for index in range(1, FRAMES + 1)]


def _put(one: bytes) -> list[bytes]:
    held = _link()
    held[PLACE - 1] = one
    return held


def pcap(frames: Sequence[bytes], link: int = 1) -> bytes:
    """A classic capture of frames of a link type, a millisecond apart."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, link)]
    for index, one in enumerate(frames):
        out.append(
            struct.pack("<IIII", _START_S + index // 1000, index % 1000 * 1000, len(one), max(len(one), 60)) + one
        )
    return b"".join(out)


def _pcapng(
    frames: Sequence[bytes],
    *,
    interfaces: int = 1,
    named: bool = True,
    odd_interface: int = 0,
    way: int = 0,
    odd_way: int = 0,
    behind: bytes = b"",
) -> bytes:
    """All frames on interface 0 with one direction, the planted one where `odd` says, or with bytes behind it."""
    out = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for index in range(interfaces):
        name = f"tap{index}".encode()
        out.append(_block(1, struct.pack("<HHI", 1, 0, 0) + named * (struct.pack("<HH", 2, len(name)) + name)))
    for index, one in enumerate(frames, 1):
        odd = index == PLACE
        time = _START_S * 1_000_000 + index * 1000
        told = (odd_way if odd and odd_way else way, odd_interface if odd else 0)
        body = struct.pack("<IIIII", told[1], time >> 32, time & 0xFFFFFFFF, len(one), len(one))
        body += one + bytes(-len(one) % 4) + (struct.pack("<HHIHH", 2, 4, told[0], 0, 0) if told[0] else b"")
        out.append(_block(6, body + behind * odd))
    return b"".join(out)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _cooked(one: bytes, link: int, packet: int) -> bytes:
    """A frame as Linux's cooked link types keep it, with its packet type: 0 came in, 4 was sent by this machine."""
    source, rest = one[6:12], one[14:]
    if link == 113:
        return struct.pack(">HHH", packet, 1, 6) + source + b"\0\0" + b"\x08\0" + rest
    return b"\x08\0\0\0" + struct.pack(">IHBB", 3, 1, packet, 6) + source + b"\0\0" + rest
