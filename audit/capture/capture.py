"""`audit capture FILE`: what a tap on the link recorded, read offline, without root and without a decoder.

    CAP-1   every frame has the high side's source address
    CAP-2   the capture was able to see one that has not (positive control)
    CAP-3   nothing but the one UDP flow
    CAP-4   frames of a diode appliance's own port, where it has one, attested by a person

Take captures at a passive tap: one made on a host shows what its kernel saw, not what was on the fibre.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit import catalogue
from audit.capture.pcap import Capture
from audit.capture.tally import FrameGroup, FrameTally, Listed, link_name
from audit.check import AuditFindings, Check, CheckStatus, Evidence, stamp, verdict
from audit.report.machine_facts import facts
from protocol.errors import ConfigError

SHOWN = 40
"""Most lines of a table in the evidence."""
MARK_BYTES = 6
"""Shortest mark: a shorter one may stand in a frame by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureQuestion:
    """What is asked of a capture."""

    path: Path
    high: str | None = None
    """MAC address of the high side's interface."""
    low: str | None = None
    """MAC address of the low side's interface; only names it in the findings."""
    port: int | None = None
    """UDP port of the link."""
    control: bytes = b""
    """Mark of the positive control's frame."""
    appliance: str | None = None
    """MAC address of a diode appliance's own plant-side port."""
    by: str = ""
    """Who attests the appliance's frames."""


def run(question: CaptureQuestion, *, now_ns: int) -> AuditFindings:
    """Read the capture and judge it.

    Args:
        question: The file and what is expected of it.
        now_ns: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: no capture, no address.
    """
    question = replace(question, high=_mac(question.high), low=_mac(question.low), appliance=_mac(question.appliance))
    high, appliance = _number(question.high), _number(question.appliance)
    if question.control and len(question.control) < MARK_BYTES:
        raise ConfigError(f"the mark has {len(question.control)} bytes", hint=f"use {MARK_BYTES} or more")
    with Capture(question.path) as capture, ThreadPoolExecutor(1) as other:
        digest = other.submit(capture.sha256)
        tally = FrameTally(high=high, appliance=appliance, mark=question.control).run(capture)
        reading = _ReadCapture(question, capture, tally, digest.result(), stamp(now_ns))
    checks = [_cap_1(reading), _cap_2(reading), _cap_3(reading)]
    if appliance is not None:
        checks.append(_cap_4(reading))
    about = facts() | {"file": reading.file_facts()}
    return AuditFindings(what=f"capture {question.path.name}", time=reading.time, facts=about, checks=tuple(checks))


def read_mac(text: str) -> str:
    """A MAC address as it is written here, `02:dd:00:00:00:01`.

    Raises:
        ConfigError: it is none.
    """
    plain = re.sub(r"[:.-]", "", text.strip().lower())
    if not re.fullmatch(r"[0-9a-f]{12}", plain):
        raise ConfigError(f"{text!r} is no MAC address", hint="such as 02:dd:00:00:00:01")
    return ":".join(plain[at : at + 2] for at in range(0, 12, 2))


def read_mark(text: str) -> bytes:
    """A mark as given: text, or `hex:..`.

    Raises:
        ConfigError: the digits after `hex:` are none.
    """
    if not text.startswith("hex:"):
        return text.encode()
    try:
        return bytes.fromhex(text[4:])
    except ValueError:
        raise ConfigError(f"{text!r} holds no hexadecimal digits", hint="--control hex:c0ffee00c0ffee") from None


@dataclass(slots=True)
class _ReadCapture:
    """A capture that was read, ready to be judged."""

    question: CaptureQuestion
    capture: Capture
    tally: FrameTally
    sha256: str
    time: str

    def file_facts(self) -> dict[str, Any]:
        capture, tally = self.capture, self.tally
        return {
            "path": str(self.question.path),
            "sha256": self.sha256,
            "bytes": capture.size,
            "form": capture.form,
            "frames": tally.count,
            "first": None if tally.first_ns is None else stamp(tally.first_ns),
            "last": None if tally.last_ns is None else stamp(tally.last_ns),
            "times_in_order": capture.walk.ordered,
            "capture_drops": "not recorded in this file" if capture.dropped is None else capture.dropped,
            "links": {link_name(link): count for link, count in tally.links.items()},
            "filters": sorted({one.filter for one in capture.interfaces if one.filter}),
            "unread_bytes": capture.rest,
        }

    def evidence(self, value: Any, command: str = "") -> Evidence:
        return Evidence(value=value, command=command or self.command(), time=self.time)

    def command(self) -> str:
        ask = self.question
        words = ["checkvalve audit capture", str(ask.path)]
        words += [f"--high {ask.high}"] if ask.high else []
        words += [f"--port {ask.port}"] if ask.port else []
        words += [f"--control {_mark_text(ask.control)}"] if ask.control else []
        words += [f"--appliance {ask.appliance}"] if ask.appliance else []
        return " ".join(words)

    def who(self, source: str | None) -> str:
        if source is None:
            return "unknown"
        names = {self.question.high: "high", self.question.low: "low", self.question.appliance: "appliance"}
        return f"{source} ({names[source]})" if source in names else source


