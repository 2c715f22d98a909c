"""One command at a time in a folder of `state/`: a lock that ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from protocol.errors import HeldError
from protocol.store import statefile


@contextlib.contextmanager
def held(folder: Path, told: str) -> Iterator[None]:
    """While it lasts, nobody else holds the folder.

    Args:
        folder: Made where it is not there.
        told: What somebody does who has it: `another .. is under way`.

    Raises:
        HeldError: somebody has it.
        OSError: the folder cannot be made or written.
    """
    statefile.make_folder(folder)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
    try:
        if os.geteuid() == 0:
            owner = folder.stat()
            os.fchown(lock, owner.st_uid, owner.st_gid)
            os.fchmod(lock, 0o660)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError(f"{folder}: {told}") from None
        yield
    finally:
        os.close(lock)
