"""A register map that is a table already: a CSV file becomes a draft of tags. Nothing is sent.

    name,address,type,factor,unit            headings, in any order and case; others are left aside
    Voltage L1,0,U16,0.1,V                   at = "holding:0", type = "uint16", scale = 0.1
    Energy,40101,UINT32 LE,,kWh              at = "40101", type = "uint32", word_order = "little"

Comma, semicolon or tab, whichever the headings have most of. A line that cannot be understood is not guessed: it stands
in the draft's notes with its number and its reason. Pure: text in, tables out.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from typing import Any

from collectors.modbus.address import parse_place
from collectors.modbus.formats import FORMATS
from protocol.errors import ConfigError

HEADINGS = {
    "name": ("name", "tag", "parameter", "signal", "variable", "register name", "label"),
    "at": ("address", "register", "addr", "reg", "at", "register address", "offset address", "start"),
    "type": ("type", "format", "data type", "datatype", "data format"),
    "table": ("table", "function", "function code", "fc", "register type", "kind"),
    "scale": ("factor", "scale", "gain", "multiplier", "scaling", "resolution"),
    "offset": ("offset", "bias"),
    "unit": ("unit", "units", "uom", "engineering unit"),
    "length": ("length", "bytes"),
    "count": ("count", "elements"),
    "description": ("description", "comment", "remark", "remarks"),
    "scale_from": ("scale_from", "scale factor", "sf"),
    "not_available": ("not_available", "not available", "invalid", "nan"),
}
"""What each column of a map is called."""

_TYPES = {
    **{
        f"{word}{bits}": f"{kind}{bits}"
        for word, kind in (("u", "uint"), ("s", "int"), ("i", "int"), ("f", "float"))
        for bits in (16, 32, 64)
    },
    **{
        f"{word}": f"{kind}"
        for word, kind in (
            ("word", "uint16"),
            ("uint", "uint16"),
            ("ushort", "uint16"),
            ("int", "int16"),
            ("short", "int16"),
            ("sint16", "int16"),
            ("dword", "uint32"),
            ("udint", "uint32"),
            ("dint", "int32"),
            ("long", "int32"),
            ("ulong", "uint32"),
            ("sint32", "int32"),
            ("float", "float32"),
            ("real", "float32"),
            ("single", "float32"),
            ("double", "float64"),
            ("lreal", "float64"),
            ("bit", "bool"),
            ("boolean", "bool"),
            ("text", "string"),
            ("ascii", "string"),
            ("char", "string"),
            ("sint64", "int64"),
            ("lword", "uint64"),
            ("enum16", "uint16"),
            ("bitfield16", "uint16"),
            ("bitfield32", "uint32"),
            ("acc32", "uint32"),
            ("acc64", "uint64"),
        )
    },
}
"""What manuals call the types."""

_ORDERS: dict[str, dict[str, Any]] = {
    "le": {"word_order": "little"},
    "little": {"word_order": "little"},
    "cdab": {"word_order": "little"},
    "swapped": {"word_order": "little"},
    "be": {},
    "big": {},
    "abcd": {},
    "badc": {"byte_swap": True},
    "dcba": {"word_order": "little", "byte_swap": True},
}

_TABLES = {
    "1": "coil",
    "01": "coil",
    "coil": "coil",
    "coils": "coil",
    "2": "discrete",
    "02": "discrete",
    "discrete": "discrete",
    "discrete input": "discrete",
    "3": "holding",
    "03": "holding",
    "holding": "holding",
    "holding register": "holding",
    "4": "input",
    "04": "input",
    "input": "input",
    "input register": "input",
    "": "holding",
}

MOST_LINES = 65_536
"""Longest map [lines]."""


def draft(text: str, first: int) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Tag tables and notes.

    Args:
        text: The file.
        first: Number of the first address in the map, 0 or 1, where it writes plain numbers.

    Raises:
        ConfigError: it has no headings for a name and an address.
    """
    lines = text.lstrip("\ufeff").splitlines()
    head = lines[0] if lines else ""
    delimiter = max(",;\t", key=head.count)
    table = csv.reader(lines[:MOST_LINES], delimiter=delimiter)
    columns = _columns(next(table, []))
    if "at" not in columns:
        known = ", ".join(HEADINGS["at"][:4])
        raise ConfigError("the map has no column of addresses", hint=f"name one of its headings {known}")
    tags: list[Mapping[str, Any]] = []
    notes: list[str] = []
    addresses = [
        cells[columns["at"]].strip()
        for cells in csv.reader(lines[:MOST_LINES], delimiter=delimiter)
        if len(cells) > columns["at"]
    ]
    plain = {one[0] for one in addresses if one in ("10000", "30000", "40000")}
    for cells in table:
        row = {key: cells[at].strip() for key, at in columns.items() if at < len(cells)}
        if not any(row.values()):
            continue
        try:
            at = row.get("at", "")
            if at[:1] in plain and re.fullmatch(r"[0-9]{5}", at):
                raise ValueError(
                    f"{at!r} may count from {at[0]}0000, which stands here too, or from {at[0]}0001: write holding:.."
                )
            tags.append(_tag(row, first))
        except ValueError as error:
            notes.append(f"line {table.line_num} left out: {error}: {delimiter.join(cells)[:100]}")
    return tags, notes


