"""Requests in recorded bytes, read by the standards alone: nothing of the collectors or of their libraries is used.

`heard` takes what one connection sent towards a device and names each request in it. Only what is on the list of
reads counts as one; a write and anything that is not known are both told, so that silence means reads and no more.
An encrypted message can only be counted (`sealed`).

    Modbus   MBAP (V1.0b, 3.1.3) or RTU with its checksum (V1.02, 2.5.1), whichever the first bytes are
    CIP      encapsulation (volume 2, 2-3), then service and class of each request, inside containers too (volume 1)
    OPC UA   chunks of OPC 10000-6, 6.7.2, and the numeric id of the request's encoding (OPC 10000-6, A)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

MODBUS_READS = {1, 2, 3, 4}
IDENTIFICATION = b"\x2b\x0e"

CIP_READS = {0x01, 0x03, 0x0E, 0x18, 0x55}
"""Get attributes, member, instance list: harmless on any class."""
CIP_TAG_READS = {0x4C, 0x52}
"""Read Tag and Read Tag Fragmented: on a name, on class 0x6B, and 0x4C on a template."""

UA_READS = {
    428: "GetEndpoints",
    422: "FindServers",
    446: "OpenSecureChannel",
    452: "CloseSecureChannel",
    461: "CreateSession",
    467: "ActivateSession",
    473: "CloseSession",
    527: "Browse",
    533: "BrowseNext",
    554: "TranslateBrowsePaths",
    631: "Read",
    751: "CreateMonitoredItems",
    763: "ModifyMonitoredItems",
    769: "SetMonitoringMode",
    781: "DeleteMonitoredItems",
    787: "CreateSubscription",
    793: "ModifySubscription",
    799: "SetPublishingMode",
    826: "Publish",
    832: "Republish",
    847: "DeleteSubscriptions",
}
"""Numeric id of the binary encoding -> service (OPC 10000-6, NodeIds.csv)."""
UA_CALL = 712
UA_REFRESHES = (b"\x01\x00\xde\x0a\x01\x00\x23\x0f", b"\x01\x00\xde\x0a\x01\x00\x70\x32")
"""Object ConditionType (2782) and method ConditionRefresh (3875) or ConditionRefresh2 (12912), four-byte node ids."""


TLS_HANDSHAKE = b"\x16\x03"


@dataclass(frozen=True, slots=True)
class Heard:
    """One request."""

    protocol: str
    what: str
    reads: bool
    """It is on the list of requests that can only read."""
    sealed: bool = False
    """It is encrypted, so nobody can say."""


class Unreadable(ValueError):
    """Bytes that are no request of a protocol known here."""


def heard(sent: bytes) -> list[Heard]:
    """Every request of one connection; a last one that was cut off in the middle is left out.

    Raises:
        Unreadable: see the class.
    """
    if sent[:3] == b"HEL":
        return list(_opcua(sent))
    if sent[:1] in (b"\x65", b"\x63", b"\x04") and sent[1:2] == b"\0" and len(sent) >= 24:
        return list(_cip_stream(sent))
    if sent[2:4] == b"\0\0" and _crc(sent[:6]) != sent[6:8]:
        return list(_modbus(sent))
    return list(_modbus_rtu(sent))


def _modbus(sent: bytes) -> Iterator[Heard]:
    at = 0
    while at + 8 <= len(sent):
        _, protocol, length, _ = struct.unpack_from(">HHHB", sent, at)
        if protocol or not 2 <= length <= 254:
            raise Unreadable(f"no Modbus header at byte {at}: {sent[at : at + 8].hex()}")
        if at + 6 + length > len(sent):
            return
        yield _function(sent[at + 7 : at + 6 + length])
        at += 6 + length


def _modbus_rtu(sent: bytes) -> Iterator[Heard]:
    at = 0
    while at < len(sent):
        for end in range(at + 4, min(at + 256, len(sent)) + 1):
            if _crc(sent[at : end - 2]) == sent[end - 2 : end]:
                break
        else:
            raise Unreadable(f"no request with a right checksum at byte {at}: {sent[at : at + 8].hex()}")
        yield _function(sent[at + 1 : end - 2])
        at = end


def _function(pdu: bytes) -> Heard:
    code = pdu[0]
    reads = (code in MODBUS_READS and len(pdu) == 5) or (pdu[:2] == IDENTIFICATION and len(pdu) == 4)
    return Heard("modbus", f"function {code}", reads)


def _crc(data: bytes) -> bytes:
    """CRC-16 of RTU, low byte first (V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


def _cip_stream(sent: bytes) -> Iterator[Heard]:
    at = 0
    while at + 24 <= len(sent):
        command, length = struct.unpack_from("<HH", sent, at)
        body = sent[at + 24 : at + 24 + length]
        if len(body) < length:
            return
        at += 24 + length
        if command in (0x6F, 0x70):
            yield from _items(command, body)
        else:
            yield Heard("cip", f"command 0x{command:02x}", command in (0x00, 0x04, 0x63, 0x64, 0x65, 0x66))


def _items(command: int, body: bytes) -> Iterator[Heard]:
    (count,), at = struct.unpack_from("<H", body, 6), 8
    for _ in range(count):
        kind, size = struct.unpack_from("<HH", body, at)
        data, at = body[at + 4 : at + 4 + size], at + 4 + size
        if kind in (0xB1, 0xB2):
            yield from _cip(data[2:] if command == 0x70 else data)
        elif kind not in (0x00, 0xA1):
            yield Heard("cip", f"item 0x{kind:04x}", False)


def _cip(request: bytes) -> Iterator[Heard]:
    service, words = request[0], request[1]
    path, data = request[2 : 2 + 2 * words], request[2 + 2 * words :]
    target = path[1] if path[:1] == b"\x20" else 0x6B if path[:1] == b"\x91" else -1
    if (service, target) == (0x0A, 2):
        count = struct.unpack_from("<H", data)[0]
        starts = [*struct.unpack_from(f"<{count}H", data, 2), len(data)]
        inside = [one for start, end in pairwise(starts) for one in _cip(data[start:end])]
        whole = bool(inside) and all(one.reads for one in inside)
        yield Heard("cip", "packet of " + ", ".join(sorted({one.what for one in inside})), whole)
        return
    if (service, target) == (0x52, 6):
        yield from _cip(data[4 : 4 + struct.unpack_from("<H", data, 2)[0]])
        return
    if target == 6:
        transport = data[{0x54: 34, 0x5B: 38}[service]] & 0x0F if service in (0x54, 0x5B) else 3
        reads = service in (0x4E, 0x54, 0x5B) and transport == 3
    else:
        reads = service in CIP_READS or (service in CIP_TAG_READS and target == 0x6B)
        reads = reads or (service, target) == (0x4C, 0x6C)
    yield Heard("cip", f"service 0x{service:02x} class 0x{max(target, 0):02x}", reads)


def _opcua(sent: bytes) -> Iterator[Heard]:
    at, secured = 0, False
    while at + 8 <= len(sent):
        kind, final, (size,) = sent[at : at + 3], sent[at + 3 : at + 4], struct.unpack_from("<I", sent, at + 4)
        chunk = sent[at : at + size]
        if kind not in (b"HEL", b"OPN", b"MSG", b"CLO") or size < 8:
            raise Unreadable(f"no OPC UA chunk at byte {at}: {sent[at : at + 8].hex()}")
        if len(chunk) < size:
            return
        at += size
        if kind == b"OPN":
            secured = b"SecurityPolicy#None" not in chunk[:120]
            yield Heard("opcua", "OpenSecureChannel", True, sealed=False)
        elif kind in (b"MSG", b"CLO"):
            yield _service(chunk, secured, whole=final == b"F")


def _service(chunk: bytes, secured: bool, *, whole: bool) -> Heard:
    """A message, after channel, token, sequence and request number; only the first chunk says its service."""
    encoding, space, number = struct.unpack_from("<BBH", chunk, 24)
    if (encoding, space) == (1, 0) and number in UA_READS:
        return Heard("opcua", UA_READS[number], True)
    if (encoding, space, number) == (1, 0, UA_CALL) and whole:
        refresh = any(b"\x01\0\0\0" + ids in chunk for ids in UA_REFRESHES)
        return Heard("opcua", "Call of ConditionRefresh" if refresh else "Call", refresh)
    if secured and (encoding, space) != (1, 0):
        return Heard("opcua", "encrypted", False, sealed=True)
    return Heard("opcua", f"request {number}", False)


def findings(streams: Iterable[bytes | bytearray], datagrams: Iterable[bytes] = ()) -> list[str]:
    """What is not certainly a read: writes, unknown requests, unreadable bytes. Encrypted messages are not judged.

    Args:
        streams: What each connection sent.
        datagrams: Each for itself.
    """
    out = []
    for sent in (*streams, *datagrams):
        if _is_text(sent) or sent[:2] == TLS_HANDSHAKE:
            continue  # an instrument's lines, which their own test hears; TLS, heard before it was encrypted
        try:
            out += [f"{one.protocol} {one.what}" for one in heard(bytes(sent)) if not one.reads and not one.sealed]
        except (ValueError, struct.error, IndexError) as error:
            out.append(f"unreadable: {error} in {bytes(sent[:32]).hex()}")
    return out


def _is_text(sent: bytes | bytearray) -> bool:
    return all(byte in b"\n\r\t" or 32 <= byte < 127 for byte in sent)
