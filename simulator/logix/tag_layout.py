"""A section of a scene as a controller's tags: types, layout, and how the plant's values get into the bytes.

    catalog type   bool int8 int16 int32 int64 uint8 .. uint64      float16/32  float64  string
    Logix type     BOOL SINT INT   DINT  LINT  USINT .. ULINT       REAL        LREAL    STRING or STRING_n

A tag's bytes are written when it is first read after the plant moved, so tags that nobody reads cost nothing. All
elements of an atomic array stand next to one another in the plant's list and are packed in one go.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple, TypeAlias

from protocol.errors import ConfigError
from simulator.logix.cip import ATOMICS, BOOL_TRUE, Atomic
from simulator.logix.controller import STRING_LENGTH, Controller, LogixTag
from simulator.logix.types import Template, Type
from simulator.plant.plant import Plant, PlantMoment, Value
from simulator.plant.troubles import View
from simulator.scene.scene import DeviceSection, TagEntry

NAMES = {
    "bool": "BOOL",
    "int8": "SINT",
    "uint8": "USINT",
    "int16": "INT",
    "uint16": "UINT",
    "int32": "DINT",
    "uint32": "UDINT",
    "int64": "LINT",
    "uint64": "ULINT",
    "float16": "REAL",
    "float32": "REAL",
    "float64": "LREAL",
}
"""Catalog type -> Logix type; `string` goes by its length."""

Writer: TypeAlias = Callable[[bytearray, Sequence[Value]], None]


class Leaf(NamedTuple):
    """A scalar, or an atomic array, within a tag's bytes."""

    path: str
    """Name of its first point."""
    type: Type
    elements: int
    offset: int
    bit: int


def fill(controller: Controller, plant: Plant, section: DeviceSection, view: View) -> None:
    """Declare the section's types and tags, and keep them at the moment that the device's view shows.

    Raises:
        ConfigError: something that a Logix controller cannot have.
    """
    for struct_ in section.structs.values():
        members = [(one.name, _type(controller, one), prod(one.dims) if one.dims else 0) for one in struct_.members]
        if any(len(one.dims) > 1 for one in struct_.members):
            raise ConfigError(
                f"{section.asset}, struct {struct_.name}: a member has more than one dimension",
                hint="members of a Logix structure are scalars or arrays of one dimension",
            )
        controller.template(struct_.name, members)
    for entry in section.entries:
        if entry.type == "bool" and len(entry.dims) > 1:
            raise ConfigError(
                f"{section.asset}, tag {entry.name}: a BOOL array has one dimension in Logix",
                hint="give it one size, or make it int32",
            )
        tag = controller.tag(entry.name, _type(controller, entry), entry.dims)
        tag.fill = _filler(plant, view, section.asset, list(_leaves(tag, entry, section)))

    def moved(_: PlantMoment) -> None:
        controller.tick += 1

    view.listen(moved)


def _type(controller: Controller, entry: TagEntry) -> Type:
    if entry.type == "string":
        return controller.string_type(STRING_LENGTH if entry.length <= STRING_LENGTH else entry.length)
    return controller.type(NAMES.get(entry.type, entry.type))


def _leaves(tag: LogixTag, entry: TagEntry, section: DeviceSection) -> Iterator[Leaf]:
    """Every run of like values in the tag, with the name of its first point."""
    first = f"[{','.join('0' * len(entry.dims))}]" if entry.dims else ""
    if isinstance(tag.type, Atomic):
        yield Leaf(entry.name + first, tag.type, prod(entry.dims), 0, -1)
        return
    for number, index in enumerate(product(*map(range, entry.dims))):
        name = entry.name + (f"[{','.join(map(str, index))}]" if index else "")
        yield from _inside(name, tag.type, number * tag.type.size, entry.type, section)


def _inside(path: str, kind: Template, offset: int, declared: str, section: DeviceSection) -> Iterator[Leaf]:
    """Leaves of one structure that starts at `offset`."""
    if kind.text_length:
        yield Leaf(path, kind, 1, offset, -1)
        return
    for member in section.structs[declared].members:
        place = kind.by_name[member.name.lower()]
        at = offset + place.offset
        if isinstance(place.type, Atomic):
            first = "[0]" if member.dims else ""
            yield Leaf(f"{path}.{member.name}{first}", place.type, prod(member.dims), at, place.bit)
            continue
        for number in range(max(place.count, 1)):
            name = f"{path}.{member.name}" + (f"[{number}]" if member.dims else "")
            yield from _inside(name, place.type, at + number * place.type.size, member.type, section)


def _filler(plant: Plant, view: View, asset: str, leaves: list[Leaf]) -> Callable[[bytearray], None]:
    writers = [_writer(leaf, plant.point(asset, leaf.path).number) for leaf in leaves]

    def fill_one(data: bytearray) -> None:
        values = view.moment.values
        for write in writers:
            write(data, values)

    return fill_one


def _writer(leaf: Leaf, number: int) -> Writer:
    """What copies one leaf from the plant's list, where it begins at `number`, into the tag's bytes."""
    kind, offset, last = leaf.type, leaf.offset, number + leaf.elements
    if isinstance(kind, Template):
        text = struct.Struct(f"<I{kind.text_length}s")

        def write_text(data: bytearray, values: Sequence[Value]) -> None:
            raw = str(values[number]).encode("latin-1", "replace")[: kind.text_length]
            text.pack_into(data, offset, len(raw), raw)

        return write_text
    if leaf.bit >= 0:
        mask = 1 << leaf.bit

        def write_bit(data: bytearray, values: Sequence[Value]) -> None:
            data[offset] = data[offset] | mask if values[number] else data[offset] & ~mask

        return write_bit
    if kind is ATOMICS["DWORD"]:
        length = -(-leaf.elements // 32) * 4

        def write_bits(data: bytearray, values: Sequence[Value]) -> None:
            whole = sum(1 << at for at, value in enumerate(values[number:last]) if value)
            data[offset : offset + length] = whole.to_bytes(length, "little")

        return write_bits
    if kind is ATOMICS["BOOL"]:

        def write_bool(data: bytearray, values: Sequence[Value]) -> None:
            data[offset] = BOOL_TRUE if values[number] else 0

        return write_bool
    numbers = struct.Struct(f"<{leaf.elements}{kind.letter}")

    def write_numbers(data: bytearray, values: Sequence[Value]) -> None:
        numbers.pack_into(data, offset, *values[number:last])

    return write_numbers
