"""CAP-1: every frame went from the high side, by every evidence that the file has; what weakens that is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from audit import catalogue
from audit.capture.coverage import PLAUSIBLE_NS, clock
from audit.capture.direction import ANOTHER_SOURCE, NO_SOURCE
from audit.capture.link_order import LinkOrder
from audit.capture.pcapng import PACKET_BLOCKS
from audit.capture.read_capture import SHOWN, ReadCapture, block_name
from audit.check import Check, CheckStatus

STRANGE_ID = "of the link, numbered by another machine: its IPv4 identification lies far from those around it"
_STEP_BACK_NS = 1_000_000_000
"""A longer step back is told [ns]: several queues of a card, or interfaces of a file, mix frames by far less."""
STRANGE_PORT = "of the link, from a source port that speaks inside another's time"


def cap_1(reading: ReadCapture) -> Check:
    """The check, with every frame that fails it by number."""
    status, found = _judge(reading)
    evidence = [reading.evidence(reading.file_facts()), reading.evidence(_sources(reading))]
    if reading.listed:
        lines = [one.plain() for one in reading.listed]
        value = {"frames": lines, "listed": len(lines), "of": sum(_reasons(reading).values())}
        evidence.append(reading.evidence(value, _shown(reading)))
    return catalogue.check("CAP-1", status, found, *evidence)


def out_of_order(order: LinkOrder) -> dict[int, str]:
    """Frames that do not stand in the link's order, by number, with the reason."""
    out = dict.fromkeys(order.strange_ids, STRANGE_ID)
    return out | dict.fromkeys(order.interlopers(), STRANGE_PORT)


def _reasons(reading: ReadCapture) -> dict[str, int]:
    out = dict(reading.reasons)
    for why in out_of_order(reading.tally.order).values():
        out[why] = out.get(why, 0) + 1
    return out


def _judge(reading: ReadCapture) -> tuple[CheckStatus, str]:
    tally, walk = reading.tally, reading.capture.walk
    facts = reading.file_facts()
    span = f"{tally.count} frames, {facts['first']} to {facts['last']}"
    if reading.question.high is None:
        words = f"{span}: not told whose they should be; give --high MAC (the sources stand in the evidence)"
        return CheckStatus.SKIP, words
    failed = list(_failures(reading, span))
    if failed:
        return CheckStatus.FAIL, "; ".join(failed)
    unsourced = reading.reasons.get(NO_SOURCE, 0)
    if tally.count and unsourced == tally.count:
        return CheckStatus.SKIP, f"{span}: {', '.join(facts['links'])} keeps no source address here"
    from_high, from_appliance = (_from(reading, mac) for mac in (reading.question.high, reading.question.appliance))
    if not from_high:
        return CheckStatus.SKIP, f"{span}, none of them from {reading.question.high}: this capture shows nothing"
    doubts = list(_doubts(reading))
    claim = f"{span}: {from_high} from {reading.question.high}"
    claim += f", {from_appliance} from the appliance" if from_appliance else ", no other source"
    if walk.skipped:
        kinds = ", ".join(f"{count} of type {block_name(kind)}" for kind, count in sorted(walk.skipped.items()))
        claim += f"; blocks without a frame: {kinds}"
    return (CheckStatus.WARN if doubts else CheckStatus.PASS), "; ".join([claim, *doubts])


def _failures(reading: ReadCapture, span: str) -> Iterator[str]:
    """Each reason for which the file fails, the weightiest first."""
    tally, walk, packed = reading.tally, reading.capture.walk, reading.capture.packed
    reasons = _reasons(reading)
    every = reasons.get(NO_SOURCE) == tally.count
    for why, many in reasons.items():
        if why == NO_SOURCE and every:
            continue
        words = {ANOTHER_SOURCE: f"have {ANOTHER_SOURCE}", NO_SOURCE: f"have {NO_SOURCE}"}.get(why, f"are {why}")
        first = next((one for one in reading.listed if one.why == why), None)
        where = ""
        if first is not None:
            whom = f" from {reading.who(first.row.source)}" if first.row.source is not None else ""
            where = f"; the first is frame {first.number}, {first.row.kind}{whom}"
        yield f"{many} of {tally.count} frames {words}{where}"
    if tally.beyond_foreign:
        yield f"{tally.beyond_foreign} frames beyond the table have {ANOTHER_SOURCE} or none"
    if walk.damage:
        words = f"{reading.capture.rest} bytes cannot be read as frames ({walk.damage}); {span}"
        more = "" if walk.behind is None else f", those from number {walk.behind} on behind that place"
        yield f"{words}{more or ' before that'}"
    if packed is not None and packed.strange:
        yield f"bytes that {packed.packing} cannot unpack stand behind the packed capture"


