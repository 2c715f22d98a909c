"""A block that is journaled and unpublished for more than a minute calls a person, and says why and what to do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from journal_blocks import OPEN, OTHER_OPEN, OTHER_SIGN, SIGN, T0, Journal, Reading, Source, journal
from portal_plant import Clock, ask, served
from stream_records import low_side

from protocol.process.document import from_json
from protocol.process.statusfile import read_status, write_status
from protocol.store.layout import segment_path
from protocol.store.record import Record
from protocol.store.resync import Place
from receiver import config as configuration
from receiver.commands.cli import _status_lines
from receiver.outputs.base import OpenedBlock, Output
from receiver.outputs.historian.views import Scope as Seen
from receiver.outputs.scope import Scope
from receiver.portal.app import create_app
from receiver.publish.alarm import UNPUBLISHED_S, JournalEnds, StandingTrouble, lag_alarm, waiting_alarms
from receiver.publish.behind import unread_blocks
from receiver.publish.lag_watch import LagWatch
from receiver.publish.process import OutputProcess
from receiver.status.publish import OutputCounters

__all__ = ["journal"]

OWN = OPEN.public.fingerprint[:19]
HOUR_NS = 3600 * 10**9


def _alarms(reading: Reading, since: float = 0.0) -> list[str]:
    return waiting_alarms(reading.opener.waiting_streams(), reading.now, since=since, own=OWN)[0]


def _lacking(what: str) -> list[Record]:
    """A stream without one block."""
    a = Source()
    held = {"OPEN": a.open(), "EPOCH": a.epoch(1), "CATALOG": a.page(2, [0]), "BATCH": a.batch(3, [0])}
    return [one for name, one in held.items() if name != what]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("OPEN", ["3 blocks of stream", "the OPEN of their stream has not come", "checkvalve gaps"]),
        ("EPOCH", ["2 blocks of stream", "(epoch 1)", "checkvalve gaps"]),
        ("CATALOG", ["1 block of stream", "no CATALOG page", "checkvalve gaps"]),
    ],
)
def test_a_block_that_waits_for_more_than_a_minute_is_an_alarm_with_its_reason(
    journal: Journal, what: str, words: Sequence[str]
) -> None:
    """At 60 s of running time it is none yet; it names what is lacking, since when, and the next step."""
    reading = Reading(journal.folder)
    journal.append(_lacking(what))
    reading.read()
    reading.pass_time(UNPUBLISHED_S)
    assert _alarms(reading) == []
    reading.pass_time(0.1)
    (line,) = _alarms(reading)
    for word in [*words, Source().key.hex(), "since 2027-01-15 08:00:00Z"]:
        assert word in line


def test_a_wrong_key_is_told_by_the_fingerprints_of_both(journal: Journal) -> None:
    """The sender's EPOCH names the keys that open it; `keys show` names this side's."""
    journal.append(_lacking(""))
    reading = Reading(journal.folder)
    reading.own, reading.signers = OTHER_OPEN, [SIGN.public]
    reading.start()
    reading.read()
    reading.pass_time(61)
    own = OTHER_OPEN.public.fingerprint[:19]
    (line,) = waiting_alarms(reading.opener.waiting_streams(), reading.now, since=0.0, own=own)[0]
    assert f"sealed for {OPEN.public.fingerprint[:19]}, and the `open` key here is {own}" in line
    assert "keys show" in line
    reading.signers = [OTHER_SIGN.public]
    reading.place = None
    reading.start()
    reading.read()
    reading.pass_time(61)
    (line,) = _alarms(reading)
    assert f"signed with the key {SIGN.public.fingerprint[:19]}" in line


def test_an_alarm_ends_when_the_blocks_open(journal: Journal) -> None:
    """EPOCH comes after two minutes."""
    journal.append(_lacking("EPOCH"))
    reading = Reading(journal.folder)
    reading.read()
    reading.pass_time(120)
    assert len(_alarms(reading)) == 1
    journal.append([Source().epoch(1)])
    reading.read()
    assert _alarms(reading) == []


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS, -T0])
def test_a_wall_clock_that_steps_makes_no_alarm_and_hides_none(journal: Journal, step_ns: int) -> None:
    """While the process runs only its running time counts."""
    reading = Reading(journal.folder)
    journal.append(_lacking("EPOCH"))
    reading.read()
    reading.wall_ns += step_ns
    reading.pass_time(59)
    reading.read()
    assert _alarms(reading) == []
    reading.pass_time(2)
    assert len(_alarms(reading)) == 1


def test_what_waited_over_a_restart_is_an_alarm_at_once(journal: Journal) -> None:
    """Its record says when it was journaled: a process that is restarted every half minute hides nothing."""
    journal.append(_lacking("EPOCH"))
    reading = Reading(journal.folder)
    reading.read()
    for _ in range(4):
        reading.pass_time(30)
        reading.start()
        reading.read()
    assert len(_alarms(reading, since=reading.now)) == 1


def test_what_still_waits_after_others_opened_is_as_old_as_itself(journal: Journal) -> None:
    """A block that came a second ago is no alarm because an older one of its stream waited."""
    a = Source()
    journal.append([a.open(), a.page(2, [0]), a.batch(3, [0])])
    reading = Reading(journal.folder)
    reading.read()
    reading.pass_time(59)
    late = a.batch(4, [7])
    journal.append([Record(**{**{name: getattr(late, name) for name in late.__slots__}, "time_ns": reading.wall_ns})])
    reading.read()
    reading.pass_time(2)
    assert len(_alarms(reading)) == 1
    journal.append([a.epoch(1)])
    reading.read()
    assert reading.opener.waiting == 1
    assert _alarms(reading) == []
    reading.pass_time(60)
    assert len(_alarms(reading)) == 1


# --- an output that stands still --------------------------------------------------------------------------------------


def test_an_output_that_keeps_up_is_never_behind() -> None:
    """The journal grows every second, the output is two seconds after it; and a quiet journal makes nobody late."""
    ends = JournalEnds()
    for now in range(300):
        ends.note(Place(1 + now // 50, 1 + now % 50), float(now))
        at = max(now - 2, 0)
        assert ends.lag_s(Place(1 + at // 50, 1 + at % 50), float(now)) <= 2
    assert ends.lag_s(Place(6, 50), 9999.0) == 0.0


def test_an_output_that_stands_still_is_behind_since_the_journal_grew() -> None:
    """Its place stays while the journal goes on; begun anew, a journal is measured anew."""
    ends = JournalEnds()
    for now in range(0, 200, 10):
        ends.note(Place(1, now), float(now))
    assert ends.lag_s(Place(1, 100), 200.0) == 90.0
    ends.note(Place(1, 7), 210.0)
    assert ends.lag_s(Place(1, 0), 215.0) == 5.0


@pytest.mark.parametrize(
    ("runs", "silent_s", "said", "words"),
    [
        (False, 70.0, {}, "its process ended"),
        (True, 70.0, {}, "says nothing any more"),
        (True, 0.5, {"trouble": "database or disk is full: waiting for space"}, "it says: database or disk is full"),
        (True, 0.5, {"trouble": 5}, "slower than what comes"),
    ],
)
def test_an_output_that_is_behind_is_told_with_its_reason(
    runs: bool, silent_s: float, said: Mapping[str, Any], words: str
) -> None:
    """Dead, stuck, waiting for space or too slow."""
    trouble = from_json(OutputCounters, said).trouble
    assert lag_alarm("vm", 60.0, trouble, runs=runs, silent_s=silent_s) is None
    line = lag_alarm("vm", 61.0, trouble, runs=runs, silent_s=silent_s)
    assert line is not None
    assert line.startswith("vm is behind: what was journaled 61 s ago")
    assert words in line


def test_a_trouble_is_an_alarm_once_it_has_stood_for_a_minute() -> None:
    """Its words may change meanwhile; with a break it begins anew; the line has the reason and the next step."""
    standing = StandingTrouble()
    assert not standing.line("no answer: refused", "start the server", 10.0)
    assert not standing.line("503: busy", "wait", 70.0)
    assert standing.line("503: busy", "Look at its log", 71.0) == "for 61 s: 503: busy. Look at its log"
    assert not standing.line("", "", 72.0)
    assert not standing.line("503: busy", "", 73.0)


def test_what_is_unread_of_a_journal_is_reckoned_by_its_bytes(tmp_path: Path) -> None:
    """Over segments, by the mean of what was read; nothing at the end; never nothing where there is something."""
    segment_path(tmp_path, 1).parent.mkdir()
    for number, size in ((1, 5000), (2, 3000)):
        segment_path(tmp_path, number).write_bytes(bytes(size))
    counted = {"records": 10, "record_bytes": 1000}
    assert unread_blocks(tmp_path, Place(1, 4000), Place(3, 600), **counted) == 46
    assert unread_blocks(tmp_path, Place(3, 599), Place(3, 600), **counted) == 1
    assert unread_blocks(tmp_path, Place(3, 600), Place(3, 600), **counted) == 0
    assert unread_blocks(tmp_path, Place(3, 700), Place(3, 600), **counted) == 0
    assert unread_blocks(tmp_path, Place(1, 0), Place(1, 4000), records=0, record_bytes=0) == 1


# --- the processes ----------------------------------------------------------------------------------------------------


class _Memory(Output):
    """Keeps what it is handed; may go back to the beginning by itself."""

    def __init__(self) -> None:
        self.held: bytes | None = None
        self.more: dict[str, Any] = {}
        self.blocks: list[OpenedBlock] = []
        self.again = False

    def place(self) -> bytes | None:
        return self.held

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        self.blocks += blocks
        self.held = place

    def begun_again(self) -> bool:
        again, self.again = self.again, False
        return again

    def status(self) -> Mapping[str, Any]:
        return {"rows": len(self.blocks), "warnings": ["its own"], **self.more}

    def close(self) -> None:
        return


@pytest.fixture
def low(tmp_path: Path) -> configuration.ReceiverConfig:
    """A low side's folder with keys; the sender's are the tests' own."""
    return low_side(tmp_path)


