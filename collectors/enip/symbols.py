"""What the controller's tag list says of an address: its type, its place in arrays and structures, its spelling.

    "motors[2].speed"  ->  Meaning(path "Motors[2].Speed", type "REAL", parent "Motors[2]", ..)
                       ->  Unknown("Motors has 2 elements")

The tag list is the library's: a map of tag name to description, in which structures nest. Nothing is asked of the
device here; an address that does not fit is known before a request is made, and stays bad until the list changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from collectors.enip.config import Address, Step
from protocol.content.sample import Quality

CATALOG: dict[str, str] = {
    "BOOL": "bool",
    "DWORD": "bool",
    "SINT": "int8",
    "INT": "int16",
    "DINT": "int32",
    "LINT": "int64",
    "USINT": "uint8",
    "UINT": "uint16",
    "UDINT": "uint32",
    "ULINT": "uint64",
    "REAL": "float32",
    "LREAL": "float64",
    "STRING": "string",
    "SHORT_STRING": "string",
}
"""CIP type -> catalog type. A DWORD is 32 elements of a BOOL array: the library gives them one by one."""

SIZES = {"BOOL": 1, "SINT": 1, "INT": 2, "LINT": 8, "USINT": 1, "UINT": 2, "ULINT": 8, "LREAL": 8}
"""Bytes of a value; all others take 4."""


class Unknown(Exception):
    """An address that the tag list does not know, or that cannot be read as a value."""

    def __init__(self, text: str, quality: int = Quality.BAD_NODE_UNKNOWN) -> None:
        super().__init__(text)
        self.quality = quality


@dataclass(frozen=True, slots=True, kw_only=True)
class TagNode:
    """A node of the tag list that was reached: a tag, an element, or a member."""

    name: str
    """In the controller's own spelling, with element numbers."""
    info: Mapping[str, Any]
    """The library's description."""
    dims: tuple[int, ...]
    """Dimensions that are still open."""
    left: int = 1
    """Elements from here to the end of the array."""

    @property
    def members(self) -> Mapping[str, Mapping[str, Any]]:
        """Members of a structure; empty for all else, and for strings."""
        kind = self.info["data_type"]
        return kind.get("internal_tags", {}) if isinstance(kind, Mapping) and "string" not in kind else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """A value that can be read."""

    path: str
    """What is asked for, without the bit and without a count."""
    bit: int | None
    type: str
    """Catalog type of one element."""
    size: int
    """Bytes of one element."""
    left: int
    """Elements from here to the end of the array, 1 for a scalar; 0 where nobody knows."""
    parent: str
    """The structure that it is a member of; empty where it is none."""
    parent_size: int
    """Size of that structure [bytes]."""
    member: Step
    """Its name and element numbers in that structure."""


