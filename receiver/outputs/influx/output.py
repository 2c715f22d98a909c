"""Samples to a server that takes InfluxDB line protocol: none lost while it is down, none held up but its own.

`take` only stores lines; `step` sends them, one request at a time in a thread (`courier.py`), and waits for its answer
for a moment only. What an answer means, and how long a line is kept that was acknowledged, goes by the kind of server
(`server_kind.py`). A line that may be in the server's memory only is dropped from the store when the server ran on for
a minute as the same process, which its own `/metrics` says, without a failed connection; otherwise everything held is
sent again: harmless, as a sample is its series and time. What the store holds is bounded; at the bound `wants` is False
and the journal waits.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from receiver.outputs import aside, disk
from receiver.outputs.aside import AsideWish, SetAside
from receiver.outputs.base import OpenedBlock, Output
from receiver.outputs.disk import DamageError
from receiver.outputs.influx.answer import WriteAnswer
from receiver.outputs.influx.courier import Courier
from receiver.outputs.influx.dialect import for_server
from receiver.outputs.influx.line_refusal import OLD
from receiver.outputs.influx.line_store import LineStore, groups, read_aside
from receiver.outputs.influx.lines import LineWriter, escaped
from receiver.outputs.influx.pump import Pump
from receiver.outputs.influx.server_kind import AUTO, HOLD_S, KINDS, ServerKind, named
from receiver.outputs.influx.settings import InfluxTable, read_token, shown
from receiver.outputs.settings import OutputTable

if TYPE_CHECKING:
    from receiver.outputs.influx.influx_server import ServerMetrics

CHECK_S = 10.0
"""Between two looks at the server's own counters [s]: how soon a restart is noticed."""
UNTOLD_S = 600.0
"""A server that takes lines but cannot be asked for this long is treated as one that does not tell its start [s]."""
FORGET_S = 600.0
"""What was learned of refusals is tried again after this [s]: the server may keep longer by now."""
MENDINGS = 3
"""Times that a running process begins its store anew: more is a failing disk."""
SENDS = 8
"""Most requests of one step."""
ANSWER_S = 0.1
"""A step waits so long for an answer [s]: the status is written each second, whatever the server does."""
BUSY_S = 0.002
"""The same while there is more to be taken [s]."""
FULL_ASIDE_S = 5.0
"""Between two looks whether there is room aside again [s]."""
CLOSE_S = 1.0
"""A close waits so long for the request that is on its way [s]; its lines stay pending."""
MADE_BYTES = 1024 * 1024
"""Lines are made until they are so much, then compressed [bytes]."""
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
    """One destination that takes line protocol."""

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
            token=lambda: read_token(table),
            org=table.org,
            bucket=table.bucket,
            kind=table.server,
            scope_text=table.scope.text,
            wait=wait,
        )

    @classmethod
    def set_aside(cls, table: OutputTable, state: Path) -> Sequence[SetAside]:
        """What its store has set aside, read beside the process that writes it."""
        return list(read_aside(state / f"{table.name}.db"))

    def __init__(
        self,
        store: Path,
        *,
        name: str,
        url: str,
        token: str | Callable[[], str],
        org: str,
        bucket: str,
        scope_text: str,
        kind: str = AUTO,
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
            token: Secret, or what gives it; empty where none is asked for. Never shown.
            scope_text: What it is given, in words, for the status.
            kind: What the server is, by the settings.
            clock: Wall time [ns since 1970 UTC]: for what is set aside.
            wait: Pauses for so many seconds while the disk is full; may raise to give up.
            chance: Gives the jitter of retries.
            server: Instead of the one at `url`.

        Raises:
            ConfigError: the token's file cannot be read.
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
            self._given = KINDS.get(kind)
            secret = token if callable(token) else lambda: token
            self._server: Endpoint = server or _server(url, secret, org, bucket, self._given)
        except BaseException:
            os.close(self._lock)
            raise
        self._name, self._url, self._scope_text = name, url, scope_text
        probe = f"checkvalve,output={escaped(name)} probe=1i {clock()}\n".encode()
        self._pump = Pump(probe, chance or random.Random())
        self._courier = Courier()
        self._wishes = aside.wish_file(store.parent, name)
        self._resend_upto = 0
        self._acks: deque[tuple[int, float | None]] = deque()
        """Last group number and time of each acknowledgement that is held; None: at the next step's time."""
        if self._lines.sent:
            self._acks.append((self._lines.sent, None))
        self._next_try = self._next_check = float("-inf")
        self._next_forget = float("inf")
        self._untold_since: float | None = None
        self._metrics: ServerMetrics | None = None
        self._first_refused = 0
        self._rewinds = self._resent = self._same_time = 0
        self._failed = self._more_comes = False
        """A connection failed since what is held was acknowledged; something was taken since the last step."""

    def place(self) -> bytes | None:
        """The place stored last, None for a new store."""
        return self._lines.place

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        """Store the blocks' lines and `place`; waits while the disk is full. Sends nothing."""
        self._writer.resolution_ns = self._kind.resolution_ns
        self._more_comes = True
        try:
            self._same_time += self._lines.store(
                self._groups(blocks),
                place,
                blocks=len(blocks),
                received_ns=min((block.received_ns for block in blocks), default=0),
                changes=self._writer.changes,
                newest=self._writer.newest,
            )
        except DamageError as error:
            self._begin_anew(error)

    def _groups(self, blocks: Sequence[OpenedBlock]) -> Iterator[bytes]:
        """Their lines, some blocks at a time: a hand-over may be hundreds of thousands of samples."""
        made: list[bytes] = []
        for block in blocks:
            made.append(self._writer.lines(block))
            if sum(map(len, made)) > MADE_BYTES:
                yield from groups(b"".join(made))
                made.clear()
        yield from groups(b"".join(made))

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
        more, self._more_comes = self._more_comes, False
        if now < self._next_try and not self._courier.away:
            return self._next_try - now
        try:
            with disk.sorted_errors(self._store):
                self._go_on(now, BUSY_S if more else ANSWER_S)
            self._trouble = ""
        except DamageError as error:
            self._begin_anew(error)
            return 0.0
        except sqlite3.Error as error:  # full: what was not written down is done again
            self._pump.clear()
            self._trouble = f"{error}: waiting for space"
            return disk.FULL_WAIT_S
        if self._courier.away:
            return 0.0
        if now < self._next_try:
            return self._next_try - now
        if self._pump.loaded or self._lines.pending.groups or self._resend_upto:
            return 0.0
        return max(self._next_check - now, 0.0) if self._lines.held.groups else CHECK_S

    def status(self) -> Mapping[str, Any]:
        """Counters; `alarm` says that a person should look: held, lines set aside, or lines the server threw away."""
        pump, lines, metrics = self._pump, self._lines, self._metrics
        refused = max(metrics.refused - self._first_refused, 0) if metrics else 0
        blocks, since_ns = lines.behind() if self._lock >= 0 else (0, None)
        return {
            "kind": "influx",
            "url": shown(self._url),
            "scope": self._scope_text,
            "taken": lines.taken,
            "acknowledged": max(lines.taken - lines.pending.lines - lines.set_aside - lines.aside_dropped, 0),
            "held": lines.held.lines,
            "aside": lines.set_aside,
            "behind_blocks": blocks,
            "behind_s": 0.0 if since_ns is None else max((self._clock() - since_ns) / 1e9, 0.0),
            "state": pump.state,
            "trouble": self._trouble or pump.trouble,
            "next_step": "Make room on the disk" if self._trouble else pump.next_step,
            "warnings": [*([f"its disk: {self._trouble}"] if self._trouble else []), *self._told, *self._warnings()],
            "alarms": self._alarms(refused),
            "alarm": pump.state == "held" or bool(lines.set_aside or lines.aside_dropped) or bool(refused),
            "lines": lines.taken,
            "pending_lines": lines.pending.lines,
            "held_lines": lines.held.lines,
            "set_aside_lines": lines.set_aside,
            "aside_dropped": lines.aside_dropped,
            "same_time": self._same_time,
            "server_refused_rows": refused,
            "store_bytes": lines.pending.bytes + lines.held.bytes,
            "requests": pump.requests,
            "retries": pump.retries,
            "rewinds": self._rewinds,
            "resent_lines": self._resent,
            "server": self._kind.name,
            "acknowledged_means": self._kind.meaning,
            "write_path": getattr(self._server, "path", ""),
            "restart_seen_by": "its start time" if metrics and metrics.started is not None else "nothing",
        }

    def close(self) -> None:
        """Close everything; what is pending stays in the store. May be called twice."""
        if self._lock >= 0:
            self._courier.end(CLOSE_S)
            self._server.close()
            self._lines.close()
            os.close(self._lock)
            self._lock = -1

    @property
    def _kind(self) -> ServerKind:
        """What the server is, as far as is known."""
        return self._given or named(self._lines.kind)

    def _warnings(self) -> list[str]:
        if getattr(self._server, "path", "") != "/write" or self._kind.name != "influxdb":
            return []
        return ["the server has no /api/v2/write: lines go to /write, with the bucket as database (InfluxDB 1.x)"]

    def _alarms(self, refused: int) -> list[str]:
        lines, out = self._lines, []
        if lines.set_aside:
            out.append(
                f"{lines.set_aside} samples are set aside, refused by the server: `checkvalve aside list` says why, "
                "`aside resend` and `aside drop` do something about it"
            )
        if lines.aside_dropped:
            out.append(
                f"{lines.aside_dropped} refused samples were not kept aside for want of room; the history has them"
            )
        if refused:
            out.append(f"the server answered yes and threw {refused} rows away, by its own counters: look at its log")
        return out

    def _go_on(self, now: float, patience_s: float) -> None:
        self._look_at_wishes()
        for _ in range(SENDS):
            if self._courier.away:
                fetched = self._courier.fetch(patience_s)
                if fetched is None:
                    return
                ((kind, answer),) = fetched
                if kind == "write":
                    self._answered(answer, now)
                else:
                    self._checked(answer, now)
            if now < self._next_try:
                return
            if now >= self._next_check:
                self._next_check = now + CHECK_S
                self._courier.give(lambda: ("metrics", self._server.metrics()))
            elif not self._send_one(now):
                return

    def _answered(self, answer: WriteAnswer, now: float) -> None:
        """Take in the answer to a request."""
        pump = self._pump
        if answer.failed and self._kind.in_memory:
            self._failed = True
        if not pump.loaded:  # the store was begun anew meanwhile
            return
        pause = pump.answered(answer, self._clock())
        if pause:
            self._next_try = now + pause
            self._next_check = now + pause  # what answers then may be another process
            return
        if self._failed and not pump.failures:
            self._failed = False
            self._send_again()
            return
        self._finish(now)

    def _finish(self, now: float) -> None:
        """The group is written down as acknowledged, once every line of it was answered."""
        pump = self._pump
        if not pump.finished:
            return
        if not self._lines.acknowledge(pump.upto, pump.aside, droppable=OLD.words):
            pump.hold("what the server refuses fills the room for it", "checkvalve aside list; then resend or drop it")
            self._next_try = now + FULL_ASIDE_S
            return
        if self._kind.hold_s:
            self._acks.append((pump.upto, None))
        else:
            self._lines.release(pump.upto)
        if self._next_forget == float("inf") and pump.aside:
            self._next_forget = 0.0
        pump.clear()

    def _send_one(self, now: float) -> bool:
        """One request; False where there is nothing to send."""
        pump = self._pump
        if not pump.loaded:
            if not self._lines.pending.groups and not self._resend_one():
                return False
            upto, lines = self._lines.next(pump.most_lines)
            pump.load(upto, for_server(lines, self._kind), self._clock())
        if pump.finished:
            self._finish(now)
            return not pump.finished
        request = pump.request()
        self._courier.give(lambda: ("write", self._server.write(request)))
        return True

    def _resend_one(self) -> bool:
        """Nothing else waits: what a person wants sent again does."""
        if self._resend_upto and not self._lines.resend_aside(self._resend_upto):
            self._resend_upto = 0
        return bool(self._resend_upto)

    def _look_at_wishes(self) -> None:
        wished = aside.wished(self._wishes, wall_ns=self._clock())
        if wished is None:
            return
        wish, upto = wished
        if wish is AsideWish.DROP:
            self._lines.drop_aside(upto)
        else:
            self._resend_upto = upto
            self._pump.forget()
        aside.done(self._wishes)

    def _checked(self, metrics: ServerMetrics | None, now: float) -> None:
        """Take in the server's counters: notice a restart, release what it has had long enough."""
        if now >= self._next_forget:
            self._next_forget = now + FORGET_S if self._next_forget == 0.0 else float("inf")
            self._pump.forget()
        if getattr(self._server, "unreachable", False) and self._kind.in_memory:
            self._failed = True
        if metrics is None:
            self._untold_since = now if self._untold_since is None else self._untold_since
            if now - self._untold_since >= UNTOLD_S and not self._pump.failures:
                self._release(now)
            return
        self._untold_since = None
        if self._given is None and metrics.kind.name != self._lines.kind:
            self._lines.note_kind(metrics.kind.name)
        if self._failed:
            self._failed = False
            self._send_again()
        before = self._metrics
        fewer = before is not None and metrics.inserted < before.inserted
        if metrics.started != self._lines.server_started or fewer:
            self._send_again()
            self._lines.note_server(metrics.started)
        if before is None or fewer:
            self._first_refused = metrics.refused if before is None else 0
        self._metrics = metrics
        self._release(now)

    def _send_again(self) -> None:
        """It may be another process of the server now, and lack anything that is held."""
        held = self._lines.held.lines
        if held:
            self._lines.rewind()
            self._rewinds += 1
            self._resent += held
            self._acks.clear()
            self._pump.clear()

    def _release(self, now: float) -> None:
        upto = 0
        while not self._failed and self._acks and self._acks[0][1] is not None and self._acks[0][1] <= now - HOLD_S:
            upto = self._acks.popleft()[0]
        if upto:
            self._lines.release(upto)

    def _opened(self) -> LineStore:
        """The store, and a writer of lines that goes on from it; one that is damaged is set aside first."""
        try:
            return self._begun()
        except DamageError as error:
            self._tell_anew(error)
            return self._begun()

    def _begun(self) -> LineStore:
        lines = LineStore(self._store, waiting=self._waiting, wait=self._wait)
        try:
            self._writer = LineWriter()
            self._writer.load(*lines.lines_made())
        except DamageError:
            lines.close()
            raise
        return lines

    def _tell_anew(self, error: DamageError) -> None:
        stands = disk.set_aside(self._store, self._clock())
        self._told.append(f"{error}: {stands}; everything that the journal still holds is sent again")
        self._moved_back = True

    def _begin_anew(self, error: DamageError) -> None:
        """The open store is damaged."""
        self._lines.close()
        if len(self._told) >= MENDINGS:
            raise error
        self._tell_anew(error)
        self._lines = self._opened()
        self._pump.clear()
        self._acks.clear()

    def _waiting(self, why: str) -> None:
        self._trouble = why


def _server(url: str, token: Callable[[], str], org: str, bucket: str, kind: ServerKind | None) -> Endpoint:
    from receiver.outputs.influx.influx_server import (
        InfluxServer,  # its library takes half a second, which --check need not wait for
    )

    return InfluxServer(url, token, org, bucket, kind)
