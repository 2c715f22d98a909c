"""Laws of an output that begins with the history: all that was kept, then the journal; no gap, nothing twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from history_blocks import never, shrink
from journal_blocks import Journal, Reading, Source
from stream_records import low_side, records

from protocol.content.catalog import meaning_of
from protocol.process.statusfile import read_status
from protocol.store.index import Segment
from protocol.store.resync import Place
from receiver import config as configuration
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, Output, StateBody
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.influx.lines import LineWriter
from receiver.outputs.scope import Scope
from receiver.publish import history_feed
from receiver.publish.alarm import loss_ahead
from receiver.publish.journal_room import JournalRoom
from receiver.publish.process import OutputProcess
from receiver.settings import RetentionTable


class Memory(Output):
    """Keeps what it was handed together with the place, as an output must; knows blocks by stream and number."""

    kind = "memory"

    def __init__(self) -> None:
        self.stored: bytes | None = None
        self.blocks: list[OpenedBlock] = []
        self.twice: list[tuple[bytes, int]] = []
        self.lines = LineWriter()

    def place(self) -> bytes | None:
        return self.stored

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        known = {(one.stream.key, one.number) for one in self.blocks}
        self.twice += [(one.stream.key, one.number) for one in blocks if (one.stream.key, one.number) in known]
        self.blocks += [one for one in blocks if (one.stream.key, one.number) not in known]
        self.stored = place
        for one in blocks:
            self.lines.lines(one)  # it knows tags by stream and id, and trips where one means two things

    def status(self) -> Mapping[str, Any]:
        return {"trouble": ""}

    def close(self) -> None:
        pass

    def samples(self) -> Counter[tuple[Any, ...]]:
        """Every sample that it holds: block, tag, time, value, quality, and when it came."""
        return samples(self.blocks)


def samples(blocks: Sequence[OpenedBlock]) -> Counter[tuple[Any, ...]]:
    """Every sample of these blocks."""
    return Counter(
        (
            *(one.stream.key, one.stream.boot, one.number, one.healed, one.received_ns // 10**6),
            *meaning_of(one.stream.tags[row.tag]),
            *(row.time_ns, row.value, row.quality, row.native, row.other_ns),
        )
        for one in blocks
        if isinstance(one.body, BatchBody)
        for row in one.body.columns.rows()
    )


@pytest.fixture
def low(tmp_path: Path) -> configuration.ReceiverConfig:
    """A low side with keys and nothing in its state."""
    return low_side(tmp_path)


@pytest.fixture
def lived(low: configuration.ReceiverConfig, monkeypatch: pytest.MonkeyPatch) -> tuple[Journal, list[OpenedBlock]]:
    """Two streams, in a history and in a journal of six segments, and all that was opened of them."""
    shrink(monkeypatch)
    monkeypatch.setattr(history_feed, "WINDOW_ROWS", 24)
    monkeypatch.setattr(history_feed, "INDEX_CHUNKS", 50)
    journal = Journal(low.journal)
    for number, one in enumerate([*records(Source(), 90), *records(Source(b"stream-b", boot=9), 90)]):
        if number and number % 30 == 0:
            journal.next_segment()
        journal.append([one])
    reading = Reading(low.journal)
    reading.read()
    history = HistorianOutput(low.state / "history", wait=never)
    for at in range(0, len(reading.blocks), 7):
        history.take(reading.blocks[at : at + 7], b"{}")
    history.close()
    return journal, reading.blocks


def retain(journal: Journal, *segments: int) -> None:
    """Retention takes these."""
    for one in segments:
        journal.path(one).unlink()


def process(low: configuration.ReceiverConfig, output: Output, scope: Scope | None = None) -> OutputProcess:
    """One that begins with the history."""
    return OutputProcess(low, "memory", output, scope or Scope(), begin="history")


def run(one: OutputProcess, steps: int = 100_000) -> bool:
    """Hand over until there is nothing more, or so often; whether it came to its end."""
    return any(not (one._hand_over() or one._feed(0.0)) for _ in range(steps))


def wanted(blocks: Sequence[OpenedBlock], kind: type = BatchBody) -> list[OpenedBlock]:
    return [one for one in blocks if isinstance(one.body, kind)]


def close(one: OutputProcess) -> None:
    one._opener.close()
    if one._history is not None:
        one._history.close()


@pytest.mark.parametrize("gone", [(), (1, 2, 3), (1, 2, 3, 4, 5)])
def test_an_output_that_begins_has_every_sample_once(
    low: configuration.ReceiverConfig, lived: tuple[Journal, list[OpenedBlock]], gone: tuple[int, ...]
) -> None:
    """Whatever of the journal is gone: block for block as it was, with states and events, under its own number."""
    journal, blocks = lived
    retain(journal, *gone)
    output = Memory()
    one = process(low, output)
    assert run(one)
    assert output.samples() == samples(blocks)
    for kind in (StateBody, EventBody):
        assert sorted((one.number, repr(one.body)) for one in wanted(output.blocks, kind)) == sorted(
            (one.number, repr(one.body)) for one in wanted(blocks, kind)
        )
    one._say()
    told = read_status(low.state, "memory")
    assert told is not None
    assert (told["history"]["done"], told["history"]["blocks_left"], told["warnings"]) == (True, 0, [])
    close(one)


def test_only_the_oldest_segment_of_the_journal_may_come_from_both(
    low: configuration.ReceiverConfig, lived: tuple[Journal, list[OpenedBlock]]
) -> None:
    """Retention may take that one before it is read; all other blocks come once."""
    retain(lived[0], 1, 2)
    output = Memory()
    run(one := process(low, output))
    assert {number for _, number in output.twice} <= set(range(60, 90))
    assert {key for key, _ in output.twice} == {b"stream-a"}
    close(one)


@pytest.mark.parametrize("seed", range(3))
def test_a_feed_that_is_killed_goes_on_where_it_was(
    low: configuration.ReceiverConfig, lived: tuple[Journal, list[OpenedBlock]], seed: int
) -> None:
    """At any hand-over, while the journal loses its oldest segments and goes on: every sample, and few blocks again."""
    journal, blocks = lived
    chance = random.Random(seed)
    retain(journal, 1, 2)
    output = Memory()
    gone, done = 2, False
    for _ in range(1000):
        one = process(low, output)
        done = run(one, chance.randrange(1, 12))
        close(one)
        if done:
            break
        if chance.random() < 0.2 and gone < 5 and output.stored is not None and b'"at":[6' in output.stored:
            gone += 1
            retain(journal, gone)
    assert done
    assert output.samples() == samples(blocks)


def test_what_retention_takes_unread_of_the_journal_comes_from_the_history(
    low: configuration.ReceiverConfig, lived: tuple[Journal, list[OpenedBlock]]
) -> None:
    """The plan is made anew, and blocks that the output has are known to it."""
    journal, blocks = lived
    output = Memory()
    one = process(low, output)
    one._hand_over()
    retain(journal, 1, 2, 3, 4)
    assert run(one)
    assert output.samples() == samples(blocks)
    close(one)


def test_what_retention_takes_unread_is_said_aloud_and_not_forgotten(
    low: configuration.ReceiverConfig, lived: tuple[Journal, list[OpenedBlock]]
) -> None:
    """An alarm with the next step while the process runs, a warning after each restart; a new output skips nothing."""
    journal, _ = lived
    retain(journal, 1)
    output = Memory()
    one = OutputProcess(low, "memory", output, Scope())
    one._hand_over()
    one._say()
    told = read_status(low.state, "memory")
    assert told is not None
    assert told["alarms"] == []
    retain(journal, 2, 3, 4)
    while one._hand_over():
        pass
    one._say()
    told = read_status(low.state, "memory")
    assert told is not None
    (line,) = told["alarms"]
    assert line.startswith("2 segments of the journal went by retention before they were read")
    assert 'begin = "history"' in line
    close(one)
    again = OutputProcess(low, "memory", output, Scope())
    again._hand_over()
    assert any(line.startswith("2 segments of the journal") for line in again._warnings())
    assert again._opener.skipped == 2
    close(again)


def test_an_output_that_is_far_behind_is_told_what_it_will_lose(tmp_path: Path) -> None:
    """By size and by age, whichever is nearer; and a journal that its size cuts early is a warning."""
    journal = Journal(tmp_path / "journal")
    for _ in range(9):
        with journal.path(journal.segment).open("ab") as file:
            file.truncate(10_000_000)
        journal.next_segment()
    for number in range(1, 11):
        told = Segment(number, size=10_000_000, born_s=number * 86400.0).to_bytes()
        (tmp_path / f"journal/segments/{number:010d}.idx").write_bytes(told)
    room = JournalRoom.look(journal.folder)
    assert JournalRoom.look(journal.folder, room) == room
    large = RetentionTable(journal="90d", max_gb=0.1)  # type: ignore[arg-type]
    assert round(room.used(Place(5, 0), large), 2) == 0.5
    small = RetentionTable(journal="10d", max_gb=10.0)  # type: ignore[arg-type]
    assert round(room.used(Place(2, 0), small), 2) == 0.8
    assert loss_ahead(0.49) == ""
    assert "80 % of what the journal keeps" in loss_ahead(0.8)
    assert room.warning(small) is None
    line = room.warning(RetentionTable(journal="90d", max_gb=0.09))  # type: ignore[arg-type]
    assert line is not None
    assert line.startswith("the journal holds 9.0 days of running time, not the 90")


def test_an_output_is_given_of_the_history_what_it_may_see(
    low: configuration.ReceiverConfig, lived: tuple[Journal, list[OpenedBlock]]
) -> None:
    """Nothing of another vendor's asset: no sample, no state, no event."""
    journal, blocks = lived
    retain(journal, 1, 2, 3)
    output = Memory()
    one = process(low, output, Scope(vendors=frozenset({"Acme"})))
    assert run(one)
    assert output.samples() == Counter({key: n for key, n in samples(blocks).items() if key[5] == "pump"})
    assert not wanted(output.blocks, EventBody)
    assert len(wanted(output.blocks, StateBody)) == len(wanted(blocks, StateBody))
    close(one)


