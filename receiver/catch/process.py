"""The `catch` process: the inlet on one side, the journal on the other. This is the shell around `intake.Intake`.

    this thread      inlet -> intake -> queue      the only clock that decides, the only wait; never touches the disk
    writing thread   queue -> journal               store/writer.py

What is seen to before it receives: start.py. A pause of this thread loses data, so everything is imported and built
before the socket is opened, and the garbage collector runs only when nothing comes in.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from protocol.process.confine import Mode, Role, confine, give_up
from protocol.process.statusfile import PERIOD
from protocol.wire.erasure import Code
from receiver.catch.inlet import Inlet
from receiver.catch.intake import Intake
from receiver.catch.link.sessions import Sessions
from receiver.catch.start import load_keys, warnings
from receiver.catch.status.picture import picture
from receiver.catch.store.journal import Journal
from receiver.catch.store.writer import WritingThread
from receiver.settings import CatchConfig

LOOK = 0.2
"""Longest wait for a datagram [s]: how soon a stop or a failing disk is noticed."""
OUTLOOK_PERIOD = 30.0
"""What must outlive a restart besides the journal is handed to the writing thread this often [s]."""
COLLECT_IDLE, COLLECT_BUSY = 10.0, 600.0
"""The garbage collector runs when this long ago and nothing comes in, or this long ago whatever comes in [s]."""
SWITCH = 0.001
"""A thread that wants the interpreter waits this long before it asks for it [s]; 5 ms is Python's own choice."""


def run(config: CatchConfig, mode: Mode = Mode.ON, interface: Mapping[str, Any] | None = None) -> int:
    """Catch until SIGTERM or SIGINT; returns the exit code.

    Args:
        config: Its part of the file.
        mode: How this process is confined once the socket is open and before anything is received.
        interface: What was found of the diode's before this; told in the status.

    Raises:
        ConfigError: a key that is missing or wrong, an address that cannot be listened on.
        HeldError: another catch has the port or the journal.
        StoreError: the disk fails.
    """
    process = _Process(config, mode, interface or {})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, process.stop)
    return process.run()


class _Process:
    def __init__(self, config: CatchConfig, mode: Mode, interface: Mapping[str, Any]) -> None:
        own, signers = load_keys(config)
        code = Code()
        asked = config.inlet.buffer_mib << 20
        self._inlet = Inlet(*config.inlet.listen, asked, pinned=True)  # from here on the kernel keeps what comes
        # the buffer may have taken CAP_NET_ADMIN; nothing after it takes any
        give_up(config.state, mode, config.state / "journal")
        retention = config.retention
        journal = Journal(
            config.state,
            keep_s=retention.journal,
            most_bytes=retention.max_gb * 1e9,
            now=time.monotonic(),
            wall_ns=time.time_ns(),
        )
        confinement = confine(Role.CATCHER, mode)
        self._writer = WritingThread(journal, clock=time.monotonic, wall=time.time_ns)
        self._writer.warnings = (
            *warnings(journal, confinement, granted=self._inlet.buffer_bytes, asked=asked),
            *interface.get("warnings", ()),
        )
        self._ground = {key: value for key, value in interface.items() if key != "warnings"}
        self._confinement = confinement
        streams = {stream: ledger.stream(time.time_ns()) for stream, ledger in journal.ledger.streams.items()}
        sessions = Sessions(own, signers, journal.floors, random.Random(os.urandom(16)))
        self._intake = Intake(sessions, code, streams, put=self._writer.put, say=self._writer.say)
        self._stopped = False

    def stop(self, number: int, frame: object) -> None:
        self._stopped = True

    def run(self) -> int:
        gc.collect()
        gc.freeze()
        gc.disable()
        sys.setswitchinterval(SWITCH)
        self._report(time.monotonic())
        self._writer.start()
        try:
            self._loop()
            self._report(time.monotonic())
            self._writer.remember(self._intake.gaps.outlooks())
        finally:
            self._inlet.close()
            self._writer.stop()
            gc.enable()
        if self._writer.failure is not None:
            raise self._writer.failure
        return 0

    def _loop(self) -> None:
        intake, inlet = self._intake, self._inlet
        now = time.monotonic()
        said = kept = collected = now
        while not self._stopped and self._writer.failure is None:
            until = intake.deadline()
            datagrams = inlet.receive(now + LOOK if until is None else min(until, now + LOOK))
            now = time.monotonic()
            if datagrams is not None:
                intake.gather.probes.kernel_drops = inlet.kernel_drops
                intake.receive(datagrams, now, time.time_ns())
            intake.tick(now, time.time_ns())
            if now >= said + PERIOD:
                said = now
                self._report(now)
            if now >= kept + OUTLOOK_PERIOD:
                kept = now
                self._writer.remember(intake.gaps.outlooks())
            if now >= collected + (COLLECT_IDLE if datagrams is None else COLLECT_BUSY):
                collected = now
                gc.collect()

    def _report(self, now: float) -> None:
        while self._writer.requests:
            self._intake.grant(self._writer.requests.popleft())
        while self._writer.damaged:
            self._intake.damage(*self._writer.damaged.popleft(), time.time_ns())
        self._writer.floors = self._intake.sessions.floors
        status = picture(self._intake, now=now, wall_ns=time.time_ns())
        status["confined"], status["confinement"] = self._confinement.mode, self._confinement.text
        status.update(self._ground)
        self._writer.show(status)
