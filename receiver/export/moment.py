"""Times that people type, each with its zone: an archive is read in another country, and in another summer (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from protocol.errors import ConfigError

SECOND_NS = 10**9
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<clock>\d\d:\d\d(?::\d\d)?)(?P<part>\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d:\d\d)?"
)
_RIGHT = "write it as 2026-11-01T06:00Z, 2026-11-01T06:00+01:00, or 2026-11-01 with --zone Europe/Berlin"


def zone(name: str) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        ConfigError: this machine knows none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        hint = "write UTC, Europe/Berlin or the like; where every name is refused, install tzdata"
        raise ConfigError(f"--zone {name!r} is no time zone here", hint=hint) from error


def moment(option: str, text: str, where: ZoneInfo | None, now: Callable[[], int]) -> int:
    """A typed time [ns since 1970 UTC].

    Args:
        option: Where it was typed, for the error.
        text: ISO 8601 with its zone, a day alone for its first moment, or `now`.
        where: The zone of what names none.
        now: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: it is no time, its zone is not said, or a changed clock makes it none or two.
    """
    if text == "now":
        return now()
    found = _TIME.fullmatch(text)
    try:
        naive = datetime.fromisoformat(f"{found['day']}T{found['clock'] or '00:00'}") if found else None
        typed = datetime.fromisoformat(f"2000-01-01T00:00{found['zone']}").tzinfo if found and found["zone"] else None
    except ValueError:
        naive = None
    if found is None or naive is None:
        raise ConfigError(f"{option} {text!r} is no time", hint=_RIGHT)
    if found["zone"]:
        aware = naive.replace(tzinfo=typed)
    elif where is None:
        raise ConfigError(f"{option} {text!r} does not say its time zone", hint=_RIGHT)
    else:
        aware = naive.replace(tzinfo=where)
        other = aware.replace(fold=1)
        if aware.utcoffset() != other.utcoffset():
            there = aware.astimezone(UTC).astimezone(where).replace(tzinfo=None) == naive
            what = "comes twice there" if there else "does not exist there"
            raise ConfigError(f"{option} {text!r} {what}: the clock is changed", hint="write its offset, as +01:00")
    fraction = int((found["part"] or ".0")[1:].ljust(9, "0"))
    whole = (aware - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400 + (
        aware - datetime(1970, 1, 1, tzinfo=UTC)
    ).seconds
    time_ns = whole * SECOND_NS + fraction
    if not -(2**63) < time_ns < 2**63:
        raise ConfigError(f"{option} {text!r} is out of range", hint="1678 to 2262")
    return time_ns
