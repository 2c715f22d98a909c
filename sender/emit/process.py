"""The `emit` process: the spool on one side, the outlet on the other. It loads no collector and hears nothing.

This is the shell around `emitter.Emitter`: the only clock, the only wait, the only socket (outlet.py).

An interface that takes no data (down, gone, an mtu that was lowered) uses nothing up: the frames at hand are tried
again until it does, LINK and BEAT leave meanwhile where they fit, and what is new waits in the spool.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from protocol import keys
from protocol.errors import ConfigError
from protocol.limits import WIRE_OVERHEAD
from protocol.process.confine import Mode, Role, confine, give_up
from protocol.process.doorbell import Doorbell
from protocol.process.statusfile import PERIOD, read_status, write_status
from protocol.wire.frame import SHARD_OVERHEAD, FrameKind, width_for
from sender.emit.emitter import Emitter
from sender.emit.errand_runner import ErrandRunner
from sender.emit.interleave import Parcel
from sender.emit.outlet import Outlet
from sender.emit.pace import Pace, wire_bytes
from sender.emit.progress import Progress
from sender.settings import LinkConfig

LOOK = 0.02
"""Longest wait for the doorbell [s]."""
RETRY = 0.2
"""Frames that the interface does not take are tried again after this [s]."""
DRAIN = 15.0
"""Longest time for what is new to leave after a stop was asked for [s]."""


def run(
    config: LinkConfig, mode: Mode = Mode.ON, found: Mapping[str, Any] | None = None, *, until: str | None = None
) -> int:
    """Emit until SIGTERM or SIGINT; returns the exit code.

    Args:
        config: The emitter's part of the file.
        mode: How this process is confined once everything is open.
        found: What was found of the diode's interface before this; told in the status.
        until: Name of an errand after which it ends; None: it goes on.

    Raises:
        ConfigError: a key that is missing or wrong, another emitter.
    """
    return _Process(config, mode, found or {}, until).run()


class _Process:
    def __init__(self, config: LinkConfig, mode: Mode, found: Mapping[str, Any], until: str | None) -> None:
        self._state = config.state
        self._found, self._until = found, until
        outlet = config.outlet
        signer = keys.load(config.keys.own, "link-sign")
        receivers = [key for path in config.keys.receivers for key in keys.load_public(path, "catch")]
        if not receivers:
            raise ConfigError("[keys] receivers hold no catch key", hint="carry DIR.pub of `keys new low DIR` over")
        give_up(config.state, mode)
        self._progress = Progress(config.state, wall_ns=time.time_ns())
        now = time.monotonic()
        self._emitter = Emitter(
            config.state / "spool",
            mtu=outlet.mtu,
            spread_s=outlet.spread_ms / 1000,
            repeat=outlet.repeat,
            geometry=outlet.geometry,
            signer=signer,
            receivers=receivers,
            boot=self._progress.next_boot(time.time_ns()),
            entropy=os.urandom,
            wall=time.time_ns,
            synced=_clock_synced,
            now=now,
        )
        self._progress.resume(self._emitter, config.state / "spool", now)
        largest = width_for(outlet.mtu) + SHARD_OVERHEAD
        self._pace = Pace(outlet.rate_mbit * 1e6 / 8, outlet.burst, largest_frame=largest + WIRE_OVERHEAD)
        self._errands = ErrandRunner(
            config.state,
            self._emitter,
            largest=largest,
            largest_frame=largest + WIRE_OVERHEAD,
            begun=self._progress.errand(),
        )
        self._turn = False
        self._bell = Doorbell(config.state / "doorbell", wall_ns=time.time_ns())
        self._outlet = Outlet(*outlet.to)
        self._stopping: float | None = None
        self._said = now
        self._outlet.pin()
        self._confinement = confine(Role.EMITTER, mode)

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        gc.collect()
        gc.freeze()
        try:
            while True:
                now = time.monotonic()
                self._say_in_time(now)
                parcel = self._next(now)
                if parcel is not None:
                    if not self._send(parcel) and self._stopping is not None:
                        break
                elif self._stopping is not None and (self._emitter.idle() or now > self._stopping + DRAIN):
                    break
                else:
                    due = min(self._emitter.deadline(now), self._errands.deadline(now), self._said + PERIOD)
                    self._bell.wait(min(due - now, LOOK))
            self._say(time.monotonic())
            return 0
        finally:
            self._outlet.close()
            self._progress.close()

    def _next(self, now: float) -> Parcel | None:
        """What leaves next; during a linktest data and probes take turns."""
        self._turn = not self._turn
        if self._turn:
            return self._errands.next(now) or self._emitter.next(now)
        return self._emitter.next(now) or self._errands.next(now)

    def _send(self, parcel: Parcel) -> bool:
        """Send at the set rate; False where the interface did not take it."""
        probing = self._errands.probing
        pace = probing.pace if probing is not None and probing.running(time.monotonic()) else self._pace
        step = pace.frames(parcel.length) * parcel.length
        for at in range(0, len(parcel.frames), step):
            part = parcel.frames[at : at + step]
            size = wire_bytes(len(part), -(-len(part) // parcel.length))
            while (wait := pace.wait(size, time.monotonic())) > 0:
                time.sleep(wait)
            while not self._outlet.send(part, parcel.length):
                if parcel.frames[3] != FrameKind.SHARD or self._stopping is not None:
                    return False
                self._hold()
            pace.spend(size, time.monotonic())  # after it: a pause of this process never crowds two sends
        self._emitter.left(parcel)
        return True

    def _hold(self) -> None:
        """The interface takes no data just now."""
        time.sleep(RETRY)
        now = time.monotonic()
        self._say_in_time(now)
        while (parcel := self._emitter.control(now)) is not None:
            if self._outlet.send(parcel.frames, parcel.length):
                self._emitter.left(parcel)

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = time.monotonic()

    def _say_in_time(self, now: float) -> None:
        if now >= self._said + PERIOD:
            self._said = now
            self._say(now)

    def _say(self, now: float) -> None:
        if self._stopping is None:
            self._errands.look(now)
        if self._until is not None and self._errands.done == self._until:
            self._stopping = self._stopping or now
        self._progress.save(self._emitter, now, self._errands.note())
        poll = read_status(self._state, "poll") or {}
        self._emitter.spool_status = _plain(poll.get("spool"))
        session = self._emitter.session
        told: dict[str, Any] = {
            "session": f"{session.number:08x}",
            "frames_total": self._emitter.frames_total,
            "frames": session.frames,
            "bytes": session.bytes,
            "backlog_s": self._emitter.behind(),
            "repeats_dropped": self._emitter.repeats.dropped,
            "send_errors": self._outlet.errors,
            "skipped_segments": self._emitter.reader.skipped,
            "resent_whole_spool": self._emitter.anew > 0,
            "damaged": self._emitter.accounts.damaged(),
            "errand": self._errands.status(),
            "engine": self._emitter.engine,
            "clock_synced": _clock_synced(),
            "confined": self._confinement.mode,
            "confinement": self._confinement.text,
            **self._found,
            "warnings": [
                *([self._outlet.trouble] if self._outlet.trouble else []),
                *self._progress.troubles,
                *self._emitter.warnings(),
                *self._found.get("warnings", ()),
            ],
        }
        write_status(self._state, "emit", told, time_ns=time.time_ns())


def _plain(told: object) -> dict[str, Any]:
    """Figures of the poller's, as a beat can carry them; its file may be damaged, or of another version."""
    pairs = told.items() if isinstance(told, dict) else ()
    return {str(key)[:32]: value for key, value in pairs if isinstance(value, int | float) and abs(value) < 2**63}


def _clock_synced() -> int:
    """1: the kernel says that the wall clock is synchronised, 0: that it is not, 2: it does not say (adjtimex(2))."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))
    except (OSError, AttributeError):
        return 2
    return 2 if state < 0 else int(state != 5)  # 5: TIME_ERROR, not synchronised
