"""A configuration by questions: each answer is checked by the model of its table, and then put into a template.

    InitQuestion   what is asked, by a flag or on a terminal; its `take` knows what is right
    setting        a `take` that asks the table's own model, so that no second set of rules is written
    answers        flags first, then questions; a wrong answer is told why and asked again
    filled         a template with its values replaced: comments, order and everything else stay

A template is a right file of settings. One value stands on one line, `key = value   # remark`. Pure but for `ask`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.errors import ConfigError
from protocol.settings.findings import Findings, read_table, under
from protocol.settings.table import SettingsTable
from protocol.written import toml

_LINE = re.compile(r'(?P<key>\w+) = (?P<value>"[^"]*"|\[[^\]]*\]|[^\s#"\[]+)(?P<remark>\s+#.*)?')
_TABLE = re.compile(r"\[+(?P<name>[\w.]+)\]+(\s+#.*)?")

Take = Callable[[str], Any]
"""An answer as typed -> what it means; a ValueError says what is wrong and the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitQuestion:
    """One answer that is wanted."""

    flag: str
    """The flag that answers it, such as `--to`."""
    text: str
    """The question, as it is put to a person."""
    take: Take
    default: str | None = None
    """What an empty line stands for; None: an answer is needed."""


def setting(model: type[SettingsTable], table: str, key: str, *, number: bool = False) -> Take:
    """What takes the answer for one key of a table.

    Args:
        model: The table's.
        table: Its name in the file, empty at the top.
        key: Its name in the table.
        number: What is typed stands in the file without quotes.
    """

    def take(typed: str) -> Any:
        value = _number(typed) if number else typed
        found = Findings()
        path = under(table, key)
        read_table(model, {**model.EXAMPLES, key: value}, table, found)
        for where, line in found.mistakes.items():
            if where.startswith(path):
                raise ValueError(line.removeprefix(where).removeprefix(": "))
        return value

    return take


def answers(
    questions: Sequence[InitQuestion],
    given: Mapping[str, str | None],
    ask: Callable[[str], str] | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The answer to each question, by its flag.

    Args:
        questions: In the order in which they are asked.
        given: What flags say already.
        ask: Puts a question and returns the line typed, or raises EOFError; None where nobody can be asked, and then a
            default stands.
        say: Tells why an answer is asked for again.

    Raises:
        ConfigError: every flag that is wrong; every flag that is missing where nobody can be asked; the input ended.
    """
    out, wrong = {}, []
    for one in questions:
        typed = given.get(one.flag)
        if typed is None and ask is None:
            typed = one.default
        if typed is not None:
            try:
                out[one.flag] = one.take(typed)
            except ValueError as error:
                wrong.append(f"{one.flag}: {error}")
        elif ask is None:
            wrong.append(f"{one.flag}: missing; {one.text}")
    if wrong:
        hint = "give these flags, or start it on a terminal and it asks"
        raise ConfigError("\n  ".join(["nothing was made; what is not right yet:", *wrong]), hint=hint)
    for one in questions:
        if one.flag not in out and ask is not None:
            out[one.flag] = _asked(one, ask, say)
    return out


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A template with some of its values replaced.

    Args:
        template: A file of settings, right as it stands.
        values: By key path, such as `outlet.to`; texts, numbers, true or false.

    Raises:
        ValueError: the template has no line for one of them.
    """
    table, left, lines = "", dict(values), []
    for line in template.splitlines():
        if begins := _TABLE.fullmatch(line):
            table = begins["name"]
        elif (at := _LINE.fullmatch(line)) and (path := under(table, at["key"])) in left:
            before = f"{at['key']} = {toml(left.pop(path))}"
            remark = (at["remark"] or "").strip()
            column = line.rfind("#") if remark else 0
            line = f"{before:{max(column - 1, 0)}} {remark}" if remark else before
        lines.append(line)
    if left:
        raise ValueError(f"the template has no {', '.join(left)}")
    return "\n".join(lines) + "\n"


def _asked(question: InitQuestion, ask: Callable[[str], str], say: Callable[[str], None]) -> Any:
    offered = f" [{question.default or 'later'}]" if question.default is not None else ""
    while True:
        try:
            typed = ask(f"{question.text}{offered}:")
        except EOFError:
            raise ConfigError("the input ended before the last question; nothing was made") from None
        if not typed and question.default is None:
            say("  an answer is needed")
            continue
        try:
            return question.take(typed or question.default or "")
        except ValueError as error:
            say(f"  {error}")


def _number(typed: str) -> Any:
    """A number as TOML writes it; what is none stays a text, which the model refuses."""
    try:
        return tomllib.loads(f"value = {typed}")["value"]
    except tomllib.TOMLDecodeError:
        return typed
