"""Columns to InfluxDB line protocol: what a line says, and its names and texts made harmless (pure).

    sample,asset=pump-7,site=north,tag=pressure,type=float32,unit=bar v=12.34,q=192i 1763884800000000000

| field | of | why |
|---|---|---|
| v | every number, always a float | one type for ever: a field that changes its type is refused by InfluxDB |
| vi | integers beyond 2**53 and within 64 signed bits, beside `v` | exact, where a float is not |
| vd | unsigned integers from 2**63 on, as decimal digits in a text, beside `v` | exact where the sink keeps texts |
| vb, vs | booleans, texts | same |
| q | every sample: 192 good, 64 uncertain, 0 bad | the scale that dashboards know (OPC DA 3.0, 6.8) |
| sc | the whole StatusCode, where it is more than its class | |
| native | the protocol's own code (Modbus exception, CIP status) | |
| other_after_ns | the second time (read, or the source's) less the first [ns] | exact; left out beyond 292 years |

A number that lies far from others is written as `vx` in the store; what a server gets is `v`, or a field of its own
(`dialect.py`). NaN, infinities and samples without a value are written as `q` alone. Time is in nanoseconds. Tags stand
sorted by key. Unit, type and conversion (how a value is made of what stands in the device, such as `int16 x 0.1`; where
there is one) are tags: where one changes a new series begins, and bar never goes on as kPa, or 0.1 as 0.01. `seq` tells
samples with equal times apart (`same_time.py`); what comes from a simulator carries `simulated=true`. Vendor and
quality are no tags. Refresh rows are not written: they are no new history.

Source: InfluxDB line protocol reference (v1.8 and v2): escapes, no newline, no trailing backslash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from protocol.content.array import Array
from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Flag
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, StreamDescription
from receiver.outputs.influx.joining import CONTROL, Heads, joined, quoted
from receiver.outputs.influx.met_blocks import MetBlocks
from receiver.outputs.influx.same_time import SameTimes, TimesChange
from receiver.outputs.influx.server_kind import UNKNOWN

_SPECIAL = re.compile(r"([,= ])")
_DOUBTFUL = re.compile(r"\\(?=\\*(?:[,= ]|$))")
"""Backslashes that servers read in different ways: those before a character that is escaped, or at the end."""
SPARSE = 8
"""Ids that lie further apart than this on average are searched for; a table of them would be mostly empty."""
STREAMS = 16
"""Streams whose tags are kept; each start of the packer begins one."""


@dataclass(slots=True)
class LineChanges:
    """What lines made since it was asked last changed besides; for the store, in the same transaction as they."""

    series: list[tuple[int, bytes]] = field(default_factory=list)
    """New numbers, and the series that has each."""
    times: list[TimesChange] = field(default_factory=list)
    """Which times of a series are taken."""
    met: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    """Which blocks came: stream, page and content."""
    same_time: int = 0
    """Samples that share their series and time with an earlier one."""


class _Known:
    """The tags of a stream that were met, by rising id."""

    def __init__(self, ids: Sequence[int], series: Array, heads: Heads) -> None:
        """
        Args:
            ids: At least one.
            series: Each tag's number among the series.
            heads: The beginning of each tag's lines.
        """
        self.ids, self.series, self.heads = np.array(ids, np.uint32), series, heads
        self._table: Array | None = None
        """Each id's place, or -1: a look into a table takes an eighth of a search, tried with 5,000 tags."""
        if ids[-1] < SPARSE * (len(ids) + 1024):
            self._table = np.full(ids[-1] + 1, -1, np.int32)
            self._table[self.ids] = np.arange(len(ids), dtype=np.int32)

    def places(self, tags: Array) -> Array | None:
        """The place of each tag; None where one is not among them."""
        if self._table is not None:
            at = self._table.take(tags, mode="clip")
            return at if at.min() >= 0 and tags.max() < len(self._table) else None
        at = np.minimum(np.searchsorted(self.ids, tags), len(self.ids) - 1)
        return at if (self.ids[at] == tags).all() else None


