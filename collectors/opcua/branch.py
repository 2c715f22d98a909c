"""The variables below a node, by browsing: for a pattern in the configuration, and for `discover`.

Properties are left out, since they describe other nodes; so is the server's own object, unless one starts there; so is
what must never be read, with all below it. A node that is reached by two ways is found once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from asyncua import ua

from collectors.opcua.address import BranchAddress, Steps
from collectors.opcua.session import Session

MOST_NODES = 20_000
"""Nodes looked at before the browse stops: what is larger is better typed for the part that matters."""


@dataclass(slots=True)
class Found:
    """What a walk has found."""

    variables: dict[str, tuple[Any, Steps]] = field(default_factory=dict)
    """Text of the node's id -> id, and the way to it."""
    fenced: list[Steps] = field(default_factory=list)
    """Where the walk did not go."""
    whole: bool = True
    """False where it stopped after `MOST_NODES`."""


async def walk(session: Session, start: Any, steps: Steps, *, deep: bool) -> Found:
    """Browse down from a node.

    Args:
        start: Its id.
        steps: The way to it.
        deep: Also below what is right below it.
    """
    found = Found()
    seen = {start.to_string(), ua.NodeId(ua.ObjectIds.Server).to_string()}
    classes = ua.NodeClass.Object | ua.NodeClass.Variable
    level: list[tuple[Any, Steps]] = [(start, steps)]
    while level:
        references = await session.browse([node for node, _ in level], ua.ObjectIds.HierarchicalReferences, classes)
        below: list[tuple[Any, Steps]] = []
        for (_, above), held in zip(level, references, strict=True):
            for reference in held:
                node = session.local(reference.NodeId)
                text = node.to_string()
                if text in seen or reference.ReferenceTypeId == ua.NodeId(ua.ObjectIds.HasProperty):
                    continue
                if len(seen) >= MOST_NODES:
                    found.whole = False
                    return found
                seen.add(text)
                way = (*above, session.step(reference.BrowseName))
                if session.forbids(node) or session.fenced(way):
                    found.fenced.append(way)
                    continue
                below.append((node, way))
                if reference.NodeClass == ua.NodeClass.Variable:
                    found.variables[text] = (node, way)
        level = below if deep else []
    return found


async def expand(session: Session, branch: BranchAddress) -> dict[Steps, Any] | None:
    """Id by path of each variable that a pattern means; None where the server has no such branch."""
    branch = session.spaces.branch(branch)
    (start,) = await session.translate([branch.steps])
    if isinstance(start, ua.StatusCode):
        return None
    found = await walk(session, start, branch.steps, deep=branch.deep)
    return {steps: node for node, steps in found.variables.values() if branch.fits(*steps[-1])}
