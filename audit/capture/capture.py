"""`audit capture FILE`: what a tap on the link recorded, read offline, without root and without a decoder.

    CAP-1   every frame went from the high side, by every evidence that the file has
    CAP-2   the capture was able to see one that did not (positive control)
    CAP-3   nothing but the one UDP flow
    CAP-4   frames of a diode appliance's own port, where it has one, attested by a person
    CAP-5   the capture covers the time that is asked for

Take captures at a passive tap: one made on a host shows what its kernel saw, not what was on the fibre.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from audit.capture import direction, frame_checks, source_check
from audit.capture.coverage import PAUSE_S, Coverage
from audit.capture.direction import Direction
from audit.capture.pcap import Capture
from audit.capture.read_capture import CaptureQuestion, ReadCapture
from audit.capture.records import Bytes
from audit.capture.tally import FrameTally
from audit.check import AuditFindings, stamp
from audit.report.machine_facts import facts
from protocol.errors import ConfigError

LEAST_PAUSE_S, MOST_PAUSE_S = 0.1, 21_600.0
"""Bounds of the shortest pause that is told [s]: beyond a quarter of a day a missing day would hardly be a hole."""
MARK_BYTES = 6
"""Shortest mark: a shorter one may stand in a frame by chance."""


def run(question: CaptureQuestion, *, now_ns: int) -> AuditFindings:
    """Read the capture and judge it.

    Args:
        question: The file and what is expected of it.
        now_ns: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: no capture, no address, an appliance that is an end of the link, no such interface in the file.
    """
    question = _checked(question)
    with Capture(question.path) as capture:
        own = frozenset(_bytes(one) for one in (question.high, question.appliance) if one)
        pick = None
        if question.high is not None:
            pick = partial(direction.absolute, high=_bytes(question.high), appliance=_maybe(question.appliance))
        coverage = Coverage(pause_s=question.pause_s)
        tally = FrameTally(mark=question.control, own=own, coverage=coverage, absolute=pick).run(capture)
        reading = _judged(question, capture, tally, capture.sha256(), stamp(now_ns))
    checks = [source_check.cap_1(reading), frame_checks.cap_2(reading), frame_checks.cap_3(reading)]
    if question.appliance is not None:
        checks.append(frame_checks.cap_4(reading))
    checks.append(frame_checks.cap_5(reading))
    about = facts() | {"file": reading.file_facts()} | _weakened(question)
    return AuditFindings(what=f"capture {question.path.name}", time=reading.time, facts=about, checks=tuple(checks))


def covered(files: Sequence[AuditFindings], question: CaptureQuestion, *, now_ns: int) -> AuditFindings:
    """CAP-5 over several files: what of a period stands in none of them.

    Args:
        files: What `run` found, a file each.
        question: Asks for the period.
        now_ns: Wall time [ns since 1970 UTC].
    """
    time = stamp(now_ns)
    spans = [(begin, end) for one in files for begin, end in one.facts["file"]["covered_ns"]]
    check = frame_checks.cap_5_of_spans(spans, question, [str(one.facts["file"]["path"]) for one in files], time)
    about = facts() | {"files": {str(one.facts["file"]["path"]): one.facts["file"]["sha256"] for one in files}}
    about |= {"pause_s": question.pause_s} if question.pause_s > PAUSE_S else {}
    return AuditFindings(what=f"coverage of {len(files)} captures", time=time, facts=about, checks=(check,))


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


def _checked(question: CaptureQuestion) -> CaptureQuestion:
    question = replace(question, high=_mac(question.high), low=_mac(question.low), appliance=_mac(question.appliance))
    if question.control and len(question.control) < MARK_BYTES:
        raise ConfigError(f"the mark has {len(question.control)} bytes", hint=f"use {MARK_BYTES} or more")
    for name, end in (("high", question.high), ("low", question.low)):
        if end is not None and end == question.appliance:
            raise ConfigError(
                f"--appliance {end} is the {name} side's own address",
                hint="an appliance is a third device; frames of an end are never attested away",
            )
    if not LEAST_PAUSE_S <= question.pause_s <= MOST_PAUSE_S:
        hint = f"{LEAST_PAUSE_S:g} to {MOST_PAUSE_S:g} s: what covers a period has no longer hole"
        raise ConfigError(f"--pause {question.pause_s:g} is no pause", hint=hint)
    if question.high is not None and question.high == question.low:
        raise ConfigError(f"--high and --low are both {question.high}")
    begin, end_ns = question.begin_ns, question.end_ns
    if (begin is None) != (end_ns is None) or (begin is not None and end_ns is not None and begin >= end_ns):
        raise ConfigError("a period has --from and a later --to", hint="--from 2026-11-01 --to 2026-11-30")
    return question


def _judged(question: CaptureQuestion, capture: Capture, tally: FrameTally, sha256: str, time: str) -> ReadCapture:
    table, counts, firsts = tally.table()
    _has_interface(question, tally)
    way: Direction | None = None
    reasons: dict[str, int] = {}
    doubts: dict[str, tuple[int, int]] = {}
    pick = _control_alone
    if question.high is not None:
        way = direction.learn(
            table, counts, firsts,
            high=_bytes(question.high), appliance=_maybe(question.appliance), low=_maybe(question.low),
            interfaces=list(tally.interfaces), expected=question.interface,
        )  # fmt: skip
        reasons = direction.counted(way.reasons(table), counts)
        found = {why: mask for why, mask in way.doubts(table).items() if mask.any()}
        doubts = {why: (int(counts[mask].sum()), int(firsts[mask].min())) for why, mask in found.items()}
        pick = way.reasons
    numbers = source_check.out_of_order(tally.order)
    listed = sorted((one for of_why in tally.listed.values() for one in of_why), key=lambda one: one.number)
    if question.high is not None and (numbers or not set(reasons) <= direction.ABSOLUTE):
        listed = tally.listing(capture, pick, numbers)  # what is told by comparison takes a second way
    return ReadCapture(
        question=question, capture=capture, tally=tally, sha256=sha256, time=time,
        direction=way, reasons=reasons, doubts=doubts, listed=listed,
    )  # fmt: skip


def _control_alone(table: Bytes) -> dict[str, direction.Mask]:
    return {"": np.zeros(len(table), np.bool_)}


def _has_interface(question: CaptureQuestion, tally: FrameTally) -> None:
    """Whether the interface that was asked for is in the file."""
    known = sorted({name for name, *_ in tally.interfaces if name})
    if question.interface is not None and question.interface not in known:
        hint = f"it has {', '.join(known) or 'none with a name'}"
        raise ConfigError(f"{question.path} has no interface {question.interface!r}", hint=hint)


def _weakened(question: CaptureQuestion) -> dict[str, object]:
    """What makes the judgement of this file milder than it is without, for the report."""
    told: dict[str, object] = {"pause_s": question.pause_s} if question.pause_s > PAUSE_S else {}
    return told | ({"appliance": {"mac": question.appliance, "by": question.by}} if question.appliance else {})


def _bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _maybe(mac: str | None) -> bytes | None:
    return None if mac is None else _bytes(mac)


def _mac(text: str | None) -> str | None:
    return None if text is None else read_mac(text)
