"""Who may hold a connection, and who has to go: bounds in all and per address, and a deadline in every phase (pure).

A connection costs a descriptor and a buffer whether its other end speaks or not, so each is always in one phase:

    ASKING    no whole request yet: since it was opened, or since the next request's first byte    REQUEST_S
    RESTING   answered, kept open for the next request                                            KEEP_S
    TAKING    the answer is being made, or its reader takes it in                                  ANSWER_S
    STREAM    a live stream: no deadline, and counted by `portal/streams.py` under a bound of its own

Where there is no room the address that holds the most gives way, with its oldest connection that asks or rests. So
one machine with 5,000 silent connections pushes out its own, and a reader behind the same proxy is served as soon as
its request is read. An answer that is being taken gives way only to an address that holds clearly less.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto

REQUEST_S = 5.0
"""A request must be whole this long after its connection, or after its first byte [s]: it is one packet."""

KEEP_S = 20.0
"""A connection without a request is kept this long for the next one [s]: a page and all that belongs to it."""

ANSWER_S = 60.0
"""An answer must be taken in this long after its request [s]: 8 MB at a megabit, far beyond the largest page."""

CONNECTIONS = 512
"""Most at once, streams not counted; far below the 1,024 descriptors that a process may open by default."""

EACH = 256
"""Most of one address; many readers may stand behind one proxy, so that it is half of all."""


class Phase(Enum):
    """What a connection is waiting for."""

    ASKING = auto()
    RESTING = auto()
    TAKING = auto()
    STREAM = auto()


_LONGEST = {Phase.ASKING: REQUEST_S, Phase.RESTING: KEEP_S, Phase.TAKING: ANSWER_S, Phase.STREAM: float("inf")}
_IDLE = (Phase.ASKING, Phase.RESTING)


@dataclass(slots=True)
class _Held:
    address: str
    phase: Phase
    since: float


class Crowd:
    """Every open connection, by whatever names it."""

    def __init__(self, connections: int = CONNECTIONS, each: int = EACH) -> None:
        """
        Args:
            connections: Most at once.
            each: Most of one address.
        """
        self._most, self._each = connections, min(each, connections)
        self._held: dict[Hashable, _Held] = {}
        self._by_address: dict[str, dict[Hashable, None]] = {}
        """Those that are no stream, the oldest first."""
        self._plain = 0
        self.crowded = 0
        """Connections closed, or not taken, because there was no room."""
        self.late = 0
        """Connections closed because their phase had lasted too long."""

    def __len__(self) -> int:
        """Connections that count against the bound."""
        return self._plain

    def room(self, address: str) -> tuple[bool, Hashable | None]:
        """Whether one more of this address may come, and which connection has to be closed for it."""
        mine = len(self._by_address.get(address, ()))
        if self._plain < self._most and mine < self._each:
            return True, None
        self.crowded += 1
        if mine >= self._each:
            leaver = self._oldest(address, _IDLE)
            return leaver is not None, leaver
        greedy = max(self._by_address, key=lambda one: len(self._by_address[one]))
        leaver = self._oldest(greedy, _IDLE)
        if leaver is None and len(self._by_address[greedy]) > mine + 1:
            leaver = self._oldest(greedy, (Phase.TAKING,))
        return leaver is not None, leaver

    def come(self, one: Hashable, address: str, now: float) -> None:
        """A connection was opened."""
        self._held[one] = _Held(address, Phase.ASKING, now)
        self._count(one, address)

    def turn(self, one: Hashable, phase: Phase, now: float) -> None:
        """A phase begins, or begins anew with the next request; a connection that is gone is left alone."""
        held = self._held.get(one)
        if held is None:
            return
        if (phase is Phase.STREAM) is not (held.phase is Phase.STREAM):
            (self._uncount if phase is Phase.STREAM else self._count)(one, held.address)
        held.phase, held.since = phase, now

    def phase(self, one: Hashable) -> Phase | None:
        """What a connection waits for; None where it is gone."""
        held = self._held.get(one)
        return held.phase if held else None

    def go(self, one: Hashable) -> None:
        """A connection was closed, by whomever; one that is gone already is left alone."""
        held = self._held.pop(one, None)
        if held is not None and held.phase is not Phase.STREAM:
            self._uncount(one, held.address)

    def overdue(self, now: float) -> list[Hashable]:
        """Connections whose phase has lasted too long; the caller closes them."""
        found = [one for one, held in self._held.items() if now - held.since > _LONGEST[held.phase]]
        self.late += len(found)
        return found

    def taking(self) -> list[Hashable]:
        """Connections whose answer was not taken in yet, as far as was told."""
        return [one for one, held in self._held.items() if held.phase is Phase.TAKING]

    def _oldest(self, address: str, phases: tuple[Phase, ...]) -> Hashable | None:
        return next((one for one in self._by_address[address] if self._held[one].phase in phases), None)

    def _count(self, one: Hashable, address: str) -> None:
        self._by_address.setdefault(address, {})[one] = None
        self._plain += 1

    def _uncount(self, one: Hashable, address: str) -> None:
        mine = self._by_address[address]
        del mine[one]
        self._plain -= 1
        if not mine:
            del self._by_address[address]


def origin(host: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 network of 64 bits, which one machine has for itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return address.packed[:8].hex()
    return str(getattr(address, "ipv4_mapped", None) or address)
