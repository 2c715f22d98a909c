"""How a node is named in the configuration, in four notations; no I/O and nothing of the library.

    ns=2;s=Pump.Pressure    i=2258    ns=3;g=<guid>    ns=3;b=<base64>     OPC 10000-6, 5.3.1.10
    nsu=http://acme.example/plc;s=Pump.Pressure                            the namespace by its uri: outlives a reboot
    /Objects/2:Plant/2:Pump/2:Pressure                                     browse names from the root: outlives new ids
    /Objects/2:Plant/*   /Objects/2:Plant/2:Temp*   /Objects/2:Plant/**    all variables there; so named; at any depth

In a path a step is `namespace index:name`, without an index namespace 0; `&` stands before a `/`, `:`, `*` or `&` that
belongs to a name (OPC 10000-4, A.2). A path starts at Objects, Types or Views.

`Fences` are what must never be read: ids in which `*` stands for any text, and paths with everything below them.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from collectors.settings import wild

Identifier: TypeAlias = int | str | UUID | bytes

_STEP = re.compile(r"(?:(\d{1,5}):)?((?:[^/:&]|&.)+)")
_ID = re.compile(r"(?:ns=(\d{1,5});|nsu=([^;]+);)?([isgb])=(.+)", re.DOTALL)
_ESCAPED = re.compile(r"&(.)")
_TO_ESCAPE = re.compile(r"([/:&.<>#!*])")
_STAR = re.compile(r"(?:[^&*]|&.)*\*")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchAddress:
    """Every variable below a node that fits."""

    steps: tuple[tuple[int, str], ...]
    """The way to the node."""
    deep: bool
    """At any depth, not only right below it."""
    space: int | None = None
    """Namespace of the browse names; None: any."""
    names: str = "*"
    """Pattern of the browse names, escaped as typed; `*` stands for any text."""

    def fits(self, space: int, name: str) -> bool:
        """Whether a variable of that browse name is meant."""
        pattern = "".join(
            ".*" if part == "*" else re.escape(_plain(part)) for part in re.split(r"((?<!&)\*)", self.names)
        )
        return (self.space is None or self.space == space) and re.fullmatch(pattern, name, re.DOTALL) is not None


Address: TypeAlias = NodeAddress | PathAddress | BranchAddress


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


@dataclass(frozen=True, slots=True)
class Fences:
    """What must never be read."""

    ids: tuple[str, ...] = ()
    """Ids as text, `*` for any text; a namespace by its uri stands as `nsu=`."""
    paths: tuple[tuple[tuple[int, str], ...], ...] = ()
    """Paths; everything below them too."""

    def forbids(self, address: Address) -> str:
        """The entry that an address falls under, empty where none."""
        if isinstance(address, NodeAddress):
            return self.forbids_id(text_of(address))
        return self.forbids_path(address.steps)

    def forbids_id(self, text: str) -> str:
        """As `forbids`, for the text of an id."""
        return next((one for one in self.ids if wild(one).fullmatch(text)), "")

    def forbids_path(self, steps: tuple[tuple[int, str], ...]) -> str:
        """As `forbids`, for a path."""
        return next((path_of(one) for one in self.paths if steps[: len(one)] == one), "")


def fences(texts: Sequence[str], wrong: list[str]) -> Fences:
    """The entries of `never_read`, taken apart; what is none is written down."""
    ids, paths = [], []
    for text in texts:
        address = parse(text)
        if isinstance(address, BranchAddress) and (address.names != "*" or address.space is not None):
            address = None
        if isinstance(address, NodeAddress):
            ids.append(text_of(address) if not isinstance(address.identifier, str) else text)
        elif address is not None:
            paths.append(address.steps)
        else:
            step = "write ns=2;s=SIS.*, or a path such as /Objects/2:Plant/2:SIS with all below it"
            wrong.append(f"never_read: {text!r} is no node and no branch; {step}")
    return Fences(tuple(ids), tuple(paths))


def text_of(address: NodeAddress) -> str:
    """An id as it is usually written."""
    kind = {int: "i", str: "s", UUID: "g", bytes: "b"}[type(address.identifier)]
    written = b64encode(address.identifier).decode() if isinstance(address.identifier, bytes) else address.identifier
    space = f"nsu={address.uri};" if address.uri else f"ns={address.namespace};" if address.namespace else ""
    return f"{space}{kind}={written}"


def path_of(steps: tuple[tuple[int, str], ...]) -> str:
    """The text of a path, so that `parse` reads the steps again."""
    return "".join(f"/{space}:{_escape(name)}" if space else f"/{_escape(name)}" for space, name in steps)


def _escape(name: str) -> str:
    return _TO_ESCAPE.sub(r"&\1", name)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _path(text: str) -> PathAddress | BranchAddress | None:
    steps: list[tuple[int, str]] = []
    if text.endswith("/**"):
        whole = _path(text[:-3])
        return BranchAddress(steps=whole.steps, deep=True) if isinstance(whole, PathAddress) else None
    at = 0
    while at <= len(text):
        step = _STEP.match(text, at)
        if not step or int(step[1] or 0) > 0xFFFF:
            return None
        if _STAR.match(step[2]):
            if step.end() < len(text) or not steps or steps[0][1] != "Objects":
                return None
            space = int(step[1]) if step[1] else None
            return BranchAddress(steps=tuple(steps), deep=False, space=space, names=step[2])
        steps.append((int(step[1] or 0), _plain(step[2])))
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
