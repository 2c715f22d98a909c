"""One file of settings, from its bytes to its tables. Whatever keeps it from being read is told with the next step."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from protocol.errors import ConfigError

MARK = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which some editors put in front; it is no part of TOML and is passed over."""


class Written(NamedTuple):
    """A file as it was read, once."""

    tables: dict[str, Any]
    """Its keys and tables."""
    data: bytes
    """Its bytes."""


def read(path: Path, *, hint: str = "") -> Written:
    """Read a file of TOML.

    Args:
        path: The file.
        hint: The next step where there is no such file.

    Raises:
        ConfigError: it is not there, may not be read, is not UTF-8, or is no TOML (with the line).
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint=hint) from None
    except OSError as error:
        hint = "give a file that this user may read"
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    try:
        return Written(tomllib.loads(data.removeprefix(MARK).decode()), data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} is not UTF-8 (line {line})", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="mend that line; texts stand in quotes") from None
