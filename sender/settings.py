"""The settings of the link, `[outlet]` and `[keys]` of `sender.toml`: keys, units, ranges, defaults.

The emitter reads these two tables and no other (link_file.py); the plant's are in `poll/tables.py`. A model checks each
key by itself; what is wrong only between keys is told by `crossed`, so that one mistake never hides another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from protocol import text
from protocol.limits import MTU_LEAST

MULTICAST = range(224, 240)
"""First octets of IPv4 multicast (RFC 5771)."""

ETHERNET = 14
"""Bytes of an Ethernet header (IEEE 802.3, 3.1)."""


def quoted(value: object, example: str) -> str:
    """A text that a person wrote; anything else is a ValueError with a right one."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has no unit; write it in quotes, such as {example}")
    return value


def _address(value: object) -> tuple[str, int]:
    host, port = text.address(quoted(value, '"192.0.2.2:5005"'))
    if int(host.split(".")[0]) in MULTICAST:
        raise ValueError(f"{host} is a multicast group, which receivers join by speaking; use a directed broadcast")
    return host, port


def listed(value: object) -> object:
    """A list of the file; anything else is left to the model to refuse."""
    return tuple(value) if isinstance(value, list) else value


def one_or_more(value: object) -> object:
    """A list of the file, or one text that stands for a list of it alone."""
    return (value,) if isinstance(value, str) else listed(value)


def _path(value: object) -> object:
    return Path(value) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(lambda value: text.seconds(quoted(value, '"1s"'))), Field(gt=0)]
Share = Annotated[float, BeforeValidator(lambda value: text.share(quoted(value, '"1%"')))]
Size = Annotated[int, BeforeValidator(lambda value: text.size(quoted(value, '"32KiB"')))]
File = Annotated[Path, BeforeValidator(_path)]


class Section(BaseModel):
    """One table of the file: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    EXAMPLES: ClassVar[dict[str, Any]] = {}
    """A right value for each key that must be there, as it stands in the file."""

    def crossed(self) -> Iterator[tuple[str, str]]:
        """Key and text of each mistake that lies between keys."""
        yield from ()


class Outlet(Section):
    """The only way out; there is no listening key here."""

    EXAMPLES = {"to": "192.0.2.2:5005"}

    to: Annotated[tuple[str, int], BeforeValidator(_address)]
    """IPv4 address and port of the receiver, or a directed broadcast; never a name, never a multicast group."""
    rate_mbit: Annotated[float, Field(gt=0, le=100_000)] = 20.0
    """Most that leaves [Mbit/s], Ethernet, IP and UDP headers counted; find yours with `linktest`."""
    mtu: Annotated[int, Field(ge=MTU_LEAST, le=65_535)] = 1500
    """Largest IP packet [bytes] (1500: IEEE 802.3; above it jumbo frames and loopback)."""
    loss_target: Annotated[Share, Field(ge=0, lt=0.5)] | None = None
    """Independent loss for which a block shall fail less than once in 1e9; chooses the spares."""
    spare: Annotated[Share, Field(ge=0, le=4)] | None = None
    """Spares as a part of the data, in place of `loss_target`; with neither, 2 a block."""
    spread_ms: Annotated[float, Field(ge=0, le=10_000)] = 50.0
    """Spares leave this much later than the data [ms]: a shorter burst costs nothing."""
    repeat: Annotated[tuple[Seconds, ...], BeforeValidator(listed)] = (20.0, 900.0)
    """Whole blocks again, so long after their first sending [s], rising; empty: never."""
    burst: Size | None = None
    """Most bytes of one send; by default the smaller of 64 KiB and 1 ms of the rate, at least a frame."""

    def crossed(self) -> Iterator[tuple[str, str]]:
        if self.loss_target is not None and self.spare is not None:
            yield "spare", "excludes loss_target; keep one of the two"
        if list(self.repeat) != sorted(set(self.repeat)):
            yield "repeat", 'does not rise; write the shortest first, such as ["20s", "15m"]'
        if self.burst is not None and self.burst < self.mtu + ETHERNET:
            yield "burst", f"less than a frame ({self.mtu + ETHERNET} bytes); make it larger or leave it out"


class Keys(Section):
    """Whose keys: our own to sign with, theirs to seal for."""

    EXAMPLES = {"own": "keys/high", "receivers": ["keys/low.pub"]}

    own: File
    """Folder of `sign.key` and `link-sign.key`."""
    receivers: Annotated[tuple[File, ...], BeforeValidator(one_or_more), Field(min_length=1, max_length=4)]
    """Public files of the receivers, carried over by a person; each LINK and EPOCH is sealed to each, so at most 4."""
