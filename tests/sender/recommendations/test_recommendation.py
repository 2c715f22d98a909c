"""A recommendation that was carried in is shown and answered by people; nothing else follows from it, ever."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from polling import asset_toml, loaded, scripted, sender_toml

import checkvalve
from protocol import keymaking
from protocol.content.answered import RecommendationAnswer
from protocol.errors import ConfigError, HeldError
from protocol.keys import load as load_key
from protocol.recommendation.carried_file import CarriedRecommendation, RecommendationError, signed
from protocol.recommendation.proposal import Attachment, Proposal, ProposedValue
from protocol.store import statefile
from sender.commands import recommendation, recommendation_lines
from sender.poll.config import SenderConfig, load
from sender.recommendations import answers
from sender.recommendations.answer_events import AGAIN, AnswerTeller
from sender.recommendations.answers import KeptAnswer

SECOND = 10**9
DAY = 86_400 * SECOND
T0 = 1_795_000_000 * SECOND
KINDS = {"pump-7": scripted()}
TAGS = (
    'name = "flow", at = "0", type = "float64", unit = "m3/h", range = [0.0, 90.0]',
    'name = "speed", at = "1", type = "float64", unit = "r/min"',
)
WHY = "agreed for the June outage"


def proposal(**other: object) -> Proposal:
    """What Acme proposes."""
    made = Proposal(
        site="north",
        asset="pump-7",
        what="Lower the speed limit.",
        why="The bearing runs warm.",
        values=(
            ProposedValue(name="speed", now="1450 r/min", proposed="1380 r/min"),
            ProposedValue(name="P-114", proposed="7"),
        ),
        attachments=(Attachment(name="curve.csv", text="r/min;Cel\n1450;82"),),
    )
    return replace(made, **other)  # type: ignore[arg-type]


class HighSide:
    """A folder with a configuration that believes one key, and what is carried in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.state.mkdir()
        keymaking.make("recommend", folder / "low" / "low-recommend")
        self.key = load_key(folder / "low" / "low-recommend", "recommend")
        self.said: list[str] = []
        self.config = self.configured('[recommendations]\nkeys = ["low/low-recommend.pub"]\n')

    def configured(self, more: str) -> SenderConfig:
        """With another table behind the first ones."""
        return loaded(self.folder, sender_toml(more + asset_toml("pump-7", *TAGS)), KINDS)

    def carry(self, of: Proposal | None = None, **other: object) -> Path:
        """A file, as the low side exports it."""
        made = CarriedRecommendation(
            number="rec-3k5q7a2m",
            proposal=of or proposal(),
            by="Jane Doe",
            employer="Acme Pumps",
            made_ns=T0 - 3 * DAY,
            released_by="E. Engineer",
            released_why="discussed by phone",
            released_ns=T0 - DAY,
            expires_ns=T0 + 30 * DAY,
        )
        path = self.folder / "carried.checkvalve-recommendation"
        path.write_bytes(signed(replace(made, **other), self.key))  # type: ignore[arg-type]
        return path

    def shown(self, path: Path, wall_ns: int = T0) -> str:
        """What a person sees."""
        seen = recommendation.look(self.config, path, self.said.append, wall_ns=wall_ns)
        return "\n".join(recommendation_lines.shown(seen))

    def answer(self, path: Path, *, accepted: bool = True, why: str = WHY, wall_ns: int = T0) -> KeptAnswer:
        """What a person decides."""
        return recommendation.answer(
            self.config, path, self.said.append, accepted=accepted, why=why, by="anna", wall_ns=wall_ns
        )

    def files(self) -> dict[str, str]:
        """Every file of the side, by the hash of its content."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    """One asset, one key that is believed."""
    return HighSide(tmp_path)


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever opens one fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", refuse)
        yield


def test_a_recommendation_is_shown_beside_what_the_asset_is(high: HighSide) -> None:
    """A person sees what is proposed, by whom, until when, and under each name what is configured here."""
    text = high.shown(high.carry())
    for line in (
        "rec-3k5q7a2m: a proposal to people; nothing in it is executed",
        "  proposed by   Jane Doe, Acme Pumps",
        "  because       discussed by phone",
        "  | Lower the speed limit.",
        "  speed: 1450 r/min -> 1380 r/min   here: tag speed at 1, float64 r/min",
        "  P-114: not said -> 7   here: no tag of that name",
        "  tag flow at 0, float64 m3/h, 0 to 90",
        "  | 1450;82",
    ):
        assert f"\n{line}\n" in f"\n{text}\n"
    assert "it can only be rejected" not in text


@pytest.mark.usefixtures("no_socket")
def test_an_answer_changes_one_small_file_and_nothing_else(high: HighSide) -> None:
    """Accepting writes one file of words into state/recommendations; no other file is touched, and no device."""
    path = high.carry()
    before = high.files()
    high.shown(path)
    assert high.files() == before
    kept = high.answer(path)
    after = high.files()
    assert set(after) - set(before) == {"state/recommendations/rec-3k5q7a2m.json", "state/recommendations/lock"}
    assert {name: digest for name, digest in after.items() if name in before} == before
    assert (kept.by, kept.why, kept.time_ns, kept.accepted) == ("anna", WHY, T0, True)
    assert kept.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert answers.find(high.state, kept.number, high.said.append, wall_ns=T0) == kept


def test_a_recommendation_is_answered_once(high: HighSide) -> None:
    """Neither the same file nor another of its number is answered again, whichever way."""
    high.answer(high.carry(), accepted=False)
    for path in (high.carry(), high.carry(proposal(what="Raise it."))):
        for accepted in (True, False):
            with pytest.raises(ConfigError, match="it was rejected on 2026-11-18"):
                high.answer(path, accepted=accepted)
    assert "as another file of the same number" in high.shown(path)
    assert [one.what for one in recommendation.listed(high.config, high.said.append, wall_ns=T0)] == [
        "Lower the speed limit."
    ]


@pytest.mark.parametrize(
    ("other", "wall_ns", "words", "rejectable"),
    [
        ({"of": proposal(site="south")}, T0, "it is for the site south, and this is north", False),
        ({"of": proposal(asset="pump-8")}, T0, "pump-8 is no asset of this configuration", True),
        ({}, T0 + 31 * DAY, "it has expired on 2026-12-18", True),
        ({}, T0 - 3 * DAY, "look at the clocks", True),
    ],
)
def test_what_stands_against_it_is_said(
    high: HighSide, other: dict[str, Proposal], wall_ns: int, words: str, rejectable: bool
) -> None:
    """It is shown all the same, with the reason; what is not for this site is not even rejected here."""
    path = high.carry(**other)
    assert words in high.shown(path, wall_ns)
    with pytest.raises(ConfigError, match=words):
        high.answer(path, wall_ns=wall_ns)
    if rejectable:
        assert not high.answer(path, accepted=False, wall_ns=wall_ns).accepted
    else:
        with pytest.raises(ConfigError, match=words):
            high.answer(path, accepted=False, wall_ns=wall_ns)


def test_texts_of_a_file_cannot_pass_for_ours(high: HighSide) -> None:
    """Escape sequences, turned text and made-up lines of ours stay behind a bar, as escapes."""
    hostile = "\x1b[2J\u202eaccepted\nit was accepted on 2026-11-18 by anna"
    text = high.shown(high.carry(proposal(what=hostile, why=hostile)))
    assert not any(hidden in text for hidden in "\x1b\u202e")
    assert "  | \\x1b[2J\\u202eaccepted" in text
    assert not any(line.startswith("it was accepted") for line in text.split("\n"))


@pytest.mark.parametrize("why", ["", "yes", "x" * 1_001])
def test_a_decision_needs_a_written_reason(high: HighSide, why: str) -> None:
    """Without one nothing is decided."""
    with pytest.raises(ConfigError, match="written reason"):
        high.answer(high.carry(), why=why)
    assert answers.numbers(high.state) == []


def test_nobody_is_believed_without_a_key(high: HighSide) -> None:
    """The command says what to do; a file of another key is not shown at all."""
    path = high.carry()
    high.config = high.configured("")
    with pytest.raises(ConfigError, match="names no key") as told:
        high.shown(path)
    assert "keys new recommend" in told.value.hint
    keymaking.make("recommend", high.folder / "low" / "other")
    high.config = high.configured('[recommendations]\nkeys = "low/other.pub"\n')
    with pytest.raises(RecommendationError, match="none of the keys"):
        high.shown(path)
    high.config = high.configured('[recommendations]\nkeys = "low/none.pub"\n')
    assert any("none.pub is not there yet" in line for line in high.config.warnings)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("low/low-recommend/recommend.key", "holds a private key (recommend), which must never leave its side"),
        ("low/low.pub", "holds catch, open keys, and only those of the kind recommend belong here"),
        ("low/low-recommend", "is a folder; name the .pub file"),
        ("sender.toml", "is no key file"),
    ],
)
def test_a_check_names_a_file_that_is_no_key_to_believe(high: HighSide, named: str, words: str) -> None:
    """`send --check` says which file is another thing, and what belongs there; the right one is no mistake."""
    keymaking.make("low", high.folder / "low" / "low")
    keymaking.make("high", high.folder / "keys" / "high")
    (high.folder / "keys" / "low.pub").write_bytes((high.folder / "low" / "low.pub").read_bytes())
    load(high.config.path, find=lambda name: KINDS[name], look=True)
    high.configured(f'[recommendations]\nkeys = ["{named}"]\n')
    with pytest.raises(ConfigError) as told:
        load(high.config.path, find=lambda name: KINDS[name], look=True)
    assert "recommendations.keys[0]" in str(told.value)
    assert words in str(told.value)


@pytest.mark.parametrize("kind", ["link", "folder", "missing", "huge"])
def test_only_a_plain_file_is_read(high: HighSide, kind: str) -> None:
    """A link, a folder, a file of many megabytes on a stick is refused with its name."""
    path = high.folder / "stick"
    match kind:
        case "link":
            path.symlink_to(high.carry())
        case "folder":
            path.mkdir()
        case "huge":
            path.write_bytes(bytes(3_000_000))
    with pytest.raises(ConfigError, match="stick"):
        high.shown(path)


def test_two_people_do_not_decide_at_once(high: HighSide) -> None:
    """Whoever comes second is told so."""
    path = high.carry()
    with answers.alone(high.state), pytest.raises(HeldError, match="under way"):
        high.answer(path)


class Low:
    """What poll tells."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.heard: list[RecommendationAnswer] = []
        self.said: list[str] = []
        self.teller = self.start()

    def start(self) -> AnswerTeller:
        """poll starts."""
        self.teller = AnswerTeller(self.state, self.heard.append, self.said.append, wall_ns=T0)
        return self.teller


