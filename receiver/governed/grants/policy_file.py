"""`access.toml`: the site's policy of reading, beside `receiver.toml`. Without the file the built-in presets stand.

    zone = "Europe/Berlin"                 hours of the week are written in the plant's own time
    policy = "2026-10"                     version of the text that people acknowledge
    criteria = ["..", ".."]                when a glass may be broken; all of them must hold
    [ceiling]                              asset = the longest time of any one grant on it
    [[preset]]                             a kind of grant of the site's own, or a built-in one made shorter
    [[group]]                              tags that are asked for by one name
    [[tell]]                               a way to tell security at once (receiver/governed/alerts/tell_table.py)

A built-in preset may be made stricter here and never looser: shorter, with more notice, with further seats.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from protocol.settings.findings import Findings, read_table, read_tables, under, unknown
from protocol.settings.table import Seconds, SettingsTable, listed
from protocol.settings.toml_file import read
from receiver.governed.alerts.tell_table import TellTable
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.policy import CRITERIA, AccessPolicy
from receiver.governed.grants.preset import BREAK_GLASS, DAY_S, PRESETS, Preset
from receiver.governed.people.person import PersonRole

FILE = "access.toml"
"""Its name, in the folder of `receiver.toml`."""

TABLES = ("zone", "policy", "criteria", "ceiling", "preset", "group", "tell")

LONGEST_S = 90 * DAY_S
"""Most time of any preset [s]: reading is certified anew each quarter (docs/access.md)."""

DECIDING = frozenset({PersonRole.APPROVER, PersonRole.ENGINEER, PersonRole.SPONSOR, PersonRole.SECURITY})
"""Roles that a seat may be for."""


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'"{value}" is no time zone; write one such as "Europe/Berlin"') from error
    return value


def _seats(value: object) -> object:
    if not isinstance(value, list) or not value or not all(isinstance(one, list) and one for one in value):
        raise ValueError('write a list of lists of roles, one list a person who must agree: [["approver"]]')
    known = sorted(role.value for role in DECIDING)
    for role in (role for seat in value for role in seat):
        if role not in known:
            raise ValueError(f"{role!r} decides on no request; the roles are {', '.join(known)}")
    return tuple(frozenset(PersonRole(role) for role in seat) for seat in value)


class PolicyTable(SettingsTable):
    """Keys at the top of the file."""

    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """IANA name of the plant's time zone."""
    policy: str = ""
    """Version of the reading policy that people acknowledge."""
    criteria: Annotated[tuple[str, ...], BeforeValidator(listed), Field(min_length=1)] = CRITERIA
    """When a glass may be broken; all of them must hold."""


class PresetTable(SettingsTable):
    """One kind of grant."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"name": "weekend", "longest": "48h", "seats": [["approver"], ["security"]]}

    name: Annotated[str, Field(min_length=1, max_length=64)]
    longest: Seconds
    """Most time that one grant of it may last [s]."""
    seats: Annotated[tuple[frozenset[PersonRole], ...], BeforeValidator(_seats)]
    """Who must agree: a list a person, of the roles that will do."""
    notice: Seconds | None = None
    """Least time between the request and its beginning [s]."""
    ahead: Seconds = 90 * DAY_S
    """Most time between the request and its beginning [s]."""
    tell_security: bool = False
    """The people of security are told at once."""
    visit: bool = False
    """It can only be asked for with a site visit."""
    review: Seconds | None = None
    """Time after its end in which it must be reviewed [s]; left out, it need not be."""

    def crossed(self) -> Iterator[tuple[str, str]]:
        """What is looser than it may be."""
        if self.longest > LONGEST_S:
            yield "longest", "longer than 90 days; a longer need is certified anew"
        built_in = PRESETS.get(self.name)
        if self.name == BREAK_GLASS:
            yield "name", "break-glass has no preset of its own; shorten it by a ceiling"
        elif built_in is not None:
            yield from self._looser(built_in)

    def _looser(self, built_in: Preset) -> Iterator[tuple[str, str]]:
        why = f'looser than the built-in "{self.name}"; give it a name of its own'
        if self.longest > built_in.longest_s:
            yield "longest", why
        if (self.notice or 0.0) < built_in.notice_s:
            yield "notice", why
        chosen = permutations(self.seats, len(built_in.seats))
        if not any(all(own <= wide for own, wide in zip(one, built_in.seats, strict=True)) for one in chosen):
            yield "seats", why
        if built_in.visit and not self.visit:
            yield "visit", why
        if built_in.tell_security and not self.tell_security:
            yield "tell_security", why
        if built_in.review_s and not 0 < (self.review or 0.0) <= built_in.review_s:
            yield "review", why

    def preset(self) -> Preset:
        """As the rules take it."""
        return Preset(
            name=self.name,
            longest_s=self.longest,
            seats=self.seats,
            notice_s=self.notice or 0.0,
            ahead_s=self.ahead,
            tell_security=self.tell_security,
            visit=self.visit,
            review_s=self.review or 0.0,
        )


class GroupTable(SettingsTable):
    """Tags that are asked for by one name."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"name": "vibration", "asset": "turbine-1", "tags": ["vib-x", "vib-y"]}

    name: Annotated[str, Field(min_length=1, max_length=64)]
    asset: Annotated[str, Field(min_length=1)]
    tags: Annotated[tuple[str, ...], BeforeValidator(listed), Field(min_length=1)]


