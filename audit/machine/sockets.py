"""What stands in the link's namespace beside the interface: SK-1 to SK-4, each socket by its port and its program.

The kernel's tables (proc(5), /proc/net) give a socket's address, state, user and inode; the process that holds the
inode is found among the descriptors in /proc/PID/fd, which takes root for another user's. What has no holder that could
be seen is said to have none: a socket of the kernel's own, or one of a process that this user may not look at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from audit import catalogue
from audit.check import Check, CheckStatus, verdict
from audit.machine.look import NamespaceLook, Observation
from audit.report.machine_facts import user_name

OTHERS = ("tcp", "tcp6", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6")
"""Tables of /proc/net that must be empty (proc(5))."""
NAMED = 4
"""Most sockets of one table named in the line; the evidence has `SHOWN`."""
SHOWN = 50
_STATES = {"0A": "listens", "01": "connected", "06": "closing", "08": "closing"}
"""tcp_states.h; the others pass within a second or two."""
_NOBODY = "no process that this user may see"

Holders = Mapping[str, str]
"""By inode: `sshd (pid 612)`."""


def checks(at: NamespaceLook, side: str) -> list[Check]:
    """SK-1 to SK-4: what stands in the namespace.

    Args:
        at: The namespace.
        side: `high` or `low`.
    """
    held = holders()
    tables = [(name, at.file(f"/proc/net/{name}")) for name in OTHERS]
    unread = [seen.why for _, seen in tables if not seen.read and "No such file" not in seen.why]
    opened = {name: _sockets(seen, held) for name, seen in tables if seen.read}
    found = "; ".join(_words(name, rows) for name, rows in opened.items() if rows) or "none"
    evidence = [seen.evidence(opened[name][:SHOWN]) for name, seen in tables if name in opened]
    status = CheckStatus.SKIP if unread else verdict(not any(opened.values()))
    others = catalogue.check("SK-1", status, unread[0] if unread else found, *evidence)
    return [others, *_udp(at.file("/proc/net/udp"), side, held), _packet(at.file("/proc/net/packet"), held)]


def holders(root: Path = Path("/proc")) -> dict[str, str]:
    """Who holds each socket, as far as this user may look.

    Args:
        root: Where proc(5) is mounted.
    """
    out: dict[str, str] = {}
    for process in sorted(root.glob("[0-9]*"), key=lambda one: int(one.name)):
        try:
            program = (process / "comm").read_text(errors="replace").strip()
            links = [_target(one) for one in (process / "fd").iterdir()]
        except OSError:
            continue  # it has ended, or is another user's
        for link in links:
            if link.startswith("socket:["):
                out.setdefault(link[8:-1], f"{program} (pid {process.name})")
    return out


def address(text: str) -> str:
    """`0100007F:0016` as 127.0.0.1:22: words of four bytes in this machine's order, the port in the network's."""
    number, _, port = text.partition(":")
    words = [bytes.fromhex(number[at : at + 8])[::-1] for at in range(0, len(number), 8)]
    if len(words) == 1:
        return f"{IPv4Address(words[0])}:{int(port, 16)}"
    return f"[{IPv6Address(b''.join(words))}]:{int(port, 16)}"


def _udp(udp: Observation, side: str, held: Holders) -> list[Check]:
    if not udp.read:
        return [catalogue.check(one, CheckStatus.SKIP, udp.why, udp.evidence()) for one in ("SK-2", "SK-3")]
    rows = [row.split() for row in _rows(udp)]
    named = _sockets(udp, held)
    shown = [one | {"tx:rx queue": row[4], "drops": row[-1]} for row, one in zip(rows, named, strict=True)]
    wrong = 1 if side == "high" else 0
    waiting = [row[4] for row in rows if int(row[4].split(":")[wrong], 16)]
    found = _words("UDP sockets", named) if rows else "0 UDP sockets: nothing runs here now"
    word = ("receive" if side == "high" else "send") + " queue"
    dropped = sum(int(row[-1]) for row in rows)
    queues = f"{word} " + (", ".join(waiting) or "0") + f"; {dropped} datagrams discarded at sockets"
    return [
        catalogue.check("SK-2", verdict(len(rows) <= 1), found, udp.evidence(shown)),
        catalogue.check("SK-3", verdict(not waiting), queues, udp.evidence(shown)),
    ]


def _packet(packet: Observation, held: Holders) -> Check:
    if not packet.read:
        return catalogue.check("SK-4", CheckStatus.SKIP, packet.why, packet.evidence())
    rows = [row.split() for row in _rows(packet)]  # sk RefCnt Type Proto Iface R Rmem User Inode
    named = [
        {"local": f"protocol {row[3]}", "user": user_name(int(row[7])), "held by": _by(row[8], held)} for row in rows
    ]
    found = _words("packet sockets", named) if rows else "0 packet sockets"
    return catalogue.check("SK-4", verdict(not rows), found, packet.evidence(named[:SHOWN]))


def _sockets(table: Observation, held: Holders) -> list[dict[str, Any]]:
    """The rows of a table of /proc/net: sl local remote st tx:rx tr:when retransmits uid timeout inode .."""
    tcp = "/tcp" in table.command
    out = []
    for row in map(str.split, _rows(table)):
        one = {"local": address(row[1])}
        if tcp:
            one["state"] = _STATES.get(row[3], f"state {row[3]}")
        if int(row[2].partition(":")[0], 16):
            one["remote"] = address(row[2])
        out.append(one | {"user": user_name(int(row[7])), "held by": _by(row[9], held)})
    return out


def _target(link: Path) -> str:
    """What a descriptor stands for; empty where it was closed meanwhile."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _by(inode: str, held: Holders) -> str:
    return held.get(inode, _NOBODY)


def _words(name: str, rows: list[dict[str, Any]]) -> str:
    """`2 tcp: 0.0.0.0:22 listens, sshd (pid 612), root; ..`."""
    lines = []
    for one in rows[:NAMED]:
        where = " ".join(filter(None, (one["local"], one.get("state"), one.get("remote") and f"to {one['remote']}")))
        lines.append(f"{where}, {one['held by']}, {one['user']}")
    more = [f"{len(rows) - NAMED} more in the evidence"] if len(rows) > NAMED else []
    return f"{len(rows)} {name}: " + "; ".join(lines + more)


def _rows(observation: Observation) -> list[str]:
    return observation.text.splitlines()[1:]
