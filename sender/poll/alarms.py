"""Alarm bits and alarm words: what a value of a tag means is said by a table, its changes become events.

    [[asset.alarm]]
    tag = "trip_word"                    a tag of the asset; an element of an array is name[i]
    list = [
      { bit = 3, severity = 900, code = "T-03", text = "overspeed trip" },     while the bit is set
      { value = 7, code = "A7", text = "oil cold" },                           while the word is exactly that
    ]
    [[asset.alarm]]
    tag = "guard_closed"
    list = [ { when = false, severity = 500, code = "G-1", text = "guard open" } ]     wired to fail safe

An event is a change: `active` when it comes, `cleared` when it goes; at the first reading only what is active is told.
A bad value says nothing, so it ends no alarm; a changed configuration goes on with what was told. Events of one pass
stand in the order of their values' times, so two that came between two passes of different blocks are as far apart as
the blocks were; a sequence finer than the scan's period is not in the device's words and cannot be made up here. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from collectors.base import Event
from protocol.content.sample import Columns, Row, ValueKind
from protocol.settings.findings import Findings, read_table, read_tables, under
from protocol.settings.table import SettingsTable
from sender.poll.tables import Name, Words


class AlarmTable(SettingsTable):
    """One tag that carries alarms; `list` is read one by one."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"tag": "trip_word"}

    tag: Name
    """A tag of the same asset."""


class AlarmEntry(SettingsTable):
    """One alarm."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"bit": 0, "text": "overspeed trip"}

    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    """Bit of an integer, 0 the least significant."""
    value: int | None = None
    """The integer's whole value: an alarm number."""
    when: bool = True
    """The state of the bit, or of the bool, that is the alarm."""
    severity: Annotated[int, Field(ge=1, le=1000)] = 500
    """1 to 1000 (OPC 10000-5, 6.4.2)."""
    code: Words = ""
    text: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm, ready to be looked for."""

    number: int
    """Point number of its tag."""
    tag: str
    entry: AlarmEntry

    def active(self, row: Row) -> bool | None:
        """Whether the row says so; None where it says nothing."""
        value, entry = row.value, self.entry
        if row.quality >> 31 or not isinstance(value, bool | int):
            return None
        if entry.value is not None:
            return int(value) == entry.value
        bit = bool(value) if entry.bit is None else bool(int(value) >> entry.bit & 1)
        return bit is entry.when

    def event(self, time_ns: int, state: str) -> Event:
        """What to tell."""
        entry = self.entry
        return Event(
            source=self.tag,
            time_ns=time_ns,
            severity=entry.severity,
            code=entry.code,
            text=entry.text,
            state=state,
        )


class Alarms:
    """The alarms of one asset, and which of them are active."""

    def __init__(self, alarms: Sequence[Alarm]) -> None:
        self._by_point: dict[int, list[Alarm]] = {}
        for alarm in alarms:
            self._by_point.setdefault(alarm.number, []).append(alarm)
        self._points = np.array(sorted(self._by_point), np.uint32)
        self._active: dict[Alarm, bool] = {}

    def follow(self, before: Alarms, time_ns: int) -> list[Event]:
        """Go on with what was told of the same alarms; those that are looked for no more are over.

        Args:
            before: Of the same asset, under the configuration before.
            time_ns: Now.
        """
        told = {(alarm.tag, alarm.entry): alarm for alarm, active in before._active.items() if active}
        for alarm in (one for alarms in self._by_point.values() for one in alarms):
            if told.pop((alarm.tag, alarm.entry), None) is not None:
                self._active[alarm] = True
        return [alarm.event(time_ns, "cleared") for alarm in told.values()]

    def take(self, rows: Columns) -> list[Event]:
        """The events of one pass, in the order of their times.

        Args:
            rows: With point numbers in `tag`.
        """
        if not len(self._points):
            return []
        picked = np.isin(rows.tag, self._points) & np.isin(rows.kind, (ValueKind.INT, ValueKind.BOOL))
        if not picked.any():
            return []
        events = []
        for row in sorted(rows.select(picked).rows(), key=lambda row: row.time_ns):
            for alarm in self._by_point[row.tag]:
                now = alarm.active(row)
                if now is not None and now != self._active.get(alarm, False):
                    events.append(alarm.event(row.time_ns, "active" if now else "cleared"))
                if now is not None:
                    self._active[alarm] = now
        return events


def read(
    given: object, path: str, found: Findings, numbers: Mapping[str, int], types: Mapping[str, str | None], asset: str
) -> tuple[Alarm, ...]:
    """The asset's alarms; mistakes are written down.

    Args:
        given: What stands under `[[asset.alarm]]`.
        path: Its key path.
        numbers: Tag name -> point number, an array's elements too.
        types: Tag name -> its configured type, None where the device is asked.
    """
    out: list[Alarm] = []
    for at, one in read_tables(given, path, found, asset):
        table = read_table(AlarmTable, {key: value for key, value in one.items() if key != "list"}, at, found, asset)
        number = numbers.get(table.tag)
        if under(at, "tag") not in found.mistakes and number is None:
            found.wrong(under(at, "tag"), f'"{table.tag}" is no tag of this asset; add it to a scan', asset)
        kind = types.get(table.tag)
        if kind is not None and ("float" in kind or kind == "string"):
            found.wrong(under(at, "tag"), f"a {kind} has no alarm bits; use an integer or a bool", asset)
        entries = list(read_tables(one.get("list", []), under(at, "list"), found, asset))
        if not entries:
            found.odd(at, "no alarm is listed; add list = [{ bit = 0, text = .. }]", asset)
        for place, entry in entries:
            read_entry = read_table(AlarmEntry, entry, place, found, asset)
            for line in _crossed(read_entry, kind):
                found.wrong(under(place, line[0]), line[1], asset)
            if read_entry.code and any((one.tag, one.entry.code) == (table.tag, read_entry.code) for one in out):
                found.odd(under(place, "code"), "stands twice for this tag: the low side takes the two for one", asset)
            if number is not None:
                out.append(Alarm(number=number, tag=table.tag, entry=read_entry))
    return tuple(out)


def _crossed(entry: AlarmEntry, kind: str | None) -> list[tuple[str, str]]:
    wrong: list[tuple[str, str]] = []
    if entry.bit is not None and entry.value is not None:
        wrong.append(("value", "excludes bit; keep one of the two"))
    if entry.value is not None and not entry.when:
        wrong.append(("when", "has no meaning beside value; take it out"))
    if kind == "bool" and (entry.bit is not None or entry.value is not None):
        wrong.append(("bit" if entry.bit is not None else "value", "a bool has neither; take it out"))
    if kind is not None and "int" in kind and entry.bit is None and entry.value is None:
        wrong.append(("bit", f"a {kind} has many; write bit = 0 .. or value = .."))
    return wrong
