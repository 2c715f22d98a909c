"""Captures are counted by short ways: each gives what the long way gives, frame by frame and record by record."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capture_files import HIGH, LOW, OTHER, T0, Form, data, ethernet, interface, ip4, ip6, mac, packet, section, udp

from audit.capture import capture, direction, known_kinds, pcap, tally, walkers
from audit.capture.header_words import FORMS
from audit.capture.known_kinds import Words
from audit.capture.pcap import Capture
from audit.capture.read_capture import CaptureQuestion
from audit.capture.records import MOST_BYTES, Bytes
from audit.capture.tally import FrameTally

POOL = [
    data(),
    data(OTHER),
    data(payload=b"another's"),
    ethernet(HIGH, 0x0800, ip4(17, udp(b""))),
    ethernet(HIGH, 0x0800, ip4(6, udp(b"x" * 20))),
    ethernet(OTHER, 0x0800, ip4(1, b"\3\3" + bytes(34))),
    ethernet(OTHER, 0x0800, ip4(1, b"\3\3" + bytes(34), words=10)),
    ethernet(OTHER, 0x0800, ip4(17, udp(), flags=0x2000)),
    *(ethernet(OTHER, tag, b"\0\7\x08\0" + ip4(17, udp(b"CV\1\1" + bytes(9)))) for tag in (0x8100, 0x88A8)),
    ethernet(HIGH, 0x8100, b"\0\7\x08\0" + ip4(6, udp())),
    ethernet(HIGH, 0x8100, b"\0\7\x08\0" + ip4(1, udp())),
    ethernet(HIGH, 0x8100, b"\0\7\x81\0\0\7\x08\0" + ip4(17, udp())),
    *(ethernet(OTHER, 0x86DD, ip6(one, udp(b"y" * 9))) for one in (6, 17, 58, 44, 60)),
    ethernet(OTHER, 0x86DD, ip6(58, b"\x8f" + bytes(27), b"\x3a\0\5\2\0\0\1\0")),
    ethernet(OTHER, 0x0806, b"\0\1\x08\0\6\4\0\2" + bytes(20)),
    *(ethernet(OTHER, one, bytes(46)) for one in (0x88CC, 0x8892, 0x88B8, 0x88BA, 0x8808, 0x1234)),
    ethernet(OTHER, 38, b"\x42\x42\3" + bytes(35)),
    ethernet(OTHER, 300, b"\xaa\xaa\3" + bytes(50)),
]


def _frames(dice: random.Random) -> list[tuple[bytes, int]]:
    """(bytes kept, bytes on the wire) of frames of some kinds: as they are, hurt, cut, with much behind them."""
    kinds = []
    for _ in range(120):
        frame = bytearray(dice.choice(POOL))
        for _ in range(dice.choice((0, 0, 1, 2))):
            frame[dice.randrange(min(len(frame), 60))] = dice.randrange(256)
        if dice.random() < 0.3:
            frame += bytes(dice.randrange(120))
        kept = dice.randrange(len(frame) + 1) if dice.random() < 0.2 else len(frame)
        kinds.append((bytes(frame[:kept]), max(len(frame), kept)))
    return dice.choices(kinds, k=900)


def _byte_by_byte() -> list[tuple[bytes, int]]:
    """Each frame of the pool, and once more with each of its first bytes changed."""
    out = []
    for frame in POOL:
        for place in range(min(len(frame), 62)):
            hurt = bytearray(frame)
            hurt[place] ^= 1 << place % 8
            out += [(frame, len(frame)), (bytes(hurt), len(frame))]
    return out


def _write(form: Form, frames: list[tuple[bytes, int]], dice: random.Random) -> bytes:
    if form.name == "pcap":
        out = [struct.pack(form.order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)]
        out += [
            struct.pack(form.order + "IIII", T0 // 10**9, index, len(frame), length) + frame
            for index, (frame, length) in enumerate(frames)
        ]
        return b"".join(out)
    ways = [struct.pack(form.order + "HHI", 2, 4, way) for way in (0, 1, 2)]
    held = [packet(form, frame, T0 // 1000, number=dice.randrange(2), options=dice.choice(ways)) for frame, _ in frames]
    return b"".join([section(form), interface(form), interface(form), *held])


def _counted(path: Path) -> dict[str, Any]:
    def absolute(table: Bytes) -> dict[str, direction.Mask]:
        return direction.absolute(table, mac(HIGH), None)

    with Capture(path) as opened:
        counted = FrameTally(own=frozenset({mac(HIGH)}), absolute=absolute).run(opened)
    groups = {row: (group.count, group.first) for row, group in counted.groups.items()}
    return {"groups": groups, "listed": counted.listed, "order": counted.order, "beyond": counted.beyond}


@pytest.mark.parametrize("form", [Form("pcap"), Form("pcap", ">"), Form("pcapng"), Form("pcapng", ">")], ids=str)
@pytest.mark.parametrize(("most", "chunk"), [(known_kinds.MOST, 100), (7, 100), (known_kinds.MOST, 1)])
def test_the_short_way_counts_as_the_long_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Form, most: int, chunk: int
) -> None:
    """Frames of all forms, hurt and cut, over many chunks: groups, first numbers and lists are the same."""
    monkeypatch.setattr(pcap, "CHUNK", chunk)
    monkeypatch.setattr("audit.capture.pcapng.CHUNK", chunk)
    monkeypatch.setattr(known_kinds, "MOST", most)
    for seed in range(3) if chunk > 1 else (1,):
        dice = random.Random(seed)
        path = tmp_path / f"{seed}"
        frames = _frames(dice) if seed else _byte_by_byte()
        path.write_bytes(_write(form, frames if chunk > 1 else [(one, len(one)) for one in POOL], dice))
        short = _counted(path)
        with monkeypatch.context() as patch:
            patch.setattr(tally, "of_link", lambda columns, kept: np.zeros(len(kept), np.bool_))
            patch.setattr(tally, "other_words", _none)
            patch.setattr(known_kinds.KnownKinds, "find", lambda self, columns, sums: np.zeros(len(sums), np.int64))
            long = _counted(path)
        assert len(long["groups"]) > 20, seed
        del long["order"], short["order"]  # of frames of the link's form, which the long way does not tell apart
        assert short == long, seed


def _none(heads: Bytes, kept: Any, mark: Words) -> tuple[Any, Words]:
    return np.zeros(len(kept), np.bool_), np.zeros((1, len(kept)), np.uint64)


@pytest.mark.parametrize("order", "<>")
def test_many_walkers_find_what_one_finds(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """Records of all lengths, some too long, a tail cut, times that jump: the places are those of one walker."""
    monkeypatch.setattr(walkers, "STRETCH", 60_000)
    for seed in range(20):
        dice = random.Random(seed)
        monkeypatch.setattr(walkers, "SPACING", dice.choice((600, 2000, 9000)))
        held, second = [b""], dice.choice((1_700_000_000, 0x6553FFFF, 5))
        for _ in range(dice.randrange(1, 700)):
            second += dice.choice((0, 0, 0, 1, 90_000)) if seed % 2 else 0
            size = dice.choice((0, 40, dice.randrange(1500), 9000 if seed % 3 == 0 else 60))
            header = struct.pack(order + "IIII", second, dice.randrange(10**6), size, size)
            held.append(header + dice.randbytes(size // 2) + header[: size // 2] + bytes(size))
            held[-1] = held[-1][: 16 + size]
        if seed % 4 == 0:
            held[dice.randrange(1, len(held))] = struct.pack(
                order + "IIII", second, 0, MOST_BYTES + 1, MOST_BYTES + 1
            ) + dice.randbytes(500)
        whole = b"".join(held)[: -dice.randrange(1, 20) if seed % 5 == 0 else None]
        if len(whole) >= 16:
            assert _all(whole, order) == _one(whole, order), seed


def _one(held: bytes, order: str) -> tuple[list[int], int]:
    places, at = [], 0
    while at + 16 <= len(held):
        (kept,) = struct.unpack_from(order + "I", held, at + 8)
        if kept > MOST_BYTES or at + 16 + kept > len(held):
            break
        places.append(at)
        at += 16 + kept
    return places, at


def _all(held: bytes, order: Any) -> tuple[list[int], int]:
    places: list[int] = []
    at, stopped = 0, False
    while at + 16 <= len(held) and not stopped:
        some, at, stopped = walkers.walk(np.frombuffer(held, np.uint8), at, order)
        places += some.tolist()
    return places, at


def test_a_file_is_told_in_the_same_words_each_time(tmp_path: Path) -> None:
    """Random numbers keep the sums unforeseeable; neither words nor evidence nor their order hang on them."""
    dice = random.Random(3)
    (tmp_path / "x").write_bytes(_write(Form("pcap"), _frames(dice), dice))
    question = CaptureQuestion(path=tmp_path / "x", high=HIGH)
    told = [[check.plain() for check in capture.run(question, now_ns=T0).checks] for _ in range(4)]
    assert told[1:] == told[:-1]


def test_what_a_form_tells_is_told_by_no_other() -> None:
    """A frame is of one form at most: no two of them can be true of the same bytes."""
    for index, one in enumerate(FORMS):
        for other in FORMS[index + 1 :]:
            mine = {word: (int(mask), int(value)) for word, mask, value in one.tests}
            theirs = {word: (int(mask), int(value)) for word, mask, value in other.tests}
            both = [(mine[word], theirs[word]) for word in mine.keys() & theirs.keys()]
            assert any((a[1] ^ b[1]) & a[0] & b[0] for a, b in both)


def test_frames_of_a_low_side_are_still_foreign_when_they_come_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind that is known already is listed by number in every chunk, first frames first."""
    monkeypatch.setattr(pcap, "CHUNK", 50)
    frames = [(data(), 100)] * 500
    for place in (3, 260, 261, 499):
        frames[place] = (data(LOW), 100)
    (tmp_path / "x").write_bytes(_write(Form("pcap"), frames, random.Random(0)))
    listed = _counted(tmp_path / "x")["listed"][direction.ANOTHER_SOURCE]
    assert [one.number for one in listed] == [4, 261, 262, 500]
