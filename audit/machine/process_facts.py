"""What the process at the link holds: privileges, descriptors, memory, keys, and its own word.

What could not be read is SKIP with its reason.
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
from audit.check import Check, CheckStatus, Evidence, stamp, verdict
from audit.machine.look import NamespaceLook, Observation
from audit.report.machine_facts import user_name
from protocol.store import statefile

LINK_FD = 99
"""Descriptor of the one socket (protocol/process/confine.py)."""
IDS = ("PR-1", "PR-2", "PR-3", "PR-4", "PR-5", "PR-6")
"""Checks of one process."""
OWN = {"high": ("sign.key", "link-sign.key"), "low": ("catch.key", "open.key")}
"""Private keys of each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """What was looked at of the process at the link."""

    pid: int
    status: Observation
    maps: Observation
    descriptors: Mapping[str, str] | None
    """Number -> what it stands for; None where it could not be read."""
    why: str
    """Why not."""
    time: str
    threads: tuple[Observation, ...] = ()
    """The status of each of its threads: a filter and capabilities are a thread's own."""


def look(at: NamespaceLook, pid: int, wall: Callable[[], int]) -> ProcessFacts:
    """Look at a process.

    Args:
        at: Any namespace: /proc/PID is the same in all.
        pid: Its number.
        wall: Wall time [ns since 1970 UTC].
    """
    time = stamp(wall())
    try:
        folder = f"/proc/{pid}/fd"
        links = {one: os.readlink(f"{folder}/{one}") for one in os.listdir(folder)}
        descriptors, why = links, ""
    except OSError as error:
        descriptors, why = None, f"{error.strerror}; run it as root or as that user"
    status, maps = at.plain(f"/proc/{pid}/status"), at.plain(f"/proc/{pid}/maps")
    try:
        tasks = sorted(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        tasks = []
    threads = tuple(at.plain(f"/proc/{pid}/task/{task}/status") for task in tasks)
    return ProcessFacts(pid=pid, status=status, maps=maps, descriptors=descriptors, why=why, time=time, threads=threads)


def checks(process: ProcessFacts) -> list[Check]:
    """PR-1 to PR-6 of one process."""
    fields = _fields(process.status)
    for thread in process.threads:
        _weaken(fields, _fields(thread))
    if not fields:
        why = f"pid {process.pid}: {process.status.why or 'it has no status'}"
        return [catalogue.check(ident, CheckStatus.SKIP, why, process.status.evidence()) for ident in IDS]
    return [
        _word("PR-1", process, fields, ("Seccomp", "Seccomp_filters"), lambda status: status.get("Seccomp") == "2"),
        _word("PR-2", process, fields, ("NoNewPrivs",), lambda status: status.get("NoNewPrivs") == "1"),
        _word("PR-3", process, fields, ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"), _no_capability),
        _word("PR-4", process, fields, ("Uid",), lambda status: "0" not in status.get("Uid", "0").split()),
        _descriptors(process),
        _memory(process),
    ]


def _fields(status: Observation) -> dict[str, str]:
    lines = (line.split(":", 1) for line in status.text.splitlines() if ":" in line)
    return {key: value.strip() for key, value in lines}


def _weaken(fields: dict[str, str], thread: Mapping[str, str]) -> None:
    """What any thread has left counts for the process."""
    for key in fields.keys() & thread.keys():
        if key.startswith("Cap"):
            fields[key] = f"{int(fields[key], 16) | int(thread[key], 16):016x}"
        elif key in ("Seccomp", "Seccomp_filters", "NoNewPrivs"):
            fields[key] = str(min(int(fields[key]), int(thread[key])))


def _no_capability(fields: Mapping[str, str]) -> bool:
    """The bounding set gives nothing by itself, and cannot be dropped without a privilege."""
    return all(int(value, 16) == 0 for key, value in fields.items() if key != "CapBnd")


def _word(
    ident: str,
    process: ProcessFacts,
    fields: Mapping[str, str],
    keys: tuple[str, ...],
    right: Callable[[Mapping[str, str]], bool],
) -> Check:
    shown = {key: fields[key] for key in keys if key in fields}
    if keys[0] not in shown:
        return catalogue.check(
            ident, CheckStatus.SKIP, f"this kernel does not tell {keys[0]}", process.status.evidence()
        )
    found = f"pid {process.pid}: " + ", ".join(f"{key} {' '.join(value.split())}" for key, value in shown.items())
    if "Uid" in shown:
        found += f" ({', '.join(dict.fromkeys(user_name(int(one)) for one in shown['Uid'].split()))})"
    return catalogue.check(ident, verdict(right(shown)), found, process.status.evidence(shown))


def _descriptors(process: ProcessFacts) -> Check:
    command = f"ls -l /proc/{process.pid}/fd"
    if process.descriptors is None:
        return catalogue.check(
            "PR-5", CheckStatus.SKIP, process.why, Evidence(value=process.why, command=command, time=process.time)
        )
    sockets = sorted((int(number), what) for number, what in process.descriptors.items() if what.startswith("socket:"))
    found = f"pid {process.pid}: " + (", ".join(f"descriptor {number}" for number, _ in sockets) or "no socket")
    evidence = Evidence(value=dict(process.descriptors), command=command, time=process.time)
    return catalogue.check("PR-5", verdict([number for number, _ in sockets] == [LINK_FD]), found, evidence)


def _memory(process: ProcessFacts) -> Check:
    if not process.maps.read or not process.maps.text:
        why = process.maps.why or "the list is empty; run it as root or as that user"
        return catalogue.check("PR-6", CheckStatus.SKIP, why, process.maps.evidence(why))
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
        why = "no configuration was given (--config)"
        return catalogue.check("PR-8", CheckStatus.SKIP, why)
    path = state / f"status-{name}.json"
    last_status = said(state, name)
    evidence = Evidence(value=last_status.get("confinement", ""), command=f"cat {path}", time=stamp(wall()))
    if "confined" not in last_status:
        return catalogue.check("PR-8", CheckStatus.SKIP, f"{path} does not say it: {name} has not run here", evidence)
    mode, override = str(last_status["confined"]), last_status.get("preflight") == "warn"
    status = {"on": CheckStatus.PASS, "strict": CheckStatus.PASS, "none": CheckStatus.WARN}.get(mode, CheckStatus.FAIL)
    if override and status == CheckStatus.PASS:
        status = CheckStatus.WARN
    found = f"{mode}: {last_status.get('confinement', '')}" + ("; preflight is overridden" if override else "")
    return catalogue.check("PR-8", status, found, evidence)


def said(state: Path, name: str) -> dict[str, Any]:
    """What a process said last; empty where it never did."""
    try:
        status = json.loads(statefile.read(state / f"status-{name}.json") or b"")
    except (OSError, ValueError, RecursionError):
        return {}
    return status if isinstance(status, dict) else {}


def keys(folder: Path | None, side: str, wall: Callable[[], int]) -> Check:
    """KEY-1: whose keys lie on this machine, and who may read them."""
    if folder is None:
        return catalogue.check("KEY-1", CheckStatus.SKIP, "no configuration was given (--config)")
    command, time = f"ls -l {folder}", stamp(wall())
    try:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.glob("*.key"))}
        os.listdir(folder)
    except OSError as error:
        why = f"{error.strerror}; run it as root or as their user"
        return catalogue.check("KEY-1", CheckStatus.SKIP, why, Evidence(value=why, command=command, time=time))
    evidence = Evidence(value={name: f"{mode:04o}" for name, mode in modes.items()}, command=command, time=time)
    foreign = [name for name in modes if name not in OWN[side]]
    missing = [name for name in OWN[side] if name not in modes]
    open_ = [name for name, mode in modes.items() if mode & 0o077]
    lines = [f"not this side's: {', '.join(foreign)}"] if foreign else []
    lines += [f"not there: {', '.join(missing)}"] if missing else []
    lines += [f"others may read: {', '.join(open_)}"] if open_ else []
    found = "; ".join(lines) or f"{', '.join(modes)}, each for its owner alone"
    bad = CheckStatus.FAIL if foreign or open_ else CheckStatus.WARN if missing else CheckStatus.PASS
    return catalogue.check("KEY-1", bad, found, evidence)
