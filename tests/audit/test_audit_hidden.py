"""Reverse frames that hide in what a capture's form leaves room for: none of them passes without a word."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import zstandard
from capture_files import HIGH, LOW, T0, Form, block, cooked, ethernet, interface, option, packet, section, write

from audit.capture import capture
from audit.capture.link_order import FEW, LinkOrder
from audit.capture.read_capture import CaptureQuestion
from audit.check import Check, CheckStatus
from audit.plantings import link_frame

NG, PCAP = Form("pcapng"), Form("pcap")
ANSWER = ethernet(LOW, 0x0806, b"\0\1\x08\0\6\4\0\2" + bytes(20), HIGH)
"""The shortest that a Linux host records of its own: 42 bytes."""
LINK = [link_frame(index) for index in range(1, 41)]
PLACE = 20


def judge(folder: Path, held: bytes) -> dict[str, Check]:
    path = folder / "link"
    path.write_bytes(held)
    return {one.id: one for one in capture.run(CaptureQuestion(path=path, high=HIGH), now_ns=T0).checks}


def pcapng(frames: Sequence[bytes], odd: bytes, *, form: Form = NG, names: Sequence[bytes] = (b"tap0",)) -> bytes:
    """Frames of the link, and `odd` in their middle: blocks as they are."""
    told = [option(form, 2, name) if name else b"" for name in names]
    held = [packet(form, one, T0 // 1000 + index) for index, one in enumerate(frames)]
    head = section(form) + b"".join(interface(form, one) for one in told)
    return head + b"".join([*held[:PLACE], odd, *held[PLACE:]])


def hidden() -> Iterator[tuple[str, bytes, str]]:
    """What hides, the capture, and what must be said of it."""
    one, rest = LINK[PLACE], [*LINK[:PLACE], *LINK[PLACE + 1 :]]
    for frame in (ANSWER, ANSWER[:14]):
        record = struct.pack("<IIII", T0 // 10**9, 5, len(frame), len(frame)) + frame
        long = one + record
        yield f"a record of {len(frame)} in another", write(PCAP, [*LINK[:PLACE], long, *LINK[PLACE:]]), "hidden behind"
        whole = packet(NG, frame, 5)
        yield f"a block of {len(frame)} in a frame", pcapng(rest, packet(NG, one + whole, 5)), "hidden behind"
        told = "1 blocks of type 0x6 hold more than a frame"
        yield f"a block of {len(frame)} in options", pcapng(rest, packet(NG, one, 5, options=whole)), told
        end = option(NG, 0, b"") + whole
        yield f"a block of {len(frame)} behind options", pcapng(rest, packet(NG, one, 5, options=end)), told
        simple = block(NG, 3, struct.pack("<I", len(one)) + one + bytes(-len(one) % 4) + whole)
        yield f"a block of {len(frame)} in a simple one", pcapng(rest, simple), "1 blocks of type 0x3 hold more"
    many = option(NG, 1, b"a") * 70 + option(NG, 2, struct.pack("<I", 2))
    yield "a direction behind many options", pcapng(rest, packet(NG, one, 5, options=many)), "0x6 hold more"
    for form in (NG, Form("pcapng", ">")):
        for number in range(5):
            named = struct.pack(form.order + "I", 4) + packet(form, ANSWER, 5, number=number)[4:]
            held = pcapng(LINK, named, form=form, names=[b"a", b"b", b"c", b"d", b"e"])
            yield f"interface {number} as names {form.order}", held, "1 blocks of type 0x4 (names) were not looked into"
    early = section(NG) + packet(NG, one, 5) + interface(NG, option(NG, 2, b"tap0"))
    early += b"".join(packet(NG, frame, 9) for frame in rest)
    yield "a packet before its interface", early, "no source that can be read"
    late = pcapng(rest, packet(NG, one, 5, number=1)) + section(NG) + interface(NG, option(NG, 2, b"tap0"))
    yield "an interface of the next section", late + packet(NG, one, 9), "no source that can be read"
    for names in ((b"", b""), (b"eth0", b"eth0")):
        told = f"nothing tells that it is one (first: frame {PLACE + 1})"
        yield (
            f"an interface named as another: {names[0]!r}",
            pcapng(rest, packet(NG, one, 5, number=1), names=names),
            told,
        )
    told = "without a direction, which the file tells of others (first: frame 1)"
    flag = option(NG, 2, struct.pack("<I", 1))
    yield "a direction that is told once", pcapng(rest, packet(NG, one, 5, options=flag)), told
    for link, kind, value in (
        (113, 1, 1),
        (113, 1, 3),
        (113, 1, 5),
        (113, 0, 1),
        (276, 10, 2),
        (276, 10, 6),
        (276, 7, 9),
    ):
        kept = cooked(one, link)
        odd = kept[:kind] + bytes([value]) + kept[kind + 1 :]
        held = write(Form("pcap", link=link), LINK).replace(kept, odd)
        yield f"Linux cooked {link}, byte {kind}: {value}", held, "of another packet type or interface"
    held = write(PCAP, LINK)
    skippable = struct.pack("<I", 0x184D2A57) + struct.pack("<I", len(held) - 24) + held[24:]
    yield (
        "frames in a skippable one",
        zstandard.compress(held) + skippable,
        f"{len(held) - 24} bytes of the packed file",
    )


@pytest.mark.parametrize(("held", "told"), [pytest.param(*rest, id=name) for name, *rest in hidden()])
def test_nothing_hides_in_the_form_of_a_capture(tmp_path: Path, held: bytes, told: str) -> None:
    """Each is told in its own words, and nothing else but it makes the file worse."""
    found = judge(tmp_path, held)["CAP-1"]
    assert found.status in (CheckStatus.FAIL, CheckStatus.WARN)
    assert told in found.found


def test_what_captures_really_hold_is_no_alarm(tmp_path: Path) -> None:
    """Trailers of taps, options with and without their end, names, an interface per section, pzstd's own frames."""
    names = block(NG, 4, struct.pack("<HH", 1, 9) + b"\xc0\0\2\1name\0" + bytes(3) + bytes(4))
    flagged = packet(NG, LINK[1], 9, options=option(NG, 1, b"a comment") + option(NG, 0, b""))
    bare = packet(NG, LINK[2], 9, options=option(NG, 1, b"a comment"))
    held = pcapng(LINK, names + flagged + bare, names=(b"eth0", b"eth1"))
    assert judge(tmp_path, held + held.replace(b"eth1", b"eth2"))["CAP-1"].found.count("hold more") == 0
    trailed = [one + bytes(28) for one in LINK] + [LINK[0][:42] + bytes(22)]
    assert judge(tmp_path, write(PCAP, trailed))["CAP-1"].status == CheckStatus.PASS
    packed = zstandard.compress(write(PCAP, LINK))
    pzstd = struct.pack("<III", 0x184D2A50, 4, len(packed)) + packed
    assert judge(tmp_path, pzstd)["CAP-1"].status == CheckStatus.PASS


@pytest.mark.parametrize("many", range(1, FEW + 1))
@pytest.mark.parametrize("chunk", [1, 7, 300])
def test_a_few_frames_in_a_row_are_told_by_their_numbers(many: int, chunk: int) -> None:
    """Put between two of the link's anywhere but at an end of the file; a kernel that draws lots is no alarm."""
    for place in (2, 50, 64, 97):
        ident = [number & 0xFFFF for number in range(65_480, 65_580)]
        ident[place:place] = range(40_000, 40_000 + many)
        order = LinkOrder()
        for begin in range(0, len(ident), chunk):
            held = np.array(ident[begin : begin + chunk], np.int64)
            order._identify(np.arange(begin, begin + len(held)), held)
        assert order.strange_ids == list(range(place, place + many)), place
    lots = LinkOrder()
    lots._identify(np.arange(50_000), np.random.default_rng(7).integers(0, 65_536, 50_000))
    assert not lots.strange_ids