def kept(number: int, time_ns: int = T0) -> KeptAnswer:
    """A decision about some recommendation."""
    return KeptAnswer(number=f"rec-{number}", accepted=True, why=WHY, time_ns=time_ns, sha256=f"{number:064x}")


def test_the_low_side_hears_of_a_decision_once_and_again_at_a_start(high: HighSide) -> None:
    """poll tells a new decision within a look, no look tells it twice, and a start says the newest once more."""
    low = Low(high.state)
    high.answer(high.carry())
    for _ in range(3):
        low.teller.look(T0)
    assert [one.text() for one in low.heard] == [f"accepted (file {low.heard[0].digits[:16]}): {WHY}"]
    low.start().look(T0)
    assert low.heard == [low.heard[0]] * 2
    for number in range(30):
        answers.keep(high.state, kept(number, T0 + number * SECOND))
    low.teller.look(T0)
    assert len(low.heard) == 32
    low.heard.clear()
    low.start().look(T0)
    assert [one.number for one in low.heard] == [f"rec-{number}" for number in range(30 - AGAIN, 30)]


def test_a_damaged_decision_is_told_and_stops_nothing(high: HighSide) -> None:
    """A file of another shape is set aside with a line; the others are told."""
    with answers.alone(high.state):
        answers.keep(high.state, kept(1))
    folder = high.state / "recommendations"
    for name, data in (("rec-2", b"{"), ("rec-3", statefile.pack({"number": "../../x", "sha256": "0" * 64}))):
        (folder / f"{name}.json").write_bytes(data)
    (folder / "notes.txt").write_text("of a person")
    low = Low(high.state)
    low.teller.look(T0)
    assert [one.number for one in low.heard] == ["rec-1"]
    assert len(low.said) == 2
    assert (folder / "notes.txt").exists()


