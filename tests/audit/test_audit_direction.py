"""Which way a frame went, by more than its source address: every evidence that a file holds is used, and told."""

from __future__ import annotations

import gzip
import random
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from capture_files import (
    FORMS,
    HIGH,
    LOW,
    OTHER,
    T0,
    Form,
    block,
    ethernet,
    interface,
    ip4,
    mac,
    option,
    packet,
    section,
    udp,
    write,
)

from audit.capture import capture
from audit.capture.coverage import read_moment
from audit.capture.read_capture import CaptureQuestion
from audit.check import AuditFindings, Check, CheckStatus
from protocol.errors import ConfigError

PCAP, NG = FORMS[0], FORMS[4]
CASES = Path(__file__).parents[1] / "vectors" / "audit"
FAIL, WARN, PASS, SKIP = CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.PASS, CheckStatus.SKIP


def shard(index: int, *, source: int = 40000, target: str = LOW, ident: int | None = None, hops: int = 64) -> bytes:
    """A frame as the link sends it: its own number in stream and packet."""
    payload = b"CV\1\1" + struct.pack(">I8sQIBBBB", 7, b"a stream", index, 900, 1, 0, 0, 0) + bytes(40)
    held = bytearray(ethernet(HIGH, 0x0800, ip4(17, udp(payload, source=source)), target))
    struct.pack_into(">H", held, 18, index & 0xFFFF if ident is None else ident)
    held[22] = hops
    return bytes(held)


def found_in(folder: Path, held: bytes, name: str = "link.pcap", **more: object) -> AuditFindings:
    path = folder / name
    path.write_bytes(held)
    question = CaptureQuestion(path=path, **({"high": HIGH, "port": 5005} | more))  # type: ignore[arg-type]
    return capture.run(question, now_ns=T0)


def judge(folder: Path, held: bytes, name: str = "link.pcap", **more: object) -> dict[str, Check]:
    return {check.id: check for check in found_in(folder, held, name, **more).checks}


def test_the_link_passes_and_is_told_without_a_doubt(tmp_path: Path) -> None:
    """Frames as emit sends them, numbered by its kernel, over a start with another port."""
    frames = [shard(index) for index in range(300)] + [shard(index, source=40001) for index in range(300, 400)]
    for form in FORMS:
        assert judge(tmp_path, write(form, frames))["CAP-1"].status == PASS


CASE_FILES = {
    "tohigh.pcap": "addressed to the high side",
    "twoif.pcapng": "seen on another interface",
    "sll-in.pcap": "going the other way",
    "epbflags.pcapng": "going the other way",
    "hide-pcap-length-min.bin": "another source",
    "vx.pcap": "another source",
}


@pytest.mark.parametrize("name", CASE_FILES)
def test_a_capture_that_once_passed_fails_with_its_reason(name: str) -> None:
    """One reverse frame with the high side's address, or behind a wrong length; the frame is named."""
    found = capture.run(CaptureQuestion(path=CASES / name, high=HIGH, low=LOW), now_ns=T0).checks[0]
    assert found.status == FAIL
    assert CASE_FILES[name] in found.found
    assert found.evidence[2].value["frames"][0]["frame"] == (3 if name == "epbflags.pcapng" else 2)


def test_an_appliances_own_frames_are_none_of_the_link(tmp_path: Path) -> None:
    """In the documented mode its LLDP is listed and attested, and the link's kinds are judged without it."""
    held = (CASES / "appl.pcap").read_bytes()
    found = judge(tmp_path, held, appliance="02:dd:00:00:00:0a", by="J. Doe")
    assert {check: one.status for check, one in found.items() if check != "CAP-5"} == {
        "CAP-1": PASS, "CAP-2": SKIP, "CAP-3": PASS, "CAP-4": CheckStatus.ATTESTED,
    }  # fmt: skip


@pytest.mark.parametrize("end", [HIGH, LOW])
def test_an_end_of_the_link_is_no_appliance(tmp_path: Path, end: str) -> None:
    """It is refused where it is told; the card that the link goes to is no appliance where it is not."""
    held = write(PCAP, [shard(1), ethernet(LOW, 0x0800, ip4(1, bytes(40)), HIGH)])
    with pytest.raises(ConfigError, match="own address"):
        judge(tmp_path, held, low=LOW, appliance=end, by="X")
    if end == LOW:
        assert judge(tmp_path, held, appliance=LOW, by="X")["CAP-4"].status == FAIL


