"""The plant of two vendors, whose readers recommend; a file that is written, and an answer, without a page."""

from __future__ import annotations

from granting_site import WHY, GrantingSite
from sign_in_site import WebReader

from protocol.content.answered import CODE, SEVERITY, RecommendationAnswer
from protocol.keys import from_bytes
from protocol.recommendation.carried_file import digest_of, signed
from receiver.governed.recommendations import recommending
from receiver.outputs.base import EventBody

PAGE = "/access/recommendations"
KEY = from_bytes("recommend", bytes(32))
SITE = "north-plant"
WHAT, BECAUSE = "Lower the speed limit of the pump.\nOne step at a time.", "The bearing runs warm at night."
ANSWERED = "in the June outage"


class RecommendingSite(GrantingSite):
    """Readers are granted by the sponsor; files are written and answered without a page."""

    def grant(self, web: WebReader, who: str, asset: str) -> WebReader:
        """A reader who may read an asset for four hours, signed in."""
        reader, sponsor = self.enter(web, who), self.enter(web, "sponsor")
        self.request(reader, asset)
        assert sponsor.send("/access", "/access/decide", request=self.newest, answer="approve", why=WHY).status == 303
        return reader

    def recommend(self, reader: WebReader, asset: str = "acme-pump", **given: str) -> str:
        """Make one; returns its number."""
        fields = {"asset": f"{SITE}/{asset}", "what": WHAT, "why": BECAUSE, "values": "limit: 1450 -> 1380"} | given
        answer = reader.send(PAGE, f"{PAGE}/make", **fields)
        assert answer.status == 303, answer.text
        return self.recommended

    @property
    def recommended(self) -> str:
        """Number of the newest."""
        return list(self.office.desk.authority.recommendations)[-1].key

    def carry(self, number: str) -> str:
        """A file of it is written; returns its SHA-256."""
        authority = self.office.desk.authority
        held = authority.recommendations.get(number)
        assert held is not None
        digest, signer = digest_of(signed(held.to_carry(), KEY)), KEY.public.id.hex()
        authority.act(
            lambda people, grants, now: recommending.carry(
                authority.recommendations, number, "command:anna", now, sha256=digest, signer=signer
            )
        )
        return digest

    def answer(self, number: str, digest: str, *, asset: str = "", accepted: bool = True) -> None:
        """An event as the sender says it; of a device, where an asset is named."""
        told = RecommendationAnswer(
            number=number, accepted=accepted, digits=digest[:16], why=ANSWERED, time_ns=self.clock()
        )
        self.plant.take(
            EventBody(
                asset=asset,
                source=number,
                time_ns=self.clock(),
                severity=SEVERITY,
                code=CODE,
                text=told.text(),
                state="",
                sequence=1,
            )
        )
