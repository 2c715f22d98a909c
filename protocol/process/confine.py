"""What the two processes at the link give up before they start: the kernel then holds them to one direction.

    emitter   may send on one socket, and can never take a byte from any socket
    catcher   may receive on one socket, and can never put a byte into any socket

    1  the socket is moved to descriptor 99, so that the filter can name it
    2  all capabilities are dropped, also from the bounding and ambient sets (capabilities.py)
    3  no new privileges (prctl(2), PR_SET_NO_NEW_PRIVS)
    4  a system-call filter over all threads (seccomp(2), SECCOMP_SET_MODE_FILTER, TSYNC): a forbidden call ends the
       process by SIGSYS; it cannot be taken off again

The filter is a deny list: everything else stays allowed, so that a new Python or C library does not break a plant.
`strict` is an allow list instead, of what these two processes were seen to use. Only x86_64 was run; elsewhere, and on
a kernel without seccomp, nothing is confined and the state says so. This is evidence, not a diode: a kernel with a
hole, or a second process of another user, is outside of it.

Numbers: linux/audit.h, linux/filter.h, linux/seccomp.h, asm/unistd_64.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from protocol.process.capabilities import must_write, shed

LINK_FD = 99
"""Descriptor of the one socket, so that a filter made once can name it."""


class Role(StrEnum):
    """Which end of the link is confined, and so which verb of the two it keeps."""

    EMITTER = "emitter"
    CATCHER = "catcher"


class Mode(StrEnum):
    """How much a process gives up: `on` by a deny list, `strict` by an allow list, `off` nothing."""

    ON = "on"
    STRICT = "strict"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What is in force, for status and reports."""

    mode: str
    """`on`, `strict`, `off`, or `none` where the kernel or the machine cannot."""
    text: str
    """One line for people."""


NEVER = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "io_submit": 209, "pidfd_getfd": 438, "setns": 308,
    "unshare": 272, "bpf": 321, "socket": 41, "socketpair": 53, "connect": 42, "bind": 49, "listen": 50,
    "accept": 43, "accept4": 288, "execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "mount": 165,
    "init_module": 175, "finit_module": 313, "kexec_load": 246, "shutdown": 48,
}  # fmt: skip
"""Neither end needs these once it runs: new sockets, new programs, other processes, ways around the filter."""
STRICT_COMMON = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
    "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "pwrite64": 18, "select": 23, "sched_yield": 24, "mremap": 25, "madvise": 28,
    "nanosleep": 35, "getpid": 39, "exit": 60, "fcntl": 72, "flock": 73, "fsync": 74, "fdatasync": 75,
    "ftruncate": 77, "rename": 82, "mkdir": 83, "unlink": 87, "readlink": 89, "gettid": 186, "futex": 202,
    "getdents64": 217, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
    "tgkill": 234, "openat": 257, "mknodat": 259, "newfstatat": 262, "unlinkat": 263, "renameat": 264,
    "pselect6": 270, "ppoll": 271, "set_robust_list": 273, "getrandom": 318, "statx": 332, "rseq": 334,
    "stat": 4, "lstat": 6, "access": 21, "getcwd": 79, "sigaltstack": 131, "membarrier": 324, "adjtimex": 159,
    "clock_adjtime": 305, "fchmod": 91, "fchown": 93, "getuid": 102, "geteuid": 107, "prlimit64": 302,
    "sched_getaffinity": 204, "close_range": 436, "renameat2": 316, "getrlimit": 97, "gettimeofday": 96,
}  # fmt: skip
"""What both processes use besides their one verb; measured with strace over start, an hour's work and a clean end."""
CALLS = NEVER | STRICT_COMMON | {
    "readv": 19, "writev": 20, "dup": 32, "dup2": 33, "sendfile": 40, "sendto": 44, "recvfrom": 45,
    "sendmsg": 46, "recvmsg": 47, "getpeername": 52, "setsockopt": 54, "getsockopt": 55, "clone": 56,
    "splice": 275, "dup3": 292, "preadv": 295, "pwritev": 296, "recvmmsg": 299, "sendmmsg": 307, "seccomp": 317,
    "preadv2": 327, "pwritev2": 328, "clone3": 435,
}  # fmt: skip
"""x86_64 numbers of all calls that are named here (asm/unistd_64.h)."""
TAKES = ("recvfrom", "recvmsg", "recvmmsg")
GIVES = ("sendto", "sendmsg", "sendmmsg")
TAKES_FD = ("read", "readv", "pread64", "preadv", "preadv2")
GIVES_FD = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
COPIES_FD = ("dup", "dup2", "dup3", "fcntl")
ASKS_FD = ("getsockopt", "getpeername", "ioctl")
"""What a socket tells beside data: pending errors, counts of waiting bytes; closed to the emitter."""

_AUDIT_ARCH = 0xC000003E  # AUDIT_ARCH_X86_64
_X32 = 0x40000000
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG = 0, 4, (16, 24, 32)
_DUPS = (0, 1030)  # F_DUPFD, F_DUPFD_CLOEXEC
_CLONE_THREAD = 0x10000
_SET_FILTER, _TSYNC = 1, 1


def pin(descriptor: int) -> int:
    """Move a descriptor to `LINK_FD`, where the filter names it; returns that."""
    os.dup2(descriptor, LINK_FD, inheritable=False)
    os.close(descriptor)
    return LINK_FD


