"""What `doctor` reads of this machine, for either side: the disk, owners, last words of processes, the kernel's counts.

Everything is looked at and nothing is changed, sent, started or waited for but one pause, over which counters are
compared. What this user may not see is None or empty, never an error.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol.process.last_words import read_statuses

FRESH_S = 5.0
"""What a process said longer ago than this, it said before it ended or hung [s]: it says it every second."""
WATCH_S = 2.2
"""The pause between two looks [s]: a sender says LINK and a beat every second, so both come in it."""
FILES_MOST = 5000
"""Most files whose owner is looked at."""
_SYN_LISTEN = "0A"  # include/net/tcp_states.h: TCP_LISTEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system of the state folder, or of the folder that it will be made in."""

    free_bytes: int
    """What a user without privileges may take [bytes]."""
    total_bytes: int
    free_inodes: int
    total_inodes: int
    """0 where the file system counts none."""
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The state folder and who owns what in it."""

    path: Path
    there: bool = True
    owner: int = 0
    group_writes: bool = False
    roots: tuple[str, ...] = ()
    """Files of root in a folder that is not root's."""
    damaged: tuple[str, ...] = ()
    """Names of files that were set aside as damaged."""
    stands: str = ""
    """What stands there in place of a folder; empty: nothing does."""
    shut: str = ""
    """Why its owner cannot read the configuration; empty: it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What a process said last, and whether it lives."""

    said: Mapping[str, Any]
    """Hostile: read with `from_json`."""
    age_s: float | None
    alive: bool

    @property
    def runs(self) -> bool:
        """It lives and spoke just now."""
        return self.alive and self.age_s is not None and abs(self.age_s) < FRESH_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The kernel's counts at one moment, of this network namespace."""

    frames_in: Mapping[str, int] = field(default_factory=dict)
    """By interface."""
    errors_in: Mapping[str, int] = field(default_factory=dict)
    """By interface: frames refused at the device (errors, drops, wrong length)."""
    snmp: Mapping[str, int] = field(default_factory=dict)
    """Such as `Udp.NoPorts` (proc_net_snmp: RFC 2013 and its neighbours)."""
    udp_ports: frozenset[int] = frozenset()
    """Bound."""
    tcp_ports: frozenset[int] = frozenset()
    """Listened on."""


def disk(path: Path) -> Disk | None:
    """The file system that holds a folder, or will."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        told = os.statvfs(path)
    except OSError:
        return None
    return Disk(
        free_bytes=told.f_bavail * told.f_frsize,
        total_bytes=told.f_blocks * told.f_frsize,
        free_inodes=told.f_favail,
        total_inodes=told.f_files,
        read_only=bool(told.f_flag & os.ST_RDONLY),
    )


def folder(path: Path, config: Path | None = None) -> Folder:
    """The state folder; links in it are not followed.

    Args:
        config: The configuration that its owner has to read.
    """
    try:
        own = path.stat()
    except OSError:
        return Folder(path=path, there=False, stands="a link that leads nowhere" if path.is_symlink() else "")
    if not stat.S_ISDIR(own.st_mode):
        return Folder(path=path, there=False, stands="a file")
    roots: list[str] = []
    damaged: list[str] = []
    seen = 0
    for at, folders, names in os.walk(path):
        for name in (*folders, *names):  # a folder of root may be one that cannot be entered
            seen += 1
            if seen > FILES_MOST:
                break
            with contextlib.suppress(OSError):
                if own.st_uid and not os.lstat(Path(at) / name).st_uid:
                    roots.append(os.path.normpath(os.path.relpath(Path(at) / name, path)))
            if ".damaged-" in name:
                damaged.append(name)
    return Folder(
        path=path,
        owner=own.st_uid,
        group_writes=bool(own.st_mode & stat.S_IWGRP),
        roots=tuple(roots),
        damaged=tuple(damaged),
        shut="" if config is None else _shut(own, config),
    )


def processes(state: Path, wall_ns: int) -> dict[str, Process]:
    """Last words, by the name of who said them.

    Args:
        wall_ns: Now [ns since 1970 UTC].
    """
    try:
        told = read_statuses(state)
    except OSError:
        return {}
    out = {}
    for name, said in told.items():
        at, pid = said.get("time_ns"), said.get("pid")
        age = (wall_ns - at) / 1e9 if type(at) is int else None
        out[name] = Process(said=said, age_s=age, alive=type(pid) is int and lives(pid))
    return out


def lives(pid: int) -> bool:
    """Whether a process of that number is there and is no zombie; nothing is sent to it."""
    if not 0 < pid < 2**22:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
    except (OSError, IndexError):
        return True


def holder(path: Path) -> int | None:
    """Number of the process that holds a file's lock, None where nobody does; none is taken to ask (proc_locks(5))."""
    try:
        inode = path.stat().st_ino
    except OSError:
        return None
    for line in _lines(Path("/proc/locks")):
        words = [word for word in line.split() if word != "->"]
        if len(words) >= 6 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            return int(words[4])
    return None


def kernel() -> Kernel:
    """The counts now; empty where there is no Linux /proc."""
    net = Path("/proc/thread-self/net")
    frames, errors = {}, {}
    for line in _lines(net / "dev")[2:]:
        name, _, rest = line.rpartition(":")
        words = [int(word) for word in rest.split()]
        frames[name.strip()], errors[name.strip()] = words[1], words[2] + words[3] + words[5]
    return Kernel(
        frames_in=frames,
        errors_in=errors,
        snmp=_snmp(_lines(net / "snmp")),
        udp_ports=_ports(_lines(net / "udp"), None),
        tcp_ports=_ports(_lines(net / "tcp"), _SYN_LISTEN),
    )


def rules() -> str | None:
    """What `nft list ruleset` prints; None where this user may not see it."""
    try:
        done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return None if done.returncode else done.stdout


def clock_synced() -> bool | None:
    """Whether the kernel holds the wall clock for synchronised (adjtimex(2)); None where it does not say."""
    try:
        told = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))
    except (OSError, AttributeError):
        return None
    return None if told < 0 else bool(told != 5)  # TIME_ERROR


def _shut(state: os.stat_result, config: Path) -> str:
    """How a file is kept from the owner of the state folder, or from its group where root shares it with one."""
    shared = bool(state.st_mode & stat.S_IWGRP)
    if not state.st_uid and not shared:
        return ""
    try:
        held = config.stat()
    except OSError:
        return ""
    groups = {state.st_gid}
    if state.st_uid:
        with contextlib.suppress(KeyError):
            groups.update(os.getgrouplist(pwd.getpwuid(state.st_uid).pw_name, state.st_gid))
    mine = state.st_uid and held.st_uid == state.st_uid
    if held.st_mode & (stat.S_IRUSR if mine else stat.S_IRGRP if held.st_gid in groups else stat.S_IROTH):
        return ""
    who = f"user {state.st_uid}" if state.st_uid else f"group {state.st_gid}"
    mode = stat.S_IMODE(held.st_mode)
    return f"its mode is {mode:03o}, of user {held.st_uid} and group {held.st_gid}; the state folder is of {who}"


def _snmp(rows: list[str]) -> dict[str, int]:
    out = {}
    for names, values in zip(rows[::2], rows[1::2], strict=False):
        head, *keys = names.split()
        out.update(
            {head.rstrip(":") + f".{key}": int(value) for key, value in zip(keys, values.split()[1:], strict=False)}
        )
    return out


def _ports(rows: list[str], state: str | None) -> frozenset[int]:
    held = (row.split() for row in rows[1:])
    return frozenset(int(row[1].split(":")[1], 16) for row in held if state is None or row[3] == state)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
