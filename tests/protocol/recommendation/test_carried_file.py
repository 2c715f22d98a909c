"""A carried recommendation: what a person reads is what was signed, and nothing else is ever taken for one."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.content import answered
from protocol.content.answered import RecommendationAnswer
from protocol.evidence import sign_note
from protocol.inert import inert
from protocol.keys import PrivateKey, from_bytes
from protocol.recommendation import carried_file
from protocol.recommendation.carried_file import LARGEST, CarriedRecommendation, RecommendationError, opened, signed
from protocol.recommendation.proposal import ATTACHED, VALUES, WHAT, Attachment, Proposal, ProposedValue, plain
from protocol.recommendation.sheet import WIDTH, sheet

SECOND = 10**9
DAY = 86_400 * SECOND
T0 = 1_795_000_000 * SECOND
KEY, OTHER = (from_bytes("recommend", bytes([number]) * 32) for number in (1, 2))
PROPOSAL = Proposal(
    site="north-plant",
    asset="pump-7",
    what="Lower the speed limit.\n\nOnly for the summer.",
    why='The bearing runs warm: 82 °C at "1450 r/min" \\ see the curve.',
    values=(ProposedValue(name="speed limit", now="1450 r/min", proposed="1380 r/min"),),
    attachments=(Attachment(name="curve.csv", text="r/min;Cel\n1380;71\n1450;82"),),
)
CARRIED = CarriedRecommendation(
    number="rec-3k5q7a2m",
    proposal=PROPOSAL,
    by="Jane Doe",
    employer="Acme Pumps",
    made_ns=T0,
    released_by="E. Engineer",
    released_why="discussed by phone, worth a look",
    released_ns=T0 + DAY,
    expires_ns=T0 + 30 * DAY,
)
FILE = signed(CARRIED, KEY)

TEXTS = st.text(max_size=60).map(plain)
SAID = TEXTS.filter(bool)
LINE = SAID.map(lambda text: plain(text.replace("\n", " "))).filter(bool)


def reading(data: bytes, *keys: PrivateKey) -> CarriedRecommendation:
    """What the high side makes of it."""
    return opened(data, [key.public for key in keys or (KEY,)]).carried


def refused(data: bytes) -> bool:
    """Whether the high side refuses it; any other error than its own is a bug."""
    try:
        reading(data)
    except RecommendationError:
        return True
    return False


def resigned(text: str) -> bytes:
    """A text that somebody signed who has the key."""
    return sign_note(text, "checkvalve/recommendation", KEY).encode()


def test_a_file_says_what_was_signed() -> None:
    """What was put in comes out, with the SHA-256 of the file and the key that signed it."""
    found = opened(FILE, [OTHER.public, KEY.public])
    assert found.carried == CARRIED
    assert found.digest == carried_file.digest_of(FILE)
    assert found.key == KEY.public


def test_a_person_reads_it_with_a_text_editor() -> None:
    """It is plain lines under our heading, each text on lines of its own, and other programs read it as TOML."""
    text = FILE.decode()
    assert text.startswith("# Checkvalve recommendation, version 1. A proposal to people: nothing in it is executed.\n")
    for line in ('asset = "pump-7"', '  "Lower the speed limit.",', 'proposed = "1380 r/min"', '  "1380;71",'):
        assert f"\n{line}\n" in text
    assert tomllib.loads(text.rpartition("\n\n")[0])["made"].year == 2026


@settings(max_examples=100, deadline=None)
@given(what=SAID, why=SAID, by=LINE, name=LINE, attached=SAID)
def test_any_text_comes_back_and_no_editor_or_terminal_obeys_it(
    what: str, why: str, by: str, name: str, attached: str
) -> None:
    """Whatever is in the texts, the file gives them back, and its own lines are inert: no letter hides or turns."""
    proposal = replace(PROPOSAL, what=what, why=why, attachments=(Attachment(name=name, text=attached),))
    carried = replace(CARRIED, proposal=proposal, by=by)
    data = signed(carried, KEY)
    assert reading(data) == carried
    for line in data.decode().split("\n"):
        assert not any(hidden in line for hidden in "\u202e\u200b\u2066\x1b\x9b\x7f\r")


def test_a_letter_that_nobody_sees_is_an_escape() -> None:
    """Every letter that may not be shown on a terminal stands as an escape, whatever Unicode this Python knows."""
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    text = carried_file._quoted("".join(every))
    seen = [letter for letter in set(text) if inert(f"a{letter}") != f"a{letter}"]
    assert seen == []
    assert not set(text) & set("\u0301\u2800\u202e\u200b\u00ad")
    assert tomllib.loads(f"text = {text}")["text"] == "".join(every)


def test_letters_of_other_alphabets_stand_as_they_are() -> None:
    """What people read they read in an editor too."""
    text = "Überdruck µΩ 漢字 Кириллица λ ½ → ≤"
    assert text in signed(replace(CARRIED, by=text), KEY).decode()


def test_a_changed_file_is_not_believed() -> None:
    """Each byte that is changed, left out or put in, ends it: 3,000 times by seed, never another error, never a yes."""
    seed = random.Random(2401)
    for count in range(3_000):
        data = bytearray(FILE)
        for _ in range(seed.randint(1, 3)):
            at, what = seed.randrange(len(data) or 1), seed.randrange(4)
            data = data or bytearray(b"\n")
            if what == 0:
                data[at] ^= 1 << seed.randrange(8)
            elif what == 1:
                del data[at : at + seed.randint(1, 40)]
            elif what == 2:
                data[at:at] = seed.randbytes(seed.randint(1, 8))
            else:
                data = data[:at] or bytearray(b"\n")
        if bytes(data) != FILE:
            assert refused(bytes(data)), f"believed, number {count} of the seed"


def test_hostile_texts_that_are_signed_are_refused_in_words() -> None:
    """Whoever stole the key gets no further: thousands of signed texts of another shape end as a refusal."""
    seed = random.Random(2402)
    text = carried_file.text_of(CARRIED)
    lines = text.split("\n")
    for count in range(1_500):
        changed = lines.copy()
        at = seed.randrange(1, len(changed))
        match seed.randrange(6):
            case 0:
                del changed[at]
            case 1:
                changed[at] = changed[seed.randrange(len(changed))]
            case 2:
                changed.insert(
                    at, seed.choice(("# run me", "x = 1", "[[value]]", "", 'number = "rec-other"', "[a]\nb=1"))
                )
            case 3:
                name = changed[at].partition(" = ")[0]
                changed[at] = (
                    f"{name} = {seed.choice(('1e400', '[]', '{}', 'nan', '9999-12-31T23:59:59Z', '[' * 3000))}"
                )
            case 4:
                changed[at] = changed[at].replace('"', "'")
            case _:
                changed[at] = changed[at] + seed.choice((" ", "\t", "  # looks fine", "\r"))
        if changed == lines or "\n".join(changed) == text:
            continue
        try:
            carried = reading(resigned("\n".join(changed)))
        except RecommendationError:
            continue
        assert carried_file.text_of(carried) == "\n".join(changed), f"number {count} of the seed"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"a" * (LARGEST + 1),
        FILE.rpartition(b"\n\n")[0],
        FILE + b"\xe2\x80\x94 checkvalve/recommendation APPROVED\n",
        FILE[:-1] + "\u2028APPROVED by anna\n".encode(),
        FILE[:-1] + b"\x0cAPPROVED by anna\n",
        FILE + FILE,
        signed(CARRIED, OTHER),
        resigned("hello\n"),
        resigned(carried_file.text_of(CARRIED) + "# accepted already\n"),
    ],
    ids=(
        "empty",
        "no text",
        "too large",
        "no signature",
        "two signatures",
        "line end",
        "page end",
        "twice",
        "other key",
        "other",
        "remark",
    ),
)
def test_what_is_no_recommendation_is_refused(data: bytes) -> None:
    """Each is refused before anything of it is shown."""
    with pytest.raises(RecommendationError):
        reading(data)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (replace(PROPOSAL, what=""), "missing"),
        (replace(PROPOSAL, what="x" * (WHAT + 1)), "longer"),
        (replace(PROPOSAL, asset="a\nb"), "line ends"),
        (replace(PROPOSAL, why=" padded "), "blanks"),
        (replace(PROPOSAL, values=PROPOSAL.values * (VALUES + 1)), "values"),
        (replace(PROPOSAL, attachments=(Attachment(name="a", text="x" * (ATTACHED + 1)),)), "longer"),
    ],
)
def test_a_proposal_beyond_its_bounds_is_never_signed(fault: Proposal, word: str) -> None:
    """What the high side would refuse is refused where it is made, and the words say why."""
    with pytest.raises(ValueError, match=word):
        signed(replace(CARRIED, proposal=fault), KEY)


def test_the_largest_proposal_fits_a_file() -> None:
    """All texts at their bounds, each letter the longest escape: still a file that is read."""
    high = "\U0001f600"
    proposal = Proposal(
        site=high * 200,
        asset=high * 200,
        what=high * WHAT,
        why=high * 8_000,
        values=(ProposedValue(name=high * 200, now=high * 200, proposed=high * 200),) * VALUES,
        attachments=(Attachment(name=high * 200, text=high * ATTACHED),),
    )
    data = signed(replace(CARRIED, proposal=proposal), KEY)
    assert len(data) <= LARGEST
    assert reading(data).proposal == proposal


def test_the_sheet_is_one_page() -> None:
    """However much is proposed: 60 lines of 78 columns, and the SHA-256 of the file on it."""
    long = replace(PROPOSAL, what="word " * 399 + "end", why="line\n" * 999 + "end", values=PROPOSAL.values * VALUES)
    wide = replace(PROPOSAL, site="s" * 200, values=(ProposedValue(name="n" * 200, proposed="p" * 200),))
    for proposal in (PROPOSAL, long, wide):
        page = sheet(replace(CARRIED, proposal=proposal), "ab" * 32).split("\n")
        assert len(page) <= 61
        assert max(map(len, page)) <= WIDTH
        assert "abab abab abab abab abab abab abab abab" in "\n".join(page)


@given(why=st.text(max_size=1_200), accepted=st.booleans())
def test_an_answer_comes_back_as_it_was_given(why: str, accepted: bool) -> None:
    """The event's text is read back to the answer, whatever the reason holds; other events are none."""
    answer = RecommendationAnswer(
        number="rec-3k5q7a2m", accepted=accepted, digits="0123456789abcdef", why=why, time_ns=T0
    )
    read = answered.read("recommendation", answer.number, answer.text(), T0)
    assert read is not None
    assert (read.accepted, read.digits, read.number) == (accepted, answer.digits, answer.number)
    assert read.text() == answer.text()
    assert answered.read("alarm", answer.number, answer.text(), T0) is None
    assert answered.read("recommendation", answer.number, f"perhaps {why}", T0) is None
