"""`watch`: live values on the high side, read by the very poller that would send them; nothing is packed or sent.

`Latest` is a sink that keeps each tag's last row and each asset's state; `screen` makes a table of it. Pure but for
the table: what is read and when is the poller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any

from rich.table import Table

from collectors.base import Event
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns, Quality, Row, Value, severity
from protocol.content.statuscodes import name_of
from protocol.inert import CELL, inert

COLOURS = ("", "yellow", "red")
"""By severity: good, uncertain, bad."""

NAMES = {int(one): one.name.lower().replace("_", " ") for one in Quality}
"""StatusCodes that have a word here; others are shown as numbers."""


class Latest:
    """Keeps what came last; implements `Sink` of `poll/sink.py`."""

    def __init__(self) -> None:
        self.assets: dict[str, Asset] = {}
        self.tags: dict[int, Tag] = {}
        self.rows: dict[tuple[str, str], Row] = {}
        """Asset and tag name -> its last row."""
        self.states: dict[str, tuple[str, str]] = {}
        """Asset -> what was said of it last, and the text."""
        self.read = 0
        """Samples read."""

    def samples(self, asset: str, columns: Columns, read: int) -> None:
        """See `poll/sink.py`."""
        self.read += read
        for row in columns.rows():
            self.rows[asset, self.tags[row.tag].name] = row

    def catalog(self, assets: Mapping[str, Asset], tags: Sequence[Tag]) -> None:
        """See `poll/sink.py`."""
        self.assets.update(assets)
        self.tags.update((tag.id, tag) for tag in tags)

    def event(self, asset: str, event: Event, sequence: int) -> None:
        """See `poll/sink.py`."""
        self.states[asset] = f"event {event.state}", f"{event.source} {event.code} {event.text}".strip()

    def state(self, asset: str, time_ns: int, what: str, text: str) -> None:
        """See `poll/sink.py`."""
        self.states[asset] = what, text


def may_match(asset: str, wanted: str) -> bool:
    """Whether a pattern of `asset/tag` can be meant for any tag of this asset, whose names may not be known yet.

    >>> may_match("pump-7", "pump-7/flow"), may_match("pump-7", "pump*"), may_match("fan-3", "pump-7/*")
    (True, True, False)
    """
    name = f"{asset}/"
    ends = [at + 1 for at, one in enumerate(wanted) if one in "/*"]
    return any(fnmatchcase(name, wanted[:end]) for end in ends)


def screen(latest: Latest, wanted: str, now_ns: int, height: int) -> Table:
    """A table of the newest values.

    Args:
        wanted: Pattern of `asset/tag`, with `*` and `?`.
        now_ns: Wall time [ns since 1970 UTC].
        height: Most rows [lines]; what is left out is told below.
    """
    table = Table(caption_justify="left")
    for head in ("tag", "value", "unit", "quality", "age"):
        table.add_column(head, justify="right" if head in ("value", "age") else "left", no_wrap=True)
    tags = {(tag.asset, tag.name): tag for tag in latest.tags.values()}
    shown = [key for key in latest.rows if fnmatchcase("/".join(key), wanted)]
    for key in shown[:height]:
        row = latest.rows[key]
        age = f"{(now_ns - row.time_ns) / 1e9:.1f} s"
        cells = ("/".join(key), value_text(row, tags[key].type), tags[key].unit, quality(row), age)
        table.add_row(*(inert(cell, CELL) for cell in cells), style=COLOURS[severity(row.quality)])
    lines = [inert(f"{asset}: {what} {text}") for asset, (what, text) in latest.states.items() if asset]
    more = f", {len(shown) - height} more tags" if len(shown) > height else ""
    table.caption = "\n".join([*lines, f"{latest.read:,} samples read{more}"])
    return table


def plain(latest: Latest, wanted: str) -> dict[str, Any]:
    """The newest values as plain JSON values; a number that JSON lacks stands as text.

    Args:
        wanted: As for `screen`.
    """
    types = {(tag.asset, tag.name): tag.type for tag in latest.tags.values()}
    rows = [
        {
            "asset": asset,
            "tag": tag,
            "value": _json(row, types.get((asset, tag), "")),
            "quality": quality(row),
            "time_ns": row.time_ns,
        }
        for (asset, tag), row in latest.rows.items()
        if fnmatchcase(f"{asset}/{tag}", wanted)
    ]
    said = {asset: {"what": what, "text": text} for asset, (what, text) in latest.states.items() if asset}
    return {"rows": rows, "assets": said, "read": latest.read}


def _json(row: Row, kind: str) -> Value:
    if isinstance(row.value, float) and not isfinite(row.value):
        return str(row.value)
    return row.value % 2**64 if kind == "uint64" and isinstance(row.value, int) else row.value


def value_text(row: Row, kind: str = "") -> str:
    """A value in words; a text as it came, for who shows it to make inert.

    Args:
        kind: Its catalog type: an unsigned 64-bit value travels as two's complement.
    """
    if kind == "uint64" and isinstance(row.value, int):
        return str(row.value % 2**64)
    if isinstance(row.value, float):
        return f"{row.value:.7g}"
    return "-" if row.value is None else str(row.value)


def quality(row: Row) -> str:
    """Its name, and the protocol's own code."""
    code = row.quality & 0xFFFF0000  # the low half are flags (OPC 10000-4, 7.39.1)
    name = NAMES.get(code) or name_of(row.quality)
    return f"{name} ({row.native})" if row.native else name
