"""What can be read from a server: its variables below Objects, as drafts of tags.

The server's own object (Server) is left out, and so are properties, which describe other nodes. A node that is reached
by two ways is listed once. Numeric ids are often given anew at a restart, so such a node is drafted by its path of
browse names; a text id is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncua import ua

from collectors.base import Draft
from collectors.opcua.address import NodeAddress, parse, path_of
from collectors.opcua.facts import learn
from collectors.opcua.session import Session, attribute

MOST_NODES = 20_000
"""Nodes looked at before the browse stops: what is larger is better typed for the part that matters."""

_CURRENT_READ = 1
"""Bit of AccessLevel: the current value can be read (OPC 10000-3, 8.57)."""

Steps = tuple[tuple[int, str], ...]


async def draft(session: Session) -> Draft:
    """Browse the server and draft a tag for each variable that can be read.

    Raises:
        AssetError: the server stopped answering.
    """
    found, notes = await _variables(session)
    ids = dict(enumerate(found.values()))
    about = await learn(session, {key: node for key, (node, _) in ids.items()}, lambda: 0)
    levels = await session.read([attribute(node, ua.AttributeIds.UserAccessLevel) for node, _ in ids.values()])
    tags: list[Mapping[str, Any]] = []
    used: set[str] = set()
    for key, (node, steps) in ids.items():
        text = ".".join(name for _, name in steps[1:])
        if not _readable(levels[key]):
            notes.append(f"{text}: not readable for this user")
            continue
        value, facts = about[key].value, about[key].facts
        count = _count(value)
        if facts.type is None or count == 0:
            kind = "an empty array" if count == 0 else "a structure, or empty"
            notes.append(f"{text}: {kind}; it cannot be a tag as it is")
            continue
        tag: dict[str, Any] = {"name": _name(steps, used), "at": _address(node, steps), "type": facts.type}
        if facts.unit:
            tag["unit"] = facts.unit
        if count > 1:
            tag["count"] = count
        tags.append(tag)
    return Draft(identity=session.identity, tags=tuple(tags), notes=tuple(notes))


async def _variables(session: Session) -> tuple[dict[str, tuple[Any, Steps]], list[str]]:
    """Variables by the text of their node id, each with the way to it; and what was left out."""
    start = ua.NodeId(ua.ObjectIds.ObjectsFolder)
    seen = {start.to_string(), ua.NodeId(ua.ObjectIds.Server).to_string()}
    variables: dict[str, tuple[Any, Steps]] = {}
    level: list[tuple[Any, Steps]] = [(start, ((0, "Objects"),))]
    classes = ua.NodeClass.Object | ua.NodeClass.Variable
    while level:
        references = await session.browse([node for node, _ in level], ua.ObjectIds.HierarchicalReferences, classes)
        below: list[tuple[Any, Steps]] = []
        for (_, steps), held in zip(level, references, strict=True):
            for reference in held:
                node = session.local(reference.NodeId)
                text = node.to_string()
                if text in seen or reference.ReferenceTypeId == ua.NodeId(ua.ObjectIds.HasProperty):
                    continue
                if len(seen) >= MOST_NODES:
                    return variables, [f"stopped after {MOST_NODES} nodes; type what is missing"]
                seen.add(text)
                name = reference.BrowseName
                way = (*steps, (int(name.NamespaceIndex), str(name.Name)))
                below.append((node, way))
                if reference.NodeClass == ua.NodeClass.Variable:
                    variables[text] = (node, way)
        level = below
    return variables, []


def _readable(level: Any) -> bool:
    """False where the server says that the user cannot read the value; a server that says nothing is believed."""
    value = level.Value.Value if level.Value is not None and level.StatusCode.is_good() else None
    return not isinstance(value, int) or bool(value & _CURRENT_READ)


def _count(value: Any) -> int:
    """Elements of the value as it stands, 1 for a scalar."""
    content = None if value.Value is None else value.Value.Value
    count = 1
    while isinstance(content, list):
        count *= len(content)
        content = content[0] if content else None
    return count


def _name(steps: Steps, used: set[str]) -> str:
    """The last browse name, with those before it in front until nobody else has it."""
    words = [name for _, name in steps[1:]]
    name = ""
    for length in range(1, len(words) + 1):
        name = "/".join(words[-length:])
        if name not in used:
            break
    number, plain = 2, name
    while name in used:
        name, number = f"{plain} ({number})", number + 1
    used.add(name)
    return name


def _address(node: Any, steps: Steps) -> str:
    """A text id as it is; any other by its path, where the path can be written."""
    text = str(node.to_string())
    if isinstance(node.Identifier, str) and isinstance(parse(text), NodeAddress):
        return text
    path = path_of(steps)
    return path if parse(path) else text