class Symbols:
    """The tag list, to be looked up without regard to case."""

    def __init__(self, tags: Mapping[str, Mapping[str, Any]]) -> None:
        self.tags = tags
        self._names = {name.lower(): name for name in tags}

    def find(self, address: Address) -> Meaning:
        """What the address means.

        Raises:
            Unknown: no such tag or member, an element number out of range, or something that is no value.
        """
        place, parent = self._walk(address)
        info = place.info
        if place.members:
            raise Unknown(f"{place.name} is a structure; name one of its members", Quality.BAD_CONFIGURATION)
        kind = info["data_type"]
        name = "STRING" if isinstance(kind, Mapping) else str(kind)
        if name not in CATALOG:
            raise Unknown(f"{place.name} is of type {_type_name(info)}, which is not read", Quality.BAD_NOT_SUPPORTED)
        if info.get("external_access") == "None":
            raise Unknown(f"{place.name} is not open to the outside (External Access)", Quality.BAD_CONFIGURATION)
        size = kind["template"]["structure_size"] if isinstance(kind, Mapping) else SIZES.get(name, 4)
        if address.bit is not None and ("int" not in CATALOG[name] or address.bit >= size * 8):
            raise Unknown(f"{place.name} is {name} and has no bit {address.bit}", Quality.BAD_CONFIGURATION)
        return Meaning(
            path=place.name,
            bit=address.bit,
            type="bool" if address.bit is not None else CATALOG[name],
            size=size,
            left=place.left,
            parent=parent.name if parent else "",
            parent_size=parent.info["data_type"]["template"]["structure_size"] if parent else 0,
            member=Step(place.name.rpartition(".")[2].partition("[")[0], address.steps[-1].index),
        )

    def _walk(self, address: Address) -> tuple[TagNode, TagNode | None]:
        """Down the steps; also the structure above the last one, if its size is known."""
        first, *members = address.steps
        name = self._names.get((address.scope + first.name).lower())
        if name is None:
            raise Unknown(f"no tag {address.scope}{first.name}")
        parent: TagNode | None = None
        place = _indexed(base(name, self.tags[name]), first)
        for step in members:
            if place.dims:
                raise Unknown(f"{place.name} is an array; name an element")
            own = next((one for one in place.members if one.lower() == step.name.lower()), None)
            if own is None:
                raise Unknown(f"{place.name} has no member {step.name}")
            parent = place if "template" in place.info["data_type"] else None
            place = _indexed(member(place, own), step)
        return place, parent


def base(name: str, info: Mapping[str, Any]) -> TagNode:
    """A tag as a place."""
    dims = tuple(info["dimensions"][: info["dim"]])
    return _open(name, info, dims)


def member(place: TagNode, name: str) -> TagNode:
    """A structure's member as a place."""
    info = place.members[name]
    count = info.get("array", 0)
    if "dimensions" in info:  # described by `learn`, not by a template
        return base(f"{place.name}.{name}", info)
    return _open(f"{place.name}.{name}", info, (count,) if count else ())


def _open(name: str, info: Mapping[str, Any], dims: tuple[int, ...]) -> TagNode:
    if dims and info["data_type"] == "DWORD":
        dims = (prod(dims) * 32,)
    return TagNode(name=name, info=info, dims=dims, left=prod(dims))


def _indexed(place: TagNode, step: Step) -> TagNode:
    """Step into an array by the element numbers, if there are any."""
    if not step.index:
        return place
    if len(step.index) != len(place.dims):
        raise Unknown(f"{place.name} has {len(place.dims)} dimensions, not {len(step.index)}")
    number = 0
    for at, size in zip(step.index, place.dims, strict=True):
        if size and at >= size:
            raise Unknown(f"{place.name} has {size} elements, no [{at}]")
        number = number * size + at
    left = place.left - number if place.left else 0
    text = ",".join(map(str, step.index))
    return TagNode(name=f"{place.name}[{text}]", info=place.info, dims=(), left=left)


def _type_name(info: Mapping[str, Any]) -> str:
    return str(info.get("data_type_name") or info["data_type"])


def values(place: TagNode, depth: int, elements: int) -> Iterator[TagNode | str]:
    """Every readable value below a place, for a draft; a text where something was left out.

    Args:
        depth: Levels of structures that are still gone into.
        elements: Elements of an array of structures that are gone into.
    """
    if not place.members:
        yield place
        return
    if depth == 0:
        yield f"{place.name}: nested too deep, left out"
        return
    if place.dims:
        if place.left > elements:
            yield f"{place.name}: {place.left} structures, the first {elements} are listed"
        for number in range(min(place.left, elements)):
            yield from values(_indexed(place, Step("", _index(number, place.dims))), depth, elements)
        return
    kind = place.info["data_type"]
    for name in place.members:
        if name in kind.get("attributes", ()):
            yield from values(member(place, name), depth - 1, elements)


def _index(number: int, dims: tuple[int, ...]) -> tuple[int, ...]:
    """Element numbers of the `number`th element, row by row."""
    out: list[int] = []
    for size in reversed(dims):
        number, at = divmod(number, size)
        out.insert(0, at)
    return tuple(out)
