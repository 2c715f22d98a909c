"""A JSON document as a frozen dataclass: its fields are the format, and both directions go by them (pure).

    to_json      fields to plain JSON values
    from_json    plain JSON values to fields; never raises

What is read may be damaged, planted or of another version. So a field's default stands where its key is missing or
holds another type; an item of a list or a map that is of another type is left out; keys that no field has are passed
over. A part is left out as a whole where a field without a default is missing, or where its values make no sense
together (ValueError from its `__post_init__`). A number is one where it is finite and not beyond `MOST`, so that sums
of a few of them, and times made of them, stay sound. Bytes are written in hex.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

MOST = 2**62
"""A larger number in a document is none: no counter and no time comes there."""

_Kind = TypeVar("_Kind")
_NONE = object()


def to_json(document: Any) -> dict[str, Any]:
    """The document as plain JSON values.

    Args:
        document: An instance of a dataclass; `metadata={"key": ..}` names a field's key where it is another word.
    """
    return {_key(one): _plain(getattr(document, one.name)) for one in fields(document)}


def from_json(kind: type[_Kind], told: object) -> _Kind:
    """The document that the values tell.

    Args:
        kind: A dataclass of which each field has a default.
        told: Anything.
    """
    return kind(**_fields_of(kind, told))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_json(value)
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value


def _fields_of(kind: Any, told: object) -> dict[str, Any]:
    held = told if isinstance(told, Mapping) else {}
    read = {name: _read(of, held.get(key, _NONE)) for name, (key, of) in _format(kind).items()}
    return {name: value for name, value in read.items() if value is not _NONE}


def _read(kind: Any, value: Any) -> Any:
    """The value as this type has it; `_NONE` where it is another."""
    origin, of = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return next((one for one in (_read(each, value) for each in of) if one is not _NONE), _NONE)
    if isinstance(kind, type) and is_dataclass(kind):
        return _part(kind, value)
    if origin is tuple:
        if not isinstance(value, list):
            return _NONE
        return tuple(one for one in (_read(of[0], item) for item in value) if one is not _NONE)
    if origin is not None:  # a map of texts
        if not isinstance(value, Mapping):
            return _NONE
        pairs = ((name, _read(of[1], one)) for name, one in value.items())
        return {name: one for name, one in pairs if one is not _NONE}
    return _simple(kind, value)


def _part(kind: Callable[..., Any], value: Any) -> Any:
    if not isinstance(value, Mapping):
        return _NONE
    try:
        return kind(**_fields_of(kind, value))
    except (TypeError, ValueError):
        return _NONE  # a field without a default is missing, or they make no sense together


def _simple(kind: Any, value: Any) -> Any:
    if kind is float and type(value) in (int, float):
        return float(value) if abs(value) <= MOST else _NONE
    if kind is int:
        return value if type(value) is int and abs(value) <= MOST else _NONE
    if kind is bytes:
        try:
            return bytes.fromhex(value)
        except (TypeError, ValueError):
            return _NONE
    return value if type(value) is kind else _NONE


def _key(one: Field[Any]) -> str:
    return str(one.metadata.get("key", one.name))


@cache
def _format(kind: Any) -> dict[str, tuple[str, Any]]:
    """By field: its key, and its type."""
    hints = get_type_hints(kind)
    return {one.name: (_key(one), hints[one.name]) for one in fields(kind)}
