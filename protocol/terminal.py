"""The only door to a terminal: every line that a command prints, and every line of its log, is made inert here.

    say       a line on stdout                 complain  a line on stderr
    document  our own text of several lines    data      one JSON value, in ASCII
    refusal   an error and its next step       trace     where an error came from
    progress  a line that the next one covers  console   rich, told to take texts as texts
    ask       a question, and the line answered asks     whether there is anybody to ask

`say` and `complain` take one line: what is a line end in a text from elsewhere is shown as `\\n` and begins none. Rich
would read `[psi]` as markup, `:smile:` as a picture and `[/]` as a mistake; `console` makes it read nothing. A test
holds that no other module prints.
"""

from __future__ import annotations

import io
import logging
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any, TextIO

from protocol.inert import as_json, inert, lines

if TYPE_CHECKING:
    from rich.console import Console

COVER = "\r\x1b[K"
"""Back to the start of the line, and clear it (ECMA-48, 8.3.41): the only control that is ours."""


def say(line: object) -> None:
    """One line on stdout."""
    _write(sys.stdout, inert(str(line)) + "\n")


def complain(line: object) -> None:
    """One line on stderr."""
    _write(sys.stderr, inert(str(line)) + "\n")


def document(text: str) -> None:
    """A text of several lines on stdout, such as a draft or a script, none of them cut: it may be kept and used."""
    _write(sys.stdout, "\n".join(lines(text.removesuffix("\n"), None)) + "\n")


def refusal(text: str, hint: str = "") -> None:
    """An error and its next step on stderr."""
    for line in [*_block(f"error: {text}"), *([f"hint: {hint}"] if hint else [])]:
        complain(line)


def trace(error: BaseException) -> None:
    """Where an error came from, on stderr."""
    for line in _block("".join(traceback.format_exception(error)).removesuffix("\n")):
        complain(line)


def data(value: Any, indent: int | None = None) -> None:
    """One JSON value on stdout.

    Args:
        value: Plain JSON.
        indent: As `json.dumps` takes it.
    """
    _write(sys.stdout, as_json(value, indent) + "\n")


_standing: list[str] = []
"""The line of progress that stands on the terminal now; empty where there is none."""


def progress(line: str) -> None:
    """A line on stderr that covers the last one where there is a terminal; empty: take it away, where there is one."""
    if not sys.stderr.isatty():
        if line:
            complain(line)
    elif line or _standing:
        _write(sys.stderr, COVER + inert(line))
        _standing[:] = [line] if line else []


def asks() -> bool:
    """Whether a person can be asked: what is read and what is written are both a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str) -> str:
    """A question on stdout, and the line that is typed behind it, without blanks around it.

    Raises:
        EOFError: there is no line any more.
    """
    _write(sys.stdout, inert(question) + " ")
    line = sys.stdin.buffer.readline()
    if not line:
        _write(sys.stdout, "\n")
        raise EOFError
    return line.decode(errors="surrogateescape").strip()


def console(*, error: bool = False) -> Console:
    """A rich console that takes every text letter for letter; the texts themselves are made inert by who hands them in.

    Args:
        error: On stderr.
    """
    from rich.console import Console

    return Console(stderr=error, markup=False, highlight=False, emoji=False)


def prepare() -> None:
    """Once, in a process of its own: what logs and warnings write, and letters that a terminal's alphabet lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:  # nothing here sets up logging: this one writes it to stderr
        logging.lastResort.setFormatter(Inert())
    warnings.showwarning = _warned


class Inert(logging.Formatter):
    """A record as lines that are inert."""

    def format(self, record: logging.LogRecord) -> str:
        """The message on one line; below it the traceback, where there is one."""
        below = "" if record.exc_info is None else "\n" + self.formatException(record.exc_info)
        return "\n".join(_block(inert(record.getMessage()) + below))


def _block(text: str) -> list[str]:
    """The lines of a text that may quote others; only its first stands at the edge, so that none can be slipped in."""
    first, *more = lines(text)
    return [first, *(line if line.startswith("  ") else f"  {line}" for line in more)]


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    complain(f"{filename}:{lineno}: {category.__name__}: {message}")


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
