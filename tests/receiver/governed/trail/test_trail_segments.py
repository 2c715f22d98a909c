"""Laws of the files for a SIEM: never a gap, never a double, and each proves itself without the server."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rfc5424_parser import parse
from trail_entries import T0, entry, filled, some_entries

from protocol.errors import HeldError
from protocol.inert import inert
from protocol.keys import PrivateKey, from_bytes
from receiver.governed.trail import rfc5424, trail_segment
from receiver.governed.trail.entry import TrailEntry, TrailRecord
from receiver.governed.trail.exporting import check_files, export
from receiver.governed.trail.form import body_of, hash_of
from receiver.governed.trail.trail import Trail
from receiver.governed.trail.trail_error import TrailError

KEY = from_bytes("trail", random.Random(1).randbytes(32))
OTHER = from_bytes("trail", random.Random(2).randbytes(32))


def exported(
    trail: Trail, folder: Path, *, form: str = "jsonl", size: int = 50, key: PrivateKey = KEY, host: str = "low-1"
) -> list[Path]:
    return export(trail, folder, key, form=form, host=host, at_ns=T0, size=size)


def entries_in(paths: list[Path]) -> list[int]:
    """The numbers that stand in files, in their order."""
    numbers = []
    for path in sorted(paths):
        for line in path.read_bytes().splitlines():
            told = json.loads(line if path.suffix == ".jsonl" else parse(line).message)
            if "entry" in told:
                numbers.append(told["entry"]["number"])
    return numbers


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    made = Trail(tmp_path / "trail.db")
    yield made
    made.close()


@pytest.mark.parametrize("form", trail_segment.FORMS)
def test_what_is_exported_again_and_again_is_the_trail_once(trail: Trail, tmp_path: Path, form: str) -> None:
    """Whenever it is called and however much came since, its segments together have each entry once, in order."""
    seed, folder = 4, tmp_path / "siem"
    chance = random.Random(seed)
    assert exported(trail, folder, form=form) == []
    count = 0
    for _ in range(8):
        more = chance.randrange(0, 130)
        trail.note(some_entries(more, chance.randrange(1000)))
        count += more
        made = exported(trail, folder, form=form, size=chance.choice((1, 17, 50, 1000)) if more < 40 else 60)
        assert bool(made) == bool(more)
    paths = list(folder.iterdir())
    assert entries_in(paths) == list(range(1, count + 1)), f"seed {seed}"
    found = check_files(sorted(paths, key=lambda one: chance.random()), [KEY.public])
    assert [one.number for _, one in found] == list(range(1, len(paths) + 1))
    assert (found[0][1].first, found[-1][1].last) == (1, count)
    end = trail.end()
    assert end is not None
    assert found[-1][1].after == end.hash


def test_an_export_that_was_killed_leaves_no_half_segment(
    trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any line: what stands under a name is whole, and the next export goes on behind it."""
    trail.note(some_entries(120, 1))
    folder = tmp_path / "siem"
    whole = trail_segment.lines

    class Killed(BaseException):
        pass

    for left in (0, 1, 30, 51, 52, 60):
        budget = [left]

        def dying(*words: object, budget: list[int] = budget, **more: object) -> Iterator[bytes]:
            for line in whole(*words, **more):  # type: ignore[arg-type]
                budget[0] -= 1
                if budget[0] < 0:
                    raise Killed
                yield line

        monkeypatch.setattr(trail_segment, "lines", dying)
        with pytest.raises(Killed):
            exported(trail, folder)
        segments = [one for one in folder.iterdir() if not one.name.endswith(".unfinished")]
        check_files(segments, [KEY.public])
    monkeypatch.setattr(trail_segment, "lines", whole)
    exported(trail, folder)
    assert entries_in(list(folder.iterdir())) == list(range(1, 121))
    check_files(list(folder.iterdir()), [KEY.public])


