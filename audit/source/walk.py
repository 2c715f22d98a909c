"""What a module loads, followed through the source: every import, also those inside functions, through all our rooms.

Static evidence only: it shows what the source asks for, not what a process does. A name put together at run time
escapes it, and so does a C library; the system-call filter is what holds, and captures are what shows.
"""

from __future__ import annotations

import ast
import hashlib
import io
import token
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOMS = (
    "protocol", "collectors", "sender", "receiver", "oneway", "simulator", "audit", "bench", "supervise", "checkvalve",
)  # fmt: skip
"""Top-level names that are ours; everything else is a library's."""

HEARING = frozenset(
    {
        "recv", "recvfrom", "recvmsg", "recv_into", "recvfrom_into", "recvmsg_into", "recvmmsg",
        "listen", "accept", "bind", "create_server",
    }
)  # fmt: skip
SPEAKING = frozenset(
    {"send", "sendto", "sendmsg", "sendall", "sendfile", "sendmmsg", "connect", "connect_ex", "create_connection"}
)
BY_NAME = frozenset({"__import__", "import_module", "exec", "eval"})
"""Ways to load or run what does not stand in the source."""
JOINING = frozenset({"IP_ADD_MEMBERSHIP", "IPV6_JOIN_GROUP", "IPV6_ADD_MEMBERSHIP"})
"""Joining a group speaks to the network."""
LOOPS = frozenset(
    {
        "asyncio",
        "http",
        "urllib",
        "ssl",
        "socketserver",
        "xmlrpc",
        "ftplib",
        "smtplib",
        "uvicorn",
        "starlette",
        "requests",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnd:
    """One end of the link, and what it may not contain."""

    name: str
    start: str
    """Module whose imports are followed."""
    rooms: tuple[str, ...]
    """Rooms that it may load."""
    calls: frozenset[str]
    """Names that no module of it may use."""
    apart: tuple[str, ...]
    """Modules of ours that it may not load, with all below them."""
    libraries: frozenset[str]
    """Libraries that it may not load."""


EMIT = LinkEnd(
    name="emit",
    start="sender.emit.process",
    rooms=("sender", "protocol"),
    calls=HEARING | BY_NAME | JOINING,
    apart=(
        "sender.poll.process",
        "sender.poll.poller",
        "protocol.seal",
        "protocol.content.body",
        "protocol.content.batch",
    ),
    libraries=LOOPS | {"pymodbus", "asyncua", "pycomm3", "zstandard"},
)
CATCH = LinkEnd(
    name="catch",
    start="receiver.catch.process",
    rooms=("receiver", "protocol"),
    calls=SPEAKING | BY_NAME | JOINING,
    apart=(
        "receiver.outputs", "receiver.portal", "receiver.publish", "protocol.seal", "protocol.content.body",
        "protocol.content.batch",
    ),
    libraries=LOOPS | {"zstandard"},
)  # fmt: skip
ENDS = (EMIT, CATCH)


@dataclass(slots=True, kw_only=True)
class Closure:
    """All that a module loads, itself included."""

    trees: dict[str, ast.Module] = field(default_factory=dict)
    """Our modules, parsed."""
    digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 of their files, in hex."""
    libraries: dict[str, list[str]] = field(default_factory=dict)
    """Top-level names that are not ours, and which of our modules ask for them."""


def closure(root: Path, start: str) -> Closure:
    """Follow every import from `start` on.

    Args:
        root: The folder that the rooms stand in.
        start: A module's name, `sender.emit.process`.

    Raises:
        SyntaxError: a file is no Python.
    """
    out = Closure()
    todo = [start]
    while todo:
        module = todo.pop()
        path = find(root, module)
        if module in out.trees or path is None:
            continue
        data = path.read_bytes()
        out.trees[module] = ast.parse(data, str(path))
        out.digests[module] = hashlib.sha256(data).hexdigest()
        for name in sorted(imported(out.trees[module], module, package=path.name == "__init__.py")):
            top = name.split(".")[0]
            if top in ROOMS:
                todo += [name, *_parents(name)]
            elif module not in out.libraries.setdefault(top, []):
                out.libraries[top].append(module)
    return out


def find(root: Path, module: str) -> Path | None:
    """File of one of our modules."""
    if module.split(".")[0] not in ROOMS:
        return None
    path = root.joinpath(*module.split("."))
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def imported(tree: ast.AST, module: str = "", *, package: bool = False) -> set[str]:
    """Every name that an import statement of a module could mean, `from a import b` as `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".") if package else module.split(".")[:-1]
                base = ".".join([*here[: len(here) - node.level + 1], *filter(None, [base])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names - {""}


def used(tree: ast.AST, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Where a module uses one of these names: as an attribute, a name, an import, or a text given to getattr.

    Yields:
        Line, and what stands there.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in names:
            yield node.lineno, f".{node.attr}"
        elif isinstance(node, ast.Name) and node.id in names:
            yield node.lineno, node.id
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"import {one.name}") for one in node.names if one.name in names)
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "attrgetter")
        ):
            for one in node.args:
                if isinstance(one, ast.Constant) and one.value in names:
                    yield node.lineno, f"getattr .. {one.value!r}"


def code_lines(text: str) -> int:
    """Lines of a module that hold code: blank ones, comments and docstrings apart.

    A text that stands alone as a statement is a docstring, also under a field or a constant.
    """
    apart = (token.COMMENT, token.NL, token.NEWLINE, token.INDENT, token.DEDENT, token.ENDMARKER)
    lines: set[int] = set()
    for one in tokenize.generate_tokens(io.StringIO(text).readline):
        if one.type not in apart:
            lines |= set(range(one.start[0], one.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def faults(end: LinkEnd, closure: Closure) -> list[str]:
    """What an end loads or names that it may not, in words, with module and line."""
    out = [
        f"{module} is loaded, which belongs to another part"
        for module in sorted(closure.trees)
        if module.split(".")[0] not in end.rooms
        or any(module == one or module.startswith(f"{one}.") for one in end.apart)
    ]
    out += [
        f"{library} is loaded by {', '.join(closure.libraries[library])}"
        for library in sorted(end.libraries & set(closure.libraries))
    ]
    for module, tree in sorted(closure.trees.items()):
        out += [f"{module}:{line} uses {what}" for line, what in sorted(used(tree, end.calls))]
    return out


def _parents(module: str) -> list[str]:
    """Packages above a module: Python runs their `__init__.py` too."""
    parts = module.split(".")
    return [".".join(parts[:at]) for at in range(1, len(parts))]
