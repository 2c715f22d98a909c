"""The kinds of events that a server has beside the standard's: their names, and the fields that they add.

Learned by browsing the event types from BaseEventType down, a request a level, before the events are subscribed to:
fields must be selected by then. Gentle servers are not browsed; their own kinds are told by id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from asyncua import ua

from collectors.opcua.session import Session

MOST_FIELDS = 200
"""Own fields that are selected: each is one more value in every event, empty or not."""

DEEPEST = 24
"""Most levels of types."""


@dataclass(frozen=True, slots=True)
class OwnField:
    """A field that a type of the server's own adds."""

    kind: Any
    """The type's id."""
    name: Any
    """QualifiedName."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """See above."""

    names: dict[Any, str] = field(default_factory=dict)
    """Browse name of each own type, by its id."""
    fields: tuple[OwnField, ...] = ()

    def name(self, kind: Any, text: str) -> str:
        """The browse name of an event type, or its id.

        Args:
            kind: Its id.
            text: The id as it is written.
        """
        if isinstance(kind, ua.NodeId) and kind.NamespaceIndex == 0:
            return str(ua.ObjectIdNames.get(kind.Identifier, text))
        return self.names.get(kind) or text


async def learn(session: Session) -> Kinds:
    """The server's own kinds.

    Raises:
        AssetError: it cannot be browsed.
    """
    names: dict[Any, str] = {}
    level = [ua.NodeId(ua.ObjectIds.BaseEventType)]
    seen = set(level)
    for _ in range(DEEPEST):
        held = await session.browse(level, ua.ObjectIds.HasSubtype, ua.NodeClass.ObjectType)
        below = {session.local(one.NodeId): one for references in held for one in references}
        level = [kind for kind in below if kind not in seen]
        seen.update(level)
        names |= {kind: str(below[kind].BrowseName.Name) for kind in level if kind.NamespaceIndex}
        if not level:
            break
    held = await session.browse(list(names), ua.ObjectIds.Aggregates, ua.NodeClass.Variable)
    fields = [OwnField(kind, one.BrowseName) for kind, has in zip(names, held, strict=True) for one in has]
    return Kinds(names=names, fields=tuple(fields[:MOST_FIELDS]))
