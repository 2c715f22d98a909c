"""A disk without room is no failing disk: it is waited out, what was taken stays in memory and is tried again.

    ENOSPC   no room left (open(2), write(2), fsync(2))
    EDQUOT   none left for this user

Any other error is a failing disk, a StoreError: stop, exit 3, lose nothing quietly (errors.py). What people are told
begins with whose disk it is, "the spool's disk is full: ", and goes on with what happens meanwhile. SQLite has names of
its own for both; `receiver/outputs/disk.py` tells them apart.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from protocol.errors import StoreError


def no_room(error: OSError) -> bool:
    """Whether the disk is full, rather than failing."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def attempt(path: Path, work: Callable[[], object]) -> bool:
    """Do some work on a disk; False where it is full.

    Args:
        path: What is worked on, for the error's text.

    Raises:
        StoreError: the disk fails.
    """
    try:
        work()
    except OSError as error:
        if no_room(error):
            return False
        raise StoreError(f"{path}: {error}") from error
    return True
