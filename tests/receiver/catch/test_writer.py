"""Laws of the writing thread: bounded, never waited for, and nothing it took is lost while the disk can be written."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import StoreError
from protocol.limits import QUEUE_BLOCKS
from protocol.process.statusfile import write_status
from protocol.store.reader import walk
from protocol.store.record import How
from receiver.catch.intake import Arrival
from receiver.catch.store import floors
from receiver.catch.store import writer as module
from receiver.catch.store.floors import AcceptRequest, Floors
from receiver.catch.store.journal import Journal
from receiver.catch.store.writer import WritingThread, in_ascii
from receiver.commands import accept

S = b"stream-1"


def until(done: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.005)


def arrival(number: int, *, size: int = 100, how: How = How.WHOLE, stream: bytes = S) -> Arrival:
    """A block that is complete."""
    block = b"CB\x01\x03" + stream + number.to_bytes(8, "big") + bytes(size)
    return Arrival(stream, number, 3, 2, how, 1_000 + number, block)


def new(state: Path) -> WritingThread:
    """A writer that was not started."""
    journal = Journal(state, keep_s=1e9, most_bytes=1e12, now=time.monotonic())
    return WritingThread(journal, clock=time.monotonic, wall=time.time_ns)


def journaled(state: Path) -> list[tuple[int, int, int]]:
    """(number, how, time) of what is in the journal."""
    out: list[tuple[int, int, int]] = []
    walk(state / "journal", lambda _, one: out.append((one.number, one.how, one.time_ns)))
    return out


def told(state: Path) -> dict[str, Any]:
    """The status, empty before the first."""
    path = state / "status-catch.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def shown(writer: WritingThread, state: Path) -> list[str]:
    """The warnings of a status that was written now."""
    before = told(state).get("time_ns")
    writer.show({"warnings": []})
    until(lambda: told(state).get("time_ns") != before)
    warnings: list[str] = told(state)["warnings"]
    return warnings


def fail_with(number: int) -> Callable[..., int]:
    """A write that fails so."""

    def failing(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return failing


def test_what_was_put_is_journaled_in_order(tmp_path: Path) -> None:
    """Each with its class and time, also what was put right before the end."""
    writer = new(tmp_path)
    writer.start()
    assert all(writer.put(arrival(number, how=How(number % 3))) for number in range(500))
    writer.stop()
    assert writer.failure is None
    assert journaled(tmp_path) == [(number, number % 3, 1000 + number) for number in range(500)]


def test_a_full_queue_refuses_and_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond 4,096 blocks, or beyond its bytes, `put` says no at once; what was taken is written all the same."""
    writer = new(tmp_path)
    taken = [writer.put(arrival(number)) for number in range(QUEUE_BLOCKS + 50)]
    assert taken == [True] * QUEUE_BLOCKS + [False] * 50
    writer.start()
    writer.stop()
    assert len(journaled(tmp_path)) == QUEUE_BLOCKS
    monkeypatch.setattr(module, "QUEUE_BYTES", 10_000)
    other = new(tmp_path / "other")
    assert [other.put(arrival(number, size=3980)) for number in range(4)] == [True, True, False, False]
    other.start()
    until(lambda: len(journaled(tmp_path / "other")) == 2)
    until(lambda: other.put(arrival(9, size=3980)))
    other.stop()


def test_a_full_disk_holds_the_queue_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost while it lasts; when there is room again everything is written."""
    real = os.pwrite
    writer = new(tmp_path)
    writer.start()
    monkeypatch.setattr(os, "pwrite", fail_with(errno.ENOSPC))
    for number in range(20):
        assert writer.put(arrival(number))
    until(lambda: shown(writer, tmp_path) != [])
    assert "disk is full" in told(tmp_path)["warnings"][0]
    monkeypatch.setattr(os, "pwrite", real)
    until(lambda: len(journaled(tmp_path)) == 20)
    until(lambda: shown(writer, tmp_path) == [])
    writer.stop()
    assert writer.failure is None


def test_a_full_disk_can_still_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no new file can be made the status goes into the room of the old one, shorter or a little longer."""
    write_status(tmp_path, "catch", {"text": "x" * 500}, time_ns=1)
    monkeypatch.setattr("protocol.store.statefile.write", fail_with(errno.ENOSPC))
    for length in (2, 900):
        write_status(tmp_path, "catch", {"text": "y" * length}, time_ns=length)
        assert told(tmp_path)["text"] == "y" * length
    write_status(tmp_path, "catch", {"text": "z" * 100_000}, time_ns=3)
    assert told(tmp_path)["time_ns"] == 900
    write_status(tmp_path, "other", {}, time_ns=1)
    assert not (tmp_path / "status-other.json").exists()


