"""Samples to an InfluxDB write endpoint: none lost while it is down, none held up but its own.

`take` only stores lines; `step` sends them. A line is dropped from the store when the server acknowledged it, then ran
on for `HOLD_S` as the same process, which its own `/metrics` says. If it was restarted meanwhile, everything held is
sent again: harmless, as a sample is its series and time. (It tells whole seconds: one that starts, takes lines, is
killed and starts again within a second is not noticed.) A server that does not tell its start is believed after
`HOLD_S`. What the store holds is bounded; at the bound `wants` is False and the journal waits.

A store that is damaged is set aside, told, and begun anew with no place: everything that the journal still holds is
sent once more, so that nothing is missing at the server. That is harmless, and costs its time and traffic: a week of
journal at 20,000 samples/s is 12 billion lines, 17 hours at the 200,000 lines/s that a server on 2 cores took.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from receiver.outputs import disk
from receiver.outputs.base import OpenedBlock, Output
from receiver.outputs.disk import DamageError
from receiver.outputs.influx.answer import WriteAnswer
from receiver.outputs.influx.line_store import LineStore, groups
from receiver.outputs.influx.lines import LineWriter, escaped, without_texts
from receiver.outputs.influx.pump import Pump
from receiver.outputs.influx.settings import InfluxTable, read_token, shown
from receiver.outputs.settings import OutputTable

if TYPE_CHECKING:
    from receiver.outputs.influx.influx_server import ServerMetrics

HOLD_S = 60.0
"""How long an acknowledged line is kept [s]: VictoriaMetrics 1.79 loses those of the last 8 to 12 s when it is killed;
five times that."""
CHECK_S = 10.0
"""Between two looks at the server's own counters [s]: how soon a restart is noticed."""
UNTOLD_S = 600.0
"""A server that takes lines but cannot be asked for this long is treated as one that does not tell its start [s]."""
MENDINGS = 3
"""Times that a running process begins its store anew: more is a failing disk."""
SENDS = 4
"""Most requests of one step."""
PENDING_BYTES = 64 * 1024 * 1024
"""Most that waits to be sent, compressed [bytes]: the journal holds the rest, and for longer."""
STORE_BYTES = 1024 * 1024 * 1024
"""Most in the store, compressed [bytes]: 60 s at the fastest a server takes lines, ten times over."""


class Endpoint(Protocol):
    """What is needed of a server; `Server` is the real one."""

    def write(self, lines: bytes) -> WriteAnswer:
        """Send lines once."""

    def metrics(self) -> ServerMetrics | None:
        """Its own counters; None where it cannot be asked now."""

    def close(self) -> None:
        """Let go of it."""


