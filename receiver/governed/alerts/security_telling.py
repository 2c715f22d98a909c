"""The thread of the pages that watches the trail, raises alerts and tells security. It waits for nobody's request.

Each second it takes what is new in the trail, writes what follows from it, and hands attempts to a thread a way, so
that a mail server that is slow holds up neither the syslog nor the next look. What cannot be written down now is kept
and written later; telling goes on meanwhile: its cause is on record already, and a person should know.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from queue import SimpleQueue

from protocol.inert import inert
from receiver.governed.alerts.alert_board import ShownAlert, acknowledge
from receiver.governed.alerts.alert_watch import LATE_KINDS, AlertWatch, merged
from receiver.governed.alerts.notices import Notice, TellAttempt
from receiver.governed.alerts.senders import ANSWER_MOST, FAILURES, Send, sender
from receiver.governed.authority import Authority
from receiver.governed.people.person import Person
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry
from receiver.governed.trail.trail_error import TrailError

PERIOD_S = 1.0
"""Between two looks [s]: "at once" for a person."""

LATE_MOST = 20_000
"""Most alerts, notices and refusals that a start looks back at."""

STEP = 2_000
"""Most records of one look; a busy hour is caught up with in several, and telling is not held up by them."""

OWED = 10_000
"""Most entries that wait to be written while the trail cannot be."""

_log = logging.getLogger("receiver.governed")


class _TellHand:
    """The thread of one way; it is a daemon, so that a server which answers a letter a minute holds up no end."""

    def __init__(self, name: str, send: Send) -> None:
        self._send = send
        self._queue: SimpleQueue[tuple[Notice, Future[str]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=f"tell-{name}", daemon=True).start()

    def hand_over(self, notice: Notice) -> Future[str]:
        """Hand it over in its turn."""
        future: Future[str] = Future()
        self._queue.put((notice, future))
        return future

    def close(self) -> None:
        """End the thread, once what it has is done."""
        self._queue.put(None)

    def _run(self) -> None:
        while (turn := self._queue.get()) is not None:
            notice, future = turn
            try:
                future.set_result(self._send(notice))
            except Exception as error:  # noqa: BLE001  told by whoever asks for the outcome
                future.set_exception(error)


class SecurityTelling:
    """Watches one trail."""

    def __init__(self, authority: Authority, host: str, senders: Mapping[str, Send] | None = None) -> None:
        """
        Args:
            authority: Of the process; its clock is ticked by others.
            host: Name of this machine.
            senders: By the name of the way; left out, as the policy has them.
        """
        self._authority = authority
        self._watch = AlertWatch(authority.policy)
        made = {one.name: sender(one, host) for one in authority.policy.tell}
        self._senders = made if senders is None else senders
        self._hands = {name: _TellHand(name, send) for name, send in self._senders.items()}
        self._flying: list[tuple[TellAttempt, Future[str]]] = []
        self._owed: deque[TrailEntry] = deque(maxlen=OWED)
        self._begun = False
        self._trouble = ""
        self._open: tuple[ShownAlert, ...] = ()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self, tick: Callable[[], object] = lambda: None) -> None:
        """Begin to watch.

        Args:
            tick: Moves the authority's clock, where nobody asks the pages for anything.
        """
        self._tick = tick
        self._thread.start()

    def close(self) -> None:
        """End it; an attempt that is under way is left to its timeout."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(PERIOD_S + 5.0)
        for hand in self._hands.values():
            hand.close()

    def step(self) -> None:
        """One look: what is new, what is due, what came back.

        Raises:
            TrailError: the trail cannot be read.
            ValueError: it cannot be understood.
        """
        with self._lock:
            self._step()

    def open_alerts(self) -> tuple[ShownAlert, ...]:
        """The list as of the last look, all of it: `alert_board.visible` says what of it somebody may see."""
        return self._open

    @property
    def trouble(self) -> str:
        """Why alerts are not watched now; empty while they are."""
        return self._trouble or ("" if self._begun else "the pages have just started")

    def acknowledge(self, number: int, note: str, *, by: str, person: Person | None, origin: str = "") -> None:
        """Put on record that somebody knows of an alert; for a thread that may wait for the disk.

        Args:
            number: As for `alert_board.acknowledge`, as are the others.
            origin: Network address it came from.

        Raises:
            RuleRefusal: it may not be.
            TrailError: it cannot be written.
        """
        with self._lock:
            now = self._authority.now
            entries = acknowledge(self._watch.board, number, note, by=by, person=person, at_ns=now.late_ns)
            for record in self._authority.trail.note([replace(one, origin=origin) for one in entries]):
                self._watch.board.take(record)
            self._open = tuple(self._watch.open(now))

    def _step(self) -> None:
        now, trouble = self._authority.now, None
        self._landed(now.late_ns)
        try:
            self._follow(now)
        except (TrailError, ValueError) as error:
            trouble = error
        for attempt in self._watch.due(now):
            self._owed.append(self._watch.notices.sent(attempt, now.late_ns))
            self._flying.append((attempt, self._hands[attempt.way].hand_over(attempt.notice)))
        self._write()
        if trouble is not None:
            raise trouble

    @property
    def flying(self) -> int:
        """Attempts whose outcome is not written down yet."""
        return len(self._flying)

    def _follow(self, now: SureTime) -> None:
        if not self._begun:
            self._owed.extend(self._begin())
        for count, record in enumerate(self._authority.trail.records(self._watch.number), 1):
            self._owed.extend(self._watch.take(record))
            if count == STEP:
                break
        self._owed.extend(self._watch.tick(now))
        self._open = tuple(self._watch.open(now))

    def _begin(self) -> Sequence[TrailEntry]:
        trail = self._authority.trail
        end = trail.end()
        last = end.number if end else 0
        late = trail.page(before=last + 1, limit=LATE_MOST, kinds=LATE_KINDS)
        governing = [record for record in trail.governing() if record.number <= last]
        watch = AlertWatch(self._authority.policy)
        found = watch.begin(merged(governing, late), self._authority.now)
        watch.number = last
        self._watch, self._begun = watch, True
        return found

    def _landed(self, now_ns: int) -> None:
        """Attempts that came to an end."""
        notices, still = self._watch.notices, []
        for attempt, future in self._flying:
            if not future.done():
                still.append((attempt, future))
                continue
            error = future.exception()
            if error is None:
                self._owed.append(notices.delivered(attempt, future.result(), now_ns))
                continue
            if not isinstance(error, FAILURES):
                _log.error("way %s: %r", attempt.way, error)
            why = inert(f"{type(error).__name__}: {error}", ANSWER_MOST)
            self._owed.append(notices.failed(attempt, why, now_ns))
        self._flying = still

    def _write(self) -> None:
        if not self._owed:
            return
        entries = list(self._owed)
        self._authority.trail.note(entries)
        for _ in entries:
            self._owed.popleft()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            try:
                with contextlib.suppress(TrailError):
                    self._tick()
                self.step()
                self._trouble = ""
            except Exception as error:  # noqa: BLE001  whatever is wrong with one look, the next is made
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    level = logging.WARNING if isinstance(error, TrailError) else logging.ERROR
                    _log.log(level, "alerts are not watched now: %s", error)