def test_a_stop_with_a_full_disk_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried for a while and then left to the repeats; the process is not held up."""
    monkeypatch.setattr(module, "LAST_TRIES_S", 0.2)
    writer = new(tmp_path)
    writer.start()
    monkeypatch.setattr(os, "pwrite", fail_with(errno.ENOSPC))
    writer.put(arrival(0))
    until(lambda: writer._journal.full)
    writer.stop()
    assert writer.failure is None
    assert journaled(tmp_path) == []


def test_a_failing_disk_ends_the_thread_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiving thread finds the StoreError and ends the process with 3."""
    writer = new(tmp_path)
    writer.start()
    monkeypatch.setattr(os, "pwrite", fail_with(errno.EIO))
    writer.put(arrival(0))
    until(lambda: writer.failure is not None)
    assert isinstance(writer.failure, StoreError)
    writer.stop()


def test_floors_requests_outlooks_and_lines_pass_between_the_threads(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a second: floors to their file, a person's request to the receiving thread, lines to stderr, status."""
    monkeypatch.setattr("receiver.catch.store.journal.TIDY_PERIOD", 0.05)
    writer = new(tmp_path)
    writer.warnings = ("found at the start",)
    writer.show({"warnings": ["now"], "link": {"session": None}})
    writer.floors = Floors(link=(1, 2), confirmed=True)
    writer.remember({S: {"expected": [], "oldest": 0, "sealed": 0, "finished": 0, "open": []}})
    writer.say("gap of a kind")
    accept.request_accept(tmp_path, session="00000007")
    writer.start()
    until(lambda: bool(writer.requests))
    assert writer.requests.popleft() == AcceptRequest(session=7)
    until(lambda: (tmp_path / "floor.json").exists())
    assert floors.load(tmp_path, lambda line: None, wall_ns=0) == Floors(link=(1, 2), confirmed=True)
    writer.stop()
    assert told(tmp_path)["warnings"] == ["found at the start", "now"]
    assert {"process": "catch", "pid": os.getpid()}.items() <= told(tmp_path).items()
    assert "catch: gap of a kind\n" in capfd.readouterr().err
    assert (tmp_path / "accepted" / f"{S.hex()}.json").exists()


def test_what_can_no_longer_be_read_passes_to_the_receiving_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An output's report is looked at within a second; the number goes over, and people are told in the status."""
    monkeypatch.setattr("receiver.catch.store.journal.TIDY_PERIOD", 0.05)
    writer = new(tmp_path)
    writer.start()
    for number in range(5):
        writer.put(arrival(number))
    until(lambda: len(journaled(tmp_path)) == 5)
    segment = tmp_path / "journal" / "segments" / "0000000001.seg"
    data = bytearray(segment.read_bytes())
    length = len(data) // 5
    data[3 * length - 1] ^= 1
    segment.write_bytes(data)
    (tmp_path / "damaged-historian.json").write_text(json.dumps({"places": [[1, 2 * length, 3 * length]]}))
    until(lambda: bool(writer.damaged))
    assert list(writer.damaged) == [(S, 2, 3)]
    assert any("the journal cannot be read" in line for line in shown(writer, tmp_path))
    writer.put(arrival(2, how=How.HEALED))
    writer.stop()
    assert [number for number, _, _ in journaled(tmp_path)] == [0, 1, 3, 4, 2]


def test_a_stream_first_heard_after_a_lowering_is_marked_with_it_for_ever(tmp_path: Path) -> None:
    """Its first block counts, the moment the receiving thread says so; a stream known before keeps what it had."""
    writer = new(tmp_path)
    writer.put(arrival(0))
    writer.start()
    until(lambda: len(journaled(tmp_path)) == 1)
    for count in (1, 2):
        writer.floors = Floors(lowered=count)
        for stream in (S, b"stream-2"):
            writer.put(arrival(count, stream=stream))
        until(lambda: len(journaled(tmp_path)) == 1 + 2 * count)  # noqa: B023  done within the turn
    writer.stop()
    orders: list[tuple[bytes, int]] = []
    walk(tmp_path / "journal", lambda _, one: orders.append((one.stream, one.order)))
    assert orders == [(S, 0), (S, 0), (b"stream-2", 1), (S, 0), (b"stream-2", 1)]


@pytest.mark.parametrize(
    "letters", [map(chr, range(0x3000)), ["\u202e", "\ud800", "\ue000", "\U0010ffff"]], ids=["low", "worst"]
)
def test_a_line_for_people_is_one_line_of_printable_ascii(letters: Iterable[str]) -> None:
    """Whatever stands in it, a terminal obeys nothing of it; ASCII stays as it is, a backslash too."""
    for letter in letters:
        line = in_ascii(f"catch: a{letter}b")
        assert line.isascii()
        assert line.isprintable()
        if letter.isascii() and letter.isprintable():
            assert line == f"catch: a{letter}b"
