"""A capture that was read, ready to be judged: what was asked, what the file holds, and the commands that show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.capture.coverage import PAUSE_S, clock
from audit.capture.direction import Direction
from audit.capture.pcap import Capture
from audit.capture.tally import FrameTally, Listed, link_name
from audit.check import Evidence, stamp

SHOWN = 40
"""Most lines of a table in the evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureQuestion:
    """What is asked of a capture."""

    path: Path
    high: str | None = None
    """MAC address of the high side's interface."""
    low: str | None = None
    """MAC address of the low side's interface: the one place that the link's frames may go to."""
    port: int | None = None
    """UDP port of the link."""
    interface: str | None = None
    """Of a file with several interfaces the one that the high side's frames are seen on."""
    control: bytes = b""
    """Mark of the positive control's frame."""
    appliance: str | None = None
    """MAC address of a diode appliance's own plant-side port."""
    by: str = ""
    """Who attests the appliance's frames."""
    begin_ns: int | None = None
    end_ns: int | None = None
    """Period that must be covered [ns since 1970 UTC]."""
    pause_s: float = PAUSE_S
    """Shortest pause that is told [s]."""


@dataclass(slots=True, kw_only=True)
class ReadCapture:
    """What a capture holds."""

    question: CaptureQuestion
    capture: Capture
    tally: FrameTally
    sha256: str
    """Of the unpacked capture."""
    time: str
    direction: Direction | None
    """None: nobody said whose frames they should be."""
    reasons: dict[str, int]
    """Frames that did not go the way there, or may not have, by reason."""
    doubts: dict[str, tuple[int, int]]
    """Frames of the high side of which nothing tells the way, by reason: how many, and the number of the first."""
    listed: list[Listed]

    def file_facts(self) -> dict[str, Any]:
        """What the file is, as evidence."""
        capture, tally, walk = self.capture, self.tally, self.capture.walk
        packed = capture.packed
        digits = capture.digits(0) if capture.interfaces else 6
        facts: dict[str, Any] = {
            "path": str(self.question.path),
            "sha256": self.sha256 if packed is None else packed.sha256,
            "bytes": capture.size if packed is None else packed.bytes,
            "form": capture.form,
            "frames": tally.count,
            "first": None if tally.coverage.first_ns is None else clock(tally.coverage.first_ns, digits),
            "last": None if tally.coverage.last_ns is None else clock(tally.coverage.last_ns, digits),
            "times_in_order": not walk.back_ns,
            "capture_drops": "not recorded in this file" if capture.dropped is None else capture.dropped,
            "links": {link_name(link): count for link, count in tally.links.items()},
            "filters": sorted({one.filter for one in capture.interfaces if one.filter}),
            "unread_bytes": capture.rest,
            "content_sha256": self.sha256,
            "covered_ns": [list(one) for one in tally.coverage.spans()],
        }
        if packed is not None:
            facts["packed"] = {"by": packed.packing, "unpacked_bytes": capture.size}
        if len(capture.interfaces) > 1:
            facts["interfaces"] = sorted({one.name or f"interface {at}" for at, one in enumerate(capture.interfaces)})
        if walk.skipped:
            facts["blocks_without_frames"] = {block_name(kind): count for kind, count in sorted(walk.skipped.items())}
        return facts

    def evidence(self, value: Any, command: str = "") -> Evidence:
        """Something that was seen in this file."""
        return Evidence(value=value, command=command or self.command(), time=self.time)

    def command(self) -> str:
        """The command that shows it again."""
        ask = self.question
        words = ["checkvalve audit capture", str(ask.path)]
        words += [f"--high {ask.high}"] if ask.high else []
        words += [f"--low {ask.low}"] if ask.low else []
        words += [f"--port {ask.port}"] if ask.port else []
        words += [f"--interface {ask.interface}"] if ask.interface else []
        words += [f"--control {mark_text(ask.control)}"] if ask.control else []
        words += [f"--appliance {ask.appliance}"] if ask.appliance else []
        words += [f"--by '{ask.by}'"] if ask.by else []
        words += [f"--from {stamp(ask.begin_ns)}"] if ask.begin_ns is not None else []
        words += [f"--to {stamp(ask.end_ns)}"] if ask.end_ns is not None else []
        words += [f"--pause {ask.pause_s:g}"] if ask.pause_s != PAUSE_S else []
        return " ".join(words)

    def filter(self, own: list[str]) -> str:
        """tshark's filter for frames whose outermost source is none of `own`, on Ethernet and on Linux cooked.

        `eth.src != MAC` is not it: it shows no frame of a cooked capture, and leaves out one with a tunnel inside.
        """
        parts = []
        for encapsulation, name in (("!sll", "eth.src#1"), ("sll", "sll.src.eth#1")):
            parts.append(f"({encapsulation} && !({' || '.join(f'{name} == {one}' for one in own)}))")
        return " || ".join(parts)

    def who(self, source: str | None) -> str:
        """An address, with its name where it has one."""
        if source is None:
            return "unknown"
        names = {self.question.high: "high", self.question.low: "low", self.question.appliance: "appliance"}
        return f"{source} ({names[source]})" if source in names else source


def mark_text(mark: bytes) -> str:
    """A mark as `read_mark` reads it."""
    text = mark.decode("ascii", "replace")
    return text if text.isprintable() and text.isascii() else f"hex:{mark.hex()}"


def block_name(kind: int) -> str:
    """A pcapng block's type, with its name where the draft has one."""
    names = {
        1: "interface", 4: "names", 5: "statistics", 7: "timestamps", 9: "journal entry", 10: "secrets",
        0x204: "system call", 0xBAD: "somebody's own", 0x40000BAD: "somebody's own",
    }  # fmt: skip
    return f"0x{kind:x}" + (f" ({names[kind]})" if kind in names else "")
