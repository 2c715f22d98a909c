"""The trail as files for a SIEM: segments (segment.py) in a folder, gone on with from the last one.

Never a gap and never a double: the last segment's own signature says where it ended, the next begins behind it, on that
hash. A segment appears under its name whole and synced, or not at all; where two exports run at once the second is
refused. What a SIEM has taken may be moved away, but for the newest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import IO

from protocol.errors import HeldError
from protocol.keys import PrivateKey, PublicKey
from receiver.governed.trail import trail_segment
from receiver.governed.trail.checkpoint import trail_name
from receiver.governed.trail.form import BEGINNING
from receiver.governed.trail.trail_error import TrailError
from receiver.governed.trail.trail_reader import TrailReader
from receiver.governed.trail.trail_segment import LINE_MOST, NAME, TrailSegment

SIZE = 100_000
"""Most entries of a segment, where nobody says otherwise: some 50 MB."""

_UNFINISHED = ".unfinished"


def export(
    trail: TrailReader,
    folder: Path,
    key: PrivateKey,
    *,
    form: str,
    host: str,
    at_ns: int,
    size: int = SIZE,
    earlier: Sequence[PublicKey] = (),
) -> list[Path]:
    """Write what no segment in the folder has yet.

    Args:
        folder: Made where it is missing.
        form: `jsonl` or `log`.
        host: Name of this machine, for syslog.
        at_ns: When [ns since 1970 UTC].
        size: Most entries of a segment.
        earlier: Keys that this one took the place of: the last segment may be signed by one of them.

    Returns:
        The files made, oldest first.

    Raises:
        TrailError: the folder holds segments of another trail, or another key; or it cannot be written.
        HeldError: another export into it runs.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder):
            last = _last(folder, [key.public, *earlier])
            return list(_made(trail, folder, key, last, form=form, host=host, at_ns=at_ns, size=size))
    except OSError as error:
        raise TrailError(f"{folder}: {error.strerror or error}") from error


def check_files(paths: Sequence[Path], keys: Sequence[PublicKey]) -> list[tuple[Path, TrailSegment]]:
    """Every line of some segments, and that each begins where the one before ended.

    Returns:
        They, in order.

    Raises:
        TrailError: naming the file, and what is not as it was signed; or which is missing, or there twice.
    """
    found: list[tuple[Path, TrailSegment]] = []
    for path in paths:
        try:
            with path.open("rb") as opened:
                found.append((path, trail_segment.check(_lines(opened), keys, form=_form(path))))
        except TrailError as error:
            raise TrailError(f"{path}: {error}") from None
        except OSError as error:
            raise TrailError(f"{path}: {error.strerror or error}") from error
    found.sort(key=lambda one: one[1].number)
    for (_, one), (path, other) in pairwise(found):
        if one.trail != other.trail:
            raise TrailError(f"{path}: of {other.trail}, and the segment before it of {one.trail}")
        if other.number == one.number:
            raise TrailError(f"{path}: segment {one.number} is there twice")
        if other.number > one.number + 1:
            many = f"segments {one.number + 1} to {other.number - 1} are"
            missing = many if other.number > one.number + 2 else f"segment {one.number + 1} is"
            raise TrailError(f"{missing} missing: entries {one.last + 1} to {other.first - 1}")
        if other.first != one.last + 1 or other.before != one.after:
            raise TrailError(f"{path}: does not go on from where segment {one.number} ended")
    return found


def _made(
    trail: TrailReader,
    folder: Path,
    key: PrivateKey,
    before: TrailSegment | None,
    *,
    form: str,
    host: str,
    at_ns: int,
    size: int,
) -> Iterator[Path]:
    for left in folder.glob(f"*{_UNFINISHED}"):
        left.unlink()
    end = trail.end()
    if end is None:
        return
    name = trail_name(trail.at(1).hash)
    number, after, held = (before.number, before.last, before.after) if before else (0, 0, BEGINNING)
    if before and (before.trail != name or after > end.number or trail.at(after).hash != held):
        raise TrailError(f"{folder}: its segment {number} does not end as this trail's entry {after}: another trail's")
    rows = trail.bodies(after)
    while after < end.number:
        number += 1
        first, after = after + 1, min(after + size, end.number)
        one = TrailSegment(trail=name, number=number, first=first, last=after, before=held)
        path = folder / one.name(form)
        beside = path.with_name(path.name + _UNFINISHED)
        stretch = islice(rows, after - first + 1)
        with beside.open("xb") as opened:
            for line in trail_segment.lines(one, stretch, key, form=form, host=host, at_ns=at_ns):
                opened.write(line)
            opened.flush()
            os.fsync(opened.fileno())
        os.link(beside, path)  # unlike a renaming, it replaces nothing
        beside.unlink()
        _sync(folder)
        held = trail.at(after).hash
        yield path


def _last(folder: Path, keys: Sequence[PublicKey]) -> TrailSegment | None:
    names = sorted(name for name in os.listdir(folder) if NAME.fullmatch(name))
    if not names:
        return None
    path = folder / names[-1]
    with path.open("rb") as opened:
        opened.seek(-min(path.stat().st_size, LINE_MOST), os.SEEK_END)
        lines = opened.read().rstrip(b"\n").rpartition(b"\n")
    try:
        return trail_segment.signed(lines[2] + b"\n", keys, form=_form(path))
    except TrailError as error:
        raise TrailError(f"{path}: {error}; nothing is put behind it") from None


def _lines(opened: IO[bytes]) -> Iterator[bytes]:
    while line := opened.readline(LINE_MOST + 1):
        yield line


def _form(path: Path) -> str:
    found = NAME.fullmatch(path.name)
    if not found:
        raise TrailError("not the name of a segment, which tells its form: trail-NUMBER-FIRST-LAST.jsonl or .log")
    return found[4]


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError(f"{folder}: another export writes into it") from None
        yield
    finally:
        os.close(opened)
