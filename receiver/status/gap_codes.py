"""What becomes of a gap: the code that a person carries over. Pure.

    heals    a repeat is still to come (gaps.py): nothing to do
    code     no repeat is left: `replay` on the high side sends it again, as long as the sender keeps it
    expired  the sender keeps it no more: it can never come

Codes are made by whoever shows them, from the gaps that catch lists: an end of the link carries no wording. The file of
gaps may be damaged or planted: a gap that no stream can have gets no code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from protocol import gapcode
from protocol.ranges import Ranges, join_nearest
from receiver.gap import Gap

STREAM_BYTES = 8
"""Length of a stream's id [bytes]."""
CODES_MOST = 4
"""Most codes a stream: beyond it near ranges are joined, so that a person reads out less and some blocks come twice."""


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
