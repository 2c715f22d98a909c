"""What stands of alarms: of each (asset, source, code) the newest word, kept as events are stored, and read.

    active, acked, cleared   a row of `standing`, moved on by (packer's start, block number), never by arrival
    empty                    it happened and does not stand: no row
    kept                     while it stands, also when retention has taken its event; a cleared row goes with it

An alarm without a code is told apart by its text. After a start the sender says again what is active, so what an
earlier start said, and the later one has not, may be over: a view says how long the later one had time to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from receiver.outputs.base import EventBody
from receiver.outputs.disk import Connection, Writes
from receiver.outputs.historian.events.event_row import event_of
from receiver.outputs.historian.snapshot import Snapshot
from receiver.outputs.historian.views import EventView
from receiver.outputs.historian.visible import Visible

STATES = ("active", "acked", "cleared")
"""Of an event that stands or has stood (SPEC.md, 6.2); of any other word nobody knows what it means."""

_KEY = "asset, source, what"
_WORD = "boot, number, state, severity, code, text, time_ns, sequence, received_ns, event"
_NEWER = f"""ON CONFLICT ({_KEY}) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _WORD.split(", "))}
    WHERE (excluded.boot, excluded.number) > (standing.boot, standing.number)"""
_NEWEST = f"""INSERT INTO standing ({_KEY}, {_WORD}, raised_boot, raised_number, raised_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT max(id) FROM event), -1, -1, ?)
    {_NEWER}"""  # noqa: S608  names from above
_RAISED = """UPDATE standing SET raised_boot = ?1, raised_number = ?2, raised_ns = ?3
    WHERE asset = ?4 AND source = ?5 AND what = ?6 AND (?1, ?2) > (raised_boot, raised_number)"""
_WHAT = "iif(code = '', text, code)"
_FILL = f"""INSERT INTO standing ({_KEY}, {_WORD}, raised_boot, raised_number, raised_ns)
    SELECT asset, source, {_WHAT}, boot, number, state, severity, code, text, time_ns, sequence, received_ns, id,
        -1, -1, time_ns
    FROM (SELECT *, row_number() OVER (PARTITION BY asset, source, {_WHAT} ORDER BY boot DESC, number DESC) AS place
        FROM event WHERE id > ? AND state IN ('active', 'acked', 'cleared')) WHERE place = 1
    {_NEWER}"""  # noqa: S608  text from above
_FILL_RAISED = f"""UPDATE standing SET raised_boot = e.boot, raised_number = e.number, raised_ns = e.time_ns
    FROM (SELECT *, {_WHAT} AS what,
            row_number() OVER (PARTITION BY asset, source, {_WHAT} ORDER BY boot DESC, number DESC) AS place
        FROM event WHERE id > ? AND state = 'active') AS e
    WHERE e.place = 1 AND (e.asset, e.source, e.what) = (standing.asset, standing.source, standing.what)
    AND (e.boot, e.number) > (raised_boot, raised_number)"""  # noqa: S608  text from above
_LAST = """SELECT coalesce((SELECT max(id) FROM event), 0),
    (SELECT max(value, coalesce((SELECT max(event) FROM standing), 0)) FROM meta WHERE key = 'standing')"""
"""The last event, and the last one that is surely taken in; NULL where this table was never begun."""
_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'standing'"
_INSIDE = """asset IN (SELECT value FROM json_each(CAST(?1 AS TEXT)))
    AND (asset NOT IN (SELECT value FROM json_each(CAST(?2 AS TEXT)))
        OR (asset, source) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
            FROM json_each(CAST(?3 AS TEXT))))"""
_READ = f"""SELECT asset, source, time_ns, severity, code, text, state, sequence, received_ns, raised_ns, boot
    FROM standing WHERE state <> 'cleared' AND {_INSIDE}
    ORDER BY severity DESC, boot DESC, number DESC LIMIT ?4"""  # noqa: S608  text from above
_COUNT = f"SELECT count(*) FROM standing WHERE state <> 'cleared' AND {_INSIDE}"  # noqa: S608
_NEWEST_EVENTS = """SELECT value, (SELECT id FROM event WHERE asset = value ORDER BY boot DESC, number DESC LIMIT 1)
    FROM json_each(CAST(?1 AS TEXT))"""
_STARTS = """SELECT a.id, a.boot, c.boot, c.what, c.time_ns,
    (SELECT max(t.time_ns) FROM stream s JOIN tally t ON t.stream = s.id AND t.asset = a.id WHERE s.boot = a.boot)
    FROM asset a LEFT JOIN condition c ON c.asset = a.id
    WHERE a.id IN (SELECT value FROM json_each(CAST(?1 AS TEXT)))"""
"""Of assets: under which start they were described last, how they are, and the sender's clock under that start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingView:
    """An alarm that is active or acknowledged, as far as anybody has told."""

    event: EventView
    """The newest word of it."""
    raised_ns: int
    """When it became active, as told last [ns since 1970 UTC]; the time of `event` where that was never told."""
    earlier_start: bool
    """An earlier start of the sender told it, and the one that reads the asset now has not."""
    unsaid_s: float | None
    """How long that one has been reading the asset, by the sender's minutes [s]; None: not yet, or it told it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAlarms:
    """What stands now."""

    alarms: Sequence[StandingView]
    """The gravest first, at most as many as were asked for."""
    total: int
    """All of them."""
    arrived: int = 0
    """Number of the event that came last, of all assets: it rises with each."""
    newest: Mapping[str, int] = field(default_factory=dict)
    """By asset: number of its newest event in the sender's order; another one as soon as there is a newer one."""


