"""Real processes, killed: nothing that had reached the spool or the journal is lost or doubled.

One simulated Modbus device, `send` and `receive` as they are run in a plant (each supervises its children), a lossless
loopback. A seeded killer ends one of the five working processes with SIGKILL, again and again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol import keymaking, keys, seal, segments
from protocol.block import Kind, read_header
from protocol.catalog import Page
from protocol.record import Record
from protocol.sample import Flag
from protocol.statusfile import read_status
from receiver.blocks import content
from receiver.outputs.base import Batch
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope

SCENE = """
[scene]
name = "one"
site = "north"
tick_ms = 100
[[server]]
asset = "pump"
protocol = "modbus"
port = 0
modbus.unit = 1
tag = [
  { name = "level", at = "holding:0", type = "float32", signal = { kind = "walk", mean = 5, span = 2, period_s = 9 } },
  { name = "count", at = "holding:2", type = "uint16", signal = { kind = "counter", rate = 7 } },
]
"""
SENDER = """
site = "north"
[outlet]
to = "127.0.0.1:{link}"
loss_target = "1%"
repeat = ["2s", "6s", "14s"]
[keys]
own = "keys/high"
receivers = ["../low/keys/low.pub"]
[[asset]]
name = "pump"
collector = "modbus"
url = "{url}"
timeout = "1s"
[[asset.scan]]
every = "100ms"
tags = [
  {{ name = "level", at = "holding:0", type = "float32" }},
  {{ name = "count", at = "holding:2", type = "uint16" }},
]
"""
RECEIVER = """
[inlet]
listen = "127.0.0.1:{link}"
[keys]
own = "keys/low"
senders = ["../high/keys/high.pub"]
[portal]
listen = "127.0.0.1:{page}"
"""
VICTIMS = (("high", "poll"), ("high", "emit"), ("low", "catch"), ("low", "historian"), ("low", "publish"))
PATIENCE = 60.0
"""Longest wait for what must come [s]."""


@pytest.mark.timeout(200)
def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """20 deaths at random moments; the seed is printed."""
    _kill(tmp_path, rounds=1, seed=20)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_five_hundred_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """The long count; both supervisors start anew every 20 deaths, so that their back-off does."""
    _kill(tmp_path, rounds=25, seed=500)


def _kill(folder: Path, *, rounds: int, seed: int) -> None:
    print("seed", seed)  # noqa: T201  shown when the test fails
    chance = random.Random(seed)
    with _plant(folder) as sides:
        _until(lambda: _published(folder) > 0, "nothing was published")
        for round_ in range(rounds):
            if round_:
                _stop(sides)
                _start(folder, sides)
            _twenty_deaths(folder, chance)
        _until(lambda: _fresh(folder, "high", "poll"), "poll did not come back")
        sides["high"].terminate()
        sides["high"].wait(40)
        assert sides["high"].returncode == 0
        restarted = subprocess.Popen(_command("send", str(folder / "high/sender.toml"), "--only", "emit"))
        try:
            spooled = _spooled(folder)
            _until(
                lambda: _rows(folder) == len(spooled), f"{_rows(folder)} of {len(spooled)} samples are in the history"
            )
        finally:
            restarted.terminate()
            restarted.wait(30)
        assert sorted(_history(folder)) == sorted(spooled)


def _twenty_deaths(folder: Path, chance: random.Random) -> None:
    victims = list(VICTIMS) * 4
    chance.shuffle(victims)
    for side, name in victims:
        time.sleep(chance.uniform(0.05, 0.9))  # the moment of death is the case, not a wait for something
        _until(lambda at=side, who=name: _pid(folder, at, who) > 0, f"{name} did not come back")  # type: ignore[misc]
        os.kill(_pid(folder, side, name), signal.SIGKILL)


def _spooled(folder: Path) -> list[tuple[str, int, object]]:
    """Every sample in the spool, opened with the low side's key."""
    own = keys.load(folder / "low/keys/low", "open")
    sign = keys.load(folder / "high/keys/high", "sign").public
    seals: dict[tuple[bytes, int], seal.Seal] = {}
    names: dict[tuple[bytes, int], str] = {}
    out: list[tuple[str, int, object]] = []

    def visit(place: segments.Place, one: Record) -> None:
        header = read_header(one.block)
        if header.kind == Kind.EPOCH:
            epoch, key = seal.open_epoch(seal.verify(one.block, {sign.id: sign}), one.stream, own)
            seals[one.stream, epoch] = seal.Seal(key, one.stream, epoch)
        elif header.kind == Kind.CATALOG:
            page = content(header.kind, seals[one.stream, header.epoch].open(one.block))
            assert isinstance(page, Page)
            names.update({(one.stream, tag.id): tag.name for tag in page.tags})
        elif header.kind == Kind.BATCH:
            batch = content(header.kind, seals[one.stream, header.epoch].open(one.block))
            assert isinstance(batch, Batch)
            rows = [row for row in batch.columns.rows() if not row.flags & Flag.REFRESH]
            out.extend((names[one.stream, row.tag], row.time_ns, row.value) for row in rows)

    segments.walk(folder / "high/state/spool", visit)
    return out


