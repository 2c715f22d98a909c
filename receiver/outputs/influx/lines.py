"""Columns to InfluxDB line protocol (pure).

    sample,asset=pump-7,site=north,tag=pressure v=12.34,q=192i 1763884800000000000

| field | of | why |
|---|---|---|
| v | every number, always a float | one type for ever: a field that changes its type is refused by InfluxDB |
| vi | integers beyond 2**53 and within 64 signed bits, beside `v` | exact, where a float is not |
| vb, vs | booleans, texts | same |
| q | every sample: 192 good, 64 uncertain, 0 bad | the scale that dashboards know (OPC DA 3.0, 6.8) |
| sc | the whole StatusCode, where it is more than its class | |

NaN, infinities and samples without a value are written as `q` alone. Time is in nanoseconds. Tags stand sorted by key;
what comes from a simulator carries `simulated=true`. Unit, vendor and quality are no tags: each change would make a new
series. Refresh rows are not written: they are no new history.

Source: InfluxDB line protocol reference (v1.8 and v2): escapes, no newline, no trailing backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import orjson

from protocol.content.array import Array
from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Columns, Flag, ValueKind
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, StreamDescription

_SPECIAL = re.compile(r"([,= ])")
_DOUBTFUL = re.compile(r"\\(?=\\*(?:[,= ]|$))")
"""Backslashes that servers read in different ways: those before a character that is escaped, or at the end."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STRING_FIELDS = re.compile(rb'^((?:[^\\ \n]|\\.)+ )(?:[a-z]+="(?:[^"\\]|\\.)*",)+', re.MULTILINE)
"""Series and its space, then text fields: they stand before the others in every line made here."""
STREAMS = 16
"""Streams whose tags are kept; each start of the packer begins one."""
_EXACT = 2**53
"""Integers up to here are exact as float64 (IEEE 754)."""
_PLAIN = (0x00000000, 0x40000000, 0x80000000)
"""StatusCodes that say no more than their class."""
_CLASS = np.array([192, 64, 0, 0])


@dataclass(frozen=True, slots=True)
class _Known:
    """The tags of a stream that were met, by rising id."""

    ids: Array
    heads: Array
    """Each tag's lines up to the fields."""
    unsigned: Array
    """Its integers are unsigned 64-bit in two's complement."""


class LineWriter:
    """Makes the lines of blocks; keeps each tag's beginning of a line."""

    def __init__(self) -> None:
        self._known: dict[bytes, _Known] = {}

    def lines(self, block: OpenedBlock) -> bytes:
        """All lines of a block, each with its newline; nothing where it holds none."""
        body = block.body
        if isinstance(body, BatchBody):
            return self._samples(block.stream, body.columns)
        if isinstance(body, Page):
            self._known.pop(block.stream.key, None)  # an asset may be described anew
        if isinstance(body, StateBody) and body.asset:
            return _state(block.stream, body)
        if isinstance(body, EventBody) and body.asset:
            return _event(block.stream, body)
        return b""

    def _samples(self, stream: StreamDescription, columns: Columns) -> bytes:
        kept = (columns.flags & Flag.REFRESH) == 0
        if not kept.all():
            columns = columns.select(kept)
        if not len(columns):
            return b""
        known = self._learned(stream, columns.tag)
        at = np.searchsorted(known.ids, columns.tag)
        parts = _parts(columns, known.heads[at], known.unsigned[at], _tails(columns))
        return "".join(text for part in parts for text in part).encode()

    def _learned(self, stream: StreamDescription, tags: Array) -> _Known:
        """What is known of the stream, with these tags in it."""
        known = self._known.get(stream.key)
        if known is not None and len(known.ids):
            at = np.minimum(np.searchsorted(known.ids, tags), len(known.ids) - 1)
            if (known.ids[at] == tags).all():
                return known
        met = set() if known is None else set(known.ids.tolist())
        ids = sorted(met | set(np.unique(tags).tolist()))
        if known is None and len(self._known) >= STREAMS:
            self._known.clear()
        described = [stream.tags[one] for one in ids]
        self._known[stream.key] = _Known(
            np.array(ids, np.uint32),
            np.array([head(stream, tag) for tag in described], object),
            np.array([tag.type == "uint64" for tag in described], bool),
        )
        return self._known[stream.key]


def head(stream: StreamDescription, tag: Tag) -> str:
    """A tag's lines up to the fields."""
    asset = stream.assets.get(tag.asset) or Asset(name=tag.asset)
    simulated = ",simulated=true" if asset.simulated else ""
    return f"sample,asset={escaped(asset.name)}{simulated},site={escaped(stream.site)},tag={escaped(tag.name)} "


def escaped(text: str) -> str:
    """A tag's value: control characters become spaces, doubtful backslashes slashes, and nothing a dash."""
    text = _DOUBTFUL.sub("/", _CONTROL.sub(" ", text))
    text = text if text.strip() else "-"
    return _SPECIAL.sub(r"\\\1", text)


def quoted(text: str) -> str:
    """A text field: control characters (a newline ends a line for some servers) become spaces."""
    text = _CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def without_texts(lines: bytes) -> bytes:
    """The lines without text fields, for a server that would store each as the number 0 (VictoriaMetrics)."""
    return _STRING_FIELDS.sub(rb"\1", lines) if b'="' in lines else lines


def _parts(columns: Columns, heads: Array, unsigned: Array, tails: Array) -> Iterator[list[str]]:
    """By kind of value: head, fields, tail, one after another."""
    kind = columns.kind
    at = np.flatnonzero(kind == ValueKind.FLOAT)
    finite = np.isfinite(columns.floats)
    yield _joined(heads[at[finite]], "v=", _dumped(columns.floats[finite]), tails[at[finite]])
    none = np.concatenate([at[~finite], np.flatnonzero(kind == ValueKind.NONE)])
    yield _joined(heads[none], "", [""] * len(none), np.array([tail[1:] for tail in tails[none].tolist()], object))
    at = np.flatnonzero(kind == ValueKind.INT)
    if len(at):
        high = unsigned[at] & (columns.ints < 0)
        reals = np.where(high, columns.ints.view(np.uint64).astype(np.float64), columns.ints.astype(np.float64))
        yield _joined(heads[at], "v=", _dumped(reals), _exact(columns.ints, ~high, tails[at]))
    at = np.flatnonzero(kind == ValueKind.BOOL)
    if len(at):
        yield _joined(heads[at], "vb=", ["true" if one else "false" for one in columns.bools.tolist()], tails[at])
    at = np.flatnonzero(kind == ValueKind.TEXT)
    if len(at):
        yield _joined(heads[at], "vs=", [quoted(text) for text in columns.texts], tails[at])


def _joined(heads: Array, field: str, values: list[str], tails: Array) -> list[str]:
    parts: list[str] = [field] * (4 * len(heads))
    parts[0::4] = heads.tolist()
    parts[2::4] = values
    parts[3::4] = tails.tolist()
    return parts


def _dumped(values: Array) -> list[str]:
    """Shortest texts that read back as these floats, all at once."""
    if not len(values):
        return []
    dumped = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    return dumped[1:-1].decode().split(",")


def _exact(ints: Array, fits: Array, tails: Array) -> Array:
    """The tails, with `vi` before them where a float would not be exact and the integer `fits` 64 signed bits."""
    large = np.flatnonzero(fits & ((ints > _EXACT) | (ints < -_EXACT)))
    if len(large):
        tails = tails.copy()
        for at in large.tolist():
            tails[at] = f",vi={ints[at]}i{tails[at]}"
    return tails


def _tails(columns: Columns) -> Array:
    """Quality and time of each row; every pair of them is formatted once."""
    times, which_time = np.unique(columns.time_ns, return_inverse=True)
    codes, which_code = np.unique(columns.quality, return_inverse=True)
    qualities = [f",q={_CLASS[code >> 30]}i" + ("" if code in _PLAIN else f",sc={code}i") for code in codes.tolist()]
    pairs, which = np.unique(which_time * len(codes) + which_code, return_inverse=True)
    stamps = times.tolist()
    texts = [f"{qualities[pair % len(codes)]} {stamps[pair // len(codes)]}\n" for pair in pairs.tolist()]
    out: Array = np.array(texts, object)[which]
    return out


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
    asset = stream.assets.get(name) or Asset(name=name)
    simulated = ",simulated=true" if asset.simulated else ""
    return f"asset={escaped(name)}{simulated},site={escaped(stream.site)}"
