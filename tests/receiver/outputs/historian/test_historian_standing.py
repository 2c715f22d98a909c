"""Laws of what stands of alarms: the sender's order decides, whatever came when and how often."""

from __future__ import annotations

import itertools
import random
import sqlite3
from pathlib import Path

import pytest
from history_blocks import ALL, ASSETS, BOOT, SECOND, T0, TAGS, batch, block, opened, shrink, stream

from protocol.content.catalog import Page
from protocol.content.sample import Row
from receiver.outputs.base import EventBody, OpenedBlock, StateBody, StreamDescription, TallyBody
from receiver.outputs.historian.events import event_search
from receiver.outputs.historian.events.event_search import EventQuestion
from receiver.outputs.historian.events.standing_alarms import StandingAlarms
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.schema import current_path
from receiver.outputs.historian.views import Scope

TRIP, LOW, BIT = ("pump-7", "trip", "T-1"), ("pump-7", "oil", "A-7"), ("relay-2", "word", "")
LATER = stream(b"later---", BOOT + 1)


def said(
    number: int, what: tuple[str, str, str], state: str, *, of: StreamDescription | None = None, text: str = "words"
) -> OpenedBlock:
    """A word about an alarm, in the block of that number; its source's clock runs backwards, so it orders nothing."""
    asset, source, code = what
    event = EventBody(
        asset=asset,
        source=source,
        time_ns=T0 - number * SECOND,
        severity=900 if what == TRIP else 500,
        code=code,
        text=text,
        state=state,
        sequence=number,
    )
    return block(of or stream(), number, event)


def pages() -> list[OpenedBlock]:
    return [block(stream(), 0, Page(index=0, assets=ASSETS, tags=TAGS))]


def stands(folder: Path, scope: Scope = ALL) -> StandingAlarms:
    door = Door(folder, scope)
    try:
        return door.standing(100)
    finally:
        door.close()


def named(found: StandingAlarms) -> list[tuple[str, str, str]]:
    return [(one.event.source, one.event.text, one.event.state) for one in found.alarms]


STORY = [
    said(1, TRIP, "active"),
    said(2, LOW, "active"),
    said(3, TRIP, "acked"),
    said(4, LOW, "cleared"),
    said(5, TRIP, "cleared"),
    said(6, TRIP, "active"),
    said(7, LOW, ""),
]


@pytest.mark.parametrize("seed", range(8))
def test_what_stands_is_the_newest_word_by_the_senders_order(seed: int, tmp_path: Path) -> None:
    """Late, out of order, twice, over restarts of the historian: the same stands as if all had come in order."""
    chance = random.Random(seed)
    blocks = [*STORY, *chance.sample(STORY, 3)]
    chance.shuffle(blocks)
    output = opened(tmp_path)
    output.take(pages(), b"0")
    for one in blocks:
        if chance.random() < 0.3:
            output.close()
            output = opened(tmp_path)
        output.take([one], b"x")
    found = stands(tmp_path)
    output.close()
    assert named(found) == [("trip", "words", "active")]
    assert (found.total, found.alarms[0].raised_ns, found.alarms[0].event.sequence) == (1, T0 - 6 * SECOND, 6)
    assert stands(tmp_path) == found, "a restart changes nothing"


def test_every_order_of_three_words_ends_alike(tmp_path: Path) -> None:
    """An alarm that was acknowledged was raised when it was raised, also where that is heard of last."""
    for at, order in enumerate(itertools.permutations((STORY[0], STORY[2]))):
        output = opened(tmp_path / str(at))
        output.take(pages(), b"0")
        for one in order:
            output.take([one], b"x")
        (only,) = stands(tmp_path / str(at)).alarms
        output.close()
        assert (only.event.state, only.raised_ns) == ("acked", T0 - 1 * SECOND)


def test_alarms_without_a_code_are_told_apart_by_their_words(tmp_path: Path) -> None:
    """Two bits of one word without codes: the end of one does not end the other."""
    output = opened(tmp_path)
    output.take(pages(), b"0")
    output.take([said(1, BIT, "active", text="overspeed"), said(2, BIT, "active", text="oil")], b"1")
    output.take([said(3, BIT, "cleared", text="oil")], b"2")
    assert named(stands(tmp_path)) == [("word", "overspeed", "active")]
    output.close()


