"""The frames of `audit provoke`, byte by byte: what a switch, a tester or an attacker in the high side's place sends.

Each is one that a stock network stack answers, or would like to. Beside it stands the answer that an unprotected Linux
gives (seen on 6.18). `from_low` are the other direction: what root on the low side can put on its own interface. Pure.

Sources: RFC 826 (ARP), 791 and 1122 (IPv4), 792 (ICMP), 9293 (TCP), 768 (UDP), 2236 (IGMP), 8200, 4443 and 4861 (IPv6);
IEEE 802.3 annex 31B (PAUSE), 802.1AB (LLDP), 802.1X, 802.1D (STP).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_ICMP, _IGMP, _TCP, _UDP, _ICMP6 = 1, 2, 6, 17, 58
_CLOSED_PORT = 9
"""Discard: nobody listens there."""
_UNASSIGNED = 200
"""An IP protocol number that nobody has (IANA: unassigned)."""
_ELSEWHERE = "203.0.113.9"
"""An address of nobody's (RFC 5737)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPair:
    """Addresses of the interface that provokes and of the machine that is provoked."""

    mac: str
    """Of the interface that provokes."""
    address: str
    """IPv4 address that it gives for its own."""
    peer_mac: str
    peer: str
    """IPv4 address of the machine that must not answer."""
    port: int
    """UDP port of the link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provocation:
    """One frame that an unprotected machine would answer."""

    name: str
    frame: bytes
    answer: str
    """What an unprotected machine answers."""


def to_low(pair: AddressPair) -> list[Provocation]:
    """The twelve, from the high side's place."""
    me, low, us = _mac(pair.mac), _mac(pair.peer_mac), (pair.address, pair.peer)
    everyone, all_hosts = b"\xff" * 6, bytes.fromhex("01005e000001")
    link = _link_local(pair.mac), _link_local(pair.peer_mac)
    asked = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + link[1][13:]
    group6, node6 = bytes.fromhex("333300000001"), b"\x33\x33" + asked[12:]
    data = _udp(b"x" * 32, pair.port)
    frames = [
        ("ARP request", everyone, 0x0806, _arp(pair), "ARP reply"),
        ("ping", low, 0x0800, _ip4(us, _ICMP, _icmp(8, b"checkvalve")), "ICMP echo reply"),
        ("TCP SYN", low, 0x0800, _ip4(us, _TCP, _syn(us, 22)), "TCP RST"),
        ("closed UDP port", low, 0x0800, _ip4(us, _UDP, _udp(b"x", _CLOSED_PORT)), "ICMP type 3 code 3"),
        ("unknown protocol", low, 0x0800, _ip4(us, _UNASSIGNED, b"x"), "ICMP type 3 code 2"),
        (
            "wrong destination",
            low,
            0x0800,
            _ip4((us[0], _ELSEWHERE), _UDP, _udp(b"x", 9)),
            "ICMP or a forwarded datagram",
        ),
        ("bad IP option", low, 0x0800, _ip4(us, _UDP, data, options=b"\x44\x04\x05\xff"), "ICMP type 12"),
        ("IGMP query", all_hosts, 0x0800, _ip4((us[0], "224.0.0.1"), _IGMP, _igmp_query(), ttl=1), "IGMP report"),
        ("IPv6 echo to all nodes", group6, 0x86DD, _echo6(link[0]), "ICMPv6 echo reply"),
        ("IPv6 neighbour solicitation", node6, 0x86DD, _solicitation(link, asked, me), "neighbour advertisement"),
        ("datagram to the link's port", low, 0x0800, _ip4(us, _UDP, data), "ICMP type 3 code 3 without a listener"),
        ("lone first fragment", low, 0x0800, _ip4(us, _UDP, _udp(b"y" * 1392, pair.port), more=True), "ICMP type 11"),
    ]
    return [
        Provocation(name=name, frame=_frame(to, me, kind, body), answer=answer)
        for name, to, kind, body, answer in frames
    ]


