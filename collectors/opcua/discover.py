"""What can be read from a server: its variables below Objects, as drafts of tags.

The server's own object (Server) is left out, and so are properties, which describe other nodes. A node that is reached
by two ways is listed once. Numeric ids are often given anew at a restart, so such a node is drafted by its path of
browse names, and so is one whose id is longer than an address may be; a text id is kept. Namespaces are named by uri.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asyncua import ua

from collectors.base import Draft
from collectors.opcua.address import BranchAddress, NodeAddress, PathAddress, Steps, parse, path_of, text_of
from collectors.opcua.branch import MOST_NODES, walk
from collectors.opcua.config import Config
from collectors.opcua.facts import learn
from collectors.opcua.session import Session, attribute
from protocol.errors import ConfigError

LONGEST = 512
"""What an address may have in a configuration [bytes]."""

_CURRENT_READ = 1
"""Bit of AccessLevel: the current value can be read (OPC 10000-3, 8.57)."""


async def draft(session: Session, config: Config, ranges: Sequence[str]) -> Draft:
    """Browse the server and draft a tag for each variable that can be read.

    Args:
        config: What is fenced off.
        ranges: Paths of the branches to look at; empty: everything below Objects.

    Raises:
        AssetError: the server stopped answering.
        ConfigError: a range is no branch, or a gentle device is to be browsed whole.
    """
    found, notes = await _variables(session, config, ranges)
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
        tag: dict[str, Any] = {"name": _name(steps, used), "at": _address(session, node, steps), "type": facts.type}
        if facts.unit:
            tag["unit"] = facts.unit
        if count > 1:
            tag["count"] = count
        tags.append(tag)
    return Draft(identity=session.identity, tags=tuple(tags), notes=tuple(notes))


async def _variables(
    session: Session, config: Config, ranges: Sequence[str]
) -> tuple[dict[str, tuple[Any, Steps]], list[str]]:
    """Variables by the text of their node id, each with the way to it; and what was left out."""
    variables: dict[str, tuple[Any, Steps]] = {}
    notes: list[str] = []
    for typed, deep in _starts(config, ranges):
        steps = session.spaces.steps(typed)
        (start,) = await session.translate([steps])
        if isinstance(start, ua.StatusCode):
            notes.append(f"{path_of(typed)}: the server has no such node")
            continue
        if session.fenced(steps) or session.forbids(start):
            notes.append(f"{path_of(typed)}: in never_read, with all below it")
            continue
        (kind,) = await session.read([attribute(start, ua.AttributeIds.NodeClass)])
        if kind.Value is not None and kind.Value.Value == ua.NodeClass.Variable:
            variables.setdefault(start.to_string(), (start, steps))
        found = await walk(session, start, steps, deep=deep)
        variables |= {text: one for text, one in found.variables.items() if text not in variables}
        if found.fenced:
            more = f" and {len(found.fenced) - 1} more" if len(found.fenced) > 1 else ""
            notes.append(f"{path_of(found.fenced[0])}{more}: in never_read, with all below")
        if not found.whole:
            notes.append(f"{path_of(steps)}: stopped after {MOST_NODES} nodes; type what is missing")
    return variables, notes


def _starts(config: Config, ranges: Sequence[str]) -> list[tuple[Steps, bool]]:
    """Where to browse, and whether to any depth."""
    if not ranges and config.gentle:
        hint = "name the branches that may be: --range /Objects/2:Plant/2:Pump/**"
        raise ConfigError("a device of this class is not browsed as a whole", hint=hint)
    if not ranges:
        return [(((0, "Objects"),), True)]
    out = []
    for text in ranges:
        where = parse(text)
        if isinstance(where, PathAddress):
            out.append((where.steps, True))
        elif isinstance(where, BranchAddress) and where.names == "*" and where.space is None:
            out.append((where.steps, where.deep))
        else:
            raise ConfigError(f"--range {text!r} is no branch", hint="write /Objects/2:Plant/**, or /* for one level")
    return out


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


def _address(session: Session, node: Any, steps: Steps) -> str:
    """A text id as it is; any other, and one that is too long, by its path, where the path can be written."""
    space = session.spaces.name(node.NamespaceIndex)
    uri, index = (space, 0) if isinstance(space, str) else ("", space)
    text = text_of(NodeAddress(identifier=node.Identifier, namespace=index, uri=uri))
    short = len(text.encode()) <= LONGEST
    if short and isinstance(node.Identifier, str) and isinstance(parse(text), NodeAddress):
        return text
    path = path_of(steps)
    return path if parse(path) and (len(path.encode()) <= LONGEST or not short) else text