def planted(kind: str, dice: random.Random, form: Form, frames: list[bytes], place: int) -> bytes | None:
    """A capture with one reverse frame of a kind; None: this form cannot hold it."""
    body = dice.randbytes(dice.randrange(20, 60))
    link = bytearray(frames[place])
    back = {"source": HIGH, "target": HIGH}
    ethertype = form.link == 1
    match kind.split(":"):
        case ["plain", what]:
            return write(form, [*frames[:place], _answer(what, LOW, HIGH, body), *frames[place:]])
        case ["forged", what]:
            if form.link != 1:
                return None
            return write(form, [*frames[:place], _answer(what, back["source"], back["target"], body), *frames[place:]])
        case ["everyone", what]:
            if not ethertype:
                return None
            target = dice.choice(["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", "33:33:00:00:00:16"])
            return write(form, [*frames[:place], _answer(what, HIGH, target, body), *frames[place:]])
        case ["link", "hops"]:
            link[22] = 63
        case ["link", "card"]:
            link[:6] = mac(OTHER)
        case ["link", "ident"]:
            struct.pack_into(">H", link, 18, (place + 7000) & 0xFFFF)
        case ["link", "port"]:
            struct.pack_into(">H", link, 34, 51000)
        case ["link", "copy"]:
            pass
        case ["link", "payload"]:
            link[42:] = dice.randbytes(len(link) - 42)
        case ["link", "long"]:
            link += _answer("icmp", LOW, HIGH, body) + bytes(100)
        case ["link", "to-high"]:
            link[:6] = mac(HIGH)
    if form.link != 1:
        return None
    return write(form, [*frames[:place], bytes(link), *frames[place:]])


def _answer(what: str, source: str, target: str, body: bytes) -> bytes:
    kinds: dict[str, tuple[int, bytes]] = {
        "icmp": (0x0800, ip4(1, b"\3\3\0\0" + body, "192.0.2.2", "192.0.2.1")),
        "echo": (0x0800, ip4(1, b"\0\0\0\0" + body, "192.0.2.2", "192.0.2.1")),
        "tcp": (0x0800, ip4(6, struct.pack(">HHIIBBHHH", 443, 5000, 1, 0, 80, 18, 1, 0, 0), "192.0.2.2", "192.0.2.1")),
        "udp": (0x0800, ip4(17, udp(body, 5005, 40000), "192.0.2.2", "192.0.2.1")),
        "dns": (0x0800, ip4(17, udp(body, 53, 40000), "192.0.2.2", "192.0.2.1")),
        "igmp": (0x0800, ip4(2, b"\x16" + body[:7], "192.0.2.2", "224.0.0.22")),
        "fragment": (0x0800, ip4(17, body, "192.0.2.2", "192.0.2.1", flags=0x2000)),
        "esp": (0x0800, ip4(50, body, "192.0.2.2", "192.0.2.1")),
        "arp": (0x0806, b"\0\1\x08\0\6\4\0\2" + body[:20]),
        "lldp": (0x88CC, body),
        "pause": (0x8808, b"\0\1" + body),
        "stp": (38, b"\x42\x42\3" + bytes(35)),
        "vlan": (0x8100, b"\0\7\x08\0" + ip4(17, udp(body))),
        "ip6": (0x86DD, b"\x60\0\0\0\0\x08\x3a\xff" + bytes(32) + b"\x87\0" + body[:6]),
        "own": (0x88B5, body),
    }  # fmt: skip
    ethertype, payload = kinds[what]
    return ethernet(source, ethertype, payload, target)


ANSWERS = (
    "icmp",
    "echo",
    "tcp",
    "udp",
    "dns",
    "igmp",
    "fragment",
    "esp",
    "arp",
    "lldp",
    "pause",
    "stp",
    "vlan",
    "ip6",
    "own",
)
KINDS = [f"{way}:{what}" for way in ("plain", "forged", "everyone") for what in ANSWERS]
KINDS += [f"link:{what}" for what in ("hops", "card", "ident", "port", "copy", "payload", "long", "to-high")]


