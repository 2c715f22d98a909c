"""Samples to a server that takes InfluxDB line protocol: none lost while it is down, none held up but its own.

`take` only stores lines; `step` sends them, one request at a time in a thread (`send_thread`), and waits for its answer
for a moment only. What an answer means, and how long a line is kept that was acknowledged, goes by the kind of server
(`server_kind.py`). A line that may be in the server's memory only is dropped from the store when the server ran on for
a minute as the same process without a failed connection (`server_metrics.py`); otherwise everything held is sent again:
harmless, as a sample is its series and time.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias

from receiver.outputs.aside import SetAside
from receiver.outputs.base import OpenedBlock
from receiver.outputs.disk import DamageError, Writes
from receiver.outputs.influx.answer import WriteAnswer
from receiver.outputs.influx.dialect import for_server
from receiver.outputs.influx.endpoint import Endpoint
from receiver.outputs.influx.line_group import LineGroup, LineGroups, grouped
from receiver.outputs.influx.line_refusal import OLD
from receiver.outputs.influx.line_store import LineStore
from receiver.outputs.influx.lines import LineWriter, escaped
from receiver.outputs.influx.met_blocks import MetBlocks
from receiver.outputs.influx.pump import Pump
from receiver.outputs.influx.server_kind import HOLD_S, KINDS, ServerKind, named
from receiver.outputs.influx.server_metrics import Keeping, ServerMetrics, ServerWatch
from receiver.outputs.influx.settings import InfluxTable, read_token
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.cargo import LIVE, RESENT
from receiver.outputs.shipping.send_thread import SendThread
from receiver.outputs.shipping.shipping_store import read_aside
from receiver.outputs.shipping.stored_output import StoredOutput

Answer: TypeAlias = WriteAnswer | tuple[ServerMetrics | None]
"""To a write; or, in a tuple, what the server says of itself."""

CHECK_S = 10.0
"""Between two looks at the server's own counters [s]: how soon a restart is noticed."""
FORGET_S = 600.0
"""What was learned of refusals is tried again after this [s]: the server may keep longer by now."""
SENDS = 8
"""Most requests of one step."""
ANSWER_S = 0.1
"""A step waits so long for an answer [s]: the status is written each second, whatever the server does."""
BUSY_S = 0.002
"""The same while there is more to be taken [s]."""
FULL_ASIDE_S = 5.0
"""Between two looks whether there is room aside again [s]."""
MADE_BYTES = 1024 * 1024
"""Lines are made until they are so much, then compressed [bytes]."""


