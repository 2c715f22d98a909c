"""What each frame is: source, EtherType, protocol, ports; read from its first bytes, many frames at once.

A frame becomes a row of 40 bytes, so that equal ones can be counted together:

     0   6   source      MAC address, where the link type has one
     6   1   sourced     1: it has, and it was kept
     7   1   vlan        VLAN tags, 0 to 2
     8   2   ethertype   behind the tags; 0 for 802.3 with a length, and for link types without
    10   1   version     4 or 6 where it is IP
    11   1   protocol    of IP
    12   1   fragment    1: a piece of an IP packet
    13   1   cut         1: the bytes kept end before what follows here could be read; 2: the frame itself does
    14   1   type        ICMP's type, ARP's operation, LLC's service point
    15   1   code        ICMP's code
    16   6   target      MAC address; of Linux cooked: everyone's (ff) or a group's (01), packet type and 1, 2 bytes of
                         the interface's number (v2)
    22   1   targeted    1: it is known; 2: Linux cooked
    23   1   way         what the file says of it: UNTOLD, IN, OUT of the capturing machine
    24   1   hops        IPv4's time to live, of UDP alone
    25   1   payload     of UDP over IPv4: 1 begins as the link's frames do, 2 does not, 0 was not kept
    26   1   interface   which of the file's, by name and filter; 255 and beyond are one
    27   1   excess      1: more bytes were kept than its IPv4 packet and a trailer have
    28   4   from        IPv4 address
    32   4   to          IPv4 address
    36   2   from_port   of UDP and TCP
    38   2   to_port

Only what decides about direction and kind is read; nothing is followed by a length that the frame tells, except the
lengths of the IP headers, which are bounded by the protocol. Sources: IEEE 802.3, 802.1Q; RFC 791, 8200, 768, 792, 826;
tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audit.capture.records import HEAD_BYTES, IN, OUT, Bytes, Numbers, window
from protocol.wire.frame import MAGIC

Mask: TypeAlias = npt.NDArray[np.bool_]

ROW = 40
TRAILER = 29
"""Most bytes behind a packet that cards, taps and redundancy protocols add: a check sequence, a time, PRP's six. A
hidden record of a capture has 30: its header, and addresses and EtherType."""
LEAST = 50
"""Bytes from the network layer on of Ethernet's least frame, its check sequence among them (IEEE 802.3, 4.4.2)."""
LINKS = {1: "Ethernet", 0: "null", 101: "raw IP", 113: "Linux cooked", 276: "Linux cooked v2"}
"""Link types that are read; frames of another are counted and their source is unknown."""