class InfluxOutput(Output):
    """One destination that speaks InfluxDB's v2 write API."""

    kind = "influx"
    table = InfluxTable

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Self:
        """The output of a section; its store is `state/NAME.db`.

        Raises:
            ConfigError: the token's file cannot be read.
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        assert isinstance(table, InfluxTable)
        return cls(
            state / f"{table.name}.db",
            name=table.name,
            url=table.url,
            token=read_token(table),
            org=table.org,
            bucket=table.bucket,
            scope_text=table.scope.text,
            wait=wait,
        )

    def __init__(
        self,
        store: Path,
        *,
        name: str,
        url: str,
        token: str,
        org: str,
        bucket: str,
        scope_text: str,
        clock: Callable[[], int] = time.time_ns,
        wait: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
        server: Endpoint | None = None,
    ) -> None:
        """
        Args:
            store: Its own database file.
            name: Of the output.
            url: `http://host:port` of the server.
            token: Secret; empty where none is asked for. Never shown.
            scope_text: What it is given, in words, for the status.
            clock: Wall time [ns since 1970 UTC]: for what is set aside.
            wait: Pauses for so many seconds while the disk is full; may raise to give up.
            chance: Gives the jitter of retries.
            server: Instead of the one at `url`.

        Raises:
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        self._trouble = ""
        self._store, self._wait, self._clock = store, wait, clock
        self._told: list[str] = []
        self._moved_back = False
        self._lock = disk.lock(store.with_suffix(".lock"))
        try:
            self._lines = self._opened()
        except BaseException:
            os.close(self._lock)
            raise
        self._name, self._url, self._scope_text = name, url, scope_text
        self._server: Endpoint = server or _server(url, token, org, bucket)
        self._writer = LineWriter()
        probe = f"checkvalve,output={escaped(name)} probe=1i {clock()}\n".encode()
        self._pump = Pump(probe, chance or random.Random())
        self._acks: deque[tuple[int, float | None]] = deque()
        """Last group number and time of each acknowledgement that is held; None: at the next step's time."""
        if self._lines.sent:
            self._acks.append((self._lines.sent, None))
        self._next_try = self._next_check = float("-inf")
        self._untold_since: float | None = None
        self._metrics: ServerMetrics | None = None
        self._first_refused = 0
        self._rewinds = self._resent = 0

    def place(self) -> bytes | None:
        """The place stored last, None for a new store."""
        return self._lines.place

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        """Store the blocks' lines and `place`; waits while the disk is full. Sends nothing."""
        lines = b"".join(self._writer.lines(block) for block in blocks)
        try:
            self._lines.store(groups(lines), place)
        except DamageError as error:
            self._begin_anew(error)

    def begun_again(self) -> bool:
        """Whether the store was begun anew: the journal is to be read from its beginning."""
        moved, self._moved_back = self._moved_back, False
        return moved

    def wants(self) -> bool:
        """Whether there is room in the store."""
        pending, held = self._lines.pending.bytes, self._lines.held.bytes
        return pending < PENDING_BYTES and pending + held < STORE_BYTES

    def step(self, now: float) -> float:
        """Send what is pending, a few requests; look after what is held."""
        self._acks = deque((upto, now if at is None else at) for upto, at in self._acks)
        if now < self._next_try:
            return self._next_try - now
        try:
            with disk.sorted_errors(self._store):
                self._go_on(now)
            self._trouble = ""
        except DamageError as error:
            self._begin_anew(error)
            return 0.0
        except sqlite3.Error as error:  # full: what was not written down is done again
            self._pump.clear()
            self._trouble = f"{error}: waiting for space"
            return disk.FULL_WAIT_S
        if now < self._next_try:
            return self._next_try - now
        if self._pump.loaded or self._lines.pending.groups:
            return 0.0
        return max(self._next_check - now, 0.0) if self._lines.held.groups else CHECK_S

    def status(self) -> Mapping[str, Any]:
        """Counters; `alarm` says that a person should look: held, lines set aside, or lines the server threw away."""
        pump, lines, metrics = self._pump, self._lines, self._metrics
        refused = max(metrics.refused - self._first_refused, 0) if metrics else 0
        return {
            "kind": "influx",
            "url": shown(self._url),
            "scope": self._scope_text,
            "state": pump.state,
            "trouble": self._trouble or pump.trouble,
            "warnings": [*([f"its disk: {self._trouble}"] if self._trouble else []), *self._told],
            "alarm": pump.state == "held" or bool(lines.set_aside) or bool(refused),
            "lines": lines.taken,
            "pending_lines": lines.pending.lines,
            "held_lines": lines.held.lines,
            "set_aside_lines": lines.set_aside,
            "server_refused_rows": refused,
            "store_bytes": lines.pending.bytes + lines.held.bytes,
            "requests": pump.requests,
            "retries": pump.retries,
            "rewinds": self._rewinds,
            "resent_lines": self._resent,
            "server": "unknown" if metrics is None else "victoria-metrics" if metrics.victoria else "influx",
            "restart_seen_by": "its start time" if metrics and metrics.started is not None else "nothing",
        }

    def close(self) -> None:
        """Close everything; what is pending stays in the store. May be called twice."""
        if self._lock >= 0:
            self._server.close()
            self._lines.close()
            os.close(self._lock)
            self._lock = -1

    def _go_on(self, now: float) -> None:
        if now >= self._next_check or self._pump.failures:
            self._check(now)  # after a failure it may be another process that answers
        for _ in range(SENDS):
            if not self._send_one(now):
                break

    def _send_one(self, now: float) -> bool:
        """One request, or the end of a group; False where there is nothing to send or it must wait."""
        pump = self._pump
        if not pump.loaded:
            if not self._lines.pending.groups:
                return False
            pump.load(*self._lines.next(pump.most_lines))
        if not pump.finished:
            pause = pump.answered(self._server.write(self._for_server(pump.request())), self._clock())
            if pause:
                self._next_try = now + pause
                return False
        if pump.finished:
            self._lines.acknowledge(pump.upto, pump.aside)
            self._acks.append((pump.upto, None))
            pump.clear()
        return True

    def _for_server(self, lines: bytes) -> bytes:
        """The lines as this server understands them."""
        if self._metrics is not None and self._metrics.victoria:
            return without_texts(lines)
        return lines

    def _check(self, now: float) -> None:
        """Ask for the server's counters: notice a restart, release what it has had long enough."""
        metrics = self._server.metrics()
        self._next_check = now + CHECK_S
        if metrics is None:
            self._untold_since = now if self._untold_since is None else self._untold_since
            if now - self._untold_since >= UNTOLD_S and not self._pump.failures:
                self._release(now)
            return
        self._untold_since = None
        before = self._metrics
        fewer = before is not None and metrics.inserted < before.inserted
        if metrics.started != self._lines.server_started or fewer:
            self._rewind(metrics.started)
        if before is None or fewer:
            self._first_refused = metrics.refused if before is None else 0
        self._metrics = metrics
        self._release(now)

    def _rewind(self, started: float | None) -> None:
        """Another process of the server: it may lack anything that is held."""
        held = self._lines.held.lines
        self._lines.note_server(started, rewind=held > 0)
        if held:
            self._rewinds += 1
            self._resent += held
            self._acks.clear()
            self._pump.clear()

    def _release(self, now: float) -> None:
        upto = 0
        while self._acks and self._acks[0][1] is not None and self._acks[0][1] <= now - HOLD_S:
            upto = self._acks.popleft()[0]
        if upto:
            self._lines.release(upto)

    def _opened(self) -> LineStore:
        """The store; one that is damaged is set aside first."""
        try:
            return LineStore(self._store, waiting=self._waiting, wait=self._wait)
        except DamageError as error:
            aside = disk.set_aside(self._store, self._clock())
            self._told.append(f"{error}: {aside}; everything that the journal still holds is sent again")
            self._moved_back = True
            return LineStore(self._store, waiting=self._waiting, wait=self._wait)

    def _begin_anew(self, error: DamageError) -> None:
        """The open store is damaged."""
        self._lines.close()
        if len(self._told) >= MENDINGS:
            raise error
        aside = disk.set_aside(self._store, self._clock())
        self._told.append(f"{error}: {aside}; everything that the journal still holds is sent again")
        self._lines = self._opened()
        self._pump.clear()
        self._acks.clear()
        self._moved_back = True

    def _waiting(self, why: str) -> None:
        self._trouble = why


def _server(url: str, token: str, org: str, bucket: str) -> Endpoint:
    from receiver.outputs.influx.influx_server import (
        InfluxServer,  # its library takes half a second, which --check need not wait for
    )

    return InfluxServer(url, token, org, bucket)
