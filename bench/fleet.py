"""10,000 tags at 1 Hz over 30 devices of three kinds, read by the very process that a plant runs: `send --only poll`.

    10 Modbus devices x 340    float32, in 680 registers      polled
    10 Logix controllers x 330 named DINT tags                polled
    10 OPC UA connections x 330 nodes that change at 1 Hz     subscribed; one server stands behind all ten

Its processor time and memory are the kernel's figures of that process, which packs, seals and writes its spool too;
overruns and samples are what it says of itself. The devices are in processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.field import HOST, field
from bench.figures import BenchRow
from protocol import keymaking
from protocol.process.statusfile import read_status

EACH = 10
"""Devices of each kind."""
MODBUS, LOGIX, OPCUA = 340, 330, 330
"""Tags of one device of each kind."""
TAGS = EACH * (MODBUS + LOGIX + OPCUA)
SECONDS = 60.0
"""Counted, after `WARM_S` that are not."""
WARM_S = 8.0
START_S = 90.0

_HEAD = """site = "bench"
[outlet]
to = "127.0.0.1:5005"
rate_mbit = 100
[keys]
own = "keys/high"
receivers = ["keys/low.pub"]
[spool]
keep = "1h"
max_gb = 1
"""


def measure(seconds: float = SECONDS) -> list[BenchRow]:
    """`collect.fleet.cpu`, `.rss` and `.overruns`."""
    with (
        TemporaryDirectory(prefix="checkvalve-fleet-") as folder,
        field("modbus", EACH) as modbus,
        field("logix", EACH, LOGIX) as logix,
        field("opcua", EACH, OPCUA) as opcua,
    ):
        place = Path(folder)
        for side in ("high", "low"):
            keymaking.make(side, place / "keys" / side)
        (place / "sender.toml").write_text(_HEAD + "\n".join(_assets(modbus, logix, opcua)))
        return _watched(place, seconds)


def _assets(modbus: list[int], logix: list[int], opcua: list[int]) -> Iterator[str]:
    for number, port in enumerate(modbus):
        at = [f'{{ name = "f{tag}", at = "holding:{2 * tag}", type = "float32" }}' for tag in range(MODBUS)]
        yield _asset(f"modbus-{number}", "modbus", f"tcp://{HOST}:{port}", at)
    for number, port in enumerate(logix):
        at = [f'{{ name = "t{tag}", at = "Tag_{tag:05}", type = "int32" }}' for tag in range(LOGIX)]
        yield _asset(f"logix-{number}", "enip", f"enip://{HOST}:{port}", at)
    for number, port in enumerate(opcua):
        first = number * OPCUA + 1
        at = [f'{{ name = "n{tag}", at = "ns=2;i={tag}", type = "int64" }}' for tag in range(first, first + OPCUA)]
        yield _asset(f"opcua-{number}", "opcua", f"opc.tcp://{HOST}:{port}/", at)


def _asset(name: str, kind: str, url: str, tags: list[str]) -> str:
    head = f'[[asset]]\nname = "{name}"\ncollector = "{kind}"\nurl = "{url}"\nsimulated = true\ntimeout = "10s"\n'
    return head + '[[asset.scan]]\nevery = "1s"\ntags = [\n' + ",\n".join(tags) + "\n]\n"


def _watched(place: Path, seconds: float) -> list[BenchRow]:
    words = [sys.executable, "-m", "checkvalve", "send", str(place / "sender.toml"), "--only", "poll"]
    with (place / "said").open("w") as said, subprocess.Popen(words, stdout=said, stderr=said) as process:
        try:
            _until_up(place, process)
            time.sleep(WARM_S)
            before, begun = _counts(place), time.monotonic()
            pid = (read_status(place / "state", "poll") or {})["pid"]
            spent = _processor_s(pid)
            time.sleep(seconds)
            after, took = _counts(place), time.monotonic() - begun
            cores = (_processor_s(pid) - spent) / took
            memory = _peak_mb(pid)
        finally:
            process.terminate()
            process.wait(30)
    read = (after["read"] - before["read"]) / took
    note = f"{TAGS} tags of {3 * EACH} devices, {took:.0f} s of `send --only poll`: {read:,.0f} samples/s"
    late = after["overruns"] + after["skipped"] - before["overruns"] - before["skipped"]
    return [
        BenchRow(row="collect.fleet.cpu", unit="cores", runs=(cores,), note=note),
        BenchRow(row="collect.fleet.rss", unit="MB", runs=(memory,), note="the most it ever held (VmHWM)"),
        BenchRow(
            row="collect.fleet.overruns",
            unit="count",
            runs=(float(late),),
            note=f"reads that took longer than their period, and slots given up; {after['failures']} devices lost",
        ),
    ]


def _until_up(place: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while _counts(place)["up"] < 3 * EACH:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the fleet did not come up: {_counts(place)}; {(place / 'said').read_text()[-2000:]}")
        time.sleep(0.2)


def _counts(place: Path) -> dict[str, int]:
    """What the poller counted, summed over all its devices."""
    assets: dict[str, Any] = (read_status(place / "state", "poll") or {}).get("assets", {})
    sums = {key: sum(one[key] for one in assets.values()) for key in ("read", "overruns", "skipped", "failures")}
    return sums | {"up": sum(one["state"] == "up" for one in assets.values())}


def _processor_s(pid: int) -> float:
    """User and system time of all its threads [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
