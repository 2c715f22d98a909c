"""Captures made to break their reader: whatever the bytes are, a judgement or a ConfigError comes out, and in time."""

from __future__ import annotations

import random
import struct
import time
from pathlib import Path

import pytest
from capture_files import (
    FORMS,
    HIGH,
    LOW,
    OTHER,
    T0,
    Form,
    data,
    ethernet,
    interface,
    ip4,
    ip6,
    old_packet,
    option,
    packet,
    section,
    simple_packet,
    statistics,
    udp,
    write,
)

from audit.capture import capture
from audit.capture.direction import ANOTHER_SOURCE, NO_SOURCE
from audit.capture.read_capture import CaptureQuestion
from audit.check import CheckStatus
from protocol.errors import ConfigError

FRAMES = [
    data(),
    ethernet(LOW, 0x0800, ip4(1, b"\3\3" + bytes(34), words=10)),
    ethernet(OTHER, 0x8100, b"\0\7\x08\0" + ip4(6, udp())),
    ethernet(OTHER, 0x86DD, ip6(58, b"\x8f" + bytes(27), b"\x3a\0\5\2\0\0\1\0")),
    ethernet(HIGH, 0x86DD, ip6(44, b"\x11\0\0\1\0\0\0\1" + udp())),
    ethernet(HIGH, 38, b"\x42\x42\3" + bytes(35)),
]
WORDS = (0, 1, 11, 12, 16, 28, 0xFFFF, 0x10000, 0x40000, 0x40001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF)
"""Lengths that readers stumble over."""


def _seed_file(dice: random.Random) -> bytes:
    form = dice.choice([*FORMS, Form("pcap", link=0), Form("pcap", link=101), Form("pcapng", link=228)])
    frames = dice.choices(FRAMES if dice.random() < 0.5 else [data()], k=dice.randrange(12))
    if form.name == "pcap" or dice.random() < 0.3:
        return write(form, frames)
    out = [section(form), interface(form, option(form, 9, bytes([dice.randrange(256)])))]
    out.append(interface(form, option(form, 11, b"\0tcp") + option(form, 14, dice.randbytes(8))))
    for frame in frames:
        lost = option(form, 4, dice.randbytes(8)) if dice.random() < 0.3 else b""
        units = dice.randrange(2**64)
        out.append(
            dice.choice(
                [
                    packet(form, frame, units, number=dice.randrange(3), options=lost),
                    simple_packet(form, frame),
                    old_packet(form, frame, units, dice.randrange(2**16)),
                    statistics(form, dice.randrange(2**64)),
                    section(dice.choice(FORMS)),
                ]
            )
        )
    return b"".join(out)


def fuzzed(seed: int) -> bytes:
    """A capture, hurt: bits, lengths, cuts, parts put elsewhere."""
    dice = random.Random(seed)
    held = bytearray(_seed_file(dice))
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(held)) if held else 0
        match dice.randrange(6):
            case 0 if held:
                held[at] ^= 1 << dice.randrange(8)
            case 1:
                held[at // 4 * 4 : at // 4 * 4 + 4] = struct.pack(dice.choice("<>") + "I", dice.choice(WORDS))
            case 2:
                del held[at:]
            case 3:
                held[at:at] = dice.randbytes(dice.randrange(40))
            case 4:
                del held[at : at + dice.randrange(60)]
            case _:
                end = at + dice.randrange(80)
                held[len(held) // 2 : len(held) // 2] = held[at:end]
    return bytes(held)


def _reference(held: bytes) -> tuple[int, int, int] | None:
    """(frames, foreign, unsourced) of a classic Ethernet capture, one record at a time; None: of another form."""
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}
    sign = order.get(held[:4])
    if sign is None or len(held) < 24 or struct.unpack_from(sign + "I", held, 20)[0] & 0xFFFF != 1:
        return None
    at, count, foreign, unsourced = 24, 0, 0, 0
    while at + 16 <= len(held):
        (kept,) = struct.unpack_from(sign + "I", held, at + 8)
        frame = held[at + 16 : at + 16 + kept]
        if kept > 262_144 or len(frame) < kept:
            break
        count += 1
        unsourced += kept < 12
        foreign += kept >= 12 and frame[6:12] != bytes.fromhex(HIGH.replace(":", ""))
        at += 16 + kept
    return count, foreign, unsourced


def _judge(path: Path, seed: int) -> str:
    held = fuzzed(seed)
    path.write_bytes(held)
    try:
        found = capture.run(
            CaptureQuestion(path=path, high=HIGH, low=LOW, control=b"sealed bytes", port=5005), now_ns=T0
        )
    except ConfigError:
        return "refused"
    assert found.text()
    checks = {check.id: check for check in found.checks}
    told = checks["CAP-1"].evidence[0].value
    assert sum(checks["CAP-1"].evidence[1].value.values()) == told["frames"]
    expected = _reference(held)
    if expected is not None:
        listed = checks["CAP-1"].evidence[2].value["frames"] if len(checks["CAP-1"].evidence) > 2 else []
        strange = sum(one["why"] in (ANOTHER_SOURCE, NO_SOURCE) for one in listed)
        if told["unread_bytes"] and checks["CAP-1"].status == CheckStatus.FAIL:
            return "FAIL"  # the plain reader believes every length, and ends at the first that it cannot
        assert (told["frames"], strange) == (expected[0], expected[1] + expected[2]), f"seed {seed}"
    if checks["CAP-1"].status == CheckStatus.PASS:
        assert told["unread_bytes"] == 0
        assert len(checks["CAP-1"].evidence) == 2
    return checks["CAP-1"].status.value


def _run(folder: Path, seeds: range) -> None:
    seen: dict[str, int] = {}
    for seed in seeds:
        began = time.monotonic()
        try:
            answer = _judge(folder / "fuzzed.pcap", seed)
        except BaseException:
            print(f"seed {seed}")  # noqa: T201  what to give to fuzzed() to have the file again
            raise
        assert time.monotonic() - began < 20, f"seed {seed}"
        seen[answer] = seen.get(answer, 0) + 1
    print(seen)  # noqa: T201  shown when it fails
    assert set(seen) >= {"refused", "PASS", "FAIL", "WARN", "SKIP"}


@pytest.mark.parametrize("part", range(4))
def test_no_hurt_capture_escapes(tmp_path: Path, part: int) -> None:
    """2,000 of them: never an exception but ConfigError, every frame counted, as many as a plain reader finds."""
    _run(tmp_path, range(part * 500, part * 500 + 500))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_hurt_capture_escapes_in_many(tmp_path: Path) -> None:
    """50,000 of them."""
    _run(tmp_path, range(10_000, 60_000))
