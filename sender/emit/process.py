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
from protocol.process.statusfile import PERIOD, write_status
from protocol.wire.frame import SHARD_OVERHEAD, FrameKind, width_for
from sender.emit.emitter import Emitter
from sender.emit.errand_runner import ErrandRunner
from sender.emit.interleave import Parcel
from sender.emit.link_session import LinkTerms
from sender.emit.outlet import Outlet
from sender.emit.pace import Pace
from sender.emit.state_keeper import StateKeeper
from sender.settings import LinkConfig
from sender.store import spool_figures

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
        publics = [key for path in config.keys.receivers for key in keys.load_public(path)]
        receivers = [key for key in publics if key.kind == "catch"]
        if not receivers:
            raise ConfigError("[keys] receivers hold no catch key", hint="carry DIR.pub of `keys new low DIR` over")
        give_up(config.state, mode)
        self._keeper = StateKeeper(config.state, wall_ns=time.time_ns())
        now, last = time.monotonic(), self._keeper.last
        link = LinkTerms(
            mtu=outlet.mtu,
            spread_s=outlet.spread_ms / 1000,
            repeat=outlet.repeat,
            geometry=outlet.geometry,
            signer=signer,
            receivers=receivers,
            boot=self._keeper.next_boot(time.time_ns()),
            entropy=os.urandom,
            wall=time.time_ns,
            synced=_clock_synced,
        )
        self._emitter = Emitter(config.state / "spool", link, now)
        self._emitter.resume(last, now, "".join(self._keeper.troubles[:1]))
        largest = width_for(outlet.mtu) + SHARD_OVERHEAD
        self._pace = Pace(outlet.rate_mbit * 1e6 / 8, outlet.burst, largest_frame=largest + WIRE_OVERHEAD)
        self._errands = ErrandRunner(config.state, self._emitter, largest=largest, begun=last.errand)
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
            self._keeper.close()

    def _next(self, now: float) -> Parcel | None:
        """What leaves next; during a linktest data and probes take turns."""
        self._turn = not self._turn
        if self._turn:
            return self._errands.next(now) or self._emitter.next(now)
        return self._emitter.next(now) or self._errands.next(now)

    def _send(self, parcel: Parcel) -> bool:
        """Send at the set rate; False where the interface did not take it."""
        pace = self._errands.pace(time.monotonic()) or self._pace
        hold = self._hold if parcel.frames[3] == FrameKind.SHARD else lambda: False
        sent = pace.send(parcel.frames, parcel.length, self._outlet.send, hold, clock=time.monotonic, sleep=time.sleep)
        if sent:
            self._emitter.left(parcel)
        return sent

    def _hold(self) -> bool:
        """The interface takes no data just now; True: try again."""
        if self._stopping is not None:
            return False
        time.sleep(RETRY)
        now = time.monotonic()
        self._say_in_time(now)
        while (parcel := self._emitter.control(now)) is not None:
            if self._outlet.send(parcel.frames, parcel.length):
                self._emitter.left(parcel)
        return True

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
        self._keeper.save(self._emitter.state(now, self._errands.note()))
        self._emitter.say_of_spool(spool_figures.read(self._state))
        told = {
            **self._emitter.status(),
            "send_errors": self._outlet.errors,
            "errand": self._errands.status(),
            "clock_synced": _clock_synced(),
            "confined": self._confinement.mode,
            "confinement": self._confinement.text,
            **self._found,
            "warnings": [
                *([self._outlet.trouble] if self._outlet.trouble else []),
                *self._keeper.troubles,
                *self._emitter.warnings(),
                *self._found.get("warnings", ()),
            ],
        }
        write_status(self._state, "emit", told, time_ns=time.time_ns())


def _clock_synced() -> int:
    """1: the kernel says that the wall clock is synchronised, 0: that it is not, 2: it does not say (adjtimex(2))."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))
    except (OSError, AttributeError):
        return 2
    return 2 if state < 0 else int(state != 5)  # 5: TIME_ERROR, not synchronised
