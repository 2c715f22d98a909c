"""A folder made from archives: it appears whole, or not at all, and what is there already is never touched.

Owners are taken by name, as a new machine may number its users otherwise; where a name is not known here, by number.
Only root can give files away: for anybody else all of it is his.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import tarfile
from collections.abc import Sequence
from pathlib import Path

from protocol import commissioning
from protocol.backup.archive import MANIFEST, PIECE, Manifest, Summed, check
from protocol.errors import ConfigError


def restore(archives: Sequence[Path], folder: Path) -> list[Manifest]:
    """Make a side's folder.

    Args:
        archives: That of the data, and that of the keys, in any order.
        folder: It must not be there.

    Returns:
        What each archive says of itself.

    Raises:
        ConfigError: an archive is not whole, they do not belong together, or the folder is there.
    """
    if os.path.lexists(folder):
        hint = f"stop what runs there, then put it aside: mv {folder} {folder}.before"
        raise ConfigError(f"{folder} is there, and nothing in it is overwritten", hint=hint)
    with commissioning.appearing(folder) as work:
        filling = _Filling(work)
        manifests = [check(path, filling.take) for path in archives]
        _fit(archives, manifests)
        filling.finish()
    return manifests


class _Filling:
    """A folder while it is filled; owners and modes of folders come last, or root's helper could not enter them."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._folders: dict[Path, tarfile.TarInfo] = {}

    def take(self, member: tarfile.TarInfo, data: Summed | None) -> None:
        """Make one file or folder."""
        path = self._work / member.name
        if data is None:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folders[path] = member
            return
        if member.name == MANIFEST:
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            hint = "name one archive of the data, and one of the keys"
            raise ConfigError(f"{member.name} is in two of these archives", hint=hint) from None
        with os.fdopen(file, "wb") as opened:
            while piece := data.read(PIECE):
                opened.write(piece)
            opened.flush()
            _give(file, member)
            os.utime(file, (member.mtime, member.mtime))
            os.fsync(file)

    def finish(self) -> None:
        """Owners and modes of the folders, the deepest first."""
        for path, member in sorted(self._folders.items(), reverse=True):
            file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                _give(file, member)
                os.fsync(file)
            finally:
                os.close(file)


def _give(file: int, member: tarfile.TarInfo) -> None:
    """Owner first: the kernel takes bits away where an owner changes (chown(2))."""
    if os.geteuid() == 0:
        user, group = member.uid, member.gid
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(member.uname).pw_uid
        with contextlib.suppress(KeyError):
            group = grp.getgrnam(member.gname).gr_gid
        os.fchown(file, user, group)
    os.fchmod(file, member.mode & 0o7777)


def _fit(archives: Sequence[Path], manifests: Sequence[Manifest]) -> None:
    """Whether archives belong together."""
    first = manifests[0]
    for path, one in zip(archives, manifests, strict=True):
        if (one.side, one.config) != (first.side, first.config):
            told = f"{path} is of the {one.side} side ({one.config}), {archives[0]} of the {first.side} side"
            raise ConfigError(f"{told} ({first.config})", hint="name archives of one machine")
    if all(one.what == "keys" for one in manifests):
        raise ConfigError("only keys are in these archives", hint="name the archive of the data beside them")
