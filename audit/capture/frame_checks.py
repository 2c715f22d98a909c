"""CAP-2 to CAP-5: the positive control, the kinds of frames, an appliance's own, and the time that is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit import catalogue
from audit.capture.coverage import clock, holes
from audit.capture.read_capture import SHOWN, CaptureQuestion, ReadCapture, mark_text
from audit.capture.tally import FrameGroup
from audit.check import Check, CheckStatus, Evidence, verdict


def cap_2(reading: ReadCapture) -> Check:
    """The marked frame of the other side must be seen."""
    mark, marked = reading.question.control, reading.tally.marked
    if not mark:
        return catalogue.check("CAP-2", CheckStatus.SKIP, "no mark was given: this file is not the positive control")
    lines = [one.plain() for one in marked[:SHOWN]]
    high = reading.question.high
    strange = [one for one in marked if one.row.source != high]
    found = f"the mark {mark_text(mark)} stands in {len(marked)} frames, {len(strange)} of them not from the high side"
    if high is None:
        return catalogue.check("CAP-2", CheckStatus.SKIP, f"{found}; give --high MAC", reading.evidence(lines))
    where = f"; frame {strange[0].number} from {reading.who(strange[0].row.source)}" if strange else ""
    return catalogue.check("CAP-2", verdict(bool(strange)), found + where, reading.evidence(lines))


def cap_3(reading: ReadCapture) -> Check:
    """One UDP flow and nothing else, an appliance's own frames aside."""
    tally, port, appliance = reading.tally, reading.question.port, reading.question.appliance
    groups = [one for one in tally.groups.values() if appliance is None or one.row.source != appliance]
    flows = {one.row.link for one in groups if one.row.udp}
    short = [one for one in groups if one.row.cut and one.row.kind.startswith(("UDP", "IPv4 header"))]
    strange = [
        one
        for one in groups
        if one not in short and (not one.row.udp or (port is not None and one.row.link[2] != port))
    ]
    evidence = [
        reading.evidence({"kinds": _kinds(reading, groups), "beyond the table": tally.beyond}),
        reading.evidence({"flows": _flows(groups), "udp_flows": len(flows)}),
    ]
    counted = sum(one.count for one in groups) + tally.beyond
    if not counted:
        return catalogue.check("CAP-3", CheckStatus.SKIP, "the capture holds no frame of the link", *evidence)
    if strange:
        worst = max(strange, key=lambda one: one.count)
        many = sum(one.count for one in strange)
        found = f"{many} of {counted} frames are something else, most of them {worst.row.kind} {worst.row.flow}"
        return catalogue.check("CAP-3", CheckStatus.FAIL, f"{found.strip()} (first: frame {worst.first})", *evidence)
    pairs = {one.row.link[:2] for one in short if one.row.flow} | {one[:2] for one in flows}
    if tally.beyond or len(flows) > 1 or len(pairs) > 1:
        found = f"{len(flows)} different UDP flows" if len(flows) != 1 else "one UDP flow, and others cut short"
        return catalogue.check("CAP-3", CheckStatus.FAIL, found, *evidence)
    other = [one for one in groups if one.row.udp and one.row.payload == 2]
    if flows and other and len(other) < sum(one.row.udp for one in groups):
        many = sum(one.count for one in other)
        found = f"{many} of {counted} frames of the flow do not begin as the link's do (first: frame {other[0].first})"
        return catalogue.check("CAP-3", CheckStatus.FAIL, found, *evidence)
    source, target = next(iter(pairs), ("?", "?"))
    to_port = f":{next(iter(flows))[2]}" if flows else ""
    found = f"{counted} frames, all UDP from {source} to {target}{to_port}" if pairs else f"{counted} frames, all IPv4"
    if short:
        many = sum(one.count for one in short)
        found += f"; of {many} too little was kept (the capture's snap length) to tell the port"
        return catalogue.check("CAP-3", CheckStatus.WARN, found, *evidence)
    damaged = reading.capture.walk.damage
    return catalogue.check("CAP-3", CheckStatus.FAIL if damaged else CheckStatus.PASS, found, *evidence)


def cap_4(reading: ReadCapture) -> Check:
    """The appliance's own frames, listed and attested."""
    appliance = reading.question.appliance
    own = [one for one in reading.tally.groups.values() if one.row.source == appliance]
    kinds = {f"{one.row.kind} {one.row.flow}".strip(): one.count for one in own[:SHOWN]}
    found = f"{sum(one.count for one in own)} frames of {appliance}: {', '.join(kinds) or 'none'}"
    evidence = reading.evidence(kinds)
    targets = reading.direction.targets if reading.direction else frozenset()
    if appliance is not None and bytes.fromhex(appliance.replace(":", "")) in targets:
        words = f"{appliance} is where the link's frames go: the low side, not an appliance; {found}"
        return catalogue.check("CAP-4", CheckStatus.FAIL, words, evidence)
    if not reading.question.by:
        return catalogue.check("CAP-4", CheckStatus.WARN, f"{found}; nobody attests them (--by NAME)", evidence)
    attested = f"{found}; attested by {reading.question.by} on {reading.time[:10]}"
    return catalogue.check("CAP-4", CheckStatus.ATTESTED, attested, evidence)


