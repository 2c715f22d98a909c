"""Key files made and shown: `checkvalve keys new` and `keys show`. Their form and their reading are in `keys.py`."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from protocol.errors import ConfigError
from protocol.hybrid import PRIVATE_BYTES
from protocol.keys import LABEL, SIDES, PublicKey, from_bytes, load_public


def make(side: str, folder: Path) -> list[Path]:
    """Make the keys of a side and `FOLDER.pub`, the public lines to carry across.

    Args:
        side: `high`, `low`, `recovery`, `trail` or `recommend`.
        folder: Made if missing, mode 0700.

    Returns:
        The files written, private ones first.

    Raises:
        ConfigError: an unknown side, or a key that is there already (keys are never overwritten).
    """
    if side not in SIDES:
        raise ConfigError(f"no side is called {side!r}", hint=f"one of {', '.join(SIDES)}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    bundle = folder.with_name(folder.name + ".pub")
    files = [folder / f"{kind}.key" for kind in SIDES[side]]
    for path in [*files, bundle]:
        if path.exists():
            raise ConfigError(f"{path} is there already; keys are never overwritten", hint="choose another folder")
    publics, lines = [], []
    for kind, path in zip(SIDES[side], files, strict=True):
        raw, public = _generate(kind)
        _write(path, f"{LABEL} {kind} {base64.b64encode(raw).decode()}\n", 0o600)
        line = f"{LABEL} {kind}.pub {base64.b64encode(public).decode()}\n"
        publics.append(path.with_suffix(".pub"))
        _write(publics[-1], line, 0o644)
        lines.append(line)
    _write(bundle, "".join(lines), 0o644)
    return [*files, *publics, bundle]


def show(path: Path) -> list[PublicKey]:
    """The public keys of a side: of a `.pub` file, or of all `.pub` files in a folder."""
    files = sorted(path.glob("*.pub")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"no .pub file in {path}")
    return [key for file in files for key in load_public(file)]


def _generate(kind: str) -> tuple[bytes, bytes]:
    raw = os.urandom(PRIVATE_BYTES if kind in ("open", "recovery") else 32)
    return raw, from_bytes(kind, raw).public.raw


def _write(path: Path, text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
