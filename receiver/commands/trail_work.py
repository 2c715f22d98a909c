"""What `checkvalve trail` does: between the command line and `receiver/governed/trail`."""

from __future__ import annotations

import platform
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from protocol.errors import ConfigError
from protocol.keys import PrivateKey, PublicKey, load, load_public
from protocol.store import statefile
from receiver.commands.trail_lines import end_of
from receiver.governed.trail import checkpoint, trail_file
from receiver.governed.trail.checkpoint import FOLDER
from receiver.governed.trail.exporting import export
from receiver.governed.trail.trail_error import TrailError
from receiver.governed.trail.trail_reader import TrailReader
from receiver.governed.trail.verifying import TrailFault, Verified, Witness, verify

KEY = "trail"
"""Kind of the key that signs (protocol/keys.py)."""


def reader(state: Path) -> TrailReader:
    """The trail of a low side, to read.

    Raises:
        ConfigError: there is none yet.
        TrailError: it cannot be read.
    """
    return TrailReader(_there(state))


def verified(
    state: Path,
    *,
    pub: Path | None = None,
    elsewhere: Sequence[Path] = (),
    anchors: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verified:
    """Verify the trail of a low side against all that is known of it.

    Args:
        pub: Public key that signed the checkpoints; without it their signatures are not looked at.
        elsewhere: Checkpoints that have left the machine: notes, or folders of them.
        anchors: As typed from paper.
        progress: Told how many entries are done, of how many.

    Raises:
        ConfigError: there is no trail, no such key, or no such anchor.
    """
    path = _there(state)
    witnesses = []
    for text in anchors:
        try:
            number, digits = checkpoint.anchor(text)
        except ValueError as error:
            raise ConfigError(f"--anchor: {error}", hint="as `trail checkpoint` and `trail verify` print it") from None
        witnesses.append(Witness(number=number, digits=digits, told=f"the anchor {number}:{digits[:8]}.."))
    return _against(path, [state / FOLDER, *elsewhere], public(pub) if pub else (), witnesses, progress)


def made_checkpoint(state: Path, key_file: Path) -> tuple[Verified, str | None]:
    """Verify, and where the trail is sound sign its end and keep the note: in `state`, and beside the key.

    Returns:
        What was verified, and the note; none where it is not sound, or empty.

    Raises:
        ConfigError: no such key.
        TrailError: the note cannot be kept.
    """
    key, earlier = private(key_file)
    beside = key_file.with_name(f"{key_file.stem}.last.note")
    path = trail_file.path_of(state)
    if not path.exists() and not beside.exists():
        return Verified(), None
    done = _against(path, [state / FOLDER, *([beside] if beside.exists() else [])], [key.public, *earlier])
    if not done.sound or not done.entries:
        return done, None
    note = checkpoint.sign(end_of(done, checkpoint.moment(time.time_ns())), key)
    checkpoint.keep(state / FOLDER, note)
    try:
        statefile.write(beside, note.encode(), 0o600)
    except OSError as error:
        raise TrailError(f"{beside}: {error.strerror or error}") from error
    return done, note


def exported(state: Path, folder: Path, key_file: Path, *, form: str, size: int) -> list[Path]:
    """Write the segments that are not in the folder yet.

    Raises:
        ConfigError: no trail, no such key, or no such form.
        TrailError: the folder or the trail.
    """
    key, earlier = private(key_file)
    trail = reader(state)
    try:
        return export(
            trail, folder, key, form=form, host=platform.node(), at_ns=time.time_ns(), size=size, earlier=earlier
        )
    finally:
        trail.close()


def public(path: Path) -> list[PublicKey]:
    """The trail keys in a `.pub` file: of one that took the place of another, the earlier one's line may follow.

    Raises:
        ConfigError: there is none in it.
    """
    found = load_public(path, KEY)
    if not found:
        hint = f"checkvalve keys new {KEY} DIR makes one"
        raise ConfigError(f"{path} holds no public key of the kind {KEY}", hint=hint)
    return found


def private(path: Path) -> tuple[PrivateKey, list[PublicKey]]:
    """The trail key in a file, and the earlier ones whose lines stand in the `.pub` beside it.

    Raises:
        ConfigError: it is none.
    """
    if path.is_dir():
        path = path / f"{KEY}.key"
    if path.name != f"{KEY}.key":
        raise ConfigError(f"{path} is not named {KEY}.key", hint=f"checkvalve keys new {KEY} DIR makes DIR/{KEY}.key")
    key, beside = load(path.parent, KEY), path.with_suffix(".pub")
    return key, [one for one in load_public(beside, KEY) if one.raw != key.public.raw] if beside.exists() else []


def _there(state: Path) -> Path:
    path = trail_file.path_of(state)
    if not path.exists() and not path.is_symlink():
        raise ConfigError(f"there is no trail yet: no {path}", hint="it begins when the portal or a command first acts")
    return path


def _against(
    path: Path,
    places: Sequence[Path],
    keys: Sequence[PublicKey],
    others: Sequence[Witness] = (),
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verified:
    """Verify against checkpoints; one that none of the keys signed is a fault, and no witness."""
    witnesses, faults = [*others], []
    for place in places:
        if place.name == FOLDER and not place.exists():
            continue
        for name, note in checkpoint.notes(place):
            try:
                one = checkpoint.opened(note, keys) if keys else checkpoint.read(note)
            except TrailError as error:
                faults.append(TrailFault(0, f"{name}: {error}"))
                continue
            unsure = "" if keys else " (its signature was not looked at: --pub)"
            told = f"the checkpoint of {one.time}{unsure}"
            witnesses.append(Witness(number=one.number, digits=one.hash.hex(), told=told))
    done = verify(path, witnesses, random=secrets.randbelow, progress=progress)
    for fault in faults:
        done.add(fault)
    return done