def cap_5(reading: ReadCapture) -> Check:
    """First, last and pauses; judged where a period is asked for."""
    coverage, ask = reading.tally.coverage, reading.question
    value: dict[str, Any] = {"pauses_longer_than_s": coverage.pause_s}
    for name, one in coverage.interfaces.items():
        pauses = [f"{clock(begin)} to {clock(end)}" for begin, end in one.pauses[:SHOWN]]
        value[name] = {"first": clock(one.first_ns), "last": clock(one.last_ns), "frames": one.frames, "pauses": pauses}
        value[name] |= {"further_pauses": one.further + len(one.pauses) - len(pauses)}
    evidence = reading.evidence(value)
    first, last = coverage.first_ns, coverage.last_ns
    if first is None or last is None:
        return catalogue.check("CAP-5", CheckStatus.SKIP, "no frame has a time", evidence)
    pauses_found = sum(len(one.pauses) + one.further for one in coverage.interfaces.values())
    found = f"{clock(first)} to {clock(last)}, {pauses_found} pauses longer than {coverage.pause_s:g} s"
    if ask.begin_ns is None or ask.end_ns is None:
        return catalogue.check("CAP-5", CheckStatus.SKIP, f"{found}; not told what to cover (--from, --to)", evidence)
    missing = coverage.holes(ask.begin_ns, ask.end_ns)
    if any(one.further for one in coverage.interfaces.values()):
        return catalogue.check("CAP-5", CheckStatus.FAIL, f"{found}: more pauses than are kept", evidence)
    if not missing:
        return catalogue.check("CAP-5", CheckStatus.PASS, f"{found}: all of the period", evidence)
    begin, end = max(missing, key=lambda one: one[1] - one[0])
    words = f"{found}; {len(missing)} holes in the period, the longest {clock(begin)} to {clock(end)}"
    return catalogue.check("CAP-5", CheckStatus.FAIL, words, evidence, reading.evidence(_spans(missing)))


def cap_5_of_spans(spans: Sequence[tuple[int, int]], ask: CaptureQuestion, files: Sequence[str], time: str) -> Check:
    """The time that several files cover together.

    Args:
        spans: First and last frame of each stretch [ns since 1970 UTC].
        ask: The period.
        files: Their paths.
        time: When they were read.
    """
    command = f"checkvalve audit capture {' '.join(files)}"
    evidence = [Evidence(value={"files": list(files)}, command=command, time=time)]
    if not spans:
        return catalogue.check("CAP-5", CheckStatus.SKIP, "no frame has a time", *evidence)
    first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
    found = f"{len(files)} files, {clock(first)} to {clock(last)}"
    begin_ns, end_ns = ask.begin_ns, ask.end_ns
    asked = begin_ns is not None and end_ns is not None
    missing = holes(
        list(spans), begin_ns if begin_ns is not None else first, end_ns if end_ns is not None else last, ask.pause_s
    )
    evidence.append(Evidence(value={"holes": _spans(missing)}, command=command, time=time))
    if not missing:
        words = f"{found}: all of the period" if asked else f"{found}, without a hole; not told what to cover"
        return catalogue.check("CAP-5", CheckStatus.PASS if asked else CheckStatus.SKIP, words, *evidence)
    begin, end = max(missing, key=lambda one: one[1] - one[0])
    words = f"{found}; {len(missing)} holes, the longest {clock(begin)} to {clock(end)}"
    return catalogue.check("CAP-5", CheckStatus.FAIL if asked else CheckStatus.WARN, words, *evidence)


def _spans(missing: Sequence[tuple[int, int]]) -> list[str]:
    return [f"{clock(begin)} to {clock(end)}" for begin, end in missing[:SHOWN]]


def _kinds(reading: ReadCapture, groups: Sequence[FrameGroup]) -> list[dict[str, Any]]:
    counted: dict[tuple[str, str], FrameGroup] = {}
    for group in groups:
        key = (reading.who(group.row.source), group.row.kind)
        kind_group = counted.setdefault(key, FrameGroup(row=group.row, first=group.first))
        kind_group.count += group.count
        kind_group.first = min(kind_group.first, group.first)
    ranked = sorted(counted.items(), key=lambda one: -one[1].count)
    return [
        {"source": source, "kind": kind, "frames": group.count, "first": group.first}
        for (source, kind), group in ranked[:SHOWN]
    ]


def _flows(groups: Sequence[FrameGroup]) -> list[dict[str, Any]]:
    ranked = sorted((one for one in groups if one.row.flow), key=lambda one: -one.count)
    return [{"flow": one.row.flow, "kind": one.row.kind, "frames": one.count} for one in ranked[:SHOWN]]
