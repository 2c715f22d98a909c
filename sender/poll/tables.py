"""The plant's tables of `sender.toml`, one model each: keys, units, ranges, defaults. Their joining is `config.py`'s.

Unknown keys are mistakes, except in two places that belong to a collector: its own table `[asset.<collector>]`, and a
tag's table, whose extra keys go to `Point.options` (the collector's `check` knows them).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator

from collectors import registry
from collectors.base import FORMATS
from protocol import text
from protocol.content.catalog import TYPES
from protocol.limits import NAME_BYTES
from protocol.settings.findings import nearest, unknown
from protocol.settings.table import File, Seconds, SettingsTable, listed, one_or_more

MEANT = {
    "REAL": "float32",
    "LREAL": "float64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "SINT": "int8",
    "INT": "int16",
    "DINT": "int32",
    "LINT": "int64",
    "USINT": "uint8",
    "UINT": "uint16",
    "UDINT": "uint32",
    "ULINT": "uint64",
    "BYTE": "uint8",
    "WORD": "uint16",
    "DWORD": "uint32",
    "LWORD": "uint64",
    "BOOLEAN": "bool",
    "BIT": "bool",
    "STR": "string",
    "TEXT": "string",
}
"""Words of controllers (IEC 61131-3, 6.4.2) and programs -> the type they mean."""

USUAL = "float32, float64, int16, uint16, int32, uint32 or string"
"""Types that every protocol has."""


@dataclass(frozen=True, slots=True)
class RangeShare:
    """A share of a tag's range, from `"1%"`."""

    share: float


