"""SunSpec devices (inverters, meters, batteries) say which models they hold: a draft by walking that list.

    40000 (or 50000, or 0)   "SunS", then model after model: its number, its length, its points; 65535 ends the list

Offsets count from the model's number. A point's scale factor is a register of its model, so both go into one request;
what is not implemented reads as a value that means nothing (SunSpec Information Model Specification, 2.5 and 2.7).
Models that are not in the table below are named in the notes. Only the list is read; the ranges were asked for by a
person, who typed `sunspec`. Pure but for `ask`, which sends one read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

BASES = (40_000, 50_000, 0)
"""Where the list may begin (SunSpec Information Model Specification, 2.1)."""

WORD = "sunspec"
"""What a person types as range of `discover`."""

MARK = b"SunS"

END = 0xFFFF

MOST_MODELS = 64
"""Models that are walked; a list that goes on and on is no list."""

Look: TypeAlias = Callable[[int, int], Awaitable[bytes | None]]
"""Reads so many holding registers from an address; None where there is no answer with data."""

_NONE: dict[str, Any] = {"int16": -32768, "uint16": 65535, "uint32": 0, "float32": "nan"}
"""Value of a point that is not implemented; energy counters (acc32) say 0."""

_PHASES = ("", "_a", "_b", "_c")


def _run(name: str, first: int, kind: str, unit: str, factor: int | None, ends: tuple[str, ...]) -> list[Any]:
    step = 2 if kind in ("uint32", "float32") else 1
    return [(name + end, first + step * at, kind, unit, factor) for at, end in enumerate(ends)]


_AC = ("_ab", "_bc", "_ca")

_INVERTER = [
    *_run("current", 2, "uint16", "A", 6, _PHASES),
    *_run("voltage", 7, "uint16", "V", 13, (*_AC, "_a", "_b", "_c")),
    ("power", 14, "int16", "W", 15),
    ("frequency", 16, "uint16", "Hz", 17),
    ("apparent_power", 18, "int16", "V.A", 19),
    ("reactive_power", 20, "int16", "var", 21),
    ("power_factor", 22, "int16", "%", 23),
    ("energy", 24, "uint32", "W.h", 26),
    ("dc_current", 27, "uint16", "A", 28),
    ("dc_voltage", 29, "uint16", "V", 30),
    ("dc_power", 31, "int16", "W", 32),
    *_run("temperature", 33, "int16", "Cel", 37, ("_cabinet", "_sink", "_transformer", "_other")),
    ("state", 38, "uint16", "", None),
    ("vendor_state", 39, "uint16", "", None),
]

_FLOAT_INVERTER = [
    *_run("current", 2, "float32", "A", None, _PHASES),
    *_run("voltage", 10, "float32", "V", None, (*_AC, "_a", "_b", "_c")),
    *_run("", 22, "float32", "", None, ("power", "frequency", "apparent_power", "reactive_power", "power_factor")),
    *_run("", 32, "float32", "", None, ("energy", "dc_current", "dc_voltage", "dc_power")),
    *_run("temperature", 40, "float32", "Cel", None, ("_cabinet", "_sink", "_transformer", "_other")),
    ("state", 48, "uint16", "", None),
]

_METER = [
    *_run("current", 2, "int16", "A", 6, _PHASES),
    *_run("voltage", 7, "int16", "V", 15, ("", "_a", "_b", "_c", "_line", *_AC)),
    ("frequency", 16, "int16", "Hz", 17),
    *_run("power", 18, "int16", "W", 22, _PHASES),
    *_run("apparent_power", 23, "int16", "V.A", 27, _PHASES),
    *_run("reactive_power", 28, "int16", "var", 32, _PHASES),
    *_run("power_factor", 33, "int16", "%", 37, _PHASES),
    *_run("energy_exported", 38, "uint32", "W.h", 54, _PHASES),
    *_run("energy_imported", 46, "uint32", "W.h", 54, _PHASES),
]

_FLOAT_METER = [
    *_run("current", 2, "float32", "A", None, _PHASES),
    *_run("voltage", 10, "float32", "V", None, ("", "_a", "_b", "_c", "_line", *_AC)),
    ("frequency", 26, "float32", "Hz", None),
    *_run("power", 28, "float32", "W", None, _PHASES),
    *_run("apparent_power", 36, "float32", "V.A", None, _PHASES),
    *_run("reactive_power", 44, "float32", "var", None, _PHASES),
    *_run("power_factor", 52, "float32", "", None, _PHASES),
    *_run("energy_exported", 60, "float32", "W.h", None, _PHASES),
    *_run("energy_imported", 68, "float32", "W.h", None, _PHASES),
]

MODELS: dict[int, tuple[str, list[Any]]] = {
    **dict.fromkeys((101, 102, 103), ("inverter", _INVERTER)),
    **dict.fromkeys((111, 112, 113), ("inverter", _FLOAT_INVERTER)),
    **dict.fromkeys((201, 202, 203, 204), ("meter", _METER)),
    **dict.fromkeys((211, 212, 213, 214), ("meter", _FLOAT_METER)),
}
"""Model number -> what it is, and its points: name, offset, type, unit, offset of the scale factor."""

COMMON = {"vendor": (2, 32), "model": (18, 32), "firmware": (42, 16), "serial": (50, 32)}
"""Model 1: who the device is; offset and bytes of each text."""


async def draft(look: Look) -> tuple[dict[str, bytes], list[Mapping[str, Any]], list[str]]:
    """Walk the list: who the device is, tag tables, notes."""
    base = await _begin(look)
    identity: dict[str, bytes] = {}
    if base is None:
        where = ", ".join(map(str, BASES))
        return identity, [], [f"no SunSpec model list at holding {where}: it is no SunSpec device, or another unit"]
    tags: list[Mapping[str, Any]] = []
    notes: list[str] = []
    seen: dict[str, int] = {}
    at = base + 2
    for _ in range(MOST_MODELS):
        head = await look(at, 2)
        if head is None or len(head) != 4:
            notes.append(f"the model list breaks off at holding:{at}")
            break
        number, length = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:], "big")
        if number == END:
            break
        if number == 1:
            for key, (offset, size) in COMMON.items():
                identity[key] = await look(at + offset, size // 2) or b""
        elif number in MODELS:
            tags += _tags(number, at, length, seen)
        else:
            notes.append(f"model {number} with {length} registers from holding:{at + 2} is not known here")
        at += 2 + length
        if at > 0xFFFF - 1:
            break
    return identity, tags, notes


async def _begin(look: Look) -> int | None:
    for base in BASES:
        if await look(base, 2) == MARK:
            return base
    return None


def _tags(number: int, at: int, length: int, seen: dict[str, int]) -> list[Mapping[str, Any]]:
    what, points = MODELS[number]
    seen[what] = seen.get(what, 0) + 1
    prefix = what if seen[what] == 1 else f"{what}_{seen[what]}"
    out: list[Mapping[str, Any]] = []
    for name, offset, kind, unit, factor in points:
        width = 2 if kind in ("uint32", "float32") else 1
        if max(offset + width, (factor or 0) + 1) > length + 2:
            continue
        tag: dict[str, Any] = {"name": f"{prefix}_{name}", "at": f"holding:{at + offset}", "type": kind}
        tag |= {"unit": unit} if unit else {}
        tag |= {"scale_from": f"holding:{at + factor}"} if factor is not None else {}
        out.append(tag | {"not_available": _NONE[kind], "description": f"SunSpec model {number}"})
    return out
