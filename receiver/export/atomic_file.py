"""A file that is there whole or not at all: written beside, as `NAME.part`, and renamed when it is whole.

A part that a killed export left is written over by the next; one that is being written is refused. No link is followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from protocol.errors import ConfigError, HeldError, StoreError

PART = ".part"


class AtomicFile:
    """One file while it is being written; leaving the `with` without `commit` takes it away."""

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        """
        Args:
            path: What it is called in the end.
            replace: A file of that name may be there, and is replaced.

        Raises:
            ConfigError: it cannot be made there, or is there already.
            HeldError: another process is writing it.
        """
        self.path, self._part = path, path.with_name(path.name + PART)
        what = _in_the_way(path, replace=replace)
        if what:
            raise ConfigError(f"{path} {what}", hint="name another file, or say --replace where it may go")
        try:
            held = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ConfigError(
                f"{self._part}: {error.strerror}", hint="name a file in a folder you may write"
            ) from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(held)
            raise HeldError(f"{path}: another export is writing it") from error
        if not stat.S_ISREG(os.fstat(held).st_mode):
            os.close(held)
            raise ConfigError(f"{self._part} is no plain file", hint="see who put it there, and take it away")
        os.ftruncate(held, 0)
        self.file = os.fdopen(held, "wb")

    def commit(self) -> int:
        """Make it durable and give it its name; returns its size [bytes].

        Raises:
            StoreError: the disk is full or fails.
        """
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            size = os.fstat(self.file.fileno()).st_size
            self._part.rename(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}") from error
        self._let_go()
        return size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.file.closed:
            with contextlib.suppress(OSError):
                self._part.unlink()
            self._let_go()

    def _let_go(self) -> None:
        with contextlib.suppress(OSError):  # what did not fit any more
            self.file.close()


def _in_the_way(path: Path, *, replace: bool) -> str:
    """What of that name must stay, in words; empty where nothing does. A link goes itself, not what it names."""
    try:
        mode = path.lstat().st_mode
    except OSError:  # not there; where its folder is not either, the part says so
        return ""
    if path.is_dir():
        return "is a folder"
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        return "is a device or a pipe: a file is made beside and takes its name, which would take it away"
    return "" if replace else "is there already"
