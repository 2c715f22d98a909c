"""msgpack maps within bounds: few bytes must not become many objects (SPEC.md, section 6.1).

    lengths of lists and maps, their number, their depth, no extension types, text keys only

Bodies are such a map compressed (`content/body.py`); signed blocks and beats are one as it is.
"""

from __future__ import annotations

from typing import Any

import msgpack

from protocol.errors import FrameError, Reason
from protocol.limits import PLAIN_BYTES

ITEMS = 16_384
"""Most members of one list or map: a HEAD names 4,096 leaves, a CATALOG page 500 tags."""

CONTAINERS = 32_768
"""Most lists and maps in a body: 8 MiB of empty ones would take 600 MB."""

SMALL_BYTES = 256 * 1024
"""Up to this size nothing is counted [bytes]: so many empty maps take 17 MB."""

DEPTH = 12
"""Deepest nesting: a batch has 6."""

bytearray(PLAIN_BYTES)
# Made and freed once: so glibc learns to keep that much of the heap (mallopt(3), "dynamic mmap threshold"). Otherwise
# each batch's arrays are given back and taken from the kernel again, page by page: a third of all time, measured.


def plain(data: bytes) -> dict[str, Any]:
    """The map of a body that travels uncompressed, because it is signed and small: msgpack within the same bounds.

    Raises:
        FrameError: (BODY) no map with text keys, or past a bound.
    """
    count = None if len(data) <= SMALL_BYTES else _Made().count_one
    try:
        body = msgpack.unpackb(
            data,
            list_hook=count,
            object_hook=count,
            strict_map_key=True,
            max_str_len=PLAIN_BYTES,
            max_bin_len=PLAIN_BYTES,
            max_array_len=ITEMS,
            max_map_len=ITEMS,
            max_ext_len=0,
        )
    except (ValueError, TypeError) as error:
        raise FrameError(Reason.BODY, size=len(data)) from error
    if type(body) is not dict or not all(type(key) is str for key in body):
        raise FrameError(Reason.BODY, size=len(data))
    _check_depth(body, len(data))
    return body


class _Made:
    """Counts the lists and maps while they are made."""

    def __init__(self) -> None:
        self.count = 0

    def count_one(self, made: Any) -> Any:
        self.count += 1
        if self.count > CONTAINERS:
            raise ValueError("too many lists")
        return made


def _check_depth(body: dict[str, Any], size: int) -> None:
    level: list[Any] = [body]
    for _ in range(DEPTH):
        members = [one.values() if type(one) is dict else one for one in level]
        level = [one for group in members for one in group if type(one) is dict or type(one) is list]
        if not level:
            return
    raise FrameError(Reason.BODY, size=size)
