"""Root, for a moment the user that a file belongs to: for libraries that open files by name.

SQLite opens what it is named, and may make a log and an index beside it. A folder that another user may write in can
hold a link in their place, so root does not walk there as root.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def as_owner(about: os.stat_result) -> Iterator[None]:
    """Be the owner that `about` tells, where this is root; nobody else can be anybody else.

    The identity is the whole process's: no other thread may rely on root's meanwhile.
    """
    if os.geteuid() != 0 or about.st_uid == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([about.st_gid])
    os.setegid(about.st_gid)
    os.seteuid(about.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
