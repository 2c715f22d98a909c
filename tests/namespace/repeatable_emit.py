"""The real emit in this network namespace, run again and again in one process, so that runs can be compared.

One line on standard input is one run, `KIND FOLDER`; when it has ended, its kind is printed.

    virtual    by a clock that only the emitter's own waits move, and random bytes from a seed, for VIRTUAL_S
    real       by the machine's clock, until all that is new has left
    adapting   as real, with an outlet that a diode must not have: connected, and slower where the other side refuses
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from protocol.process.confine import Mode
from protocol.process.doorbell import Doorbell
from sender import link_file
from sender.emit import outlet, process

VIRTUAL_S = 22.0
"""Long enough for the first repeat, after 20 s."""
LOOK_S = 0.25
"""Its longest wait for the doorbell by that clock: nothing rings it."""
BEGIN_S = 1000.0


class VirtualClock:
    """Moves when somebody waits."""

    def __init__(self) -> None:
        self.now = BEGIN_S

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return 1_700_000_000_000_000_000 + int(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 1e-6)


class AdaptingOutlet(outlet.Outlet):
    """What must be found: it hears of a refusal, and waits."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._ears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ears.connect((host, port))

    def pin(self) -> None:
        """Stays as it is."""

    def send(self, frames: memoryview, length: int) -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            for at in range(0, len(frames), length):
                self._ears.send(frames[at : at + length])
            return True
        time.sleep(0.001)
        return True


@contextlib.contextmanager
def _by_virtual_clock(clock: VirtualClock) -> Iterator[None]:
    dice = random.Random(1)
    with (
        mock.patch.object(time, "monotonic", clock.monotonic),
        mock.patch.object(time, "time_ns", clock.time_ns),
        mock.patch.object(time, "sleep", clock.sleep),
        mock.patch.object(os, "urandom", dice.randbytes),
        mock.patch.object(process, "LOOK", LOOK_S),
        mock.patch.object(Doorbell, "wait", lambda bell, seconds: clock.sleep(seconds)),
    ):
        yield


def _run(kind: str, folder: Path) -> None:
    config = link_file.load(folder / "sender.toml")
    if kind == "virtual":
        clock = VirtualClock()
        with _by_virtual_clock(clock):
            emit: Any = process._Process(config, Mode.OFF, {}, None)
            say = emit._say_in_time

            def stop_in_time(now: float) -> None:
                if now > BEGIN_S + VIRTUAL_S and emit._stopping is None:
                    emit._stop(0, None)
                say(now)

            emit._say_in_time = stop_in_time
            emit.run()
        return
    with mock.patch.object(process, "Outlet", AdaptingOutlet if kind == "adapting" else outlet.Outlet):
        emit = process._Process(config, Mode.OFF, {}, None)
        emit._stopping = time.monotonic()
        emit.run()


if __name__ == "__main__":
    for line in sys.stdin:
        _run(line.split()[0], Path(line.split()[1]))
        sys.stdout.write(line.split()[0] + "\n")
        sys.stdout.flush()
