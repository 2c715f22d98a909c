"""What the source says of direction: the two ends of the link, and everything that they load.

Static evidence only: it shows what the code asks for, not what a process does (that is what confinement and captures
are for). The walk (`audit/source/walk.py`) follows every import, also those inside functions, through all rooms; that
it can fail is shown in tests/audit.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from audit.source.walk import CATCH, EMIT, ENDS, LinkEnd, closure, code_lines, faults, imported
from protocol.wire.frame import FrameKind

ROOT = Path(__file__).parent.parent.parent
ANSWERS = ("ack", "nack", "reply", "request")


def test_emit_loads_nothing_that_hears() -> None:
    """No receiving call in any module that the emitter loads, and no collector, page, output or event loop."""
    found = closure(ROOT, EMIT.start)
    assert {"recv", "recvmsg", "recvfrom", "bind", "listen", "accept"} <= EMIT.calls
    assert {"asyncio", "http", "urllib", "ssl", "socketserver", "uvicorn", "starlette", "pymodbus"} <= EMIT.libraries
    assert faults(EMIT, found) == []
    assert {module.split(".")[0] for module in found.trees} == {"sender", "protocol"}
    assert "sender.emit.outlet" in found.trees


def test_catch_loads_nothing_that_speaks() -> None:
    """No sending or connecting call in any module that the catcher loads, and no output, page or event loop."""
    found = closure(ROOT, CATCH.start)
    assert {"send", "sendto", "sendmsg", "connect", "create_connection"} <= CATCH.calls
    assert {"asyncio", "http", "urllib", "ssl", "socketserver", "uvicorn", "starlette"} <= CATCH.libraries
    assert faults(CATCH, found) == []
    assert {module.split(".")[0] for module in found.trees} == {"receiver", "protocol"}
    assert not [module for module in found.trees if module.startswith(("receiver.outputs", "receiver.portal"))]
    assert "receiver.catch.inlet" in found.trees


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
def test_the_ends_cannot_open_data(end: LinkEnd) -> None:
    """They load neither the module that opens blocks nor the one that inflates bodies."""
    found = closure(ROOT, end.start)
    assert not {"protocol.seal", "protocol.content.body", "protocol.content.batch", "receiver.publish.opener"} & set(
        found.trees
    )
    assert "zstandard" not in found.libraries


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
def test_the_ends_load_nothing_by_name(end: LinkEnd) -> None:
    """What they import stands in the source, so that this walk sees it; and no group is joined."""
    assert {"__import__", "import_module", "exec", "eval", "IP_ADD_MEMBERSHIP", "IPV6_JOIN_GROUP"} <= end.calls


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
def test_what_is_loaded_at_run_time_was_seen_in_the_source(end: LinkEnd) -> None:
    """Imported for real, an end holds no module of ours that the walk has missed."""
    line = f"import json, sys, {end.start}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {name for name in json.loads(done.stdout) if name.split(".")[0] in (*end.rooms, "collectors", "audit")}
    assert end.start in ours
    assert ours <= set(closure(ROOT, end.start).trees)


STARTED = {
    "emit": ("checkvalve", "sender.commands.cli", "sender.main", "sender.link_file", "sender.emit.process"),
    "catch": ("checkvalve", "receiver.commands.cli", "receiver.main", "receiver.catch_file", "receiver.catch.process"),
}
"""What `send --only emit` and `receive --only catch` import on their way to the end itself."""


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
def test_an_end_as_it_is_started_loads_nothing_that_opens_data(end: LinkEnd) -> None:
    """What its command loads on the way opens and inflates no block, and is no page, output or collector."""
    line = f"import json, sys, {', '.join(STARTED[end.name])}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    held = set(json.loads(done.stdout))
    assert end.start in held
    apart = [one for one in held for part in end.apart if one == part or one.startswith(f"{part}.")]
    assert not apart
    assert not held & {"zstandard", "uvicorn", "starlette", "pymodbus", "asyncua"}


def test_only_the_two_ends_reach_the_socket() -> None:
    """In sender, receiver and protocol, `socket` is imported by the two ends, and what serves, publishes or tells."""
    allowed = {"sender/emit/outlet.py", "receiver/catch/inlet.py", "receiver/governed/alerts/senders.py"}
    for room in ("sender", "receiver", "protocol"):
        for path in (ROOT / room).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name.startswith(("receiver/outputs/", "receiver/portal/")):
                continue
            found = imported(ast.parse(path.read_text())) & {"socket", "_socket", "socketserver", "asyncio.streams"}
            assert not found or name in allowed, f"{name} imports {found}"


@pytest.mark.parametrize("path", ["sender/emit/outlet.py", "receiver/catch/inlet.py"])
def test_each_end_is_read_in_a_minute(path: str) -> None:
    """Under 100 lines of code, one verb."""
    text = (ROOT / path).read_text()
    assert code_lines(text) < 100
    (ends,) = [
        node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name in ("Outlet", "Inlet")
    ]
    public = {node.name for node in ends.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}
    verb = "send" if path.startswith("sender") else "receive"
    assert verb in public
    assert not public & ({"receive"} if verb == "send" else {"send"})


def test_no_frame_asks_for_an_answer() -> None:
    """No kind, no module of the two ends and no setting of the link is named after one."""
    names = [kind.name.lower() for kind in FrameKind]
    for end in ENDS:
        names += [module.split(".")[-1] for module in closure(ROOT, end.start).trees]
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
