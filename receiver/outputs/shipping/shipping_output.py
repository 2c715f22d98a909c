"""The output that feeds a server by a courier: what every such kind has in common.

`take` packs and stores, and sends nothing. `step` hands a courier's thread one shipment after another and takes in its
answers; it waits for one for `PATIENCE_S` at most, so that the journal is read and the status written meanwhile.

What an acknowledgement means is the kind's: with `keep_s` = 0 a shipment goes when it was acknowledged. Otherwise it is
held for `keep_s`, and all that is held is sent again whenever an answer comes over a new connection, also after a
start: nobody can tell whether the server that answers now still has it.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from protocol.errors import ConfigError
from receiver.outputs.aside import SetAside
from receiver.outputs.base import OpenedBlock
from receiver.outputs.disk import DamageError
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.cargo import LATE, RESENT
from receiver.outputs.shipping.dispatch import LANES, Dispatch
from receiver.outputs.shipping.secret_courier import SecretCourier
from receiver.outputs.shipping.send_thread import SendThread
from receiver.outputs.shipping.server_answer import ServerAnswer
from receiver.outputs.shipping.server_courier import ServerCourier, looked_after, sent
from receiver.outputs.shipping.server_settings import ServerTable, read_secret
from receiver.outputs.shipping.shipment import Shipment, Shipments, gather
from receiver.outputs.shipping.shipping_store import ShippingStore, read_aside
from receiver.outputs.shipping.stored_output import StoredOutput

PATIENCE_S = 0.02
"""Longest wait for an answer inside of a step [s]: as the doorbell of the journal's reader is waited for."""
SENDS = 8
"""Most requests of one step."""
SILENCE_S = 20.0
"""A request that is not answered for so long is told [s]: longer than the time limits of any kind."""
ALARM_S = 60.0
"""Trouble that lasts longer than this is an alarm [s]."""
WATCH_S = 1.0
"""Between two looks after a connection that means something by itself, while nothing is sent [s]."""
IDLE_S = 10.0
"""How soon a step is wanted where nothing is to be done [s]."""
ASIDE_BYTES = 256 * 1024 * 1024
"""Most that is set aside [bytes]: beyond it what is refused holds the output, so that nothing is lost in silence."""


