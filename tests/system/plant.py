"""A plant of real processes: one simulated Modbus device, `send`, a link that can lose on purpose, `receive`.

Each side's folder may lie on a small disk of its own (disks.py). What was spooled and what is in the history are read
back sample by sample, the spool opened with the low side's key.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from protocol import keymaking, keys, seal
from protocol.block import BlockKind, read_header
from protocol.content.catalog import Page
from protocol.content.sample import Flag
from protocol.process.statusfile import read_status
from protocol.store.layout import kept_streams
from protocol.store.reader import read_kept, walk
from protocol.store.record import Record
from protocol.store.resync import Place
from protocol.wire.frame import FrameKind
from receiver.outputs.base import BatchBody
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.publish.blocks import content

Sample: TypeAlias = tuple[str, int, object]
"""Tag name, time, value."""
Blocks: TypeAlias = dict[tuple[bytes, int], list[Sample]]
"""Samples by stream and block number."""

PATIENCE = 60.0
"""Longest wait for what must come [s]."""
REPEAT = ("2s", "6s", "14s")

_SCENE = """
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
_SENDER = """
site = "north"
[outlet]
to = "127.0.0.1:{link}"
loss_target = "1%"
repeat = {repeat}
[keys]
own = "keys/high"
receivers = ["keys/low.pub"]
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
_RECEIVER = """
[inlet]
listen = "127.0.0.1:{link}"
[keys]
own = "keys/low"
senders = ["keys/high.pub"]
[portal]
listen = "127.0.0.1:{page}"
anyone = "all"
"""


class Plant:
    """The processes and their two folders."""

    def __init__(self, folder: Path, link: BadLink | None) -> None:
        self.folder = folder
        self.link = link
        self.sides: dict[str, subprocess.Popen[bytes]] = {}

    def state(self, side: str) -> Path:
        """State folder of a side."""
        return self.folder / side / "state"

    def start(self, side: str) -> None:
        """Start `send` or `receive` as a plant does."""
        words = ("receive", "low/receiver.toml") if side == "low" else ("send", "high/sender.toml")
        self.sides[side] = subprocess.Popen(command(words[0], str(self.folder / words[1])))

    def stop(self, side: str) -> int:
        """A clean end; its exit code."""
        self.sides[side].terminate()
        return self.sides[side].wait(60)

    def kill(self, side: str, name: str) -> None:
        """SIGKILL to one working process, once it is there."""
        until(lambda: self.pid(side, name) > 0, f"{name} did not come back")
        os.kill(self.pid(side, name), signal.SIGKILL)

    def kill_side(self, side: str) -> None:
        """SIGKILL to all processes of a side, as when its machine loses power; also to one that was just starting."""
        folder = f"{self.folder / side}/".encode()
        ends = time.monotonic() + 20
        while left := _running(folder):
            assert time.monotonic() < ends, f"{side} does not die"
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self.sides[side].poll()
            time.sleep(0.02)
        self.sides[side].wait(20)

    def pid(self, side: str, name: str) -> int:
        """Number of the living process, 0 where it is dead or has said nothing yet."""
        told = self._told(side, name)
        return int(told["pid"]) if told is not None and _is(int(told["pid"]), name) else 0

    def fresh(self, side: str, name: str) -> bool:
        """Whether it lives and spoke within the last second; the pages speak once, when they answer."""
        told = self._told(side, name)
        spoke = told is not None and time.time_ns() - int(told.get("time_ns", time.time_ns())) < 1.5e9
        return spoke and self.pid(side, name) > 0

    def _told(self, side: str, name: str) -> dict[str, Any] | None:
        """What it wrote of itself; a file that was damaged tells nothing until it is written anew."""
        told: dict[str, Any] | None = None
        if name != "portal":
            told = read_status(self.state(side), name)
        else:
            with contextlib.suppress(OSError, ValueError):
                told = json.loads((self.state(side) / "portal.json").read_text())
        whole = isinstance(told, dict) and all(isinstance(told.get(one, 0), int) for one in ("pid", "time_ns"))
        return told if whole and told and "pid" in told else None

    def published(self) -> int:
        """Samples that the historian says it has."""
        told = read_status(self.state("low"), "historian") or {}
        return int(told.get("assets", {}).get("pump", {}).get("published", 0))

    def spooled(self) -> Blocks:
        """Every sample in the spool, by stream and block number."""
        own = keys.load(self.folder / "low/keys/low", "open")
        sign = keys.load(self.folder / "high/keys/high", "sign").public
        return spooled(self.state("high") / "spool", own, sign)

    def history(self) -> list[Sample]:
        """Every sample in the history."""
        door = Door(self.state("low") / "history", Scope())
        try:
            out: list[Sample] = []
            for view in door.tags("pump"):
                samples = door.samples(view.series, 0, 2**62, 10**7)
                out += [(view.tag.name, one.time_ns, one.value) for one in samples]
            return out
        finally:
            door.close()


class BadLink:
    """Carries datagrams between two ports; first sendings and all others are lost with chances of their own."""

    def __init__(self, to: int, seed: int) -> None:
        self.first, self.other = 0.0, 0.0
        """Chance that a frame of a block's first sending is lost, and any other frame."""
        self.counts: Counter[str] = Counter()
        self._chance, self._to = Random(seed), ("127.0.0.1", to)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where the high side sends to."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """End."""
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self._ends.is_set():
                try:
                    frame = self._socket.recv(65536)
                except TimeoutError:
                    continue
                first = len(frame) > 32 and frame[3] == FrameKind.SHARD and frame[31] == 0
                lost = self._chance.random() < (self.first if first else self.other)
                self.counts["lost" if lost else "carried"] += 1
                if not lost:
                    out.sendto(frame, self._to)


@contextmanager
def plant(
    folder: Path, *, seed: int | None = None, repeat: tuple[str, ...] = REPEAT, device: bool = True
) -> Iterator[Plant]:
    """Keys, files and the simulated device; sides are started by who asks.

    Args:
        folder: `high` and `low` in it may be there already (mounted).
        seed: Of a link that can lose; None: no link in between.
        device: Whether it runs; where no side does, nobody asks it.
    """
    keymaking.make("high", folder / "high/keys/high")
    keymaking.make("low", folder / "low/keys/low")
    for side, other in (("high", "low"), ("low", "high")):  # carried over by hand
        shutil.copy(folder / f"{side}/keys/{side}.pub", folder / f"{other}/keys/{side}.pub")
    (folder / "one.toml").write_text(_SCENE)
    to, page = free(socket.SOCK_DGRAM), free(socket.SOCK_STREAM)
    made = Plant(folder, BadLink(to, seed) if seed is not None else None)
    ports, url = folder / "ports.json", "tcp://127.0.0.1:9"
    try:
        if device:
            words = command("simulate", str(folder / "one.toml"), "--ports-file", str(ports))
            made.sides["plant"] = subprocess.Popen(words)
            until(ports.exists, "the simulator did not start")
            url = json.loads(ports.read_text())["pump"]["url"]
        link = made.link.port if made.link is not None else to
        sender = _SENDER.format(link=link, url=url, repeat=json.dumps(list(repeat)))
        (folder / "high/sender.toml").write_text(sender)
        (folder / "low/receiver.toml").write_text(_RECEIVER.format(link=to, page=page))
        os.sync()  # a power cut is to hit what the processes write, not what a person wrote long ago
        yield made
    finally:
        for process in reversed(made.sides.values()):
            if process.poll() is None:
                process.terminate()
        for process in made.sides.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        if made.link is not None:
            made.link.close()
    until(lambda: not _running(f"{folder}/".encode()), "a process outlived its parent", patience=15.0)


def spooled(spool: Path, own: keys.PrivateKey, sign: keys.PublicKey) -> Blocks:
    """Every sample of a spool, by stream and block number.

    Args:
        spool: Its folder; what is damaged in it is left out, and so is what nobody can open any more.
        own: The low side's `open` key.
        sign: The high side's `sign` key.
    """
    records: dict[tuple[bytes, int], Record] = {}

    def visit(place: Place, one: Record) -> None:
        records.setdefault((one.stream, one.number), one)

    walk(spool, visit)
    for stream in kept_streams(spool):
        for one in read_kept(spool, stream):
            records.setdefault((stream, one.number), one)
    seals: dict[tuple[bytes, int], seal.Seal] = {}
    names: dict[tuple[bytes, int], str] = {}
    out: dict[tuple[bytes, int], list[Sample]] = {}
    for kind in (BlockKind.EPOCH, BlockKind.CATALOG, BlockKind.BATCH):
        for (stream, number), one in sorted(records.items()):
            header = read_header(one.block)
            if header.kind != kind:
                continue
            if kind == BlockKind.EPOCH:
                epoch, key = seal.open_epoch(seal.verify(one.block, {sign.id: sign}), stream, own)
                seals[stream, epoch] = seal.Seal(key, stream, epoch)
                continue
            if (stream, header.epoch) not in seals:
                continue  # its EPOCH was damaged: nobody can open it
            held = content(kind, seals[stream, header.epoch].open(one.block))
            if isinstance(held, Page):
                names.update({(stream, tag.id): tag.name for tag in held.tags})
            elif isinstance(held, BatchBody):
                rows = [row for row in held.columns.rows() if not row.flags & Flag.REFRESH]
                if any((stream, row.tag) not in names for row in rows):
                    continue  # its CATALOG page was damaged
                out[stream, number] = [(names[stream, row.tag], row.time_ns, row.value) for row in rows]
    return out


def free(kind: socket.SocketKind) -> int:
    """A free port of this machine."""
    with socket.socket(socket.AF_INET, kind) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def command(*words: str) -> list[str]:
    """A Checkvalve command line with this interpreter."""
    return [sys.executable, "-m", "checkvalve", *words]


def until(done: Callable[[], bool], text: str, patience: float = PATIENCE) -> None:
    """Wait for a condition; its failure says what did not come."""
    ends = time.monotonic() + patience
    while not done():
        assert time.monotonic() < ends, text
        time.sleep(0.1)


def _running(folder: bytes) -> list[int]:
    """Processes that were started with a file of this folder and are no zombies."""
    out = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder in (path / "cmdline").read_bytes():
                out.append(int(path.name))
    return out


def _is(pid: int, name: str) -> bool:
    """Whether that process is still the one meant (a number may have gone to another)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"checkvalve" in words and name.encode() in words
