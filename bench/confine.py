"""`bench confine`: what confinement costs: the ends of `bench link`, with the system-call filter and without.

The kernel runs the filter at every system call of sender and receiver, so its price is processor time. Each end's
throughput is therefore counted by its own processor time, data of whole blocks a second of one core: the sender's
sending as fast as it can, the receiver's at a rate at which nothing is lost. The row is the slower of the two ends.
Pair by pair, and the one differs from the other by the filter alone: both sockets stand at descriptor 99 in both cases.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

from bench import link_ends
from bench.figures import BenchRow
from bench.lab import BenchLink, lab
from protocol import keymaking
from protocol.process import confine
from protocol.process.confine import Mode, Role
from receiver.catch.inlet import Inlet
from sender.emit.outlet import Outlet

NEED, SPARE = 64, 8
BLOCKS = 2000
"""Blocks a run: 182 MB."""
FAST = 4
"""So many times more for the sender alone, which is as much faster."""
GENTLE = 300.0
"""Wire rate at which the receiver is measured [Mb/s]."""
PATIENCE = 120.0
"""Longest time for one run [s]."""


def measure(runs: int) -> list[BenchRow]:
    """The row `confine.cost`."""
    why = confine.possible()
    if why is not None:
        return [BenchRow(row="confine.cost", unit="Mb/s confined", note=f"not confined here: {why}")]
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name, lab() as link:
        folder = Path(name)
        for side in ("high", "low"):
            keymaking.make(side, folder / side)
        return [cost(link, folder, runs, BLOCKS)]


def cost(link: BenchLink, folder: Path, runs: int, blocks: int) -> BenchRow:
    """Measure in pairs.

    Args:
        link: Where.
        folder: Holds the keys of both sides.
        runs: Pairs.
        blocks: A run's.
    """
    by_mode: dict[Mode, list[_Ends]] = {Mode.ON: [], Mode.OFF: []}
    for turn in range(runs):
        order = (Mode.ON, Mode.OFF) if turn % 2 else (Mode.OFF, Mode.ON)
        for mode in order:
            by_mode[mode].append(_ends(link, folder, 2 * turn + (mode == Mode.ON), mode, blocks))
    both = {
        mode: {end: median(getattr(one, end) for one in ends) for end in ("tx", "rx")} for mode, ends in by_mode.items()
    }
    slower = min(both[Mode.OFF], key=lambda end: both[Mode.OFF][end])
    share = {end: both[Mode.ON][end] / both[Mode.OFF][end] for end in ("tx", "rx")}
    return BenchRow(
        row="confine.cost",
        unit="Mb/s confined",
        runs=tuple(getattr(one, slower) for one in by_mode[Mode.ON]),
        baseline=both[Mode.OFF][slower],
        lost=max(one.lost for one in by_mode[Mode.ON]),
        note=f"by processor time of one core, {NEED}+{SPARE}, {link.kind}, pairs in turn; the slower end is {slower}; "
        f"confined / unconfined: sender {share['tx']:.3f}, receiver {share['rx']:.3f}; lost: worst run at "
        f"{GENTLE:g} Mb/s, of {blocks} blocks",
    )


class _Ends(NamedTuple):
    tx: float
    """Sender's Mb/s of data by its own processor time."""
    rx: float
    """Receiver's."""
    lost: int


def _ends(link: BenchLink, folder: Path, turn: int, mode: Mode, blocks: int) -> _Ends:
    many = blocks * FAST
    high, _ = _pair(link, folder, 2 * turn, mode, many, 0)
    _, low = _pair(link, folder, 2 * turn + 1, mode, blocks, GENTLE)
    wanted = "0" if mode == Mode.OFF else "2"
    if {high["seccomp"], low["seccomp"]} != {wanted}:
        raise OSError(f"confinement {mode}: the kernel says Seccomp {high['seccomp']}, {low['seccomp']}")
    mbit = NEED * link_ends.WIDTH * 8e-6
    lost = int(low["lost"])
    return _Ends(tx=many * mbit / high["cpu_s"], rx=(blocks - lost) * mbit / low["cpu_s"], lost=lost)


def _pair(
    link: BenchLink, folder: Path, turn: int, mode: Mode, blocks: int, rate: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both ends measured in one run under this mode."""
    given = {"to": link.address, "listen": link.address, "keys": str(folder), "turn": turn, "mode": mode.value}
    given |= {"need": NEED, "spare": SPARE, "blocks": blocks, "rate": rate, "journal": ""}
    low = _start(link.low, "rx", given)
    try:
        assert low.stdout is not None
        low.stdout.readline()  # it listens
        high = _start(link.high, "tx", given)
        try:
            said_by = [json.loads(one.communicate(timeout=PATIENCE)[0].splitlines()[-1]) for one in (high, low)]
        finally:
            high.kill()
            high.wait()
    finally:
        low.kill()
        low.wait()
    if high.returncode or low.returncode:
        raise OSError(f"an end of the bench ended with {high.returncode}, {low.returncode}")
    return said_by[0], said_by[1]


def _start(prefix: tuple[str, ...], kind: str, given: dict[str, Any]) -> subprocess.Popen[str]:
    words = [*prefix, sys.executable, "-m", "bench.confine", kind, json.dumps(given)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)


def _end(kind: str, given: dict[str, Any]) -> None:
    """One end of `bench link`, which gives up what the product's end gives up, as its last step before it is ready."""
    role, mode = Role.EMITTER if kind == "tx" else Role.CATCHER, Mode(given["mode"])
    ready, say = link_ends._ready, link_ends._say
    sockets: list[Outlet | Inlet] = []
    began: list[float] = []

    def outlet(host: str, port: int) -> Outlet:
        made = Outlet(host, port)
        made.pin()
        sockets.append(made)
        return made

    def inlet(host: str, port: int, buffer_bytes: int) -> Inlet:
        sockets.append(made := Inlet(host, port, buffer_bytes, pinned=True))
        return made

    def confined(figures: dict[str, Any], core: int) -> None:
        confine.confine(role, mode)
        ready(figures, core)
        began.append(time.process_time())

    def said(figures: dict[str, Any]) -> None:
        say(figures | {"cpu_s": time.process_time() - began[0], "seccomp": _seccomp()})

    with (
        patch.object(link_ends, "Outlet", outlet),
        patch.object(link_ends, "Inlet", inlet),
        patch.object(link_ends, "_ready", confined),
        patch.object(link_ends, "_say", said),
    ):
        (link_ends.tx_bulk if kind == "tx" else link_ends.rx_bulk)(given)
    for one in sockets:
        one.close()  # Python asks an open socket for its peer when it drops it, and the emitter would end by that


def _seccomp() -> str:
    """0: no filter, 2: a filter (proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Seccomp:"))


if __name__ == "__main__":
    _end(sys.argv[1], json.loads(sys.argv[2]))
