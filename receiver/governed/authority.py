"""Who may do what now: the trail, the registers folded from it, and sure time, held together for a whole process.

    authority.tick(wall_ns, running_ns)      several times a second: the clocks, and what other processes wrote
    authority.granted(person_key)            what somebody may read at this moment
    authority.act(rule)                      a rule looks at the registers under the trail's lock and gives entries

A rule is a function of the registers and of now. It sees every act of every process before it decides, so that two
approvers who press at once, one on a page and one on a terminal, cannot both take the last seat. Where the trail cannot
be read or understood, everything is refused: `granted` gives nothing and `act` raises.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from protocol.store import statefile
from receiver.governed.grants.granted import NOTHING, Granted
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.register import Grants
from receiver.governed.people.person import Person
from receiver.governed.people.register import People
from receiver.governed.recommendations.register import Recommendations
from receiver.governed.sure_time import Reckoning, SureTime
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord
from receiver.governed.trail.trail import Trail
from receiver.governed.trail.trail_error import TrailError

LATEST = "sure-time.json"
"""In the state folder: the latest time that was ever believed."""

KEPT_S = 60.0
"""Between two writings of it [s]: a clock that is set back over a restart gains this much at most."""


class ActRule(Protocol):
    """Decides on an act; may raise, and nothing is written then."""

    def __call__(self, people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]: ...


class Authority:
    """The one place that a process asks before it shows or writes anything. For any number of threads."""

    def __init__(self, trail: Trail, policy: AccessPolicy, state: Path, *, wall_ns: int, running_ns: int) -> None:
        """
        Args:
            trail: The site's.
            policy: The site's, `access.toml`.
            state: State folder, where the latest believed time is kept.
            wall_ns: The wall clock now [ns since 1970 UTC].
            running_ns: A clock that is never set and counts sleep [ns, any origin].

        Raises:
            TrailError: the trail cannot be read or understood.
        """
        self.trail, self.policy = trail, policy
        self.people, self.grants = People(), Grants()
        self.recommendations = Recommendations()
        self.trouble = ""
        """Why nothing is allowed at all; empty while all is well."""
        self._path = state / LATEST
        self._lock = threading.RLock()
        self._number = 0
        self._kept_ns = read_latest(state, wall_ns)
        self._reckoning = Reckoning(wall_ns, running_ns, latest_ns=self._kept_ns)
        self._now = SureTime(wall_ns, self._reckoning.latest_ns)
        self._granted: dict[str, Granted] = {}
        """What was worked out for this moment from these registers: a page asks for it several times."""
        self._started = False
        """What was accepted before this process began is in what it found kept."""
        self.refresh()
        self._started = True

    @property
    def now(self) -> SureTime:
        """As of the last tick."""
        return self._now

    def tick(self, wall_ns: int, running_ns: int) -> None:
        """Look at the clocks, and take in what others wrote; a step of the wall clock goes on record."""
        with self._lock:
            self._now = self._reckoning.advance(wall_ns, running_ns)
            self._granted.clear()
            stepped_ns = self._reckoning.stepped_ns
            if self._now.late_ns - self._kept_ns >= KEPT_S * 1e9:
                self._keep(self._now.late_ns)
            with contextlib.suppress(TrailError):
                if stepped_ns:
                    facts: dict[str, Fact] = {"what": "clock stepped", "by_s": stepped_ns / 1e9}
                    self.trail.note([TrailEntry(kind="alert.raised", at_ns=wall_ns, who="system", facts=facts)])
                self.refresh()

    def _keep(self, latest_ns: int) -> None:
        self._kept_ns = latest_ns
        with contextlib.suppress(OSError):
            statefile.write(self._path, json.dumps({"latest_ns": latest_ns}).encode())

    def refresh(self) -> None:
        """Fold what was written since.

        Raises:
            TrailError: the trail cannot be read or understood; nothing is allowed until it can.
        """
        with self._lock:
            self._granted.clear()
            try:
                for record in self.trail.governing(self._number):
                    self._take(record)
            except ValueError as error:
                self.trouble = str(error)
                raise TrailError(self.trouble) from error
            except TrailError as error:
                self.trouble = str(error)
                raise
            self.trouble = ""

    def person(self, key: str) -> Person | None:
        """Who a key names, as of now."""
        with self._lock:
            return self.people.person(key, self._now)

    def granted(self, key: str) -> Granted:
        """What the person may read now; nothing while the trail cannot be read."""
        with self._lock:
            if key in self._granted:
                return self._granted[key]
            person = self.people.person(key, self._now)
            if self.trouble or person is None:
                return Granted(scope=NOTHING, until_ns=self._now.late_ns, grants=())
            return self._granted.setdefault(key, self.grants.granted(person, self._now))

    def act(self, rule: ActRule) -> list[TrailRecord]:
        """Let a rule decide, and write what it gives; the registers have taken it on return.

        Raises:
            TrailError: nothing was written.
            Exception: whatever the rule raised; nothing was written.
        """
        with self._lock:

            def decide(news: Sequence[TrailRecord]) -> Sequence[TrailEntry]:
                for record in news:
                    self._take(record)
                return rule(self.people, self.grants, self._now)

            written = self.trail.act(self._number, decide)
            for record in written:
                self._take(record)
            return written

    def _take(self, record: TrailRecord) -> None:
        if record.number > self._number:
            self._granted.clear()
            self.people.take(record)
            self.grants.take(record)
            if record.entry.kind == "clock.accepted" and self._started:
                self._reckoning.accept()
                self._keep(self._reckoning.latest_ns)
            self.recommendations.take(record)
            self._number = record.number


def read_latest(state: Path, wall_ns: int, say: Callable[[str], None] = lambda line: None) -> int:
    """The latest time that was ever believed here [ns since 1970 UTC]; 0 where it is not known."""
    return statefile.load(state / LATEST, lambda held: int(held["latest_ns"]), say, wall_ns=wall_ns) or 0
