"""The emitter's part of `sender.toml`: the outlet and the keys, and nothing of any device.

`poll/config.py` reads the whole file and loads collectors to check it; the emitter must load none. So this reads its
own two tables alone, tells every mistake in them, and points to `--check` for the rest.
"""

from __future__ import annotations

from pathlib import Path

from protocol.settings.findings import Findings, read_table
from protocol.settings.toml_file import read
from sender.settings import KeysTable, LinkConfig, OutletTable


def load(path: Path) -> LinkConfig:
    """Read the emitter's part of `sender.toml`.

    Raises:
        ConfigError: it cannot be read, or with every mistake of the two tables, one a line.
    """
    path = path.absolute()
    (tables, data), found = read(path), Findings()
    outlet = read_table(OutletTable, tables.get("outlet"), "outlet", found)
    keys = read_table(KeysTable, tables.get("keys"), "keys", found)
    found.settle(path, f"checkvalve send {path} --check", data)
    return LinkConfig(path=path, outlet=outlet, keys=keys.beside(path.parent))
