"""Which blocks were made into lines: one that is handed over again makes none, so no sample has a second row.

A bit a block: the block numbers of a stream in pages of `PAGE`, each a row of the store, written in the transaction of
the lines. A page whose blocks all came packs to some twenty bytes, so that a year of a hundred blocks a second is some
megabytes. Pages that were not used for long are let go of, and read again when one of their blocks comes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

PAGE = 8192
"""Blocks of a page: 1 KiB."""
PAGES = 256
"""Most pages that are kept; those that are not stored yet are kept besides."""


class MetBlocks:
    """Streams and numbers that came."""

    def __init__(self, stored: Callable[[bytes, int], bytes | None] = lambda stream, page: None) -> None:
        """
        Args:
            stored: A stream's page as it was stored last, None where it never was.
        """
        self._stored = stored
        self._pages: OrderedDict[tuple[bytes, int], bytearray] = OrderedDict()
        self._unstored: set[tuple[bytes, int]] = set()

    def add(self, stream: bytes, number: int) -> bool:
        """Note that a block came; False where it came before."""
        key, (byte, bit) = (stream, number // PAGE), divmod(number % PAGE, 8)
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = bytearray(self._stored(*key) or PAGE // 8)
        self._pages.move_to_end(key)
        if page[byte] >> bit & 1:
            return False
        page[byte] |= 1 << bit
        self._unstored.add(key)
        return True

    def changes(self) -> list[tuple[bytes, int, bytes]]:
        """Stream, page and content of what changed since the last call; it is to be stored now."""
        out = [(*key, bytes(self._pages[key])) for key in sorted(self._unstored)]
        self._unstored.clear()
        for key in list(self._pages)[: max(len(self._pages) - PAGES, 0)]:
            del self._pages[key]
        return out