def load(folder: Path) -> AccessPolicy:
    """The policy of a site; the built-in one where `access.toml` is not there.

    Args:
        folder: Of `receiver.toml`.

    Raises:
        ConfigError: with every mistake of the file, one a line.
    """
    path = folder.absolute() / FILE
    if not path.exists():
        return AccessPolicy()
    tables, data = read(path)
    found = Findings()
    for key in sorted(tables.keys() - set(TABLES)):
        found.wrong(key, unknown(key, TABLES))
    top = read_table(PolicyTable, {key: tables[key] for key in PolicyTable.model_fields if key in tables}, "", found)
    presets = [
        read_table(PresetTable, one, at, found) for at, one in read_tables(tables.get("preset", []), "preset", found)
    ]
    groups = [
        read_table(GroupTable, one, at, found) for at, one in read_tables(tables.get("group", []), "group", found)
    ]
    tells = [read_table(TellTable, one, at, found) for at, one in read_tables(tables.get("tell", []), "tell", found)]
    named = {"preset": [one.name for one in presets], "group": [one.name for one in groups]}
    named["tell"] = [getattr(one, "name", "") for one in tells]
    for key, names in named.items():
        for at, name in enumerate(names):
            if name in names[:at]:
                found.wrong(under(key, at, "name"), f'"{name}" is there already; choose another name')
    ceilings = _ceilings(tables.get("ceiling", {}), found)
    found.settle(path, f"checkvalve receive {folder / 'receiver.toml'} --check", data)
    return AccessPolicy(
        zone=top.zone,
        presets={**PRESETS, **{one.name: one.preset() for one in presets}},
        ceilings=ceilings,
        groups={
            one.name: Extent(assets=frozenset({one.asset}), tags=frozenset((one.asset, tag) for tag in one.tags))
            for one in groups
        },
        criteria=top.criteria,
        text_version=top.policy,
        tell=tuple(one.beside(path.parent) for one in tells),
    )


def weaknesses(policy: AccessPolicy) -> Iterator[str]:
    """What of a policy may be meant but looks wrong, a line each."""
    for at, one in enumerate(policy.tell):
        for key, text in one.weaknesses():
            yield f"{FILE}: {under('tell', at, key)}: {text}"


class CeilingTable(SettingsTable):
    """One ceiling."""

    longest: Seconds


def _ceilings(given: object, found: Findings) -> dict[str, float]:
    if not isinstance(given, dict):
        found.wrong("ceiling", 'no table; write [ceiling] with "turbine-1" = "8h"')
        return {}
    out = {}
    for asset, longest in given.items():
        told = Findings()
        table = read_table(CeilingTable, {"longest": longest}, "", told)
        for line in told.mistakes.values():
            found.wrong(under("ceiling", asset), line.partition(": ")[2])
        if not told.mistakes:
            out[asset] = table.longest
    return out