_TO_EVERYONE, _TO_A_GROUP, _SENT_HERE = 1, 2, 4
"""Linux cooked's packet types; 0 and 3 came in for this machine and for others (tcpdump.org, LINKTYPE_LINUX_SLL)."""
_VLAN = (0x8100, 0x88A8, 0x9100)
_ICMP, _IGMP, _TCP, _UDP, _ICMP6 = 1, 2, 6, 17, 58
_HOP_BY_HOP, _FRAGMENT6 = 0, 44
_ETHERTYPES = {
    0x0806: "ARP",
    0x8808: "PAUSE",
    0x8809: "LACP",
    0x88CC: "LLDP",
    0x888E: "802.1X",
    0x88F7: "PTP",
    0x8892: "PROFINET",
    0x88B8: "GOOSE",
    0x88BA: "sampled values",
    0x9000: "loopback test",
}
_SERVICE_POINTS = {0x42: "STP", 0xAA: "SNAP (CDP and others)", 0xE0: "IPX", 0xFE: "IS-IS", 0xF0: "NetBIOS"}
_PROTOCOLS = {_IGMP: "IGMP", _TCP: "TCP", _UDP: "UDP", 47: "GRE", 50: "ESP", 51: "AH", 89: "OSPF", 112: "VRRP"}
_NAMED_PORTS = {53: "DNS", 67: "DHCP", 68: "DHCP", 123: "NTP", 137: "NetBIOS", 138: "NetBIOS", 161: "SNMP", 319: "PTP"}
_NAMED_PORTS |= {320: "PTP", 514: "syslog", 546: "DHCPv6", 547: "DHCPv6", 1900: "SSDP", 5353: "mDNS", 5355: "LLMNR"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRow:
    """One frame's row, read for people."""

    source: str | None
    """MAC address, `02:dd:00:00:00:01`; None: the link type has none, or it was not kept."""
    kind: str
    """`UDP`, `ARP request`, `ICMP type 3 code 3`, `IPv6 ICMP type 133`, `LLDP`, `VLAN UDP`, `IPv4 fragment` .."""
    flow: str
    """`192.0.2.1:5005 > 192.0.2.2:5005`, or empty."""
    udp: bool
    """An IPv4 UDP datagram, whole, without a VLAN tag, its ports kept."""
    link: tuple[str, str, int]
    """From, to, to_port: what has to be the same in all frames of the one flow; its source port changes with starts."""
    payload: int = 0
    """1: a datagram that begins as the link's frames do; 2: one that does not; 0: no datagram, or too little kept."""
    target: str | None = None
    """MAC address of who it was sent to; None: unknown."""
    cut: bool = False
    """Too few of its bytes were kept to say more of it, though there were more on the wire."""


def rows(heads: Bytes, kept: Numbers, length: Numbers, link: int, way: Bytes, interface: Bytes) -> Bytes:
    """Rows of frames of one link type.

    Args:
        heads: Their first HEAD_BYTES, a row each; what was not kept is made zero here.
        kept: Bytes kept of each; what is behind is not looked at.
        length: Bytes on the wire of each.
        link: Link type.
        way: What the file says of each one's way.
        interface: Which of the file's interfaces each one stands for.
    """
    out = np.zeros((len(heads), ROW), np.uint8)
    out[:, 23], out[:, 26] = way, interface
    whole, kept = kept, np.minimum(kept, HEAD_BYTES)
    short = np.flatnonzero(kept < HEAD_BYTES)
    heads[short] *= np.arange(HEAD_BYTES) < kept[short, None]
    if link == 1:
        network = _ethernet(out, heads, kept)
    elif link in (113, 276):
        network = _cooked(out, heads, kept, link)
    elif link in (0, 101):
        network = np.full(len(heads), 4 if link == 0 else 0, np.int64)
        _set_raw_type(out, heads, network, kept)
    else:
        out[:, 13] = 1
        return out
    ethertype = out[:, 8].astype(np.int64) << 8 | out[:, 9]
    _ip4(out, heads, kept, network, ethertype == 0x0800, whole)
    _ip6(out, heads, kept, network, ethertype == 0x86DD)
    arp = ethertype == 0x0806
    if arp.any():
        out[arp, 14] = _byte(heads[arp], network[arp] + 7)
        out[arp, 13] |= (kept < network + 8)[arp]
    cut = out[:, 13] == 1
    if cut.any():
        out[np.ix_(cut, (14, 15, 25, 36, 37, 38, 39))] = 0
        out[cut & (whole >= length), 13] = 2
    return out


def excess(kept: Numbers, network: Numbers | int, length: Numbers) -> Mask:
    """Which frames kept more than their IPv4 packet, what may stand behind one, and the padding of the least frame.

    Args:
        kept: Bytes kept of each.
        network: Where the packet begins.
        length: Of the packet, by its own word.
    """
    out: Mask = kept > network + np.maximum(np.maximum(length, 20) + TRAILER, LEAST)
    return out


def read_row(row: bytes) -> FrameRow:
    """A row for people."""
    ethertype, version, protocol = int.from_bytes(row[8:10], "big"), row[10], row[11]
    from_port, to_port = int.from_bytes(row[36:38], "big"), int.from_bytes(row[38:40], "big")
    addresses = [".".join(map(str, row[at : at + 4])) for at in (28, 32)]
    ports = protocol in (_UDP, _TCP) and not row[12] and not row[13] and version
    kind = "VLAN " * min(row[7], 1) + _kind(row, ethertype, version, protocol, (from_port, to_port) if ports else ())
    flow = ""
    if version == 4:
        tails = [f":{from_port}", f":{to_port}"] if ports else ["", ""]
        flow = " > ".join(address + tail for address, tail in zip(addresses, tails, strict=True))
    elif ports:
        flow = f":{from_port} > :{to_port}"
    udp = version == 4 and protocol == _UDP and bool(ports) and not row[7]
    source = row[:6].hex(":") if row[6] else None
    target = row[16:22].hex(":") if row[22] == 1 else None
    link = (addresses[0], addresses[1], to_port)
    return FrameRow(
        source=source, kind=kind, flow=flow, udp=udp, link=link, payload=row[25], target=target, cut=row[13] == 1
    )


def _kind(row: bytes, ethertype: int, version: int, protocol: int, ports: tuple[int, ...]) -> str:
    cut = " (cut short)" if row[13] else ""
    if version:
        name = "IPv4" if version == 4 else "IPv6"
        if row[12]:
            return f"{name} fragment{cut}"
        ahead = "" if version == 4 else "IPv6 "
        if protocol == (_ICMP if version == 4 else _ICMP6):
            return f"{ahead}ICMP{cut}" if cut else f"{ahead}ICMP type {row[14]} code {row[15]}"
        known = next((f" ({_NAMED_PORTS[port]})" for port in ports if port in _NAMED_PORTS), "")
        return ahead + _PROTOCOLS.get(protocol, f"{name} protocol {protocol}") + known + cut
    if ethertype in (0x0800, 0x86DD):
        return f"{'IPv4' if ethertype == 0x0800 else 'IPv6'} header that cannot be read{cut}"
    if ethertype == 0x0806:
        return "ARP" + {1: " request", 2: " reply"}.get(row[14], f" operation {row[14]}") + cut
    if ethertype:
        return _ETHERTYPES.get(ethertype, f"EtherType {ethertype:04x}") + cut
    if cut:
        return "unknown (cut short, or a link type that is not read)"
    return _SERVICE_POINTS.get(row[14], f"802.3 service point {row[14]:02x}")


def _ethernet(out: Bytes, heads: Bytes, kept: Numbers) -> Numbers:
    """Fill source, tags and EtherType; returns where the network layer begins."""
    out[:, :6], out[:, 16:22] = heads[:, 6:12], heads[:, :6]
    out[:, 6], out[:, 22] = kept >= 12, kept >= 6
    place = np.full(len(heads), 12, np.int64)
    for _ in range(2):
        tagged = np.isin(_word(heads, place), _VLAN)
        if not tagged.any():
            break
        out[:, 7] += tagged
        place += 4 * tagged
    _set_type(out, heads, kept, place)
    return place + 2


def _cooked(out: Bytes, heads: Bytes, kept: Numbers, link: int) -> Numbers:
    """Linux cooked: the sender's address where it is an Ethernet one, the protocol, which way; no destination."""
    kind, packet, address, place, network = (2, 1, 6, 14, 16) if link == 113 else (8, 10, 12, 0, 20)
    length = heads[:, 5] if link == 113 else heads[:, 11]
    known = kept > packet
    said = np.where(known, np.minimum(heads[:, packet], 0xFE) + 1, 0)
    if link == 113:
        said = np.where(known & (heads[:, 0] != 0), 0xFF, said)  # the type has two bytes there
    else:
        out[known, 18:20] = heads[known, 6:8]
    out[:, 17], out[:, 22] = said, 2 * known
    told = (said > 0) & (said <= _SENT_HERE + 1) & (out[:, 23] == 0)
    out[told, 23] = np.where(said[told] == _SENT_HERE + 1, OUT, IN)
    for which, first in ((_TO_EVERYONE, 0xFF), (_TO_A_GROUP, 0x01)):
        out[said == which + 1, 16] = first
    ethernet = (heads[:, kind] == 0) & (heads[:, kind + 1] == 1) & (length == 6)
    out[:, :6] = np.where(ethernet[:, None], heads[:, address : address + 6], 0)
    out[:, 6] = ethernet & (kept >= address + 6)
    _set_type(out, heads, kept, np.full(len(heads), place, np.int64))
    return np.full(len(heads), network, np.int64)


def _set_type(out: Bytes, heads: Bytes, kept: Numbers, place: Numbers) -> None:
    """EtherType, or LLC's service point where the field is a length (IEEE 802.3, 3.2.6)."""
    word = _word(heads, place)
    length = word < 0x0600
    out[:, 8] = np.where(length, 0, word >> 8)
    out[:, 9] = np.where(length, 0, word & 0xFF)
    out[:, 14] = np.where(length, _byte(heads, place + 2), 0)
    out[:, 13] = kept < place + np.where(length, 3, 2)


def _set_raw_type(out: Bytes, heads: Bytes, network: Numbers, kept: Numbers) -> None:
    """Link types that begin with IP: its own version says which."""
    version = _byte(heads, network) >> 4
    out[:, 8] = np.where(version == 4, 0x08, np.where(version == 6, 0x86, 0))
    out[:, 9] = np.where(version == 6, 0xDD, 0)
    out[:, 13] = (version != 4) & (version != 6)


def _ip4(out: Bytes, heads: Bytes, kept: Numbers, network: Numbers, here: Mask, whole: Numbers) -> None:
    header = _bytes(heads, network, 20)
    size = (header[:, 0] & 15).astype(np.int64) * 4
    good = here & (header[:, 0] >> 4 == 4) & (size >= 20) & (kept >= network + 20)
    out[:, 13] |= here & (kept < network + 20)
    out[good, 10] = 4
    out[good, 11] = header[good, 9]
    out[good, 12] = ((header[:, 6] & 0x3F) | header[:, 7] != 0)[good]  # more fragments, or not the first one
    out[good, 28:36] = header[good, 12:]
    length = header[:, 2].astype(np.int64) << 8 | header[:, 3]
    out[:, 27] = good & excess(whole, network, length) & ((length > 0) | (header[:, 9] == _UDP))
    _transport(out, heads, kept, network + size, good)
    datagram = good & (out[:, 12] == 0) & (header[:, 9] == _UDP)
    out[datagram, 24] = header[datagram, 8]
    told = datagram & (kept >= network + size + 8 + len(MAGIC))
    begins = _bytes(heads, network + size + 8, len(MAGIC))
    out[told, 25] = np.where((begins == np.frombuffer(MAGIC, np.uint8)).all(axis=1), 1, 2)[told]


def _ip6(out: Bytes, heads: Bytes, kept: Numbers, network: Numbers, here: Mask) -> None:
    out[:, 13] |= here & (kept < network + 40)
    good = here & (kept >= network + 40)
    if not good.any():
        return
    good &= _byte(heads, network) >> 4 == 6
    following, transport = _byte(heads, network + 6), network + 40
    hops = good & (following == _HOP_BY_HOP)  # multicast listener reports carry one
    size = (_byte(heads, transport + 1).astype(np.int64) + 1) * 8
    out[:, 13] |= hops & (kept < transport + 2)
    following = np.where(hops, _byte(heads, transport), following)
    transport = transport + np.where(hops, size, 0)
    fragment = good & (following == _FRAGMENT6)
    out[good, 10] = 6
    out[good, 11] = np.where(fragment, _byte(heads, transport), following)[good]
    out[good, 12] = fragment[good]
    _transport(out, heads, kept, transport, good)


def _transport(out: Bytes, heads: Bytes, kept: Numbers, place: Numbers, good: Mask) -> None:
    whole = good & (out[:, 12] == 0)
    first = _bytes(heads, place, 4)
    protocol = out[:, 11]
    ported = whole & ((protocol == _UDP) | (protocol == _TCP))
    out[ported, 36:40] = first[ported]
    echoed = whole & np.where(out[:, 10] == 4, protocol == _ICMP, protocol == _ICMP6)
    out[echoed, 14:16] = first[echoed, :2]
    out[:, 13] |= (ported & (kept < place + 4)) | (echoed & (kept < place + 2))


def _bytes(heads: Bytes, place: Numbers, width: int) -> Bytes:
    """`width` bytes a row, each row at its own place; behind the head whatever is there, which `cut` then says."""
    base = np.arange(len(heads)) * HEAD_BYTES
    return window(heads.reshape(-1), base + np.minimum(place, HEAD_BYTES - width), width)


def _byte(heads: Bytes, place: Numbers) -> Bytes:
    """One byte a row, as `_bytes`."""
    return _bytes(heads, place, 1)[:, 0]


def _word(heads: Bytes, place: Numbers) -> Numbers:
    """Two bytes a row, big-endian."""
    pair = _bytes(heads, place, 2).astype(np.int64)
    out: Numbers = pair[:, 0] << 8 | pair[:, 1]
    return out
