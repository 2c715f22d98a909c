"""On which line of a TOML file a key stands: `tomllib` does not say. Pure; loaded where a mistake is told.

    [[asset]]                     asset[0]
    [[asset.scan]]                asset[0].scan[0]
    tags = [
      { name = "a", at = "x" },   asset[0].scan[0].tags[0], asset[0].scan[0].tags[0].at

The text is known to be right TOML, so this only follows names and brackets, and lets every other value pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from protocol.settings.findings import under

_TOKEN = re.compile(
    r'"{3}(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}=,.\n]|[^\s\[\]{}=,.#"\']+',
    re.DOTALL,
)
_ENDS = frozenset((",", "]", "}", "\n", ""))


def lines(text: str) -> dict[str, int]:
    """Key path -> line, 1 the first, of every table, key and element of a list."""
    return _Walk(text).lines


def line_of(path: str, known: Mapping[str, int]) -> int:
    """Line of a key, or of the nearest table around it that stands in the file; 0 where none does."""
    while path and path not in known:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return known.get(path, 0)


class _Walk:
    """One pass over the tokens."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, int] = {}
        self._tokens: list[tuple[str, int]] = []
        self._counts: dict[str, int] = {}
        self._at = 0
        line, before = 1, 0
        for found in _TOKEN.finditer(text):
            line += text.count("\n", before, found.start())
            before = found.start()
            if not found[0].startswith("#"):
                self._tokens.append((found[0], line))
        table = ""
        while self._at < len(self._tokens):
            if self._next == "[":
                table = self._header()
            elif self._next == "\n":
                self._at += 1
            else:
                self._pair(table)

    @property
    def _next(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _names(self, end: str) -> tuple[list[str], int]:
        """The names of a dotted key up to and with `end`, and their line."""
        line, names = self._tokens[self._at][1], []
        while self._next not in (end, ""):
            if self._next != ".":
                names.append(self._next.strip("\"'"))
            self._at += 1
        self._at += 1
        return names, line

    def _header(self) -> str:
        self._at += 1
        several = self._next == "["
        self._at += several
        names, line = self._names("]")
        self._at += several
        path = ""
        for place, name in enumerate(names):
            path = under(path, name)
            if several and place == len(names) - 1:
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = under(path, self._counts[path] - 1)
        self.lines.setdefault(path, line)
        return path

    def _pair(self, table: str) -> None:
        names, line = self._names("=")
        path = under(table, *names)
        self.lines.setdefault(path, line)
        self._value(path)

    def _value(self, path: str) -> None:
        opened = self._next
        if opened not in ("[", "{"):
            while self._next not in _ENDS:
                self._at += 1
            return
        self._at += 1
        count = 0
        while self._next not in ("]", "}", ""):
            if self._next in (",", "\n"):
                self._at += 1
            elif opened == "{":
                self._pair(path)
            else:
                self.lines.setdefault(under(path, count), self._tokens[self._at][1])
                self._value(under(path, count))
                count += 1
        self._at += 1
