"""How a node is named in the configuration, in four notations; no I/O and nothing of the library.

    nsu=http://acme.example/plc;s=Pump.Pressure     (i=, s=, g=<guid>, b=<base64>)   OPC 10000-6, 5.1.12
    ns=2;s=Pump.Pressure                            the same by index: the server may count otherwise after a restart
    /Objects/nsu=http://acme.example/plc;Plant/;Pump/;Pressure      browse names from the root: outlives new ids
    /Objects/2:Plant/2:Pump/2:Pressure                              the same by index
    /Objects/2:Plant/*   /Objects/2:Plant/2:Temp*   /Objects/2:Plant/**    all variables there; so named; at any depth

In a path a step is `nsu=uri;name`, or `index:name`, or `;name` for the namespace of the step before it, or a plain name
in namespace 0; `&` stands before a `/`, `:`, `*` or `&` that belongs to a name (OPC 10000-4, A.2). In a uri `;` and `%`
are written `%3B` and `%25`. A path starts at Objects, Types or Views. What an index means is `spaces`' matter.

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
Space: TypeAlias = int | str
"""A namespace: by its index in a server's table, or by its uri."""
Steps: TypeAlias = tuple[tuple[Space, str], ...]
"""Namespace and browse name of each step from the root folder."""

_STEP = re.compile(r"(?:(\d{1,5}):|nsu=([^;]+);|(;))?((?:[^/:&]|&.)+)", re.DOTALL)
_ID = re.compile(r"(?:ns=(\d{1,5});|nsu=([^;]+);)?([isgb])=(.+)", re.DOTALL)
_ESCAPED = re.compile(r"&(.)", re.DOTALL)
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

    @property
    def space(self) -> Space:
        """The namespace as it was typed."""
        return self.uri or self.namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAddress:
    """A node by the browse names that lead to it from the root folder."""

    steps: Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchAddress:
    """Every variable below a node that fits."""

    steps: Steps
    """The way to the node."""
    deep: bool
    """At any depth, not only right below it."""
    space: Space | None = None
    """Namespace of the browse names; None: any."""
    names: str = "*"
    """Pattern of the browse names, escaped as typed; `*` stands for any text."""

    def fits(self, space: Space, name: str) -> bool:
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
    return NodeAddress(identifier=identifier, namespace=int(index or 0), uri=_read_uri(uri or ""))


@dataclass(frozen=True, slots=True)
class Fences:
    """What must never be read."""

    ids: tuple[str, ...] = ()
    """Ids as text, `*` for any text; a namespace by its uri stands as `nsu=`."""
    paths: tuple[Steps, ...] = ()
    """Paths; everything below them too."""

    def forbids(self, address: Address) -> str:
        """The entry that an address falls under, empty where none."""
        if isinstance(address, NodeAddress):
            return self.forbids_id(text_of(address))
        return self.forbids_path(address.steps)

    def forbids_id(self, text: str) -> str:
        """As `forbids`, for the text of an id."""
        return next((one for one in self.ids if wild(one).fullmatch(text)), "")

    def forbids_path(self, steps: Steps) -> str:
        """As `forbids`, for a path."""
        return next((path_of(one) for one in self.paths if steps[: len(one)] == one), "")

    @property
    def nodes(self) -> list[tuple[Space, str]]:
        """Namespace and identifier of each id; a `*` in a uri stands for any text too."""
        return [_apart(text) for text in self.ids]


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
    space = f"nsu={_write_uri(address.uri)};" if address.uri else ""
    return f"{space or (f'ns={address.namespace};' if address.namespace else '')}{kind}={written}"


def path_of(steps: Steps) -> str:
    """The text of a path, so that `parse` reads the steps again."""
    out, before = "", None
    for space, name in steps:
        if isinstance(space, str):
            out += "/;" if space == before else f"/nsu={_write_uri(space)};"
        else:
            out += f"/{space}:" if space else "/"
        out, before = out + _escape(name), space
    return out


def indexes(address: Address) -> set[int]:
    """The namespaces that an address names by their index, without the standard's own."""
    spaces = {address.space} if isinstance(address, NodeAddress) else {space for space, _ in address.steps}
    if isinstance(address, BranchAddress):
        spaces.add(address.space or 0)
    return {space for space in spaces if isinstance(space, int) and space}


def _apart(text: str) -> tuple[Space, str]:
    found = _ID.fullmatch(text)
    assert found, text
    index, uri, kind, written = found.groups()
    return _read_uri(uri) if uri else int(index or 0), f"{kind}={written}"


def _write_uri(uri: str) -> str:
    return uri.replace("%", "%25").replace(";", "%3B")


def _read_uri(text: str) -> str:
    return text.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")


def _escape(name: str) -> str:
    escaped = _TO_ESCAPE.sub(r"&\1", name)
    return f"&{escaped}" if escaped.startswith((";", "nsu=")) else escaped


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _path(text: str) -> PathAddress | BranchAddress | None:
    steps: list[tuple[Space, str]] = []
    if text.endswith("/**"):
        whole = _path(text[:-3])
        return BranchAddress(steps=whole.steps, deep=True) if isinstance(whole, PathAddress) else None
    at = 0
    while at <= len(text):
        step = _STEP.match(text, at)
        if not step or int(step[1] or 0) > 0xFFFF:
            return None
        index, uri, same, name = step.groups()
        if same and not steps:
            return None
        space: Space = steps[-1][0] if same else _read_uri(uri) if uri else int(index or 0)
        if _STAR.match(name):
            if step.end() < len(text) or not steps or steps[0][1] != "Objects":
                return None
            named = space if index or uri or same else None
            return BranchAddress(steps=tuple(steps), deep=False, space=named, names=name)
        steps.append((space, _plain(name)))
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
