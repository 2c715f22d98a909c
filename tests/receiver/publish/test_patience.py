"""Laws of waiting: a full disk is said every second, ended by a stop, and costs nothing that was stored."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from history_blocks import ALL, expected, told
from history_writer import made

from receiver.outputs.historian.read import Door
from receiver.publish.patience import SLICE_S, GivenUp, Patience

HERE = Path(__file__).parents[1]
ENDS_S = 5.0
"""A process ends within this time of SIGTERM, whatever its disk does [s]."""


class Clock:
    """Virtual time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def test_a_wait_says_so_every_second() -> None:
    """However the waits follow each other, the status is never older than a second and a slice."""
    clock, said = Clock(), []
    patience = Patience(lambda: said.append(clock.now), clock=lambda: clock.now, sleep=clock.sleep)
    for seconds in (1.0, 0.3, 0.3, 2.7, 0.0, 5.0):
        patience.wait(seconds)
    assert clock.now == pytest.approx(109.3)
    assert max(b - a for a, b in zip([100.0, *said], [*said, clock.now], strict=True)) <= 1.0 + SLICE_S
    assert len(said) <= 11


def test_a_stop_ends_a_wait_within_a_slice() -> None:
    """The wait is given up, at once where the stop came before it."""
    clock = Clock()
    patience = Patience(lambda: None, clock=lambda: clock.now, sleep=lambda seconds: stop_at(101.0, seconds))

    def stop_at(when: float, seconds: float) -> None:
        clock.sleep(seconds)
        patience.stop = clock.now >= when

    with pytest.raises(GivenUp):
        patience.wait(60.0)
    assert clock.now <= 101.0 + SLICE_S
    with pytest.raises(GivenUp):
        patience.wait(0.0)


def _no_disks() -> str | None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "a small disk takes root and unshare"
    mount = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return None if subprocess.run(mount, capture_output=True, check=False).returncode == 0 else "nothing can be mounted"


def _status(state: Path, want: str, within_s: float = 30.0) -> dict[str, object]:
    """The status, as soon as its trouble holds this word (or is empty, for no word)."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            status: dict[str, object] = json.loads((state / "status-historian.json").read_text())
        except (OSError, ValueError):
            status = {"trouble": None}
        trouble = status["trouble"]
        if isinstance(trouble, str) and (want in trouble if want else not trouble):
            return status
        time.sleep(0.02)
    raise AssertionError(f"the status never said {want!r}")


@pytest.mark.parametrize(("size_kb", "freed"), [(4, False), (40, False), (120, False), (400, False), (400, True)])
def test_a_full_disk_is_said_and_ends_within_seconds(size_kb: int, freed: bool, tmp_path: Path) -> None:
    """Full at start, in the log's index or in the middle: said every second, waited out or ended, nothing lost."""
    if why := _no_disks():
        pytest.skip(why)
    folder, state = tmp_path / "history", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    command = ["unshare", "-m", sys.executable, str(HERE / "history_full.py"), str(folder), str(size_kb), str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as process:
        try:
            first = int(str(_status(state, "full")["time_ns"]))
            asked = time.monotonic()
            while int(str(_status(state, "full")["time_ns"])) == first:
                assert time.monotonic() < asked + 10, "the status stands still"
                time.sleep(0.05)
            if freed:
                assert process.stdin
                process.stdin.write(b"free\n")
                process.stdin.flush()
                _status(state, "")
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert time.monotonic() - asked < ENDS_S
        finally:
            process.kill()
    if (state / "after").exists():
        place = int(json.loads((state / "status-historian.json").read_text())["at"])
        door = Door(state / "after", ALL)
        assert told(door)[0] == expected([made(number) for number in range(place)])[0]
        door.close()
    else:
        assert size_kb < 400
