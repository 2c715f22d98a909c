"""A device's address space for OPC UA: which node stands where, with what type, unit and range.

    Objects / area / .. / asset / Turbine / Bearing1 / Temperature        ns=2;s=Turbine.Bearing1.Temperature

A point's name is its NodeId; its dots are folders, whose ids begin with a slash so that they can never be a point's.
A number with a range is an AnalogItemType with EURange and EngineeringUnits, one with a unit alone an AnalogUnitType,
the rest BaseDataVariableType (OPC 10000-8, 5.3.2). Variables are readable, never writable.

The server adds a node in a time that grows with its parent's children, so a folder never has more than FOLDER of them:
what is too many goes into `name~2`, `name~3`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from asyncua import ua

from simulator.scene import Entry, Point, Section
from simulator.unece import unit

FOLDER = 100
"""Most children of one folder: 10,000 nodes then take 3 s to add instead of 74 s (measured)."""

VARIANTS: dict[str, Any] = {
    "bool": ua.VariantType.Boolean,
    "int8": ua.VariantType.SByte,
    "uint8": ua.VariantType.Byte,
    "int16": ua.VariantType.Int16,
    "uint16": ua.VariantType.UInt16,
    "int32": ua.VariantType.Int32,
    "uint32": ua.VariantType.UInt32,
    "int64": ua.VariantType.Int64,
    "uint64": ua.VariantType.UInt64,
    "float16": ua.VariantType.Float,
    "float32": ua.VariantType.Float,
    "float64": ua.VariantType.Double,
    "string": ua.VariantType.String,
}
"""Catalog type -> built-in type (OPC 10000-6, 5.1.2); its number is the DataType's NodeId in namespace 0."""


def node_id(namespace: int, name: str) -> Any:
    """The NodeId of a point."""
    return ua.NodeId(name, namespace)


class Tree:
    """The nodes of one device, as the items of an AddNodes service call, parents first."""

    def __init__(self, section: Section, namespace: int) -> None:
        self.items: list[Any] = []
        self._namespace = namespace
        self._children: dict[str, int] = {}
        self._overflow: dict[str, str] = {}
        root = ""
        for part in [*filter(None, section.path.split("/")), section.asset]:
            root = self._folder(root, part)
        self._plate(root, section)
        for point in section.points:
            self._variable(root, point)

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

    def _variable(self, root: str, point: Point) -> None:
        *folders, name = point.name.split(".")
        parent = root
        for part in folders:
            parent = self._folder(parent, part)
        entry, own = point.entry, node_id(self._namespace, point.name)
        variant = VARIANTS[entry.type]
        self.items.append(
            ua.AddNodesItem(
                ParentNodeId=node_id(self._namespace, self._place(parent)),
                ReferenceTypeId=ua.NodeId(ua.ObjectIds.HasComponent if folders else ua.ObjectIds.Organizes),
                RequestedNewNodeId=own,
                BrowseName=ua.QualifiedName(name, self._namespace),
                NodeClass=ua.NodeClass.Variable,
                NodeAttributes=ua.VariableAttributes(
                    DisplayName=ua.LocalizedText(name),
                    Description=ua.LocalizedText(point.description),
                    Value=ua.Variant(None, ua.VariantType.Null),
                    DataType=ua.NodeId(variant.value),
                    ValueRank=ua.ValueRank.Scalar,
                    AccessLevel=ua.AccessLevel.CurrentRead.mask,
                    UserAccessLevel=ua.AccessLevel.CurrentRead.mask,
                    MinimumSamplingInterval=float(entry.every_ms),
                ),
                TypeDefinition=ua.NodeId(_type_of(entry)),
            )
        )
        self.items.extend(self._properties(own, point.name, _meaning(entry)))

    def _plate(self, root: str, section: Section) -> None:
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


def _type_of(entry: Entry) -> int:
    if entry.low is not None and entry.high is not None:
        return int(ua.ObjectIds.AnalogItemType)
    return int(ua.ObjectIds.AnalogUnitType if entry.unit else ua.ObjectIds.BaseDataVariableType)


def _meaning(entry: Entry) -> list[tuple[str, Any]]:
    """Range and unit, where there are any."""
    values = []
    if entry.low is not None and entry.high is not None:
        values.append(("EURange", ua.Variant(ua.Range(Low=float(entry.low), High=float(entry.high)))))
    if entry.unit:
        known = unit(entry.unit)
        values.append(
            (
                "EngineeringUnits",
                ua.Variant(
                    ua.EUInformation(
                        NamespaceUri=known.namespace,
                        UnitId=known.id,
                        DisplayName=ua.LocalizedText(known.symbol),
                        Description=ua.LocalizedText(known.name),
                    )
                ),
            )
        )
    return values
