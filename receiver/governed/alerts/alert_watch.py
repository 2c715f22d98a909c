"""Everything that watches the trail, together: records and time in, entries and attempts to tell out. A core.

    watch.begin(records, now)      at a start: what governs, and the alerts, notices and refusals of late
    watch.take(record)             each record after those, in order; gives entries to write
    watch.tick(now)                each second or so; gives entries to write
    watch.due(now)                 attempts to be made now

It has registers of its own, so that a look is compared with what governed then, and not with what was decided since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from receiver.governed.alerts.alert import RAISED, raised
from receiver.governed.alerts.alert_board import AlertBoard, ShownAlert
from receiver.governed.alerts.notices import Notices, TellAttempt, TellWay
from receiver.governed.alerts.record_rules import RecordRules
from receiver.governed.alerts.standing_alerts import standing
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry, TrailRecord

LATE_KINDS = ("alert", "notice", "read.refused")
"""Kinds that do not govern and that a start has to know."""

BACK_NS = 7 * 86_400 * 10**9
"""What happened while nothing watched is raised at the next start, if it is no older than this [ns]."""


class AlertWatch:
    """Rules, list and notices, kept up with the trail."""

    def __init__(self, policy: AccessPolicy) -> None:
        """
        Args:
            policy: The site's, with the ways to tell.
        """
        self._policy = policy
        self.rules, self.board = RecordRules(), AlertBoard()
        ways = [TellWay(name=one.name, alerts=one.alerts, confirms=one.confirms) for one in policy.tell]
        self.notices = Notices(ways, policy, self.called)
        self.number = 0
        """Of the last record that was taken."""

    def begin(self, records: Iterable[TrailRecord], now: SureTime) -> list[TrailEntry]:
        """Take what was before, and give what should have been raised meanwhile.

        Args:
            records: All that govern and those of `LATE_KINDS` that are kept back from, by number; looks may be missing.
            now: Sure time.

        Raises:
            ValueError: a governing record that cannot be understood.
        """
        held = list(records)
        for record in held:
            if record.entry.kind == RAISED:
                self.rules.know(record.entry)
        found: list[TrailEntry] = []
        for record in held:  # in their order: a register passes over what has a smaller number than it has seen
            found += self.rules.take(record)
            self._keep(record)
        return [one for one in found if one.at_ns >= now.late_ns - BACK_NS]

    def take(self, record: TrailRecord) -> list[TrailEntry]:
        """The next record.

        Raises:
            ValueError: a governing record that cannot be understood.
        """
        if record.number <= self.number:
            return []
        self._keep(record)
        return self.rules.take(record)

    def tick(self, now: SureTime) -> list[TrailEntry]:
        """What holds now and is not on record yet, and what security was not told of in time."""
        check = self.rules.check
        fresh = self.board.missing(standing(check.people, check.grants, self._policy, now))
        entries = [raised(one.what, one.told, at_ns=now.late_ns, subject=one.subject, more=one.more) for one in fresh]
        return entries + self.notices.undelivered(now.late_ns)

    def due(self, now: SureTime) -> list[TellAttempt]:
        """Attempts to be made now."""
        return self.notices.due(now.late_ns)

    def open(self, now: SureTime) -> list[ShownAlert]:
        """The list, as a page shows it."""
        check = self.rules.check
        return self.board.open(standing(check.people, check.grants, self._policy, now))

    def called(self, key: str) -> str:
        """A person or service as people know it: name, employer, key."""
        check = self.rules.check
        if held := check.people.get(key):
            return f"{held.draft.name} ({held.draft.employer or 'own'}, {key})"
        service = check.services.get(key.removeprefix("service:"))
        return f"{service.name} ({service.employer or 'own'}, {key})" if service else key

    def _keep(self, record: TrailRecord) -> None:
        self.board.take(record)
        self.notices.take(record)
        self.number = max(self.number, record.number)


def merged(governing: Sequence[TrailRecord], late: Sequence[TrailRecord]) -> list[TrailRecord]:
    """Both by number, for `begin`."""
    return sorted([*governing, *late], key=lambda record: record.number)