def _printable(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{value!r} is empty or not printable; write a short name")
    return _short(value)


def _short(value: str) -> str:
    if len(value.encode()) > NAME_BYTES:
        raise ValueError(f"longer than {NAME_BYTES} bytes; shorten it")
    return value


def _type(value: str) -> str:
    if value not in TYPES and value not in FORMATS:
        meant = MEANT.get(value.upper()) or nearest(value.lower(), TYPES)
        step = f"did you mean {meant}?" if meant else f"write one that the device's list says, such as {USUAL}"
        raise ValueError(f'"{value}" is no type; {step}')
    return value


def _pair(value: object) -> tuple[float | None, float | None]:
    if not isinstance(value, list) or len(value) != 2 or any(type(one) not in (int, float) for one in value):
        raise ValueError(f"{value!r} is not two numbers; write [0.0, 100.0]")
    low, high = value
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{value!r} has a nan, which is no number; write two numbers, the lower first")
    if low == high:
        raise ValueError(f"{value!r} are equal, so nothing lies between; write two numbers, the lower first")
    if low > high:
        raise ValueError(f"{value!r} is not low to high; swap the two")
    return (None if math.isinf(low) else float(low)), (None if math.isinf(high) else float(high))


def _deadband(value: object) -> object:
    if isinstance(value, str):
        return RangeShare(text.share(value))
    if type(value) not in (int, float) or not (isinstance(value, int | float) and 0 <= value < math.inf):
        raise ValueError(f'{value!r} is no change; write a number from 0 in the unit of the tag, or "1%" of its range')
    return float(value)


def _clamp(value: object) -> tuple[float, float]:
    low, high = _pair(value)
    if low is None or high is None:
        raise ValueError(f"{value!r} is open on a side; write two finite numbers")
    return low, high


def _states(value: object) -> tuple[str, ...] | dict[str, str]:
    names = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise ValueError(f'{value!r} is no list of names; write ["off", "on"]')
    for name in names:
        _short(name)
    return value if isinstance(value, dict) else tuple(names)


Name = Annotated[str, AfterValidator(_printable)]
Words = Annotated[str, AfterValidator(_short)]
Clamp = Annotated[tuple[float, float], BeforeValidator(_clamp)]
Pair = Annotated[tuple[float | None, float | None], BeforeValidator(_pair)]


class TopKeys(SettingsTable):
    """The keys outside any table."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"site": "north-plant"}

    site: Name
    """The plant, as the low side shall call it."""


class SpoolTable(SettingsTable):
    """How long sealed blocks are kept for repeats and gap codes."""

    keep: Seconds = 14 * 86_400.0
    """Age at which a block may go [s of running time]."""
    max_gb: Annotated[float, Field(gt=0)] = 20.0
    """Most disk it takes [GB]; the oldest sent blocks go first."""


class RecommendationsTable(SettingsTable):
    """Whose recommendations are believed; without keys none is."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"keys": ["keys/low-recommend.pub"]}

    keys: Annotated[tuple[File, ...], BeforeValidator(one_or_more), Field(max_length=4)] = ()
    """Public files of the kind `recommend`, carried over by a person."""


class TagTable(SettingsTable):
    """One tag of a scan; its other keys are the collector's."""

    model_config = ConfigDict(extra="allow")
    EXAMPLES: ClassVar[dict[str, Any]] = {"name": "discharge_pressure", "at": "holding:0"}

    name: Name
    """Unique within the asset; an array's elements become `name[i]`."""
    at: Name
    """Address in the protocol's own notation."""
    type: Annotated[str, AfterValidator(_type)] | None = None
    """Catalog type; without it the device is asked, where it can say."""
    unit: Words = ""
    """UCUM code."""
    count: Annotated[int, Field(ge=1, le=65_536)] = 1
    """Elements of an array, read whole."""
    description: Words = ""
    low: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Instrument range, in `unit`; or `range = [low, high]`."""
    high: Annotated[float, Field(allow_inf_nan=False)] | None = None
    range: Pair | None = None
    normal: Pair | None = None
    """Normal band, in `unit`; `-inf` and `inf` leave a side open."""
    deadband: Annotated[float | RangeShare, BeforeValidator(_deadband)] | None = None
    """Smallest change that is sent, in `unit`, or `"1%"` of the range; without it every poll is sent."""
    max_silence: Seconds | None = None
    """Longest time between two sendings [s]; 60 s with a deadband or a subscription, else the scan's period."""
    states: Annotated[tuple[str, ...] | dict[str, str], PlainValidator(_states)] = ()
    """Names of the values 0, 1, 2 .. of an enumeration; or `{ 512 = "standby" }`, and the name itself comes out."""
    most: Annotated[int, Field(ge=1, le=65_536)] | None = None
    """Most values of a pattern (an address that names a branch); 100 where nothing is said."""
    ne43: bool = False
    """`range` is what 4 and 20 mA stand for: beyond 3.6 and 21 mA the transmitter says that it failed (NAMUR NE 43)."""
    valid_when: Words = ""
    """Another tag of the asset that vouches for this one: `sensor_ok`, `!sensor_fault`, `status == 0`."""
    clamp: Clamp | None = None
    """Values beyond are cut to these, and marked as limited (OPC 10000-4, 7.39.1)."""

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are the collector's to know."""
        return dict(self.model_extra or {}) | ({"states": self.states} if isinstance(self.states, dict) else {})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values 0, 1, 2 .."""
        return self.states if isinstance(self.states, tuple) else ()

    @property
    def span(self) -> tuple[float | None, float | None]:
        """The instrument range, None where a side is open."""
        return self.range or (self.low, self.high)

    @property
    def change(self) -> float | None:
        """The deadband in the tag's unit, None where every poll is sent."""
        if not isinstance(self.deadband, RangeShare):
            return self.deadband
        low, high = self.span
        return None if low is None or high is None else self.deadband.share * (high - low)

    @property
    def normal_beyond(self) -> bool:
        """Whether an end of the normal band is outside the instrument range."""
        low, high = self.span
        ends = [end for end in self.normal or () if end is not None]
        return low is not None and high is not None and low < high and any(not low <= end <= high for end in ends)

    def crossed(self) -> Iterator[tuple[str, str]]:
        low, high = self.span
        if self.range and (self.low is not None or self.high is not None):
            yield "range", "says what low and high say; keep one way"
        elif low is not None and high is not None and low >= high:
            step = "swap the two" if low > high else "make low lower, or high higher"
            yield "low", f"{low:g} is not below high, {high:g}; {step}"
        elif isinstance(self.deadband, RangeShare) and self.change is None:
            yield "deadband", "a percentage of no range; add range = [low, high], or write it in the tag's unit"
        elif self.change is not None and low is not None and high is not None and self.change > high - low:
            yield "deadband", f"{self.change:g} is more than the whole range, so nothing is ever sent; make it smaller"
        if self.normal and self.normal_beyond:
            yield "normal", f"lies outside the range, {low:g} to {high:g}; make the range larger, or mend the band"
        if self.ne43 and (low is None or high is None):
            yield "ne43", "needs what 4 and 20 mA stand for; add range = [low, high]"
        for key, given in (("ne43", self.ne43), ("clamp", self.clamp)):
            if given and self.type in ("bool", "string"):
                yield key, f"a {self.type} has no such limits; take it out"
        if self.deadband and self.type in ("bool", "string"):
            yield "deadband", f"a {self.type} has no distance; write 0 to send on change, or leave it out"


class ScanTable(SettingsTable):
    """Tags read together; `tags` is read one by one, see `config.py`."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"every": "1s"}

    every: Annotated[Seconds, Field(ge=0.01, le=86_400)]
    """Period [s], 10 ms to a day."""


class AssetTable(SettingsTable):
    """One machine; its scans and its collector's table are read apart, see `config.py`."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"name": "pump-7", "collector": "modbus", "url": "tcp://10.0.0.7:502"}

    name: Name
    """Unique within the site."""
    vendor: Annotated[tuple[Name, ...], BeforeValidator(one_or_more)] = ()
    """The companies whose people may be granted it."""
    serial: Words = ""
    model: Words = ""
    path: Words = ""
    """`area/unit/..` under the site (ISA-95 equipment hierarchy)."""
    simulated: bool = False
    """Flagged through every output."""
    kind: Literal["process", "safety", "protection"] = Field(default="process", alias="class")
    """How gently it is read: safety and protection read only what is typed."""
    collector: Name
    url: Words = ""
    urls: Annotated[tuple[Name, ...], BeforeValidator(listed), Field(max_length=4)] = ()
    """In place of `url`: the addresses of one redundant device, the preferred one first."""
    requests_s: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Most requests a second [1/s]; 5 for safety and protection where nothing is said, else no limit."""
    never_read: Annotated[tuple[Name, ...], BeforeValidator(one_or_more)] = ()
    """Addresses that must not be read, in the protocol's own notation."""
    timeout: Annotated[Seconds, Field(ge=0.01, le=300)] = 3.0
    """Longest wait for one reply [s]: the device's worst case, since a reply that comes later costs another wait."""

    @classmethod
    def stray(cls, key: str, value: object) -> str:
        if not isinstance(value, dict):
            return ""
        collectors = registry.names()
        if key in collectors:
            return f'settings of another collector; take them out, or write collector = "{key}"'
        return unknown(key, (*collectors, "scan", "alarm"), "table")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the device is; several for a redundant one."""
        return self.urls or (self.url,)

    def crossed(self) -> Iterator[tuple[str, str]]:
        if self.url and self.urls:
            yield "urls", "says what url says; keep one of the two"
        elif not self.addresses[0]:
            yield "url", f'missing; write url = "{self.EXAMPLES["url"]}"'
