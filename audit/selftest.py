"""`audit selftest`: the kit is given what it must find. A check that cannot fail proves nothing.

    PR-7     a twin of each end calls every forbidden system call by number, and must die of it
    SELF-1   reverse frames in captures, of every kind       CAP-1 must name each (`plantings.py`)
    SELF-2   a block that was never sent, in a journal       JRN-2 must name it
    SELF-3   an altered leaf                                 JRN-3 must name it
    SELF-4   a filter taken away                             PR-7 and NFT-1 must miss it

Everything happens on copies and samples in a folder of its own; nothing of the plant is touched or sent.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import catalogue
from audit.capture import capture
from audit.capture.pcap import Capture
from audit.capture.read_capture import CaptureQuestion
from audit.capture.tally import LISTED
from audit.check import AuditFindings, Check, CheckStatus, Evidence, stamp, verdict
from audit.disks import compare
from audit.machine.netdev import chains
from audit.plantings import plantings
from audit.report.machine_facts import facts
from audit.samples import HIGH_MAC, LOW_MAC, PORT, Stores, frame, make_stores, opaque, write_store
from protocol.errors import ConfigError
from protocol.process import confine
from protocol.process.confine import Mode, Role
from protocol.store.resync import scan

COMMAND = "checkvalve audit selftest"
_TWINS = """
import json, sys
from audit.machine import twins
from protocol.process.confine import Mode, Role
found = twins.run(Role(sys.argv[1]), Mode(sys.argv[2]))
print(json.dumps([[twin.call, twin.forbidden, twin.ended, twin.right] for twin in found]))
"""
_RULES = """table netdev dd {
	counter tx_drop {
		packets 0 bytes 0
	}

	chain out {
		type filter hook egress device "diode0" priority -500; policy drop;
		counter name "tx_drop" drop
	}
}
"""
"""What `nft list ruleset` prints where the low side's recipe is in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """How one end's twins ended."""

    role: Role
    mode: Mode
    ended: tuple[tuple[str, bool, str, bool], ...]
    """Call, whether it is forbidden, how it ended, whether that is right."""

    @property
    def wrong(self) -> list[str]:
        """Calls whose twin did not end as it had to, in words."""
        return [f"{self.role} {call}: {ended}" for call, _, ended, right in self.ended if not right]

    @property
    def dead(self) -> int:
        """Twins that a forbidden call ended."""
        return sum(forbidden and right for _, forbidden, _, right in self.ended)


def run(folder: Path, *, own: Path | None = None, high: str | None = None, wall: Callable[[], int]) -> AuditFindings:
    """Plant and look.

    Args:
        folder: A folder for the samples, made if missing.
        own: A capture of the link, to plant in a copy of it too.
        high: MAC address of the high side in it.
        wall: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: `own` is no capture, or comes without `high`.
    """
    began = stamp(wall())
    folder.mkdir(parents=True, exist_ok=True)
    checks = [
        *_twin_checks(wall),
        _reverse_frames(folder, own, high, wall),
        _injected(folder / "injected", wall),
        _altered(folder / "altered", wall),
    ]
    ranked = sorted(checks, key=lambda check: list(catalogue.catalogue()).index(check.id))
    return AuditFindings(what="selftest", time=began, facts=facts(), checks=tuple(ranked))


def twin_check(twins: Sequence[Twins], time: str) -> Check:
    """PR-7, judged on what each twin could do."""
    wrong = [line for one in twins for line in one.wrong]
    evidence = [
        Evidence(
            value={
                "end": one.role.value,
                "confined": one.mode.value,
                "ended": {call: how for call, _, how, _ in one.ended},
            },
            command=COMMAND,
            time=time,
        )
        for one in twins
    ]
    if wrong:
        return catalogue.check(
            "PR-7", CheckStatus.FAIL, f"{len(wrong)} did not end as they must: {wrong[0]}", *evidence
        )
    dead = sum(one.dead for one in twins)
    return catalogue.check(
        "PR-7", verdict(bool(dead)), f"{dead} twins died of SIGSYS, and each allowed call lived", *evidence
    )


def run_twins(role: Role, mode: Mode) -> Twins:
    """Fork the twins of an end, from a process of one thread."""
    words = [sys.executable, "-c", _TWINS, role.value, mode.value]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return Twins(role=role, mode=mode, ended=tuple((a, b, c, d) for a, b, c, d in json.loads(done.stdout)))


def _twin_checks(wall: Callable[[], int]) -> list[Check]:
    why = confine.possible()
    time = stamp(wall())
    ruleset, which = _rulesets()
    if why is not None:
        skipped = f"nothing is confined here: {why}"
        state = CheckStatus.FAIL if not ruleset else CheckStatus.SKIP
        return [
            catalogue.check("PR-7", CheckStatus.SKIP, skipped),
            catalogue.check("SELF-4", state, f"{skipped}; {which}", _seen(which, time)),
        ]
    confined = [run_twins(role, mode) for role in Role for mode in (Mode.ON, Mode.STRICT)]
    bare = twin_check([run_twins(role, Mode.OFF) for role in Role], time)
    found = f"without their filter PR-7 says {bare.status}: {bare.found}; {which}"
    right = ruleset and bare.status == CheckStatus.FAIL
    return [twin_check(confined, time), catalogue.check("SELF-4", verdict(right), found, _seen(found, time))]


def _rulesets() -> tuple[bool, str]:
    """Whether the firewall's reader tells a hook that drops all from one that is gone, elsewhere or open."""
    hurt = {
        "its hook gone": _RULES.replace("type filter hook egress", "type filter hook ingress"),
        "another device": _RULES.replace("diode0", "diode1"),
        "policy accept": _RULES.replace("policy drop", "policy accept"),
        "a rule that accepts": _RULES.replace('\t\tcounter name "tx_drop" drop', "\t\tip daddr 10.0.0.1 accept"),
        "nothing": "",
    }
    missed = [name for name, text in hurt.items() if _drops(text)]
    if not _drops(_RULES):
        return False, "a ruleset that drops all was not believed"
    return (
        not missed,
        f"rulesets not told apart: {', '.join(missed)}" if missed else f"{len(hurt)} rulesets without it seen",
    )


