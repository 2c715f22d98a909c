"""What is seen on a machine is told by its name: a socket's port and program, a user, a person."""

from __future__ import annotations

import os
import pwd
import socket
import time
from pathlib import Path

import pytest

from audit.check import CheckStatus
from audit.machine import ground, sockets
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


PARENTS = {
    "macvlan": {"link": "eth3"},
    "macvtap": {"link": "eth3"},
    "ipvlan": {"link": "eth3"},
    "vlan": {"link": "eth3"},
    "bridge": {},
    "bond": {},
    "team": {},
    "vxlan": {},
    "macsec": {"link": "eth3"},
}


@pytest.mark.parametrize("kind", PARENTS)
def test_an_interface_that_speaks_by_another_is_not_alone(kind: str) -> None:
    """Its own counters and rules see nothing of what lies under it: LNK-3 fails and names it."""
    link = {"ifname": "diode0", "promiscuity": 0, "linkinfo": {"info_kind": kind}, **PARENTS[kind]}
    (reason,) = ground._joined(link, [])
    assert f"a {kind} on {PARENTS[kind].get('link', 'others')}" in reason
    moved = link | {"link_index": 3, "link_netnsid": 0}
    moved.pop("link", None)
    assert "interface 3 elsewhere" in ground._joined(moved, [])[0]


def test_what_stands_on_the_card_in_another_namespace_is_found_by_its_address() -> None:
    """The card takes frames for it; groups and what a switch learnt are none."""
    entries = [
        {"mac": "33:33:00:00:00:01", "flags": ["self"], "state": "permanent"},
        {"mac": "9e:e1:44:c3:67:4b", "flags": ["self"], "state": "permanent"},
        {"mac": "9e:e1:44:c3:67:4c", "master": "br0", "flags": []},
        {"mac": "no address", "flags": ["self"]},
    ]
    (reason,) = ground._hidden(entries)
    assert "9e:e1:44:c3:67:4b" in reason
    assert ground._hidden(entries[:1]) == []


@pytest.mark.parametrize("kind", PARENTS)
def test_an_interface_under_another_is_not_alone(kind: str) -> None:
    """What stands on it, or has it as a member, sends by it past its rules."""
    card = {"ifname": "diode0", "promiscuity": 0}
    other = {"ifname": "other0", "link": "diode0", "linkinfo": {"info_kind": kind}}
    assert ground._joined(card, [card, other])
    assert ground._joined(card, [card, {"ifname": "eth9", "master": "diode0"}])
    assert ground._joined(card | {"master": "br0"}, [card])


def test_an_interface_with_an_xdp_program_is_not_alone() -> None:
    """It sends frames back that meet no hook, as tried with XDP_TX on Linux 6.18; `ip` tells it so."""
    program = {"mode": 1, "prog": {"id": 97, "name": "back", "jited": 1}}
    link = {"ifname": "diode0", "promiscuity": 0, "linkinfo": {"info_kind": "veth"}, "xdp": program}
    for xdp in (program, program | {"attached": [program]}):
        (reason,) = ground._joined(link | {"xdp": xdp}, [])
        assert "an XDP program (back, id 97)" in reason


def test_a_card_and_the_kernels_own_pair_are_alone() -> None:
    """The pair's other end is no interface that stands on it."""
    one = {"ifname": "v0", "link": "v1", "promiscuity": 0, "linkinfo": {"info_kind": "veth"}}
    two = {"ifname": "v1", "link": "v0", "promiscuity": 0, "linkinfo": {"info_kind": "veth"}}
    assert ground._joined(one, [one, two]) == []
    assert ground._joined({"ifname": "eth3", "promiscuity": 0, "link_type": "ether"}, [one]) == []
