"""How a node is named in the configuration, in three notations; no I/O and nothing of the library.

    ns=2;s=Pump.Pressure    i=2258    ns=3;g=<guid>    ns=3;b=<base64>     OPC 10000-6, 5.3.1.10
    nsu=http://acme.example/plc;s=Pump.Pressure                            the namespace by its uri: outlives a reboot
    /Objects/2:Plant/2:Pump/2:Pressure                                     browse names from the root: outlives new ids

In a path a step is `namespace index:name`, without an index namespace 0; `&` stands before a `/`, `:` or `&` that
belongs to a name (OPC 10000-4, A.2). A path starts at Objects, Types or Views.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

Identifier: TypeAlias = int | str | UUID | bytes

_STEP = re.compile(r"(?:(\d{1,5}):)?((?:[^/:&]|&.)+)")
_ID = re.compile(r"(?:ns=(\d{1,5});|nsu=([^;]+);)?([isgb])=(.+)", re.DOTALL)
_ESCAPED = re.compile(r"&(.)")
_TO_ESCAPE = re.compile(r"([/:&.<>#!])")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """A node by its id."""

    identifier: Identifier
    namespace: int = 0
    """Index in the server's namespace table, where `uri` is empty."""
    uri: str = ""
    """The namespace by its uri; looked up in the server's table at each connect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAddress:
    """A node by the browse names that lead to it from the root folder."""

    steps: tuple[tuple[int, str], ...]
    """Namespace index and name of each step."""


Address: TypeAlias = NodeAddress | PathAddress


def parse(text: str) -> Address | None:
    """The address, or None where the text is in none of the notations."""
    if text.startswith("/"):
        return _path(text[1:])
    found = _ID.fullmatch(text)
    if not found:
        return None
    index, uri, kind, written = found.groups()
    identifier = _identifier(kind, written)
    if identifier is None or int(index or 0) > 0xFFFF:
        return None
    return NodeAddress(identifier=identifier, namespace=int(index or 0), uri=uri or "")


def path_of(steps: tuple[tuple[int, str], ...]) -> str:
    """The text of a path, so that `parse` reads the steps again."""
    return "".join(f"/{space}:{_escape(name)}" if space else f"/{_escape(name)}" for space, name in steps)


def _escape(name: str) -> str:
    return _TO_ESCAPE.sub(r"&\1", name)


def _path(text: str) -> PathAddress | None:
    steps = []
    at = 0
    while at <= len(text):
        step = _STEP.match(text, at)
        if not step or int(step[1] or 0) > 0xFFFF:
            return None
        steps.append((int(step[1] or 0), _ESCAPED.sub(r"\1", step[2])))
        at = step.end()
        if at < len(text) and text[at] != "/":
            return None
        at += 1
    return PathAddress(steps=tuple(steps)) if steps[0] in ((0, "Objects"), (0, "Types"), (0, "Views")) else None


def _identifier(kind: str, written: str) -> Identifier | None:
    try:
        if kind == "i":
            return int(written) if written.isascii() and written.isdigit() and int(written) < 2**32 else None
        if kind == "g":
            return UUID(written)
        if kind == "b":
            return b64decode(written, validate=True)
    except (ValueError, Base64Error):
        return None
    return written