def from_low(pair: AddressPair) -> list[Provocation]:
    """What root on the low side tries; nothing answers it, it must not arrive."""
    me, high, us = _mac(pair.mac), _mac(pair.peer_mac), (pair.address, pair.peer)
    near = bytes.fromhex("0180c2000000")
    datagram = _ip4(us, _UDP, _udp(b"x" * 32, pair.port))
    frames = [
        ("datagram", high, me, 0x0800, datagram),
        ("datagram with the other side's own address", high, high, 0x0800, datagram),
        ("ARP request", b"\xff" * 6, me, 0x0806, _arp(pair)),
        ("frame of an unused type", b"\xff" * 6, me, 0x88B5, b"x" * 46),
        ("PAUSE", near[:5] + b"\x01", me, 0x8808, struct.pack(">HH", 1, 0xFFFF)),
        ("802.1X", near[:5] + b"\x03", me, 0x888E, b"\x02\x01\x00\x00"),
        (
            "LLDP",
            near[:5] + b"\x0e",
            me,
            0x88CC,
            bytes.fromhex("02070402") + me[:5] + bytes.fromhex("0403070000060200780000"),
        ),
        ("STP", near, me, 0x0026, b"\x42\x42\x03" + bytes(35)),
    ]
    return [
        Provocation(name=name, frame=_frame(to, source, kind, body), answer="")
        for name, to, source, kind, body in frames
    ]


def marked(pair: AddressPair, mark: bytes) -> bytes:
    """A frame that only carries a mark (EtherType 88b5: local experiments, IEEE 802)."""
    return _frame(_mac(pair.peer_mac), _mac(pair.mac), 0x88B5, mark)


def _frame(to: bytes, source: bytes, kind: int, body: bytes) -> bytes:
    return (to + source + struct.pack(">H", kind) + body).ljust(60, b"\0")


def _ip4(
    us: tuple[str, str], protocol: int, body: bytes, *, options: bytes = b"", ttl: int = 64, more: bool = False
) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x40 | words,
        0,
        words * 4 + len(body),
        0x4356,
        0x2000 if more else 0,
        ttl,
        protocol,
        0,
        socket.inet_aton(us[0]),
        socket.inet_aton(us[1]),
    )
    whole = head + options
    return whole[:10] + _sum(whole) + whole[12:] + body


def _ip6(source: bytes, to: bytes, body: bytes) -> bytes:
    """ICMPv6 with its checksum, which covers the addresses; hop limit 255 (RFC 4861, 7.1)."""
    pseudo = source + to + struct.pack(">II", len(body), _ICMP6)
    body = body[:2] + _sum(pseudo + body) + body[4:]
    return struct.pack(">IHBB", 0x60000000, len(body), _ICMP6, 255) + source + to + body


def _arp(pair: AddressPair) -> bytes:
    head = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1)
    return head + _mac(pair.mac) + socket.inet_aton(pair.address) + bytes(6) + socket.inet_aton(pair.peer)


def _icmp(kind: int, body: bytes) -> bytes:
    whole = struct.pack(">BBHHH", kind, 0, 0, 0x4356, 1) + body
    return whole[:2] + _sum(whole) + whole[4:]


def _igmp_query() -> bytes:
    whole = struct.pack(">BBH4s", 0x11, 10, 0, bytes(4))
    return whole[:2] + _sum(whole) + whole[4:]


def _syn(us: tuple[str, str], port: int) -> bytes:
    whole = struct.pack(">HHIIBBHHH", 40_000, port, 1, 0, 0x50, 0x02, 64_240, 0, 0)
    pseudo = socket.inet_aton(us[0]) + socket.inet_aton(us[1]) + struct.pack(">BBH", 0, _TCP, len(whole))
    return whole[:16] + _sum(pseudo + whole) + whole[18:]


def _udp(body: bytes, port: int) -> bytes:
    """Checksum 0: none (RFC 768)."""
    return struct.pack(">HHHH", 40_000, port, 8 + len(body), 0) + body


def _echo6(source: bytes) -> bytes:
    return _ip6(source, socket.inet_pton(socket.AF_INET6, "ff02::1"), struct.pack(">BBHHH", 128, 0, 0, 0x4356, 1))


def _solicitation(link: tuple[bytes, bytes], asked: bytes, mac: bytes) -> bytes:
    return _ip6(link[0], asked, struct.pack(">BBHI", 135, 0, 0, 0) + link[1] + b"\x01\x01" + mac)


def _link_local(mac: str) -> bytes:
    """fe80:: with the modified EUI-64 of a hardware address (RFC 4291, appendix A)."""
    one = _mac(mac)
    return b"\xfe\x80" + bytes(6) + bytes([one[0] ^ 2]) + one[1:3] + b"\xff\xfe" + one[3:]


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _sum(data: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)
