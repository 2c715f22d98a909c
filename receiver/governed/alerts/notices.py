"""What security is told, by which ways, until somebody took it: a core without clock and network.

    cause       break-glass opened, a grant whose preset tells security (tier 3), and alerts
    sent        an attempt began                                  notice.sent       {notice, way, attempt}
    delivered   the server took it                                notice.delivered  {notice, way, said, confirmed}
    failed      it did not; tried again after `WAITS_S`           notice.failed     {notice, way, why, attempt}

A notice is named by the number of its cause in the trail. After `LATE_S` without a delivery that somebody confirmed, by
every way that is configured, it is an alert; so it is where no way is configured. It is tried on for a day all the
same; an alert for an hour. All of it is read back from the trail, so a restart goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from receiver.governed.alerts.alert import ALERTS, RAISED, raised
from receiver.governed.alerts.alert_board import shown_alert
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.preset import PRESETS
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord

LATE_S = 900.0
"""An emergency that security has not been told of after this time is an alert (docs/access.md)."""

WAITS_S = (0.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0, 300.0, 900.0)
"""Before the first attempt, the second, ..; the last one from then on [s]: eight attempts lie within `LATE_S`."""

GIVEN_UP_S = 86_400.0
"""After which it is tried no more [s]: an alert stands, and a day's old emergency is told by people."""

ALERT_GIVEN_UP_S = 3_600.0
"""The same of an alert [s]: it stands in the list, and each attempt is two entries of the trail."""

ALERTS_AN_HOUR = 30
"""Most alerts of an hour that are told: who tries to sign in from a thousand addresses shall not fill the mailbox that
the emergency comes into. All of them stand in the list."""

KEPT = 1_000
"""Most notices under way; beyond, the oldest alerts are told no more."""

SELF = frozenset({"notice undelivered", "break-glass opened"})
"""Alerts that are no notice of their own: one would be told by the way that fails, the other has been told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellWay:
    """One configured way, as far as the core knows it."""

    name: str
    alerts: bool
    """It is told of alerts too."""
    confirms: bool
    """Its other end says that it took something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is told."""

    number: int
    """Of its cause in the trail."""
    kind: str
    """Of its cause."""
    at_ns: int
    """When that was [ns since 1970 UTC]."""
    emergency: bool
    title: str
    """One line; a text of people may stand in it."""
    lines: tuple[tuple[str, str], ...]
    """What, and in which words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellAttempt:
    """One try to be made now."""

    notice: Notice
    way: str
    attempt: int
    """From 1."""


@dataclass(slots=True)
class _Wayfaring:
    """How far a notice came by one way."""

    attempts: int = 0
    last_ns: int = 0
    delivered: bool = False
    flying: bool = False


@dataclass(slots=True)
class _UnderWay:
    notice: Notice
    ways: dict[str, _Wayfaring] = field(default_factory=dict)
    alarmed: bool = False


