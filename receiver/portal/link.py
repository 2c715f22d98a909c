"""The link's health as the pages show it: catch's report put into words.

The report holds no names of assets or tags (catch cannot open a block), so every reader of the pages may see all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from protocol.process.document import to_json
from receiver.gap import Gap
from receiver.portal import words
from receiver.portal.freshness import beat_lost
from receiver.portal.reports import Report
from receiver.status.catch import CatchStatus, Concern
from receiver.status.concerns import CLOCK

GAPS_SHOWN = 50
"""Most gaps in a list; the rest is a number: a page of 10,000 lines helps nobody."""

REASONS = {
    "short": "shorter than any frame",
    "long": "longer than its kind",
    "magic": "not a Checkvalve frame",
    "version": "another wire version",
    "kind": "unknown kind",
    "geometry": "impossible geometry",
    "session": "unknown session",
    "tag": "wrong authentication tag",
    "key": "an unknown signer",
    "receiver": "for other receivers, and none for this one",
    "signature": "signature does not verify",
    "floor": "older than what was accepted",
    "rate": "too many new sessions a second",
    "full": "no room to wait in",
    "hash": "block number with other bytes",
    "body": "content cannot be read",
    "size": "would unpack beyond the limit",
    "seal": "its key does not open it",
}
"""By `protocol.errors.Reason` (`double`, which is no trouble, has a line of its own); others by their own word."""

EXPECTED_REFUSALS = frozenset({"double"})
"""Reasons that good weather has too: repeats of what is already there."""


class Lamp(StrEnum):
    """The one light of the link."""

    LIVE = "live"
    UNCONFIRMED = "unconfirmed"
    """Beats come, but nobody confirmed the session: the data are journaled meanwhile."""
    SILENT = "silent"
    """The beat is lost."""
    NONE = "none"
    """catch does not run: nothing is known."""


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """The link at one moment, as the pages show it."""

    lamp: Lamp
    lamp_text: str
    beat_age_s: float | None
    """Age of the last beat now [s], None where there is none or catch does not run."""
    session: str
    loss: float
    """Frames lost in the last interval between two beats, 0 to 1."""
    loss_total: float
    frames_received: int
    frames_lost: int
    """As beats count them: sent less received, on the way or here."""
    kernel_drops: int
    """Of these dropped here at least so many."""
    queue_overflow: int
    refused: tuple[tuple[str, str, int], ...]
    """(reason, in words, how often), most first; seen-already ones last."""
    versions: tuple[tuple[str, int], ...]
    """Other wire versions that were seen, and how often."""
    blocks: Mapping[str, int]
    """expected = whole + repaired + healed + missing + expired."""
    gaps: tuple[Gap, ...]
    gaps_more: int
    """Gaps beyond the ones listed."""
    codes: tuple[str, ...]
    """What a person types on the high side for the gaps without a repeat."""
    warnings: tuple[str, ...]
    concerns: tuple[Concern, ...]
    """What of the sender calls for a person, the gravest first; none while its beats are not heard."""

    @property
    def clock(self) -> str:
        """How far the sender's clock is from ours, in a few letters; empty while nobody need care."""
        return next((one.value for one in self.concerns if one.name == CLOCK), "")

    @property
    def spool(self) -> str:
        """What is wrong with the sender's spool or its disk, in a few letters; empty while nobody need care."""
        return next((one.value for one in self.concerns if one.name.startswith("sender-")), "")

    @property
    def refused_total(self) -> int:
        """Frames refused for a reason that good weather does not have."""
        return sum(times for reason, _, times in self.refused if reason not in EXPECTED_REFUSALS)


BLOCK_FATES = ("expected", "whole", "repaired", "healed", "missing", "expired")


def link_health(report: Report[CatchStatus]) -> LinkHealth:
    """The link as `catch`'s report tells it."""
    said, link = report.status, report.status.link
    beat_age_s = None
    if report.running and link.beat_age_s is not None:
        beat_age_s = link.beat_age_s + (report.age_s or 0.0)
    lamp, text = _lamp(report, beat_age_s)
    gaps = tuple(gap for gap in said.gaps if gap.first < gap.after)
    return LinkHealth(
        lamp=lamp,
        lamp_text=text,
        beat_age_s=beat_age_s,
        session=link.session or "",
        loss=link.loss,
        loss_total=link.loss_total,
        frames_received=link.frames_received,
        frames_lost=link.frames_lost,
        kernel_drops=link.kernel_drops,
        queue_overflow=link.queue_overflow,
        refused=_refused(link.refused),
        versions=tuple(link.versions.items()),
        blocks={fate: getattr(said.blocks, fate) for fate in BLOCK_FATES},
        gaps=gaps[:GAPS_SHOWN],
        gaps_more=max(len(gaps) - GAPS_SHOWN, 0),
        codes=tuple(one.code for one in said.codes),
        warnings=said.warnings,
        concerns=() if beat_lost(beat_age_s) else said.concerns,
    )


def link_json(link: LinkHealth, now_ns: int) -> dict[str, Any]:
    """The link as `/api/link` and the live stream send it: milliseconds since 1970, plain numbers, and the words."""
    return {
        "now_ms": now_ns / 1e6,
        "lamp": link.lamp,
        "lamp_text": link.lamp_text,
        "beat_age_s": link.beat_age_s,
        "session": link.session,
        "loss": link.loss,
        "loss_total": link.loss_total,
        "frames_received": link.frames_received,
        "frames_lost": link.frames_lost,
        "kernel_drops": link.kernel_drops,
        "queue_overflow": link.queue_overflow,
        "refused_total": link.refused_total,
        "refused": [{"reason": reason, "text": text, "count": times} for reason, text, times in link.refused],
        "versions": [{"version": name, "count": times} for name, times in link.versions],
        "blocks": dict(link.blocks),
        "gaps": [
            {
                "stream": gap.stream.hex(),
                "first": gap.first,
                "last": gap.after - 1,
                "since_ms": gap.since_ns / 1e6,
                "heals_ms": None if gap.heals_ns is None else gap.heals_ns / 1e6,
            }
            for gap in link.gaps
        ],
        "gaps_more": link.gaps_more,
        "codes": list(link.codes),
        "warnings": list(link.warnings),
        "clock": link.clock,
        "spool": link.spool,
        "concerns": [to_json(one) for one in link.concerns],
    }


def _lamp(report: Report[CatchStatus], beat_age_s: float | None) -> tuple[Lamp, str]:
    if not report.running:
        return Lamp.NONE, "catch is not running"
    if beat_age_s is None:
        return Lamp.SILENT, "No beat heard yet"
    if beat_lost(beat_age_s):
        return Lamp.SILENT, f"Link silent for {words.span(beat_age_s)}"
    if report.status.link.confirmed is False:
        return Lamp.UNCONFIRMED, "Session not confirmed"
    return Lamp.LIVE, "Link live"


def _refused(counts: Mapping[str, int]) -> tuple[tuple[str, str, int], ...]:
    rows = [(reason, _refusal(reason), times) for reason, times in counts.items()]
    rows.sort(key=lambda row: (row[0] in EXPECTED_REFUSALS, -row[2], row[0]))
    return tuple(row for row in rows if row[2])


def _refusal(reason: str) -> str:
    if reason == "double":
        return "Repeats of what is there"
    return f"Refused: {REASONS.get(reason, reason)}"
