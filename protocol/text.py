"""Quantities as people write them in a configuration: `100ms`, `14d`, `1%`, `32KiB`, `192.0.2.2:5005`.

Every reader takes the text and gives seconds, a fraction, bytes or an address; every refusal is a ValueError whose
text says what was wrong and shows a right one, so that it can stand behind the key in a list of mistakes. Pure: no
clock, no look-up of names (an address is a number, because asking a name server would be a conversation). How values
are written for people is in `written.py`.
"""

from __future__ import annotations

import math
import re
from ipaddress import AddressValueError, IPv4Address

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
"""Units of a duration [s]. `m` is a minute, as in `15m`; a month has no fixed length and is not offered."""

BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
"""Units of a size [bytes] (IEC 80000-13: a k is 1000, a Ki is 1024)."""

_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z%]*)\s*")


def seconds(text: str) -> float:
    """`"100ms"` -> 0.1. One number and one unit of `SECONDS`; a number alone is refused.

    Raises:
        ValueError: not a duration.
    """
    number, unit = _split(text)
    if number is None or unit not in SECONDS:
        raise ValueError(f'"{text}" is not a duration; write a number with us, ms, s, m, h or d, such as "1s" or "15m"')
    return number * SECONDS[unit]


def share(text: str) -> float:
    """`"1%"` -> 0.01. The sign is asked for, so that 1 is never taken for 100 %.

    Raises:
        ValueError: not a percentage.
    """
    number, unit = _split(text)
    if number is None or unit != "%":
        raise ValueError(f'"{text}" is not a percentage; write a number and the sign, such as "1%"')
    return number / 100


def size(text: str) -> int:
    """`"32KiB"` -> 32768 [bytes].

    Raises:
        ValueError: not a size, or not a whole number of bytes.
    """
    number, unit = _split(text)
    if number is None or unit not in BYTES or number * BYTES[unit] % 1:
        raise ValueError(f'"{text}" is not a size; write a number with B, kB, MB, GB, KiB or MiB, such as "32KiB"')
    return int(number * BYTES[unit])


def address(text: str) -> tuple[str, int]:
    """`"192.0.2.2:5005"` -> ("192.0.2.2", 5005): an IPv4 address in numbers and a port from 1 to 65535.

    Raises:
        ValueError: no port, a name instead of a number, or an address that is none.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f'"{text}" has no port from 1 to 65535; write address and port, such as "192.0.2.2:5005"')
    try:
        return str(IPv4Address(host)), int(port)
    except AddressValueError:
        raise ValueError(
            f'"{host}" is not an IPv4 address; write it in numbers, such as "192.0.2.2:5005" '
            "(a name would have to be asked for)"
        ) from None


def _split(text: str) -> tuple[float | None, str]:
    found = _QUANTITY.fullmatch(text)
    if not found:
        return None, ""
    number = float(found[1])
    return (number if math.isfinite(number) else None), found[2]
