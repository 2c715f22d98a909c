"""Why a server refuses lines, by its words, and which lines of a request that can be (pure).

    old      older (or newer) than it keeps: all lines up to a time, found by halving the times, not the lines
    clash    a field has another type there: all lines with that field
    line     a line is wrong, or nobody knows: found by halving

Words of InfluxDB 1.6 to 2.7, VictoriaMetrics 1.151 and QuestDB 9.1, as they were seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_OLD = re.compile(
    r"retention polic|outside.{0,20}retention|beyond.{0,20}retention|too old|before 1970|Lower Bound", re.I
)
_CLASH = re.compile(r'field type conflict: input field \\?"([^"\\]+)\\?" on measurement \\?"([^"\\]+)\\?"')
_TIME = re.compile(rb" (-?[0-9]+)\n$")
_SERIES = re.compile(rb"(?:[^\\ \n]|\\.)+ ")


class RefusalCause(Enum):
    """What kind of refusal it is."""

    OLD = "old"
    CLASH = "clash"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class LineRefusal:
    """A server's no, understood."""

    cause: RefusalCause
    measurement: bytes = b""
    """Of a clash; empty where it does not say."""
    field: bytes = b""
    """Of a clash."""

    @property
    def words(self) -> str:
        """For people: the class of what is set aside."""
        if self.cause is RefusalCause.OLD:
            return "older than the server keeps"
        if self.cause is RefusalCause.CLASH:
            return f"the field {self.field.decode()} has another type there"
        return "refused"


LINE = LineRefusal(RefusalCause.LINE)
OLD = LineRefusal(RefusalCause.OLD)


def refusal(message: str) -> LineRefusal:
    """What a server's words mean."""
    if _OLD.search(message):
        return OLD
    if found := _CLASH.search(message):
        return LineRefusal(RefusalCause.CLASH, found[2].encode(), found[1].encode())
    return LINE


def time_of(line: bytes) -> int:
    """A line's time [ns]."""
    found = _TIME.search(line)
    return int(found[1]) if found else 0


def series_of(line: bytes) -> bytes:
    """A line's series, with the space behind."""
    found = _SERIES.match(line)
    return found[0] if found else line


def split(lines: bytes, pulled: LineRefusal) -> tuple[list[bytes], list[bytes]]:
    """(those of a clash, the others), in their order."""
    of_clash: list[bytes] = []
    others: list[bytes] = []
    name = re.compile(rb"(?:^|,)" + re.escape(pulled.field) + b"=")
    for line in each(lines):
        fields = line[len(series_of(line)) :]
        hit = (not pulled.measurement or line.startswith((pulled.measurement + b",", pulled.measurement + b" "))) and (
            name.search(_without_texts(fields)) is not None
        )
        (of_clash if hit else others).append(line)
    return of_clash, others


def each(lines: bytes) -> Iterator[bytes]:
    """Line after line, each with its newline."""
    at = 0
    while at < len(lines):
        end = lines.find(b"\n", at) + 1 or len(lines)
        yield lines[at:end]
        at = end


def _without_texts(fields: bytes) -> bytes:
    return re.sub(rb'"(?:[^"\\]|\\.)*"', b'""', fields)