def _columns(headings: list[str]) -> dict[str, int]:
    out: dict[str, int] = {}
    plain = [re.sub(r"[_\s]+", " ", heading).strip().lower() for heading in headings]
    for key, words in HEADINGS.items():
        for word in words:
            if key not in out and word.replace("_", " ") in plain:
                out[key] = plain.index(word.replace("_", " "))
    return out


def _tag(row: Mapping[str, str], first: int) -> dict[str, Any]:
    at = _address(row.get("at", ""), row.get("table", ""), first)
    kind, orders = _type(row.get("type", ""))
    name = re.sub(r"[^\w.\-]+", "_", row.get("name", "")).strip("_") or at.replace(":", "_")
    tag: dict[str, Any] = {"name": name, "at": at}
    place = parse_place(at)
    bits = place is not None and (place[0].bits or place[2] is not None)
    if not bits:
        if kind not in FORMATS:
            raise ValueError(f"{row.get('type', '')!r} is no type that is known")
        tag |= {"type": kind} | orders
    for key in ("scale", "offset"):
        number = _number(row.get(key, ""), key)
        if number is not None and not bits and number != {"scale": 1.0, "offset": 0.0}[key]:
            tag[key] = number
    for key in ("length", "count"):
        number = _number(row.get(key, ""), key)
        if number is not None and (key == "count" or (kind in FORMATS and not FORMATS[kind].registers)):
            tag[key] = int(number)
    if factor := row.get("scale_from", ""):
        tag["scale_from"] = _address(factor, row.get("table", ""), first)
    if none := row.get("not_available", ""):
        tag["not_available"] = none if none.lower().startswith("0x") or none.lower() == "nan" else _number(none, "")
    return tag | {key: row[key] for key in ("unit", "description") if row.get(key)}


def _address(text: str, table: str, first: int) -> str:
    known = _TABLES.get(table.lower().strip())
    place = parse_place(text)
    if place is not None:
        if table.strip() and known != place[0].value:
            other = f"{known}:{text}" if known and text.isdigit() else "which is meant"
            raise ValueError(f"{text!r} is of the table {place[0].value}, the table says {table!r}: write {other}")
        return text
    try:
        number = int(text, 0) if text.lower().startswith("0x") else int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address") from None
    if known is None:
        raise ValueError(f"{table!r} is no table")
    if not 0 <= number - first <= 0xFFFF:
        raise ValueError(f"{text!r} is no address")
    return f"{known}:{number - first}"


def _type(text: str) -> tuple[str, dict[str, Any]]:
    words = re.sub(r"[_()/\-]+", " ", text.lower()).split() or ["uint16"]
    if text.lower().strip() in FORMATS:
        return text.lower().strip(), {}
    orders: dict[str, Any] = {}
    for word in words:
        orders |= _ORDERS.get(word, {})
    rest = "".join(word for word in words if word not in _ORDERS)
    named = re.sub(r"^(u?)(?:n?signed)(?:integer|int)?", r"\1int", rest)
    return _TYPES.get(named, named), orders


def _number(text: str, key: str) -> float | None:
    if not text:
        return None
    if re.fullmatch(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}", text):
        raise ValueError(f"{text!r} may be a fraction or thousands: write it with a point, or without the comma")
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        part = re.fullmatch(r"\s*([0-9.]+)\s*/\s*([0-9.]+)\s*", text)
        if part is None or float(part[2]) == 0:
            raise ValueError(f"{text!r} is no {key or 'number'}") from None
        value = float(part[1]) / float(part[2])
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no {key or 'number'}")
    return int(value) if key == "" and value == int(value) else value