def test_streams_of_which_the_journal_knows_nothing_any_more_are_handed_over(
    low: configuration.ReceiverConfig, lived: tuple[Journal, list[OpenedBlock]]
) -> None:
    """Their tags are numbered above all that a stream can use."""
    journal, blocks = lived
    retain(journal, 1, 2, 3)
    (low.journal / f"kept/{b'stream-a'.hex()}.seg").unlink()
    output = Memory()
    one = process(low, output)
    assert run(one)
    assert output.samples() == samples(blocks)
    close(one)


def test_without_a_history_the_journal_is_followed_as_ever(low: configuration.ReceiverConfig) -> None:
    """A fresh low side: there is nothing to begin with."""
    journal = Journal(low.journal)
    journal.append(records(Source(), 30))
    output = Memory()
    one = process(low, output)
    assert run(one)
    assert len(output.blocks) == 30
    close(one)


def test_a_chunk_that_cannot_be_read_is_told_and_everything_else_is_handed_over(
    low: configuration.ReceiverConfig, lived: tuple[Journal, list[OpenedBlock]], damaged: Callable[[Path], int]
) -> None:
    """The count of chunks, and how to see which."""
    journal, blocks = lived
    retain(journal, 1, 2, 3)
    lost = damaged(low.state / "history")
    output = Memory()
    one = process(low, output)
    assert run(one)
    assert (samples(blocks) - output.samples()).total() == lost
    assert any("1 chunks of the history" in line for line in one._warnings())
    close(one)


@pytest.fixture
def damaged() -> Callable[[Path], int]:
    """Damages a chunk of the first stream's first blocks; returns how many samples it held."""

    def damage(folder: Path) -> int:
        import sqlite3

        (month,) = folder.glob("20*.db")
        with sqlite3.connect(month) as connection:
            connection.execute("UPDATE body SET body = CAST(substr(body, 1, 20) || x'00' AS BLOB) WHERE id = 1")
            (count,) = connection.execute("SELECT n FROM chunk WHERE id = 1").fetchone()
        connection.close()
        return int(count)

    return damage
