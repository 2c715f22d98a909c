"""A strict reader of RFC 5424, written from its grammar (section 6) and from nothing of the product."""

from __future__ import annotations

import re
from dataclasses import dataclass

PRINTABLE = "[\x21-\x7e]"
HEADER = re.compile(
    rb"<(0|[1-9][0-9]{0,2})>1 "
    rb"(-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})) "
    rb"([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128}) ([\x21-\x7e]{1,32}) "
)
SD_NAME = re.compile(r'[^\x00-\x20\x7f-\U0010ffff"\]=]{1,32}')


@dataclass(frozen=True)
class Said:
    """One message."""

    priority: int
    time: str
    host: str
    application: str
    process: str
    kind: str
    data: dict[str, list[tuple[str, str]]]
    message: str


def parse(line: bytes) -> Said:
    """Read a whole message; anything that the grammar does not have is a ValueError."""
    head = HEADER.match(line)
    if not head or int(head[1]) > 191:
        raise ValueError("header")
    rest = line[head.end() :].decode("utf-8")
    data: dict[str, list[tuple[str, str]]] = {}
    if rest.startswith("-"):
        rest = rest[1:]
    else:
        while rest.startswith("["):
            name, rest = _name(rest[1:])
            data[name] = []
            while rest.startswith(" "):
                key, rest = _name(rest[1:])
                if not rest.startswith('="'):
                    raise ValueError("no value")
                value, rest = _value(rest[2:])
                data[name].append((key, value))
            if not rest.startswith("]"):
                raise ValueError("element not closed")
            rest = rest[1:]
    if rest and not rest.startswith(" "):
        raise ValueError("no blank before the message")
    texts = [head[at].decode() for at in range(2, 7)]
    return Said(int(head[1]), texts[0], texts[1], texts[2], texts[3], texts[4], data, rest[1:])


def _name(rest: str) -> tuple[str, str]:
    found = SD_NAME.match(rest)
    if not found:
        raise ValueError("name")
    return found[0], rest[found.end() :]


def _value(rest: str) -> tuple[str, str]:
    out = []
    at = 0
    while rest[at] != '"':
        if rest[at] == "]":
            raise ValueError("a bracket that is not escaped")
        if rest[at] == "\\":
            at += 1
            if rest[at] not in '"\\]':
                out.append("\\")
        out.append(rest[at])
        at += 1
    return "".join(out), rest[at + 1 :]
