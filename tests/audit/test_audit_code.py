"""`audit code`: each planted fault is found, and what is right passes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from audit.check import CheckStatus
from audit.machine import loaded
from audit.source import code, installed
from audit.source.walk import CATCH, EMIT, closure, faults

ROOT = Path(__file__).parent.parent.parent
NOW = 1_700_000_000 * 10**9


def _rooms(folder: Path, **files: str) -> Path:
    """A small tree of rooms: `sender__emit__process="import x"` is sender/emit/process.py."""
    for name, text in files.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


PLANTED = {
    "a call": ("def take(s):\n    return s.recv(1)\n", "sender.ear:2 uses .recv"),
    "a call by a text": ("def take(s):\n    return getattr(s, 'recvfrom')(1)\n", "getattr .. 'recvfrom'"),
    "an imported name": ("from os import eval as e\n", "uses import eval"),
    "code from a text": ("exec('import socket')\n", "uses exec"),
    "a loop inside a function": ("def go():\n    import asyncio.streams\n", "asyncio is loaded by sender.ear"),
    "the other side": ("def go():\n    import receiver.catch.inlet\n", "receiver.catch.inlet is loaded"),
    "a group": ("import socket\nG = socket.IP_ADD_MEMBERSHIP\n", "IP_ADD_MEMBERSHIP"),
    "the poller": ("from sender.poll import poller\n", "sender.poll.poller is loaded"),
}


@pytest.mark.parametrize("fault", PLANTED)
@pytest.mark.parametrize(
    "how", ["import sender.ear", "from sender import ear", "from .. import ear", "from ..ear import x"]
)
def test_each_planted_fault_is_found(tmp_path: Path, fault: str, how: str) -> None:
    """Wherever it stands behind the imports, and however it is imported."""
    text, expected = PLANTED[fault]
    root = _rooms(
        tmp_path,
        sender__emit__process=f"def run():\n    {how}\n",
        sender__ear=text,
        receiver__catch__inlet="x = 1\n",
        sender__poll__poller="",
    )
    found = closure(root, EMIT.start)
    assert any(expected in line for line in faults(EMIT, found)), faults(EMIT, found)
    check = code.source(root, {EMIT: found}, "now")
    assert check.status == CheckStatus.FAIL


def test_a_package_is_followed_through_its_beginning(tmp_path: Path) -> None:
    """Python runs `__init__.py` of every package above a module; so does the walk."""
    root = _rooms(tmp_path, receiver__catch__process="import protocol.wire.frame\n", protocol__wire__frame="x = 1\n")
    (tmp_path / "protocol/__init__.py").write_text("import socket\nS = socket.send\n")
    assert any("protocol:2 uses .send" in line for line in faults(CATCH, closure(root, CATCH.start)))


def test_our_own_ends_pass(tmp_path: Path) -> None:
    """And are skipped where they are not installed."""
    found = code.run(code.SourceQuestion(root=ROOT), wall=lambda: NOW)
    checks = {check.id: check for check in found.checks}
    assert checks["SRC-1"].status == CheckStatus.PASS
    assert checks["SRC-3"].status == CheckStatus.SKIP
    alone = code.run(code.SourceQuestion(root=tmp_path), wall=lambda: NOW)
    assert alone.checks[0].status == CheckStatus.SKIP


def _install(
    folder: Path, *, editable: bool = False, change: str = "", drop: str = "", add: str = ""
) -> metadata.Distribution:
    """A distribution by hand: two rooms, a RECORD, and what was done to it since."""
    files = {"protocol/__init__.py": b"", "protocol/wire/frame.py": b"x = 1\n", "checkvalve.py": b"y = 2\n"}
    info = folder / "checkvalve-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: checkvalve\nVersion: 1.0\nRequires-Dist: numpy>=2\n")
    lines = []
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    (info / "RECORD").write_text("\n".join([*lines, "checkvalve-1.0.dist-info/RECORD,,"]) + "\n")
    if editable:
        (info / "direct_url.json").write_text(json.dumps({"url": f"file://{folder}", "dir_info": {"editable": True}}))
    if change:
        (folder / change).write_bytes(b"z = 3\n")
    if drop:
        (folder / drop).unlink()
    if add:
        (folder / add).write_bytes(b"import os\n")
    return metadata.PathDistribution(info)


def test_recorded_files_pass_and_every_difference_is_named(tmp_path: Path) -> None:
    """Changed, missing, and beside ours without being recorded."""
    assert installed.compare(_install(tmp_path / "a"), ours=True).right
    changed = installed.compare(_install(tmp_path / "b", change="protocol/wire/frame.py"), ours=True)
    assert (changed.changed, changed.right) == (["protocol/wire/frame.py"], False)
    assert installed.compare(_install(tmp_path / "c", drop="checkvalve.py"), ours=True).missing == ["checkvalve.py"]
    strange = installed.compare(_install(tmp_path / "d", add="protocol/ear.py"), ours=True)
    assert strange.strange == ["protocol/ear.py"]
    assert changed.sources_sha256 != strange.sources_sha256


def test_a_collector_that_was_added_warns_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are compared too; the release's own files stay the recorded ones."""
    own = _install(tmp_path / "a")
    about = tmp_path / "added" / "acme_lines-2.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-lines\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text("[checkvalve.collectors]\nlines = acme:Lines\n")
    (about / "RECORD").write_text("acme.py,sha256=xx,1\n")
    monkeypatch.setattr(code, "distribution", lambda: own)
    assert code._files(False, "now").status == CheckStatus.PASS
    monkeypatch.syspath_prepend(str(tmp_path / "added"))
    missing = code._files(False, "now")
    assert (missing.status, missing.found) == (CheckStatus.FAIL, "acme-lines: acme.py is missing")
    (about / "RECORD").write_text("")
    found = code._files(False, "now")
    assert found.status == CheckStatus.WARN
    assert found.found.endswith("added, no part of the release: collector lines (acme-lines 2.0)")


