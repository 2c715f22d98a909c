"""The mistakes of a file of settings, gathered before anything is raised, each as one inert line with its key:

    asset[2].scan[0].tags[3].at (pump-7, flow): what is wrong; next step (line 57)

A table with a mistake is read again with that key put right, only to find the mistakes behind it; what comes out of
such a reading is never used. What may be meant but looks wrong is a warning. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from protocol.errors import ConfigError
from protocol.inert import inert
from protocol.settings.table import SettingsTable
from protocol.settings.toml_file import MARK
from protocol.written import toml

AnyTable = TypeVar("AnyTable", bound=SettingsTable)


@dataclass(slots=True)
class Findings:
    """Mistakes and warnings, each with its key."""

    mistakes: dict[str, str] = field(default_factory=dict)
    """Key path -> line; the first mistake of a key is told, what follows from it is not."""
    warnings: list[str] = field(default_factory=list)
    homes: dict[str, str] = field(default_factory=dict)
    """Key -> the table it belongs to, for what is right and stands elsewhere."""

    def wrong(self, path: str, text: str, *names: str) -> None:
        """Write a mistake down."""
        self.mistakes.setdefault(path, _line(path, text, names))

    def odd(self, path: str, text: str, *names: str) -> None:
        """Write a warning down."""
        self.warnings.append(_line(path, text, names))

    def settle(self, path: Path, command: str, data: bytes = b"") -> None:
        """Raise what was found.

        Args:
            path: The file.
            command: What names every mistake of it again.
            data: Its bytes, so that each mistake is told with its line.

        Raises:
            ConfigError: every mistake, one a line.
        """
        if self.mistakes:
            from protocol.settings.toml_lines import line_of, lines

            known = lines(data.removeprefix(MARK).decode())
            told = f"{path} has {(count := len(self.mistakes))} mistake{'s' * (count > 1)}:"
            for key, line in self.mistakes.items():
                told += f"\n  {line}" + (f" (line {at})" if (at := line_of(key, known)) else "")
            raise ConfigError(told, hint=f"mend the file and try again: {command}")


def read_table(
    model: type[AnyTable], given: object, path: str, found: Findings, *names: str, beside: Iterable[str] = ()
) -> AnyTable:
    """Read one table; mistakes are written down and the nearest right reading is returned.

    Args:
        model: The table's.
        given: What stands in the file, None where nothing does.
        path: Key path of the table, empty at the top.
        names: Asset and tag, for people.
        beside: Words that may have been meant by an unknown key, besides the model's own.
    """
    if not isinstance(given, dict):
        what = "missing" if given is None else "no table"
        found.wrong(path, f"{what}; write [{path}] with " + _example(model, *model.EXAMPLES), *names)
        given = model.EXAMPLES
    table = dict(given)
    try:
        read = model.model_validate(table)
    except ValidationError as error:
        for detail in error.errors():
            found.wrong(under(path, *detail["loc"]), _explain(model, detail, beside, found.homes), *names)
            key = str((*detail["loc"], "")[0])
            table.pop(key, None)
            if key in model.EXAMPLES:
                table[key] = model.EXAMPLES[key]
        try:
            read = model.model_validate(table)
        except ValidationError:  # a model without an example of a key that must be there
            return model.model_construct(**table)
    for key, text in read.crossed():
        found.wrong(under(path, key), text, *names)
    return read


def read_tables(given: object, path: str, found: Findings, *names: str) -> list[tuple[str, dict[str, Any]]]:
    """Key path and content of each table in a list; what is no table is written down and left out."""
    if not isinstance(given, list):
        found.wrong(path, f"no list; write [[{path.rpartition('.')[2]}]]", *names)
        return []
    for index, one in enumerate(given):
        if not isinstance(one, dict):
            found.wrong(under(path, index), f"{one!r} is no table; write {{ name = .., at = .. }}", *names)
    return [(under(path, index), one) for index, one in enumerate(given) if isinstance(one, dict)]


def unknown(key: str, known: Iterable[str], what: str = "key") -> str:
    """What to say of a word that nobody knows: the likeliest one that was meant, else all that there are.

    Args:
        known: In the order in which they are told.
        what: What kind of word it is.
    """
    words = list(known)
    near = nearest(key, words)
    step = f"did you mean {near}?" if near else "take it out" + (f" (known are {', '.join(words)})" if words else "")
    return f"unknown {what}; {step}"


def nearest(key: str, known: Iterable[str]) -> str:
    """The word that was most likely meant, empty where none is near."""
    return next(iter(get_close_matches(key, list(known), n=1)), "")


def under(path: str, *keys: str | int) -> str:
    """`outlet`, `repeat`, 1 -> `outlet.repeat[1]`."""
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
    return path


_WORDS = {
    "string_type": "is no text; put it in quotes",
    "bool_type": "is neither true nor false; write one of them, without quotes",
    "float_type": "is no number; write it without quotes",
    "int_type": "is no whole number; write it without quotes and point",
    "tuple_type": "is no list; write it in square brackets",
    "finite_number": "is no finite number; leave it out",
    "too_long": "has {actual_length} entries; write at most {max_length} ({why})",
    "too_short": "has {actual_length} entries; write at least {min_length}",
}
"""pydantic's error types in words, with its limits and the key's docstring; others' messages name what was passed."""


def _explain(model: type[SettingsTable], detail: ErrorDetails, beside: Iterable[str], homes: Mapping[str, str]) -> str:
    """pydantic's finding in this project's words: what is wrong; next step."""
    key, kind, value = str(("", *detail["loc"])[-1]), detail["type"], detail["input"]
    if kind == "missing":
        return "missing" + model.ADVICE.get(key, "; write " + _example(model, key))
    if kind == "extra_forbidden":
        known = [one.alias or name for name, one in model.model_fields.items()]
        if key in homes:
            return f"belongs to {homes[key]}; move it there"
        return model.stray(key, value) or unknown(key, [*known, *beside])
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind in _WORDS:
        field = model.model_fields.get(key)
        why = ((field and field.description) or key).rstrip(".")
        return f"{value!r} " + _WORDS[kind].format(**detail.get("ctx", {}), why=why)
    return f"{value!r} does not fit; it {detail['msg'].removeprefix('Input ')}"


def _example(model: type[SettingsTable], *keys: str) -> str:
    return ", ".join(f"{key} = {toml(model.EXAMPLES.get(key, '..'))}" for key in keys) or "its keys"


def _line(path: str, text: str, names: tuple[str, ...]) -> str:
    told = ", ".join(name for name in names if name)
    return inert(f"{path} ({told}): {text}" if told else f"{path}: {text}")