class LineWriter:
    """Makes the lines of blocks; keeps each tag's beginning of a line, and which blocks and times there were."""

    def __init__(self, met: MetBlocks | None = None) -> None:
        """
        Args:
            met: Which blocks came before this began.
        """
        self._met = met or MetBlocks()
        self._known: dict[bytes, _Known] = {}
        self._numbers: dict[bytes, int] = {}
        self._times = SameTimes()
        self._changes = LineChanges()
        self.resolution_ns = UNKNOWN.resolution_ns
        """Times that are equal by this are one row at the server [ns]."""

    def lines(self, block: OpenedBlock) -> bytes:
        """All lines of a block, each with its newline; nothing where it holds none, and of samples that came before."""
        body = block.body
        if isinstance(body, BatchBody):
            return self._samples(block, body)
        if isinstance(body, Page):
            self._known.pop(block.stream.key, None)  # an asset may be described anew
        if isinstance(body, StateBody) and body.asset:
            return _state(block.stream, body)
        if isinstance(body, EventBody) and body.asset:
            return _event(block.stream, body)
        return b""

    def changes(self) -> LineChanges:
        """What the lines made since the last call changed."""
        out, self._changes = self._changes, LineChanges()
        out.met = self._met.changes()
        return out

    def load(self, series: Sequence[tuple[int, bytes]], times: Sequence[TimesChange]) -> None:
        """Go on from what `changes` gave before.

        Raises:
            ValueError: it was not all of it.
        """
        self._numbers = {head: number for number, head in series}
        self._times.load(times)

    def times(self) -> TimesChange:
        """Which times of each series are taken, whole."""
        return self._times.whole()

    def _samples(self, block: OpenedBlock, body: BatchBody) -> bytes:
        stream, columns = block.stream, body.columns
        if columns.flags.any():
            columns = columns.select((columns.flags & Flag.REFRESH) == 0)
        if not len(columns) or not self._met.add(stream.key, block.number):
            return b""
        known, at = self._learned(stream, columns.tag)
        seq, changed = self._times.numbers(known.series[at], columns.time_ns, self.resolution_ns)
        self._changes.times.append(changed)
        if seq is None:
            return joined(columns, known.heads, at)
        self._changes.same_time += int(np.count_nonzero(seq))
        return joined(columns, *_with_seq(known.heads, at, seq))

    def _learned(self, stream: StreamDescription, tags: Array) -> tuple[_Known, Array]:
        """What is known of the stream, with these tags in it, and the place of each of them."""
        known = self._known.get(stream.key)
        if known is not None and (at := known.places(tags)) is not None:
            return known, at
        met = set() if known is None else set(known.ids.tolist())
        ids = sorted(met | set(np.unique(tags).tolist()))
        if known is None and len(self._known) >= STREAMS:
            self._known.clear()
        described = [stream.tags[one] for one in ids]
        heads = [head(stream, tag).encode() for tag in described]
        numbers = np.array([self._number(one) for one in heads], np.int64)
        unsigned = np.array([tag.type == "uint64" for tag in described], bool)
        known = self._known[stream.key] = _Known(ids, numbers, Heads(heads, unsigned))
        at = known.places(tags)
        assert at is not None, "each of them was just learned"
        return known, at

    def _number(self, series: bytes) -> int:
        number = self._numbers.get(series)
        if number is None:
            number = self._numbers[series] = len(self._numbers)
            self._changes.series.append((number, series))
        return number


def head(stream: StreamDescription, tag: Tag) -> str:
    """A tag's lines up to the fields."""
    made = f",conversion={escaped(tag.conversion)}" if tag.conversion else ""
    unit = f",unit={escaped(tag.unit)}" if tag.unit else ""
    simulated = _simulated(stream, tag.asset)
    return (
        f"sample,asset={escaped(tag.asset)}{made}{simulated},site={escaped(stream.site)},tag={escaped(tag.name)}"
        f",type={escaped(tag.type)}{unit} "
    )


def escaped(text: str) -> str:
    """A tag's value: control characters become their pictures, doubtful backslashes slashes, and nothing a dash."""
    text = _DOUBTFUL.sub("/", CONTROL.sub(_picture, text))
    text = text if text.strip() else "-"
    return _SPECIAL.sub(r"\\\1", text)


def _picture(found: re.Match[str]) -> str:
    """`␊` for a newline (Unicode's control pictures), so that two names stay two."""
    return chr(0x2421 if found[0] == "\x7f" else 0x2400 + ord(found[0]))


def _with_seq(heads: Heads, at: Array, seq: Array) -> tuple[Heads, Array]:
    """Heads in which the rows with a `seq` have their own, and which of them each row has."""
    rows = np.flatnonzero(seq)
    pairs, which = np.unique(np.stack([at[rows], seq[rows]]), axis=1, return_inverse=True)
    more = [_numbered(heads.texts[of], number) for of, number in pairs.T.tolist()]
    at = at.copy()
    at[rows] = len(heads.texts) + which.ravel()
    return Heads([*heads.texts, *more], np.concatenate([heads.unsigned, heads.unsigned[pairs[0]]])), at


def _numbered(series: bytes, number: int) -> bytes:
    """The series with its `seq`, which stands behind asset and conversion: tags are sorted."""
    found = _ASSET.match(series)
    assert found is not None
    return found[0] + b",seq=%d" % number + series[found.end() :]


_ASSET = re.compile(rb"sample,asset=(?:[^\\, ]|\\.)+(?:,conversion=(?:[^\\, ]|\\.)+)?", re.DOTALL)


def _simulated(stream: StreamDescription, name: str) -> str:
    asset = stream.assets.get(name) or Asset(name=name)
    return ",simulated=true" if asset.simulated else ""


def _state(stream: StreamDescription, body: StateBody) -> bytes:
    place = _place(stream, body.asset)
    up = {"up": ",up=1i", "down": ",up=0i"}.get(body.what, "")
    return f"state,{place},what={escaped(body.what)} text={quoted(body.text)},n=1i{up} {body.time_ns}\n".encode()


def _event(stream: StreamDescription, body: EventBody) -> bytes:
    fields = (
        f"code={quoted(body.code)},source={quoted(body.source)},text={quoted(body.text)},"
        f"severity={body.severity}i,sequence={body.sequence}i"
    )
    place = _place(stream, body.asset)
    state = f",state={escaped(body.state)}" if body.state else ""  # an empty tag is no line protocol
    return f"event,{place}{state} {fields} {body.time_ns}\n".encode()


def _place(stream: StreamDescription, name: str) -> str:
    return f"asset={escaped(name)}{_simulated(stream, name)},site={escaped(stream.site)}"
