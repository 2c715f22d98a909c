"""Laws of sessions: a recording is not the present, and only what the sender signed opens anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from link_sender import WALL_NS, Low, Pair, Sender, key_files, totals

from protocol import keys
from protocol.errors import ConfigError
from protocol.wire import announce
from receiver.catch.store import floors
from receiver.catch.store.floors import AcceptRequest, Floors
from receiver.commands import accept

DAY_NS = 24 * 3600 * 10**9


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Keys of both sides."""
    return key_files(tmp_path_factory.mktemp("keys"))


def test_a_link_said_again_is_compared_and_counted(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time and after nothing is verified; each is a received frame."""
    checked: list[bytes] = []
    real = announce.check_link

    def counting(datagram: bytes, *rest: object) -> object:
        checked.append(datagram)
        return real(datagram, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(announce, "check_link", counting)
    sender, low = Sender(pair), Low(pair)
    low.receive(*[sender.link()] * 3)
    for _ in range(47):
        low.wait(1.0)
        low.receive(sender.link())
    assert len(checked) == 1
    assert low.sessions.totals()[1] == 50
    assert low.refused == {}


def test_the_keys_of_the_last_two_sessions_are_kept(pair: Pair) -> None:
    """Frames under way at a change of session still count; those of the session before do not."""
    sender, low = Sender(pair), Low(pair)
    stream = sender.stream()
    old = []
    for number in range(3):
        low.receive(sender.link())
        old.append(sender.shards(stream, number))
        sender.renew()
    low.receive(*old[1], *old[2])
    assert {number for _, number in low.blocks()} == {1, 2}
    low.receive(*old[0])
    assert {number for _, number in low.blocks()} == {1, 2}
    assert len(low.intake.gather.waiting) == 5
    assert len(low.sessions.known) == 2


def test_totals_go_on_over_sessions(pair: Pair) -> None:
    """Frames of sessions whose keys are gone still count as sent and received."""
    sender, low = Sender(pair), Low(pair)
    sent = 0
    for _ in range(4):
        low.receive(sender.link(), sender.beat())
        sent += sender.frames
        sender.renew()
    assert low.sessions.totals()[:2] == (sent, sent)


def test_a_link_below_the_floor_is_an_old_one(pair: Pair) -> None:
    """A recorded session is refused once a newer was accepted, also after a restart from the file."""
    recorded = Sender(pair, seed=1, boot=1000)
    present = Sender(pair, seed=2, boot=2000)
    low = Low(pair)
    low.receive(recorded.link(), present.link(), recorded.link())
    assert low.refused == {"floor": 1}
    assert low.sessions.current is not None
    assert low.sessions.current.number == present.session
    again = Low(pair, floors=low.sessions.floors)
    again.receive(recorded.link())
    assert again.refused == {"floor": 1}
    assert "below the floor" in again.status()["warnings"][0]
    again.receive(present.link())
    assert again.sessions.current is not None
    assert again.status()["warnings"] == []


def test_a_beat_must_stand_above_its_floor(pair: Pair) -> None:
    """The very beat again, or one from before, says nothing; the floor outlives sessions and restarts."""
    sender, low = Sender(pair), Low(pair)
    stream = sender.stream()
    low.receive(sender.link())
    first = sender.beat([totals(stream, 3)])
    second = sender.beat([totals(stream, 5)])
    low.receive(second, first, second)
    assert low.refused == {"floor": 2}
    low.wait(0.2)
    assert low.status()["blocks"]["missing"] == 5
    again = Low(pair, floors=low.sessions.floors)
    again.receive(sender.link(), second)
    assert again.refused == {"floor": 1}
    again.receive(sender.beat())
    assert again.refused == {"floor": 1}


def test_links_for_others_and_from_strangers_are_refused(pair: Pair, tmp_path: Path) -> None:
    """Another receiver's key id, a signer nobody named, a changed signature, a changed sealed key."""
    other = key_files(tmp_path)
    low, sender = Low(pair), Sender(pair)
    stranger = announce.make_link(5, 2000, 0, bytes(32), pair.own.public, other.signer)
    for_other = announce.make_link(5, 2000, 0, bytes(32), other.own.public, pair.signer)
    link = sender.link()
    low.receive(stranger, for_other)
    assert low.refused == {"key": 1, "receiver": 1}
    low.receive(link[:130] + bytes([link[130] ^ 1]) + link[131:], link[:50] + bytes([link[50] ^ 1]) + link[51:])
    assert low.refused == {"key": 1, "receiver": 1, "signature": 2}
    assert low.sessions.known == {}
    assert low.sessions.floors == Floors()


def test_a_receiver_that_is_missing_from_the_senders_list_knows_it_by_the_signature(pair: Pair, tmp_path: Path) -> None:
    """Only LINKs that the known sender signed say so, one a second is looked at, and the advice ends with them."""
    others = [key_files(tmp_path / name).own.public for name in ("one", "two", "three")]
    for before in (False, True):  # never heard; or heard until the sender was started with another list
        sender, low = Sender(pair), Low(pair)
        if before:
            low.receive(sender.link(), sender.beat())
            low.wait(10.0)
            sender.renew()
        said = [announce.make_link(sender.session, 1000, 1, sender.key, one, sender.signer) for one in others]
        for _ in range(6):
            low.receive(*said)
            low.wait(1.0)
        assert low.refused == {"receiver": 6, "rate": 12}
        (line,) = [one for one in low.status()["warnings"] if "not among [keys] receivers" in one]
        assert "sender.toml" in line
        low.receive(sender.link(), sender.beat(), *said)
        assert not [one for one in low.status()["warnings"] if "[keys]" in one]
        assert low.refused == {"receiver": 6, "rate": 12}, "in the present session they are frames received"


def test_what_only_claims_to_be_the_senders_says_nothing_of_its_list(pair: Pair, tmp_path: Path) -> None:
    """A forged LINK for another receiver is a false signature; a stranger's is of an unknown key and is told so."""
    other, low, sender = key_files(tmp_path), Low(pair), Sender(pair)
    link = announce.make_link(sender.session, 1000, 0, sender.key, other.own.public, pair.signer)
    for at in range(6):
        low.receive(link[:180] + bytes([at, 1, 2, 3]))
        low.wait(1.0)
    assert low.refused == {"signature": 6}
    assert not [one for one in low.status()["warnings"] if "[keys]" in one]
    low.receive(announce.make_link(sender.session, 1000, 0, sender.key, pair.own.public, other.signer))
    low.wait(1.0)
    low.status()
    assert low.refused == {"signature": 6, "key": 1}
    assert [one for one in low.status()["warnings"] if "not in [keys] senders" in one]


def test_a_link_for_the_twin_counts_as_received(pair: Pair, tmp_path: Path) -> None:
    """The sender counts what it says to each receiver; so does each receiver, once the session is known."""
    twin = key_files(tmp_path).own.public
    sender, low = Sender(pair), Low(pair)
    for_twin = announce.make_link(sender.session, 1000, 0, sender.key, twin, sender.signer)
    low.receive(sender.link(), *[for_twin] * 3)
    for _ in range(27):
        low.wait(1.0)
        low.receive(for_twin)
    assert low.sessions.totals()[1] == 31
    assert low.refused == {}
    forged = for_twin[:-1] + bytes([for_twin[-1] ^ 1])
    low.receive(forged)
    assert low.sessions.totals()[1] == 31
    assert low.refused == {"signature": 1}


@pytest.mark.parametrize(("apart", "confirmed"), [(0, True), (-1, True), (1, True), (-1.01, False), (1.01, False)])
def test_without_a_floor_a_day_of_difference_is_unconfirmed(pair: Pair, apart: float, confirmed: bool) -> None:
    """Beats within 24 hours of our clock confirm the session; others do not, and the data are taken all the same."""
    sender, low = Sender(pair), Low(pair)
    stream = sender.stream()
    low.receive(sender.link())
    assert low.status()["link"]["confirmed"] is False
    low.receive(sender.beat([totals(stream, 0)], wall_ns=WALL_NS + int(apart * DAY_NS)), *sender.shards(stream, 0))
    assert low.status()["link"]["confirmed"] is confirmed
    assert len(low.arrivals) == 1
    assert len(low.status()["warnings"]) == (not confirmed)


def test_with_a_confirmed_floor_the_wall_clock_says_nothing(pair: Pair) -> None:
    """1970 or 2040 on either side lose nothing and ask for nobody."""
    sender = Sender(pair, boot=3000)
    low = Low(pair, floors=Floors(link=(2000, 4), beat=(2000, 99), confirmed=True))
    low.receive(sender.link(), sender.beat(wall_ns=0), sender.beat(wall_ns=2_208_988_800 * 10**9))
    assert low.status()["link"]["confirmed"] is True
    assert low.refused == {}


def test_a_person_confirms_the_current_session_only(pair: Pair) -> None:
    """The named session must be the one that is heard."""
    sender, low = Sender(pair), Low(pair)
    low.receive(sender.link(), sender.beat(wall_ns=0))
    low.intake.grant(AcceptRequest(session=sender.session ^ 1))
    assert low.status()["link"]["confirmed"] is False
    low.intake.grant(AcceptRequest(session=sender.session))
    assert low.status()["link"]["confirmed"] is True
    assert low.sessions.floors.confirmed is True


def test_a_person_lowers_a_floor_that_a_restored_sender_cannot_reach(pair: Pair) -> None:
    """Afterwards the lower session is taken, its beats too, and judged as by a receiver without a floor."""
    low = Low(pair, floors=Floors(link=(9000, 0), beat=(9000, 50), confirmed=True))
    sender = Sender(pair, boot=1000)
    low.receive(sender.link(), sender.link())
    assert low.refused == {"floor": 2}
    low.intake.grant(AcceptRequest(lower=True))
    low.receive(sender.link(), sender.beat(wall_ns=WALL_NS - 3 * DAY_NS))
    assert low.status()["link"]["session"] == f"{sender.session:08x}"
    assert low.status()["link"]["confirmed"] is False
    assert low.sessions.floors.link == (1000, 0)
    assert low.sessions.floors.beat == (1000, 1)


def test_floors_are_kept_in_their_file(tmp_path: Path) -> None:
    """What was saved is loaded; a missing file is no floor; one of the version before has been lowered never."""
    told: list[str] = []
    assert floors.load(tmp_path, told.append, wall_ns=0) == Floors()
    for kept in (
        Floors(),
        Floors(link=(2**64 - 1, 3), confirmed=True, lowered=255),
        Floors(link=(1, 2), beat=(3, 4)),
    ):
        floors.save(tmp_path, kept)
        assert floors.load(tmp_path, told.append, wall_ns=0) == kept
    (tmp_path / "floor.json").write_text('{"link": [5, 6], "beat": null, "confirmed": true}')
    assert floors.load(tmp_path, told.append, wall_ns=0) == Floors(link=(5, 6), confirmed=True)
    assert told == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"link": [5, 6], "beat": nu',
        '{"link": [1], "beat": null, "confirmed": true}',
        '{"link": [1, "2"], "beat": null, "confirmed": true}',
        '{"link": [-1, 2], "beat": null, "confirmed": true}',
        '{"link": [1, 1180591620717411303424], "beat": null, "confirmed": true}',
        '{"link": {"a": 1}, "beat": null, "confirmed": true}',
        '{"link": null, "beat": null, "confirmed": 1}',
        '{"link": null, "beat": null, "confirmed": true, "lowered": 256}',
        '{"link": null, "beat": null, "confirmed": true, "lowered": true}',
        '{"link": null, "beat": null, "confirmed": true, "check": "0123456789abcdef"}',
        "[" * 100_000,
        '{"link":' * 50_000,
        "\x00" * 80,
    ],
)
def test_damaged_floors_are_set_aside_and_told_as_if_there_were_none(tmp_path: Path, content: str) -> None:
    """Cut, of other types, nested, zeros: no floor is guessed and nothing stops; the file stays for people."""
    told: list[str] = []
    (tmp_path / "floor.json").write_text(content)
    assert floors.load(tmp_path, told.append, wall_ns=WALL_NS) == Floors()
    assert not (tmp_path / "floor.json").exists()
    assert [path.read_text() for path in tmp_path.glob("floor.json.damaged-*")] == [content]
    assert len(told) == 1


