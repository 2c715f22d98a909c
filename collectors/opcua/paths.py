"""Nodes that may get new ids: the way to each is learned once, and the node is found by it ever after.

A server that numbers its nodes at each start gives `ns=2;i=1042` to one node today and to another tomorrow. So for
numeric ids the browse names up to the Objects folder are asked for when the node is first found (or a person has typed
them, as `path`). At the next connect the path is followed: it leads to the same id, or to another, which is then used
and told. Where the path leads nowhere, the typed id still counts if the node there has the name that the path ends in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asyncua import ua

from collectors.opcua.address import BranchAddress, NodeAddress, PathAddress, Steps, path_of
from collectors.opcua.config import Node
from collectors.opcua.memory import Memory
from collectors.opcua.session import Session, attribute
from protocol.content.sample import Quality

DEEPEST = 24
"""Most steps of a path."""


def missing(quality: int) -> Any:
    """What stands for a node that is not there."""
    return ua.StatusCode(ua.UInt32(quality))


async def resolve(session: Session, nodes: Sequence[Node], memory: Memory) -> dict[int, Any]:
    """Node id by point number; a StatusCode where the server has no such namespace, path or node."""
    found: dict[int, Any] = {}
    by_path: list[tuple[int, Steps]] = []
    for node in nodes:
        address = node.address
        assert not isinstance(address, BranchAddress)
        if isinstance(address, PathAddress):
            by_path.append((node.number, address.steps))
            continue
        found[node.number] = session.typed(address)
        way = memory.paths.get(node.number) or (node.path.steps if node.path else None)
        if way:
            by_path.append((node.number, way))
    ends = await session.translate([way for _, way in by_path])
    lost = {}
    for (number, way), end in zip(by_path, ends, strict=True):
        if number in found and isinstance(end, ua.StatusCode):
            lost[number] = way
        else:
            found[number] = end
    await _confirm(session, found, lost)
    for node in nodes:
        _tell(session, node, found[node.number], memory)
        if not isinstance(found[node.number], ua.StatusCode) and session.forbids(found[node.number]):
            found[node.number] = missing(Quality.BAD_CONFIGURATION)
    return found


async def learn(session: Session, nodes: Mapping[int, Any]) -> dict[int, Steps]:
    """The way to each node by browse names from the root folder; without those to which no way leads back.

    Args:
        nodes: Id by point number.
    """
    ways = await _upwards(session, nodes)
    ends = await session.translate(list(ways.values()))
    return {number: way for (number, way), end in zip(ways.items(), ends, strict=True) if end == nodes[number]}


async def _upwards(session: Session, nodes: Mapping[int, Any]) -> dict[int, Steps]:
    """From each node to the Objects folder, by the first node above each; names alone may lead to another."""
    names = await session.read([attribute(node, ua.AttributeIds.BrowseName) for node in nodes.values()])
    ways: dict[int, Steps] = {}
    above: dict[int, Any] = dict(nodes)
    for number, name in zip(nodes, names, strict=True):
        if name.Value is not None and isinstance(name.Value.Value, ua.QualifiedName):
            ways[number] = (session.step(name.Value.Value),)
    done: dict[int, Steps] = {}
    for _ in range(DEEPEST):
        going = [number for number in ways if number not in done]
        if not going:
            break
        unique = {above[number].to_string(): above[number] for number in going}
        parents = dict(zip(unique, await session.parents(list(unique.values())), strict=True))
        for number in going:
            parent = parents[above[number].to_string()]
            if parent is None:
                del ways[number]
                continue
            above[number] = session.local(parent.NodeId)
            ways[number] = (session.step(parent.BrowseName), *ways[number])
            if above[number] == ua.NodeId(ua.ObjectIds.ObjectsFolder):
                done[number] = ways[number]
    return done


def changeable(node: Node) -> bool:
    """Whether a node's id may be another one tomorrow, and nobody has typed its path."""
    address = node.address
    return (
        isinstance(address, NodeAddress)
        and isinstance(address.identifier, int)
        and (bool(address.namespace or address.uri) and node.path is None)
    )


async def _confirm(session: Session, found: dict[int, Any], ways: Mapping[int, Steps]) -> None:
    """Nodes whose path leads nowhere keep their typed id only where the name there is the path's last."""
    asked = {number: found[number] for number in ways if not isinstance(found[number], ua.StatusCode)}
    names = await session.read([attribute(node, ua.AttributeIds.BrowseName) for node in asked.values()])
    for number, name in zip(asked, names, strict=True):
        content = None if name.Value is None else name.Value.Value
        last = session.spaces.steps(ways[number][-1:])
        if not isinstance(content, ua.QualifiedName) or (session.step(content),) != last:
            found[number] = missing(Quality.BAD_NODE_UNKNOWN)


def _tell(session: Session, node: Node, now: Any, memory: Memory) -> None:
    if not isinstance(node.address, NodeAddress) or isinstance(now, ua.StatusCode):
        return
    if now != session.typed(node.address):
        way = memory.paths.get(node.number) or (node.path.steps if node.path else ())
        memory.remark(f"{node.name}: {node.text} is {now.to_string()} now, found by {path_of(way)}", once=True)