def _cap_1(reading: _ReadCapture) -> Check:
    status, found = _judge_sources(reading)
    evidence = [reading.evidence(reading.file_facts()), reading.evidence(_sources(reading))]
    if reading.tally.listed:
        lines = [one.plain(stamp(one.time_ns)) for one in reading.tally.listed]
        shown = f"tshark -r {reading.question.path} -Y 'eth.src != {reading.question.high}'"
        evidence.append(reading.evidence({"frames": lines, "listed": len(lines), "of": _strange(reading.tally)}, shown))
    return catalogue.check("CAP-1", status, found, *evidence)


def _judge_sources(reading: _ReadCapture) -> tuple[CheckStatus, str]:
    tally, capture = reading.tally, reading.capture
    span = f"{tally.count} frames, {reading.file_facts()['first']} to {reading.file_facts()['last']}"
    if reading.question.high is None:
        return (
            CheckStatus.SKIP,
            f"{span}: not told whose they should be; give --high MAC (the sources stand in the evidence)",
        )
    if tally.foreign:
        first = next(one for one in tally.listed if one.row.source is not None) if _named(tally) else None
        where = (
            f"; the first is frame {first.number}, {first.row.kind} from {reading.who(first.row.source)}"
            if first
            else ""
        )
        return CheckStatus.FAIL, f"{tally.foreign} of {tally.count} frames have another source{where}"
    if capture.walk.damage:
        return (
            CheckStatus.FAIL,
            f"{capture.rest} bytes cannot be read as frames ({capture.walk.damage}); {span} before that",
        )
    if tally.count and tally.unsourced == tally.count:
        return CheckStatus.SKIP, f"{span}: {', '.join(reading.file_facts()['links'])} keeps no source address here"
    if tally.unsourced:
        return CheckStatus.FAIL, f"{tally.unsourced} of {tally.count} frames have no source that can be read"
    if not tally.from_high:
        return CheckStatus.SKIP, f"{span}, none of them from {reading.question.high}: this capture shows nothing"
    doubts = list(_doubts(reading))
    claim = f"{span}: {tally.from_high} from {reading.question.high}"
    claim += f", {tally.from_appliance} from the appliance" if tally.from_appliance else ", no other source"
    return (CheckStatus.WARN if doubts else CheckStatus.PASS), "; ".join([claim, *doubts])


def _doubts(reading: _ReadCapture) -> Iterable[str]:
    """What a reader must know before believing that nothing else was there."""
    capture = reading.capture
    if capture.rest:
        yield f"the last {capture.rest} bytes are no whole frame (the capture was cut)"
    if capture.dropped:
        yield f"the capture lost {capture.dropped} frames itself"
    filters = reading.file_facts()["filters"]
    if filters:
        yield f"it was made with a filter ({filters[0]}): what that leaves out was never seen"
    if capture.walk.clipped:
        yield f"{capture.walk.clipped} frames claim more bytes than the file holds of them"


def _cap_2(reading: _ReadCapture) -> Check:
    mark, marked = reading.question.control, reading.tally.marked
    if not mark:
        return catalogue.check("CAP-2", CheckStatus.SKIP, "no mark was given: this file is not the positive control")
    lines = [one.plain(stamp(one.time_ns)) for one in marked[:SHOWN]]
    high = reading.question.high
    strange = [one for one in marked if one.row.source != high]
    found = f"the mark {_mark_text(mark)} stands in {len(marked)} frames, {len(strange)} of them not from the high side"
    if high is None:
        return catalogue.check("CAP-2", CheckStatus.SKIP, f"{found}; give --high MAC", reading.evidence(lines))
    where = f"; frame {strange[0].number} from {reading.who(strange[0].row.source)}" if strange else ""
    return catalogue.check("CAP-2", verdict(bool(strange)), found + where, reading.evidence(lines))


