"""Which blocks stood at the end of a spool whose end is not known: the poller's question at its start.

A record that was cut off leaves no damage between records, and nothing behind it tells of it by order. What still knows
of it are the leaf files, which have a number more than the segments, and the kept files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from protocol.ranges import Ranges
from protocol.store.layout import kept_path, leaf_streams
from sender.store.damage import goes_on, leaf_count


def cut_off(spool: Path, held: Mapping[bytes, Ranges], newest: bytes) -> dict[bytes, Ranges]:
    """What stood behind the last record of a spool whose end is not known, as leaves and kept files tell.

    Args:
        held: Numbers that are in segments, or were.
        newest: The stream that the spool ended with.
    """
    out: dict[bytes, Ranges] = {}
    for stream in leaf_streams(spool):
        ended = stream not in held and kept_path(spool, stream).exists()  # else retention took it, kept file and all
        if ended or stream == newest:
            top = held[stream].top if stream in held else 0
            with contextlib.suppress(OSError):
                after = goes_on(spool, stream, top, leaf_count(spool, stream))
                if after > top:
                    out[stream] = Ranges([(top, after)])
    return out