def test_an_editable_installation_is_said_as_such(tmp_path: Path) -> None:
    """Nothing is compared; one hash over the sources tells two of them apart."""
    found = installed.compare(_install(tmp_path, editable=True), ours=True)
    assert found.editable == str(tmp_path)
    assert found.checked == 0
    assert len(found.sources_sha256) == 64


def test_libraries_are_hashed_where_asked() -> None:
    """Those that are installed here are the recorded ones, as far as their RECORD has hashes."""
    own = metadata.distribution("msgpack")
    assert installed.compare(own, ours=False).checked > 3
    names = {one.name for one in installed.libraries_of(metadata.distribution("pydantic"))}
    assert "pydantic_core" in {name.replace("-", "_") for name in names}


MAP = "7f00-7f01 r-xp 0000 00:00 1    {}\n"


def test_strange_libraries_in_a_process_are_named() -> None:
    """Not of what the end imports, not Python's, or an event loop's; an unknown one of the system is looked at."""
    maps = "".join(
        MAP.format(path)
        for path in (
            "/v/site-packages/msgpack/_cmsgpack.so",
            "/v/site-packages/numpy.libs/libopenblas.so.3",
            "/v/site-packages/_cffi_backend.cpython-311.so",
            "/v/site-packages/evil/_evil.so",
            "/py/lib-dynload/_socket.cpython-311.so",
            "/py/lib-dynload/_ssl.cpython-311.so",
            "/usr/lib/libc.so.6",
            "/usr/lib/libpcap.so.1",
            "/usr/lib/locale/C.utf8/LC_CTYPE",
            "[heap]",
            "/usr/lib/libz.so.1 (deleted)",
        )
    )
    told = loaded.judge(maps, {"msgpack", "numpy", "cffi"})
    assert sorted(told.strange) == ["/v/site-packages/evil/_evil.so", "_ssl.cpython-311.so"]
    assert told.unknown == ["/usr/lib/libpcap.so.1"]
    assert told.replaced == ["/usr/lib/libz.so.1"]
    assert set(told.libraries) == {"msgpack", "numpy", "cffi"}


@pytest.mark.parametrize(
    ("more", "status"), [("", CheckStatus.PASS), ("import _ssl, pymodbus, orjson;", CheckStatus.FAIL)]
)
def test_a_running_end_is_judged_by_what_it_has_mapped(more: str, status: CheckStatus) -> None:
    """A process that loaded the emitter's modules passes; with something else beside them it fails."""
    line = f"import {EMIT.start};{more} print('up', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", line], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        found = code.run(code.SourceQuestion(root=ROOT, pids=[("emit", process.pid)]), wall=lambda: NOW)
        process.communicate("\n")
    check = next(one for one in found.checks if one.id == "SRC-3")
    assert check.status == status, check.found
    assert check.evidence[0].value["process"] == f"emit {process.pid}"


def test_a_process_that_is_gone_is_skipped(tmp_path: Path) -> None:
    """A number that nobody has any more is no pass; nor is one of a status file that nobody rewrites."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    (tmp_path / "status-emit.json").write_text(json.dumps({"pid": process.pid}))
    asked = code.SourceQuestion(root=ROOT, pids=[("emit", process.pid)], states=[tmp_path])
    found = code.run(asked, wall=lambda: NOW)
    assert found.checks[2].status == CheckStatus.SKIP
    (tmp_path / "status-emit.json").write_text(json.dumps({"pid": os.getpid()}))
    found = code.run(code.SourceQuestion(root=ROOT, states=[tmp_path]), wall=lambda: NOW)
    assert f"emit {os.getpid()}" in found.checks[2].evidence[0].value["process"]
