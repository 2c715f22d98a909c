"""What the source says of direction: the two ends of the link, and everything that they load.

Static evidence only: it shows what the code asks for, not what a process does (that is what confinement and captures
are for). The walk follows every import, also those inside functions, through all rooms.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from protocol.frame import Kind

ROOT = Path(__file__).parent.parent.parent
ROOMS = (
    "protocol",
    "collectors",
    "sender",
    "receiver",
    "oneway",
    "simulator",
    "audit",
    "bench",
    "supervise",
    "checkvalve",
)
HEARING = {"recv", "recvfrom", "recvmsg", "recv_into", "recvfrom_into", "recvmsg_into", "listen", "accept", "bind"}
SPEAKING = {"send", "sendto", "sendmsg", "sendall", "sendfile", "connect", "connect_ex", "create_connection"}
ANSWERS = ("ack", "nack", "reply", "request")


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def _imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _closure(start: str) -> tuple[dict[str, ast.AST], set[str]]:
    """(our modules, everything else) that a module loads, itself included."""
    own: dict[str, ast.AST] = {}
    other: set[str] = set()
    todo = [start]
    while todo:
        module = todo.pop()
        path = _file(module)
        if module in own or module.split(".")[0] not in ROOMS or path is None:
            if module.split(".")[0] not in ROOMS:
                other.add(module.split(".")[0])
            continue
        own[module] = ast.parse(path.read_text())
        todo += sorted(_imports(own[module]))
    return own, other


def _attributes(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


EMIT, CATCH = "sender.main_emit", "receiver.catch"


def test_emit_loads_nothing_that_hears() -> None:
    """No receiving call in any module that the emitter loads, and no collector, page, output or event loop."""
    own, other = _closure(EMIT)
    assert {module: _attributes(tree) & HEARING for module, tree in own.items() if _attributes(tree) & HEARING} == {}
    assert not [module for module in own if module.split(".")[0] not in ("sender", "protocol")]
    assert not other & {"asyncio", "http", "urllib", "ssl", "socketserver", "uvicorn", "starlette", "pymodbus"}


def test_catch_loads_nothing_that_speaks() -> None:
    """No sending or connecting call in any module that the catcher loads, and no output, page or event loop."""
    own, other = _closure(CATCH)
    assert {module: _attributes(tree) & SPEAKING for module, tree in own.items() if _attributes(tree) & SPEAKING} == {}
    assert not [module for module in own if module.split(".")[0] not in ("receiver", "protocol")]
    assert not [module for module in own if module.startswith(("receiver.outputs", "receiver.portal"))]
    assert not other & {"asyncio", "http", "urllib", "ssl", "socketserver", "uvicorn", "starlette"}


def test_catch_cannot_open_data() -> None:
    """It loads neither the module that opens blocks nor the one that inflates bodies."""
    own, other = _closure(CATCH)
    assert not {"protocol.seal", "protocol.body", "protocol.batch", "receiver.follow"} & set(own)
    assert "zstandard" not in other


@pytest.mark.parametrize("start", [EMIT, CATCH])
def test_the_ends_load_nothing_by_name(start: str) -> None:
    """What they import stands in the source, so that this walk sees it; and no group is joined."""
    own, _ = _closure(start)
    for module, tree in own.items():
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | _attributes(tree)
        assert not names & {"__import__", "import_module", "exec", "eval", "IP_ADD_MEMBERSHIP", "IPV6_JOIN_GROUP"}, (
            module
        )


def test_only_the_two_ends_reach_the_socket() -> None:
    """In sender, receiver and protocol, `socket` is imported by the outlet, the inlet, and what serves or publishes."""
    allowed = {"sender/outlet.py", "receiver/inlet.py"}
    for room in ("sender", "receiver", "protocol"):
        for path in (ROOT / room).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name.startswith(("receiver/outputs/", "receiver/portal/")):
                continue
            found = _imports(ast.parse(path.read_text())) & {"socket", "_socket", "socketserver", "asyncio.streams"}
            assert not found or name in allowed, f"{name} imports {found}"


@pytest.mark.parametrize("path", ["sender/outlet.py", "receiver/inlet.py"])
def test_each_end_is_read_in_a_minute(path: str) -> None:
    """Under 100 lines, one verb."""
    text = (ROOT / path).read_text()
    assert text.count("\n") < 100
    (ends,) = [
        node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name in ("Outlet", "Inlet")
    ]
    public = {node.name for node in ends.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}
    verb = "send" if path.startswith("sender") else "receive"
    assert verb in public
    assert not public & ({"receive"} if verb == "send" else {"send"})


def test_no_frame_asks_for_an_answer() -> None:
    """No kind, no module of the two ends and no setting of the link is named after one."""
    names = [kind.name.lower() for kind in Kind]
    for start in (EMIT, CATCH):
        names += [module.split(".")[-1] for module in _closure(start)[0]]
    for example in ("sender.toml", "receiver.toml"):
        for line in (ROOT / "examples" / example).read_text().splitlines():
            if "=" in line and not line.strip().startswith(("#", "{")):
                names.append(line.split("=")[0].strip())
    assert not [name for name in names if name in ANSWERS]


def test_the_sender_has_no_ear_and_the_receiver_no_address() -> None:
    """`sender.toml` has no listening key for the link, `receiver.toml` no address of the sender."""
    import tomllib

    sender = tomllib.loads((ROOT / "examples/sender.toml").read_text())
    receiver = tomllib.loads((ROOT / "examples/receiver.toml").read_text())
    assert "outlet" in sender
    assert not {"listen", "bind", "inlet"} & (set(sender) | set(sender["outlet"]))
    assert not {"to", "sender", "outlet", "url"} & (set(receiver) | set(receiver["inlet"]))
