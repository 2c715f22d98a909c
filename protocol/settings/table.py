"""What a table of a file of settings is made of: its model, and the texts that stand for quantities.

A model has one field a key, with unit, range and default, and says no word of reading: that is `findings.py`'s. It
checks each key by itself; what is wrong only between keys is told by `crossed`: one mistake never hides another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from protocol import text

MULTICAST = range(224, 240)
"""First octets of IPv4 multicast (RFC 5771)."""


class SettingsTable(BaseModel):
    """One table of a file: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    EXAMPLES: ClassVar[dict[str, Any]] = {}
    """A right value for each key that must be there, as it stands in the file."""
    ADVICE: ClassVar[dict[str, str]] = {}
    """What to say, instead of showing the example, where a key that must be there is missing."""

    def crossed(self) -> Iterator[tuple[str, str]]:
        """Key and text of each mistake that lies between keys."""
        yield from ()

    @classmethod
    def stray(cls, key: str, value: object) -> str:
        """What to say of an unknown key where this table knows better than to guess; else nothing."""
        return ""

    def beside(self, folder: Path) -> Self:
        """The same with every relative path in it below `folder`, where the file is."""
        placed: dict[str, object] = {}
        for key, value in self:
            if isinstance(value, Path):
                placed[key] = folder / value
            elif isinstance(value, tuple):
                placed[key] = tuple(folder / one if isinstance(one, Path) else one for one in value)
        return self.model_copy(update=placed)

    def files(self) -> list[Path]:
        """Every path in it; a table leaves out here what need not be there before the start."""
        held = [one for _, value in self for one in (value if isinstance(value, tuple) else (value,))]
        return [one for one in held if isinstance(one, Path)]


def quoted(value: object, example: str) -> str:
    """A text that a person wrote; anything else is a ValueError with a right one."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has no quotes; write a text in quotes, such as {example}")
    return value


def listed(value: object) -> object:
    """A list of the file; anything else is left to the model to refuse."""
    return tuple(value) if isinstance(value, list) else value


def one_or_more(value: object) -> object:
    """A list of the file, or one text that stands for a list of it alone."""
    return (value,) if isinstance(value, str) else listed(value)


def _written(read: Callable[[str], Any], example: str) -> BeforeValidator:
    return BeforeValidator(lambda value: read(quoted(value, example)))


def _on_link(value: str) -> tuple[str, int]:
    host, port = text.address(value)
    if int(host.split(".")[0]) in MULTICAST:
        raise ValueError(f"{host} is a multicast group, which is joined by speaking; use a directed broadcast")
    return host, port


Seconds = Annotated[float, _written(text.seconds, '"1s"'), Field(gt=0)]
Share = Annotated[float, _written(text.share, '"1%"')]
Size = Annotated[int, _written(text.size, '"32KiB"')]
Address = Annotated[tuple[str, int], _written(text.address, '"127.0.0.1:8600"')]
LinkAddress = Annotated[tuple[str, int], _written(_on_link, '"192.0.2.2:5005"')]
"""An end of the link: never a name, never a multicast group."""
File = Annotated[Path, _written(Path, '"keys/low"')]
