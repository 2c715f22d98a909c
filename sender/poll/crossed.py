"""What is wrong or odd only between the tags of an asset, or between a tag and what its collector makes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.base import Device, Facts
from protocol.settings.findings import Findings, under
from sender.poll import validity
from sender.poll.tables import TagTable

NO_STATES = ("float32", "float64", "string")
"""Types whose values are no numbers of states."""


def levels(
    stated: Mapping[int, Facts],
    device: Device,
    flat: Sequence[tuple[float, TagTable]],
    places: Mapping[str, str],
    found: Findings,
    name: str,
) -> None:
    """Whether a deadband or names of numbers stand at what has none, by its address or by what is made of it."""
    for point, (_, tag) in zip(device.points, flat, strict=True):
        kind = stated[point.number].type if point.number in stated else tag.type
        if tag.deadband and tag.type is None and kind == "bool":
            text = "a bool has no distance; write 0 to send on change, or leave it out"
            found.wrong(under(places[tag.name], "deadband"), text, name, tag.name)
        if tag.names and kind in NO_STATES:
            text = f"they name whole numbers, and a {kind} is none; take the names out, or mend the type or the scale"
            found.odd(under(places[tag.name], "states"), text, name, tag.name)


def doubles(flat: Sequence[tuple[float, TagTable]], places: Mapping[str, str], found: Findings, name: str) -> None:
    """Warn of an address that is read twice in the same way."""
    seen: dict[str, TagTable] = {}
    for _, tag in flat:
        alike = repr((tag.at, tag.type, tag.count, sorted(tag.options.items(), key=str)))
        first = seen.setdefault(alike, tag)
        if first is not tag:
            text = f'"{tag.at}" is read by "{first.name}" already; mend the address, or take one of the two out'
            found.odd(under(places[tag.name], "at"), text, name, tag.name)


def vouchers(
    device: Device,
    flat: Sequence[tuple[float, TagTable]],
    places: Mapping[str, str],
    numbers: Mapping[str, int],
    found: Findings,
    name: str,
) -> None:
    """Whether each `valid_when` can be read, and names a tag of this asset."""
    for _, tag in flat:
        if not tag.valid_when:
            continue
        key = under(places[tag.name], "valid_when")
        try:
            voucher = validity.parse_gate(tag.valid_when).tag
        except ValueError as error:
            found.wrong(key, str(error), name, tag.name)
            continue
        if voucher not in numbers:
            found.wrong(key, f'"{voucher}" is no tag of this asset; add it to a scan', name, tag.name)