def test_a_feed_says_its_place_its_warnings_and_where_the_journal_is_damaged(low: configuration.ReceiverConfig) -> None:
    """For publish, for the pages, and for catch, which has the numbers asked for again."""
    journal = Journal(low.journal)
    a = Source()
    journal.append([a.open(), a.epoch(1), a.page(2, [0]), *(a.batch(number, [0]) for number in range(3, 9))])
    journal.flip(5)
    output = _Memory()
    process = OutputProcess(low, "memory", output, Scope())
    while process._hand_over():
        pass
    process._say()
    told = read_status(low.state, "memory")
    assert told is not None
    assert told["place"] == [1, journal.size]
    assert told["damaged"] == 1
    assert told["warnings"][0] == "its own"
    assert "damaged in 1 places" in told["warnings"][1]
    places = json.loads((low.state / "damaged-memory.json").read_text())["places"]
    assert [place[0] for place in places] == [1]
    again = OutputProcess(low, "memory", output, Scope())
    journal.append([a.batch(9, [0])])
    journal.flip(9)
    while again._hand_over():
        pass
    again._say()
    later = json.loads((low.state / "damaged-memory.json").read_text())["places"]
    assert later[:1] == places
    assert len(later) == 2


def test_an_output_says_how_far_its_destination_is_behind(low: configuration.ReceiverConfig) -> None:
    """Counts, scope, blocks and seconds, the trouble and the next step: in its file, by the command, on the page."""
    journal = Journal(low.journal)
    a = Source()
    journal.append([a.open(), a.epoch(1), a.page(2, [0]), *(a.batch(number, [0]) for number in range(3, 9))])
    output = _Memory()
    output.more = {"taken": 9, "acknowledged": 6, "held": 2, "aside": 1, "behind_blocks": 3, "behind_s": 7.5}
    output.more |= {"trouble": "403: no", "next_step": "Renew the token"}
    process = OutputProcess(low, "memory", output, Scope(vendors=frozenset({"Acme"})))
    process._say()
    told = read_status(low.state, "memory")
    assert told is not None
    assert told["behind_blocks"] > 3
    assert (told["scope"], told["alarm"]) == ("vendor Acme", False)
    process._started -= UNPUBLISHED_S + 1
    process._standing._since = process._started
    while process._hand_over():
        pass
    process._say()
    told = read_status(low.state, "memory")
    assert told is not None
    assert (told["behind_blocks"], told["behind_s"], told["alarm"]) == (3, 7.5, True)
    assert told["alarms"][-1].endswith("403: no. Renew the token")
    lines = [line.strip() for line in _status_lines("memory", told)]
    for line in ("samples.aside: 1", "behind: 3 blocks, 7.5 s", "scope: vendor Acme", "next step: Renew the token"):
        assert line in lines
    write_status(low.state, "publish", {"children": {"memory": {}}}, time_ns=time.time_ns())
    with served(create_app(low.state / "history", low.state, Seen(), clock=time.time_ns)) as base:
        page = ask(base + "/").text
    assert "taken 9, acknowledged 6, held 2, set aside 1; behind by 3 blocks" in page
    assert "Renew the token" in page


