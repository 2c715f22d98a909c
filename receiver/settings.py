"""What `catch` needs of `receiver.toml`: the inlet, the keys that are believed, and how long the journal is kept.

One model a table: keys, units, ranges, defaults. The rest of the file, and the reading of it, is `config.py`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from protocol import text

_MULTICAST = range(224, 240)  # first octets (RFC 5771)


def quoted(value: object, example: str) -> str:
    """A text that a person wrote; anything else is a ValueError with a right one."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text; write it in quotes, such as {example}")
    return value


def _link_address(value: object) -> tuple[str, int]:
    host, port = text.address(quoted(value, '"192.0.2.2:5005"'))
    if int(host.split(".")[0]) in _MULTICAST:
        raise ValueError(f"{host} is a multicast group, which is joined by speaking; use a directed broadcast")
    return host, port


def _seconds(value: object) -> float:
    return text.seconds(quoted(value, '"7d"'))


def _path(value: object) -> Path:
    return Path(quoted(value, '"keys/low"'))


def _paths(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,)


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
File = Annotated[Path, BeforeValidator(_path)]


class Section(BaseModel):
    """One table of the file: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    EXAMPLES: ClassVar[dict[str, Any]] = {}
    """A right value for each key that must be there, as it stands in the file."""


class Inlet(Section):
    """The one socket of the link's low end."""

    EXAMPLES = {"listen": "192.0.2.2:5005"}

    listen: Annotated[tuple[str, int], BeforeValidator(_link_address)]
    """IPv4 address and port of this machine on the diode's interface, or its directed broadcast."""
    buffer_mib: Annotated[int, Field(ge=1, le=1024)] = 64
    """Receive buffer [MiB]: 64 outlast a pause of 0.5 s at 1 Gb/s; the kernel doubles it for its own use."""


class Keys(Section):
    """Key files, made by `checkvalve keys new`."""

    EXAMPLES = {"own": "keys/low", "senders": ["keys/high.pub"]}

    own: File
    """Folder with `catch.key` and `open.key`."""
    senders: Annotated[tuple[File, ...], BeforeValidator(_paths), Field(min_length=1)]
    """`.pub` files carried over from the high side."""


class Retention(Section):
    """What is kept how long."""

    journal: Seconds = 7 * 86400.0
    """Age of the oldest journal segment, in running time [s]."""
    history: Seconds = 400 * 86400.0
    """Age of the oldest month of the history [s]."""
    max_gb: Annotated[float, Field(gt=0)] = 200.0
    """Largest size of the journal [GB]; its oldest segments go first."""


class CatchConfig(Section):
    """What `catch` is given; its paths are absolute."""

    path: Path
    inlet: Inlet
    keys: Keys
    retention: Retention

    @property
    def state(self) -> Path:
        """Folder of `journal/`, `accepted/`, `floor.json`, `history/` and the processes' own files."""
        return self.path.parent / "state"
