"""A running process says how it is: one JSON file, replaced by rename, so that a reader never sees half of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError


def write(path: Path, body: Mapping[str, Any]) -> None:
    """Replace the file's content.

    Raises:
        ConfigError: the folder is not there or may not be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="give a file in a folder that can be written") from error