def _drops(text: str) -> bool:
    return any(one.hook == "egress" and one.drops_all for one in chains(text, "diode0"))


def _reverse_frames(folder: Path, own: Path | None, high: str | None, wall: Callable[[], int]) -> Check:
    """SELF-1: each kind is found in the capture that has it, and not in the one that has not."""
    said: dict[str, str] = {}
    missed: list[str] = []
    for planting in plantings():
        clean, planted = folder / "clean.capture", folder / "planted.capture"
        clean.write_bytes(planting.clean)
        planted.write_bytes(planting.planted)
        before, after = (_judge(path, HIGH_MAC, PORT, wall)[planting.check] for path in (clean, planted))
        said[planting.name] = f"{planting.check} {after.status}: {after.found}"
        told = after.status in (CheckStatus.FAIL, CheckStatus.WARN) and planting.told in after.found
        if before.status != CheckStatus.PASS or not told:
            missed.append(f"{planting.name} (without: {before.status}, with: {after.status}, {after.found})")
    found = f"{len(said) - len(missed)} of {len(said)} kinds found: " + "; ".join(said)
    found = f"not found: {'; '.join(missed)}" if missed else found
    right = not missed
    if own is not None:
        if high is None:
            raise ConfigError("--capture needs the high side's address", hint="--high 02:dd:00:00:00:01")
        last = plant(own, folder / own.name, frame(LOW_MAC, HIGH_MAC, b"an answer"))
        was, mine = (_judge(path, high, None, wall)["CAP-1"] for path in (own, folder / own.name))
        more = _foreign(mine)[0] == _foreign(was)[0] + 1 and (last in _foreign(mine)[1] or _foreign(was)[0] >= LISTED)
        right = right and mine.status == CheckStatus.FAIL and more
        found += f"; in a copy of {own.name}: {mine.status}, {mine.found}"
    return catalogue.check("SELF-1", verdict(right), found, _seen(said, stamp(wall())))


