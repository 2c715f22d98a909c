"""A request at which the connection fails: find the tag that does it, so that the others are read.

    1st failure   it may be the connection: asked again, last in the pass, so that it cannot cost the others
    2nd in a row  the request is cut in two halves; of these one failure is enough, since they are known to hold it
    a single tag  is convicted: the collector sets it aside

A request that is answered is a suspect no longer. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

Group = tuple[str, ...]
"""The names that one request asked for."""


class Suspects:
    """Of one device."""

    def __init__(self) -> None:
        self._failed: dict[Group, int] = {}
        """Failures in a row."""

    def parted(self, names: Sequence[str]) -> list[list[int]]:
        """Places of the names, a list for each group that shares no request with others: suspects last."""
        groups = [[place for place, name in enumerate(names) if name in group] for group in self._failed]
        held = {place for group in groups for place in group}
        return [[place for place in range(len(names)) if place not in held], *(group for group in groups if group)]

    def known(self, names: Group) -> bool:
        """Whether the connection failed at this request the last time too."""
        return names in self._failed

    def doubt(self, names: Group) -> None:
        """One more failure convicts it."""
        self._failed[names] = 1

    def answered(self, names: Group) -> None:
        """It was not this one."""
        self._failed.pop(names, None)

    def failed(self, names: Group) -> str:
        """The connection failed at this request; the name that is convicted by it, or nothing."""
        if names not in self._failed:
            self.doubt(names)
            return ""
        if len(names) == 1:
            del self._failed[names]
            return names[0]
        del self._failed[names]
        half = len(names) // 2
        self.doubt(names[:half])
        self.doubt(names[half:])
        return ""
