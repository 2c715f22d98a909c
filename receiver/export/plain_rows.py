"""What is exported beside samples: events, states, descriptions of tags, gaps; rows of plain values.

    events   alarms and what else happened in the devices          in the order of arrival
    states   assets that came and went, notes, changes             in the order of arrival
    tags     every version of every tag's description              by site, asset, name and version
    gaps     from when to when which blocks are missing            by time

An event or a state is its block's only content: it has the arrival of its block, so a cursor means for them what it
means for samples. They are read a page at a time, so that memory does not grow with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from protocol.content.array import Array
from receiver.export.choice import ExportChoice, fits
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.series import SENDER
from receiver.outputs.historian.views import TagView
from receiver.outputs.historian.whole.whole_history import WholeHistory

PAGE_ROWS = 20_000
"""Events or states read at a time."""

PlainRow: TypeAlias = Sequence[Any]

_FROM = {"arrived": "time", "stream": "string", "block": "int64"}
COLUMNS: dict[str, dict[str, str]] = {
    "events": {
        **dict.fromkeys(("site", "asset", "source"), "string"),
        "time": "time",
        "severity": "int64",
        **dict.fromkeys(("code", "text", "state"), "string"),
        "sequence": "int64",
        **_FROM,
    },
    "states": {
        **dict.fromkeys(("site", "asset"), "string"),
        "time": "time",
        **dict.fromkeys(("what", "text"), "string"),
        **_FROM,
    },
    "tags": {
        **dict.fromkeys(("site", "asset", "tag"), "string"),
        "version": "int64",
        "newest": "bool_",
        **dict.fromkeys(("type", "unit", "address", "conversion", "description"), "string"),
        **dict.fromkeys(("low", "high", "normal_low", "normal_high", "scan_s", "max_silence_s"), "float64"),
        "states": "string",
    },
    "gaps": {
        "site": "string",
        "from": "time",
        "to": "time",
        "what": "string",
        "blocks": "int64",
        "stream": "string",
        "first_block": "int64",
    },
}
"""Name and kind of each column, as `parquet_file.RowFile` has them. A gap's `to` is null while nothing came after it;
an event's or state's `stream` is null where two streams may have had it."""

_EVENTS = """SELECT id, boot, number, asset, received_ns, source, time_ns, severity, code, text, state, sequence
    FROM event WHERE id > ? AND time_ns >= ? AND time_ns < ? ORDER BY id LIMIT ?"""
_STATES = """SELECT id, boot, number, asset, received_ns, time_ns, what, text
    FROM state WHERE id > ? AND time_ns >= ? AND time_ns < ? ORDER BY id LIMIT ?"""


def events(history: WholeHistory, choice: ExportChoice, say: Callable[[int, int], None]) -> Iterator[list[PlainRow]]:
    """Pages of rows of `COLUMNS["events"]`; a pattern for tags is one for sources here.

    Args:
        say: Told after each page how many were looked at, and of about how many.

    Raises:
        StoreError: the history cannot be read.
    """
    scope = history.visible.scope
    for rows in _happened(history, choice, _EVENTS, history.tops["event"], say):
        yield [
            (site, asset, *told, *origin)
            for site, asset, told, origin in rows
            if scope.sees_tag(asset, told[0]) and fits(told[0], choice.tags)
        ]


def states(history: WholeHistory, choice: ExportChoice, say: Callable[[int, int], None]) -> Iterator[list[PlainRow]]:
    """Pages of rows of `COLUMNS["states"]`; see `events`."""
    for rows in _happened(history, choice, _STATES, history.tops["state"], say):
        yield [(site, asset, *told, *origin) for site, asset, told, origin in rows]


def tags(chosen: Sequence[TagView]) -> list[PlainRow]:
    """Rows of `COLUMNS["tags"]`."""
    return [
        (
            *(one.site, one.tag.asset, one.tag.name, one.version, one.current),
            *(one.tag.type, one.tag.unit, one.tag.address, one.tag.conversion, one.tag.description),
            *map(_number, (one.tag.low, one.tag.high, one.tag.normal_low, one.tag.normal_high)),
            *map(_number, (one.tag.scan_s, one.tag.max_silence_s)),
            json.dumps(one.tag.states, ensure_ascii=False) if one.tag.states else None,
        )
        for one in chosen
    ]


def gaps(door: Door, history: WholeHistory, choice: ExportChoice) -> list[PlainRow]:
    """Rows of `COLUMNS["gaps"]`."""
    out: list[PlainRow] = [
        (one.site, one.from_ns, one.to_ns, "blocks are missing", one.blocks, one.stream, one.first)
        for one in door.absences(choice.from_ns, choice.to_ns)
    ]
    for one in history.damage:
        what = f"{one.rows or 'unknown'} samples cannot be read, see `checkvalve history check`"
        out.append(("", one.from_ns, one.to_ns, what, None, None, None))
    return out


def _number(value: float | None) -> float | None:
    """None for what is not finite: there is no NaN in a file."""
    return value if value is not None and np.isfinite(value) else None


def _happened(
    history: WholeHistory, choice: ExportChoice, sql: str, top: int, say: Callable[[int, int], None]
) -> Iterator[list[tuple[str, str, tuple[Any, ...], tuple[Any, ...]]]]:
    """Site, asset, what is told, and where it comes from, of what is asked for; a page at a time."""
    named = {
        one: (asset.site, asset.name)
        for one, asset in history.visible.assets.items()
        if fits(asset.site, choice.sites) and fits(asset.name, choice.assets)
    }
    of_sender = history.visible.all and not choice.sites and not choice.assets
    at = done = 0
    while page := history.rows(sql, at, choice.from_ns, choice.to_ns, PAGE_ROWS):
        at, done = page[-1][0], done + len(page)
        wanted = [row for row in page if row[3] in named or (row[3] == SENDER and of_sender)]
        sequence, streams = _arrivals(history, wanted, named)
        kept = (sequence >= choice.since) & (sequence < history.arrivals.until)
        kept &= (sequence >= 0) | (np.array([row[0] for row in wanted], np.int64) <= top)
        out = []
        for row, stream in ((wanted[one], streams[one]) for one in np.flatnonzero(kept).tolist()):
            site, asset = named.get(row[3], ("", ""))
            key, _, of_site = history.streams.get(stream, (b"", 0, ""))
            out.append((site or of_site, asset, row[5:], (row[4], key.hex() or None, row[2])))
        yield out
        say(done, max(top, done))


def _arrivals(
    history: WholeHistory, rows: Sequence[tuple[Any, ...]], named: dict[int, tuple[str, str]]
) -> tuple[Array, list[int]]:
    """The block's place in the order of arrival, -1 where it is not known, and the number of its stream, 0 for that.

    A row knows its packer's start and its asset: of one site and start there is one stream, but for a sender that was
    copied with its state.
    """
    of_boot: dict[int, list[tuple[int, str]]] = {}
    for one, (_, boot, site) in history.streams.items():
        of_boot.setdefault(boot, []).append((one, site))
    may = [
        [one for one, site in of_boot.get(row[1], ()) if row[3] not in named or site == named[row[3]][0]]
        for row in rows
    ]
    number = np.array([row[2] for row in rows], np.int64)
    sequence = np.full(len(rows), -1, np.int64)
    streams = [held[0] if len(held) == 1 else 0 for held in may]
    for turn in range(max(map(len, may), default=0)):
        tried = np.array([held[turn] if turn < len(held) else 0 for held in may], np.int64)
        found = history.arrivals.look_up(tried, number).sequence
        for one in np.flatnonzero((found >= 0) & (sequence < 0)).tolist():
            sequence[one], streams[one] = found[one], int(tried[one])
    return sequence, streams