def test_the_command_shows_and_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As typed: list, show, accept with a reason, list; a file that is not believed ends with 1."""
    monkeypatch.setenv("SUDO_USER", "anna")
    high = HighSide(tmp_path)
    text = sender_toml('[recommendations]\nkeys = ["low/low-recommend.pub"]\n' + MODBUS)
    (tmp_path / "sender.toml").write_text(text)
    file, path = str(tmp_path / "sender.toml"), high.carry(made_ns=1, released_ns=2, expires_ns=T0 + 999 * DAY)

    def typed(*words: object) -> int:
        return checkvalve.main(["recommendation", file, *map(str, words)])

    assert typed() == 0
    assert "no recommendation was answered here yet" in capsys.readouterr().out
    assert typed(path) == 0
    assert "holding:0" in capsys.readouterr().out
    assert typed(path, "--accept") == 2
    assert typed(path, "--accept", "--reject", "--why", WHY) == 2
    assert typed(path, "--why", WHY) == 2
    capsys.readouterr()
    assert typed(path, "--accept", "--why", WHY, "--json") == 0
    assert json.loads(capsys.readouterr().out)["by"].startswith("anna (as ")
    assert typed() == 0
    assert "pump-7: accepted by anna (as " in capsys.readouterr().out
    path.write_bytes(path.read_bytes().replace(b"1380", b"9999"))
    assert typed(path) == 1
    told = capsys.readouterr()
    assert "is not to be believed" in told.err
    assert "9999" not in told.out + told.err


MODBUS = """
[[asset]]
name = "pump-7"
collector = "modbus"
url = "tcp://127.0.0.1:1"
[[asset.scan]]
every = "1s"
tags = [ { name = "speed", at = "holding:0", type = "float32" } ]
"""
