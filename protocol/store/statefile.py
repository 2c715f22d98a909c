"""Small files of a state folder: replaced as a whole, and read without being believed.

    write   beside it under a name of its own, synced, renamed: a crash leaves the old one or the new one
    load    what a reader makes of the JSON in it; what cannot be believed is set aside under a name with the time
    pack    JSON with a check at its end, for content of which a flipped digit would be believed
    unpack  what `pack` made, and JSON without a check; `load` reads both

A state folder is shared by processes of several users, and commands of root write into it. So no link is followed:
whatever stands in the way of a name is taken away or refused, never written through, and the folder is held open while
its names are used. A file that root writes belongs to the folder's owner, or the process that it is for could not
read it. Damage at rest (a flipped bit, a cut, a file of something else) never stops a process: what was known is made
again from what is sure, and what was found stays for people under `NAME.damaged-TIME`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from protocol.errors import StoreError

LARGEST = 64 * 1024 * 1024
"""Largest state file that is read [bytes]: ranges of a stream with a million gaps stay below it."""
ASIDE_KEPT = 16
"""Files set aside that are kept of one name, newest first: a disk that fails every start fills no disk."""

_Content = TypeVar("_Content")

UNBELIEVED = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)
"""What a reader raises on JSON of another shape, and `json` on what is none (RecursionError: nested too deep)."""


def write(path: Path, data: bytes, mode: int = 0o640, *, inside: Path | None = None, synced: bool = True) -> None:
    """Replace a small file.

    Args:
        path: Its folder must be there.
        data: All of it.
        mode: Permission bits, less the umask; of root's file all of them, since it is for the folder's owner.
        inside: A folder above, such as `state`, whose place nobody but its owner chooses: none of the folders between
            it and the file may be a link. By default the file's own.
        synced: It must outlive a power cut.

    Raises:
        OSError: the disk is full or fails, or the folder cannot be written; the old file stands as it was.
    """
    with _folder(path.parent, inside) as folder:
        beside = path.name + ".new"
        file = _create(folder, beside, mode)
        try:
            with os.fdopen(file, "wb") as opened:
                if os.geteuid() == 0:
                    os.fchown(file, (owner := os.fstat(folder)).st_uid, owner.st_gid)
                    os.fchmod(file, mode)
                opened.write(data)
                opened.flush()
                if synced:
                    os.fsync(opened.fileno())
            os.rename(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
        if synced:
            os.fsync(folder)


def make_folder(path: Path) -> None:
    """Make a folder of a state folder, which is its owner's; one that is there stays as it is.

    Raises:
        OSError: it cannot be made, or is a link or something else.
    """
    with _folder(path.parent) as above:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path.name, 0o770, dir_fd=above)
        opened = _enter(path.name, above)
        try:
            if os.geteuid() == 0 == os.fstat(opened).st_uid:
                os.fchown(opened, (owner := os.fstat(above)).st_uid, owner.st_gid)
                os.fchmod(opened, stat.S_IMODE(owner.st_mode))
        finally:
            os.close(opened)


def remove(path: Path, *, inside: Path | None = None) -> None:
    """Take a file away; the rest as in `write`.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be.
    """
    with _folder(path.parent, inside) as folder:
        os.unlink(path.name, dir_fd=folder)


def read(path: Path, most: int = LARGEST) -> bytes | None:
    """All of a plain file, None where there is none of that name.

    Args:
        path: A link, a FIFO or a device under this name is refused, and nothing waits for it.
        most: Largest file that is read [bytes].

    Raises:
        ValueError: it is no plain file, or is larger.
        OSError: it cannot be read.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("a link, and no plain file") from None
        raise
    try:
        held = os.fstat(file)
        if not stat.S_ISREG(held.st_mode):
            raise ValueError("no plain file")
        if held.st_size > most:
            raise ValueError(f"{held.st_size} bytes; {most} is the most")
        with os.fdopen(file, "rb", closefd=False) as opened:
            return opened.read(held.st_size)
    finally:
        os.close(file)


def pack(told: Mapping[str, Any]) -> bytes:
    """JSON of an object that is not empty, with the beginning of its SHA-256 as last member."""
    data = json.dumps(told).encode()
    return data[:-1] + f', "check": "{_digest(data)}"}}'.encode()


def unpack(data: bytes) -> dict[str, Any]:
    """What `pack` made, without the check; JSON without one is read as it is.

    Raises:
        ValueError, TypeError, RecursionError: no JSON object, or a check that does not fit.
    """
    if found := _CHECK.search(data):
        data = data[: found.start()] + b"}"
        if _digest(data) != found.group(1).decode():
            raise ValueError("its check does not fit")
    held = json.loads(data)
    if not isinstance(held, dict):
        raise TypeError("no JSON object")
    return held


def load(
    path: Path, parse: Callable[[Mapping[str, Any]], _Content], say: Callable[[str], None], *, wall_ns: int
) -> _Content | None:
    """What `parse` makes of the JSON object in a file; None where there is no file, or nothing in it to believe.

    Args:
        path: The file.
        parse: May raise ValueError, KeyError, TypeError and their kin for content of another shape.
        say: Told, in one line, of a file that was set aside.
        wall_ns: Wall time, for its name then [ns since 1970 UTC].

    Raises:
        StoreError: the disk does not give the file though it is there.
    """
    try:
        data = read(path)
        if data is None:
            return None
        return parse(unpack(data))
    except UNBELIEVED as error:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        say(f"{path.name} cannot be believed ({why[:120]}): {_told(path, wall_ns)}")
        return None
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error


def set_aside(path: Path, wall_ns: int) -> Path | None:
    """Give a damaged file or folder a name with the time, beside it; None where it cannot be moved.

    Args:
        wall_ns: Wall time, for the name [ns since 1970 UTC].
    """
    stamp = datetime.fromtimestamp(wall_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        with _folder(path.parent) as folder:
            names = set(os.listdir(folder))
            name = next(one for one in (f"{path.name}.damaged-{stamp}{end}" for end in _ENDINGS) if one not in names)
            os.rename(path.name, name, src_dir_fd=folder, dst_dir_fd=folder)
            _forget_old(folder, path.name)
    except (OSError, StopIteration):
        return None
    return path.with_name(name)


_CHECK = re.compile(rb', "check": "([0-9a-f]{16})"}\Z')
_ENDINGS = ("", *(f"-{count}" for count in range(2, 100)))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _told(path: Path, wall_ns: int) -> str:
    aside = set_aside(path, wall_ns)
    if aside is None:
        return "it could not be set aside, and is written anew"
    return f"it stands as {aside.name}, and is made again from what is sure"


def _forget_old(folder: int, name: str) -> None:
    """Plain files only: a store that was set aside is never taken away by us."""
    old = sorted(one for one in os.listdir(folder) if one.startswith(f"{name}.damaged-"))
    for one in old[: max(0, len(old) - ASIDE_KEPT)]:
        with contextlib.suppress(OSError):
            os.unlink(one, dir_fd=folder)


def _create(folder: int, name: str, mode: int) -> int:
    """A new file under this name; what stood there, left by a crash or planted, is taken away and never opened."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    return os.open(name, flags, mode, dir_fd=folder)


@contextlib.contextmanager
def _folder(path: Path, inside: Path | None = None) -> Iterator[int]:
    start = path if inside is None else inside
    opened = os.open(start, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.relative_to(start).parts:
            below = _enter(name, opened)
            os.close(opened)
            opened = below
        yield opened
    finally:
        os.close(opened)


def _enter(name: str, above: int) -> int:
    """A folder that is no link."""
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
