"""Subscriptions: who asked to be told what, and what waits to be told (guide, "Subscribe Methods"). No I/O, no clock.

    register   the newest value of each element waits at once; then each change of value, quality or time
    sync       everything that waits, in numbered batches; a batch stays until its number is acknowledged
    stream     what waits is sent and forgotten; while it is open nothing waits

A batch is what one look at the history brought. Where more than `MOST_WAITING` updates wait the oldest batches are
dropped: their numbers are missing then, and the next sync says so. A subscription is its person's and its clientId's:
to anybody else it is not there. One that nobody asks for `TTL_S` is gone.
"""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from receiver.portal.i3x.told_values import ToldValue

MOST_WAITING = 20_000
"""Updates that wait in one subscription."""
TTL_S = 300.0
"""Time without sync or open stream after which a subscription is gone [s]; CESMII's own server has the same."""
EACH = 20
"""Subscriptions of one person; the one that was longest unused makes room for another."""
MOST = 200
"""Subscriptions of one view."""
ALL = -1
"""As `lastSequenceNumber`: everything that waits is acknowledged."""


@dataclass(frozen=True, slots=True)
class UpdateBatch:
    """What one look brought."""

    number: int
    """From 1, up by one."""
    updates: Sequence[Mapping[str, Any]]


@dataclass(eq=False, slots=True, kw_only=True)
class ClientSubscription:
    """One of them."""

    id: str
    owner: str
    """Key of the person; empty: anyone."""
    client: str
    """As the client calls itself; nobody else is told of it."""
    name: str | None
    used_s: float
    """When it was last asked [s, running time]."""
    monitored: dict[str, int] = field(default_factory=dict)
    """Depth by element."""
    told: dict[str, ToldValue] = field(default_factory=dict)
    """The newest value that was told of each element, components included."""
    batches: deque[UpdateBatch] = field(default_factory=deque)
    waiting: int = 0
    """Updates in them."""
    next: int = 1
    """Number of the next batch."""
    dropped: bool = False
    """Updates were dropped since the last acknowledgement."""

    def offer(self, values: Mapping[str, ToldValue]) -> list[dict[str, Any]]:
        """Let what is new of these wait; gives the updates."""
        fresh = [(one, value) for one, value in values.items() if _news(self.told.get(one), value)]
        updates = [{"elementId": one} | value for one, value in fresh]
        if updates:
            self.told.update(fresh)
            self.batches.append(UpdateBatch(self.next, updates))
            self.next += 1
            self.waiting += len(updates)
            while self.waiting > MOST_WAITING and len(self.batches) > 1:
                self._forget()
                self.dropped = True
        return updates

    def acknowledge(self, last: int) -> None:
        """Forget batches up to this number; a number that was never given means nothing."""
        if last == ALL:
            last = self.next - 1
        if 0 <= last < self.next:
            self.dropped = False
            while self.batches and self.batches[0].number <= last:
                self._forget()

    @property
    def shown(self) -> set[str]:
        """Every element that it is told of, or that something waits of: also after it was unregistered."""
        return {*self.told, *(str(one["elementId"]) for batch in self.batches for one in batch.updates)}

    def taken(self) -> list[Mapping[str, Any]]:
        """Everything that waits, which is forgotten."""
        updates = [one for batch in self.batches for one in batch.updates]
        self.acknowledge(ALL)
        return updates

    def _forget(self) -> None:
        self.waiting -= len(self.batches.popleft().updates)


def _news(before: ToldValue | None, now: ToldValue) -> bool:
    """Whether a value is another; that there is none yet is told once, though its time is that of the telling."""
    if before is not None and before["quality"] == now["quality"] == "GoodNoData":
        return False
    return before != now


class SubscriptionBook:
    """All subscriptions of one view."""

    def __init__(self) -> None:
        self.held: dict[str, ClientSubscription] = {}
        """By id."""

    def create(
        self, owner: str, client: str, name: str | None, now_s: float
    ) -> tuple[ClientSubscription, list[ClientSubscription]]:
        """A new one, and those that had to go for it.

        Args:
            now_s: Running time [s].
        """
        gone = []
        mine = [one for one in self.held.values() if one.owner == owner]
        for among, most in ((mine, EACH), ([*self.held.values()], MOST)):
            if len(among) >= most:
                oldest = min((one for one in among if one.id in self.held), key=lambda one: one.used_s)
                gone.append(self.held.pop(oldest.id))
                break
        made = ClientSubscription(id=secrets.token_urlsafe(32), owner=owner, client=client, name=name, used_s=now_s)
        self.held[made.id] = made
        return made, gone

    def find(self, one: str, owner: str, client: str) -> ClientSubscription:
        """The subscription with this id.

        Raises:
            KeyError: there is none, or it is somebody else's.
        """
        found = self.held[one]
        if (found.owner, found.client) != (owner, client):
            raise KeyError(one)
        return found

    def expired(self, now_s: float) -> list[ClientSubscription]:
        """Those that nobody has asked for in a while; they are gone."""
        old = [one for one in self.held.values() if now_s - one.used_s > TTL_S]
        for one in old:
            del self.held[one.id]
        return old

    def wanted(self) -> set[str]:
        """Every element that any of them is told of."""
        return set(itertools.chain.from_iterable(one.told for one in self.held.values()))
