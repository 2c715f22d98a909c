"""The authority of a low side's folder, as a process or a command opens it."""

from __future__ import annotations

import time
from pathlib import Path

from receiver.governed.authority import Authority
from receiver.governed.grants import policy_file
from receiver.governed.trail.trail import Trail


def open_authority(folder: Path, state: Path) -> Authority:
    """Trail, registers and time of a low side; whoever opens it closes its trail.

    Args:
        folder: Where receiver.toml is, and access.toml beside it.
        state: The state folder.

    Raises:
        ConfigError: access.toml has mistakes.
        TrailError: the trail cannot be read.
    """
    policy = policy_file.load(folder)
    return Authority(Trail(state / "trail.db"), policy, state, wall_ns=time.time_ns(), running_ns=running_ns())


def running_ns() -> int:
    """Time that is never set and counts sleep [ns, since boot]."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
