"""What a process of root gives up so that it is no more than its user id: every capability (capabilities(7)).

A service has none to begin with: its unit sees to it. But somebody starts `send` or `receive` as root, and then each
process gives up by itself what it has no use for:

    poll, an output, the pages    all of it, and it takes no new ones (prctl(2), PR_SET_NO_NEW_PRIVS)
    the ends of the link          the same, once their socket is open (confine.py)
    a parent                      what no child needs at its start: to see the firewall and to ask for a large buffer
                                  (CAP_NET_ADMIN), to listen below port 1024 (CAP_NET_BIND_SERVICE)

Without CAP_DAC_OVERRIDE root writes where root may write, and nowhere else: a state folder of another user is then a
fault that `must_write` names. Capabilities are a thread's own, so they are given up before there is a second
one; `in_words` looks at all of them. Numbers: linux/capability.h, linux/prctl.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from pathlib import Path

from protocol.errors import ConfigError

NET_BIND_SERVICE, NET_ADMIN = 10, 12
_NO_NEW_PRIVS, _CAPBSET_DROP, _CAP_AMBIENT, _AMBIENT_CLEAR = 38, 24, 47, 4
_VERSION_3 = 0x20080522
_SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
"""The bounding set gives nothing by itself."""


def shed(*keep: int) -> None:
    """Give up all capabilities; nothing is done where there are none of Linux's.

    Args:
        keep: What children may have that are started afterwards; this process has no use of it either, but could take
            it up again.

    Raises:
        OSError: the kernel refused; the process must not go on as if it had none.
    """
    if platform.system() != "Linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        if capability not in keep:
            library.prctl(_CAPBSET_DROP, capability, 0, 0, 0)  # takes CAP_SETPCAP; without it the others are empty too
    library.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    kept = sum(1 << capability for capability in keep)
    permitted = _mask("CapPrm") & kept
    data = struct.pack("6I", 0, permitted & 0xFFFFFFFF, 0, 0, permitted >> 32, 0)
    if _mask(*_SETS) and library.capset(struct.pack("Ii", _VERSION_3, 0), data):  # a unit without any forbids the call
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if not keep and library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no new privileges")


def in_words() -> str:
    """What all threads of this process hold together, for its status: `none`, or a mask that capsh(1) reads."""
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return "not known"
    mask = 0
    for thread in threads:
        with contextlib.suppress(OSError):  # it has ended
            mask |= _mask(*_SETS, path=f"/proc/self/task/{thread}/status")
    return f"{mask:#x} (capsh --decode={mask:x})" if mask else "none"


def must_write(folder: Path, *inside: Path) -> None:
    """Whether this process may write there, asked once it has given up what it does not need.

    Args:
        folder: A state folder.
        inside: Folders in it that may be another user's; one that is not there yet can be made.

    Raises:
        ConfigError: it may not; the folder's owner is named.
    """
    for each in (folder, *(path for path in inside if os.path.lexists(path))):
        if not os.access(each, os.R_OK | os.W_OK | os.X_OK):
            raise _not_ours(each)


def _not_ours(folder: Path) -> ConfigError:
    try:
        number = folder.stat().st_uid
    except OSError as error:
        return ConfigError(f"{folder} cannot be looked at: {error.strerror}")
    owner, mine = _user(number), _user(os.geteuid())
    more = (
        "; root has no more rights here than another user, since it gives up all capabilities" if mine == "root" else ""
    )
    return ConfigError(
        f"{folder} cannot be written by {mine}: it belongs to {owner}{more}",
        hint=f"run it as {owner} (its systemd unit does, or sudo -u {owner} ..), or give the folder to {mine}",
    )


def _user(number: int) -> str:
    import pwd  # the auditor's kit runs where there is none

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _mask(*names: str, path: str = "/proc/thread-self/status") -> int:
    with open(path, encoding="ascii", errors="replace") as status:
        lines = [line.split() for line in status if line.startswith("Cap")]
    mask = 0
    for name, value in lines:
        if name.rstrip(":") in names:
            mask |= int(value, 16)
    return mask
