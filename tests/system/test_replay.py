"""A gap that no repeat heals is healed by a code that a person carries over; or it is said that it cannot be."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pipe import Pipe, lossy

import checkvalve
from protocol import gapcode
from protocol.content.sample import Row
from protocol.errors import ConfigError
from protocol.store.reader import read_kept, walk
from protocol.store.record import Record
from receiver.status import gap_codes as outlook
from receiver.status.wording import read_low
from sender import link_file
from sender.commands import errand, replay, replay_plan
from sender.emit import errands

PATIENCE = 60.0
"""Longest wait for what must come [s]."""


def _values(rows: list[Row]) -> list[tuple[int, int, str]]:
    return sorted((row.time_ns, row.tag, repr(row.value)) for row in rows)


def _busy(pipe: Pipe, seconds: float, share: float = 0.0, *, catch: bool = True) -> None:
    for _ in range(round(seconds * 10)):
        pipe.sample()
        pipe.run(0.1, lossy(share), catch=catch)


def _codes(pipe: Pipe) -> list[str]:
    return [one["code"] for one in outlook.codes(pipe.intake.gaps.gaps(pipe.low_wall))]


def _leave(pipe: Pipe, codes: list[str], name: bytes = b"1") -> str:
    found = replay_plan.find(pipe.high / "spool", codes, pipe.geometry)
    return errand.put(pipe.high, "replay", replay_plan.body(found), time_ns=pipe.high_wall, salt=name)


def _settle(pipe: Pipe, name: str, share: float = 0.0, seconds: float = 60.0) -> dict[str, Any]:
    """Let time pass until the errand has its result."""
    for _ in range(round(seconds)):
        pipe.run(1.0, lossy(share))
        told = errand.result(pipe.high, name)
        if told is not None:
            return told
    raise AssertionError("no result")


def _all_arrived(pipe: Pipe) -> None:
    for stream, rows in pipe.sent.items():
        assert sorted(pipe.numbers(stream)) == sorted(set(pipe.numbers(stream)))
        assert _values(pipe.received(stream)) == _values(rows)
    counts = pipe.intake.gaps.counts()
    assert counts.missing == counts.expired == 0


def test_a_code_heals_what_no_repeat_does(tmp_path: Path) -> None:
    """The link is cut until every repeat has passed; the code brings all of it, counted as healed, once."""
    pipe = Pipe(tmp_path, repeat=(1.0,))
    _busy(pipe, 1)
    _busy(pipe, 2, 1.0)
    pipe.run(2, lossy(1.0))
    _busy(pipe, 1)
    pipe.run(5)  # a repeat may be two seconds late
    missing = pipe.intake.gaps.counts().missing
    assert missing >= 10
    codes = _codes(pipe)
    assert len(codes) == 1
    told = _settle(pipe, _leave(pipe, codes))
    assert told["state"] == "done"
    assert told["sent"] >= missing
    assert told["gone"] == []
    pipe.finish()
    pipe.run(2)
    _all_arrived(pipe)
    assert pipe.intake.gaps.counts().healed >= missing
    assert _codes(pipe) == []


def test_codes_work_for_old_streams_and_over_restarts_of_both_sides(tmp_path: Path) -> None:
    """Gaps in three streams, each process restarted between gap, code and replay; keys are sent along."""
    pipe = Pipe(tmp_path, repeat=(0.5,))
    for _ in range(3):
        _busy(pipe, 0.5)
        _busy(pipe, 1, 1.0)
        pipe.run(1, lossy(1.0))
        pipe.finish()
        pipe.run(0.5)
        pipe.kill_poll()
        pipe.start_poll()
    _busy(pipe, 1)
    pipe.run(1.5)
    pipe.journal.sync(pipe.now)
    pipe.journal.ledger.remember(pipe.intake.gaps.outlooks())
    pipe.journal.save(pipe.now)
    for side in ("emit", "catch"):
        getattr(pipe, f"kill_{side}")()
        getattr(pipe, f"start_{side}")()
    pipe.start_publish()
    _busy(pipe, 1)
    pipe.run(1.5)
    codes = _codes(pipe)
    assert len(codes) == 3
    name = _leave(pipe, codes)
    pipe.run(0.02)
    pipe.kill_emit()
    pipe.start_emit()
    told = _settle(pipe, name)
    assert told["state"] == "done"
    pipe.finish()
    pipe.run(3)
    _all_arrived(pipe)


@pytest.mark.parametrize("seed", range(4))
def test_a_replay_survives_deaths_of_the_emitter_and_a_bad_link(tmp_path: Path, seed: int) -> None:
    """Killed at random moments in the middle, with 20 % loss: asked for again until nothing is missing."""
    chance = random.Random(seed)
    pipe = Pipe(tmp_path, seed=seed, repeat=())
    _busy(pipe, 1)
    _busy(pipe, 3, 1.0)
    _busy(pipe, 1)
    pipe.run(1.5)
    for turn in range(20):
        codes = _codes(pipe)
        if not codes:
            break
        name = _leave(pipe, codes, bytes([turn]))
        for _ in range(chance.randrange(3)):
            pipe.run(chance.random() * 1.5, lossy(0.2))
            pipe.kill_emit()
            pipe.start_emit()
        assert _settle(pipe, name, 0.2)["state"] == "done"
        pipe.run(1.5)
    pipe.finish()
    pipe.run(2)
    _all_arrived(pipe)


def test_what_retention_took_is_said_to_be_gone_and_never_waited_for(tmp_path: Path) -> None:
    """Between finding and sending the spool's segments go: the errand ends, and says which numbers went."""
    pipe = Pipe(tmp_path, repeat=())
    _busy(pipe, 2, 1.0)
    pipe.run(1.5)
    (code,) = _codes(pipe)
    stream = pipe.packer.stream
    (before,) = replay_plan.find(pipe.high / "spool", [code], pipe.geometry)
    assert (before.gone, before.never) == ([], [])
    name = _leave(pipe, [code])
    pipe.spool.flush(pipe.now)
    assert pipe.spool.store.begin_anew(pipe.now) is not None
    told = _settle(pipe, name)
    assert told["state"] == "done"
    assert told["gone"]
    (after,) = replay_plan.find(pipe.high / "spool", [code], pipe.geometry)
    kept = {one.number for one in read_kept(pipe.high / "spool", stream)}
    gone = {number for first, past in after.gone for number in range(first, past)}
    assert gone == {number for first, past in after.asked for number in range(first, past)} - kept
    assert any("gone" in line for line in replay_plan.in_words([after], 2.5e6, 0.0))


