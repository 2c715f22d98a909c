"""`audit capture`: direction by the source address of every single frame, in every form a capture can have."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
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
    pcapng,
    section,
    simple_packet,
    statistics,
    udp,
    write,
)

from audit.capture import capture
from audit.capture.coverage import clock
from audit.capture.header_words import WORDS
from audit.capture.pcap import Capture
from audit.capture.read_capture import CaptureQuestion
from audit.capture.records import CHUNK
from audit.capture.tally import GROUPS, LISTED, FrameTally
from audit.check import Check, CheckStatus
from protocol.errors import ConfigError

PCAP, NG = FORMS[0], FORMS[4]
ANSWER = ethernet(LOW, 0x0800, ip4(1, b"\3\3\0\0" + bytes(32), "192.0.2.2", "192.0.2.1"), HIGH)
"""What a low side without protection sends: ICMP port unreachable."""


def _judge(folder: Path, held: bytes, **more: object) -> dict[str, Check]:
    path = folder / "link.pcap"
    path.write_bytes(held)
    question = CaptureQuestion(path=path, **({"high": HIGH, "low": LOW, "port": 5005} | more))  # type: ignore[arg-type]
    found = capture.run(question, now_ns=T0)
    return {check.id: check for check in found.checks}


def _name(form: Form) -> str:
    return f"{form.name}{form.order}{'ns' if form.nano else 'us'}{form.link}"


@pytest.mark.parametrize("form", FORMS, ids=_name)
def test_capture_of_the_one_flow_passes(tmp_path: Path, form: Form) -> None:
    """Frames of the high side alone pass, with first and last time and the file's hash beside them."""
    found = _judge(tmp_path, write(form, [data()] * 50, step_ns=10**9))
    assert found["CAP-1"].status == CheckStatus.PASS
    assert found["CAP-3"].status == CheckStatus.PASS
    told = found["CAP-1"].evidence[0].value
    digits = 9 if form.nano else 6
    assert (told["frames"], told["first"]) == (50, clock(T0, digits))
    assert told["last"] == clock(T0 + 49 * 10**9, digits)
    assert told["times_in_order"] is True


@pytest.mark.parametrize("form", FORMS, ids=_name)
@pytest.mark.parametrize("place", [0, 24, 49])
def test_one_foreign_frame_anywhere_fails(tmp_path: Path, form: Form, place: int) -> None:
    """It is told by its number, kind, source and time."""
    frames = [data()] * 50
    frames[place] = ANSWER
    found = _judge(tmp_path, write(form, frames))
    assert found["CAP-1"].status == CheckStatus.FAIL
    assert f"frame {place + 1}, ICMP type 3 code 3 from {LOW} (low)" in found["CAP-1"].found
    (listed,) = found["CAP-1"].evidence[2].value["frames"]
    assert listed["flow"] == "192.0.2.2 > 192.0.2.1"
    assert found["CAP-3"].status == CheckStatus.FAIL


@pytest.mark.parametrize("link", [0, 101])
def test_link_types_without_addresses_decide_nothing(tmp_path: Path, link: int) -> None:
    """They are never a pass; kinds are told all the same."""
    found = _judge(tmp_path, write(Form("pcap", link=link), [data(), ANSWER]))
    assert found["CAP-1"].status == CheckStatus.SKIP
    kinds = {one["kind"] for one in found["CAP-3"].evidence[0].value["kinds"]}
    assert kinds == {"UDP", "ICMP type 3 code 3"}


