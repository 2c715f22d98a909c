"""The objects of a false controller that are nothing but attributes.

    0x01 identity      0x02 message router      0x64 program name    0x8B wall clock    0xAC change counts
    0xF5 TCP/IP interface                       0xF6 Ethernet link

Instance 1 of each is given as attribute number -> encoded value; instance 0, the class itself, has its revision, its
greatest instance and their number.

Sources: ODVA, The CIP Networks Library, volume 1 (4-4.1 class attributes, 5-2 identity, 5-3 message router), volume 2
(5-4 TCP/IP interface, 5-5 Ethernet link); 1756-RM003 (wall clock); 1756-PM020 (detecting changes).
"""

from __future__ import annotations

import socket
import struct
import time
import zlib
from dataclasses import dataclass

from simulator.logix.cip import ClassCode

OPERATIONAL = 3
"""State of a device (volume 1, 5-2.2.1.8)."""

REVISIONS = {ClassCode.IDENTITY: 1, ClassCode.MESSAGE_ROUTER: 1, ClassCode.TCP_IP: 4, ClassCode.ETHERNET: 4}
"""Class -> revision of its definition; 1 for all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityObject:
    """What the controller says of itself (volume 1, 5-2)."""

    product: str = "1756-L83E/B"
    major: int = 33
    """Firmware; from 21 on clients address tags by instance, from 18 on they ask for attribute 10."""
    minor: int = 11
    serial: int = 0x00C0FFEE
    vendor: int = 1
    device: int = 14
    """Device type: programmable logic controller."""
    code: int = 166
    status: int = 0x3060
    """Owned, run mode, key switch in remote run."""

    def attributes(self) -> dict[int, bytes]:
        """Attributes 1 to 7, encoded."""
        name = self.product.encode("ascii", "replace")[:32]
        return {
            1: struct.pack("<H", self.vendor),
            2: struct.pack("<H", self.device),
            3: struct.pack("<H", self.code),
            4: bytes((self.major, self.minor)),
            5: struct.pack("<H", self.status),
            6: struct.pack("<I", self.serial),
            7: bytes((len(name),)) + name,
        }


def class_attributes(which: int) -> dict[int, bytes]:
    """Revision, greatest instance, number of instances."""
    revision = next((value for code, value in REVISIONS.items() if code == which), 1)
    return {number: struct.pack("<H", value) for number, value in ((1, revision), (2, 1), (3, 1))}


def router() -> dict[int, bytes]:
    """Message router: the classes there are, and how many connections."""
    classes = sorted(ClassCode)
    return {1: struct.pack(f"<H{len(classes)}H", len(classes), *classes), 2: struct.pack("<H", 32)}


def program_name(name: str) -> dict[int, bytes]:
    """Name of the program that the controller runs."""
    raw = name.encode("ascii", "replace")
    return {1: struct.pack("<H", len(raw)) + raw}


def wall_clock(now_ns: int) -> dict[int, bytes]:
    """The controller's time [ns since 1970 UTC], in parts and whole."""
    now_us = now_ns // 1000
    local = time.gmtime(now_us // 1_000_000)
    parts = struct.pack("<7i", *local[:6], now_us % 1_000_000)
    whole = struct.pack("<Q", now_us)
    return {5: parts, 6: whole, 11: whole}


def tcp_ip(address: str, name: str) -> dict[int, bytes]:
    """TCP/IP interface: configured, by hand; its link, its address, its name."""
    host = struct.unpack(">I", socket.inet_aton(address))[0]
    raw = name.encode("ascii", "replace")[:64]
    return {
        1: struct.pack("<I", 1),
        2: struct.pack("<I", 0x20),
        3: struct.pack("<I", 0),
        4: struct.pack("<H", 2) + b"\x20\xf6\x24\x01",
        5: struct.pack("<5IH", host, 0xFFFFFF00, 0, 0, 0, 0),
        6: struct.pack("<H", len(raw)) + raw + bytes(len(raw) % 2),
    }


def ethernet(name: str) -> dict[int, bytes]:
    """Ethernet link: 1000 Mbit/s, full duplex, up; a locally administered address drawn from the name."""
    own = struct.pack(">I", zlib.crc32(name.encode()))
    return {1: struct.pack("<I", 1000), 2: struct.pack("<I", 0x0F), 3: b"\x02\x5c" + own}
