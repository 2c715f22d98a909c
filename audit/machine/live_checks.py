"""`audit live`: this machine's end of the link as it stands now, looked at and not touched.

    the interface   counters, flags, addresses, routes, neighbours, firewall     ground.py
    the namespace   sockets, each with its port and program                      sockets.py
    the process     privileges, descriptors, memory, keys, its own word          process_facts.py

Most of it needs no privilege; what does (the firewall, another user's descriptors) is SKIP with its reason, and is told
by root. A namespace is entered by `ip netns exec`, which takes root too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import catalogue
from audit.check import AuditFindings, Check, CheckStatus, stamp
from audit.machine import ground, process_facts, sockets
from audit.machine.look import NamespaceLook
from audit.report.machine_facts import facts
from protocol.errors import ConfigError
from protocol.settings.toml_file import read as read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineQuestion:
    """Which interface, namespace and process are looked at."""

    subject: ground.Subject
    namespace: str | None = None
    """Network namespace of the interface; None: the one this is run in."""
    pid: int | None = None
    """The process at the link; None: the one that the status file names, else none."""
    config: Path | None = None
    """`sender.toml` or `receiver.toml`: for the status, the process and the keys."""


def run(question: MachineQuestion, *, wall: Callable[[], int]) -> AuditFindings:
    """Look and judge.

    Args:
        question: What is looked at.
        wall: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: no such interface or namespace, a configuration that cannot be read.
    """
    began = stamp(wall())
    subject = question.subject
    at = NamespaceLook(question.namespace, wall)
    state = ground.look(at, subject.interface)
    if not state.link.read and state.links.read:
        names = ", ".join(one["ifname"] for one in state.links.json() or [])
        hint = f"there are {names}; --netns names another network namespace"
        raise ConfigError(f"no interface is called {subject.interface!r} here", hint=hint)
    if question.namespace is not None and not state.links.read:
        raise ConfigError(f"namespace {question.namespace!r}: {state.links.why}", hint="ip netns list; it takes root")
    folder, keys = _folders(question.config)
    name = "emit" if subject.high else "catch"
    pid = question.pid or (_living(process_facts.said(folder, name).get("pid")) if folder else None)
    checks = ground.checks(state, subject) + sockets.checks(at, subject.side)
    checks += _process(at, pid, wall)
    checks += [process_facts.confined(folder, name, wall), process_facts.keys(keys, subject.side, wall)]
    about = _facts(question, at, state, pid) | _switches(folder, name)
    return AuditFindings(what=f"live {subject.side}", time=began, facts=about, checks=tuple(checks))


def _process(at: NamespaceLook, pid: int | None, wall: Callable[[], int]) -> list[Check]:
    if pid is not None:
        return process_facts.checks(process_facts.look(at, pid, wall))
    why = "no process was named (--pid) and no status names a living one (--config)"
    return [catalogue.check(ident, CheckStatus.SKIP, why) for ident in process_facts.IDS]


def _facts(question: MachineQuestion, at: NamespaceLook, state: ground.GroundState, pid: int | None) -> dict[str, Any]:
    links = state.link.json()
    link = links[0] if links else {}
    about = {
        "side": question.subject.side,
        "interface": question.subject.interface,
        "ifindex": link.get("ifindex"),
        "mac": link.get("address"),
        "netns": at.run("readlink", "/proc/self/ns/net").text.strip(),
        "diode": "bare-fibre" if question.subject.appliance is None else f"appliance {question.subject.appliance}",
        "root": os.geteuid() == 0,
    }
    if pid is not None:
        about |= {"pid": pid, "pid_netns": at.run("readlink", f"/proc/{pid}/ns/net").text.strip()}
    return facts() | about


def _switches(folder: Path | None, name: str) -> dict[str, Any]:
    """What could have been turned down, by the process's own word."""
    status = process_facts.said(folder, name) if folder is not None else {}
    return {key: str(status[key]) for key in ("confined", "preflight") if key in status}


def _folders(config: Path | None) -> tuple[Path | None, Path | None]:
    """The side's `state` folder and its own keys' folder."""
    if config is None:
        return None, None
    try:
        own = read_settings(config).tables["keys"]["own"]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{config}: [keys] own cannot be read: {error}") from None
    folder = config.absolute().parent
    return folder / "state", folder / str(own)


def _living(pid: object) -> int | None:
    """The number if such a process runs and is ours by its command line."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return pid if isinstance(pid, int) and b"checkvalve" in line else None
