"""Who may recommend, who lets it be carried in, and what counts as an answer; all of it from the trail."""

from __future__ import annotations

from dataclasses import replace

import pytest
from access_cast import ACME, APPROVER, DAY, ENGINEER, HOUR, T0, VOLTA, at, person

from protocol.content.answered import CODE, RecommendationAnswer
from protocol.keys import from_bytes
from protocol.recommendation.carried_file import digest_of, opened, signed
from protocol.recommendation.proposal import Attachment, Proposal, ProposedValue
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.recommendations import recommending
from receiver.governed.recommendations.outcomes import RecommendationOutcome, heard, outcomes
from receiver.governed.recommendations.recommending import MOST_OPEN
from receiver.governed.recommendations.register import Recommendations
from receiver.governed.recommendations.vendor_recommendation import RecommendationState as State
from receiver.governed.trail.entry import TrailEntry, TrailRecord
from receiver.governed.trail.form import body_of, read_body
from receiver.outputs.historian.views import EventView

KEY = from_bytes("recommend", bytes(32))
WHY = "looked at the curve, worth reading"
PROPOSAL = Proposal(
    site="north",
    asset="pump-7",
    what="Lower the speed limit.",
    why="The bearing runs warm.",
    values=(ProposedValue(name="speed", now="1450", proposed="1380"),),
    attachments=(Attachment(name="curve.csv", text="a;b\n1;2"),),
)


class Office:
    """The register, changed only by what the rules give, through the bytes of a trail."""

    def __init__(self) -> None:
        self.held = Recommendations()
        self.kinds: list[str] = []

    def write(self, entries: list[TrailEntry]) -> None:
        for entry in entries:
            number = len(self.kinds) + 1
            self.kinds.append(entry.kind)
            read = read_body(body_of(entry, number, number - 1), number)
            assert read.governs
            self.held.take(TrailRecord(number=number, entry=read.entry, hash=bytes(32)))

    def make(self, key: str = "rec-1", one: Person = ACME, proposal: Proposal = PROPOSAL) -> str:
        self.write(recommending.make(proposal, one, {"pump-7"}, self.held, at(T0), key=key))
        return key

    def release(self, key: str = "rec-1", one: Person = ENGINEER, *, days: int = 30, why: str = WHY) -> None:
        expires_ns = T0 + days * DAY
        self.write(recommending.release(self.held, key, one, at(T0 + HOUR), why=why, expires_ns=expires_ns))

    def carry(self, key: str = "rec-1", now: int = T0 + DAY) -> str:
        held = self.held.get(key)
        digest = "" if held is None or held.release is None else digest_of(signed(held.to_carry(), KEY))
        signer = KEY.public.id.hex()
        self.write(recommending.carry(self.held, key, "command:anna", at(now), sha256=digest, signer=signer))
        return digest

    def state(self, key: str = "rec-1", now: int = T0 + DAY) -> State:
        held = self.held.get(key)
        assert held is not None
        return held.state(at(now))

    def outcome(self, *found: RecommendationAnswer, now: int = T0 + 2 * DAY) -> RecommendationOutcome:
        (one,) = outcomes(self.held, found, at(now))
        return one


@pytest.fixture
def office() -> Office:
    """Nothing is recommended yet."""
    return Office()


def came(
    digest: str, *, number: str = "rec-1", accepted: bool = True, time_ns: int = T0 + 2 * DAY
) -> RecommendationAnswer:
    """What people at the high side decided."""
    return RecommendationAnswer(number=number, accepted=accepted, digits=digest[:16], why="in June", time_ns=time_ns)


def event(answer: RecommendationAnswer, asset: str = "") -> EventView:
    """The same, as the history has it."""
    return EventView(
        asset=asset,
        source=answer.number,
        time_ns=answer.time_ns,
        severity=100,
        code=CODE,
        text=answer.text(),
        state="",
        sequence=1,
        received_ns=T0,
    )


def test_a_recommendation_goes_from_its_maker_to_an_answer(office: Office) -> None:
    """Made, released, carried, answered: each on record, and the file says what was made and released."""
    office.make()
    assert office.state() is State.MADE
    office.release()
    assert office.state() is State.RELEASED
    digest = office.carry()
    assert office.state() is State.CARRIED
    held = office.held.get("rec-1")
    assert held is not None
    found = opened(signed(held.to_carry(), KEY), [KEY.public])
    assert (found.carried.proposal, found.carried.employer, found.digest) == (PROPOSAL, "Acme", digest)
    assert (found.carried.released_why, found.carried.released_by) == (WHY, "engineer")
    assert office.carry() == digest, "written again it is the same file"
    answers = heard([event(came(digest)), event(came(digest))])
    assert office.outcome(*answers).state is State.ACCEPTED
    office.write(recommending.answer(office.held, answers, at(T0 + 3 * DAY)))
    assert recommending.answer(office.held, answers, at(T0 + 3 * DAY)) == []
    assert office.state(now=T0 + 99 * DAY) is State.ACCEPTED
    assert office.kinds == [f"recommendation.{verb}" for verb in ("made", "released", "carried", "carried", "answered")]


@pytest.mark.parametrize(
    ("one", "proposal", "words"),
    [
        (APPROVER, PROPOSAL, "made by a reader"),
        (replace(ACME, active=False), PROPOSAL, "enrolment"),
        (replace(ACME, ends_ns=T0), PROPOSAL, "enrolment"),
        (ACME, replace(PROPOSAL, asset="press-1"), "not among what you may read"),
        (ACME, replace(PROPOSAL, asset="never-was"), "not among what you may read"),
        (ACME, replace(PROPOSAL, what=""), "what should be changed is missing"),
    ],
)
def test_only_a_reader_recommends_and_only_for_what_they_see(
    office: Office, one: Person, proposal: Proposal, words: str
) -> None:
    """An asset outside the scope and one that never was are refused in the same words."""
    with pytest.raises(RuleRefusal, match=words):
        office.make(one=one, proposal=proposal)


