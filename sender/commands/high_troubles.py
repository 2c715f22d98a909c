"""What is wrong on the high side: facts in, troubles out, for `checkvalve doctor sender.toml` (pure).

`high_look.py` collects the facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oneway.doctor import both_sides
from oneway.doctor.machine import Disk, Folder, Process
from oneway.doctor.trouble import Ailment, Rank
from oneway.preflight import Finding
from oneway.readings import UP, Interface
from protocol.process.document import from_json
from protocol.written import counted, span
from sender.status_documents import EmitStatus, PollStatus
from sender.store import foresee

BACKLOG_S = 30.0
"""A sender that is further behind than this is told [s]."""
NEAR_FULL = 0.95
"""Share of [spool] max_gb from which it is told: the oldest blocks go soon."""
RUNNING = 0x40  # linux/if.h: IFF_RUNNING, a cable is there


@dataclass(frozen=True, slots=True, kw_only=True)
class HighFacts:
    """Everything that the rules look at."""

    file: Path
    folder: Folder
    config_fault: Sequence[str] = ()
    """Every mistake, a line each."""
    config_hint: str = ""
    disk: Disk | None = None
    keys: Sequence[both_sides.KeyFile] = ()
    findings: Sequence[Finding] = ()
    interfaces: Sequence[Interface] = ()
    """Without loopback."""
    processes: Mapping[str, Process] = field(default_factory=dict)
    later: Mapping[str, Process] = field(default_factory=dict)
    """A pause later."""
    outlet_holder: int | None = None
    """Process that holds `emit.lock`, None where nobody is known to."""
    errands: int = 0
    """Requests that wait."""
    synced: bool | None = None


def troubles(facts: HighFacts) -> Iterator[Ailment]:
    """All that the facts tell, in no order."""
    emit = facts.processes.get("emit")
    if facts.config_fault:
        yield Ailment(
            rank=Rank.CONFIG,
            name="configuration",
            cause=f"the configuration cannot be used: {facts.config_fault[0]}",
            evidence=tuple(facts.config_fault[1:6]),
            step=facts.config_hint or f"checkvalve send {facts.file} --check",
        )
    yield from both_sides.disk_troubles(facts.disk, facts.folder.path)
    yield from both_sides.owner_troubles(facts.folder, facts.keys, facts.file)
    yield from both_sides.key_troubles(facts.keys)
    yield from _interface(facts)
    yield from both_sides.interface_troubles(facts.findings, runs=emit is not None and emit.runs)
    yield from _processes(facts)
    yield from _plant(facts)
    yield from _link(facts)
    yield from both_sides.clock_troubles(facts.synced)
    yield from both_sides.said_troubles(facts.processes, facts.file)


def _interface(facts: HighFacts) -> Iterator[Ailment]:
    if not any("no route" in one.text for one in facts.findings):
        down = []
    else:
        down = [one for one in facts.interfaces if not one.flags & UP]
    for one in down:
        yield Ailment(
            rank=Rank.INTERFACE,
            name="interface-down",
            cause=f"the interface {one.name} is down, and no route leads to the receiver",
            evidence=(f"the kernel's flags of {one.name}",),
            step=f"ip link set {one.name} up, then the lines of `checkvalve setup`: going down took its routes",
        )
    for one in facts.interfaces:
        if one.flags & UP and not one.flags & RUNNING:
            yield Ailment(
                rank=Rank.INTERFACE if len(facts.interfaces) == 1 else Rank.SAID,
                name="no-carrier",
                cause=f"{one.name} is up, but has no carrier: no cable, or no device at its other end",
                evidence=(f"the kernel's flags of {one.name}",),
                step=f"look at the plug and the lamps of {one.name}; then ip link show {one.name}",
            )


def _processes(facts: HighFacts) -> Iterator[Ailment]:
    both = f"checkvalve send {facts.file}, or systemctl status 'checkvalve-*'"
    for name in ("emit", "poll"):
        seen = [f"{counted(facts.errands, 'request')} left for it"] if name == "emit" and facts.errands else []
        down = both_sides.down_trouble(name, facts.processes.get(name), seen, both)
        if down is not None and name == "emit" and both_sides.stranger(facts.outlet_holder, facts.processes.get(name)):
            yield Ailment(
                rank=Rank.PROCESS,
                name="outlet-held",
                cause="another emitter holds the outlet",
                evidence=(f"{facts.folder.path}/emit.lock is held by process {facts.outlet_holder}", *down.evidence),
                step=f"sudo fuser -v {facts.folder.path}/emit.lock names it; stop that one",
            )
        elif down is not None:
            yield down


def _plant(facts: HighFacts) -> Iterator[Ailment]:
    process = facts.processes.get("poll")
    if process is None or not process.runs:
        return
    said = from_json(PollStatus, process.said)
    down = {name: str(one.get("trouble", "")) for name, one in said.assets.items() if one.get("state") == "down"}
    if down:
        every = len(down) == len(said.assets)
        who = f"all {len(down)} devices are" if every and len(down) > 1 else f"{', '.join(sorted(down)[:3])} is"
        yield Ailment(
            rank=Rank.PLANT,
            name="all-devices-down" if every else "device-down",
            cause=f"{who} down"
            + (": the plant's network, more likely than each of them" if len(down) > 1 and every else ""),
            evidence=tuple(f"{name}: {text}" for name, text in sorted(down.items())[:5]),
            step=f"checkvalve watch {facts.file} --only {min(down)}; look at its power, its cable, its address in url",
        )
    silly = {name: one for name, one in said.assets.items() if name not in down}
    for name, one in silly.items():
        if text := str(one.get("trouble", "")):
            yield Ailment(
                rank=Rank.PLANT,
                name="device-trouble",
                cause=f"{name}: {text}",
                step=f"checkvalve watch {facts.file} --only {name}",
            )
    size, most = said.spool.get("bytes"), said.spool.get("most_bytes")
    loses_s = said.spool.get("loses_s")
    if isinstance(loses_s, int | float) and loses_s < foresee.TOLD_S:
        yield Ailment(
            rank=Rank.RATE,
            name="spool-loses",
            cause=f"at the present rate blocks still to be sent or repeated go from the spool in {span(loses_s)}",
            evidence=("poll foretells it by the rate of the last minutes",),
            step="make [spool] max_gb or keep larger where the disk has room, or send faster (rate_mbit)",
        )
    elif isinstance(size, int | float) and isinstance(most, int | float) and size > NEAR_FULL * most > 0:
        yield Ailment(
            rank=Rank.RATE,
            name="spool-near-limit",
            cause="the spool is near its limit: the oldest blocks go, and can then never be asked for again",
            evidence=(f"{size / 1e9:.3g} of {most / 1e9:.3g} GB",),
            step="make [spool] max_gb larger where the disk has room, or send faster (rate_mbit)",
        )
    if said.spool.get("full") is True:
        yield Ailment(
            rank=Rank.DISK,
            name="disk-full",
            cause="the spool's disk is full",
            evidence=("poll says so",),
            step=f"df -h {facts.folder.path}; make room, or make [spool] max_gb smaller",
        )


def _link(facts: HighFacts) -> Iterator[Ailment]:
    process, later = facts.processes.get("emit"), facts.later.get("emit")
    if process is None or not process.runs:
        return
    said = from_json(EmitStatus, process.said)
    after = from_json(EmitStatus, later.said) if later is not None else said
    if after.send_errors > said.send_errors:
        yield Ailment(
            rank=Rank.INTERFACE,
            name="send-errors",
            cause="the interface does not take what is sent",
            evidence=(f"send_errors rose from {said.send_errors} to {after.send_errors}", *after.warnings[:2]),
            step=f"ip -s link, ip route get the address of [outlet] to; checkvalve setup --help; file: {facts.file}",
        )
    if after.backlog_s is not None and after.backlog_s > BACKLOG_S:
        yield Ailment(
            rank=Rank.RATE,
            name="backlog",
            cause=f"the link is too slow for what is read: {after.backlog_s:.0f} s behind",
            evidence=(f"backlog_s was {said.backlog_s or 0:.0f}, is {after.backlog_s:.0f}",),
            step=f"checkvalve plan {facts.file} tells the load; then a larger [outlet] rate_mbit, or fewer tags",
        )