def filter_program(role: Role, *, strict: bool = False, action: int = _KILL) -> bytes:
    """The filter as classic BPF instructions, 8 bytes each.

    Args:
        role: Which verb stays.
        strict: An allow list instead of the deny list.
        action: What a forbidden call meets: by default the end of the process.
    """
    emitter = role == Role.EMITTER
    out = [_op(_LD, _ARCH), _op(_JEQ, _AUDIT_ARCH, 1, 0), _op(_RET, _KILL), _op(_LD, _NR)]
    out += [_op(_JGE, _X32, 0, 1), _op(_RET, _KILL)]  # the x32 numbers of the same calls
    for name in (*NEVER, *(TAKES if emitter else GIVES)):
        out += _on(name, [_op(_RET, action)])
    for name in (TAKES_FD if emitter else GIVES_FD) + COPIES_FD[:3] + (ASKS_FD if emitter else ()):
        out += _on(name, _if_link_fd(0, action))
    out += _on("fcntl", _if_dup(action))
    out += _on("splice", _if_link_fd(0 if emitter else 2, action))
    out += _on("sendfile", _if_link_fd(1 if emitter else 0, action))
    out += _on("setsockopt", [_op(_RET, _ERRNO | errno.EPERM)])
    out += _on("clone", [_op(_LD, _ARG[0]), _op(_JSET, _CLONE_THREAD, 1, 0), _op(_RET, action), _op(_RET, _ALLOW)])
    out += _on("clone3", [_op(_RET, _ERRNO | errno.ENOSYS)])  # its flags are in memory; libraries fall back to clone
    if strict:
        verb = ("sendto", "sendmsg") if emitter else ("recvfrom", "recvmsg")
        for name in (*STRICT_COMMON, *verb):
            out += _on(name, [_op(_RET, _ALLOW)])
        out.append(_op(_RET, action))
    else:
        out.append(_op(_RET, _ALLOW))
    return b"".join(out)


def possible() -> str | None:
    """Why this machine cannot confine, None where it can."""
    if platform.system() != "Linux":
        return f"{platform.system()} has no seccomp"
    if platform.machine() != "x86_64":
        return f"the filter was never run on {platform.machine()}"
    try:
        with open("/proc/self/status") as status:
            return None if any(line.startswith("Seccomp:") for line in status) else "this kernel has no seccomp"
    except OSError:
        return "/proc cannot be read"


def give_up(state: Path, mode: Mode, *inside: Path) -> None:
    """Drop all capabilities ahead of the rest, as soon as keys are read: what is in the way without them is said now.

    Args:
        state: The state folder, made where it is not there.
        mode: Whether capabilities are given up at all.
        inside: Folders in it that this process writes.

    Raises:
        ConfigError: the state folder, or one inside, is another user's.
        OSError: the kernel refused.
    """
    if mode != Mode.OFF:
        shed()
    state.mkdir(parents=True, exist_ok=True)
    must_write(state, *inside)


def confine(role: Role, mode: Mode) -> Confinement:
    """Give up everything that this end does not need; call it last, with the socket at `LINK_FD` and all imported.

    Returns:
        What is in force now.

    Raises:
        OSError: the kernel has seccomp and refused all the same; the process must not go on as if it were confined.
    """
    if mode == Mode.OFF:
        return Confinement(mode="off", text="NOT CONFINED: switched off by --confine=off")
    why = possible()
    if why is not None:
        return Confinement(mode="none", text=f"NOT CONFINED: {why}")
    shed()
    _install(ctypes.CDLL(None, use_errno=True), filter_program(role, strict=mode == Mode.STRICT))
    verb = "receives" if role == Role.EMITTER else "sends"
    kind = "allow list" if mode == Mode.STRICT else "deny list"
    return Confinement(mode=mode.value, text=f"confined ({kind}): ends by SIGSYS if it ever {verb}; no capabilities")


def _install(library: ctypes.CDLL, program: bytes) -> None:
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))
    result = library.syscall(CALLS["seccomp"], _SET_FILTER, _TSYNC, header)
    if result:
        raise OSError(ctypes.get_errno() if result < 0 else 0, f"seccomp filter ({result})")


def _op(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("HBBI", code, true, false, value & 0xFFFFFFFF)


def _on(name: str, body: list[bytes]) -> list[bytes]:
    """`body` for one call; it ends in a return on every path, and the number is still loaded behind it."""
    return [_op(_JEQ, CALLS[name], 0, len(body)), *body]


def _if_link_fd(argument: int, action: int) -> list[bytes]:
    return [_op(_LD, _ARG[argument]), _op(_JEQ, LINK_FD, 0, 1), _op(_RET, action), _op(_RET, _ALLOW)]


def _if_dup(action: int) -> list[bytes]:
    """fcntl on the socket: copies end the process, other questions pass."""
    return [
        _op(_LD, _ARG[0]),
        _op(_JEQ, LINK_FD, 0, 4),
        _op(_LD, _ARG[1]),
        _op(_JEQ, _DUPS[0], 1, 0),
        _op(_JEQ, _DUPS[1], 0, 1),
        _op(_RET, action),
        _op(_RET, _ALLOW),
    ]
