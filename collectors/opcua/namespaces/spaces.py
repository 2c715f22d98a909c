"""What a namespace is: its uri. Indexes are a server's own counting, and it may count otherwise after a restart.

    machine A = 2, machine B = 3     a restart, B registers first:     machine B = 2, machine A = 3

So whatever outlives a connection (a learned path, a branch's numbers, a fence, a draft) names namespaces by uri, and an
index that a person has typed is looked up once: what it meant when the server was first read is kept (`Kept`), on disk
too, and counts from then on. Two are not named by a uri: 0 is the standard's, and 1 is the server's own where that has
the uri of the server itself, which differs between the servers of a redundant pair. A namespace without a uri, of a
server that does not tell it, is believed by its index. No I/O here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from collectors.opcua.address import BranchAddress, Space, Steps
from collectors.settings import wild

OWN = ""
"""Kept in place of a uri for the server's own namespace."""


class Spaces:
    """The namespaces of one connection.

    Args:
        table: The server's NamespaceArray; empty where it tells none.
        server: The uri of the server itself; empty where it tells none.
        kept: What typed indexes mean: uri, or `OWN`.
    """

    def __init__(self, table: Sequence[str] = (), server: str = "", kept: Mapping[int, str] | None = None) -> None:
        self.table = tuple(table)
        self._own = len(self.table) > 1 and self.table[1] == server != ""
        self._kept = {} if kept is None else kept

    def index(self, space: Space) -> int | None:
        """Where the server counts a namespace now; None where it has it not."""
        if isinstance(space, str):
            return self.table.index(space) if space and space in self.table else None
        if space == 0:
            return 0
        meant = self._kept.get(space)
        if meant is None:
            return space if space < len(self.table) or not self.table else None
        if meant == OWN:
            return 1 if self._own else None
        return space if self.table[space : space + 1] == (meant,) else self.index(meant)

    def name(self, index: int) -> Space:
        """How to name a namespace of this connection so that it is found again."""
        uri = self.table[index] if index < len(self.table) else ""
        return uri if uri and index > self._own and self.table.index(uri) == index else index

    def steps(self, steps: Steps) -> Steps:
        """A typed path, its namespaces named as the server's own answers are."""
        return tuple((self._named(space), name) for space, name in steps)

    def branch(self, branch: BranchAddress) -> BranchAddress:
        """As `steps`."""
        space = None if branch.space is None else self._named(branch.space)
        return replace(branch, steps=self.steps(branch.steps), space=space)

    def covers(self, space: Space, index: int) -> bool:
        """Whether a fence's namespace, in a uri of which `*` stands for any text, is the one at an index."""
        if isinstance(space, str):
            return index < len(self.table) and wild(space).fullmatch(self.table[index]) is not None
        found = self.index(space)
        return index == (space if found is None and space not in self._kept else found)

    def meaning(self, typed: Iterable[int]) -> dict[int, str]:
        """What indexes mean in this connection, of those that the server names."""
        named = {index: self.name(index) for index in typed if index < len(self.table)}
        return {index: uri for index, uri in named.items() if isinstance(uri, str)} | (
            {1: OWN} if self._own and 1 in named else {}
        )

    def moved(self) -> list[str]:
        """A line for each typed index that the server counts otherwise now."""
        out = []
        for index, uri in sorted(self._kept.items()):
            now = self.index(index)
            if now != index:
                what = uri or "the server's own namespace"
                where = "which the server does not have" if now is None else f"which is {now} now"
                out.append(f"ns={index} goes on meaning {what}, as at the first reading, {where}; write nsu= for it")
        return out

    def _named(self, space: Space) -> Space:
        found = self.index(space)
        if found is not None:
            return self.name(found)
        return space if isinstance(space, str) else self._kept.get(space) or space