def test_an_engineer_is_not_buried(office: Office) -> None:
    """So many of one person wait at a time; another person's are not touched by it."""
    for number in range(MOST_OPEN):
        office.make(f"rec-{number}")
    with pytest.raises(RuleRefusal, match="wait for a release already"):
        office.make("rec-99")
    office.make("rec-98", VOLTA)
    office.release("rec-3")
    office.make("rec-99")


BOTH = person("both", PersonRole.READER, PersonRole.ENGINEER)


@pytest.mark.parametrize(
    ("one", "days", "why", "words"),
    [
        (APPROVER, 30, WHY, "by the plant engineer"),
        (ACME, 30, WHY, "by the plant engineer"),
        (replace(ENGINEER, active=False), 30, WHY, "enrolment"),
        (replace(ENGINEER, employer="Acme"), 30, WHY, "own employer"),
        (ENGINEER, 30, "ok", "written reason"),
        (ENGINEER, 0, WHY, "for a day at least"),
        (ENGINEER, 181, WHY, "days at most"),
    ],
)
def test_only_the_plant_engineer_releases_with_a_reason(
    office: Office, one: Person, days: int, why: str, words: str
) -> None:
    """Nobody else, nobody for themselves, and never for ever."""
    office.make()
    with pytest.raises(RuleRefusal, match=words):
        office.release(one=one, days=days, why=why)
    with pytest.raises(RuleRefusal, match="own recommendation"):
        office.release(office.make("rec-2", BOTH), BOTH)


def test_what_is_not_released_is_not_carried(office: Office) -> None:
    """Made, declined, withdrawn, expired: no file of it is written."""
    for key in ("rec-1", "rec-2", "rec-3", "rec-4"):
        office.make(key)
    with pytest.raises(RuleRefusal, match="waits for a release"):
        office.carry("rec-1")
    office.write(recommending.decline(office.held, "rec-2", ENGINEER, at(T0), why="nothing new in it"))
    office.release("rec-3")
    office.write(recommending.withdraw(office.held, "rec-3", ACME, at(T0 + 2 * HOUR), why="measured anew, it is fine"))
    office.release("rec-4", days=2)
    for key, words in (("rec-2", "not released"), ("rec-3", "withdrawn"), ("rec-4", "expired")):
        with pytest.raises(RuleRefusal, match=words):
            office.carry(key, now=T0 + 3 * DAY)
    for other in ("rec-2", "rec-3", "rec-4"):
        with pytest.raises(RuleRefusal, match="already"):
            office.release(other)


def test_one_that_was_carried_in_is_beyond_recall(office: Office) -> None:
    """Only its maker withdraws it, and only before a file of it left."""
    office.make()
    office.release()
    with pytest.raises(RuleRefusal, match="not your recommendation"):
        recommending.withdraw(office.held, "rec-1", VOLTA, at(T0), why="it is not mine at all")
    office.carry()
    with pytest.raises(RuleRefusal, match="carried in already"):
        recommending.withdraw(office.held, "rec-1", ACME, at(T0), why="measured anew, it is fine")


def test_one_that_expires_unanswered_is_told(office: Office) -> None:
    """Nobody waits for ever: from its end on it says so; an answer that comes later still counts."""
    office.make()
    office.release(days=2)
    digest = office.carry()
    assert office.outcome(now=T0 + DAY).notes == ()
    late = office.outcome(now=T0 + 2 * DAY)
    assert late.state is State.EXPIRED
    assert "ask at the plant" in late.notes[0]
    assert office.outcome(came(digest, accepted=False), now=T0 + 9 * DAY).state is State.REJECTED


def test_an_answer_is_the_senders_own_and_about_our_file(office: Office) -> None:
    """An event of a device that reads like one is none; an answer about another file is told, and decides nothing."""
    office.make()
    office.release()
    digest = office.carry()
    assert heard([event(came(digest), asset="pump-7")]) == []
    stranger = office.outcome(came("f" * 64))
    assert (stranger.state, stranger.answer) == (State.CARRIED, None)
    assert "another file" in stranger.notes[0]
    assert recommending.answer(office.held, [came("f" * 64), came(digest, number="rec-9")], at(T0)) == []


def test_the_first_answer_counts(office: Office) -> None:
    """Where the high side lost its own record and answered twice, the low side keeps the first and says so."""
    office.make()
    office.release()
    digest = office.carry()
    first, second = came(digest), came(digest, accepted=False, time_ns=T0 + 3 * DAY)
    for found in ([first, second], [second, first]):
        told = office.outcome(*found)
        assert told.state is State.ACCEPTED
        assert "another answer came too" in told.notes[0]
        (entry,) = recommending.answer(office.held, found, at(T0 + 4 * DAY))
        assert entry.facts["accepted"] is True


def test_a_record_that_cannot_be_understood_stops_everything() -> None:
    """A misread record would say what nobody decided."""
    facts = {"recommendation": "rec-1", "person": "p", "name": "n", "vendor": "", "values": [["only", "two"]]}
    whole = {**facts, "site": "s", "asset": "a", "what": "w", "why": "y"}
    for given in (facts, whole, {"recommendation": "rec-7"}):
        kind = "recommendation.made" if len(given) > 1 else "recommendation.released"
        entry = TrailEntry(kind=kind, at_ns=T0, who="p", facts=given)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="record 5"):
            Recommendations().take(TrailRecord(number=5, entry=entry, hash=bytes(32)))