def _cap_3(reading: _ReadCapture) -> Check:
    tally, port = reading.tally, reading.question.port
    groups = list(tally.groups.values())
    flows = {one.row.link for one in groups if one.row.udp}
    strange = [one for one in groups if not one.row.udp or (port is not None and one.row.link[2] != port)]
    evidence = [
        reading.evidence({"kinds": _kinds(reading), "beyond the table": tally.beyond}),
        reading.evidence({"flows": _flows(reading), "udp_flows": len(flows)}),
    ]
    if not tally.count:
        return catalogue.check("CAP-3", CheckStatus.SKIP, "the capture holds no frame", *evidence)
    if strange:
        worst = max(strange, key=lambda one: one.count)
        many = sum(one.count for one in strange)
        found = f"{many} of {tally.count} frames are something else, most of them {worst.row.kind} {worst.row.flow}"
        return catalogue.check("CAP-3", CheckStatus.FAIL, f"{found.strip()} (first: frame {worst.first})", *evidence)
    if tally.beyond or len(flows) != 1:
        return catalogue.check("CAP-3", CheckStatus.FAIL, f"{len(flows)} different UDP flows", *evidence)
    ((source, target, to_port),) = flows
    found = f"{tally.count} frames, all UDP from {source} to {target}:{to_port}"
    return catalogue.check(
        "CAP-3", CheckStatus.FAIL if reading.capture.walk.damage else CheckStatus.PASS, found, *evidence
    )


def _cap_4(reading: _ReadCapture) -> Check:
    own = [one for one in reading.tally.groups.values() if one.row.source == reading.question.appliance]
    kinds = {f"{one.row.kind} {one.row.flow}".strip(): one.count for one in own[:SHOWN]}
    found = f"{reading.tally.from_appliance} frames of {reading.question.appliance}: {', '.join(kinds) or 'none'}"
    if not reading.question.by:
        return catalogue.check(
            "CAP-4", CheckStatus.WARN, f"{found}; nobody attests them (--by NAME)", reading.evidence(kinds)
        )
    attested = f"{found}; attested by {reading.question.by} on {reading.time[:10]}"
    return catalogue.check("CAP-4", CheckStatus.ATTESTED, attested, reading.evidence(kinds))


def _sources(reading: _ReadCapture) -> dict[str, int]:
    counted: dict[str, int] = {}
    for group in reading.tally.groups.values():
        who = reading.who(group.row.source)
        counted[who] = counted.get(who, 0) + group.count
    ranked = sorted(counted.items(), key=lambda one: -one[1])
    rest = sum(count for _, count in ranked[SHOWN:]) + reading.tally.beyond
    return dict(ranked[:SHOWN]) | ({"others": rest} if rest else {})


def _kinds(reading: _ReadCapture) -> list[dict[str, Any]]:
    counted: dict[tuple[str, str], FrameGroup] = {}
    for group in reading.tally.groups.values():
        key = (reading.who(group.row.source), group.row.kind)
        kind_group = counted.setdefault(key, FrameGroup(row=group.row, first=group.first))
        kind_group.count += group.count
        kind_group.first = min(kind_group.first, group.first)
    ranked = sorted(counted.items(), key=lambda one: -one[1].count)
    return [
        {"source": source, "kind": kind, "frames": group.count, "first": group.first}
        for (source, kind), group in ranked[:SHOWN]
    ]


def _flows(reading: _ReadCapture) -> list[dict[str, Any]]:
    ranked = sorted((one for one in reading.tally.groups.values() if one.row.flow), key=lambda one: -one.count)
    return [{"flow": one.row.flow, "kind": one.row.kind, "frames": one.count} for one in ranked[:SHOWN]]


def _strange(tally: FrameTally) -> int:
    return tally.foreign + tally.unsourced


def _named(tally: FrameTally) -> list[Listed]:
    return [one for one in tally.listed if one.row.source is not None]


def _number(mac: str | None) -> int | None:
    return None if mac is None else int(mac.replace(":", ""), 16)


def _mac(text: str | None) -> str | None:
    return None if text is None else read_mac(text)


def _mark_text(mark: bytes) -> str:
    text = mark.decode("ascii", "replace")
    return text if text.isprintable() and text.isascii() else f"hex:{mark.hex()}"
