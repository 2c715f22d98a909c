"""Head of every report: which program, on which machine, by whom. Nothing POSIX-only; what is not there is left out."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

NAMES = ("checkvalve", "checkvalve-high", "checkvalve-low")
"""Distributions this program comes in; one of them is installed."""


def facts() -> dict[str, Any]:
    """Plain JSON: tool, machine, boot, person."""
    out: dict[str, Any] = {
        "tool": _tool(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "host": platform.node(),
        "by": _person(),
        "command": " ".join(["checkvalve", *sys.argv[1:]]),
    }
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        out["boot"] = boot.read_text().strip()
    if machine := _machine():
        out["machine"] = machine
    return out


def user_name(number: int) -> str:
    """A user's number with the name that this machine has for it: `root (uid 0)`."""
    try:
        import pwd  # POSIX only

        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except (ImportError, KeyError, OverflowError):
        return f"uid {number}, which has no name here"


def _machine() -> str:
    """Tells two machines of one name apart; the number itself is not to be shown (machine-id(5)), so it is hashed."""
    try:
        number = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        return ""
    return hashlib.sha256(b"checkvalve audit " + number).hexdigest()[:16] if number else ""


def distribution() -> metadata.Distribution | None:
    """The installed distribution of this program, None where it runs from a folder."""
    for name in NAMES:
        try:
            return metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _tool() -> str:
    installed = distribution()
    if installed is None:
        return "checkvalve, not installed"
    record = installed.read_text("RECORD") or ""
    return f"{installed.name} {installed.version}, RECORD sha256 {hashlib.sha256(record.encode()).hexdigest()}"


def _person() -> str:
    """Who typed it, and as whom it ran: `jim, as root (uid 0)`; a timer's run has only the second."""
    said = os.environ.get("SUDO_USER") or next((os.environ[key] for key in _WHO if os.environ.get(key)), "")
    ran = user_name(os.getuid()) if hasattr(os, "getuid") else ""
    if said and ran and not ran.startswith(f"{said} ("):
        return f"{said}, as {ran}"
    return ran or said or "unknown"


_WHO = ("LOGNAME", "USER", "USERNAME")
