"""A full disk is waited out, a failing one stops: which errors are which."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from protocol.errors import StoreError
from protocol.process.full_disk import attempt, no_room

FULL = (errno.ENOSPC, errno.EDQUOT)
FAILING = (errno.EIO, errno.EROFS, errno.EACCES, errno.EFBIG, errno.ENODEV, errno.ELOOP)


def _failing(number: int) -> None:
    raise OSError(number, "told by the kernel")


@pytest.mark.parametrize("number", FULL, ids=errno.errorcode.get)
def test_a_full_disk_is_no_failure(number: int) -> None:
    """It is told by the answer, so that who asked can wait and try again."""
    assert no_room(OSError(number, ""))
    assert not attempt(Path("state"), lambda: _failing(number))


@pytest.mark.parametrize("number", FAILING, ids=errno.errorcode.get)
def test_any_other_error_of_a_disk_stops(number: int) -> None:
    """It is a StoreError that names what was worked on, and the kernel's reason."""
    assert not no_room(OSError(number, ""))
    with pytest.raises(StoreError, match=r"state: .*told by the kernel"):
        attempt(Path("state"), lambda: _failing(number))


def test_work_that_is_done_says_so() -> None:
    """What it gives back is of no matter."""
    assert attempt(Path("state"), lambda: False)
