"""Capture files for the tests: frames by hand, as pcap and pcapng in every form; shares no code with the reader."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

HIGH, LOW, OTHER = "02:dd:00:00:00:01", "02:dd:00:00:00:02", "00:1b:1b:00:00:10"
T0 = 1_700_000_000_000_000_000
"""Time of the first frame [ns since 1970 UTC]: 2023-11-14T22:13:20Z."""


@dataclass(frozen=True)
class Form:
    """One way to write a capture."""

    name: str
    order: str = "<"
    nano: bool = False
    link: int = 1


FORMS = [
    Form("pcap"),
    Form("pcap", ">"),
    Form("pcap", nano=True),
    Form("pcap", ">", nano=True),
    Form("pcapng"),
    Form("pcapng", ">"),
    Form("pcapng", nano=True),
    Form("pcap", link=113),
    Form("pcapng", ">", link=276),
    Form("pcap", link=276),
]


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ethernet(source: str, ethertype: int, payload: bytes, target: str = LOW) -> bytes:
    return mac(target) + mac(source) + struct.pack(">H", ethertype) + payload


def ip4(protocol: int, payload: bytes, source: str = "192.0.2.1", target: str = "192.0.2.2", **more: int) -> bytes:
    """`more`: flags (with the fragment's offset), words (of options)."""
    words = more.get("words", 0)
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45 + words,
        0,
        20 + 4 * words + len(payload),
        7,
        more.get("flags", 0x4000),
        64,
        protocol,
        0,
        ip_address(source).packed,
        ip_address(target).packed,
    )
    return head + b"\1" * (4 * words) + payload


def ip6(following: int, payload: bytes, hops: bytes = b"") -> bytes:
    head = struct.pack(">IHBB", 0x60000000, len(hops) + len(payload), 0 if hops else following, 255)
    return head + ip_address("fe80::1").packed + ip_address("ff02::2").packed + hops + payload


def udp(payload: bytes = b"data", source: int = 40000, target: int = 5005) -> bytes:
    return struct.pack(">HHHH", source, target, 8 + len(payload), 0) + payload


def data(source: str = HIGH, payload: bytes = b"CV\1\1 sealed bytes") -> bytes:
    """A frame of the link."""
    return ethernet(source, 0x0800, ip4(17, udp(payload)))


def cooked(frame: bytes, link: int) -> bytes:
    """An Ethernet frame as Linux's cooked link types keep it."""
    source, ethertype, rest = frame[6:12], frame[12:14], frame[14:]
    if link == 113:
        return struct.pack(">HHH", 0, 1, 6) + source + b"\0\0" + ethertype + rest
    return ethertype + b"\0\0" + struct.pack(">IHBB", 3, 1, 0, 6) + source + b"\0\0" + rest


def raw(frame: bytes, link: int) -> bytes:
    """An Ethernet frame without its header."""
    return (b"" if link == 101 else struct.pack("<I", 2)) + frame[14:]


def write(form: Form, frames: Sequence[bytes], step_ns: int = 1000) -> bytes:
    """A capture of Ethernet frames in a form; frame i was taken at T0 + i * step_ns."""
    if form.link in (113, 276):
        frames = [cooked(frame, form.link) for frame in frames]
    elif form.link in (0, 101):
        frames = [raw(frame, form.link) for frame in frames]
    times = [T0 + index * step_ns for index in range(len(frames))]
    return _pcap(form, frames, times) if form.name == "pcap" else pcapng(form, frames, times)


def _pcap(form: Form, frames: Sequence[bytes], times: Sequence[int]) -> bytes:
    magic = 0xA1B23C4D if form.nano else 0xA1B2C3D4
    out = [struct.pack(form.order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, form.link)]
    for frame, time in zip(frames, times, strict=True):
        fraction = time % 10**9 // (1 if form.nano else 1000)
        out.append(struct.pack(form.order + "IIII", time // 10**9, fraction, len(frame), len(frame)) + frame)
    return b"".join(out)


def pcapng(form: Form, frames: Sequence[bytes], times: Sequence[int], *, dropped: int | None = None) -> bytes:
    options = option(form, 2, b"tap0") + (option(form, 9, b"\x09") if form.nano else b"")
    out = [section(form), interface(form, options)]
    for frame, time in zip(frames, times, strict=True):
        out.append(packet(form, frame, time // (1 if form.nano else 1000)))
    if dropped is not None:
        out.append(statistics(form, dropped))
    return b"".join(out)


def block(form: Form, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    total = len(body) + 12
    return struct.pack(form.order + "II", kind, total) + body + struct.pack(form.order + "I", total)


def section(form: Form) -> bytes:
    return block(form, 0x0A0D0D0A, struct.pack(form.order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(form: Form, options: bytes = b"") -> bytes:
    return block(form, 1, struct.pack(form.order + "HHI", form.link, 0, 262_144) + options)


def packet(form: Form, frame: bytes, units: int, *, number: int = 0, options: bytes = b"") -> bytes:
    head = struct.pack(form.order + "IIIII", number, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame))
    return block(form, 6, head + frame + bytes(-len(frame) % 4) + options)


def simple_packet(form: Form, frame: bytes) -> bytes:
    return block(form, 3, struct.pack(form.order + "I", len(frame)) + frame)


def old_packet(form: Form, frame: bytes, units: int, lost: int) -> bytes:
    head = struct.pack(form.order + "HHIIII", 0, lost, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame))
    return block(form, 2, head + frame)


def statistics(form: Form, dropped: int) -> bytes:
    return block(
        form, 5, struct.pack(form.order + "III", 0, 0, 0) + option(form, 5, struct.pack(form.order + "Q", dropped))
    )


def option(form: Form, code: int, value: bytes) -> bytes:
    return struct.pack(form.order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
