"""The `poll` process: devices on one side, the spool on the other; it never touches the diode's interface.

It builds the collectors, the packer and the spool, connects them, and owns the only clocks of this process.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import time
from typing import Any

from protocol import keys
from protocol.content.answered import RecommendationAnswer
from protocol.content.applied import FOUND, WHAT, AppliedChange
from protocol.errors import ConfigError, StoreError
from protocol.process.document import to_json
from protocol.process.statusfile import PERIOD, write_status
from protocol.written import span
from sender.change import running
from sender.poll import reload
from sender.poll.answer_event import event_of
from sender.poll.config import SenderConfig, load
from sender.poll.poller import Poller
from sender.recommendations.answer_events import AnswerTeller
from sender.store import foresee, spool_figures
from sender.store.outbox import Outbox
from sender.store.pack import Packer
from sender.store.spool import Spool

LOOK = 0.005
"""Longest time between two looks at what is due [s]: a small part of the 20 ms group."""

CERTIFICATE_TOLD_S = 90 * 86400.0
"""Beats say of a certificate how long it lasts from here on [s]: readers warn later, and a beat has little room."""

LOOK_RELOAD = 0.3
"""How often a reload is looked for [s]: a person waits for it."""


def run(config: SenderConfig) -> int:
    """Poll until SIGTERM or SIGINT; returns the exit code.

    Raises:
        ConfigError: a key that is missing or wrong.
        StoreError: the spool is held by another process, or its disk fails.
    """
    signer = keys.load(config.keys.own, "sign")
    publics = [key for path in config.keys.receivers for key in keys.load_public(path)]
    receivers = [key for key in publics if key.kind in ("open", "recovery")]
    if not any(key.kind == "open" for key in receivers):
        raise ConfigError("[keys] receivers hold no open key", hint="carry DIR.pub of `keys new low DIR` over")
    spool = Spool(
        config.state,
        keep_s=config.spool.keep,
        most_bytes=int(config.spool.max_gb * 1e9),
        repeated_after_s=max(config.outlet.repeat, default=0.0),
        now=time.monotonic(),
        wall_ns=time.time_ns(),
    )
    packer = Packer(
        site=config.site,
        boot=spool.next_boot(time.time_ns()),
        geometry=config.outlet.geometry,
        signer=signer,
        receivers=receivers,
        previous=spool.previous(),
        append=spool.append,
        entropy=os.urandom,
        wall=time.time_ns,
        now=time.monotonic,
        room=lambda: spool.room,
    )
    gc.collect()
    gc.freeze()  # what start-up made stays: later passes look only at what is new
    asyncio.run(_Process(config, packer, spool).run())
    return 0


class _Process:
    def __init__(self, config: SenderConfig, packer: Packer, spool: Spool) -> None:
        self._config, self._packer, self._spool = config, packer, spool
        self._poller = Poller(
            config,
            packer,
            clock=time.time_ns,
            monotonic=time.monotonic,
            random=random.Random(os.urandom(8)),
        )
        self._outbox = Outbox(
            config.state,
            send=packer.file,
            say=lambda what, text: packer.state("", time.time_ns(), what, text),
            settle=self._settle,
        )
        self._answers: AnswerTeller | None = None
        self._answered = 0
        """Answers told in this stream."""
        self._change: AppliedChange | None = None
        self._doubts: list[str] = []
        self._stop = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        for line in self._took():
            self._packer.state("", time.time_ns(), "configuration", line)
        self._say_change()
        self._answers = AnswerTeller(self._config.state, self._say_answer, self._note, wall_ns=time.time_ns())
        works = (self._poller.run(), self._tick(), self._reload(), self._stop.wait())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
                raise _bare(result)
        self._packer.finish()
        self._spool.close(time.monotonic())
        self._say()

    async def _tick(self) -> None:
        """Everything that is due by time: batches, groups, retention, status."""
        said = 0.0
        while True:
            self._packer.tick()
            now = time.monotonic()
            self._spool.tick(now)
            for note in self._spool.pop_notes(now):
                self._packer.state("", time.time_ns(), "note", note)
            if now >= said + PERIOD:
                said = now
                self._outbox.look(time.time_ns())
                if self._answers is not None:
                    self._answers.look(time.time_ns())
                self._say()
            due = min(self._packer.deadline(), self._spool.deadline(now), said + PERIOD)
            await asyncio.sleep(min(max(due - time.monotonic(), 0.001), LOOK))

    def _settle(self) -> bool:
        """Bring what was packed onto the disk."""
        self._spool.flush(time.monotonic())
        return not self._spool.store.waiting_bytes

    async def _reload(self) -> None:
        """Look for a reload that somebody asked for, and do it."""
        state = self._config.state
        while True:
            await asyncio.sleep(LOOK_RELOAD)
            digest = reload.asked(state)
            if digest is None:
                continue
            try:
                config = await asyncio.to_thread(load, self._config.path)
                if config.digest != digest:
                    raise ConfigError("the file has changed since it was checked", hint="send --reload again")
                lines = await self._poller.reload(config)
            except ConfigError as error:
                reload.answer(state, digest, refused=f"{error}; {error.hint}" if error.hint else str(error))
                continue
            self._config = config
            await asyncio.to_thread(self._took)
            self._say_change()
            reload.answer(state, digest, lines=lines)

    def _took(self) -> list[str]:
        """Note what runs from now on; the lines of what changed since the last run."""
        self._doubts = []
        state, data = self._config.state, self._config.data
        self._change, lines = running.take(state, data, self._doubts.append, wall_ns=time.time_ns())
        return lines

    def _say_change(self) -> None:
        if self._change is not None:
            self._packer.state("", time.time_ns(), WHAT, self._change.text())

    def _say_answer(self, answer: RecommendationAnswer) -> None:
        """What people decided about a recommendation that was carried in; it decides nothing here."""
        self._answered += 1
        self._packer.event("", event_of(answer), self._answered)

    def _note(self, line: str) -> None:
        self._packer.state("", time.time_ns(), "note", line)

    def _unapplied(self) -> list[str]:
        """Only where applications are in use: nobody need use them."""
        if self._change is None or self._change.kind != FOUND or not self._change.over:
            return []
        step = f"checkvalve apply {self._config.path} --why TEXT says who and why, or --back returns"
        return [f"this configuration was {self._change.told()}; {step}"]

    def _say(self) -> None:
        spool, ends_s = self._spool.status(), self._poller.certificate_s()
        soon = {"certificate_s": int(ends_s)} if ends_s < CERTIFICATE_TOLD_S else {}
        spool_figures.write(self._config.state, spool | soon)
        told: dict[str, Any] = {
            "stream": self._packer.stream.hex(),
            "number": self._packer.number,
            "counts": {asset: {"read": read, "sent": sent} for asset, (read, sent) in self._packer.counts().items()},
            "spool": spool,
            "assets": self._poller.status(),
            "not_kept": self._packer.refused,
            "configuration": {"sha256": self._config.digest, "change": to_json(self._change or AppliedChange())},
            "warnings": [
                *self._config.warnings,
                *self._unapplied(),
                *self._doubts,
                *self._spool.warnings,
                *self._full(),
                *self._loses(),
                *self._poller.warnings(),
            ],
        }
        write_status(self._config.state, "poll", told, time_ns=time.time_ns())

    def _full(self) -> list[str]:
        if self._spool.full_since is None:
            return []
        size = self._spool.store.waiting_bytes / 1e6
        return [f"the spool's disk is full: {size:.1f} MB wait in memory; make room, or make [spool] max_gb smaller"]

    def _loses(self) -> list[str]:
        """What retention will take too early, where somebody can still do something."""
        loses = self._spool.loses_s
        if loses >= foresee.TOLD_S:
            return []
        step = "make [spool] max_gb or keep larger where the disk has room, or send faster ([outlet] rate_mbit)"
        what = f"blocks go from the spool in {span(loses)} that are still to be sent or repeated"
        return [f"at the present rate {what}: {step}"]


def _bare(error: Exception) -> Exception:
    """The first StoreError or ConfigError inside a group of a TaskGroup, else the error itself."""
    if not isinstance(error, ExceptionGroup):
        return error
    bare = [_bare(one) for one in error.exceptions]
    return next((one for one in bare if isinstance(one, StoreError | ConfigError)), bare[0])
