"""`audit capture` over a million frames of a link's tap: frames a second, and memory.

The file is made from a seed, a plant's mix as public captures show it: UDP of the link for the most part, Modbus/TCP,
VLAN, ARP, ICMP, IPv6, LLDP and STP, TCP SYN to remote-access ports; 60 to 1,500 bytes. It is read by the command
itself, in a process of its own, as an auditor starts it: start-up, hash of the file, findings and all. Seconds are of
processor time, all threads together, so that a busy machine gives the same figure; with a second core free the command
ends sooner than that, since the hash is taken beside the count. Python's byte code is kept, as an installed program has
it. Hash and start-up are the same in both builds and are most of what is left: the hash alone takes 0.4 s for a file of
670 MB where the processor has instructions for it.

Memory is the process's peak of pages that are not the mapped file's (RssAnon of /proc/PID/status, looked at a hundred
times a second), interpreter and libraries included.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from bench.build_before import command, unpacked
from bench.figures import BenchRow

FRAMES = 1_000_000
BEFORE = "66b0d71"
"""The build that looked at source addresses alone."""
HIGH = "02:dd:00:00:00:01"
KINDS = 400
"""Different frames that the file is made of; each is written many times, in random order."""
NOTE = "processor time of the whole command, start-up and sha256 of the file included; page cache warm"
_HIGH, _OTHER = bytes.fromhex("02dd00000001"), bytes.fromhex("02dd00000002")


def measure(runs: int = 7, frames: int = FRAMES) -> list[BenchRow]:
    """`audit.capture`, its baseline the build before, turn by turn; `audit.capture.rss`.

    Args:
        runs: Of each.
        frames: In the file.
    """
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name, unpacked(BEFORE) as before:
        path = Path(name) / "link.pcap"
        size = make(path, frames)
        path.read_bytes()
        taken, earlier = [], []
        for turn in range(runs + 1):
            now = _read(path, frames, None, Path(name))
            then = _read(path, frames, before, Path(name))[0] if before is not None else None
            if turn:  # the first one wrote byte code
                taken.append(now)
                earlier += [] if then is None else [then]
    note = f"{frames:,} frames, {size / 1e6:.0f} MB; {NOTE}"
    note += f"; baseline: the build before, {BEFORE}" if earlier else "; the build before cannot be had here"
    peaks = tuple(peak for _, peak in taken if peak is not None)
    return [
        BenchRow(
            row="audit.capture",
            unit="packets/s",
            runs=tuple(rate for rate, _ in taken),
            baseline=statistics.median(earlier) if earlier else None,
            note=note,
        ),
        BenchRow(
            row="audit.capture.rss",
            unit="MB",
            runs=peaks,
            note="peak beyond the mapped file, interpreter and libraries included"
            if peaks
            else "this kernel does not tell RssAnon",
        ),
    ]


def make(path: Path, frames: int, seed: int = 7) -> int:
    """Write the capture; returns its size [bytes].

    Args:
        frames: How many.
    """
    dice = random.Random(seed)
    kinds = list(_kinds(dice))
    links = [one for one in kinds if one[6:12] == _HIGH]
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for first in range(0, frames, 10_000):
            count = min(10_000, frames - first)
            picked = [dice.choice(links if dice.random() < 0.7 else kinds) for _ in range(count)]
            file.write(
                b"".join(
                    struct.pack("<IIII", 1_700_000_000 + first // 10_000, at * 100, len(one), len(one)) + one
                    for at, one in enumerate(picked)
                )
            )
    return path.stat().st_size


def _kinds(dice: random.Random) -> Iterator[bytes]:
    for _ in range(KINDS // 2):
        yield _frame(_HIGH, 0x0800, _ip4(17, struct.pack(">HH", 40_000, 5005) + dice.randbytes(dice.randint(20, 1440))))
    syns = (22, 23, 3389, 5900, 102, 44_818)
    for place in range(KINDS - KINDS // 2):
        body = dice.randbytes(dice.randint(30, 1400))
        tcp = struct.pack(">HHIIBBHHH", dice.randint(1024, 65_535), dice.choice((502, *syns)), 1, 0, 0x50, 2, 1, 0, 0)
        vlan = struct.pack(">HH", place % 8, 0x0800) + _ip4(17, struct.pack(">HH", 2222, 2222) + body[:200])
        mixed = (
            (0x0800, _ip4(6, tcp + body)),
            (0x0800, _ip4(6, tcp)),
            (0x8100, vlan),
            (0x0806, bytes.fromhex("0001080006040001") + body[:20]),
            (0x0800, _ip4(1, b"\3\3" + body[:40])),
            (0x86DD, b"\x60\0\0\0\0\x08\x3a\xff" + bytes(32) + b"\x87\0" + body[:6]),
            (0x88CC, body[:60]),
            (38, b"\x42\x42\3" + bytes(35)),
        )
        yield _frame(_OTHER, *mixed[place % len(mixed)])


def _frame(source: bytes, ethertype: int, payload: bytes) -> bytes:
    return (b"\xff" * 6 + source + struct.pack(">H", ethertype) + payload).ljust(60, b"\0")


def _ip4(protocol: int, payload: bytes) -> bytes:
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, b"\x0a\1\1\7", b"\x0a\1\1\x08"
    )
    return head + payload


def _read(path: Path, frames: int, tree: Path | None, kept: Path) -> tuple[float, float | None]:
    """(frames a second of processor time, peak memory [MB]) of one run of the command; byte code is kept in a folder.

    Raises:
        RuntimeError: it did not count every frame.
    """
    words = [*command(tree), "audit", "capture", str(path), "--high", HIGH, "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = {"COLUMNS": "100", "PYTHONPYCACHEPREFIX": str(kept / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | own) as process:
        peak, done = [0], threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peak, done))
        watch.start()
        text, _ = process.communicate()
        done.set()
        watch.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    counted = json.loads(text)["facts"]["file"]["frames"]
    if counted != frames:
        raise RuntimeError(f"{counted} frames were counted, {frames} written")
    return frames / took, peak[0] / 1000 if peak[0] else None


def _watch(pid: int, peak: list[int], done: threading.Event) -> None:
    """Keep the largest RssAnon of a process [kB]."""
    path = Path(f"/proc/{pid}/status")
    while not done.wait(0.01):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            return
        for line in lines:
            if line.startswith("RssAnon:"):
                peak[0] = max(peak[0], int(line.split()[1]))
