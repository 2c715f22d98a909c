"""A backup as a file: a plain tar, whose last member says what all others must be.

    ./  keys/  state/journal/segments/0000000001.seg  ..     with owner, mode and time of each (POSIX.1-2001, pax)
    CHECKVALVE-BACKUP.json    {"backup": 1, "side": "low", "config": "receiver.toml", "what": "data", "version": ..,
                               "files": {NAME: {"bytes": N, "sha256": HEX}, ..}}

`tar xf` unpacks it where there is no Checkvalve. An archive that was cut short has no last member; a changed byte
fails its sum. What is written is read again before it has its name: until then it is `NAME.unfinished`.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import io
import json
import os
import pwd
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from protocol.backup.choose import Chosen, Held, walk
from protocol.backup.sqlite_copy import Moment
from protocol.errors import ConfigError

MANIFEST = "CHECKVALVE-BACKUP.json"
FORMAT = 1
LARGEST_MANIFEST = 256 << 20
"""Largest manifest that is read [bytes]: a million files."""
PIECE = 1 << 20
"""Read at once [bytes]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive says of itself."""

    side: str
    config: str
    """Name of the configuration in it."""
    what: str
    """`data`, or `keys`: the secrets, alone."""
    version: str
    """Of the build that made it."""
    files: Mapping[str, tuple[int, str]]
    """Size [bytes] and SHA-256 by name."""

    @property
    def size(self) -> int:
        """All files together [bytes]."""
        return sum(size for size, _ in self.files.values())

    def to_bytes(self) -> bytes:
        """As the last member holds it."""
        files = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in self.files.items()}
        told = {"backup": FORMAT, "side": self.side, "config": self.config, "what": self.what, "version": self.version}
        return json.dumps({**told, "files": files}, indent=1).encode()


class Summed:
    """What is read, and its sum: so many bytes of an open file, or of a value."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """
        Args:
            read: Gives up to so many bytes, none at the end.
        """
        self._read, self._sum = read, hashlib.sha256()

    def read(self, size: int = PIECE) -> bytes:
        """The next bytes."""
        data = self._read(size)
        self._sum.update(data)
        return data

    def hexdigest(self) -> str:
        """SHA-256 of what was read."""
        return self._sum.hexdigest()


def write(folder: Path, config: str, side: str, path: Path, *, secrets: bool, version: str) -> tuple[Manifest, Chosen]:
    """Take a backup of a side's folder, and read it again.

    Args:
        folder: The one with the configuration in it.
        config: The configuration's name there.
        side: `high` or `low`.
        path: The archive, which must not be there.
        secrets: The private keys alone.
        version: Of this build.

    Returns:
        What is in it, and what was left out.

    Raises:
        ConfigError: the archive is there, there is no room for it, or something cannot be read.
    """
    if os.path.lexists(path):
        raise ConfigError(f"{path} is there, and is not replaced", hint="name a file that is not there yet")
    beside, copy = path.with_name(f"{path.name}.unfinished"), path.with_name(f"{path.name}.unfinished.db")
    for one in (beside, copy):
        one.unlink(missing_ok=True)
    told = Chosen()
    try:
        with _new(beside) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            manifest = _fill(tar, folder, copy, told, config, side, secrets=secrets, version=version)
        check(beside)
        os.rename(beside, path)
    except OSError as error:
        hint = "choose a place with room, that this user may write, outside of the folder itself"
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint=hint) from None
    finally:
        beside.unlink(missing_ok=True)
        copy.unlink(missing_ok=True)
    return manifest, told


def check(path: Path, take: Callable[[tarfile.TarInfo, Summed | None], None] | None = None) -> Manifest:
    """Read a whole archive; every byte of it is compared with its manifest.

    Args:
        take: Called with each file and folder before it is known whether all are whole; it reads the file to its end.

    Raises:
        ConfigError: it is none of ours, cut short, or not what was written.
    """
    found: dict[str, tuple[int, str]] = {}
    manifest: Manifest | None = None
    try:
        with path.open("rb") as opened, tarfile.open(fileobj=opened, mode="r:") as tar:
            for member in tar:
                _plain_member(path, member)
                file = tar.extractfile(member) if member.isreg() else None
                if member.name == MANIFEST and file is not None:
                    manifest = _read_manifest(path, file.read(LARGEST_MANIFEST))
                elif file is not None:
                    summed = Summed(file.read)
                    if take is not None:
                        take(member, summed)
                    while summed.read(PIECE):
                        pass
                    found[member.name] = (member.size, summed.hexdigest())
                elif take is not None:
                    take(member, None)
    except (tarfile.TarError, EOFError) as error:
        raise ConfigError(f"{path} is no whole tar: {error}", hint="copy it again, or take another one") from None
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder", hint="name the archive in it, a .tar of `checkvalve backup`") from None
    if manifest is None:
        hint = "take another one; this one was cut short, or is no backup of Checkvalve"
        raise ConfigError(f"{path} has no {MANIFEST} at its end", hint=hint)
    for name in sorted(manifest.files.keys() | found.keys()):
        if manifest.files.get(name) != found.get(name):
            what = "is not there" if name not in found else "is not what was written"
            raise ConfigError(f"{path}: {name} {what}", hint="copy it again, or take another one")
    return manifest


def _fill(
    tar: tarfile.TarFile, folder: Path, copy: Path, told: Chosen, config: str, side: str, *, secrets: bool, version: str
) -> Manifest:
    files: dict[str, tuple[int, str]] = {}
    moments: dict[Path, Moment] = {}
    try:
        for one in walk(folder, secrets=secrets, told=told):
            about = _about(one)
            if about.isdir():
                tar.addfile(about)
                continue
            if one.data is not None:
                files[one.name] = _add(tar, about, io.BytesIO(one.data), len(one.data))
            elif one.database and _copied(folder / one.name, copy, moments, told, one.name):
                with copy.open("rb") as file:
                    files[one.name] = _add(tar, about, file, copy.stat().st_size)
            else:
                with os.fdopen(os.dup(one.file), "rb") as file:
                    files[one.name] = _add(tar, about, file, one.size)
    finally:
        for moment in moments.values():
            moment.close()
    manifest = Manifest(side=side, config=config, what="keys" if secrets else "data", version=version, files=files)
    last, data = tarfile.TarInfo(MANIFEST), manifest.to_bytes()
    last.size, last.mode = len(data), 0o600
    tar.addfile(last, io.BytesIO(data))
    return manifest


def _add(tar: tarfile.TarFile, about: tarfile.TarInfo, file: IO[bytes], size: int) -> tuple[int, str]:
    """Add so many bytes of a file; its size and sum for the manifest."""
    about.size, summed = size, Summed(file.read)
    tar.addfile(about, cast(IO[bytes], summed))
    return size, summed.hexdigest()


def _copied(path: Path, copy: Path, moments: dict[Path, Moment], told: Chosen, name: str) -> bool:
    """Have the pages of a database in `copy`; False where it is damaged, and its bytes are to be taken."""
    if path.parent not in moments:
        moments[path.parent] = Moment(path.parent)
    copy.unlink(missing_ok=True)
    copied = moments[path.parent].copy(path.name, copy)
    if not copied:
        told.unread.append(f"{name} as a database: it is damaged, and taken as it stands")
    return copied


def _about(one: Held) -> tarfile.TarInfo:
    about = tarfile.TarInfo(one.name)
    about.type = tarfile.DIRTYPE if stat.S_ISDIR(one.about.st_mode) else tarfile.REGTYPE
    about.mode, about.mtime = stat.S_IMODE(one.about.st_mode), int(one.about.st_mtime)
    about.uid, about.gid = one.about.st_uid, one.about.st_gid
    with contextlib.suppress(KeyError):
        about.uname = pwd.getpwuid(about.uid).pw_name
    with contextlib.suppress(KeyError):
        about.gname = grp.getgrgid(about.gid).gr_name
    return about


@contextlib.contextmanager
def _new(path: Path) -> Iterator[IO[bytes]]:
    """A file that nobody else may read, synced in the end."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as opened:
        yield opened
        opened.flush()
        os.fsync(file)


def _plain_member(path: Path, member: tarfile.TarInfo) -> None:
    """A file or folder below the archive's own, and nothing else."""
    parts = member.name.split("/")
    if not (member.isreg() or member.isdir()) or member.name.startswith("/") or ".." in parts:
        raise ConfigError(f"{path}: {member.name} is no file of a backup", hint="this archive was not made by backup")


def _read_manifest(path: Path, data: bytes) -> Manifest:
    try:
        told = json.loads(data)
        if told["backup"] != FORMAT:
            raise ConfigError(f"{path}: a backup of format {told['backup']}, this build reads {FORMAT}")
        files = {str(name): (int(one["bytes"]), str(one["sha256"])) for name, one in told["files"].items()}
        words = {key: str(told[key]) for key in ("side", "config", "what", "version")}
        return Manifest(**words, files=files)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: {MANIFEST} cannot be read: {type(error).__name__}: {error}") from None