def note(asset: int, rank: tuple[int, int], event: EventBody, received_ns: int, writes: Writes) -> None:
    """Move on what stands, after an event was stored; one that is not the newest word, or came before, changes nothing.

    Args:
        asset: Its number.
        rank: Packer's start and block number.
        received_ns: The low side's wall clock.
    """
    if event.state in STATES:
        key = (asset, event.source, event.code or event.text)
        word = (event.state, event.severity, event.code, event.text, event.time_ns, event.sequence, received_ns)
        writes.add(_NEWEST, [(*key, *rank, *word, event.time_ns)])
        if event.state == "active":
            writes.add(_RAISED, [(*rank, event.time_ns, *key)])


def begin(connection: Connection) -> None:
    """Take in the events that no row here knows of: all, for a history of before there was this table; those since the
    last opening, where an earlier build, which does not know it, wrote meanwhile.

    Raises:
        sqlite3.Error: the disk is full; call again.
    """
    last, known = connection.execute(_LAST).fetchone()
    if known is not None and last <= known:
        return
    writes = Writes()
    writes.add(_FILL, [(known or 0,)])
    writes.add(_FILL_RAISED, [(known or 0,)])
    writes.add("REPLACE INTO meta VALUES ('standing', ?)", [(last,)])
    writes.run(connection)


def read(moment: Snapshot | None, visible: Visible, limit: int) -> StandingAlarms:
    """What stands on the visible assets, the gravest first."""
    names = visible.names()
    if moment is None or not names or not moment.rows(_THERE):
        return StandingAlarms(alarms=(), total=0)
    inside = inside_of(visible)
    rows = moment.rows(_READ, *inside, limit)
    total = len(rows) if len(rows) < limit else moment.rows(_COUNT, *inside)[0][0]
    starts = {one: start for one, *start in moment.rows(_STARTS, orjson.dumps(sorted({row[0] for row in rows})))}
    alarms = []
    for row in rows:
        event, (one, raised_ns, boot) = event_of(row, names), (row[0], *row[-2:])
        now, up_boot, what, up_ns, minute_ns = starts[one]
        earlier = boot < now
        unsaid_s = None
        if earlier and up_boot == now and what == "up" and minute_ns is not None:
            unsaid_s = max((minute_ns - up_ns) / 1e9, 0.0)
        alarms.append(StandingView(event=event, raised_ns=raised_ns, earlier_start=earlier, unsaid_s=unsaid_s))
    newest = {names[one]: event for one, event in moment.rows(_NEWEST_EVENTS, inside[0]) if event is not None}
    arrived = moment.rows("SELECT coalesce(max(id), 0) FROM event")[0][0]
    return StandingAlarms(alarms=alarms, total=total, arrived=arrived, newest=newest)


def inside_of(visible: Visible) -> tuple[bytes, bytes, bytes]:
    """Of events: numbers of the visible assets, those of which only some sources may be seen, and these; as JSON."""
    names, scope = visible.names(), visible.scope
    limited = [one for one, name in names.items() if name in scope.limited]
    named = [[one, tag] for one in limited for asset, tag in scope.tags or () if asset == names[one]]
    return orjson.dumps(list(names)), orjson.dumps(limited), orjson.dumps(named)
