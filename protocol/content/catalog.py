"""What the ids mean: assets and tags, as they travel in CATALOG blocks (SPEC.md, section 6.4).

A tag id belongs to its stream and is never reused in it: a changed asset, name, type, unit, address or conversion is a
new id. So a batch needs no catalog version, only its ids. Pages hold up to 500 tags and the assets they belong to;
the maps' short keys are the field names below, and a reader ignores keys that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

from protocol.errors import FrameError, Reason
from protocol.limits import NAME_BYTES, PAGE_TAGS

TYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "string",
)
"""Catalog types. `uint64` values travel as two's complement int64; outputs convert them back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One machine, and who built it."""

    name: str
    """Unique within the site."""
    site: str = ""
    path: str = ""
    """`area/unit/..` under the site, separated by slashes (ISA-95 equipment hierarchy)."""
    vendors: tuple[str, ...] = ()
    """The companies whose people may be granted this asset."""
    serial: str = ""
    model: str = ""
    firmware: str = ""
    kind: str = "process"
    """`process`, `safety` or `protection`: how gently it is read."""
    collector: str = ""
    """The protocol it is read by: `modbus`, `opcua`, `enip`, or a third party's."""
    simulated: bool = False
    """Its data come from a simulator; every output shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One measured or reported quantity of an asset."""

    id: int
    """Its number in this stream, 0 to 2**32-1."""
    asset: str
    """Name of its `Asset`."""
    name: str
    """Unique within the asset; an array element is `name[i]`."""
    type: str = "float64"
    """One of `TYPES`."""
    unit: str = ""
    """UCUM code (`bar`, `Cel`, `r/min`), empty where there is none."""
    description: str = ""
    low: float | None = None
    """Instrument range, in `unit`."""
    high: float | None = None
    normal_low: float | None = None
    """Normal band, in `unit`; the pages shade it."""
    normal_high: float | None = None
    scan_s: float = 1.0
    """Period at which it is read or sampled [s]."""
    max_silence_s: float = 1.0
    """Longest time between two sendings of a healthy tag [s]: its scan period, or 60 s by deadband or subscription."""
    address: str = ""
    """Where it stands in the device, in the protocol's own notation."""
    conversion: str = ""
    """How its value is made of what stands there (`int16 x 0.1 - 20`), in the collector's words; empty where it is the
    value. To a program only a change of it means something: the values before and after are not one quantity."""
    states: tuple[str, ...] = ()
    """Names of the values 0, 1, 2 .. of an enumeration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One CATALOG block's content."""

    index: int
    """Page number, from 0, unique in the stream; a changed tag comes on a new page."""
    assets: tuple[Asset, ...]
    tags: tuple[Tag, ...]


Meaning: TypeAlias = tuple[str, str, str, str, str, str]


def meaning_of(tag: Tag) -> Meaning:
    """What an id stands for; another of these is another id."""
    return tag.asset, tag.name, tag.type, tag.unit, tag.address, tag.conversion


def pages(assets: Mapping[str, Asset], tags: Iterable[Tag], *, first: int = 0) -> list[Page]:
    """Cut a catalog into pages of at most `PAGE_TAGS` tags, each with the assets its tags belong to.

    Args:
        assets: Assets by name; one without tags appears on the first page.
        tags: In id order.
        first: Index of the first page made.
    """
    held = list(tags)
    used = {tag.asset for tag in held}
    idle = tuple(asset for name, asset in assets.items() if name not in used)
    out: list[Page] = []
    for at in range(0, max(len(held), 1), PAGE_TAGS):
        part = tuple(held[at : at + PAGE_TAGS])
        named = dict.fromkeys(tag.asset for tag in part)
        out.append(
            Page(
                index=first + len(out),
                assets=tuple(assets[name] for name in named) + (idle if at == 0 else ()),
                tags=part,
            )
        )
    return out


def to_wire(page: Page) -> dict[str, Any]:
    """The page as plain maps and lists; fields at their default are left out."""
    return {
        "page": page.index,
        "assets": [_slim(asset) for asset in page.assets],
        "tags": [_slim(tag) for tag in page.tags],
    }


def from_wire(body: Mapping[str, Any]) -> Page:
    """Read a page; unknown keys are ignored, wrong types refused.

    Raises:
        FrameError: (BODY) a missing key, a wrong type or a text over the limit.
    """
    try:
        tags = body["tags"]
        if len(tags) > PAGE_TAGS:
            raise FrameError(Reason.BODY, size=len(tags))
        return Page(
            index=_index(body["page"]),
            assets=tuple(Asset(**_checked(Asset, one)) for one in body["assets"]),
            tags=tuple(Tag(**_checked(Tag, one)) for one in tags),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FrameError(Reason.BODY, size=0) from error


def _index(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise TypeError("page")
    return value


def _slim(thing: Asset | Tag) -> dict[str, Any]:
    defaults = {field.name: field.default for field in fields(thing)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(thing).items()
        if value != defaults[name]
    }


_CHECKS: dict[str, Any] = {
    "str": lambda value: isinstance(value, str) and len(value.encode()) <= NAME_BYTES,
    "int": lambda value: type(value) is int and 0 <= value < 2**32,
    "bool": lambda value: type(value) is bool,
    "float": lambda value: type(value) in (int, float),
    "float | None": lambda value: value is None or type(value) in (int, float),
    "tuple[str, ...]": lambda value: (
        isinstance(value, list) and len(value) <= 4096 and all(type(v) is str for v in value)
    ),
}


def _checked(kind: type[Asset] | type[Tag], given: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in given:
            value = given[field.name]
            if not _CHECKS[str(field.type)](value):
                raise TypeError(field.name)
            out[field.name] = tuple(value) if isinstance(value, list) else value
    return out