def test_an_output_that_begins_again_is_fed_from_its_place(low: configuration.ReceiverConfig) -> None:
    """Its store was damaged and made anew: what the journal has comes once more."""
    journal = Journal(low.journal)
    journal.append(_lacking(""))
    output = _Memory()
    process = OutputProcess(low, "memory", output, Scope())
    while process._hand_over():
        pass
    output.held, output.again = None, True
    while process._hand_over():
        pass
    assert [one.number for one in output.blocks] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_publish_sees_an_output_whose_process_is_dead(low: configuration.ReceiverConfig) -> None:
    """The journal grows, the output's status is its last word: an alarm after a minute, gone when it has caught up."""
    journal = Journal(low.journal)
    journal.append(_lacking(""))
    write_status(low.state, "vm", {"place": [1, 0]}, time_ns=T0)
    watch = LagWatch(low, ["vm"])
    assert watch.alarms(1000.0, set()) == []
    assert watch.alarms(1060.0, set()) == []
    (line,) = watch.alarms(1060.1, set())
    assert line.startswith("vm is behind")
    write_status(low.state, "vm", {"place": [1, journal.size]}, time_ns=T0)
    assert watch.alarms(1061.0, {"vm"}) == []


def test_pages_that_are_not_at_their_port_are_told(low: configuration.ReceiverConfig) -> None:
    """publish warns of it, as the portal's own note says: so status, page and doctor do; any damage of it is silent."""
    watch, port, note = LagWatch(low, []), low.portal.listen[1], low.state / "portal.json"
    for there in (b"{", b"[]", b'{"url": 7, "pid": 1}', b'{"url": "http://x:99999/", "pid": 1}'):
        note.write_bytes(there)
        assert watch.warnings() == []
    note.write_text(json.dumps({"url": f"http://127.0.0.1:{port}/", "pid": 1}))
    assert watch.warnings() == []
    note.write_text(json.dumps({"url": f"http://127.0.0.1:{port + 1}/", "pid": 1}))
    (line,) = watch.warnings()
    assert line.startswith(f"another program had the pages' port {port} when they began: they are at http://127.0.0.1")


