"""One file of settings, from its bytes to its tables. Whatever keeps it from being read is told with the next step."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from protocol.errors import ConfigError

MARK = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which some editors put in front; it is no part of TOML and is passed over."""


MOST_BYTES = 64 * 1024 * 1024
"""Largest file [bytes]: four hundred thousand tags take less."""


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
        with path.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)  # a device or a pipe may have no end
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint=hint) from None
    except IsADirectoryError as error:
        hint = "it is a folder; name the file in it"
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    except OSError as error:
        hint = "give a file that this user may read"
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path} has over {MOST_BYTES >> 20} MiB", hint="split a larger plant over two senders")
    try:
        return Written(tomllib.loads(data.removeprefix(MARK).decode()), data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = f"{path} is not UTF-8 (line {line}, byte {column})" + " but UTF-16" * wide
        raise ConfigError(what, hint="save it as UTF-8, or type the letters of that place anew") from None
    except tomllib.TOMLDecodeError as error:
        from protocol.settings.toml_broken import explain

        what, hint = explain(data.removeprefix(MARK).decode(), str(error))
        raise ConfigError(f"{path} is not TOML: {what}", hint=hint) from None
