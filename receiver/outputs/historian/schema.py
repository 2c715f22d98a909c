"""The tables of the history, in two kinds of files (docs/decisions/0003-historian.md).

    history/current.db    place, descriptions, current values, hot rows, counts      every take is one transaction
    history/YYYY-MM.db    sealed chunks, by the low side's month of sealing          dropped whole when old
                          and copies of what gives them a meaning (mending/copies.py)

A chunk is written to its month first and committed; then one transaction in `current.db` drops the hot rows it was
made from and raises `sealed` to its number. So a chunk is real only from that moment: readers ask for chunks numbered
up to `sealed`, and a writer that was killed in between finds the hot rows still there and discards the chunk.
"""

from __future__ import annotations

from pathlib import Path

VERSION = 2
"""Of these tables and of the bytes in them; a later one is refused, never guessed."""
READABLE = (1, VERSION)
"""Version 1 is what the builds before roll-ups wrote; it is gone on with, and is 2 from its first opening."""

CURRENT = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, boot INTEGER NOT NULL, site TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS asset (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL,
    boot INTEGER NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (site, name)) STRICT;
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, asset INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, unit TEXT NOT NULL,
    address TEXT NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (asset, name, type, unit, address)) STRICT;

CREATE TABLE IF NOT EXISTS fresh (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS piece (
    id INTEGER PRIMARY KEY, shelf INTEGER NOT NULL, level INTEGER NOT NULL, n INTEGER NOT NULL,
    weight INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS piece_shelf ON piece (shelf);

CREATE TABLE IF NOT EXISTS present (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS latest (
    series INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, other_ns INTEGER NOT NULL, kind INTEGER NOT NULL,
    value INTEGER NOT NULL, text TEXT, quality INTEGER NOT NULL, native INTEGER NOT NULL, seen_ns INTEGER NOT NULL,
    boot INTEGER NOT NULL, number INTEGER NOT NULL, mark INTEGER NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS span (
    stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, first_ns INTEGER, last_ns INTEGER,
    since_ns INTEGER NOT NULL, PRIMARY KEY (stream, first)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ending (
    key BLOB PRIMARY KEY, last INTEGER NOT NULL, to_ns INTEGER NOT NULL,
    since_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS condition (
    asset INTEGER PRIMARY KEY, boot INTEGER NOT NULL, number INTEGER NOT NULL,
    what TEXT NOT NULL, text TEXT NOT NULL, time_ns INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS state (
    id INTEGER PRIMARY KEY, asset INTEGER NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL,
    time_ns INTEGER NOT NULL, what TEXT NOT NULL, text TEXT NOT NULL, received_ns INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS state_asset ON state (asset, boot, number);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, asset INTEGER NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL,
    source TEXT NOT NULL, time_ns INTEGER NOT NULL, severity INTEGER NOT NULL, code TEXT NOT NULL,
    text TEXT NOT NULL, state TEXT NOT NULL, sequence INTEGER NOT NULL, received_ns INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS event_order ON event (boot, number);
CREATE INDEX IF NOT EXISTS event_asset ON event (asset, boot, number);
CREATE TABLE IF NOT EXISTS standing (
    asset INTEGER NOT NULL, source TEXT NOT NULL, what TEXT NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL,
    state TEXT NOT NULL, severity INTEGER NOT NULL, code TEXT NOT NULL, text TEXT NOT NULL, time_ns INTEGER NOT NULL,
    sequence INTEGER NOT NULL, received_ns INTEGER NOT NULL, event INTEGER NOT NULL, raised_boot INTEGER NOT NULL,
    raised_number INTEGER NOT NULL, raised_ns INTEGER NOT NULL,
    PRIMARY KEY (asset, source, what)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS standing_now ON standing (severity, boot, number) WHERE state <> 'cleared';
CREATE INDEX IF NOT EXISTS standing_over ON standing (event) WHERE state = 'cleared';

CREATE TABLE IF NOT EXISTS account (
    stream INTEGER NOT NULL, asset INTEGER NOT NULL, published INTEGER NOT NULL, healed INTEGER NOT NULL,
    top INTEGER NOT NULL, read INTEGER NOT NULL, sent INTEGER NOT NULL, covered INTEGER NOT NULL,
    PRIMARY KEY (stream, asset)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tally (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, asset INTEGER NOT NULL, number INTEGER NOT NULL,
    time_ns INTEGER NOT NULL, read INTEGER NOT NULL, sent INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS tally_order ON tally (stream, asset, number);
CREATE INDEX IF NOT EXISTS tally_time ON tally (time_ns);
CREATE TABLE IF NOT EXISTS tail (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, top INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS tail_stream ON tail (stream, top);
CREATE TABLE IF NOT EXISTS minute (
    id INTEGER PRIMARY KEY, minute_ns INTEGER NOT NULL, asset INTEGER NOT NULL,
    published INTEGER NOT NULL, healed INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS minute_time ON minute (minute_ns, asset);

CREATE TABLE IF NOT EXISTS again (
    stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (stream, first)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrival (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    healed INTEGER NOT NULL, sealed INTEGER NOT NULL, age_ns INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS arrival_block ON arrival (stream, first);
CREATE TABLE IF NOT EXISTS arrival_log (name TEXT NOT NULL, next INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS month (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS age (
    age_ns INTEGER PRIMARY KEY, chunk INTEGER NOT NULL, state INTEGER NOT NULL, event INTEGER NOT NULL,
    tally INTEGER NOT NULL, minute INTEGER NOT NULL) STRICT;
"""
"""`present` holds current values (present.py); `latest` those of a history of version 1, a row a series, until it is
opened for writing: `value` is a sample's 64 bits there (rows.py), SQLite would turn a NaN into NULL. `standing` is
what stands of events (events/standing_alarms.py). `age` says how far each table had come at an age of the history (its
running time, `age.py`), so that what is old is found by number, never by a clock. `again` holds the blocks that came
since the journal was begun again (arrivals.py), `arrival` in which order all of them came (arrival_log.py), `month` the
files that must be there."""

MONTH = """
CREATE TABLE IF NOT EXISTS chunk (
    series INTEGER NOT NULL, t1 INTEGER NOT NULL, id INTEGER NOT NULL, t0 INTEGER NOT NULL, n INTEGER NOT NULL,
    count INTEGER NOT NULL, low REAL, high REAL, total REAL, cells BLOB,
    PRIMARY KEY (series, t1, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS body (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL, t1 INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS copy (
    id INTEGER PRIMARY KEY, what TEXT NOT NULL, top INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (what, top)) STRICT;
"""
"""`t0`, `t1`: first and last time [ns]. `count`, `low`, `high`, `total`: the rows with a usable value, and `cells` the
same by three hours (rollup.py), so that a year is drawn without opening a chunk. Bodies stand apart, so that reading
those is reading few pages. `copy`: rows of `current.db`, packed with a checksum; `top` tells how far it had come."""


EVENTS = """SELECT asset, source, time_ns, severity, code, text, state, sequence, received_ns FROM event
    WHERE asset IN (SELECT value FROM json_each(CAST(?1 AS TEXT)))
    AND (asset NOT IN (SELECT value FROM json_each(CAST(?2 AS TEXT)))
        OR (asset, source) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
            FROM json_each(CAST(?3 AS TEXT))))
    ORDER BY boot DESC, number DESC LIMIT ?4"""
"""Newest first: of which assets, of which of them only some sources, and those (asset, source); how many."""

SENDER_EVENTS = """SELECT asset, source, time_ns, severity, code, text, state, sequence, received_ns FROM event
    WHERE asset = ? ORDER BY boot DESC, number DESC LIMIT ?"""
"""Newest first, found by `event_asset`: however many events devices send, none of them is looked at."""

CHANGES = """SELECT min(received_ns), text FROM state WHERE asset = ? AND what = ?
    GROUP BY text ORDER BY max(boot) DESC, max(number) DESC LIMIT ?"""
"""Changes of the sender's configuration, newest first. Each is said again at every start, in the same words."""


def current_path(folder: Path) -> Path:
    """The file of everything but sealed chunks."""
    return folder / "current.db"


def month_paths(folder: Path) -> list[Path]:
    """Every file of sealed chunks, oldest name first."""
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].db"))
