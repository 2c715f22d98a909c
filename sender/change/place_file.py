"""`sender.toml` replaced as a whole: another file of the same owner and mode, by rename.

Root does this in a folder that may be another user's. So the name must be a plain file's own: whoever could plant a
link there would have root replace what it leads to, and a file with a second name is not touched either.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from protocol.errors import ConfigError


def must_place(path: Path) -> os.stat_result:
    """What is known of the file that would be replaced.

    Raises:
        ConfigError: it is a link, or this user could not give the new one to the same owner.
    """
    held = path.lstat()
    if not stat.S_ISREG(held.st_mode) or held.st_nlink != 1:
        hint = "edit the file itself and apply it without --from, or let a plain file stand there"
        raise ConfigError(f"{path} is a link or no plain file, and is not replaced", hint=hint)
    if os.geteuid() != 0 and (held.st_uid != os.geteuid() or not os.access(path.parent, os.W_OK)):
        raise ConfigError(f"{path} is another user's, or its folder is", hint="sudo checkvalve apply ..")
    return held


def put(path: Path, data: bytes) -> None:
    """Replace it; a crash leaves the old one or the new one.

    Raises:
        ConfigError: see `must_place`.
        OSError: it cannot be written; the old one stands.
    """
    held = must_place(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    beside = f".{path.name}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(beside, flags, 0o600, dir_fd=folder), "wb") as opened:
            if os.geteuid() == 0:
                os.fchown(opened.fileno(), held.st_uid, held.st_gid)
            elif held.st_gid in (os.getegid(), *os.getgroups()):
                os.fchown(opened.fileno(), -1, held.st_gid)
            os.fchmod(opened.fileno(), stat.S_IMODE(held.st_mode) & 0o777)
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)
