"""What `catch` needs of `receiver.toml`: the inlet, the keys that are believed, and how long the journal is kept.

One model a table: keys, units, ranges, defaults. Catch's part is read by `catch_file.py`, all of it by `config.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from protocol.settings.table import File, LinkAddress, Seconds, SettingsTable, one_or_more


class InletTable(SettingsTable):
    """The one socket of the link's low end."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"listen": "192.0.2.2:5005"}

    listen: LinkAddress
    """IPv4 address and port of this machine on the diode's interface, or its directed broadcast."""
    buffer_mib: Annotated[int, Field(ge=1, le=1024)] = 64
    """Receive buffer [MiB]: 64 outlast a pause of 0.5 s at 1 Gb/s; the kernel doubles it for its own use."""


class KeysTable(SettingsTable):
    """Key files, made by `checkvalve keys new`."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"own": "keys/low", "senders": ["keys/high.pub"]}

    own: File
    """Folder with `catch.key` and `open.key`."""
    senders: Annotated[tuple[File, ...], BeforeValidator(one_or_more), Field(min_length=1)]
    """`.pub` files carried over from the high side."""


class RetentionTable(SettingsTable):
    """What is kept how long."""

    journal: Seconds = 7 * 86400.0
    """Age of the oldest journal segment, in running time [s]."""
    history: Seconds = 400 * 86400.0
    """Age of the oldest month of the history [s]."""
    max_gb: Annotated[float, Field(gt=0)] = 200.0
    """Largest size of the journal [GB]; its oldest segments go first."""
    history_max_gb: Annotated[float | None, Field(gt=0)] = None
    """Largest size of the history [GB]: its oldest months go first, never the newest; left out, age alone counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchConfig:
    """What `catch` is given."""

    path: Path
    inlet: InletTable
    keys: KeysTable
    """Its paths are absolute."""
    retention: RetentionTable

    @property
    def state(self) -> Path:
        """Folder of `journal/`, `accepted/`, `floor.json`, `history/` and the processes' own files."""
        return self.path.parent / "state"
