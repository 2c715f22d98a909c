"""Signed checkpoints: what an end of the trail was at some time, said by somebody who cannot write the trail.

    checkvalve/trail/3f2a9c0d11223344          names the trail: the first 8 bytes of the hash of entry 1
    1234567                                    number of the last entry
    eC2WlrcnFLU..=                             its hash
    time 2026-11-28T05:45:00Z                  by the clock of the machine

    (em dash) checkvalve/trail/3f2a9c0d11223344 SIGNATURE

A note as C2SP signed-note has it (protocol/evidence.py), signed with a `trail` key that the portal's user cannot read.
A chain alone proves order: who may write the file may write it anew as a whole. One checkpoint that has left the
machine ends that for every entry up to its number. On paper an anchor does the same, NUMBER:HASH such as
`1234567:3f2a9c0d-11223344-55667788-99aabbcc`: half of the hash, so that it can be typed; no other chain can be made to
meet 128 bits of it.

Kept copies lie in `state/trail-checkpoints/`, a note a file. They catch accidents (an older copy that was put back),
and nobody who may write there.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from protocol.errors import FrameError
from protocol.evidence import open_note, sign_note
from protocol.keys import PrivateKey, PublicKey
from protocol.store import statefile
from receiver.governed.trail.trail_error import TrailError

FOLDER = "trail-checkpoints"
"""In the `state` folder."""
LARGEST = 4096
"""Largest note that is read [bytes]."""
ANCHOR_DIGITS = 32
"""Hexadecimal digits of an anchor, and the fewest that are taken."""

_NAME = re.compile(r"([0-9]{13})\.note")
_TEXT = re.compile(
    r"(checkvalve/trail/[0-9a-f]{16})\n([1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\n"
    r"time ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is signed."""

    trail: str
    """Names the trail (`trail_name`)."""
    number: int
    """Of its last entry, from 1."""
    hash: bytes
    """Of that entry [32 bytes]."""
    time: str
    """When it was signed, UTC: `2026-11-28T05:45:00Z`."""

    def text(self) -> str:
        """As it is signed."""
        return f"{self.trail}\n{self.number}\n{base64.b64encode(self.hash).decode()}\ntime {self.time}\n"

    @property
    def anchor(self) -> str:
        """For paper."""
        digits = self.hash.hex()[:ANCHOR_DIGITS]
        return f"{self.number}:" + "-".join(digits[at : at + 8] for at in range(0, ANCHOR_DIGITS, 8))


def trail_name(first: bytes) -> str:
    """What a trail is called in its checkpoints and segments.

    Args:
        first: Hash of entry 1.
    """
    return f"checkvalve/trail/{first[:8].hex()}"


def moment(time_ns: int) -> str:
    """A time as notes have it, whole seconds [ns since 1970 UTC]."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sign(checkpoint: Checkpoint, key: PrivateKey) -> str:
    """The note."""
    return sign_note(checkpoint.text(), checkpoint.trail, key)


def read(note: str) -> Checkpoint:
    """What a note says, whoever signed it.

    Raises:
        TrailError: it is no checkpoint.
    """
    found = _TEXT.fullmatch(note.rpartition("\n\n")[0] + "\n")
    if not found:
        raise TrailError("no checkpoint of a trail")
    name, number, held, time = found.groups()
    return Checkpoint(trail=name, number=int(number), hash=base64.b64decode(held), time=time)


def opened(note: str, keys: Sequence[PublicKey]) -> Checkpoint:
    """What a note says that one of the keys signed: a key is replaced now and then.

    Raises:
        TrailError: it is none, or was not.
    """
    checkpoint = read(note)
    if not signed_by(note, checkpoint.trail, keys):
        raise TrailError(f"a checkpoint of entry {checkpoint.number} that this key did not sign")
    return checkpoint


def signed_by(note: str, name: str, keys: Sequence[PublicKey]) -> bool:
    """Whether one of the keys signed a note, under the name of its trail."""
    for key in keys:
        with contextlib.suppress(FrameError):
            open_note(note, name, key)
            return True
    return False


def notes(place: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each note, oldest first.

    Args:
        place: A folder of them, or a note.

    Raises:
        TrailError: it cannot be read.
    """
    try:
        names = sorted(os.listdir(place)) if place.is_dir() else []
        paths = [place / name for name in names if _NAME.fullmatch(name)] if place.is_dir() else [place]
        for path in paths:
            data = statefile.read(path, LARGEST)
            if data is None:
                raise TrailError(f"{path}: there is no such file")
            yield path.name, data.decode("utf-8", "replace")
    except OSError as error:
        raise TrailError(f"{place}: {error.strerror}") from error
    except ValueError as error:
        raise TrailError(f"{place}: {error}") from error


def newest(folder: Path) -> Checkpoint | None:
    """The one of the greatest number, whoever signed it; None where there is none that can be read."""
    try:
        names = sorted((name for name in os.listdir(folder) if _NAME.fullmatch(name)), reverse=True)
        for name in names[:10]:
            data = statefile.read(folder / name, LARGEST)
            try:
                return read((data or b"").decode("utf-8", "replace"))
            except TrailError:
                continue
    except (OSError, ValueError):
        return None
    return None


def keep(folder: Path, note: str) -> Path:
    """Put a note beside the others, under its number; one of the same number is replaced.

    Raises:
        TrailError: it cannot be written.
    """
    path = folder / f"{read(note).number:013}.note"
    try:
        statefile.make_folder(folder)
        statefile.write(path, note.encode(), 0o640)
    except OSError as error:
        raise TrailError(f"{path}: {error.strerror or error}") from error
    return path


def anchor(text: str) -> tuple[int, str]:
    """Number and the first digits of the hash, as typed from paper.

    Raises:
        ValueError: it is none.
    """
    number, _, digits = text.replace(" ", "").replace("-", "").lower().partition(":")
    if not re.fullmatch(r"[1-9][0-9]{0,17}", number) or not re.fullmatch(rf"[0-9a-f]{{{ANCHOR_DIGITS},64}}", digits):
        raise ValueError(f"{text!r} is no anchor: NUMBER:HASH, at least {ANCHOR_DIGITS} hexadecimal digits of the hash")
    return int(number), digits
