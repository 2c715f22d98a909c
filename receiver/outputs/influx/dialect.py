"""Lines as one kind of server understands them: what stands in the store is the same for all of them (pure).

| server | what is changed, and why |
|---|---|
| VictoriaMetrics | text fields go: each would be the number 0. An outlier's `vx` goes to a field of its decades |
| QuestDB | booleans become 1 and 0: one that is absent in a row reads false. Lone backslashes of tags are doubled |
| all but VictoriaMetrics | an outlier's `vx` is `v` |

VictoriaMetrics keeps one decimal exponent for a block of values, so one 3.4e38 makes its neighbours 0. `v` holds zero
and what lies between `SMALL` and `LARGE`; what is larger or smaller goes by `DECADES` decades to `v_e9` (from 1e9 below
1e22), `v_e22`, `v_e35`, .. and `v_em19` (from 1e-19 below 1e-6), `v_em32`, .. So values of one field stay within 15
digits of each other, and each keeps four digits in the worst of cases, and nearly always thirteen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from receiver.outputs.influx.server_kind import QUESTDB, VICTORIA, ServerKind

LARGE = 1e9
SMALL = 1e-6
"""Numbers from SMALL up and below LARGE are no outliers, and neither is 0."""
LARGE_INTEGER = 10**18
"""Integers have no decimal places, so all below it are exact beside each other."""
DECADES = 13
"""Width of an outliers' field."""

_SERIES = rb"^((?:[^\\ \n]|\\.)+ )"
_TEXT_FIELDS = re.compile(_SERIES + rb'(?:[a-z]+="(?:[^"\\]|\\.)*",)+')
"""Series and its space, then text fields: they stand before the others in every line made here."""
_OUTLIER = re.compile(_SERIES + rb'((?:vd="[0-9]*",)?)vx=([^,]*),')
_BOOLEAN = re.compile(_SERIES + rb"vb=(true|false),")
_SERIES_ALONE = re.compile(_SERIES)
_LONE = re.compile(rb"(?<!\\)\\(?![,= \\])")


def for_server(lines: bytes, kind: ServerKind) -> bytes:
    """The lines as that kind of server understands them."""
    if kind is VICTORIA:
        lines = without_texts(lines)
        return _changed(lines, b"vx=", lambda line: _OUTLIER.sub(_own_field, line))
    lines = _changed(lines, b"vx=", lambda line: _OUTLIER.sub(rb"\1\2v=\3,", line))
    if kind is QUESTDB:
        lines = _numbers_for_booleans(lines)
        lines = _changed(lines, b"\\", lambda line: _SERIES_ALONE.sub(_doubled, line))
    return lines


def without_texts(lines: bytes) -> bytes:
    """The lines without text fields."""
    return _changed(lines, b'="', lambda line: _TEXT_FIELDS.sub(rb"\1", line))


def _numbers_for_booleans(lines: bytes) -> bytes:
    """`vb=true` as `vb=1i` where that is the field: what may stand in a name or a text costs a look at its line."""
    pieces, done, mark = [], 0, b" vb="
    at = lines.find(mark)
    while at >= 0:
        start, end = lines.rfind(b"\n", done, at) + 1 or done, at + len(mark)
        value = lines[end : end + 5]
        if lines[at - 1 : at] == b"\\" or lines.find(b'="', start, at) >= 0:
            end = lines.find(b"\n", at) + 1 or len(lines)
            pieces += [lines[done:start], _BOOLEAN.sub(_number, lines[start:end])]
            done = end
        elif value in (b"true,", b"false"):
            pieces += [lines[done:end], b"1i" if value == b"true," else b"0i"]
            done = end = end + (4 if value == b"true," else 5)
        at = lines.find(mark, end)
    return b"".join([*pieces, lines[done:]])


def _changed(lines: bytes, mark: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The lines, with those changed that have a mark in them; all others cost nothing."""
    at = lines.find(mark)
    if at < 0:
        return lines
    pieces, done = [], 0
    while at >= 0:
        start, end = lines.rfind(b"\n", done, at) + 1 or done, lines.find(b"\n", at) + 1 or len(lines)
        pieces += [lines[done:start], change(lines[start:end])]
        done, at = end, lines.find(mark, end)
    return b"".join([*pieces, lines[done:]])


def outlier_field(value: float) -> str:
    """The field of VictoriaMetrics that a number stands in."""
    size = abs(value)
    if size == 0 or SMALL <= size < LARGE:
        return "v"
    edge = math.log10(LARGE if size >= LARGE else SMALL)
    first = round(edge) + DECADES * math.floor((_decade(size) - edge) / DECADES)
    return f"v_e{first}" if first >= 0 else f"v_em{-first}"


def _decade(size: float) -> int:
    """Its decimal exponent: `1e22` is in the decade 22."""
    return int(f"{size:.15e}".partition("e")[2])


def _own_field(found: re.Match[bytes]) -> bytes:
    return found[1] + found[2] + outlier_field(float(found[3])).encode() + b"=" + found[3] + b","


def _number(found: re.Match[bytes]) -> bytes:
    return found[1] + (b"vb=1i," if found[2] == b"true" else b"vb=0i,")


def _doubled(found: re.Match[bytes]) -> bytes:
    return _LONE.sub(rb"\\\\", found[1])