@pytest.mark.parametrize("place", [None, [1], ["1", 2], {"a": 1}, 7])
def test_an_output_whose_status_is_damaged_counts_as_never_begun(
    low: configuration.ReceiverConfig, place: object
) -> None:
    """Whatever stands in the file."""
    Journal(low.journal).append(_lacking(""))
    write_status(low.state, "vm", {"place": place}, time_ns=T0)
    watch = LagWatch(low, ["vm"])
    watch.alarms(0.0, {"vm"})
    assert len(watch.alarms(61.0, {"vm"})) == 1


def test_an_alarm_turns_healthz_to_503_and_stands_on_every_page(tmp_path: Path) -> None:
    """A monitor looks at the status code; a person at the page."""
    clock = Clock()
    state = tmp_path / "state"
    state.mkdir()

    def say(alarms: Sequence[str] = (), *, historian: Sequence[str] = ()) -> None:
        for name, told in (("catch", {}), ("publish", {"alarms": alarms}), ("historian", {"alarms": historian})):
            write_status(state, name, told, time_ns=clock.now_ns)

    def health(scope: Seen) -> tuple[int | None, list[str]]:
        with served(create_app(tmp_path / "history", state, scope, clock=clock)) as base:
            answer = ask(base + "/healthz")
            page = ask(base + "/").text
            for line in answer.json["alarms"]:
                assert line in page
            return answer.status, answer.json["alarms"]

    say()
    assert health(Seen())[1] == []
    say(["vm is behind: x"], historian=["3 blocks wait"])
    assert health(Seen()) == (503, ["vm is behind: x", "historian: 3 blocks wait"])
    assert health(Seen(vendors=frozenset({"Acme"})))[1] == ["historian: 3 blocks wait"]
    clock.move(61)
    status, lines = health(Seen())
    assert status == 503
    assert lines[0].startswith("catch does not run: its last report is")
