"""What `checkvalve evidence` does: verify, read the trail once, write the pack, in bounded memory."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from protocol.errors import ConfigError
from receiver.catch_file import load
from receiver.commands import trail_lines, trail_work
from receiver.governed.alerts.read_check import ReadCheck, ReadFault
from receiver.governed.evidence import pack_page
from receiver.governed.evidence.calendar_month import CalendarMonth, month_of
from receiver.governed.evidence.clause_table import spoken
from receiver.governed.evidence.evidence_pack import EvidencePack, PackTrail
from receiver.governed.evidence.gathering import EvidenceGathering, LookLine
from receiver.governed.grants import policy_file
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.trail.trail_error import TrailError
from receiver.governed.trail.trail_reader import TrailReader
from receiver.governed.trail.verifying import Verified

JSON, PAGE = "evidence.json", "evidence.html"

NAMED = 100
"""Most faults that `check` names."""

Progress = Callable[[int, int], None]


def made(
    file: Path,
    vendor: str,
    month: str,
    out: Path,
    *,
    pub: Path | None = None,
    elsewhere: Sequence[Path] = (),
    anchors: Sequence[str] = (),
    progress: Progress = lambda done, of: None,
) -> tuple[EvidencePack, list[Path]]:
    """Write a pack; what is in it, and the files.

    Args:
        file: receiver.toml.
        vendor: As enrolments carry the name.
        month: `2026-11`.
        out: Folder, made where it is missing.
        pub: As `trail verify` takes it, and the next two.
        progress: Told how many entries were verified, of how many.

    Raises:
        ConfigError: no trail, no such month, or the folder cannot be written.
    """
    config = load(file)
    policy = policy_file.load(file.absolute().parent)
    try:
        which = month_of(month, policy.zone)
    except ValueError as error:
        raise ConfigError(str(error), hint="the month first, then --out FOLDER") from None
    done = trail_work.verified(config.state, pub=pub, elsewhere=elsewhere, anchors=anchors, progress=progress)
    texts = out / JSON, out / PAGE
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in texts:
            path.unlink(missing_ok=True)  # made anew: a link that lies there is not followed
        with _Digest(texts[0]) as into:
            pack = _gathered(config.state, vendor, which, done, policy, into)
        with _new(texts[1]) as page:
            page.write(pack_page.html(pack, JSON, into.digest).encode("utf-8", "replace"))
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror or error}", hint="choose another folder for --out") from None
    return pack, list(texts)


def checked(file: Path) -> tuple[int, list[ReadFault]]:
    """Compare every read of everybody with the grants in force at its time: how many were, and what no grant allowed.

    Raises:
        ConfigError: there is no trail.
        TrailError: it cannot be read.
    """
    trail = trail_work.reader(load(file).state)
    try:
        check, faults = ReadCheck(), []
        for record in trail.records():
            try:
                faults += check.take(record)
            except ValueError as error:
                raise TrailError(str(error)) from error
        return check.reads, faults
    finally:
        trail.close()


def _gathered(
    state: Path, vendor: str, month: CalendarMonth, done: Verified, policy: AccessPolicy, into: _Digest
) -> EvidencePack:
    """The looks first, each as it comes, then all that was made of them."""
    into.write(b'{\n"looks": [')
    between = b"\n"

    def look(line: LookLine) -> None:
        nonlocal between
        into.write(between + orjson.dumps(line))
        between = b",\n"

    gathering = EvidenceGathering(vendor, month, policy, look)
    trail = TrailReader(state / "trail.db")
    told = _trail(done)
    try:
        for record in trail.records():
            if record.number > done.entries:
                break
            gathering.take(record)
    except (TrailError, ValueError) as error:  # told once more than `verify` told it: what follows is not read
        told = _trail(done, f"nothing could be read from there on: {error}")
    finally:
        trail.close()
    pack = gathering.pack(trail=told, made_ns=time.time_ns())
    rest: dict[str, Any] = {"pack": pack.plain(), "clauses": [one.plain() for one in spoken(pack.counts())]}
    into.write(b"\n],\n" + orjson.dumps(rest, option=orjson.OPT_INDENT_2)[2:] + b"\n")
    return pack


def _trail(done: Verified, more: str = "") -> PackTrail:
    faults = [f"entry {one.number}: {one.text}" if one.number else one.text for one in done.faults]
    faults += [f"and {done.more} more"] if done.more else []
    faults += [more] if more else []
    last = max((one.number for one in done.agreed), default=0)
    return PackTrail(
        sound=done.sound and not more,
        entries=done.entries,
        hash=done.hash.hex(),
        anchor=trail_lines.end_of(done).anchor if done.entries else "",
        faults=tuple(faults),
        agreed=tuple(f"{one.told}: entry {one.number} is as it says" for one in done.agreed),
        unseen_from=last + 1 if last < done.entries else None,
    )


class _Digest:
    """A new file, and the SHA-256 of what is written into it."""

    def __init__(self, path: Path) -> None:
        self._file, self._hash = _new(path), hashlib.sha256()

    def write(self, data: bytes) -> None:
        """The next bytes."""
        self._file.write(data)
        self._hash.update(data)

    @property
    def digest(self) -> str:
        """Hexadecimal."""
        return self._hash.hexdigest()

    def __enter__(self) -> _Digest:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _new(path: Path) -> IO[bytes]:
    """Who looked at what is nobody else's business: its owner alone reads it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")