class Notices:
    """Everything that is under way. Not for several threads."""

    def __init__(self, ways: Sequence[TellWay], policy: AccessPolicy, called: Callable[[str], str]) -> None:
        """
        Args:
            ways: As configured.
            policy: Which presets tell security.
            called: What a person's key is called, for people.
        """
        self._ways = {one.name: one for one in ways}
        self._policy, self._called = policy, called
        self._held: dict[int, _UnderWay] = {}
        self._alert_times: deque[int] = deque(maxlen=ALERTS_AN_HOUR)

    def take(self, record: TrailRecord) -> None:
        """One more record of the trail, of any kind."""
        entry = record.entry
        if entry.subject == "notice":
            self._went(entry)
        elif entry.kind == RAISED and entry.facts.get("what") == "notice undelivered":
            held = self._held.get(_number(entry))
            if held is not None:
                held.alarmed = True
        elif (notice := self._notice(record)) is not None:
            ways = [one.name for one in self._ways.values() if notice.emergency or one.alerts]
            if notice.emergency or (ways and self._few(notice.at_ns)):
                self._held[record.number] = _UnderWay(notice, {name: _Wayfaring() for name in ways})
            if len(self._held) > KEPT:
                self._held.pop(
                    next((number for number, one in self._held.items() if not one.notice.emergency), 0), None
                )

    def due(self, now_ns: int) -> list[TellAttempt]:
        """Attempts to be made now, emergencies first; each is under way until `sent` is followed by its outcome."""
        found = []
        for number, held in list(self._held.items()):
            given_up_s = GIVEN_UP_S if held.notice.emergency else ALERT_GIVEN_UP_S
            if now_ns >= held.notice.at_ns + round(given_up_s * 1e9):
                if not any(one.flying for one in held.ways.values()):
                    del self._held[number]
                continue
            for name, way in held.ways.items():
                wait_s = WAITS_S[min(way.attempts, len(WAITS_S) - 1)]
                if way.delivered or way.flying or now_ns < way.last_ns + round(wait_s * 1e9):
                    continue
                way.flying = True
                way.attempts, way.last_ns = way.attempts + 1, now_ns
                found.append(TellAttempt(notice=held.notice, way=name, attempt=way.attempts))
        return sorted(found, key=lambda one: (not one.notice.emergency, one.notice.number))

    def sent(self, attempt: TellAttempt, now_ns: int) -> TrailEntry:
        """That it begins."""
        return _entry("notice.sent", attempt, now_ns)

    def delivered(self, attempt: TellAttempt, said: str, now_ns: int) -> TrailEntry:
        """That the server took it; `said` is its answer."""
        self._done(attempt, delivered=True)
        confirmed = self._ways[attempt.way].confirms
        return _entry("notice.delivered", attempt, now_ns, {"said": said, "confirmed": confirmed})

    def failed(self, attempt: TellAttempt, why: str, now_ns: int) -> TrailEntry:
        """That it did not; it is tried again."""
        self._done(attempt, delivered=False)
        return _entry("notice.failed", attempt, now_ns, {"why": why})

    def undelivered(self, now_ns: int) -> list[TrailEntry]:
        """Alerts to raise: emergencies that security was not told of in time, each once."""
        found = []
        for number, held in self._held.items():
            late = now_ns >= held.notice.at_ns + round(LATE_S * 1e9)
            if held.alarmed or not held.notice.emergency or not late:
                continue
            missing = [name for name, way in held.ways.items() if not way.delivered]
            taken = [name for name, way in held.ways.items() if way.delivered and self._ways[name].confirms]
            if taken and not missing:
                continue
            held.alarmed = True
            why = f"not delivered by {', '.join(missing)}" if missing else "sent only by ways that nobody confirms"
            if not held.ways:
                why = "no way to tell it is configured ([[tell]] of access.toml)"
            if taken and missing:
                why += f"; {', '.join(taken)} took it"
            told = f"security was not told of entry {number} ({held.notice.kind}) within 15 minutes: {why}"
            more: dict[str, Fact] = {"notice": number}
            found.append(raised("notice undelivered", told, at_ns=now_ns, subject=f"entry {number}", more=more))
        return found

    def _few(self, at_ns: int) -> bool:
        """Whether this alert is not one of too many."""
        times = self._alert_times
        many = len(times) == ALERTS_AN_HOUR and abs(at_ns - times[0]) < 3600 * 10**9
        if not many:
            times.append(at_ns)
        return not many

    def _went(self, entry: TrailEntry) -> None:
        """What another run of this program wrote of an attempt."""
        held = self._held.get(_number(entry))
        way = held.ways.get(str(entry.facts.get("way"))) if held is not None else None
        if way is None:
            return
        attempt = entry.facts.get("attempt")
        way.attempts = max(way.attempts, attempt if isinstance(attempt, int) else 0)
        way.last_ns = max(way.last_ns, entry.at_ns)
        way.delivered = way.delivered or entry.kind == "notice.delivered"
        self._tidy(_number(entry))

    def _done(self, attempt: TellAttempt, *, delivered: bool) -> None:
        held = self._held.get(attempt.notice.number)
        if held is not None:
            held.ways[attempt.way].flying = False
            held.ways[attempt.way].delivered = delivered
            self._tidy(attempt.notice.number)

    def _tidy(self, number: int) -> None:
        """Forget what nothing is left to be done for."""
        held = self._held[number]
        names = [name for name, way in held.ways.items() if way.delivered]
        confirmed = any(self._ways[name].confirms for name in names)
        if len(names) == len(held.ways) and (confirmed or held.alarmed or not held.notice.emergency):
            del self._held[number]

    def _notice(self, record: TrailRecord) -> Notice | None:
        entry, facts = record.entry, record.entry.facts
        number, kind, at_ns = record.number, entry.kind, entry.at_ns
        if kind == RAISED and facts.get("what") not in SELF:
            shown = shown_alert(record)
            lines = [("what", shown.told), ("next step", shown.next_step)]
            title = f"alert: {shown.what}"
            return Notice(
                number=number, kind=kind, at_ns=at_ns, emergency=False, title=title, lines=(*lines, *_place(record))
            )
        preset = str(facts.get("preset", ""))
        known = self._policy.presets.get(preset, PRESETS.get(preset))
        if kind == "break-glass.opened":
            what = "break-glass opened" + (" (drill)" if facts.get("drill") is True else "")
        elif kind == "grant.given" and known is not None and known.tell_security:
            what = f"{preset} reading granted"
        else:
            return None
        return Notice(
            number=number,
            kind=kind,
            at_ns=at_ns,
            emergency=True,
            title=f"{what}: {', '.join(sorted(Extent.of_facts(facts).assets))}",
            lines=(*self._emergency(entry), *_place(record)),
        )

    def _emergency(self, entry: TrailEntry) -> list[tuple[str, str]]:
        facts = entry.facts
        lines = [("reader", self._called(str(facts.get("person", ""))))]
        if entry.kind == "break-glass.opened":
            lines.append(("opened by", self._called(entry.who)))
            lines.append(("why", str(facts.get("why", ""))))
        lines.append(("grant", str(facts.get("grant", ""))))
        if facts.get("request"):
            lines.append(("request", str(facts["request"])))
        step = ALERTS["break-glass opened"].next_step if entry.kind == "break-glass.opened" else _TIER_3
        return [*lines, ("next step", step)]


_TIER_3 = "Nothing need be approved again; revoke it where it should not be. Its review is due within 48 h of its end."


def _place(record: TrailRecord) -> list[tuple[str, str]]:
    return [("trail", f"entry {record.number}, hash {record.hash.hex()[:16]}")]


def _number(entry: TrailEntry) -> int:
    number = entry.facts.get("notice")
    return number if isinstance(number, int) else 0


def _entry(kind: str, attempt: TellAttempt, now_ns: int, more: dict[str, Fact] | None = None) -> TrailEntry:
    facts: dict[str, Fact] = {"notice": attempt.notice.number, "way": attempt.way, "attempt": attempt.attempt}
    return TrailEntry(kind=kind, at_ns=now_ns, who="system", facts=facts | (more or {}))
