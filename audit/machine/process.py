"""What stands in the link's namespace beside the interface, and what the process at the link holds.

Sockets, privileges, memory, keys, and its own word. What could not be read is SKIP with its reason.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import catalogue
from audit.check import Check, Evidence, Status, stamp, verdict
from audit.machine.look import Look, Seen
from protocol.store import statefile

LINK_FD = 99
"""Descriptor of the one socket (protocol/process/confine.py)."""
OTHERS = ("tcp", "tcp6", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6")
"""Tables of /proc/net that must be empty (proc(5))."""
IDS = ("PR-1", "PR-2", "PR-3", "PR-4", "PR-5", "PR-6")
"""Checks of one process."""
OWN = {"high": ("sign.key", "link-sign.key"), "low": ("catch.key", "open.key")}
"""Private keys of each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What was looked at of the process at the link."""

    pid: int
    status: Seen
    maps: Seen
    descriptors: Mapping[str, str] | None
    """Number -> what it stands for; None where it could not be read."""
    why: str
    """Why not."""
    time: str
    threads: tuple[Seen, ...] = ()
    """The status of each of its threads: a filter and capabilities are a thread's own."""


def look(at: Look, pid: int, wall: Callable[[], int]) -> Process:
    """Look at a process.

    Args:
        at: Any namespace: /proc/PID is the same in all.
        pid: Its number.
        wall: Wall time [ns since 1970 UTC].
    """
    time = stamp(wall())
    try:
        folder = f"/proc/{pid}/fd"
        held = {one: os.readlink(f"{folder}/{one}") for one in os.listdir(folder)}
        descriptors, why = held, ""
    except OSError as error:
        descriptors, why = None, f"{error.strerror}; run it as root or as that user"
    status, maps = at.plain(f"/proc/{pid}/status"), at.plain(f"/proc/{pid}/maps")
    try:
        tasks = sorted(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        tasks = []
    threads = tuple(at.plain(f"/proc/{pid}/task/{task}/status") for task in tasks)
    return Process(pid=pid, status=status, maps=maps, descriptors=descriptors, why=why, time=time, threads=threads)


def sockets(at: Look, side: str) -> list[Check]:
    """SK-1 to SK-4: what stands in the namespace."""
    tables = [at.file(f"/proc/net/{name}") for name in OTHERS]
    unread = [one.why for one in tables if not one.read and "No such file" not in one.why]
    rows = {seen.command.rpartition("/")[2]: _rows(seen) for seen in tables if seen.read and _rows(seen)}
    found = ", ".join(f"{len(held)} {name}" for name, held in rows.items()) or "none"
    seen = [one.evidence(_rows(one)[:5]) for one in tables if one.read]
    one = catalogue.check("SK-1", Status.SKIP if unread else verdict(not rows), unread[0] if unread else found, *seen)
    udp, packet = at.file("/proc/net/udp"), at.file("/proc/net/packet")
    return [one, *_udp(udp, side), _packet(packet)]


def _udp(udp: Seen, side: str) -> list[Check]:
    if not udp.read:
        return [catalogue.check(one, Status.SKIP, udp.why, udp.evidence()) for one in ("SK-2", "SK-3")]
    rows = [row.split() for row in _rows(udp)]
    shown = [{"local": row[1], "tx:rx queue": row[4], "uid": row[7], "drops": row[-1]} for row in rows]
    wrong = 1 if side == "high" else 0
    waiting = [row[4] for row in rows if int(row[4].split(":")[wrong], 16)]
    found = f"{len(rows)} UDP sockets" + ("" if rows else ": nothing runs here now")
    word = ("receive" if side == "high" else "send") + " queue"
    dropped = sum(int(row[-1]) for row in rows)
    held = f"{word} " + (", ".join(waiting) or "0") + f"; {dropped} datagrams discarded at sockets"
    return [
        catalogue.check("SK-2", verdict(len(rows) <= 1), found, udp.evidence(shown)),
        catalogue.check("SK-3", verdict(not waiting), held, udp.evidence(shown)),
    ]


def _packet(packet: Seen) -> Check:
    if not packet.read:
        return catalogue.check("SK-4", Status.SKIP, packet.why, packet.evidence())
    rows = _rows(packet)
    return catalogue.check("SK-4", verdict(not rows), f"{len(rows)} packet sockets", packet.evidence(rows[:5]))


def _rows(seen: Seen) -> list[str]:
    return seen.text.splitlines()[1:]


def checks(process: Process) -> list[Check]:
    """PR-1 to PR-6 of one process."""
    held = _fields(process.status)
    for thread in process.threads:
        _weaken(held, _fields(thread))
    if not held:
        why = f"pid {process.pid}: {process.status.why or 'it has no status'}"
        return [catalogue.check(ident, Status.SKIP, why, process.status.evidence()) for ident in IDS]
    return [
        _word("PR-1", process, held, ("Seccomp", "Seccomp_filters"), lambda told: told.get("Seccomp") == "2"),
        _word("PR-2", process, held, ("NoNewPrivs",), lambda told: told.get("NoNewPrivs") == "1"),
        _word("PR-3", process, held, ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"), _no_capability),
        _word("PR-4", process, held, ("Uid",), lambda told: "0" not in told.get("Uid", "0").split()),
        _descriptors(process),
        _memory(process),
    ]


def _fields(status: Seen) -> dict[str, str]:
    lines = (line.split(":", 1) for line in status.text.splitlines() if ":" in line)
    return {key: value.strip() for key, value in lines}


def _weaken(held: dict[str, str], thread: Mapping[str, str]) -> None:
    """What any thread has left counts for the process."""
    for key in held.keys() & thread.keys():
        if key.startswith("Cap"):
            held[key] = f"{int(held[key], 16) | int(thread[key], 16):016x}"
        elif key in ("Seccomp", "Seccomp_filters", "NoNewPrivs"):
            held[key] = str(min(int(held[key]), int(thread[key])))


def _no_capability(told: Mapping[str, str]) -> bool:
    """The bounding set gives nothing by itself, and cannot be dropped without a privilege."""
    return all(int(value, 16) == 0 for key, value in told.items() if key != "CapBnd")


def _word(
    ident: str,
    process: Process,
    held: Mapping[str, str],
    keys: tuple[str, ...],
    right: Callable[[Mapping[str, str]], bool],
) -> Check:
    told = {key: held[key] for key in keys if key in held}
    if keys[0] not in told:
        return catalogue.check(ident, Status.SKIP, f"this kernel does not tell {keys[0]}", process.status.evidence())
    found = f"pid {process.pid}: " + ", ".join(f"{key} {' '.join(value.split())}" for key, value in told.items())
    return catalogue.check(ident, verdict(right(told)), found, process.status.evidence(told))


def _descriptors(process: Process) -> Check:
    command = f"ls -l /proc/{process.pid}/fd"
    if process.descriptors is None:
        return catalogue.check(
            "PR-5", Status.SKIP, process.why, Evidence(value=process.why, command=command, time=process.time)
        )
    held = sorted((int(number), what) for number, what in process.descriptors.items() if what.startswith("socket:"))
    found = f"pid {process.pid}: " + (", ".join(f"descriptor {number}" for number, _ in held) or "no socket")
    seen = Evidence(value=dict(process.descriptors), command=command, time=process.time)
    return catalogue.check("PR-5", verdict([number for number, _ in held] == [LINK_FD]), found, seen)


def _memory(process: Process) -> Check:
    if not process.maps.read or not process.maps.text:
        why = process.maps.why or "the list is empty; run it as root or as that user"
        return catalogue.check("PR-6", Status.SKIP, why, process.maps.evidence(why))
    both = [line for line in process.maps.text.splitlines() if re.search(r"^\S+ .wx", line)]
    found = f"pid {process.pid}: {len(both)} mappings both writable and executable"
    return catalogue.check("PR-6", verdict(not both), found, process.maps.evidence(both[:5]))


def confined(state: Path | None, name: str, wall: Callable[[], int]) -> Check:
    """PR-8: the process's own word.

    Args:
        state: The side's `state` folder; None where no configuration was given.
        name: `emit` or `catch`.
        wall: Wall time [ns since 1970 UTC].
    """
    if state is None:
        told = "no configuration was given (--config)"
        return catalogue.check("PR-8", Status.SKIP, told)
    path = state / f"status-{name}.json"
    held = said(state, name)
    seen = Evidence(value=held.get("confinement", ""), command=f"cat {path}", time=stamp(wall()))
    if "confined" not in held:
        return catalogue.check("PR-8", Status.SKIP, f"{path} does not say it: {name} has not run here", seen)
    mode, override = str(held["confined"]), held.get("preflight") == "warn"
    status = {"on": Status.PASS, "strict": Status.PASS, "none": Status.WARN}.get(mode, Status.FAIL)
    if override and status == Status.PASS:
        status = Status.WARN
    found = f"{mode}: {held.get('confinement', '')}" + ("; preflight is overridden" if override else "")
    return catalogue.check("PR-8", status, found, seen)


def said(state: Path, name: str) -> dict[str, Any]:
    """What a process said last; empty where it never did."""
    try:
        told = json.loads(statefile.read(state / f"status-{name}.json") or b"")
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def keys(folder: Path | None, side: str, wall: Callable[[], int]) -> Check:
    """KEY-1: whose keys lie on this machine, and who may read them."""
    if folder is None:
        return catalogue.check("KEY-1", Status.SKIP, "no configuration was given (--config)")
    command, time = f"ls -l {folder}", stamp(wall())
    try:
        held = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.glob("*.key"))}
        os.listdir(folder)
    except OSError as error:
        why = f"{error.strerror}; run it as root or as their user"
        return catalogue.check("KEY-1", Status.SKIP, why, Evidence(value=why, command=command, time=time))
    seen = Evidence(value={name: f"{mode:04o}" for name, mode in held.items()}, command=command, time=time)
    foreign = [name for name in held if name not in OWN[side]]
    missing = [name for name in OWN[side] if name not in held]
    open_ = [name for name, mode in held.items() if mode & 0o077]
    lines = [f"not this side's: {', '.join(foreign)}"] if foreign else []
    lines += [f"not there: {', '.join(missing)}"] if missing else []
    lines += [f"others may read: {', '.join(open_)}"] if open_ else []
    found = "; ".join(lines) or f"{', '.join(held)}, each for its owner alone"
    bad = Status.FAIL if foreign or open_ else Status.WARN if missing else Status.PASS
    return catalogue.check("KEY-1", bad, found, seen)
