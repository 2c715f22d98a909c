"""A recommendation that was carried in, and decisions about them, as lines for people and as JSON (pure).

The texts of a file are another company's: every line is inert, and those of the file stand behind a bar, so that none
of them can pass for ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from protocol.inert import CELL, inert
from protocol.recommendation.carried_file import CarriedRecommendation, OpenedFile, moment
from protocol.recommendation.proposal import Proposal, ProposedValue
from sender.poll.config import AssetConfig, WatchedPoint
from sender.recommendations.answers import KeptAnswer
from sender.recommendations.objections import Objections

TAGS = 40
"""Most tags of the asset that are shown."""
ATTACHED_LINES = 200
"""Most lines of an attachment that are shown; the file has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFile:
    """A file that is to be believed, and what stands against an answer."""

    opened: OpenedFile
    against: Objections
    asset: AssetConfig | None
    """What this configuration says of the machine; None: it has none of that name."""


def shown(seen: SeenFile) -> Iterator[str]:
    """The recommendation beside the asset as it is configured, in lines."""
    carried = seen.opened.carried
    yield f"{carried.number}: a proposal to people; nothing in it is executed"
    yield from _about(carried)
    yield f"  signed by     the low side's key, {seen.opened.key.fingerprint}"
    digest = seen.opened.digest
    yield f"  SHA-256       {' '.join(digest[at : at + 4] for at in range(0, len(digest), 4))}"
    yield from _texts("what", carried.proposal.what)
    yield from _texts("why", carried.proposal.why)
    yield from _present(carried.proposal, seen.asset)
    for one in carried.proposal.attachments:
        lines = one.text.split("\n")
        yield f"attached: {inert(one.name)}, {len(lines):,} lines"
        yield from (f"  | {inert(line)}" for line in lines[:ATTACHED_LINES])
        if len(lines) > ATTACHED_LINES:
            yield f"  .. {len(lines) - ATTACHED_LINES:,} more lines, in the file"
    if seen.against.answering:
        yield from (f"it cannot be answered: {one}" for one in seen.against.answering)
        return
    yield from (f"it can only be rejected: {one}" for one in seen.against.accepting)
    yield "decide: the same again with --accept --why TEXT, or --reject --why TEXT"


def line_of(one: KeptAnswer) -> str:
    """A decision in a line."""
    who = inert(one.by, CELL) or "nobody named"
    return (
        f"{moment(one.time_ns)}  {one.number}  {inert(one.asset, CELL)}: {one.answer.word} by {who}: {inert(one.why)}"
    )


def as_json(seen: SeenFile) -> dict[str, Any]:
    """The same for programs."""
    carried = seen.opened.carried
    return {
        "number": carried.number,
        "sha256": seen.opened.digest,
        "key": seen.opened.key.id.hex(),
        "site": carried.proposal.site,
        "asset": carried.proposal.asset,
        "what": carried.proposal.what,
        "why": carried.proposal.why,
        "by": carried.by,
        "employer": carried.employer,
        "expires": moment(carried.expires_ns),
        "against_answering": list(seen.against.answering),
        "against_accepting": list(seen.against.accepting),
    }


def _about(carried: CarriedRecommendation) -> Iterator[str]:
    proposal = carried.proposal
    yield f"  for           {inert(proposal.asset, CELL)}, site {inert(proposal.site, CELL)}"
    yield f"  proposed by   {inert(carried.by, CELL)}, {inert(carried.employer, CELL) or 'of the site itself'}"
    yield f"  made          {moment(carried.made_ns)}"
    yield f"  released by   {inert(carried.released_by, CELL)}, {moment(carried.released_ns)}"
    yield f"  because       {inert(carried.released_why)}"
    yield f"  expires       {moment(carried.expires_ns)}"


def _texts(name: str, text: str) -> Iterator[str]:
    yield f"{name}:"
    yield from (f"  | {inert(line)}" for line in text.split("\n"))


def _present(proposal: Proposal, asset: AssetConfig | None) -> Iterator[str]:
    """Each value beside the tag of its name, and the asset as the file of this side has it."""
    tags = {one.table.name: one for one in asset.watched} if asset is not None else {}
    if proposal.values:
        yield "values: what is thought to be, what is proposed, and what is configured here under that name"
        yield from (f"  {_value(one, tags)}" for one in proposal.values)
    if asset is None:
        yield f"{inert(proposal.asset, CELL)} is not in this configuration"
        return
    table = asset.table
    yield f"{inert(table.name, CELL)} as configured here:"
    told: Mapping[str, str] = {
        "vendor": ", ".join(table.vendor),
        "model": table.model,
        "serial": table.serial,
        "path": table.path,
        "class": table.kind,
        "collector": table.collector,
        "url": ", ".join(table.addresses),
    }
    yield from (f"  {name:13} {inert(text)}" for name, text in told.items() if text)
    for one in asset.watched[:TAGS]:
        yield f"  tag {_tag(one)}"
    if len(asset.watched) > TAGS:
        yield f"  .. {len(asset.watched) - TAGS} more tags"


def _value(one: ProposedValue, tags: Mapping[str, WatchedPoint]) -> str:
    here = f"tag {_tag(tags[one.name])}" if one.name in tags else "no tag of that name"
    now = inert(one.now, CELL) or "not said"
    return f"{inert(one.name, CELL)}: {now} -> {inert(one.proposed, CELL)}   here: {here}"


def _tag(one: WatchedPoint) -> str:
    table = one.table
    low, high = table.span
    ends = ["" if end is None else f"{end:g}" for end in (low, high)]
    span = f", {' to '.join(ends)}" if any(ends) else ""
    unit = f" {inert(table.unit, CELL)}" if table.unit else ""
    return (
        f"{inert(table.name, CELL)} at {inert(table.at, CELL)}, {table.type or 'type as the device says'}{unit}{span}"
    )
