"""What becomes of a gap: the code that a person carries over, and until when that can help. Pure.

    heals    a repeat is still to come (gaps.py): nothing to do
    code     no repeat is left: `replay` on the high side sends it again, as long as the sender keeps it
    expired  the sender keeps it no more: it can never come

Codes are made by whoever shows them, from the gaps that catch lists: an end of the link carries no wording. The file of
gaps may be damaged or planted: a gap that no stream can have gets no code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from protocol import gapcode
from protocol.ranges import Ranges, join_nearest
from receiver.gap import Gap

STREAM_BYTES = 8
"""Length of a stream's id [bytes]."""
CODES_MOST = 4
"""Most codes a stream: beyond it near ranges are joined, so that a person reads out less and some blocks come twice."""
RATE_FROM_S = 60.0
"""What came in less time than this says nothing of a day [s]."""


def codes(gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    """Codes of the gaps that no repeat will heal, a stream after the other: stream, code, blocks in it."""
    left: dict[bytes, Ranges] = {}
    for one in gaps:
        if one.heals_ns is None and len(one.stream) == STREAM_BYTES and 0 <= one.first < one.after:
            left.setdefault(one.stream, Ranges()).add(one.first, one.after)
    out: list[dict[str, Any]] = []
    for stream, held in left.items():
        ranges = list(held)
        found = gapcode.codes(stream, ranges)
        while len(found) > CODES_MOST:
            ranges = join_nearest(ranges, max(1, len(ranges) // 2))
            found = gapcode.codes(stream, ranges)
        out += [{"stream": stream.hex(), "code": code, "blocks": blocks} for code, blocks in found]
    return out


def kept_s(spool: Mapping[str, Any], taken_bytes: int, taken_s: float) -> float:
    """How long the sender keeps a block at least, from its sealing on [s]; infinite where it does not say.

    The sender says in its beats how long and how much it keeps (`keep_s`, `most_bytes`); how soon that much has come is
    told from what came here. So the time is the earliest at which retention may take a block.

    Args:
        spool: What its last beat says of its spool.
        taken_bytes: Of blocks that came on their first sending [bytes].
        taken_s: In this time [s].
    """
    keep, most = _number(spool.get("keep_s")), _number(spool.get("most_bytes"))
    if taken_s < RATE_FROM_S or not taken_bytes:
        return keep
    return min(keep, most * taken_s / taken_bytes)


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) and value >= 0 else math.inf