def plant(path: Path, copy: Path, reverse: bytes) -> int:
    """Copy a capture and put one frame behind its last; returns that frame's number.

    Raises:
        ConfigError: it is no capture, or one whose end or link type lets no frame be put there.
    """
    with Capture(path) as opened:
        count = sum(len(part.at) for part in opened)
        form, whole, damage = opened.form, opened.walk.at, opened.walk.damage
        ethernet = all(one.link == 1 for one in opened.interfaces) and bool(opened.interfaces)
    if damage or not ethernet:
        raise ConfigError(f"{path}: nothing can be planted in it", hint=damage or "give an Ethernet capture")
    shutil.copyfile(path, copy)
    with copy.open("r+b") as file:
        order = "<" if form == "pcapng" or file.read(4) in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        file.truncate(whole)
        file.seek(whole)
        if form == "pcap":
            file.write(struct.pack(order + "IIII", 0, 0, len(reverse), len(reverse)) + reverse)
        else:
            packet = struct.pack("<IIIII", 0, 0, 0, len(reverse), len(reverse)) + reverse
            section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
            for kind, body in ((0x0A0D0D0A, section), (1, struct.pack("<HHI", 1, 0, 0)), (6, packet)):
                padded = body + bytes(-len(body) % 4)
                size = struct.pack("<I", len(padded) + 12)
                file.write(struct.pack("<I", kind) + size + padded + size)
    return count + 1


def _injected(folder: Path, wall: Callable[[], int]) -> Check:
    stores = make_stores(folder, seed=1)
    stream = stores.streams[-1]
    records = list(scan(stores.low / "segments" / "0000000001.seg"))
    before = _compare(stores, wall)["JRN-2"]
    write_store(stores.low, [*records, opaque(stream, stores.size + 5, b"a block that was never sent")])
    after = _compare(stores, wall)["JRN-2"]
    named = after.evidence[0].value["injected"] == {stream.hex(): [str(stores.size + 5)]}
    return _before_and_after("SELF-2", before, after, named, wall)


def _altered(folder: Path, wall: Callable[[], int]) -> Check:
    stores = make_stores(folder, seed=2)
    stream, number = stores.streams[0], 13
    before = _compare(stores, wall)["JRN-3"]
    path = stores.low / "leaves" / f"{stream.hex()}.leaf"
    leaves = bytearray(path.read_bytes())
    leaves[32 * number] ^= 1
    path.write_bytes(leaves)
    after = _compare(stores, wall)["JRN-3"]
    named = after.evidence[0].value["altered"] == {stream.hex(): {"low": [str(number)]}}
    return _before_and_after("SELF-3", before, after, named, wall)


def _before_and_after(ident: str, before: Check, after: Check, named: bool, wall: Callable[[], int]) -> Check:
    right = before.status == CheckStatus.PASS and after.status == CheckStatus.FAIL and named
    found = f"without: {before.status}; with: {after.status}, {after.found}"
    return catalogue.check(ident, verdict(right), found, _seen(after.evidence[0].value, stamp(wall())))


def _compare(stores: Stores, wall: Callable[[], int]) -> dict[str, Check]:
    findings = compare.run(stores.high, stores.low, [stores.key], now_ns=wall())
    return {check.id: check for check in findings.checks}


def _judge(path: Path, high: str, port: int | None, wall: Callable[[], int]) -> dict[str, Check]:
    question = CaptureQuestion(path=path, high=high, low=LOW_MAC, port=port)
    return {check.id: check for check in capture.run(question, now_ns=wall()).checks}


def _foreign(check: Check) -> tuple[int, list[int]]:
    """How many frames CAP-1 holds against a capture, and the numbers of those it lists."""
    if len(check.evidence) < 3:
        return 0, []
    listed = check.evidence[2].value
    return listed["of"], [one["frame"] for one in listed["frames"]]


def _seen(value: Any, time: str) -> Evidence:
    return Evidence(value=value, command=COMMAND, time=time)
