"""Applied configurations, kept: `state/applied/`, read by poll and by people, written by `checkvalve apply` alone.

    000012.toml    the configuration, byte for byte: it names keys by their files, and holds none
    000012.json    who, when, why, what: `protocol/content/applied.py`, with a check
    begun.json     the same of an application that is under way
    lock           who has it applies

An application is done once its record stands under its number. Whoever was killed before that left a `sender.toml` that
is the old one or the new one, as a whole; `settle` says by its digest which, and makes the record so. Nothing here is
believed: what is damaged is set aside and told, and a copy that is not what its record says is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocol.content.applied import FOUND, AppliedChange
from protocol.process.document import from_json, to_json
from protocol.store import statefile
from protocol.store.held_folder import held

FOLDER = "applied"
MOST = 500
"""Applications that are kept, newest last: years of a plant that changes weekly."""
COPY_BYTES = 64 * 1024 * 1024
"""Largest copy that is read [bytes]: as much as a configuration may have."""

Say = Callable[[str], None]

_BEGUN = "begun.json"
_NAME = re.compile(r"(\d{6,9})\.json")


def digest_of(data: bytes) -> str:
    """SHA-256 of a configuration, in hex."""
    return hashlib.sha256(data).hexdigest()


def alone(state: Path) -> contextlib.AbstractContextManager[None]:
    """While it holds, nobody else applies.

    Raises:
        HeldError: somebody does.
        OSError: the folder cannot be made or written.
    """
    return held(state / FOLDER, "another `checkvalve apply` is under way")


def numbers(state: Path) -> list[int]:
    """Of what is kept, rising.

    Raises:
        OSError: the folder cannot be read; one that is not there holds nothing.
    """
    try:
        names = os.listdir(state / FOLDER)
    except FileNotFoundError:
        return []
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def record(state: Path, number: int, say: Say, *, wall_ns: int) -> AppliedChange | None:
    """One application that is done.

    Args:
        say: Told of a record that was set aside.
        wall_ns: Wall time [ns since 1970 UTC].

    Raises:
        StoreError: the disk does not give it.
    """
    change = statefile.load(_record(state, number), _parsed, say, wall_ns=wall_ns)
    return replace(change, number=number) if change is not None else None


def records(state: Path, say: Say, *, wall_ns: int) -> list[AppliedChange]:
    """All that are done, oldest first; the rest as in `record`."""
    found = (record(state, number, say, wall_ns=wall_ns) for number in numbers(state))
    return [one for one in found if one is not None]


def newest(state: Path, say: Say, *, wall_ns: int) -> AppliedChange | None:
    """The last one that is done."""
    for number in reversed(numbers(state)):
        if (found := record(state, number, say, wall_ns=wall_ns)) is not None:
            return found
    return None


def begun(state: Path, say: Say, *, wall_ns: int) -> AppliedChange | None:
    """The one that is under way, or was when its command was killed."""
    return statefile.load(state / FOLDER / _BEGUN, _parsed, say, wall_ns=wall_ns)


def copy(state: Path, change: AppliedChange) -> bytes | None:
    """The configuration of an application; None where it is not here, or is not what its record says."""
    try:
        data = statefile.read(copy_path(state, change.number), COPY_BYTES)
    except (OSError, ValueError):
        return None
    return data if data is not None and digest_of(data) == change.after else None


def copy_path(state: Path, number: int) -> Path:
    """Where the copy of an application stands."""
    return state / FOLDER / f"{number:06d}.toml"


def begin(state: Path, change: AppliedChange, data: bytes) -> None:
    """Note what is about to be done, and keep the copy.

    Raises:
        OSError: it cannot be written.
    """
    statefile.write(copy_path(state, change.number), data, inside=state)
    statefile.write(state / FOLDER / _BEGUN, statefile.pack(to_json(change)), inside=state)


def finish(state: Path, change: AppliedChange) -> None:
    """It is done: from now on it counts; the oldest go where there are too many."""
    statefile.write(_record(state, change.number), statefile.pack(to_json(change)), inside=state)
    _remove(state, state / FOLDER / _BEGUN)
    for number in numbers(state)[:-MOST]:
        _remove(state, _record(state, number), copy_path(state, number))


def discard(state: Path, change: AppliedChange) -> None:
    """It was not done."""
    _remove(state, state / FOLDER / _BEGUN)
    if change.number not in numbers(state):
        _remove(state, copy_path(state, change.number))


def settle(state: Path, standing: bytes, say: Say, *, wall_ns: int) -> None:
    """End what a killed command left, by the file that stands now. Hold `alone`.

    Args:
        standing: `sender.toml`.
        say: Told what became of it.
        wall_ns: Wall time [ns since 1970 UTC].
    """
    left = begun(state, say, wall_ns=wall_ns)
    if left is None:
        return
    if left.number in numbers(state):
        discard(state, left)  # only the note was left to be taken away
    elif digest_of(standing) == left.after:
        finish(state, left)
        say(f"application {left.number} was interrupted after its file stood: it counts")
    else:
        discard(state, left)
        say(f"application {left.number} was interrupted before its file stood: it does not count")


def add(state: Path, change: AppliedChange, data: bytes) -> None:
    """Keep what was found running without any application, so that one can go back to it.

    Raises:
        OSError: it cannot be written.
    """
    statefile.write(copy_path(state, change.number), data, inside=state)
    statefile.write(_record(state, change.number), statefile.pack(to_json(change)), inside=state)


def found(number: int, before: AppliedChange | None, data: bytes, wall_ns: int) -> AppliedChange:
    """The record of a configuration that runs without any application.

    Args:
        number: Its own.
        before: The last application; None: there is none.
        data: The configuration.
        wall_ns: Wall time [ns since 1970 UTC].
    """
    return AppliedChange(
        kind=FOUND,
        number=number,
        place=number,
        over=before.place if before else 0,
        time_ns=wall_ns,
        before=before.after if before else "",
        after=digest_of(data),
    )


def _remove(state: Path, *paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            statefile.remove(path, inside=state)


def _record(state: Path, number: int) -> Path:
    return state / FOLDER / f"{number:06d}.json"


def _parsed(told: Any) -> AppliedChange:
    change = from_json(AppliedChange, told)
    if not change.kind or not change.after:
        raise ValueError("no application")
    return change
