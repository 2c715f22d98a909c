"""What to say of a file that is no TOML: the line as it stands, and what its writer most likely meant. Pure."""

from __future__ import annotations

import re

SHOWN = 60
"""Most letters of the line that are shown."""

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
    found = re.search(r"at line (\d+)", message)
    number = int(found[1]) if found else len(rows) - (not rows[-1])
    row = rows[number - 1] if 0 < number <= len(rows) else ""
    what, step = _reason(row, message)
    shown = row.strip()
    shown = shown[:SHOWN] + ".." * (len(shown) > SHOWN)
    return f"line {number}, {shown!r}: {what}", f"line {number}: {step}"


def _reason(row: str, message: str) -> tuple[str, str]:
    twice = message.startswith("Cannot")
    for pattern, what, step in () if twice else GUESSES[:2]:
        if re.search(pattern, row):
            return what, step
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
