"""Rules that both sides share: disk, owners, key files, interface, clock, what a process warned of (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oneway.doctor.machine import Disk, Folder, Process
from oneway.doctor.trouble import Ailment, Rank
from oneway.preflight import Finding, Level
from protocol.process.document import from_json
from protocol.process.status_header import StatusHeader

DISK_LEAST = 64 << 20
"""Less room than this is as good as none [bytes]: a segment of either store does not fit in it."""
INODES_LEAST = 64
STOPS_DATA = ("silently", "cannot leave", "nothing would leave")
"""What preflight says of faults that keep data from arriving; the others are a way back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """One file of keys, as far as it could be looked at."""

    path: Path
    fault: str = ""
    """What is wrong with it; empty: nothing."""
    hint: str = ""
    owner: int | None = None
    """None where it is not there."""


def disk_troubles(disk: Disk | None, state: Path) -> Iterator[Ailment]:
    """No room, no inodes, read-only."""
    if disk is None:
        return
    what = f"the disk of {state}"
    if disk.read_only:
        yield Ailment(
            rank=Rank.DISK,
            name="disk-read-only",
            cause=f"{what} is mounted read-only: nothing can be kept",
            step="dmesg | tail -n 50: a failing disk is mounted so by the kernel; else mount it for writing",
        )
    elif disk.free_bytes < min(DISK_LEAST, disk.total_bytes // 20):
        yield Ailment(
            rank=Rank.DISK,
            name="disk-full",
            cause=f"{what} is full",
            evidence=(f"{disk.free_bytes / 1e6:.1f} MB of {disk.total_bytes / 1e9:.3g} GB are free",),
            step=f"du -xh --max-depth=3 {state} | sort -h | tail; make room, or make max_gb smaller",
        )
    elif disk.total_inodes and disk.free_inodes < INODES_LEAST:
        yield Ailment(
            rank=Rank.DISK,
            name="inodes-full",
            cause=f"{what} has room, but can hold no more files",
            evidence=(f"{disk.free_inodes} of {disk.total_inodes} inodes are free",),
            step=f"df -i {state}; take files away that are not Checkvalve's",
        )


def owner_troubles(folder: Folder, keys: Sequence[KeyFile], file: Path) -> Iterator[Ailment]:
    """Files that the services cannot use; the owner of the private keys is who the services run as."""
    users = {one.owner for one in keys if one.owner is not None}
    if folder.stands:
        yield Ailment(
            rank=Rank.OWNER,
            name="state-no-folder",
            cause=f"{folder.path} is {folder.stands}, and no folder: nothing can be kept",
            step=f"ls -l {folder.path}; mount or make what it leads to, or take it away: the start makes the folder",
        )
    if folder.shut:
        yield Ailment(
            rank=Rank.OWNER,
            name="configuration-owner",
            cause=f"the service cannot read {file}: the file is kept from the user it runs as",
            evidence=(folder.shut,),
            step=f"sudo chgrp --reference={folder.path} {file} && sudo chmod 640 {file}",
        )
    if not folder.there:
        return
    if folder.roots:
        yield Ailment(
            rank=Rank.OWNER,
            name="root-files",
            cause=f"root owns files in {folder.path}, which the service's user cannot write",
            evidence=tuple(f"{folder.path}/{name}" for name in folder.roots[:5]),
            step=f"sudo chown -R --reference={folder.path} {folder.path}",
        )
    elif users and folder.owner not in users and not folder.group_writes:
        yield Ailment(
            rank=Rank.OWNER,
            name="state-owner",
            cause=f"{folder.path} belongs to another user than the keys: the service cannot write it",
            evidence=(
                f"the folder is user {folder.owner}'s, the keys are user {', '.join(map(str, sorted(users)))}'s",
            ),
            step=f"sudo chown -R USER {folder.path}, with the user that the service runs as",
        )


def key_troubles(keys: Sequence[KeyFile]) -> Iterator[Ailment]:
    """Files that are missing, or hold something else."""
    for one in keys:
        if one.fault:
            yield Ailment(
                rank=Rank.KEY_FILE,
                name="key-file",
                cause=f"a key file is not usable: {one.fault}",
                evidence=(str(one.path),),
                step=one.hint or f"checkvalve keys show {one.path}, on both sides, and carry over the right file",
            )


def interface_troubles(findings: Sequence[Finding], *, runs: bool) -> Iterator[Ailment]:
    """Faults of the diode's interface.

    Args:
        findings: As preflight tells them.
        runs: Whether the process at the link runs: then a way back is no reason for missing data.
    """
    for one in findings:
        if one.level == Level.FAULT:
            stops = any(word in one.text for word in STOPS_DATA)
            yield Ailment(
                rank=Rank.SAID if runs and not stops else Rank.INTERFACE,
                name="interface",
                cause=one.text,
                evidence=("the kernel's own tables",),
                step=one.fix or "checkvalve setup prints the whole recipe",
            )


def clock_troubles(synced: bool | None, rank: Rank = Rank.CLOCK) -> Iterator[Ailment]:
    """A wall clock that nobody holds."""
    if synced is False:
        yield Ailment(
            rank=rank,
            name="clock-unsynchronised",
            cause="this machine's clock is not synchronised: times drift, and a step may shut the link",
            evidence=("adjtimex(2) says so",),
            step="timedatectl; chronyc sources: name a time server of this side's own network",
        )


def down_trouble(name: str, process: Process | None, evidence: Sequence[str], step: str) -> Ailment | None:
    """A process that should run and does not."""
    if process is not None and process.runs:
        return None
    if process is None:
        cause = f"{name} has never run here"
    elif process.alive and process.age_s is not None and process.age_s > 0:
        cause = f"{name} hangs: it lives and says nothing any more"
    elif process.alive:
        cause = f"{name} lives, but its last word is from a time to come: the clock was set back"
    else:
        cause = f"{name} is down"
    said = [] if process is None or process.age_s is None else [f"it spoke last {max(process.age_s, 0):.0f} s ago"]
    return Ailment(rank=Rank.PROCESS, name=f"{name}-down", cause=cause, evidence=(*said, *evidence), step=step)


def stranger(holder: int | None, process: Process | None) -> bool:
    """Whether somebody holds a lock who is not the process itself, hanging."""
    return holder is not None and not (process is not None and process.alive and process.said.get("pid") == holder)


def said_troubles(processes: Mapping[str, Process], file: Path) -> Iterator[Ailment]:
    """Warnings and alarms of running processes, in their own words."""
    for name, process in processes.items():
        header = from_json(StatusHeader, process.said)
        for line in (*header.alarms, *header.warnings) if process.runs else ():
            yield Ailment(
                rank=Rank.SAID,
                name="said",
                cause=f"{name} warns: {line}",
                step=f"checkvalve status {file}",
            )
