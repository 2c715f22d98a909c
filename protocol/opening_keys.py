"""The keys that open data on the low side: `open.key`, and whatever else of its folder opens what was sealed before.

    keys/low/open.key         the present one, which every EPOCH is sealed for
    keys/low/NAME.key         an `open` key that was replaced: what is journaled and was sealed for it still opens
    keys/low/recovery.key     out of the safe, where `open.key` is lost

Which of them a file is stands in it, not in its name. The two ends of the link load none of this.
"""

from __future__ import annotations

import stat
from pathlib import Path

from protocol import keys
from protocol.errors import ConfigError
from protocol.keys import PrivateKey

KINDS = ("open", "recovery")
"""Kinds of key that open data."""


def load_opening(folder: Path) -> tuple[PrivateKey, ...]:
    """`folder`/open.key, and then every other key there that opens data.

    Raises:
        ConfigError: the first is missing, or one of them is readable by others or no key.
    """
    own = keys.load(folder, "open")
    others = [_other(path) for path in sorted(folder.glob("*.key")) if path.name != "open.key"]
    return (own, *(one for one in others if one is not None))


def _other(path: Path) -> PrivateKey | None:
    """A key that opens data; None where the file holds another kind, or is another user's."""
    try:
        mode, text = stat.S_IMODE(path.stat().st_mode), path.read_text("ascii").strip()
    except (FileNotFoundError, PermissionError):
        return None  # catch's
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    kind = next((one for one in KINDS if text.startswith(f"{keys.LABEL} {one} ")), None)
    if kind is None:
        return None
    if mode & 0o077:
        raise ConfigError(f"{path} can be read by others (mode {mode:04o})", hint=f"chmod 600 {path}")
    try:
        return keys.from_bytes(kind, keys.parse_line(path, text, kind))
    except ValueError:
        raise ConfigError(f"{path}: its bytes are no key", hint="copy it again") from None
