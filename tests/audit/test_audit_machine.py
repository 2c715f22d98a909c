"""What is seen on a machine is told by its name: a socket's port and program, a user, a person."""

from __future__ import annotations

import os
import pwd
import socket
import time
from pathlib import Path

import pytest

from audit.check import CheckStatus
from audit.machine import sockets
from audit.machine.look import NamespaceLook
from audit.report import machine_facts


def test_a_listening_socket_is_named_by_port_process_and_user() -> None:
    """Its line says where it listens, which program holds it and as whom; so does the evidence."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        checks = {one.id: one for one in sockets.checks(NamespaceLook(None, time.time_ns), "low")}
    found = checks["SK-1"]
    assert found.status == CheckStatus.FAIL
    (mine,) = [row for one in found.evidence for row in one.value if row["local"] == f"127.0.0.1:{port}"]
    assert mine["state"] == "listens"
    assert mine["held by"].endswith(f"(pid {os.getpid()})")
    assert mine["user"] == f"{pwd.getpwuid(os.getuid()).pw_name} (uid {os.getuid()})"


def test_the_line_names_the_first_sockets_and_counts_the_rest() -> None:
    """A count alone tells nobody what to stop; a hundred sockets are no line."""
    rows = [
        {"local": f"0.0.0.0:{port}", "state": "listens", "held by": "x (pid 1)", "user": "root"} for port in range(9)
    ]
    line = sockets._words("tcp", rows)
    assert line.startswith("9 tcp: 0.0.0.0:0 listens, x (pid 1), root; ")
    assert line.endswith("; 5 more in the evidence")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0100007F:0016", "127.0.0.1:22"),
        ("00000000000000000000000001000000:01BB", "[::1]:443"),
        ("B80D01200000000067452301EFCDAB89:0001", "[2001:db8::123:4567:89ab:cdef]:1"),
    ],
)
def test_an_address_of_the_kernels_table_is_read(text: str, told: str) -> None:
    """Four bytes at a time in the machine's order."""
    assert sockets.address(text) == told


def test_a_process_that_may_not_be_looked_at_is_passed_over(tmp_path: Path) -> None:
    """What is left of a process that ended is no holder and no error."""
    (tmp_path / "12").mkdir()
    (tmp_path / "13" / "fd").mkdir(parents=True)
    (tmp_path / "13" / "comm").write_text("sshd\n")
    (tmp_path / "13" / "fd" / "3").symlink_to("socket:[77]")
    assert sockets.holders(tmp_path) == {"77": "sshd (pid 13)"}


@pytest.mark.parametrize("said", ["", "jim", "root"])
def test_who_ran_it_is_a_name(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer's environment names nobody: the user's own name stands beside its number."""
    for key in ("SUDO_USER", "LOGNAME", "USER", "USERNAME"):
        monkeypatch.delenv(key, raising=False)
    if said:
        monkeypatch.setenv("SUDO_USER", said)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    by = machine_facts.facts()["by"]
    assert by == ("jim, as root (uid 0)" if said == "jim" else "root (uid 0)")
    assert machine_facts.user_name(4_000_000_000) == "uid 4000000000, which has no name here"
