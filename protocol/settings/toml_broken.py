"""What to say of a file that is no TOML: the line as it stands, and what its writer most likely meant. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

SHOWN = 60
"""Most letters of the line that are shown."""

MARKS = (
    (
        r"^(<{7}|={7}|>{7}|\|{7})(\s|$)",
        "it is the mark of a merge that nobody settled (git writes it)",
        "keep one of the versions between <<<<<<< and >>>>>>>, and take these marks out",
    ),
    (r"^\s*(//|/\*|--|;|%)", "it looks like a comment, and a comment begins with #", "write # in front of it"),
)
"""What programs and other languages write into a file, said first of all; as in `GUESSES`."""

GUESSES = (
    (r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "a control character stands in it", "take it out, or type the line anew"),
    (r"[“”„‟‘’«»]", "it has typographic quotes", 'write straight ones, "like these"'),
    (r"=\s*[+-]?\d+,\d+\s*(#.*|,.*|}.*)?$", "it has a decimal comma", "write a point, such as 0.5"),
    (r"=\s*(TRUE|True|FALSE|False|yes|no|on|off|YES|NO|ON|OFF)\b", "it is no truth value", "write true or false"),
    (r"^\s*[\w.-]+\s*:", "a colon stands where = belongs", 'write key = "value"'),
    (r'"[^"\\]*\\[^"]*"', "a backslash in double quotes begins a code", "write 'single quotes', or / in place of \\"),
    (r"=\s*(#.*)?$", "there is no value behind =", "write one, or take the line out"),
    (r"=\s*0x?\d*[g-z]?\d+\b", "no number begins so", "write it without leading zeros, or in quotes"),
    (r"=\s*[^\s\"'\[{\d#][^\"']*$", "a text without quotes stands behind =", 'write it as "text"'),
    (r"=\s*\d[\d.]*\s*[A-Za-z%]", "a quantity with a unit is a text", 'put it in quotes, such as "1s"'),
    (r"=\s*\d+(\.\d+){2}", "an address is a text", 'put it in quotes, such as "192.0.2.2:5005"'),
)
"""How a line looks, what that is, and the next step; the first that fits is told."""

MESSAGES = (
    (
        "Cannot declare",
        "this table stands in the file already",
        "put the keys of both into one, or use [[..]] for each",
    ),
    ("Cannot mutate", "this table stands in the file already, as a value", "keep one of the two"),
    ("Cannot overwrite", "this key or table stands in the file already", "keep one of the two"),
    (
        "Unclosed array",
        "a list is not closed, or a comma is missing before this",
        "write , between entries and ] behind",
    ),
    ("Unclosed inline", "a { is not closed, or a comma is missing before this", "write , between keys and } behind"),
    ("Invalid initial", "a { must be closed on its line", "write the whole { .. } in one line, without a last comma"),
    ("end of a table", "a ] is missing", "write [name]"),
    ("end of an array decl", "a ] is missing", "write [[name]]"),
    ("Expected '='", "a key without = and value", 'write key = "value"'),
    ("Illegal character", "a quote is missing at the end of a text", 'write the second "'),
    ("Unterminated", "a quote is missing at the end of a text", 'write the second "'),
    ('Expected "\'"', "a quote is missing at the end of a text", "write the second '"),
)
"""How the parser's message begins or what it holds, in plain words, and the next step."""


def explain(text: str, message: str) -> tuple[str, str]:
    """What is wrong with the line that the parser stopped at, and the next step.

    Args:
        text: The file.
        message: The parser's.
    """
    rows = text.split("\n")
    found = re.search(r"at line (\d+), column (\d+)", message)
    number = int(found[1]) if found else len(rows) - (not rows[-1])
    row = rows[number - 1] if 0 < number <= len(rows) else ""
    reason = _too_early(rows[: number - 1], row, message) or _reason(row, int(found[2]) if found else 0, message)
    shown = row.strip()
    shown = shown[:SHOWN] + ".." * (len(shown) > SHOWN)
    return f"line {number}, {shown!r}: {reason[0]}", f"line {number}: {reason[1]}"


def _too_early(before: Sequence[str], row: str, message: str) -> tuple[str, str] | None:
    """Where a list of tables cannot begin, since a table of its entries, or one of its name, stands before it."""
    header = re.match(r"\s*\[\[\s*([\w-]+)\s*\]\]", row)
    if header is None or not message.startswith("Cannot overwrite"):
        return None
    name = header[1]
    for number, one in enumerate(before, 1):
        if re.match(rf"\s*\[\[?\s*{name}\s*\.", one):
            first = one.strip()[:SHOWN]
            what = f"{first} of line {number} stands before the first [[{name}]], so it belongs to none"
            return what, f"move {first} below the [[{name}]] that it belongs to"
        if re.match(rf"\s*\[\s*{name}\s*\]", one):
            return f"line {number} begins it in single brackets, for one", f"write [[{name}]] in line {number} too"
    return None


def _reason(row: str, column: int, message: str) -> tuple[str, str]:
    first = () if message.startswith("Cannot") else (*MARKS, *GUESSES[:2])
    for pattern, what, step in first:
        if re.search(pattern, row):
            return what, step
    if not message.startswith("Cannot") and (odd := _letter(row[column - 1 : column + 1], column, message)):
        return odd
    for part, what, step in MESSAGES:
        if part in message and not part.startswith("Expected '='"):
            return what, step
    for pattern, what, step in GUESSES[2:]:
        if re.search(pattern, row):
            return what, step
    for part, what, step in MESSAGES:
        if part in message:
            return what, step
    return message, "mend that line; texts stand in quotes"


def _letter(there: str, column: int, message: str) -> tuple[str, str] | None:
    """What to say of the letter that the parser stopped at, where that letter alone is the mistake.

    Args:
        there: That letter and the next.
        column: Its place in the line, 1 the first.
    """
    if there in ("//", "/*"):
        return f"a comment begins with #, not with {there} as at column {column}", f"write # in place of {there}"
    if there[:1] == ";":
        step = "write a comma" if message.startswith("Unclosed") else "take it out; a comment begins with #"
        return f"a ; stands at column {column}, which means nothing in TOML", step
    if not there or there.isascii() or there[0].isascii():
        return None
    letter = there[0]
    kind = unicodedata.name(letter, "a letter without a name").lower()
    what = f"{kind} (U+{ord(letter):04X}) stands at column {column}, outside of quotes"
    if unicodedata.category(letter) in ("Zs", "Zl", "Zp"):
        return what, "type a plain space in its place"
    if unicodedata.category(letter) == "Cf":
        return what, "nobody sees it; take it out, or type the line anew"
    return what, "write keys with a to z, 0 to 9, _ and - only, and texts in quotes"
