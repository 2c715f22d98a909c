"""Laws of the process: real datagrams on loopback, real kills, and a journal that has every block once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from link_sender import Pair, Sender, key_files, totals

from protocol.store.reader import walk
from protocol.store.record import How, Record
from receiver.status.wording import complete

COMMAND = [sys.executable, "-P", "-m", "checkvalve", "receive"]


def until(done: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends, what
        time.sleep(0.01)


class Bench:
    """A configuration, a sender's socket, and a catch that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pair: Pair = key_files(folder / "keys")
        (self.pair.low / "open.key").unlink()  # catch must not need it
        self.state = folder / "state"
        self.port = _free_port()
        self.file = folder / "receiver.toml"
        self.file.write_text(
            f'[inlet]\nlisten = "127.0.0.1:{self.port}"\nbuffer_mib = 4\n'
            '[keys]\nown = "keys/low"\nsenders = ["keys/high.pub"]\n'
        )
        self.sender = Sender(self.pair, boot=time.time_ns() // 1000)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start catch; it is ready when its status is its own."""
        process = subprocess.Popen([*COMMAND, str(self.file), "--only", "catch"], stderr=subprocess.PIPE)
        self.process = process
        if wait:
            until(lambda: self.status().get("pid") == process.pid, "catch did not start")
        return process

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(20)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.process = None
        return code

    def send(self, *frames: bytes) -> None:
        """Frames leave, slowly enough for a small buffer."""
        for index, frame in enumerate(frames):
            self.socket.sendto(frame, ("127.0.0.1", self.port))
            if index % 64 == 63:
                time.sleep(0.002)

    def say_link(self) -> None:
        """Say the LINK until it is heard, as a sender does every second."""
        name = f"{self.sender.session:08x}"

        def heard() -> bool:
            self.send(self.sender.link())
            return bool(self.status().get("link", {}).get("session") == name)

        until(heard, "the link was not heard")

    def status(self) -> dict[str, Any]:
        """Its last word."""
        try:
            found: dict[str, Any] = complete(json.loads((self.state / "status-catch.json").read_text()))
        except FileNotFoundError:
            return {}
        return found

    def journal(self) -> list[Record]:
        """What is in the journal."""
        out: list[Record] = []
        if (self.state / "journal").exists():
            walk(self.state / "journal", lambda _, one: out.append(one))
        return out

    def await_more_than(self, count: int) -> None:
        """Wait until the journal has more blocks than that."""
        until(lambda: len(self.numbers()) > count, f"no more than {count} blocks were journaled")

    def numbers(self) -> Counter[int]:
        """How often each number is in the journal."""
        return Counter(one.number for one in self.journal())


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench whose process ends with the test."""
    one = Bench(tmp_path)
    yield one
    if one.process is not None:
        one.stop(signal.SIGKILL)
    one.socket.close()


def test_blocks_reach_the_journal_whole_repaired_and_healed(bench: Bench) -> None:
    """From datagrams to records with the sealed bytes; the status adds up; SIGTERM ends with 0."""
    bench.start()
    bench.say_link()
    sender = bench.sender
    stream = sender.stream()
    for number in range(30):
        frames = sender.shards(stream, number, need=5, spare=3)
        bench.send(*(frames if number % 3 else frames[2:]) if number != 7 else frames[:2])
    bench.send(sender.beat([totals(stream, 30)], wall_ns=time.time_ns(), repeats=(5.0, 60.0)))
    until(lambda: bench.status()["blocks"]["missing"] == 1, "block 7 is not missing")
    (gap,) = bench.status()["gaps"]
    assert (gap["stream"], gap["from"], gap["to"]) == (stream.hex(), 7, 8)
    assert 0 < gap["heals_ns"] - gap["since_ns"] < 5e9
    bench.send(*sender.shards(stream, 7, need=5, spare=3, copy=1)[4:])
    until(lambda: len(bench.journal()) == 30, "not all came")
    until(lambda: bench.status()["blocks"]["healed"] == 1, "block 7 was not healed")
    told = bench.status()
    counts = {"expected": 30, "whole": 19, "repaired": 10, "healed": 1, "missing": 0, "expired": 0}
    assert told["blocks"] == counts | {"damaged": 0, "lost": 0}
    assert told["link"]["confirmed"] is True
    assert told["streams"][0]["finished"] == 30
    assert bench.stop() == 0
    for one in bench.journal():
        assert one.block == sender.sealed[(stream, one.number)]
        healed, repaired = one.number == 7, one.number % 3 == 0
        assert one.how == (How.HEALED if healed else How.REPAIRED if repaired else How.WHOLE)
        assert (one.need, one.spare) == (5, 3)
        assert abs(one.time_ns - time.time_ns()) < 60e9


def test_a_kill_doubles_nothing_and_loses_nothing_that_was_journaled(bench: Bench) -> None:
    """kill -9 while blocks pour in, three times; repeats complete the journal, each number stands in it once."""
    sender = bench.sender
    stream = sender.stream()
    blocks = [sender.shards(stream, number, need=3, spare=1, size=2000) for number in range(400)]
    seen: Counter[int] = Counter()
    for turn in range(4):
        bench.start()
        bench.say_link()
        for number, frames in enumerate(blocks):
            bench.send(*(frames[:2] if (number + turn) % 7 == 0 else frames))
            if turn < 3 and number == 80 + 60 * turn:
                bench.await_more_than(len(seen))
                break
        if turn < 3:
            bench.stop(signal.SIGKILL)
            now = bench.numbers()
            assert max(now.values()) == 1
            assert seen.keys() <= now.keys()
            seen = now
    bench.send(*(frame for number in range(400) for frame in blocks[number][2:]))
    bench.send(sender.beat([totals(stream, 400)], wall_ns=time.time_ns()))
    until(lambda: len(bench.numbers()) == 400, "not all blocks came")
    assert set(bench.numbers().values()) == {1}
    assert bench.stop() == 0
    told = bench.status()["blocks"]
    assert told["expected"] == 400 == told["whole"] + told["repaired"] + told["healed"]
    bench.start()
    assert bench.status()["blocks"] == told
    bench.stop()


def test_what_was_missing_before_a_restart_is_healed_after_it(bench: Bench) -> None:
    """Gaps, their times and the floors survive an orderly end; an old beat does not."""
    bench.start()
    bench.say_link()
    sender = bench.sender
    stream = sender.stream()
    bench.send(*sender.shards(stream, 0), *sender.shards(stream, 2))
    beat = sender.beat([totals(stream, 4)], wall_ns=time.time_ns())
    bench.send(beat)
    until(lambda: bench.status()["blocks"]["missing"] == 2, "nothing is missing")
    gaps = [(gap["from"], gap["to"], gap["since_ns"]) for gap in bench.status()["gaps"]]
    assert bench.stop() == 0
    bench.start()
    assert [(gap["from"], gap["to"], gap["since_ns"]) for gap in bench.status()["gaps"]] == gaps
    bench.say_link()
    bench.send(beat, *sender.shards(stream, 1, copy=1))
    until(lambda: len(bench.journal()) == 3, "block 1 did not come")
    assert {one.number: one.how for one in bench.journal()}[1] == How.HEALED
    until(lambda: bench.status()["link"]["refused"].get("floor") == 1, "the old beat was not refused")
    bench.stop()


def test_an_unconfirmed_session_is_journaled_and_confirmed_by_a_person(bench: Bench) -> None:
    """A sender in 1970 and a receiver without a floor: nothing is lost, and `accept` ends the doubt."""
    bench.start()
    bench.say_link()
    sender = bench.sender
    bench.send(sender.beat(wall_ns=0), *sender.shards(sender.stream(), 0))
    until(lambda: bench.status()["link"]["beat_age_s"] is not None, "no beat")
    until(lambda: len(bench.journal()) == 1, "the data were not journaled")
    assert bench.status()["link"]["confirmed"] is False
    assert any("not confirmed" in line for line in bench.status()["warnings"])
    other = [*COMMAND[:-1], "accept", str(bench.file), f"{sender.session ^ 1:08x}"]
    done = subprocess.run(other, capture_output=True, check=False, text=True)
    assert done.returncode == 2, "a person is told at once that it is another session"
    assert f"{sender.session:08x}" in done.stderr
    done = subprocess.run(
        [*COMMAND[:-1], "accept", str(bench.file), f"{sender.session:08x}"], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    until(lambda: bench.status()["link"]["confirmed"] is True, "it was not confirmed")
    bench.stop()
    bench.start()
    assert bench.status()["link"]["confirmed"] is True
    accept = [*COMMAND[:-1], "accept", str(bench.file), f"{sender.session:08x}"]
    assert "within a second" in subprocess.run(accept, capture_output=True, check=True, text=True).stdout
    bench.stop(signal.SIGINT)
    assert "does not run" in subprocess.run(accept, capture_output=True, check=True, text=True).stdout


def test_the_end_waits_for_what_was_received(bench: Bench) -> None:
    """SIGTERM right behind a burst: what catch had taken is in the journal, and its last status says so."""
    bench.start()
    bench.say_link()
    stream = bench.sender.stream()
    for number in range(300):
        bench.send(*bench.sender.shards(stream, number))
    until(lambda: bench.numbers()[0] == 1, "nothing came")
    assert bench.stop() == 0
    assert bench.status()["blocks"]["expected"] == len(bench.journal()) > 0


def test_mistakes_end_with_2_and_a_second_catch_with_1(bench: Bench) -> None:
    """Keys that are missing are the operator's; a port or a journal that is held may be free soon."""
    bench.start()
    other = bench.folder / "other.toml"
    for text, code, said in (
        (bench.file.read_text(), 1, "inlet.listen"),
        (bench.file.read_text().replace(str(bench.port), str(_free_port())), 1, "another process"),
        (bench.file.read_text().replace("keys/low", "keys/none"), 2, "catch.key"),
        (bench.file.read_text().replace("high.pub", "low.pub"), 2, "link-sign"),
    ):
        other.write_text(text)
        done = subprocess.run([*COMMAND, str(other), "--only", "catch"], capture_output=True, check=False, timeout=30)
        assert (done.returncode, said in done.stderr.decode()) == (code, True), done.stderr
    bench.stop()


def test_catch_holds_one_socket_and_loads_nothing_that_opens_or_publishes(bench: Bench) -> None:
    """Seen from outside: one UDP socket among its files; and its imports name no output, seal, inflater or web."""
    process = bench.start()
    files = [os.readlink(one) for one in Path(f"/proc/{process.pid}/fd").iterdir()]
    assert sum(name.startswith("socket:") for name in files) == 1
    bench.stop()
    code = "import sys, receiver.catch.process; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True).stdout.decode()
    forbidden = (
        "receiver.outputs",
        "receiver.portal",
        "protocol.seal",
        "protocol.content.body",
        "zstandard",
        "starlette",
    )
    assert not [name for name in loaded.split() if name.startswith(forbidden)]