def test_a_thousand_reverse_frames_of_53_kinds_are_found(tmp_path: Path) -> None:
    """In every form, anywhere in the file, forged or not: at most one in a hundred passes, and its kind is named."""
    dice = random.Random(20261128)
    frames = [shard(index) for index in range(40)]
    missed: list[str] = []
    count = 0
    while count < 1000:
        kind, form = KINDS[count % len(KINDS)], dice.choice(FORMS)
        held = planted(kind, dice, form, frames, dice.randrange(2, 39))
        if held is None:
            held = planted(kind, dice, PCAP, frames, dice.randrange(2, 39))
        assert held is not None
        found = judge(tmp_path, held, low=LOW)
        count += 1
        if {found["CAP-1"].status, found["CAP-3"].status} <= {PASS}:
            missed.append(kind)
    assert len(KINDS) >= 45
    assert not missed, missed


def test_what_cannot_be_found_is_named_as_not_proven(tmp_path: Path) -> None:
    """A frame that is the link's next one in everything passes: the report says so beside the answer."""
    found = judge(tmp_path, write(PCAP, [shard(index) for index in range(40)]), low=LOW)["CAP-1"]
    assert found.status == PASS
    assert "forged so well" in found.not_proven


def test_frames_to_everyone_are_a_doubt_unless_the_file_tells_their_way(tmp_path: Path) -> None:
    """Of a broadcast with the high side's address nothing tells where it came from; a direction in the file does."""
    many = ethernet(HIGH, 0x0806, b"\0\1\x08\0\6\4\0\1" + bytes(20), "ff:ff:ff:ff:ff:ff")
    assert judge(tmp_path, write(PCAP, [shard(1), shard(2), many]))["CAP-1"].status == WARN
    flagged = section(NG) + interface(NG)
    for frame, way in ((shard(1), 2), (shard(2), 2), (many, 2)):
        flagged += packet(NG, frame, T0 // 1000, options=option(NG, 2, struct.pack("<I", way)))
    assert judge(tmp_path, flagged)["CAP-1"].status == PASS
    assert judge(tmp_path, flagged[:-8] + struct.pack("<I", 1) + flagged[-4:])["CAP-1"].status == FAIL


def test_a_person_names_the_interface_that_the_way_there_is_on(tmp_path: Path) -> None:
    """Without it most frames decide; a name that the file lacks is a mistake with the names it has."""
    held = (CASES / "twoif.pcapng").read_bytes()
    listed = judge(tmp_path, held, interface="low-to-high")["CAP-1"].evidence[2].value["frames"]
    assert [one["frame"] for one in listed] == [1]
    with pytest.raises(ConfigError, match="no interface") as raised:
        judge(tmp_path, held, interface="tap0")
    assert "high-to-low" in str(raised.value.hint)


LENGTHS = (0, 1, 59, 137, 5_000, 262_144, 262_145, 2**31, 2**32 - 1)


@pytest.mark.parametrize("form", [PCAP, FORMS[1], NG, FORMS[5]], ids=["pcap<", "pcap>", "ng<", "ng>"])
@pytest.mark.parametrize("length", LENGTHS)
def test_no_wrong_length_hides_what_is_behind_it(tmp_path: Path, form: Form, length: int) -> None:
    """One record's or block's length is changed: the file fails, or the reverse frame behind it is still found."""
    answer = ethernet(LOW, 0x0800, ip4(1, bytes(40)), HIGH)
    frames = [shard(index) for index in range(20)]
    held = bytearray(write(form, [*frames[:15], answer, *frames[15:]]))
    whole = write(form, frames[:5])
    place = len(whole) + (8 if form.name == "pcap" else 4)
    struct.pack_into(form.order + "I", held, place, length)
    found = judge(tmp_path, bytes(held))["CAP-1"]
    assert found.status == FAIL, found.found
    if len(found.evidence) > 2 and found.evidence[0].value["unread_bytes"]:
        assert any(one["kind"].startswith("ICMP") for one in found.evidence[2].value["frames"])


@pytest.mark.parametrize("kind", [0, 1, 4, 5, 7, 9, 10, 0xBAD, 0x40000BAD, 0x204, 0x12345, 0x80000006])
def test_no_wrong_type_hides_a_frame_without_a_word(tmp_path: Path, kind: int) -> None:
    """A packet block under another type is no frame; it is a doubt, with type and number."""
    answer = ethernet(LOW, 0x0800, ip4(1, bytes(40)), HIGH)
    hidden = bytearray(packet(NG, answer, T0 // 1000))
    struct.pack_into("<I", hidden, 0, kind)
    found = judge(tmp_path, write(NG, [shard(1), shard(2)]) + bytes(hidden) + packet(NG, shard(3), T0 // 1000))["CAP-1"]
    assert found.status in (WARN, FAIL), found.found
    assert f"0x{kind:x}" in found.found or found.status == FAIL


def test_a_section_of_another_version_is_not_read(tmp_path: Path) -> None:
    """What stands behind it may be laid out otherwise: the file fails; a pcap of another version is refused."""
    other = bytearray(write(NG, [shard(5)]))
    struct.pack_into("<H", other, 12, 2)
    found = judge(tmp_path, write(NG, [shard(1)]) + bytes(other))["CAP-1"]
    assert (found.status, "version 2.0" in found.found) == (FAIL, True)
    old = bytearray(write(PCAP, [shard(1)]))
    struct.pack_into("<HH", old, 4, 1, 0)
    with pytest.raises(ConfigError, match=r"version 1\.0"):
        judge(tmp_path, bytes(old))


@pytest.mark.parametrize("most", [14, 20, 33, 34, 37])
def test_a_short_snap_length_is_no_alarm(tmp_path: Path, most: int) -> None:
    """So few bytes hold no port: it is said, and nothing fails; a frame that is so short itself does."""

    def kept(frame: bytes, length: int) -> bytes:
        return struct.pack("<IIII", T0 // 10**9, 0, most, length) + frame[:most]

    head = write(PCAP, [])
    held = head + b"".join(kept(shard(index), len(shard(index))) for index in range(3))
    found = judge(tmp_path, held)
    assert (found["CAP-1"].status, found["CAP-3"].status) == (PASS, WARN)
    assert "of 3 too little was kept" in found["CAP-3"].found
    assert judge(tmp_path, head + kept(shard(1), most))["CAP-3"].status == FAIL
    other = ethernet(HIGH, 0x0806, bytes(28))
    assert judge(tmp_path, held + kept(other, len(other)))["CAP-3"].status == FAIL


def test_a_time_that_goes_back_is_told(tmp_path: Path) -> None:
    """By more than a second: a frame of another day in between is a doubt; what two queues mix up is none."""
    for back_ns, status in ((20 * 10**9, WARN), (10**8, PASS)):
        times = [T0 + index * 10**9 for index in range(20)]
        times[12] -= 10**9 + back_ns
        held = section(NG) + interface(NG)
        held += b"".join(packet(NG, shard(index), time // 1000) for index, time in enumerate(times))
        found = judge(tmp_path, held)["CAP-1"]
        assert found.status == status
        assert ("times go back by up to 20.0 s" in found.found) is (status == WARN)
        assert found.evidence[0].value["times_in_order"] is False


def test_holes_in_time_are_told_and_fail_a_period(tmp_path: Path) -> None:
    """First, last and pauses stand there in any case; a period that is asked for must be covered."""
    hour = 3_600 * 10**9
    frames = [shard(index) for index in range(20)]
    times = [T0 + index * 10**9 for index in range(10)] + [T0 + hour + index * 10**9 for index in range(10)]
    held = section(NG) + interface(NG, option(NG, 2, b"tap0"))
    held += b"".join(packet(NG, frame, time // 1000) for frame, time in zip(frames, times, strict=True))
    told = judge(tmp_path, held)["CAP-5"]
    assert (told.status, told.evidence[0].value["tap0"]["pauses"]) == (
        SKIP,
        ["2023-11-14T22:13:29Z to 2023-11-14T23:13:20Z"],
    )
    covered = judge(tmp_path, held, begin_ns=T0, end_ns=T0 + 9 * 10**9)["CAP-5"]
    assert covered.status == PASS
    holed = judge(tmp_path, held, begin_ns=T0 - hour, end_ns=T0 + 2 * hour)["CAP-5"]
    assert holed.status == FAIL
    assert len(holed.evidence[1].value) == 3, "before, between, behind"
    with pytest.raises(ConfigError, match="--from"):
        judge(tmp_path, held, begin_ns=T0)


@pytest.mark.parametrize("pause", [0.0, 21_601.0, float("nan"), float("inf")])
def test_a_pause_is_not_made_so_long_that_no_hole_is_one(tmp_path: Path, pause: float) -> None:
    """It is bounded; a longer one than what is usual stands in the command and among the weakened switches."""
    with pytest.raises(ConfigError, match="--pause"):
        judge(tmp_path, write(PCAP, [shard(1)]), pause_s=pause)
    found = found_in(tmp_path, write(PCAP, [shard(1)]), pause_s=60.0)
    assert found.facts["pause_s"] == 60.0
    assert "--pause 60" in found.checks[0].evidence[0].command
    assert "pause_s" not in found_in(tmp_path, write(PCAP, [shard(1)])).facts


@pytest.mark.parametrize("text", ["2026-11-28", "20261128", "2026-W48-6"])
def test_a_day_means_its_end_however_it_is_written(text: str) -> None:
    """Its hours belong to it; what no calendar holds is a mistake."""
    assert read_moment(text, end=True) - read_moment(text, end=False) == 86_400 * 10**9
    with pytest.raises(ConfigError, match="no moment"):
        read_moment("9999-12-31", end=True)


def test_a_day_without_a_file_is_a_hole(tmp_path: Path) -> None:
    """Several files are one time: complete they pass, without one of them they fail, whatever their order."""
    day = 86_400 * 10**9
    found = []
    for index in (2, 0, 1):
        held = section(NG) + interface(NG)
        for step in range(0, 86_400, 9_000):
            held += packet(NG, shard(step), (T0 + index * day + step * 10**9) // 1000)
        found.append(found_in(tmp_path, held, f"day-{index}.pcapng", pause_s=9_000.0))
    ask = CaptureQuestion(path=tmp_path, begin_ns=T0, end_ns=T0 + 3 * day - 1, pause_s=9_000.0)
    assert capture.covered(found, ask, now_ns=T0).checks[0].status == PASS
    holed = capture.covered([found[0], found[1]], ask, now_ns=T0).checks[0]
    assert (holed.status, "1 holes" in holed.found) == (FAIL, True)
    assert capture.covered(found[:2], CaptureQuestion(path=tmp_path), now_ns=T0).checks[0].status == WARN


def test_times_are_told_as_the_capture_has_them(tmp_path: Path) -> None:
    """With its digits; a fraction of a second or more, and a clock that nobody set, are doubts."""
    answer = ethernet(LOW, 0x0800, ip4(1, bytes(40)), HIGH)
    for form, digits in ((PCAP, "22:13:20.000001Z"), (FORMS[2], "22:13:20.000001000Z")):
        listed = judge(tmp_path, write(form, [shard(1), answer]))["CAP-1"].evidence[2].value["frames"]
        assert listed[0]["time"].endswith(digits)
    odd = bytearray(write(PCAP, [shard(1), shard(2)]))
    struct.pack_into("<I", odd, 28, 1_000_000)
    assert "fraction of a second" in judge(tmp_path, bytes(odd))["CAP-1"].found
    struct.pack_into("<II", odd, 24, 12, 0)
    found = judge(tmp_path, bytes(odd))["CAP-1"]
    assert (found.status, "a clock that nobody set" in found.found) == (WARN, True)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_packed_capture_reads_as_the_capture_does(tmp_path: Path, packing: str) -> None:
    """Its own hash and that of what is in it; cut it is a doubt, with bytes behind it it fails."""

    def pack(held: bytes) -> bytes:
        return gzip.compress(held) if packing == "gzip" else zstandard.compress(held)

    plain = write(PCAP, [shard(index) for index in range(3000)])
    found = found_in(tmp_path, pack(plain), "link.pcap.packed")
    one = found.facts["file"]
    assert (found.checks[0].status, one["frames"], one["packed"]["by"]) == (PASS, 3000, packing)
    assert one["content_sha256"] == found_in(tmp_path, plain).facts["file"]["sha256"]
    twice = judge(tmp_path, pack(plain[:9_000]) + pack(plain[9_000:]))["CAP-1"]
    assert twice.status == PASS, "packed in two pieces that follow each other"
    assert judge(tmp_path, pack(plain)[:-20])["CAP-1"].status == WARN
    assert judge(tmp_path, pack(plain) + bytes(40))["CAP-1"].status == FAIL
    with pytest.raises(ConfigError):
        judge(tmp_path, pack(b""))


tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark on this machine")


def shown_by(command: str) -> list[int]:
    """Frame numbers that a printed command shows."""
    words = command.split(" -Y ", 1)
    call = [*words[0].split(), "-Y", words[1].strip("'"), "-T", "fields", "-e", "frame.number"]
    out = subprocess.run(call, capture_output=True, text=True, check=True, timeout=60).stdout
    return [int(one) for one in out.split()]


@tshark
@pytest.mark.parametrize("name", [one for one in CASE_FILES if one.endswith(("pcap", "pcapng"))])
def test_the_printed_command_shows_the_same_frames(tmp_path: Path, name: str) -> None:
    """tshark is handed the evidence's own command, on cooked captures and on tunnels too."""
    found = capture.run(CaptureQuestion(path=CASES / name, high=HIGH), now_ns=T0).checks[0]
    assert shown_by(found.evidence[2].command) == [one["frame"] for one in found.evidence[2].value["frames"]]


@tshark
@pytest.mark.parametrize("form", [PCAP, NG, FORMS[7], FORMS[9]], ids=["ethernet", "ng", "sll", "sll2"])
def test_the_filter_shows_every_foreign_frame(tmp_path: Path, form: Form) -> None:
    """By rule, not by number, where another source is the only reason."""
    frames = [shard(1), *(_answer(what, LOW, HIGH, b"x" * 30) for what in ("icmp", "udp", "arp", "own")), shard(2)]
    found = judge(tmp_path, write(form, frames))["CAP-1"]
    assert "frame.number" not in found.evidence[2].command
    assert shown_by(found.evidence[2].command) == [2, 3, 4, 5]


@tshark
def test_frames_are_numbered_as_tshark_numbers_them(tmp_path: Path) -> None:
    """Blocks without a frame that it counts as one have a number here too."""
    others = [
        block(NG, 4, struct.pack("<HH", 0, 0)),
        block(NG, 9, b"__CURSOR=1\n__REALTIME_TIMESTAMP=1700000000000000\nMESSAGE=hi\n"),
        block(NG, 10, struct.pack("<II", 0x544C534B, 4) + b"abcd"),
        block(NG, 0xBAD, struct.pack("<I", 32_473) + b"abcdefgh"),
        block(NG, 0x40000BAD, struct.pack("<I", 32_473) + b"abcdefgh"),
        block(NG, 0x204, struct.pack("<HQQIH", 0, T0, 1, 30, 1) + b"abcdefghij"),
        block(NG, 0x12345, b"abcdefgh"),
    ]
    held = write(NG, [shard(1)])
    answer = packet(NG, ethernet(LOW, 0x0800, ip4(1, bytes(40)), HIGH), T0 // 1000)
    for other in others:
        held += other + answer
    found = judge(tmp_path, held)["CAP-1"]
    numbers = [one["frame"] for one in found.evidence[2].value["frames"]]
    assert numbers == shown_by(f"tshark -r {tmp_path / 'link.pcap'} -Y 'icmp'")


def test_an_own_address_that_is_asked_again_weighs_no_milder(tmp_path: Path) -> None:
    """Asked with the low side as the high side, or with both the same, it fails or is refused."""
    held = write(PCAP, [shard(1), ethernet(LOW, 0x0800, ip4(1, bytes(40)), HIGH)])
    assert judge(tmp_path, held, high=LOW)["CAP-1"].status == FAIL
    with pytest.raises(ConfigError, match="both"):
        judge(tmp_path, held, high=HIGH, low=HIGH)
    assert replace(CaptureQuestion(path=tmp_path), high=HIGH).high == HIGH
