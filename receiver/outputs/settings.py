"""What every `[[output]]` of `receiver.toml` says: its kind, its name, and what it is given.

An output's own keys stand in a model of its own, beside its code, that derives from this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from protocol.settings.table import SettingsTable
from receiver.outputs.scope import Scope

RESERVED = frozenset(
    {"catch", "publish", "portal", "history", "historian", "trail", "people", "desk"}
    | {"accept", "break-glass", "floor", "portal-clock", "sure-time"}
)
"""Names that the receiver's own processes, stores and small files have: an output sets aside what stands under its name
and is not what it wrote."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f'"{value}" is no short name; write small letters, digits, - and _, such as "plant-influx"')
    if value in RESERVED:
        raise ValueError(f'"{value}" is the name of the receiver\'s own; choose another')
    return value


def _scope(value: object) -> Scope:
    if isinstance(value, Scope):
        return value
    if value == "all":
        return Scope()
    if isinstance(value, dict) and len(value) == 1:
        (key, name), *_ = value.items()
        if key in ("vendor", "asset") and isinstance(name, str) and name:
            named = frozenset({name})
            return Scope(vendors=named) if key == "vendor" else Scope(assets=named)
    raise ValueError(f'{value!r} is no scope; write {{ vendor = ".." }}, {{ asset = ".." }} or, aloud, "all"')


class OutputTable(SettingsTable):
    """One destination besides the history."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    EXAMPLES: ClassVar[dict[str, Any]] = {
        "kind": "influx",
        "name": "plant-influx",
        "scope": {"vendor": "Acme Pumps"},
    }
    ADVICE: ClassVar[dict[str, str]] = {
        "scope": ': without a scope nothing is published; write scope = { vendor = ".." }, or aloud, "all"'
    }

    kind: Annotated[str, Field(min_length=1)]
    """Which output, by the name of its entry point."""
    name: Annotated[str, AfterValidator(_name)]
    """Short and unlike any other: its cursor and its status file are called so."""
    scope: Annotated[Scope, BeforeValidator(_scope)]
    """What it is given."""
    begin: Literal["journal", "history"] = "journal"
    """Where a new output begins: with what the journal still has, or with all that the history has kept."""

    def alone(self) -> tuple[str, str] | None:
        """(key, what it names in words) of what no other output may have too; None where there is no such thing."""
        return None

    def look(self) -> Iterator[tuple[str, str]]:
        """What `--check` finds beyond the values: (key, what is wrong; the next step)."""
        return iter(())
