"""Which shipment is sent next, and what becomes of it, until it was taken or set aside (pure: no socket, no clock).

Two lanes: what is live, and what is late (healed, or read from the journal after an outage; where that has nothing,
what a person wants sent again). Live goes first; of five requests one is the late lane's, so that neither starves.

What the server cannot take is halved: where it is too large or too slow until it fits, where something in it is refused
in search of that. A search ends after `SEARCH_REQUESTS` refusals: what is refused from then on is set aside as it is,
with good samples among it, so that thousands of bad ones do not cost thousands of requests. Everything that is set
aside can be sent again.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from receiver.outputs.shipping.cargo import LATE, LIVE, RefusedSamples
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer, wait_s
from receiver.outputs.shipping.shipment import SHIPMENT_ROWS, Shipment, halves, merged

LANES = (LIVE, LATE)
LIVE_IN_A_ROW = 4
"""Requests of the live lane between two of the late one, while both have something."""
SEARCH_REQUESTS = 64
"""Refusals of one load after which what is refused is no longer halved: four single samples among 20,000."""
WAIT_STEP = "nothing, where the server comes back; it is tried again by itself"
FULL_ASIDE = "mend what the server refuses; checkvalve aside list, then resend or drop it"
LARGE_ROWS = 256
"""What is too large with fewer samples than this is so by one of them: the others need not be sent one by one."""
GROW_AFTER = 32
"""Requests taken in a row after which a limit that was lowered is doubled again."""


@dataclass(slots=True)
class Underway:
    """Shipments of the store on their way as one."""

    ids: tuple[int, ...]
    """Their numbers in the store."""
    work: deque[Shipment]
    """What of them was not answered yet."""
    refused: list[RefusedSamples[Shipment]] = field(default_factory=list)
    refusals: int = 0
    done: list[Shipment] = field(default_factory=list)
    """What of them was taken."""

    def rest(self) -> Shipment | None:
        """What was taken, where something was refused; None where all was taken."""
        if not self.refused:
            return None
        return merged(self.done) if self.done else self.refused[0].cargo.rows(0, 0)


class Dispatch:
    """Both lanes of one output."""

    def __init__(self, chance: random.Random) -> None:
        """
        Args:
            chance: Gives the jitter of waits.
        """
        self._chance = chance
        self._loads: dict[int, Underway] = {}
        self._sent: int | None = None
        """Lane of the request that waits for its answer."""
        self._live_in_a_row = self._smooth = 0
        self.most = SHIPMENT_ROWS
        """Most samples of a request; lowered where the server is too slow for them, or says that it is too much."""
        self.failures = 0
        """Answers in a row that brought nothing further."""
        self.requests = self.retries = 0
        self.state = "idle"
        """`idle`, `sending`, `retrying` or `held`."""
        self.trouble = self.next_step = ""
        """Why it does not get on and what a person does; empty where it does."""

    @property
    def waits(self) -> bool:
        """Whether a request was made and not answered."""
        return self._sent is not None

    def wants(self, lane: int) -> bool:
        """Whether the lane has nothing on its way."""
        return lane not in self._loads

    def load(self, lane: int, ids: tuple[int, ...], shipment: Shipment) -> None:
        """Begin with shipments of the store, merged."""
        self._loads[lane] = Underway(ids, deque(cut(shipment, self.most)))

    def request(self) -> Shipment | None:
        """What to send next; None where no lane has anything."""
        lanes = [lane for lane in LANES if lane in self._loads]
        if not lanes:
            self.state = "idle" if not self.failures else self.state
            return None
        both = len(lanes) == 2
        late = lanes[0] == LATE or (both and self._live_in_a_row >= LIVE_IN_A_ROW)
        self._live_in_a_row = self._live_in_a_row + 1 if both and not late else 0
        self._sent = LATE if late else LIVE
        self.requests += 1
        if not self.failures:
            self.state = "sending"
        return self._loads[self._sent].work[0]

    def answered(self, answer: ServerAnswer, now_ns: int, *, room: bool = True) -> float:
        """Take in the answer to `request`.

        Args:
            now_ns: Wall time, for what is set aside [ns since 1970 UTC].
            room: Whether more may be set aside; where not, what is refused holds the output instead.

        Returns:
            How long to wait before the next request [s].
        """
        assert self._sent is not None, "nothing was asked"
        load, self._sent = self._loads[self._sent], None
        ruling = answer.ruling
        if ruling is Ruling.TAKEN:
            load.done.append(load.work.popleft())
            self._well()
            return 0.0
        if ruling in (Ruling.LARGE, Ruling.REFUSED):
            if self._divide(load, answer, now_ns, room):
                self.failures, self.state, self.trouble, self.next_step = 0, "sending", "", ""  # it answers
                return 0.0
            answer = ServerAnswer(Ruling.HOLD, f"refused, and no room to set more aside: {answer.words}", FULL_ASIDE)
            ruling = Ruling.HOLD
        if ruling is Ruling.SLOW:
            self._shrink(len(load.work[0]) // 2)
        return self._failed(answer)

    def looked(self, answer: ServerAnswer) -> float:
        """Take in what came of looking after the connection while nothing was to be sent.

        Returns:
            How long to wait before the next look or request [s].
        """
        if answer.ruling is Ruling.TAKEN:
            self.failures, self.state, self.trouble, self.next_step = 0, "idle", "", ""
            return 0.0
        return self._failed(answer)

    def finished(self) -> Underway | None:
        """A load of which all was taken or set aside; it leaves the dispatch."""
        for lane, load in self._loads.items():
            if not load.work:
                del self._loads[lane]
                return load
        return None

    def lost(self) -> int:
        """What was taken over a connection that is gone is to be sent again; returns how many samples."""
        count = 0
        for load in self._loads.values():
            count += sum(len(one) for one in load.done)
            load.work.extend(load.done)
            load.done.clear()
        return count

    def clear(self) -> None:
        """Leave what is on its way; it is loaded again from the store."""
        self._loads.clear()
        self._sent = None

    def _failed(self, answer: ServerAnswer) -> float:
        """Nothing was brought further; how long to wait [s]."""
        self.failures += 1
        self.retries += 1
        self.state = "held" if answer.ruling is Ruling.HOLD else "retrying"
        self.trouble, self.next_step = answer.words or answer.ruling.value, answer.next_step or WAIT_STEP
        return wait_s(answer.ruling, self.failures, self._chance)

    def _well(self) -> None:
        self.failures, self.state, self.trouble, self.next_step = 0, "sending", "", ""
        self._smooth += 1
        if self._smooth >= GROW_AFTER:
            self._smooth = 0
            self.most = min(self.most * 2, SHIPMENT_ROWS)

    def _shrink(self, most: int) -> None:
        """Send less at once; what is on its way already is cut too."""
        self._smooth = 0
        self.most = max(min(most, self.most), 1)
        for load in self._loads.values():
            load.work = deque(part for one in load.work for part in cut(one, self.most))

    def _divide(self, load: Underway, answer: ServerAnswer, now_ns: int, room: bool) -> bool:
        """Halve what was refused, or set it aside; False where it would be set aside and there is no room."""
        shipment = load.work[0]
        parts = halves(shipment)
        load.refusals += 1
        large = answer.ruling is Ruling.LARGE
        if parts is not None and (large or load.refusals <= SEARCH_REQUESTS):
            load.work.popleft()
            load.work.extendleft(reversed(parts))
            if large and len(shipment) > LARGE_ROWS:
                self._shrink(len(shipment) // 2)
            return True
        if room:
            load.work.popleft()
            load.refused.append(RefusedSamples(now_ns, answer.refusal or answer.ruling.value, answer.words, shipment))
        return room


def cut(shipment: Shipment, most: int) -> list[Shipment]:
    """Parts of about as many samples at most, cut between runs where that can be."""
    if len(shipment) <= most:
        return [shipment]
    parts = halves(shipment)
    return [one for part in parts for one in cut(part, most)] if parts else [shipment]
