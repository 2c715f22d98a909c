"""A device's address space for OPC UA: which node stands where, with what type, unit and range.

    Objects / area / .. / asset / Turbine / Bearing1 / Temperature        ns=2;s=Turbine.Bearing1.Temperature

A point's name is its NodeId, or what its `at` says (`i=1001`, `s=..`), or a number that changes with every restart; its
dots are folders, whose ids begin with a slash so that they can never be a point's. An array of a simple type is one
node. A number with a range is an AnalogItemType with EURange and EngineeringUnits, one with a unit alone an
AnalogUnitType, the rest BaseDataVariableType (OPC 10000-8, 5.3.2). Variables are readable, never writable.

The server adds a node in a time that grows with its parent's children, so a folder never has more than FOLDER of them:
what is too many goes into `name~2`, `name~3`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from asyncua import ua

from protocol.errors import ConfigError
from simulator.opcua.unece import unit
from simulator.opcua.values import Form
from simulator.scene.scene import DeviceSection, ScenePoint, TagEntry

FOLDER = 100
"""Most children of one folder: 10,000 nodes then take 3 s to add instead of 74 s (measured)."""

NUMBERS = 1_000_000
"""Numeric NodeIds are drawn below this."""


@dataclass(frozen=True, slots=True)
class VariableNode:
    """One variable: a scalar, or an array of a simple type."""

    node: Any
    """Its NodeId."""
    name: str
    points: tuple[ScenePoint, ...]
    """In row-major order."""
    form: Form


def node_id(namespace: int, name: str) -> Any:
    """The NodeId of a point or folder that is known by its name."""
    return ua.NodeId(name, namespace)


def variables_of(section: DeviceSection, namespace: int, draw: random.Random | None = None) -> list[VariableNode]:
    """The variables of a device, in the order of its points.

    Args:
        section: The device.
        namespace: Index of its namespace.
        draw: Where numeric ids come from; None for ids by name.

    Raises:
        ConfigError: an address that is no NodeId, or two of the same.
    """
    groups: dict[str, list[ScenePoint]] = {}
    for point in section.points:
        name = point.name.rpartition("[")[0] if point.entry.dims else point.name
        groups.setdefault(name, []).append(point)
    numbers = draw.sample(range(1, NUMBERS), len(groups)) if draw else []
    out, seen = [], set[Any]()
    for place, (name, points) in enumerate(groups.items()):
        node = ua.NodeId(numbers[place], namespace) if draw else _named(namespace, name, points[0])
        if node in seen:
            raise ConfigError(f"{section.asset}, tag {name}: {node.to_string()} is another tag already", hint="move it")
        seen.add(node)
        out.append(VariableNode(node, name, tuple(points), Form(points[0].entry)))
    return out


def _named(namespace: int, name: str, point: ScenePoint) -> Any:
    kind, equals, text = point.at.partition("=")
    if not point.at:
        return node_id(namespace, name)
    if not equals or kind not in ("i", "s") or (kind == "i" and not text.isdecimal()):
        raise ConfigError(f"{point.asset}, tag {name}: `{point.at}` is no NodeId", hint="such as i=1001 or s=Some.Name")
    return ua.NodeId(int(text) if kind == "i" else text, namespace)


class NodeTree:
    """The nodes of one device, as the items of an AddNodes service call, parents first."""

    def __init__(
        self,
        section: DeviceSection,
        namespace: int,
        variables: Sequence[VariableNode] | None = None,
        *,
        history: bool = False,
    ) -> None:
        """
        Args:
            section: The device.
            namespace: Index of its namespace.
            variables: Its cells; None for those with ids by name.
            history: Whether their history can be read.
        """
        self.items: list[Any] = []
        self._access = ua.AccessLevel.CurrentRead.mask | (ua.AccessLevel.HistoryRead.mask if history else 0)
        self._namespace = namespace
        self._children: dict[str, int] = {}
        self._overflow: dict[str, str] = {}
        root = ""
        for part in [*filter(None, section.path.split("/")), section.asset]:
            root = self._folder(root, part)
        self._plate(root, section)
        for variable in variables_of(section, namespace) if variables is None else variables:
            self._variable(root, variable)

    def _place(self, parent: str) -> str:
        """`parent`, or the overflow folder that has room; one more child is counted there."""
        here = self._overflow.get(parent, parent)
        if self._children.get(here, 0) >= FOLDER:
            number = int(here.rpartition("~")[2]) + 1 if here != parent else 2
            above, _, name = parent.rpartition("/")
            here = f"{parent}~{number}"
            self._add_folder(self._place(above) if above else above, here, f"{name}~{number}")
            self._overflow[parent] = here
        self._children[here] = self._children.get(here, 0) + 1
        return here

    def _folder(self, parent: str, name: str) -> str:
        path = f"{parent}/{name}"
        if path not in self._children:
            self._add_folder(self._place(parent), path, name)
        return path

    def _add_folder(self, parent: str, path: str, name: str) -> None:
        self._children.setdefault(path, 0)
        above = node_id(self._namespace, parent) if parent else ua.NodeId(ua.ObjectIds.ObjectsFolder)
        self.items.append(
            ua.AddNodesItem(
                ParentNodeId=above,
                ReferenceTypeId=ua.NodeId(ua.ObjectIds.Organizes),
                RequestedNewNodeId=node_id(self._namespace, path),
                BrowseName=ua.QualifiedName(name, self._namespace),
                NodeClass=ua.NodeClass.Object,
                NodeAttributes=ua.ObjectAttributes(DisplayName=ua.LocalizedText(name)),
                TypeDefinition=ua.NodeId(ua.ObjectIds.FolderType),
            )
        )

    def _variable(self, root: str, variable: VariableNode) -> None:
        *folders, name = variable.name.split(".")
        parent = root
        for part in folders:
            parent = self._folder(parent, part)
        entry, variant = variable.points[0].entry, variable.form.variant
        self.items.append(
            ua.AddNodesItem(
                ParentNodeId=node_id(self._namespace, self._place(parent)),
                ReferenceTypeId=ua.NodeId(ua.ObjectIds.HasComponent if folders else ua.ObjectIds.Organizes),
                RequestedNewNodeId=variable.node,
                BrowseName=ua.QualifiedName(name, self._namespace),
                NodeClass=ua.NodeClass.Variable,
                NodeAttributes=ua.VariableAttributes(
                    DisplayName=ua.LocalizedText(name),
                    Description=ua.LocalizedText(variable.points[0].description),
                    Value=ua.Variant(None, ua.VariantType.Null),
                    DataType=ua.NodeId(variant.value),
                    ValueRank=len(entry.dims) if entry.dims else ua.ValueRank.Scalar,
                    ArrayDimensions=list(entry.dims),
                    AccessLevel=self._access,
                    UserAccessLevel=self._access,
                    Historizing=self._access != ua.AccessLevel.CurrentRead.mask,
                    MinimumSamplingInterval=float(entry.every_ms),
                ),
                TypeDefinition=ua.NodeId(_type_of(entry)),
            )
        )
        self.items.extend(self._properties(variable.node, variable.name, _meaning(entry)))

    def _plate(self, root: str, section: DeviceSection) -> None:
        """The name plate, in the words of OPC 10000-100, 4.5.2."""
        words = {
            "Manufacturer": section.vendor,
            "Model": section.model,
            "SerialNumber": section.serial,
            "SoftwareRevision": section.firmware,
        }
        values = [(name, ua.Variant(text, ua.VariantType.String)) for name, text in words.items()]
        values.append(("Simulated", ua.Variant(True, ua.VariantType.Boolean)))
        self.items.extend(self._properties(node_id(self._namespace, root), root, values))

    def _properties(self, owner: Any, path: str, values: list[tuple[str, Any]]) -> Iterator[Any]:
        for name, variant in values:
            standard = name in ("EURange", "EngineeringUnits")
            yield ua.AddNodesItem(
                ParentNodeId=owner,
                ReferenceTypeId=ua.NodeId(ua.ObjectIds.HasProperty),
                RequestedNewNodeId=node_id(self._namespace, f"{path}/{name}"),
                BrowseName=ua.QualifiedName(name, 0 if standard else self._namespace),
                NodeClass=ua.NodeClass.Variable,
                NodeAttributes=ua.VariableAttributes(
                    SpecifiedAttributes=_PROPERTY_MASK,
                    DisplayName=ua.LocalizedText(name),
                    Value=variant,
                    DataType=ua.NodeId(_PROPERTY_TYPES.get(name, variant.VariantType.value)),
                    ValueRank=ua.ValueRank.Scalar,
                    AccessLevel=ua.AccessLevel.CurrentRead.mask,
                    UserAccessLevel=ua.AccessLevel.CurrentRead.mask,
                ),
                TypeDefinition=ua.NodeId(ua.ObjectIds.PropertyType),
            )


_PROPERTY_TYPES = {"EURange": ua.ObjectIds.Range, "EngineeringUnits": ua.ObjectIds.EUInformation}


_PROPERTY_MASK = sum(
    int(getattr(ua.NodeAttributesMask, name))
    for name in ("DisplayName", "Value", "DataType", "ValueRank", "AccessLevel", "UserAccessLevel")
)


def _type_of(entry: TagEntry) -> int:
    if entry.low is not None and entry.high is not None:
        return int(ua.ObjectIds.AnalogItemType)
    return int(ua.ObjectIds.AnalogUnitType if entry.unit else ua.ObjectIds.BaseDataVariableType)


def _meaning(entry: TagEntry) -> list[tuple[str, Any]]:
    """Range and unit, where there are any."""
    values = []
    if entry.low is not None and entry.high is not None:
        values.append(("EURange", _range(float(entry.low), float(entry.high))))
    if entry.unit:
        values.append(("EngineeringUnits", _unit(entry.unit)))
    return values


@lru_cache(maxsize=1024)
def _range(low: float, high: float) -> Any:
    return ua.Variant(ua.Range(Low=low, High=high))


@lru_cache(maxsize=1024)
def _unit(code: str) -> Any:
    known = unit(code)
    return ua.Variant(
        ua.EUInformation(
            NamespaceUri=known.namespace,
            UnitId=known.id,
            DisplayName=ua.LocalizedText(known.symbol),
            Description=ua.LocalizedText(known.name),
        )
    )