def _doubts(reading: ReadCapture) -> Iterable[str]:
    """What a reader must know before believing that nothing else was there."""
    capture, tally, walk = reading.capture, reading.tally, reading.capture.walk
    if capture.rest and not walk.damage:
        yield f"the last {capture.rest} bytes are no whole frame (the capture was cut)"
    if capture.packed is not None and capture.packed.cut:
        yield "the packed file was cut: what was behind is not here"
    if capture.packed is not None and capture.packed.skipped:
        many = capture.packed.skipped
        yield f"{many} bytes of the packed file are somebody's own (skippable frames): they were not looked into"
    if capture.dropped:
        yield f"the capture lost {capture.dropped} frames itself"
    filters = reading.file_facts()["filters"]
    if filters:
        yield f"it was made with a filter ({filters[0]}): what that leaves out was never seen"
    if walk.clipped:
        yield f"{walk.clipped} frames claim more bytes than the file holds of them"
    for kind, count in sorted(walk.strange.items()):
        if kind in PACKET_BLOCKS:
            yield f"{count} blocks of type {block_name(kind)} hold more than a frame and options: another may be hidden"
        else:
            told = f"{count} blocks of type {block_name(kind)} were not looked into"
            yield f"{told}: what they hold is not what frames are"
    if walk.impossible_times:
        yield f"{walk.impossible_times} frames have a fraction of a second of one second or more"
    first, last = tally.coverage.first_ns, tally.coverage.last_ns
    if first is not None and last is not None and not PLAUSIBLE_NS[0] <= first <= last <= PLAUSIBLE_NS[1]:
        yield f"times reach from {clock(first)} to {clock(last)}: a clock that nobody set"
    if walk.back_ns > _STEP_BACK_NS:
        back = f"{walk.back_ns / 1e9:.1f} s"
        yield f"times go back by up to {back} from frame to frame: a clock was set, files were joined, or one was added"
    if tally.order.doubles:
        later, earlier = next(iter(tally.order.doubles.items()))
        many = len(tally.order.doubles)
        yield f"{many} frames of the link stand twice (frame {later} as {earlier} did): a port that mirrors, or copies"
    for why, (many, first_one) in reading.doubts.items():
        yield f"{many} frames of the high side are {why} (first: frame {first_one})"
    if tally.beyond:
        yield f"{tally.beyond} frames are of more kinds than the table holds"


def _shown(reading: ReadCapture) -> str:
    """The command with which tshark shows the frames that are listed."""
    ask = reading.question
    own = [one for one in (ask.high, ask.appliance) if one is not None]
    if set(_reasons(reading)) <= {ANOTHER_SOURCE, NO_SOURCE}:
        shown = reading.filter(own)
    else:
        shown = f"frame.number in {{{', '.join(str(one.number) for one in reading.listed)}}}"
    return f"tshark -r {ask.path} -Y '{shown}'"


def _sources(reading: ReadCapture) -> dict[str, Any]:
    counted: dict[str, int] = {}
    for group in reading.tally.groups.values():
        who = reading.who(group.row.source)
        counted[who] = counted.get(who, 0) + group.count
    ranked = sorted(counted.items(), key=lambda one: -one[1])
    rest = sum(count for _, count in ranked[SHOWN:]) + reading.tally.beyond
    return dict(ranked[:SHOWN]) | ({"others": rest} if rest else {})


def _from(reading: ReadCapture, mac: str | None) -> int:
    return sum(one.count for one in reading.tally.groups.values() if mac is not None and one.row.source == mac)
