"""Frozen dataclasses that are read from a file like tables, for what is more than settings: the parts of a scene.

The dataclass stays as it is, and what it is built from is what stands in the file; its fields' types are only asked
whether the values fit. A list of the file stands for a tuple.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, cast, get_type_hints

from pydantic import create_model

from protocol.settings.findings import Findings, read_table
from protocol.settings.table import SettingsTable, listed


def fitting(
    kind: type[Any], given: Mapping[str, Any], path: str, found: Findings, *, without: Iterable[str] = ()
) -> dict[str, Any]:
    """The values of a table that are fields of a dataclass and fit; what is unknown or unfit is written down.

    Args:
        kind: The dataclass.
        given: What stands in the file.
        path: Where that is.
        without: Fields that no key of the file stands for.
    """
    values = {key: listed(value) for key, value in given.items()}
    own = Findings()
    read_table(_model(cast(Hashable, kind), frozenset(without), whole=False), values, path, own)
    for key, line in own.mistakes.items():
        found.mistakes.setdefault(key, line)
    unfit = {key.removeprefix(f"{path}.").split("[")[0].split(".")[0] for key in own.mistakes}
    return {key: value for key, value in values.items() if key not in unfit}


def built(kind: type[Any], given: Mapping[str, Any], path: str, found: Findings) -> Any:
    """The dataclass of a table, None where a value is unknown, unfit or missing; each of them is written down."""
    values = {key: listed(value) for key, value in given.items()}
    own = Findings()
    read_table(_model(cast(Hashable, kind), frozenset(), whole=True), values, path, own)
    for key, line in own.mistakes.items():
        found.mistakes.setdefault(key, line)
    return None if own.mistakes else kind(**values)


@cache
def _model(kind: type[Any], without: frozenset[str], *, whole: bool) -> type[SettingsTable]:
    hints = get_type_hints(kind)
    told: dict[str, Any] = {}
    for one in fields(kind):
        if one.name not in without:
            must = whole and one.default is MISSING and one.default_factory is MISSING
            told[one.name] = (hints[one.name], ... if must else None)
    return create_model(kind.__name__, __base__=SettingsTable, **told)
