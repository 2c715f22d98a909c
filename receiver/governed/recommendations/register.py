"""The register of recommendations: folded from the trail, record by record.

    recommendation.made        {recommendation, person, name, vendor, site, asset, what, why, values, attachments}
    recommendation.withdrawn   {recommendation, why}
    recommendation.released    {recommendation, name, why, expires_ns}
    recommendation.declined    {recommendation, why}
    recommendation.carried     {recommendation, sha256, key}      a file of it was written, to be carried in
    recommendation.answered    {recommendation, accepted, why, digits, time_ns}      came back over the diode

It changes by `take` alone. What may be written is decided in `recommending.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from protocol.content.answered import RecommendationAnswer
from protocol.recommendation.proposal import Attachment, Proposal, ProposedValue
from receiver.governed import fact
from receiver.governed.recommendations.vendor_recommendation import (
    Carrying,
    Dropped,
    RecommendationState,
    Release,
    VendorRecommendation,
)
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord


class Recommendations:
    """All of them, as of the newest record taken."""

    def __init__(self) -> None:
        self._held: dict[str, VendorRecommendation] = {}
        self._takes: Mapping[str, Callable[[TrailEntry], VendorRecommendation]] = {
            "recommendation.made": _made,
            "recommendation.withdrawn": lambda entry: self._dropped(entry, RecommendationState.WITHDRAWN),
            "recommendation.released": self._released,
            "recommendation.declined": lambda entry: self._dropped(entry, RecommendationState.DECLINED),
            "recommendation.carried": self._carried,
            "recommendation.answered": self._answered,
        }

    def __iter__(self) -> Iterator[VendorRecommendation]:
        """In the order they were made."""
        return iter(list(self._held.values()))

    def get(self, key: str) -> VendorRecommendation | None:
        """By number."""
        return self._held.get(key)

    def take(self, record: TrailRecord) -> None:
        """One more record of the trail; kinds of other registers are passed over.

        Raises:
            ValueError: It cannot be understood. Nothing may be allowed then.
        """
        change = self._takes.get(record.entry.kind)
        if change is None:
            return
        try:
            one = change(record.entry)
        except (KeyError, ValueError) as error:
            raise ValueError(f"record {record.number} ({record.entry.kind}) cannot be understood: {error}") from error
        self._held[one.key] = one

    def _of(self, entry: TrailEntry) -> VendorRecommendation:
        return self._held[fact.text(entry.facts, "recommendation")]

    def _dropped(self, entry: TrailEntry, state: RecommendationState) -> VendorRecommendation:
        dropped = Dropped(state=state, person=entry.who, why=fact.text(entry.facts, "why"), at_ns=entry.at_ns)
        return replace(self._of(entry), dropped=dropped)

    def _released(self, entry: TrailEntry) -> VendorRecommendation:
        release = Release(
            person=entry.who,
            name=fact.text(entry.facts, "name"),
            why=fact.text(entry.facts, "why"),
            at_ns=entry.at_ns,
            expires_ns=fact.whole(entry.facts, "expires_ns"),
        )
        return replace(self._of(entry), release=release)

    def _carried(self, entry: TrailEntry) -> VendorRecommendation:
        held = self._of(entry)
        carrying = Carrying(by=entry.who, sha256=fact.text(entry.facts, "sha256"), at_ns=entry.at_ns)
        return replace(held, carried=(*held.carried, carrying))

    def _answered(self, entry: TrailEntry) -> VendorRecommendation:
        held, given = self._of(entry), entry.facts
        answer = RecommendationAnswer(
            number=held.key,
            accepted=fact.yes(given, "accepted"),
            digits=fact.text(given, "digits"),
            why=fact.text(given, "why"),
            time_ns=fact.whole(given, "time_ns"),
        )
        return replace(held, answer=answer)


def proposal_facts(proposal: Proposal) -> dict[str, Fact]:
    """A proposal as it stands in the trail."""
    return {
        "site": proposal.site,
        "asset": proposal.asset,
        "what": proposal.what,
        "why": proposal.why,
        "values": [[one.name, one.now, one.proposed] for one in proposal.values],
        "attachments": [[one.name, one.text] for one in proposal.attachments],
    }


def _made(entry: TrailEntry) -> VendorRecommendation:
    given = entry.facts
    return VendorRecommendation(
        key=fact.text(given, "recommendation"),
        proposal=_proposal(given),
        person=fact.text(given, "person"),
        name=fact.text(given, "name"),
        employer=fact.text(given, "vendor"),
        made_ns=entry.at_ns,
    )


def _proposal(given: Mapping[str, Fact]) -> Proposal:
    return Proposal(
        site=fact.text(given, "site"),
        asset=fact.text(given, "asset"),
        what=fact.text(given, "what"),
        why=fact.text(given, "why"),
        values=tuple(_value(one) for one in _listed(given, "values")),
        attachments=tuple(Attachment(name=name, text=text) for name, text in fact.pairs(given, "attachments")),
    )


def _listed(given: Mapping[str, Fact], key: str) -> list[Fact]:
    held = given.get(key, [])
    return held if isinstance(held, list) else [held]


def _value(held: Fact) -> ProposedValue:
    match held:
        case [str() as name, str() as now, str() as proposed]:
            return ProposedValue(name=name, now=now, proposed=proposed)
    raise ValueError(f"values holds {held!r}, three texts are expected")