def test_a_second_export_at_once_is_refused(trail: Trail, tmp_path: Path) -> None:
    """Both would write the same numbers."""
    trail.note([entry()])
    folder = tmp_path / "siem"
    folder.mkdir()
    opened = os.open(folder, os.O_RDONLY)
    fcntl.flock(opened, fcntl.LOCK_EX)
    with pytest.raises(HeldError, match="another export"):
        exported(trail, folder)
    os.close(opened)
    assert len(exported(trail, folder)) == 1


def test_nothing_is_put_behind_what_is_not_ours(trail: Trail, tmp_path: Path) -> None:
    """Segments of another trail, of another key, or a last one that was changed."""
    trail.note(some_entries(70, 1))
    folder = tmp_path / "siem"
    made = exported(trail, folder)
    with pytest.raises(TrailError, match="this key did not sign it"):
        exported(trail, folder, key=OTHER)
    filled(tmp_path / "other.db", 90, seed=3)
    other = Trail(tmp_path / "other.db")
    with pytest.raises(TrailError, match="another trail's"):
        exported(other, folder)
    other.close()
    made[-1].write_bytes(made[-1].read_bytes()[:-30])
    with pytest.raises(TrailError, match="nothing is put behind it"):
        exported(trail, folder)


def changed(change: Callable[[list[bytes]], object]) -> Callable[[Path], None]:
    """Change the lines of the middle one of three files."""

    def work(folder: Path) -> None:
        path = sorted(folder.iterdir())[1]
        lines = path.read_bytes().splitlines(keepends=True)
        change(lines)
        path.write_bytes(b"".join(lines))

    return work


def swap(lines: list[bytes]) -> None:
    lines[4], lines[5] = lines[5], lines[4]


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a letter": (changed(lambda lines: lines.__setitem__(7, lines[7].replace(b"p-", b"q-"))), "entry 57 does not fit"),
    "a line away": (changed(lambda lines: lines.pop(7)), "entry 57 does not fit"),
    "a line twice": (changed(lambda lines: lines.insert(7, lines[7])), "entry 58 does not fit"),
    "lines swapped": (changed(swap), "entry 54 does not fit"),
    "the last line away": (changed(lambda lines: lines.pop()), "its end is missing"),
    "an entry cut": (changed(lambda lines: lines.pop(-2)), "not those that were signed"),
    "the end cut": (changed(lambda lines: lines.__setitem__(-1, lines[-1][:-1])), "cut short"),
    "the head": (changed(lambda lines: lines.__setitem__(0, lines[0].replace(b'"number":2', b'"number":9'))), "signed"),
    "more behind": (changed(lambda lines: lines.append(lines[3])), "behind its signature"),
    "a file away": (lambda folder: sorted(folder.iterdir())[1].unlink(), "segment 2 is missing: entries 51 to 100"),
}


@pytest.mark.parametrize("form", trail_segment.FORMS)
@pytest.mark.parametrize("how", TAMPERED)
def test_a_segment_that_is_not_as_it_was_signed_is_named(trail: Trail, tmp_path: Path, how: str, form: str) -> None:
    """Each change in words, with the entry where one can be told; without the server."""
    trail.note(some_entries(130, 6))
    folder = tmp_path / "siem"
    exported(trail, folder, form=form)
    change, said = TAMPERED[how]
    change(folder)
    with pytest.raises(TrailError, match=said):
        check_files(list(folder.iterdir()), [KEY.public])


def test_segments_of_several_hands_do_not_pass_as_one(trail: Trail, tmp_path: Path) -> None:
    """Another key, one file twice, and files of two exports that were cut elsewhere."""
    trail.note(some_entries(130, 6))
    made = exported(trail, tmp_path / "one")
    with pytest.raises(TrailError, match="this key did not sign it"):
        check_files(made, [OTHER.public])
    (tmp_path / "two").mkdir()
    twice = Path(shutil.copy(made[1], tmp_path / "two"))
    with pytest.raises(TrailError, match="segment 2 is there twice"):
        check_files([*made, twice], [KEY.public])
    others = exported(trail, tmp_path / "three", size=40)
    with pytest.raises(TrailError, match="does not go on from where segment 1 ended"):
        check_files([made[0], others[1]], [KEY.public])
    with pytest.raises(TrailError, match="not the name of a segment"):
        check_files([tmp_path / "trail.db"], [KEY.public])