@pytest.mark.parametrize(
    "text",
    ["CV1-3G05-GNJV-QN9D-H93", "CV1-nonsense", "812"],
    ids=["of another sender", "misspelt", "no code"],
)
def test_a_code_that_names_nothing_here_is_a_mistake_in_words(tmp_path: Path, text: str) -> None:
    """Nothing is left for the emitter."""
    pipe = Pipe(tmp_path)
    _busy(pipe, 0.3)
    with pytest.raises(ConfigError):
        replay_plan.find(pipe.high / "spool", [text], pipe.geometry)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"parts": 7},
        {"parts": [{"stream": "zz"}]},
        {"parts": [{"stream": "00" * 8, "kept": [0], "stretches": [[1, 0, 9, 9, 0, 5]]}]},
        {"parts": [{"stream": "00" * 8, "kept": [], "stretches": [[1, 3, 1, 9, -4, 2**70]]}]},
        {"parts": [{"stream": "00" * 8, "kept": [], "stretches": [[1, 2]]}]},
    ],
)
def test_no_errand_can_stop_the_emitter(tmp_path: Path, body: dict[str, Any]) -> None:
    """Refused, or done with what it named told as gone; the link goes on."""
    pipe = Pipe(tmp_path)
    _busy(pipe, 0.3)
    name = errand.put(pipe.high, "replay", body, time_ns=1, salt=b"x")
    (pipe.high / errands.FOLDER / "0-junk.json").write_text("{nothing")
    assert _settle(pipe, name)["state"] in ("refused", "done")
    assert errand.result(pipe.high, "0-junk")
    _busy(pipe, 0.3)
    pipe.finish()
    pipe.run(2)
    _all_arrived(pipe)


