"""What of a side's folder is in a backup, and in which order it is read while the processes go on.

    DIR/sender.toml, keys/*.pub, commissioning.txt, audit/ ..   all of it, as it stands
    DIR/keys/*.key, whatever only its owner may read,
    DIR/state/people.db, portal.key, break-glass.json           in an archive of its own: secrets lie apart
    DIR/state/accepted                                          1  which blocks were ever journaled
    DIR/state/ the small files                                  2  each was replaced as a whole: old or new, never half
    DIR/state/history, other SQLite files                       3  a folder's files at one moment (`sqlite_copy.py`)
    DIR/state/spool, journal                                    4  up to where `synced` said that all is on the disk

The order makes one whole of it. What was read first is older than what was read later, and each of these knows what to
do with a later one: the ledger and the history hold a place in the journal, and go on from there. The other way round
they would name what the copy has not.

News and requests are not taken (status files, doorbells, locks, what a person asked for): they are of that moment, and
a restored `accept.json` would be obeyed. No link is followed, nothing but plain files is read, and every folder is
entered by descriptor, since root walks here through folders of other users.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from protocol.errors import ConfigError
from protocol.keys import LABEL, SIDES
from protocol.store.reader import read_synced, synced_bytes
from protocol.store.resync import Place

_OF_THE_MOMENT = re.compile(
    r"lock|.*\.lock|status-.*\.json|portal\.json|spool-figures\.json|.*\.new|.*\.db-(wal|shm)|accept\.json"
    r"|reload\.(json|done)|errands"
)
"""Names in `state/` that are not taken."""
_FOR_THE_SAFE = re.compile(r"people\.db|portal\.key|break-glass\.json|first-administrator\.link")
"""Names in `state/` that go with the private keys: who reads them may sign in as somebody else."""
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SEGMENT = re.compile(r"([0-9]{10,19})\.(seg|idx)")


@dataclass(slots=True, kw_only=True)
class Held:
    """A file or folder of a side, open to be read."""

    name: str
    """Below the side's folder, with `/`."""
    about: os.stat_result
    file: int
    """Its descriptor, closed by who walks."""
    size: int = 0
    """What of it is to be read [bytes], for a plain file."""
    data: bytes | None = None
    """What is taken in place of its bytes."""
    database: bool = False
    """SQLite's: its pages are copied, not its bytes."""


@dataclass(slots=True, kw_only=True)
class Chosen:
    """What a walk found besides what it gave."""

    secrets: list[str] = field(default_factory=list)
    """Files for the other archive."""
    unread: list[str] = field(default_factory=list)
    """Links, devices and the like: not taken."""


def walk(folder: Path, *, secrets: bool, told: Chosen) -> Iterator[Held]:
    """Everything to be taken, folders before what is in them.

    Args:
        folder: The one with the configuration in it.
        secrets: The private keys alone; else everything but them.
        told: Filled with what is not given.

    Raises:
        ConfigError: something cannot be read.
    """
    top = _open(".", os.open(folder, _ENTER))
    try:
        yield from _below(top, secrets, told, None)
    finally:
        os.close(top.file)


def _below(above: Held, secrets: bool, told: Chosen, end: Place | None) -> Iterator[Held]:
    """What is in a folder, which itself comes first.

    Args:
        end: Of the segment store that this is a part of.
    """
    inside = above.name.split("/")
    if secrets and inside[0] == "state" and above.name != "state":
        return
    if not secrets or inside[0] in (".", "keys", "state"):
        yield above
    names = os.listdir(above.file)
    if inside[0] == "state":
        names = [name for name in names if not _OF_THE_MOMENT.fullmatch(name)]
    if above.name == "state":
        safe = [name for name in names if _FOR_THE_SAFE.fullmatch(name)]
        told.secrets += [] if secrets else [f"state/{name}" for name in sorted(safe)]
        names = safe if secrets else [name for name in names if name not in safe]
    for name in sorted(names, key=rank):
        path = name if above.name == "." else f"{above.name}/{name}"
        one = _entered(path, name, above, told)
        if one is None:
            continue
        try:
            if stat.S_ISDIR(one.about.st_mode):
                inner = _end_of(one) if inside == ["state"] else end
                yield from _below(one, secrets, told, inner)
            elif inside[0] == "state":
                one.database = name.endswith(".db")
                one.size = _part(name, one.about.st_size, end) if inside[-1] == "segments" else one.about.st_size
                if end is not None and name == "synced":  # as it was when the end was read
                    one.data = synced_bytes(end)
                if one.size >= 0:
                    yield one
            elif secrets == _is_secret(one):
                one.size = one.about.st_size
                yield one
            elif not secrets:
                told.secrets.append(path)
        finally:
            os.close(one.file)


def rank(name: str) -> tuple[int, str]:
    """The order of this module's table; in a history `current.db` before its months, so that both are one moment."""
    first = {"accepted": 0, "history": 2, "spool": 3, "journal": 3, "synced": -1, "current.db": 0}
    return first.get(name, 2 if name.endswith(".db") else 1), name


def _entered(path: str, name: str, above: Held, told: Chosen) -> Held | None:
    try:
        mode = os.stat(name, dir_fd=above.file, follow_symlinks=False).st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            if not stat.S_ISFIFO(mode):  # a doorbell
                told.unread.append(path)
            return None
        return _open(path, os.open(name, _ENTER if stat.S_ISDIR(mode) else _READ, dir_fd=above.file))
    except FileNotFoundError:
        return None  # retention took it meanwhile, or it was replaced
    except OSError as error:
        hint = "take the backup as root, or as the user that everything belongs to"
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint=hint) from None


def _open(path: str, file: int) -> Held:
    return Held(name=path, about=os.fstat(file), file=file)


def _end_of(one: Held) -> Place | None:
    """Up to where a segment store is on the disk; None where this is none, or it does not say."""
    return read_synced(Path(f"/proc/self/fd/{one.file}")) if one.name in ("state/spool", "state/journal") else None


def _part(name: str, size: int, end: Place | None) -> int:
    """How much of a file of `segments/` is taken [bytes]; below 0: none of it, it tells of what came after `end`."""
    match = _SEGMENT.fullmatch(name)
    if match is None or end is None or int(match[1]) < end.segment:
        return size
    return min(size, end.offset) if int(match[1]) == end.segment and match[2] == "seg" else -1


def _is_secret(one: Held) -> bool:
    """Whether a file outside of `state/` is for the safe."""
    if one.name.startswith("keys/") and not one.name.endswith(".pub"):
        return True
    if not one.about.st_mode & 0o077:
        return True
    head = os.pread(one.file, 64, 0)
    return any(head.startswith(f"{LABEL} {kind} ".encode()) for kinds in SIDES.values() for kind in kinds)