class ShippingOutput(StoredOutput[ShippingStore[Shipment]]):
    """One server, fed by a courier; a kind gives `kind`, `table` and `courier`."""

    KEEP_S: ClassVar[float] = 0.0
    """How long what was acknowledged is kept, where the settings do not say [s]; 0: an acknowledgement is for good."""

    def __init__(
        self,
        store: Path,
        courier: ServerCourier,
        *,
        where: str,
        scope_text: str,
        keep_s: float = 0.0,
        notices: Sequence[str] = (),
        clock: Callable[[], int] = time.time_ns,
        wait: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """
        Args:
            store: Its own database file.
            where: The server in words, without secrets, for the status.
            scope_text: What it is given, in words, for the status.
            keep_s: How long what was acknowledged is kept to be sent again [s]; 0: an acknowledgement is for good.
            notices: What its settings weaken, a line each.
            clock: Wall time [ns since 1970 UTC].
            wait: Pauses for so many seconds while the disk is full; may raise to give up.
            chance: Gives the jitter of retries.
            patience_s: Longest wait for an answer inside of a step [s].

        Raises:
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        super().__init__(store, clock=clock, wait=wait)
        self._courier, self._patience_s = courier, patience_s
        self._where, self._scope_text, self._keep_s, self._notices = where, scope_text, keep_s, tuple(notices)
        self._dispatch = Dispatch(chance or random.Random())
        self._thread: SendThread[ServerAnswer] = SendThread(courier.close)
        self._held: deque[tuple[float, tuple[int, ...]]] = deque()
        """When shipments that are held were acknowledged, and their numbers in the store."""
        self._next_try = self._next_look = float("-inf")
        self._looks = False
        """The thread looks after the connection, and has no shipment."""
        self._bad_since: float | None = None
        self._now = self._begun = 0.0
        self._resent = 0

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Self:
        """The output of a section; its store is `state/NAME.db`.

        Raises:
            ConfigError: the password's file cannot be read, or the library is not installed.
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        assert isinstance(table, ServerTable)
        read, made = partial(read_secret, table, table.password_file), partial(cls.courier, table, state)
        try:
            courier = made("") if table.password_file is None else SecretCourier(read, made)
        except ImportError as error:
            hint = f"pip install 'checkvalve-low[{table.kind}]'"
            raise ConfigError(f'output "{table.name}": its library is not installed: {error}', hint=hint) from error
        return cls(
            state / f"{table.name}.db",
            courier,
            where=table.where(),
            scope_text=table.scope.text,
            keep_s=cls.KEEP_S if table.keep is None else table.keep,
            notices=table.weakened(),
            wait=wait,
        )

    @classmethod
    def courier(cls, table: ServerTable, state: Path, secret: str) -> ServerCourier:
        """Who brings shipments to the server of a section; imports the library of the kind, and connects to nothing.

        Args:
            state: The receiver's folder; what it keeps there begins with `table.name`.
            secret: The password; empty where none is asked for.
        """
        raise NotImplementedError(f"{cls.__name__} has no courier")

    @classmethod
    def set_aside(cls, table: OutputTable, state: Path) -> Sequence[SetAside]:
        """What its store has set aside, read beside the process that writes it."""
        return list(read_aside(state / f"{table.name}.db", Shipments()))

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        """Store the blocks' samples and `place`; waits while the disk is full. Sends nothing."""
        try:
            self._store.store(gather(blocks, self._clock()), place)
        except DamageError as error:
            self._begin_anew(error)

    def step(self, now: float) -> float:
        """Take in an answer, send what is next, let go of what was held long enough."""
        self._now = now
        wait = super().step(now)
        bad = bool(self._why())
        self._bad_since = (now if self._bad_since is None else self._bad_since) if bad else None
        return wait

    def status(self) -> Mapping[str, Any]:
        """Counters in samples; `alarm` says that a person should look: trouble for a minute, or something set aside."""
        dispatch, store, oldest_ns = self._dispatch, self._store, self._store.oldest_ns()
        lasting = self._bad_since is not None and self._now - self._bad_since >= ALARM_S
        refused = [f"{count} samples set aside, refused as {word}" for word, count in store.classes().items()]
        return {
            "kind": self.kind,
            "server": self._where,
            "scope": self._scope_text,
            "state": dispatch.state,
            "trouble": self._why(),
            "next_step": "make room on the disk" if self._trouble else dispatch.next_step,
            "alarm": lasting or bool(store.aside.samples),
            "warnings": [
                *self._disk_warnings(),
                *self._notices,
                *self._courier.notices(),
                *refused,
            ],
            "taken": store.taken,
            "acknowledged": max(store.taken - store.pending.samples - store.aside.samples - store.dropped, 0),
            "held": store.held.samples,
            "aside": store.aside.samples,
            "behind_blocks": store.pending.blocks,
            "behind_s": 0.0 if oldest_ns is None else round(max(self._clock() - oldest_ns, 0) / 1e9, 1),
            "store_bytes": store.pending.bytes + store.held.bytes + store.aside.bytes,
            "requests": dispatch.requests,
            "retries": dispatch.retries,
            "resent": self._resent,
            **self._courier.counts(),
        }

    def close(self) -> None:
        """Close everything; what is pending stays in the store. May be called twice."""
        if self._lock >= 0:
            self._thread.close()
        super().close()

    def _open(self, path: Path) -> ShippingStore[Shipment]:
        return ShippingStore(path, Shipments(), waiting=self._waiting, wait=self._wait)

    def _work(self, now: float) -> float:
        self._look_at_wishes()
        self._release(now)
        return self._go_on(now)

    def _forget(self, *, anew: bool) -> None:
        self._dispatch.clear()
        if anew:
            self._held.clear()

    def _why(self) -> str:
        """Why it does not get on; empty where it does."""
        if self._thread.busy and self._now - self._begun >= SILENCE_S:
            return f"no answer for {self._now - self._begun:.0f} s: {self._where}"
        return self._trouble or self._dispatch.trouble

    def _go_on(self, now: float) -> float:
        for _ in range(SENDS):
            if self._thread.busy:
                answer = self._thread.answer(self._patience_s)
                if answer is None:
                    return 0.0
                self._looked(answer, now) if self._looks else self._answered(answer, now)
            if now < self._next_try:
                return self._next_try - now
            if not self._begin() and not self._look(now):
                idle_s = WATCH_S if self._courier.watches else IDLE_S
                return min(idle_s, self._held[0][0] + self._keep_s - now) if self._held else idle_s
        return 0.0

    def _begin(self) -> bool:
        """Hand the next piece to the courier; False where there is none."""
        dispatch = self._dispatch
        for lane in LANES:
            if not dispatch.wants(lane):
                continue
            found = self._store.next(lane, dispatch.most)
            if found is None and lane == LATE:
                found = self._store.next(RESENT, dispatch.most)
            if found is not None:
                dispatch.load(lane, *found)
        piece = dispatch.request()
        if piece is not None:
            self._thread.begin(partial(sent, self._courier, piece))
            self._begun = self._now
        return piece is not None

    def _look(self, now: float) -> bool:
        """Have the connection looked after, where that is due."""
        if not self._courier.watches or now < self._next_look:
            return False
        self._looks, self._next_look, self._begun = True, now + WATCH_S, now
        self._thread.begin(partial(looked_after, self._courier))
        return True

    def _looked(self, answer: ServerAnswer, now: float) -> None:
        self._looks = False
        self._met(answer)
        pause = self._dispatch.looked(answer)
        if pause:
            self._next_try = now + pause

    def _met(self, answer: ServerAnswer) -> None:
        """What the connection before this one acknowledged may be gone: it is sent again."""
        if answer.anew and self._keep_s:
            self._resent += self._store.rewind() + self._dispatch.lost()
            self._held.clear()

    def _answered(self, answer: ServerAnswer, now: float) -> None:
        dispatch = self._dispatch
        if not dispatch.waits:
            return  # it was cleared meanwhile: the piece is sent again
        self._met(answer)
        pause = dispatch.answered(answer, self._clock(), room=self._store.aside.bytes < ASIDE_BYTES)
        if pause:
            self._next_try = now + pause
        while (load := dispatch.finished()) is not None:
            self._store.acknowledge(load.ids, load.refused, hold=self._keep_s > 0, rest=load.rest())
            if self._keep_s:
                self._held.append((now, load.ids))

    def _release(self, now: float) -> None:
        while self._held and self._held[0][0] <= now - self._keep_s:
            self._store.release(self._held[0][1])
            self._held.popleft()