def test_what_stands_outlives_its_event_and_what_is_over_does_not(tmp_path: Path) -> None:
    """Retention takes events by age; a trip that nobody ended is still a trip."""
    output = opened(tmp_path)
    output.take(pages(), b"0")
    output.take([said(1, TRIP, "active"), said(2, LOW, "active"), said(3, LOW, "cleared")], b"1")
    for hour in range(12):
        output.retain(T0 + hour * 3600 * SECOND, 7200.0)
    door = Door(tmp_path, ALL)
    assert door.events(10) == []
    assert named(door.standing(10)) == [("trip", "words", "active")]
    door.close()
    output.close()
    with sqlite3.connect(current_path(tmp_path)) as connection:
        assert connection.execute("SELECT count(*) FROM standing").fetchone() == (1,)


def test_what_stands_outlives_a_damaged_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The months' copies have it: its event may be gone from history and journal."""
    shrink(monkeypatch)
    output = opened(tmp_path)
    output.take(pages(), b"0")
    rows = [Row(0, T0 + at * SECOND, float(at)) for at in range(3000)]
    output.take([said(1, TRIP, "active"), block(stream(), 2, batch(rows))], b"1")
    for hour in range(12):
        output.retain(T0 + hour * 3600 * SECOND, 7200.0)
    output.take([block(stream(), 3, batch([Row(0, T0 + at * SECOND, float(at)) for at in range(3000, 6000)]))], b"2")
    before = named(stands(tmp_path))
    output.close()
    assert list(tmp_path.glob("*-*.db"))
    current_path(tmp_path).write_bytes(b"no database at all" * 1000)
    output = opened(tmp_path)
    assert output.begun_again()
    output.close()
    assert named(stands(tmp_path)) == before == [("trip", "words", "active")]


def test_a_history_of_before_knows_what_stands_at_its_next_opening(tmp_path: Path) -> None:
    """The table is made from the events that are there; until then nothing is said to stand."""
    output = opened(tmp_path)
    output.take([*pages(), *STORY], b"1")
    before = stands(tmp_path)
    output.close()
    with sqlite3.connect(current_path(tmp_path)) as connection:
        connection.execute("DROP TABLE standing")
        connection.execute("DELETE FROM meta WHERE key = 'standing'")
    assert stands(tmp_path).total == 0
    opened(tmp_path).close()
    assert stands(tmp_path) == before


def test_what_an_earlier_build_wrote_meanwhile_stands_at_the_next_opening(tmp_path: Path) -> None:
    """It stores events and knows no such table: what it saw raised stands afterwards, what it saw end is over."""
    output = opened(tmp_path)
    output.take([*pages(), *STORY[:2]], b"1")
    output.close()
    with sqlite3.connect(current_path(tmp_path)) as connection:
        before = [list(connection.execute(f"SELECT * FROM {table} ORDER BY 1")) for table in ("standing", "meta")]
    output = opened(tmp_path)
    output.take(STORY[2:5], b"2")
    now = stands(tmp_path)
    output.close()
    with sqlite3.connect(current_path(tmp_path)) as connection:
        connection.execute("DELETE FROM standing")
        for row in before[0]:
            connection.execute(f"INSERT INTO standing VALUES ({', '.join('?' * len(row))})", row)
        (noted,) = (value for key, value in before[1] if key == "standing")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'standing'", (noted,))
    assert named(stands(tmp_path)) == [("trip", "words", "active"), ("oil", "words", "active")]
    opened(tmp_path).close()
    assert stands(tmp_path) == now
    assert not now.alarms


