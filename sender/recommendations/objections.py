"""What stands against an answer to a recommendation that is signed as it should be (pure)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from protocol.inert import CELL, inert
from protocol.recommendation.carried_file import OpenedFile, moment
from sender.recommendations.answers import KeptAnswer

AHEAD_NS = 24 * 3600 * 10**9
"""The clocks of the two sides may differ so much [ns]: they know nothing of each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objections:
    """In words for people; both empty: it may be answered either way."""

    answering: tuple[str, ...] = ()
    """Why it can neither be accepted nor rejected."""
    accepting: tuple[str, ...] = ()
    """Why it can only be rejected."""


def objections(
    opened: OpenedFile, *, site: str, assets: Collection[str], before: KeptAnswer | None, wall_ns: int
) -> Objections:
    """
    Args:
        opened: The file.
        site: Of this `sender.toml`.
        assets: Names of its assets.
        before: What was decided about this number.
        wall_ns: Wall time [ns since 1970 UTC].
    """
    carried, proposal = opened.carried, opened.carried.proposal
    answering, accepting = [], []
    if proposal.site != site:
        answering.append(f"it is for the site {inert(proposal.site, CELL)}, and this is {inert(site, CELL)}")
    if before is not None:
        other = "" if before.sha256 == opened.digest else ", as another file of the same number"
        answering.append(f"it was {before.answer.word} on {moment(before.time_ns)} by {inert(before.by, CELL)}{other}")
    if proposal.asset not in assets:
        accepting.append(f"{inert(proposal.asset, CELL)} is no asset of this configuration")
    if wall_ns >= carried.expires_ns:
        accepting.append(f"it has expired on {moment(carried.expires_ns)}")
    if carried.released_ns > wall_ns + AHEAD_NS:
        told = moment(carried.released_ns)
        accepting.append(
            f"it was released on {told}, which by this machine's clock is still to come: look at the clocks"
        )
    return Objections(answering=tuple(answering), accepting=tuple(accepting))