LINK = """
site = "north"
[outlet]
to = "127.0.0.1:{port}"
repeat = []
[keys]
own = "keys"
receivers = ["../low/keys.pub"]
"""
RECEIVER = """
[inlet]
listen = "127.0.0.1:{port}"
[keys]
own = "keys"
senders = ["../high/keys.pub"]
"""


def test_the_commands_of_both_sides_carry_a_gap_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real processes: sent while nobody heard; `gaps` prints a code, `replay` sends it, the journal has it all."""
    high, low = tmp_path / "high", tmp_path / "low"
    pipe = Pipe(tmp_path, repeat=(), link=False)
    for _ in range(20):
        pipe.sample()
        pipe.run(0.1, emit=False, catch=False)
    pipe.finish()
    blocks, stream = pipe.packer.number, pipe.packer.stream
    pipe.kill_poll()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    sender, receiver = high / "sender.toml", low / "receiver.toml"
    sender.write_text(LINK.format(port=port))
    receiver.write_text(RECEIVER.format(port=port))
    with pytest.raises(ConfigError):
        _replay_of(stream, sender, "--json")
    capsys.readouterr()
    emit = _start("send", str(sender), "--only", "emit", "--confine", "strict")
    catch = None
    try:
        _until(lambda: _finished(high) >= blocks, "the emitter did not send what there was")
        catch = _start("receive", str(receiver), "--only", "catch")
        _until(lambda: bool(_said(low).get("codes")), "the receiver did not see the gap")
        assert checkvalve.main(["gaps", str(receiver)]) == 0
        printed = capsys.readouterr().out
        assert "no repeat is left: use the code" in printed
        (line,) = [line for line in printed.splitlines() if "checkvalve replay" in line]
        code = line.split()[-1]
        assert checkvalve.main(["replay", str(sender), code, "--dry-run", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["emitter_running"], told["sent"]) == (True, 0)
        assert checkvalve.main(["replay", str(sender), code]) == 0
        assert f"sent {told['blocks']} blocks" in capsys.readouterr().out
        _until(lambda: _said(low)["blocks"]["missing"] == 0 and _held(low) >= blocks, "not everything came")
        assert checkvalve.main(["gaps", str(receiver)]) == 0
        assert "no block is missing" in capsys.readouterr().out
    finally:
        for process in (emit, catch):
            if process is not None:
                process.terminate()
                process.wait(30)
    taken = {one.number for one in _journal(low, stream)}
    assert taken == set(range(blocks))


def _journal(low: Path, stream: bytes) -> list[Record]:
    """Every record of a stream in the low side's journal."""
    out: list[Record] = []
    walk(low / "state/journal", lambda place, one: out.append(one))
    return [one for one in out if one.stream == stream]


def _replay_of(stream: bytes, sender: Path, *words: str) -> None:
    """By calling the command's own work: no emitter runs, so it must refuse."""
    replay.run(
        link_file.load(sender), [gapcode.encode(stream, [(0, 3)])], dry_run=False, as_json=bool(words), say=print
    )


def _finished(high: Path) -> int:
    """Blocks that had their first sending, as the emitter noted."""
    try:
        held = json.loads((high / "state/emit.json").read_text()).get("finished", {})
    except (OSError, ValueError):
        return 0
    return sum(after - first for ranges in held.values() for first, after in ranges)


def _said(low: Path) -> dict[str, Any]:
    return read_low(low / "state").get("catch", {})


def _held(low: Path) -> int:
    counts = _said(low)["blocks"]
    return int(counts["whole"] + counts["repaired"] + counts["healed"])


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "checkvalve", *words])


def _until(done: Callable[[], bool], text: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < ends, text
        time.sleep(0.05)