def test_no_flipped_bit_makes_other_floors(tmp_path: Path) -> None:
    """Whichever bit of the file flips: the same floors, or none."""
    kept = Floors(link=(1_700_000_000_000_000, 3), beat=(1_700_000_000_000_000, 77), confirmed=True, lowered=2)
    floors.save(tmp_path, kept)
    path = tmp_path / "floor.json"
    data = path.read_bytes()
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert floors.load(tmp_path, lambda line: None, wall_ns=bit) in (kept, Floors()), f"bit {bit}"


def test_a_lowered_floor_is_counted_and_not_forgotten(tmp_path: Path) -> None:
    """Each lowering, and each confirming of a session that no floor vouched for; after 255 it is refused in words."""
    pair = key_files(tmp_path / "keys")
    low = Low(pair, floors=Floors(link=(9000, 0), beat=(9000, 50), confirmed=True, lowered=3))
    sender = Sender(pair, boot=1000)
    low.intake.grant(AcceptRequest(lower=True))
    assert low.sessions.floors == Floors(lowered=4)
    low.receive(sender.link(), sender.beat(wall_ns=0))
    low.intake.grant(AcceptRequest(session=sender.session))
    low.intake.grant(AcceptRequest(session=sender.session))
    assert (low.sessions.floors.confirmed, low.sessions.floors.lowered) == (True, 5)
    full = Floors(link=(9000, 0), beat=(9000, 50), confirmed=True, lowered=255)
    low = Low(pair, floors=full)
    low.intake.grant(AcceptRequest(lower=True))
    assert low.sessions.floors == full
    assert "255 times" in low.lines[-1]
    floors.save(tmp_path, full)
    with pytest.raises(ConfigError, match="255 times"):
        accept.request_accept(tmp_path, lower=True)


