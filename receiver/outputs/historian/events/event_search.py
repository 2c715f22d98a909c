"""Events that fit what a person asks for, newest first by the sender's order, cut to the scope.

What is looked through is bounded: the `LOOKED` that came last. Whoever asks for what nothing fits is told whether all
were looked through, and can ask for an earlier time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from receiver.outputs.historian.events.event_row import event_of
from receiver.outputs.historian.events.standing_alarms import inside_of
from receiver.outputs.historian.series import SENDER
from receiver.outputs.historian.snapshot import Snapshot
from receiver.outputs.historian.views import EventView
from receiver.outputs.historian.visible import Visible

LOOKED = 500_000
"""Most events that one question looks through: about half a second of a processor."""
ALL_STATES = frozenset(("active", "acked", "cleared", ""))
FIRST_NS, AFTER_NS = -(2**63), 2**63 - 1
"""All of time."""

_FIND = """SELECT asset, source, time_ns, severity, code, text, state, sequence, received_ns, boot, number FROM event
    WHERE asset IN (SELECT value FROM json_each(CAST(?1 AS TEXT)))
    AND (asset NOT IN (SELECT value FROM json_each(CAST(?2 AS TEXT)))
        OR (asset, source) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
            FROM json_each(CAST(?3 AS TEXT))))
    AND severity >= ?4 AND state IN (SELECT value FROM json_each(CAST(?5 AS TEXT)))
    AND time_ns >= ?6 AND time_ns < ?7 AND (boot, number) < (?8, ?9)
    AND (?10 = '' OR instr(lower(source || char(10) || code || char(10) || text), ?10)
        OR asset IN (SELECT value FROM json_each(CAST(?11 AS TEXT))))
    AND id > (SELECT max(id) FROM event) - ?12
    ORDER BY boot DESC, number DESC LIMIT ?13"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuestion:
    """Which events."""

    asset: str = ""
    """Of that asset; empty: of all visible ones, and the sender's own for a scope of everything."""
    states: frozenset[str] = ALL_STATES
    """Of these; empty text: those that happened and do not stand."""
    severity: int = 1
    """At least that grave, 1 to 1000."""
    text: str = ""
    """In the asset's name, the source, the code or the words; letters of ASCII in either case."""
    from_ns: int = FIRST_NS
    """The events' own times, this one included [ns since 1970 UTC]."""
    to_ns: int = AFTER_NS
    """Not included."""
    before: tuple[int, int] = (2**63 - 1, 2**63 - 1)
    """Of an earlier (packer's start, block number) than this: `FoundEvents.after` of the answer before."""
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvents:
    """What fits."""

    events: Sequence[EventView]
    """Newest first."""
    after: tuple[int, int] | None
    """Ask for more with this as `before`; None: there are no more."""
    whole: bool
    """All that the history has was looked through, not only what came last."""


def find(moment: Snapshot | None, visible: Visible, asked: EventQuestion) -> FoundEvents:
    """The newest events that fit."""
    names = {**visible.names(), **({SENDER: ""} if visible.all else {})}
    wanted = [one for one, name in names.items() if not asked.asset or name == asked.asset]
    if moment is None or not wanted:
        return FoundEvents(events=(), after=None, whole=True)
    text = "".join(letter.lower() if letter.isascii() else letter for letter in asked.text)
    fitting = [one for one in wanted if text and text in names[one].lower()]
    _, limited, named = inside_of(visible)
    rows = moment.rows(
        _FIND,
        orjson.dumps(wanted),
        limited,
        named,
        asked.severity,
        orjson.dumps(sorted(asked.states)),
        asked.from_ns,
        asked.to_ns,
        *asked.before,
        text,
        orjson.dumps(fitting),
        LOOKED,
        asked.limit + 1,
    )
    events = [event_of(row, names) for row in rows[: asked.limit]]
    more = len(rows) > asked.limit
    count = moment.rows("SELECT count(*) FROM (SELECT 1 FROM event LIMIT ?)", LOOKED + 1)[0][0]
    return FoundEvents(
        events=events,
        after=(rows[asked.limit - 1][-2], rows[asked.limit - 1][-1]) if more else None,
        whole=count <= LOOKED,
    )