def _history(folder: Path) -> list[tuple[str, int, object]]:
    door = Door(folder / "low/state/history", Scope())
    try:
        out: list[tuple[str, int, object]] = []
        for view in door.tags("pump"):
            samples = door.samples(view.series, 0, 2**62, 10**7)
            out += [(view.tag.name, one.time_ns, one.value) for one in samples]
        return out
    finally:
        door.close()


def _rows(folder: Path) -> int:
    return len(_history(folder))


def _published(folder: Path) -> int:
    told = read_status(folder / "low/state", "historian") or {}
    return int(told.get("assets", {}).get("pump", {}).get("published", 0))


@contextmanager
def _plant(folder: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    keymaking.make("high", folder / "high/keys/high")
    keymaking.make("low", folder / "low/keys/low")
    (folder / "one.toml").write_text(SCENE)
    link, page = _free(socket.SOCK_DGRAM), _free(socket.SOCK_STREAM)
    ports = folder / "ports.json"
    sides = {"plant": subprocess.Popen(_command("simulate", str(folder / "one.toml"), "--ports-file", str(ports)))}
    try:
        _until(ports.exists, "the simulator did not start")
        url = json.loads(ports.read_text())["pump"]["url"]
        (folder / "high/sender.toml").write_text(SENDER.format(link=link, url=url))
        (folder / "low/receiver.toml").write_text(RECEIVER.format(link=link, page=page))
        _start(folder, sides)
        yield sides
    finally:
        for process in reversed(sides.values()):
            if process.poll() is None:
                process.terminate()
        for process in sides.values():
            process.wait(60)


def _start(folder: Path, sides: dict[str, subprocess.Popen[bytes]]) -> None:
    sides["low"] = subprocess.Popen(_command("receive", str(folder / "low/receiver.toml")))
    _until(lambda: _fresh(folder, "low", "catch"), "catch did not start")
    sides["high"] = subprocess.Popen(_command("send", str(folder / "high/sender.toml")))


def _stop(sides: dict[str, subprocess.Popen[bytes]]) -> None:
    for name in ("high", "low"):
        sides[name].terminate()
        assert sides[name].wait(60) == 0


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "checkvalve", *words]


def _is(pid: int, name: str) -> bool:
    """Whether that process is still the one meant (a number may have gone to another)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"checkvalve" in words and name.encode() in words


def _pid(folder: Path, side: str, name: str) -> int:
    """Number of the living process, 0 where it is dead or has said nothing yet."""
    told = read_status(folder / side / "state", name)
    return int(told["pid"]) if told is not None and _is(int(told["pid"]), name) else 0


def _fresh(folder: Path, side: str, name: str) -> bool:
    told = read_status(folder / side / "state", name)
    return told is not None and time.time_ns() - int(told["time_ns"]) < 1.5e9 and _pid(folder, side, name) > 0


def _until(done: Callable[[], bool], text: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < ends, text
        time.sleep(0.1)