def test_a_request_is_left_and_taken_once(tmp_path: Path) -> None:
    """`accept` leaves it, catch takes it; nonsense in the file is thrown away, nonsense asked for is said."""
    told: list[str] = []

    def take() -> AcceptRequest | None:
        return floors.pop_request(tmp_path, told.append, wall_ns=WALL_NS)

    assert take() is None
    accept.request_accept(tmp_path, session="9F3A 01c2")
    assert take() == AcceptRequest(session=0x9F3A01C2)
    assert take() is None
    accept.request_accept(tmp_path, lower=True)
    assert take() == AcceptRequest(lower=True)
    assert told == []
    wrong_ones = ("", "[1]", '{"session": 5}', '{"session": "xyz"}', "[" * 100_000)
    for count, content in enumerate(wrong_ones):
        (tmp_path / "accept.json").write_text(content)
        assert take() is None
        assert not (tmp_path / "accept.json").exists()
        assert len(told) == count + 1
    (tmp_path / "accept.json").mkdir()
    assert take() is None
    for wrong in ("", "12", "9f3a01c2ff", "zzzzzzzz"):
        with pytest.raises(ConfigError):
            accept.request_accept(tmp_path, session=wrong)
    with pytest.raises(ConfigError):
        accept.request_accept(tmp_path)


def test_frames_without_a_link_that_opens_are_told(pair: Pair) -> None:
    """A sender that was given another receiver's keys is said to be one after three seconds, and not before."""
    sender, low = Sender(pair), Low(pair)
    stream = sender.stream()
    for number in range(5):
        low.receive(*sender.shards(stream, number))
        assert bool(low.status()["warnings"]) is (number > 3), number
        low.wait(1.0)
    assert f"{sender.session:08x}" in low.status()["warnings"][0]
    low.receive(sender.link())
    assert low.status()["warnings"] == []
    assert len(low.arrivals) == 5


def test_another_kind_of_key_signs_no_link(pair: Pair) -> None:
    """The high side's `sign` key is in the same bundle and is not believed here."""
    link = announce.make_link(7, 1000, 0, bytes(32), pair.own.public, keys.load(pair.high, "sign"))
    low = Low(pair)
    low.receive(link)
    assert low.refused == {"key": 1}