KINDS = {
    "ARP request": ethernet(OTHER, 0x0806, b"\0\1\x08\0\6\4\0\1" + bytes(20)),
    "ARP reply": ethernet(OTHER, 0x0806, b"\0\1\x08\0\6\4\0\2" + bytes(20)),
    "ICMP type 0 code 0": ethernet(OTHER, 0x0800, ip4(1, bytes(40))),
    "ICMP type 11 code 1": ethernet(OTHER, 0x0800, ip4(1, b"\x0b\1" + bytes(38), words=10)),
    "TCP": ethernet(OTHER, 0x0800, ip4(6, udp())),
    "UDP (NTP)": ethernet(OTHER, 0x0800, ip4(17, udp(target=123))),
    "IGMP": ethernet(OTHER, 0x0800, ip4(2, b"\x16" + bytes(7), words=1)),
    "IPv4 protocol 200": ethernet(OTHER, 0x0800, ip4(200, b"x")),
    "IPv4 fragment": ethernet(OTHER, 0x0800, ip4(17, udp(), flags=0x2000)),
    "VLAN UDP": ethernet(OTHER, 0x8100, b"\0\7\x08\0" + ip4(17, udp())),
    "VLAN VLAN ARP request": ethernet(OTHER, 0x88A8, b"\0\7\x81\0\0\x08\x08\6\0\1\x08\0\6\4\0\1" + bytes(20)),
    "IPv6 ICMP type 133 code 0": ethernet(OTHER, 0x86DD, ip6(58, b"\x85" + bytes(7))),
    "IPv6 ICMP type 143 code 0": ethernet(OTHER, 0x86DD, ip6(58, b"\x8f" + bytes(27), b"\x3a\0\5\2\0\0\1\0")),
    "IPv6 UDP (mDNS)": ethernet(OTHER, 0x86DD, ip6(17, udp(target=5353))),
    "IPv6 fragment": ethernet(OTHER, 0x86DD, ip6(44, b"\x11\0\0\1\0\0\0\1" + udp())),
    "LLDP": ethernet(OTHER, 0x88CC, bytes(50)),
    "PAUSE": ethernet(OTHER, 0x8808, b"\0\1" + bytes(44)),
    "PTP": ethernet(OTHER, 0x88F7, bytes(44)),
    "STP": ethernet(OTHER, 38, b"\x42\x42\3" + bytes(35)),
    "802.3 service point 06": ethernet(OTHER, 38, b"\6\6\3" + bytes(35)),
    "EtherType 1234": ethernet(OTHER, 0x1234, bytes(46)),
    "IPv4 header that cannot be read (cut short)": ethernet(OTHER, 0x0800, ip4(17, b"")[:12]),
    "UDP (cut short)": ethernet(OTHER, 0x0800, ip4(17, udp()[:2])),
    "IPv4 header that cannot be read": ethernet(OTHER, 0x0800, b"\x43" + ip4(17, udp())[1:]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_named(tmp_path: Path, kind: str) -> None:
    """What an examiner walks through has a name, in a head of its own and beside others."""
    named = "VLAN ARP request" if kind.startswith("VLAN VLAN") else kind
    found = _judge(tmp_path, write(PCAP, [data(), KINDS[kind], *KINDS.values()]))
    assert found["CAP-1"].evidence[2].value["frames"][0]["kind"] == named
    kinds = {one["kind"]: one["frames"] for one in found["CAP-3"].evidence[0].value["kinds"]}
    assert kinds[named] == 2


def test_other_frames_of_the_high_side_fail_the_kinds_alone(tmp_path: Path) -> None:
    """A service that nobody needs is no way back; it is told."""
    found = _judge(tmp_path, write(PCAP, [data(), ethernet(HIGH, 0x0806, bytes(28))]))
    assert (found["CAP-1"].status, found["CAP-3"].status) == (CheckStatus.PASS, CheckStatus.FAIL)


def test_a_second_flow_or_another_port_fails_the_kinds(tmp_path: Path) -> None:
    """One address to one address and port; another source port is another start of the sender."""
    started = ethernet(HIGH, 0x0800, ip4(17, udp(b"CV\1\1 sealed bytes", source=50123)))
    assert _judge(tmp_path, write(PCAP, [data(), started]))["CAP-3"].status == CheckStatus.PASS
    elsewhere = ethernet(HIGH, 0x0800, ip4(17, udp(), target="192.0.2.9"))
    assert _judge(tmp_path, write(PCAP, [data(), elsewhere]))["CAP-3"].status == CheckStatus.FAIL
    assert _judge(tmp_path, write(PCAP, [data()]), port=5006)["CAP-3"].status == CheckStatus.FAIL


def test_nothing_of_the_high_side_is_no_pass(tmp_path: Path) -> None:
    """An empty capture, or one of another link, shows nothing; nor does one whose owner is not told."""
    assert _judge(tmp_path, write(PCAP, []))["CAP-1"].status == CheckStatus.SKIP
    assert _judge(tmp_path, write(NG, []))["CAP-3"].status == CheckStatus.SKIP
    assert _judge(tmp_path, write(PCAP, [data(OTHER)]), high=OTHER)["CAP-1"].status == CheckStatus.PASS
    assert _judge(tmp_path, write(PCAP, [data(OTHER)]))["CAP-1"].status == CheckStatus.FAIL
    assert _judge(tmp_path, write(PCAP, [data()]), high=None)["CAP-1"].status == CheckStatus.SKIP


def test_a_frame_without_a_readable_source_is_not_passed_over(tmp_path: Path) -> None:
    """Too short for an address, or of a link type that is not read, beside good ones: it fails."""
    assert _judge(tmp_path, write(PCAP, [data(), bytes(11)]))["CAP-1"].status == CheckStatus.FAIL
    other = interface(Form("pcapng", link=195)) + packet(NG, data(), T0 // 1000, number=1)
    found = _judge(tmp_path, write(NG, [data()]) + other)
    assert found["CAP-1"].status == CheckStatus.FAIL
    assert "no source" in found["CAP-1"].found


@pytest.mark.parametrize("form", [PCAP, NG], ids=_name)
def test_a_cut_tail_is_said(tmp_path: Path, form: Form) -> None:
    """What was whole is judged; the bytes behind it make a pass a warning, and never hide a failure."""
    held = write(form, [data()] * 5)
    found = _judge(tmp_path, held[:-9])
    assert found["CAP-1"].status == CheckStatus.WARN
    assert "no whole frame" in found["CAP-1"].found
    assert found["CAP-1"].evidence[0].value["frames"] == 4
    assert _judge(tmp_path, write(form, [data(), ANSWER, data()])[:-9])["CAP-1"].status == CheckStatus.FAIL


@pytest.mark.parametrize("form", [PCAP, NG], ids=_name)
def test_a_length_that_cannot_be_true_fails(tmp_path: Path, form: Form) -> None:
    """Bytes that cannot be read as frames may hold a frame: no pass."""
    held = write(form, [data()] * 5)
    damage = b"\xff" * 40
    found = _judge(tmp_path, held + damage + held)
    assert found["CAP-1"].status == CheckStatus.FAIL
    assert "cannot be read as frames" in found["CAP-1"].found
    assert found["CAP-1"].evidence[0].value["frames"] == 10, "those behind it are found"
    assert "those from number 6 on behind that place" in found["CAP-1"].found


def test_what_the_capture_lost_or_left_out_is_said(tmp_path: Path) -> None:
    """Drops of the interface's statistics, of single packets, and a filter make a pass a warning."""
    held = write(NG, [data()] * 5)
    assert "lost 3 frames" in _judge(tmp_path, held + statistics(NG, 3))["CAP-1"].found
    assert _judge(tmp_path, held + statistics(NG, 0))["CAP-1"].status == CheckStatus.PASS
    lost = packet(NG, data(), T0 // 1000, options=option(NG, 4, (7).to_bytes(8, "little")))
    assert "lost 7 frames" in _judge(tmp_path, held + lost)["CAP-1"].found
    assert "lost 2 frames" in _judge(tmp_path, held + old_packet(NG, data(), T0 // 1000, 2))["CAP-1"].found
    filtered = section(NG) + interface(NG, option(NG, 11, b"\0udp port 5005")) + packet(NG, data(), T0 // 1000)
    found = _judge(tmp_path, filtered)
    assert found["CAP-1"].status == CheckStatus.WARN
    assert "udp port 5005" in found["CAP-1"].found


def test_classic_captures_do_not_know_their_drops(tmp_path: Path) -> None:
    """It is said, not taken for none."""
    assert _judge(tmp_path, write(PCAP, [data()]))["CAP-1"].evidence[0].value["capture_drops"] == (
        "not recorded in this file"
    )
    held = pcapng(NG, [data()], [T0 // 1000], dropped=0)
    assert _judge(tmp_path, held)["CAP-1"].evidence[0].value["capture_drops"] == 0


def test_simple_packets_and_sections_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    """Interfaces are numbered anew in each section; simple packets have no time."""
    big = FORMS[5]
    held = section(NG) + interface(NG) + simple_packet(NG, data()) + section(big) + interface(big)
    held += packet(big, data(), T0 // 1000) + simple_packet(big, ANSWER)
    found = _judge(tmp_path, held)
    assert found["CAP-1"].found.startswith("1 of 3 frames have another source")
    assert found["CAP-1"].evidence[0].value["first"] == clock(T0, 6)
    assert found["CAP-1"].evidence[0].value["times_in_order"] is True, "a packet without a time is out of no order"


@pytest.mark.parametrize(("resolution", "units"), [(b"\x83", T0 * 8 // 10**9), (b"\x0c", T0 * 1000 % 2**64)])
def test_other_units_of_time_are_read(tmp_path: Path, resolution: bytes, units: int) -> None:
    """Eighths of a second, and picoseconds (which wrap: the time is as recorded, to the second)."""
    held = section(NG) + interface(NG, option(NG, 9, resolution)) + packet(NG, data(), units)
    expected = T0 if resolution == b"\x83" else T0 * 1000 % 2**64 // 1000
    assert _judge(tmp_path, held)["CAP-1"].evidence[0].value["first"] == clock(expected, 9)


def test_the_positive_control_must_be_seen(tmp_path: Path) -> None:
    """A mark in a frame of another source passes CAP-2 and fails CAP-1; missing, or the high side's own, fails."""
    mark = b"tester 2026-11-23 #1"
    marked = ethernet(LOW, 0x88B5, mark + bytes(20), HIGH)
    found = _judge(tmp_path, write(PCAP, [data(), marked, data()]), control=mark)
    assert (found["CAP-2"].status, found["CAP-1"].status) == (CheckStatus.PASS, CheckStatus.FAIL)
    assert "frame 2" in found["CAP-2"].found
    assert _judge(tmp_path, write(PCAP, [data()]), control=mark)["CAP-2"].status == CheckStatus.FAIL
    own = ethernet(HIGH, 0x88B5, mark + bytes(20))
    assert _judge(tmp_path, write(PCAP, [data(), own]), control=mark)["CAP-2"].status == CheckStatus.FAIL
    assert _judge(tmp_path, write(PCAP, [data(), marked]))["CAP-2"].status == CheckStatus.SKIP


def test_a_mark_across_two_frames_is_none(tmp_path: Path) -> None:
    """It must stand in one frame's bytes; a record's header is no frame."""
    mark = b"marked!!"
    frames = [ethernet(OTHER, 0x88B5, bytes(30) + mark[:4]), data()]
    held = write(PCAP, frames)
    place = held.index(mark[:4])
    held = held[: place + 4] + mark[4:] + held[place + 8 :]
    assert mark in held
    question = CaptureQuestion(path=tmp_path / "x.pcap", high=HIGH, control=mark)
    (tmp_path / "x.pcap").write_bytes(held)
    checks = {check.id: check for check in capture.run(question, now_ns=T0).checks}
    assert checks["CAP-2"].status == CheckStatus.FAIL


def test_an_appliance_is_attested_and_nobody_else(tmp_path: Path) -> None:
    """Its frames need a person's name; a third source fails as ever."""
    own = ethernet(OTHER, 0x88CC, bytes(40))
    held = write(PCAP, [data(), own])
    found = _judge(tmp_path, held, appliance=OTHER, by="J. Doe")
    assert (found["CAP-1"].status, found["CAP-4"].status) == (CheckStatus.PASS, CheckStatus.ATTESTED)
    assert "J. Doe" in found["CAP-4"].found
    assert "LLDP" in found["CAP-4"].found
    assert _judge(tmp_path, held, appliance=OTHER)["CAP-4"].status == CheckStatus.WARN
    assert _judge(tmp_path, write(PCAP, [data(), own, ANSWER]), appliance=OTHER)["CAP-1"].status == CheckStatus.FAIL


@pytest.mark.parametrize("form", [PCAP, NG], ids=_name)
def test_foreign_frames_are_found_across_chunks(tmp_path: Path, form: Form) -> None:
    """Numbers hold where one chunk of frames ends and the next begins; all are counted, the first ones listed."""
    frames = [data()] * (2 * CHUNK + 100)
    places = [CHUNK - 1, CHUNK, 2 * CHUNK, 2 * CHUNK + 99]
    for place in places:
        frames[place] = ANSWER
    found = _judge(tmp_path, write(form, frames))
    assert [one["frame"] for one in found["CAP-1"].evidence[2].value["frames"]] == [place + 1 for place in places]
    flood = _judge(tmp_path, write(form, [ANSWER] * (LISTED + 50)))["CAP-1"].evidence[2].value
    assert (flood["listed"], flood["of"]) == (LISTED, LISTED + 50)


def test_what_is_kept_is_bounded_and_nothing_is_uncounted(tmp_path: Path) -> None:
    """A capture where no two frames are alike fills the table and goes on being counted."""
    dice = random.Random(5)
    frames = [dice.randbytes(40) for _ in range(3 * GROUPS)]
    (tmp_path / "wild.pcap").write_bytes(write(PCAP, frames))
    with Capture(tmp_path / "wild.pcap") as opened:
        tally = FrameTally(own=frozenset({bytes(6)})).run(opened)
    assert len(tally.groups) <= 2 * GROUPS
    assert sum(group.count for group in tally.groups.values()) + tally.beyond == len(frames)
    assert tally.beyond_foreign == tally.beyond > 0


def test_rows_with_one_sum_are_still_told_apart(tmp_path: Path) -> None:
    """Groups are compared byte by byte: made to collide, they give the same counts."""
    frames = [data(), ANSWER, *KINDS.values()] * 3
    (tmp_path / "x.pcap").write_bytes(write(PCAP, frames))
    counts = []
    for salt in (None, np.zeros(WORDS, np.uint64)):
        tally = FrameTally()
        if salt is not None:
            tally._salt = salt
        with Capture(tmp_path / "x.pcap") as opened:
            counts.append({row: group.count for row, group in tally.run(opened).groups.items()})
    assert counts[0] == counts[1]


def test_what_is_no_capture_is_a_mistake_with_a_hint(tmp_path: Path) -> None:
    """Missing, empty, compressed, something else, a folder."""
    path = tmp_path / "x"
    for held in (b"", b"\x1f\x8b" + bytes(50), b"hello, world", b"\xd4\xc3\xb2\xa1"):
        path.write_bytes(held)
        with pytest.raises(ConfigError):
            Capture(path)
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError):
            Capture(missing)
    with pytest.raises(ConfigError):
        capture.read_mac("02:dd:00:00:00")
    with pytest.raises(ConfigError):
        capture.read_mark("hex:zz")
