r"""A record as a line of syslog (RFC 5424), for a SIEM that takes those.

    <109>1 2026-11-28T20:39:42.000001Z HOST checkvalve - grant.given [trail@32473 number="52" who="p-..." ..] MSG

Facility 13, log audit. Severity: 4 where somebody was refused or alarmed, 5 for what decides, else 6. MSGID is the
kind. The structured data is for searching: texts in it are made inert (`\n` stays two letters), then `"`, `\` and `]`
get a backslash (6.3.3). What counts is MSG: one JSON object in ASCII, the same as in JSON lines, from which the hash
can be made again. 32473 is the number that RFC 5612 keeps for examples; Checkvalve has none of its own.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from protocol.inert import CELL, inert
from receiver.governed.trail.entry import GOVERNING, TrailRecord
from receiver.governed.trail.form import INDEXED

PARAMETERS_MOST = 40
"""Most names and values of one line; all of them are in MSG."""

_LINE = re.compile(
    rb"<1[01][0-9]>1 [!-~]+ [!-~]{1,255} checkvalve - [!-~]{1,32} "
    rb'\[[a-z]+@32473(?: [a-z]{1,32}="(?:[^"\\\]\n]|\\["\\\]])*")*\] ({[ -~]*})'
)
_FACILITY = 13 * 8
_REFUSALS = ("failed", "refused", "denied")


def line(record: TrailRecord, message: bytes, host: str) -> bytes:
    """The line of a record, without its end.

    Args:
        message: What stands as MSG.
        host: Name of this machine.
    """
    entry = record.entry
    subject, _, verb = entry.kind.partition(".")
    severity = 4 if subject == "alert" or verb in _REFUSALS else 5 if subject in GOVERNING else 6
    parameters = [("number", str(record.number)), ("hash", record.hash.hex()), ("who", entry.who)]
    parameters += [("from", entry.origin)] if entry.origin else []
    for name, fact in entry.facts.items():
        if asked := INDEXED.get(name):
            parameters += [(asked, one) for one in (fact if isinstance(fact, list) else [fact]) if isinstance(one, str)]
    del parameters[PARAMETERS_MOST:]
    return framed("trail", parameters, message, kind=entry.kind, at_ns=entry.at_ns, host=host, severity=severity)


def framed(
    name: str,
    parameters: list[tuple[str, str]],
    message: bytes,
    *,
    kind: str,
    at_ns: int,
    host: str,
    severity: int,
) -> bytes:
    """Any line.

    Args:
        name: Of its structured data.
        parameters: In that.
        message: What stands as MSG.
        kind: What stands as MSGID.
        at_ns: When [ns since 1970 UTC]; what no calendar has becomes `-`.
        host: Name of this machine.
        severity: 0 to 7.
    """
    said = "".join(f' {key}="{_escaped(value)}"' for key, value in parameters)
    head = f"<{_FACILITY + severity}>1 {_moment(at_ns)} {_name(host, 255)} checkvalve - {_name(kind, 32)}"
    return f"{head} [{name}@32473{said}] ".encode() + message


def message_of(said: bytes) -> bytes:
    """What stands as MSG in a line that `framed` made.

    Raises:
        ValueError: it made no such line.
    """
    found = _LINE.fullmatch(said)
    if not found:
        raise ValueError("no line of syslog as it was written")
    return found[1]


def _escaped(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", inert(value, CELL * 2))


def _name(text: str, most: int) -> str:
    return "".join(letter if "!" <= letter <= "~" else "_" for letter in text)[:most] or "-"


def _moment(at_ns: int) -> str:
    try:
        whole = datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{whole}.{at_ns % 10**9 // 1000:06}Z"
    except (ValueError, OverflowError, OSError):
        return "-"
