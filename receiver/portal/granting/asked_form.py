"""What an asker filled in, read: assets and tags by name, times in the plant's zone. Wrong fields say what is wrong.

Times are written as people at the plant read their clock, `2026-12-01T07:30`, as a browser's field gives them. Where
that clock shows an hour twice the first one is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from receiver.governed.grants import weekly
from receiver.governed.grants.asking import Asked
from receiver.governed.grants.extent import Extent, union
from receiver.governed.grants.request import Period

FIELDS = ("preset", "reason", "purpose", "ticket", "from", "until", "length_h", "weekly", "extends", "visit", "for")
"""Of the form, beside what is ticked."""

LONGEST = 2000
"""Characters of a reason that are taken."""


class FormMistake(Exception):
    """A field cannot be read; the text says which, and how it is written."""


def read(fields: Mapping[str, str], groups: Mapping[str, Extent], zone: str, now_ns: int) -> Asked:
    """A request from the fields of its form.

    Args:
        fields: `FIELDS`, and `asset:NAME` or `group:NAME`, whatever it holds, for each that was ticked.
        groups: Those that the asker may ask for: what another one holds must stand in no request of theirs.
        zone: The plant's (IANA).
        now_ns: The wall clock; an empty beginning is now [ns since 1970 UTC].

    Raises:
        FormMistake: A field cannot be read.
    """
    for name in ("reason", "purpose", "ticket"):
        if len(fields.get(name, "")) > LONGEST:
            raise FormMistake(f"the {name} has more than {LONGEST} characters")
    from_ns = moment("the beginning", fields.get("from", ""), zone) if fields.get("from") else now_ns
    until_ns = moment("the end", fields.get("until", ""), zone)
    return Asked(
        preset=fields.get("preset", ""),
        extent=extent(fields, groups),
        reason=fields.get("reason", ""),
        purpose=fields.get("purpose", ""),
        period=Period(
            from_ns=from_ns,
            until_ns=until_ns,
            length_s=_length(fields.get("length_h", "")),
            weekly=_weekly(fields.get("weekly", ""), zone),
        ),
        ticket=fields.get("ticket", "").strip(),
        extends=fields.get("extends", ""),
        visit=fields.get("visit", ""),
    )


def extent(fields: Mapping[str, str], groups: Mapping[str, Extent]) -> Extent:
    """Assets and groups that were ticked.

    Raises:
        FormMistake: A group that the site does not have, or that is not for the asker: told alike.
    """
    parts: list[Extent] = []
    for field in fields:
        kind, colon, name = field.partition(":")
        if colon and kind == "asset" and name:
            parts.append(Extent(assets=frozenset({name})))
        elif colon and kind == "group":
            if name not in groups:
                raise FormMistake("what was chosen is not on the list any more; choose anew")
            parts.append(groups[name])
    return union(parts)


def moment(what: str, text: str, zone: str) -> int:
    """A time as it was typed, in the plant's zone [ns since 1970 UTC].

    Args:
        what: Names it in the error.
        text: As a browser's field gives it.
        zone: The plant's.

    Raises:
        FormMistake: It is none.
    """
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise FormMistake(f"{what} is no time; write it as 2026-12-01T07:30") from error
    if local.tzinfo is None:
        local = local.replace(tzinfo=ZoneInfo(zone))
    try:
        return round(local.timestamp()) * 10**9
    except (OverflowError, ValueError, OSError) as error:
        raise FormMistake(f"{what} lies outside the calendar") from error


def _length(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        hours = float(text.replace(",", "."))
    except ValueError as error:
        raise FormMistake("the length is no number of hours") from error
    if not 0 < hours <= 24 * 90:
        raise FormMistake("the length is no number of hours between 0 and 2160")
    return hours * 3600.0


def _weekly(text: str, zone: str) -> weekly.Weekly | None:
    if not text.strip():
        return None
    try:
        return weekly.read(text.strip(), zone)
    except ValueError as error:
        raise FormMistake(f"the hours of the week: {error}") from error