def test_an_alarm_of_an_earlier_start_says_how_long_the_later_one_has_not_told_it(tmp_path: Path) -> None:
    """After a start the sender tells anew what is active: what it does not tell may be over, once the asset is read."""
    output = opened(tmp_path)
    output.take([*pages(), said(1, TRIP, "active"), said(2, BIT, "active")], b"1")
    output.take([block(LATER, 0, Page(index=0, assets=ASSETS, tags=TAGS))], b"2")
    assert {(one.event.source, one.earlier_start, one.unsaid_s) for one in stands(tmp_path).alarms} == {
        ("trip", True, None),
        ("word", True, None),
    }
    output.take(
        [
            block(LATER, 1, StateBody(asset="pump-7", time_ns=T0, what="up", text="")),
            said(2, BIT, "active", of=LATER),
            block(LATER, 3, TallyBody(time_ns=T0 + 90 * SECOND, number=3, assets={"pump-7": (1, 1)})),
        ],
        b"3",
    )
    assert {(one.event.source, one.earlier_start, one.unsaid_s) for one in stands(tmp_path).alarms} == {
        ("trip", True, 90.0),
        ("word", False, None),
    }
    output.close()


@pytest.mark.parametrize(
    ("scope", "sources"),
    [
        (Scope(vendors=frozenset({"Acme"})), {"trip", "word"}),
        (Scope(assets=frozenset({"relay-2"})), {"word"}),
        (Scope(vendors=frozenset({"Nobody"})), set()),
        (Scope(tags=frozenset({("pump-7", "oil")})), {"word"}),
    ],
    ids=["vendor", "asset", "nobody", "tags"],
)
def test_what_stands_outside_the_scope_is_not_told(scope: Scope, sources: set[str], tmp_path: Path) -> None:
    """Neither an alarm nor the count of them."""
    output = opened(tmp_path)
    output.take([*pages(), said(1, TRIP, "active"), said(2, BIT, "active")], b"1")
    found = stands(tmp_path, scope)
    door = Door(tmp_path, scope)
    assert {one.source for one in door.find_events(EventQuestion()).events} == sources
    door.close()
    output.close()
    assert ({one.event.source for one in found.alarms}, found.total) == (sources, len(sources))


QUESTIONS = [
    (EventQuestion(), [7, 6, 5, 4, 3, 2, 1]),
    (EventQuestion(states=frozenset({"active"})), [6, 2, 1]),
    (EventQuestion(severity=800), [6, 5, 3, 1]),
    (EventQuestion(text="OIL"), [7, 4, 2]),
    (EventQuestion(text="pump"), [7, 6, 5, 4, 3, 2, 1]),
    (EventQuestion(text="a-7"), [7, 4, 2]),
    (EventQuestion(asset="relay-2"), []),
    (EventQuestion(asset="nobody"), []),
    (EventQuestion(from_ns=T0 - 4 * SECOND, to_ns=T0 - 2 * SECOND), [4, 3]),
]


@pytest.mark.parametrize(("asked", "numbers"), QUESTIONS, ids=range(len(QUESTIONS)))
def test_events_are_found_by_what_is_asked(
    asked: EventQuestion, numbers: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By state, gravity, words, asset and time, newest first; it is told where not all were looked at."""
    output = opened(tmp_path)
    output.take([*pages(), *STORY], b"1")
    door = Door(tmp_path, ALL)
    found = door.find_events(asked)
    assert ([one.sequence for one in found.events], found.after, found.whole) == (numbers, None, True)
    monkeypatch.setattr(event_search, "LOOKED", 3)
    assert door.find_events(asked).whole == (asked.asset == "nobody"), "there is nothing of it to look through"
    door.close()
    output.close()


def test_pages_of_events_join_without_a_hole(tmp_path: Path) -> None:
    """Asking on after the last one gives each event once."""
    output = opened(tmp_path)
    output.take([*pages(), *STORY], b"1")
    door = Door(tmp_path, ALL)
    numbers, asked = [], EventQuestion(limit=3)
    while True:
        found = door.find_events(asked)
        numbers.append([one.sequence for one in found.events])
        if found.after is None:
            break
        asked = EventQuestion(limit=3, before=found.after)
    door.close()
    output.close()
    assert numbers == [[7, 6, 5], [4, 3, 2], [1]]
