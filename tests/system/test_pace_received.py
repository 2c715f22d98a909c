"""The rate as the receiver measures it: real emitter, real sockets, the kernel's time of each datagram."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipe import Pipe

from protocol.content.sample import Row, from_rows
from protocol.limits import WIRE_OVERHEAD

TIMESTAMPNS = 35  # asm-generic/socket.h: SO_TIMESTAMPNS, struct timespec of the kernel's clock
PATIENCE = 30.0
"""Longest wait for what must come [s]."""
SENDER = """
site = "north"
[outlet]
to = "127.0.0.1:{port}"
rate_mbit = {rate}
repeat = ["1s"]
{more}
[keys]
own = "keys"
receivers = ["../low/keys.pub"]
"""


@pytest.mark.parametrize(("rate", "burst"), [(20, None), (80, 6000)])
def test_in_every_window_at_the_receiver_no_more_than_rate_and_burst(
    tmp_path: Path, rate: int, burst: int | None
) -> None:
    """First sendings, spares, repeats, LINK and BEAT together, whatever the machine does to the emitter meanwhile."""
    pipe = Pipe(tmp_path, link=False)
    chance = random.Random(rate)
    for _ in range(30):
        rows = [Row(at % 3, pipe.high_wall + at, chance.random()) for at in range(2500)]
        pipe.packer.samples("pump", from_rows(rows), len(rows))
        pipe.run(0.1, emit=False, catch=False)
    pipe.finish()
    pipe.kill_poll()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inlet:
        inlet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        inlet.setsockopt(socket.SOL_SOCKET, TIMESTAMPNS, 1)
        inlet.bind(("127.0.0.1", 0))
        inlet.settimeout(PATIENCE)
        file = tmp_path / "high/sender.toml"
        more = "" if burst is None else f'burst = "{burst}B"'
        file.write_text(SENDER.format(port=inlet.getsockname()[1], rate=rate, more=more))
        emit = subprocess.Popen([sys.executable, "-m", "checkvalve", "send", str(file), "--only", "emit"])
        try:
            seen = _until_quiet(inlet, 600_000)
        finally:
            emit.terminate()
            emit.wait(30)
    assert sum(size for _, size in seen) > 600_000
    bytes_s, most = rate * 125_000, burst or max(rate * 125, 1514)
    worst = _worst(seen, bytes_s)
    assert worst <= most + 10, worst
    busiest = max(_rate(seen[at : at + 200]) for at in range(0, len(seen) - 200, 20))
    assert busiest > 0.2 * bytes_s  # the test is of a link that had enough to send


def _until_quiet(inlet: socket.socket, enough: int) -> list[tuple[float, int]]:
    """(kernel's time [s], bytes on the wire) of each datagram, until beats alone come."""
    seen: list[tuple[float, int]] = []
    total, last_big, ends = 0, time.monotonic(), time.monotonic() + PATIENCE
    while time.monotonic() < ends and not (total > enough and time.monotonic() > last_big + 1.5):
        data, control, _, _ = inlet.recvmsg(2048, 64)
        ((_, _, stamp),) = control
        seconds, nanos = struct.unpack("=qq", stamp)
        seen.append((seconds % 10**6 + nanos * 1e-9, len(data) + WIRE_OVERHEAD))
        total += seen[-1][1]
        if data[3] == 1:
            last_big = time.monotonic()
    return seen[20:]  # the kernel begins to stamp at arrival a moment after it was asked to


def _worst(seen: list[tuple[float, int]], bytes_s: float) -> float:
    """Over all windows, the most bytes in one less rate x its length [bytes]."""
    worst, low, total = 0.0, float("inf"), 0
    for at, size in seen:
        low = min(low, total - bytes_s * at)
        total += size
        worst = max(worst, total - bytes_s * at - low)
    return worst


def _rate(seen: list[tuple[float, int]]) -> float:
    return sum(size for _, size in seen) / max(1e-6, seen[-1][0] - seen[0][0])