@pytest.mark.parametrize("form", trail_segment.FORMS)
def test_hostile_segments_are_told_in_words(trail: Trail, tmp_path: Path, form: str) -> None:
    """Flipped, cut and doubled bytes by the hundred: TrailError, or the one sound file that it was."""
    seed = 9
    trail.note(some_entries(12, 6))
    path = exported(trail, tmp_path / "siem", form=form)[0]
    whole, chance = path.read_bytes(), random.Random(seed)
    for at in range(700):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 3))):
            place = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[place] ^= 1 << chance.randrange(8)
                case 1:
                    data[place : place + 1] = chance.randbytes(chance.randrange(4))
                case 2:
                    del data[place : place + chance.randrange(1, 300)]
                case _:
                    data[place:place] = data[: chance.randrange(300)]
            data = data or bytearray(b"\n")
        path.write_bytes(data)
        try:
            check_files([path], [KEY.public])
        except TrailError:
            continue
        entries = whole.rindex(b"\n", 0, -1)  # of the last line the signature counts, and not how it is wrapped
        assert bytes(data[:entries]) == whole[:entries], f"seed {seed}, {at}"


HOSTILE = [
    'a"b',
    "a\\b",
    "a]b",
    '"] {"hash":',
    "line\nend\r\n",
    "\x00\x1b[31m\x7f\x9b",
    "漢字 Füllstand \u202e",
    "\\n \\\\ \\]",
    "\ud800",
    "x" * 5000,
    "",
    '[trail@32473 number="1"]',
]


@pytest.mark.parametrize("host", ["low-1", "ein rechner\n", "", "x" * 300, "ü"])
def test_a_line_of_syslog_is_one_whatever_its_texts_are(host: str) -> None:
    """A strict reader finds each value as it was, made inert, and in the message the entry itself."""
    for text in HOSTILE:
        one = TrailEntry(
            kind="read.trend",
            at_ns=T0,
            who=text,
            origin=text,
            facts={"grant": text, "assets": [text, text], "tag": text},
        )
        body = body_of(one, 7, 3)
        record = TrailRecord(number=7, entry=one, hash=hash_of(bytes(32), body))
        message = b'{"entry":%s}' % body
        line = rfc5424.line(record, message, host)
        assert b"\n" not in line
        said = parse(line)
        assert (said.priority, said.application, said.kind) == (110, "checkvalve", "read.trend")
        assert said.time == "2026-09-21T14:13:20.000000Z"
        shown = inert(text, 160)
        wanted = [("number", "7"), ("hash", record.hash.hex()), ("who", shown)]
        wanted += [("from", shown)] if text else []
        wanted += [("grant", shown), ("asset", shown), ("asset", shown)]
        assert said.data == {"trail@32473": wanted}
        assert said.message.encode() == message
        assert rfc5424.message_of(line) == message


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("read.page", 6), ("grant.given", 5), ("request.denied", 4), ("read.refused", 4), ("alert.raised", 4)],
)
def test_what_was_refused_stands_out_in_syslog(kind: str, severity: int) -> None:
    """Facility log audit; a SIEM sorts by severity before it reads."""
    record = TrailRecord(number=1, entry=entry(kind), hash=bytes(32))
    assert parse(rfc5424.line(record, b"{}", "h")).priority == 13 * 8 + severity


def test_a_time_of_no_calendar_is_none_in_syslog() -> None:
    """The entry itself has it; the header says that it has none."""
    for at_ns in (1 << 62, -(1 << 62)):
        record = TrailRecord(number=1, entry=entry(at_ns=at_ns), hash=bytes(32))
        parse(rfc5424.line(record, b"{}", "h"))
