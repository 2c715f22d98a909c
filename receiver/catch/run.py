"""Datagrams as the kernel hands them over: equally long, one after another in one buffer, the last perhaps shorter."""

from __future__ import annotations

from typing import NamedTuple


class Run(NamedTuple):
    """One or more datagrams; true until the next one is asked for."""

    view: memoryview
    each: int
    """Length of all but perhaps the last [bytes]; 0 where the one datagram is empty."""

    def datagrams(self) -> list[memoryview]:
        """One by one."""
        size = len(self.view)
        if self.each >= size:
            return [self.view]
        return [self.view[at : min(at + self.each, size)] for at in range(0, size, self.each)]
