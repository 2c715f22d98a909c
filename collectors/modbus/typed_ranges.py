"""A draft of the ranges that a person typed: what is there, as it stands, address by address.

Modbus has no list of its registers, so nothing outside the typed ranges is read. A block that is refused, or answered
short, is halved until the addresses that are there stand alone; a device that refuses everywhere is left in peace after
`MOST_REFUSED` requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from collectors.modbus.address import Range, Table
from collectors.modbus.config import Config, Item
from collectors.modbus.plan import Read, read_of

MOST_REFUSED = 64
"""Requests that may be refused before the search is given up."""

GARBLED = 0
"""In place of an exception's code: a reply of another function or length, as of a device that cuts long ones short."""

Ask: TypeAlias = Callable[[Read], Awaitable[bytes | int | None]]


async def draft(
    ranges: Sequence[Range], config: Config, ask: Ask, *, halve: bool
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Tag tables and notes.

    Args:
        ranges: What may be read.
        ask: Sends one read: its data, the code of an exception or `GARBLED`, or None where there is no reply.
        halve: Look for what is there inside a refused block; not in a gentle device.
    """
    tags: list[Mapping[str, Any]] = []
    notes: list[str] = []
    refused = 0
    for one in ranges:
        waiting = list(_blocks(one, config))
        while waiting and refused < MOST_REFUSED:
            read = waiting.pop(0)
            answer = await ask(read)
            if isinstance(answer, bytes):
                tags += [_tag(read, place, answer) for place in range(read.count)]
                continue
            refused += 1
            if halve and isinstance(answer, int) and read.count > 1:
                middle = read.count // 2
                waiting[:0] = [read_of(read.items[:middle]), read_of(read.items[middle:])]
            else:
                notes.append(f"{read}: " + _told(answer))
        if waiting:
            notes.append(f"{one}: given up after {MOST_REFUSED} refused requests; type smaller ranges")
    notes.append("types are not in the device: join registers to int32, float32 .. by the manual (`checkvalve peek`)")
    return tags, notes


def _told(answer: int | None) -> str:
    if answer is None:
        return "no answer to it"
    return "a reply of another function or length" if answer == GARBLED else f"exception {answer}"


def _blocks(one: Range, config: Config) -> Iterator[Read]:
    """The range in reads as long as the device takes them, without what must never be read."""
    fences = config.never_read
    items = [
        Item(number=at, table=one.table, address=at, width=1, **_kind(one.table))
        for at in range(one.first, one.last + 1)
        if not any(fence.meets(one.table, at, at + 1) for fence in fences)
    ]
    most = config.max_bits if one.table.bits else config.max_registers
    block: list[Item] = []
    for item in items:
        if block and (len(block) == most or item.address != block[-1].end):
            yield read_of(block)
            block = []
        block.append(item)
    if block:
        yield read_of(block)


def _kind(table: Table) -> dict[str, Any]:
    return {"type": "bool", "cell": 1} if table.bits else {"type": "uint16"}


def _tag(read: Read, place: int, data: bytes) -> dict[str, Any]:
    at = read.start + place
    tag = {"name": f"{read.table.value}_{at}", "at": f"{read.table.value}:{at}"}
    if read.table.bits:
        return tag | {"description": f"{'on' if data[place] else 'off'} when it was looked at"}
    word = int.from_bytes(data[2 * place : 2 * place + 2], "big")
    return tag | {"type": "uint16", "description": f"0x{word:04X} when it was looked at"}