class InfluxOutput(StoredOutput[LineStore]):
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
        return cls(state / f"{table.name}.db", table, wait=wait)

    @classmethod
    def set_aside(cls, table: OutputTable, state: Path) -> Sequence[SetAside]:
        """What its store has set aside, read beside the process that writes it."""
        return list(read_aside(state / f"{table.name}.db", LineGroups()))

    def __init__(
        self,
        store: Path,
        table: InfluxTable,
        *,
        clock: Callable[[], int] = time.time_ns,
        wait: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
        server: Endpoint | None = None,
    ) -> None:
        """
        Args:
            store: Its own database file.
            table: Its settings, paths absolute.
            clock: Wall time [ns since 1970 UTC]: for what is set aside.
            wait: Pauses for so many seconds while the disk is full; may raise to give up.
            chance: Gives the jitter of retries.
            server: Instead of the one of the settings.

        Raises:
            ConfigError: the token's file cannot be read.
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        self._table, self._given = table, KINDS.get(table.server)
        self._server: Endpoint = server or _server(table, self._given)
        super().__init__(store, clock=clock, wait=wait)
        probe = f"checkvalve,output={escaped(table.name)} probe=1i {clock()}\n".encode()
        self._pump = Pump(probe, chance or random.Random())
        self._thread: SendThread[Answer] = SendThread(self._server.close)
        self._watch = ServerWatch(self._store.server_started)
        self._held: deque[tuple[float | None, tuple[int, ...]]] = deque()
        """When groups that are held were acknowledged, and their numbers in the store; None: at the next step."""
        if self._store.held.samples:
            self._held.append((None, self._store.held_ids()))
        self._next_try = self._next_check = float("-inf")
        self._next_forget = float("inf")
        self._rewinds = self._resent = self._same_time = 0
        self._more_comes = False
        """Something was taken since the last step."""

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        """Store the blocks' lines and `place`; waits while the disk is full. Sends nothing."""
        self._writer.resolution_ns = self._kind.resolution_ns
        self._more_comes = True
        try:
            self._store.store(self._groups(blocks), place, self._changed)
        except DamageError as error:
            self._begin_anew(error)

    def _groups(self, blocks: Sequence[OpenedBlock]) -> Iterator[tuple[bool, LineGroup]]:
        """Their lines, some blocks at a time: a hand-over may be hundreds of thousands of samples."""
        made: list[bytes] = []
        first = 0
        for at, block in enumerate(blocks, 1):
            made.append(self._writer.lines(block))
            if at == len(blocks) or sum(map(len, made)) > MADE_BYTES:
                received_ns = min(one.received_ns for one in blocks[first:at])
                for group in grouped(b"".join(made), at - first, received_ns):
                    yield True, group
                made.clear()
                first = at

    def _changed(self) -> Writes:
        changes = self._writer.changes()
        self._same_time += changes.same_time
        return self._store.changed(changes, self._writer.times)

    def status(self) -> Mapping[str, Any]:
        """Counters; `alarm` says that a person should look: held, lines set aside, or lines the server threw away."""
        pump, store, watch = self._pump, self._store, self._watch
        since_ns = store.oldest_ns() if self._lock >= 0 else None
        lost = store.aside.samples + store.crowded_out
        return {
            "kind": "influx",
            "url": self._table.url,
            "scope": self._table.scope.text,
            "taken": store.taken,
            "acknowledged": max(store.taken - store.pending.samples - lost - store.dropped, 0),
            "held": store.held.samples,
            "aside": store.aside.samples,
            "behind_blocks": store.pending.blocks,
            "behind_s": 0.0 if since_ns is None else max((self._clock() - since_ns) / 1e9, 0.0),
            "state": pump.state,
            "trouble": self._trouble or pump.trouble,
            "next_step": "Make room on the disk" if self._trouble else pump.next_step,
            "warnings": [*self._disk_warnings(), *self._table.weakened(), *self._warnings()],
            "alarms": self._alarms(),
            "alarm": pump.state == "held" or bool(lost or watch.refused),
            "lines": store.taken,
            "pending_lines": store.pending.samples,
            "held_lines": store.held.samples,
            "set_aside_lines": store.aside.samples,
            "aside_dropped": store.crowded_out,
            "same_time": self._same_time,
            "server_refused_rows": watch.refused,
            "store_bytes": store.pending.bytes + store.held.bytes,
            "requests": pump.requests,
            "retries": pump.retries,
            "rewinds": self._rewinds,
            "resent_lines": self._resent,
            "server": self._kind.name,
            "acknowledged_means": self._kind.meaning,
            "write_path": self._server.path,
            "restart_seen_by": "its start time" if watch.metrics and watch.started is not None else "nothing",
        }

    def close(self) -> None:
        """Close everything; what is pending stays in the store. May be called twice."""
        if self._lock >= 0:
            self._thread.close()
        super().close()

    @property
    def _kind(self) -> ServerKind:
        """What the server is, as far as is known."""
        return self._given or named(self._store.kind)

    def _warnings(self) -> list[str]:
        if self._server.path != "/write" or self._kind.name != "influxdb":
            return []
        return ["the server has no /api/v2/write: lines go to /write, with the bucket as database (InfluxDB 1.x)"]

    def _alarms(self) -> list[str]:
        store, out = self._store, []
        if store.aside.samples:
            out.append(
                f"{store.aside.samples} samples are set aside, refused by the server: `checkvalve aside list` says "
                "why, `aside resend` and `aside drop` do something about it"
            )
        if store.crowded_out:
            out.append(
                f"{store.crowded_out} refused samples were not kept aside for want of room; the history has them"
            )
        if self._watch.refused:
            out.append(
                f"the server answered yes and threw {self._watch.refused} rows away, by its own counters: "
                "look at its log"
            )
        return out

    def _work(self, now: float) -> float:
        """Send what is pending, a few requests; look after what is held."""
        self._held = deque((now if at is None else at, ids) for at, ids in self._held)
        more, self._more_comes = self._more_comes, False
        if now < self._next_try and not self._thread.busy:
            return self._next_try - now
        if self._look_at_wishes():
            self._pump.forget()
        self._go_on(now, BUSY_S if more else ANSWER_S)
        if self._thread.busy:
            return 0.0
        if now < self._next_try:
            return self._next_try - now
        if self._pump.loaded or self._store.pending.samples:
            return 0.0
        return max(self._next_check - now, 0.0) if self._held else CHECK_S

    def _go_on(self, now: float, patience_s: float) -> None:
        for _ in range(SENDS):
            if self._thread.busy:
                answer = self._thread.answer(patience_s)
                if answer is None:
                    return
                if isinstance(answer, WriteAnswer):
                    self._answered(answer, now)
                else:
                    self._looked(answer[0], now)
            if now < self._next_try:
                return
            if now >= self._next_check:
                self._next_check = now + CHECK_S
                self._thread.begin(lambda: (self._server.metrics(),))
            elif not self._send_one(now):
                return

    def _send_one(self, now: float) -> bool:
        """One request; False where there is nothing to send. What a person wants sent again goes last."""
        pump = self._pump
        if not pump.loaded:
            pump.allow(self._kind.request_lines)
            found = self._store.next(LIVE, pump.most_lines) or self._store.next(RESENT, pump.most_lines)
            if found is None:
                return False
            pump.load(found[0], for_server(found[1].lines, self._kind), self._clock())
        if pump.finished:
            self._finish(now)
            return not pump.finished
        self._thread.begin(partial(self._server.write, pump.request()))
        return True

    def _answered(self, answer: WriteAnswer, now: float) -> None:
        """Take in the answer to a request."""
        pump = self._pump
        if answer.failed and not self._kind.tells_restarts:
            self._watch.broken = True
        if not pump.loaded:  # the store was begun anew meanwhile
            return
        pause = pump.answered(answer, self._clock())
        if pause:
            self._next_try = now + pause
            self._next_check = now + pause  # what answers then may be another process
            return
        if self._watch.broken and not pump.failures:
            self._watch.broken = False
            self._send_again()
            return
        self._finish(now)

    def _finish(self, now: float) -> None:
        """The group is written down as acknowledged, once every line of it was answered."""
        pump = self._pump
        if not pump.finished:
            return
        aside = self._store.made_room(pump.aside, OLD.words)
        if aside is None:
            pump.hold("what the server refuses fills the room for it", "checkvalve aside list; then resend or drop it")
            self._next_try = now + FULL_ASIDE_S
            return
        self._store.acknowledge(pump.ids, aside, hold=True, rest=pump.rest())
        self._held.append((None, pump.ids))
        if self._next_forget == float("inf") and pump.aside:
            self._next_forget = 0.0
        pump.clear()

    def _looked(self, metrics: ServerMetrics | None, now: float) -> None:
        """Take in what the server says of itself: what it may have lost is sent again, what it has is released."""
        if now >= self._next_forget:
            self._next_forget = now + FORGET_S if self._next_forget == 0.0 else float("inf")
            self._pump.forget()
        if self._server.unreachable and not self._kind.tells_restarts:
            self._watch.broken = True
        keeping = self._watch.look(metrics, now, failing=bool(self._pump.failures))
        if metrics is not None and self._given is None and metrics.kind.name != self._store.kind:
            self._store.note_kind(metrics.kind.name)
        if keeping is Keeping.LOST:
            self._send_again()
        if self._watch.started != self._store.server_started:
            self._store.note_server(self._watch.started)
        if keeping is Keeping.KEPT:
            self._release(now)

    def _send_again(self) -> None:
        """It may be another process of the server now, and lack anything that is held."""
        if self._store.held.samples:
            self._resent += self._store.rewind()
            self._rewinds += 1
            self._pump.clear()
        self._held.clear()

    def _release(self, now: float) -> None:
        while self._held and self._held[0][0] is not None and self._held[0][0] <= now - HOLD_S:
            self._store.release(self._held[0][1])
            self._held.popleft()

    def _open(self, path: Path) -> LineStore:
        """The store, and a writer of lines that goes on from it."""
        lines = LineStore(path, waiting=self._waiting, wait=self._wait)
        try:
            self._writer = _writer(lines)
        except DamageError:
            lines.close()
            raise
        return lines

    def _forget(self, *, anew: bool) -> None:
        self._pump.clear()
        if anew:
            self._held.clear()


def _writer(store: LineStore) -> LineWriter:
    """One that goes on from what is stored.

    Raises:
        DamageError: it is not what was written.
    """
    out = LineWriter(MetBlocks(store.met))
    try:
        out.load(*store.lines_made())
    except ValueError as error:
        raise DamageError(f"times of the store cannot be read: {error}") from error
    return out


def _server(table: InfluxTable, kind: ServerKind | None) -> Endpoint:
    from receiver.outputs.influx.influx_server import (
        InfluxServer,  # its library takes half a second, which --check need not wait for
    )

    return InfluxServer(table.url, partial(read_token, table), table.org, table.bucket, kind)
