"""People as one process has them: kept up with the trail by its authority, and changed through it alone."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable, Sequence

from receiver.governed.authority import Authority
from receiver.governed.grants.register import Grants
from receiver.governed.people.acts import PeopleActs
from receiver.governed.people.person import Person
from receiver.governed.people.register import People
from receiver.governed.people.services import Services
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord
from receiver.governed.trail.trail_error import TrailError

FRESH_NS = 250 * 10**6
"""What another process wrote is seen after so long at most [ns]: an ended person is out within a second."""


class PeopleDesk:
    """For any thread."""

    def __init__(self, authority: Authority, wall: Callable[[], int], running: Callable[[], int]) -> None:
        """
        Args:
            authority: Holds trail, registers and time.
            wall: The wall clock [ns since 1970 UTC].
            running: A clock that is never set and counts sleep [ns, any origin].
        """
        self.authority, self.wall = authority, wall
        self._running = running
        self._lock = threading.Lock()
        self._ticked_ns: int | None = None

    def now(self) -> SureTime:
        """What is believed of the time; registers are up to date with it within `FRESH_NS`.

        Raises:
            TrailError: the trail cannot be read, or written down what the clock did: nobody is known then.
        """
        running_ns = self._running()
        with self._lock:
            if self._ticked_ns is None or not 0 <= running_ns - self._ticked_ns < FRESH_NS:
                self._ticked_ns = running_ns
                self.authority.tick(self.wall(), running_ns)
        if self.authority.trouble:
            raise TrailError(self.authority.trouble)
        return self.authority.now

    @property
    def people(self) -> People:
        """Up to date within `FRESH_NS`; raises TrailError as `now`."""
        self.now()
        return self.authority.people

    @property
    def services(self) -> Services:
        """Service credentials; the rest as for people."""
        self.now()
        return self.authority.people.services

    def refresh(self) -> People:
        """The people, with all that is on record this moment; raises TrailError."""
        self.authority.refresh()
        return self.authority.people

    def person(self, key: str) -> Person | None:
        """Who a key names now."""
        now = self.now()
        return self.authority.people.person(key, now)

    def act(
        self, by: str, wish: Callable[[PeopleActs], Sequence[TrailEntry]], *, origin: str = ""
    ) -> list[TrailRecord]:
        """Change something, in one step with what is on record.

        Args:
            by: Who acts, as the trail names it.
            wish: Gives the entries.
            origin: Network address it came from.

        Raises:
            ConfigError: it may not be; nothing is written.
            TrailError: it cannot be written.
        """

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            return wish(PeopleActs(people, now, at_ns=self.wall(), by=by, origin=origin))

        self.now()
        return self.authority.act(rule)

    def note(self, kind: str, who: str, origin: str, **facts: str | list[str]) -> None:
        """Write down what happened, without deciding; an empty fact is left out.

        Raises:
            TrailError: it cannot be written.
        """
        kept: dict[str, Fact] = {}
        for name, fact in facts.items():
            if fact:
                kept[name] = fact if isinstance(fact, str) else [*fact]
        self.authority.trail.note([TrailEntry(kind=kind, at_ns=self.wall(), who=who, origin=origin, facts=kept)])


def new_key(letter: str) -> str:
    """A key that was never used: `p-` and eight letters and digits of 40 random bits."""
    return f"{letter}-{base64.b32encode(secrets.token_bytes(5)).decode().lower()}"
