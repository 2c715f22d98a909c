"""How numbers, units, qualities, spans of time and links to tags are written, the same here and in `static/format.js`.

A number has the decimals its instrument deserves: a thousandth of the range, so 0 to 16 bar shows 6.42 and 0 to
3600 r/min shows 2980. A tag without a range, or with one so narrow that it would take more than nine decimals, gets
five significant digits, and so does a number from 1e16 up, where a double has no units any more. Digits are grouped in
threes by a narrow no-break space from 10 000 up; ties are rounded away from zero, as `Number.toFixed` does.

Descriptions, values and texts are a device's: any double, any integer, any text. Whatever comes is written, or said to
be nothing; no function in here raises for it.
"""

from __future__ import annotations

import dataclasses
import math
from decimal import ROUND_HALF_UP, Context, Decimal
from urllib.parse import quote

from protocol.content.catalog import Tag
from protocol.content.sample import Quality, Value
from protocol.content.statuscodes import name_of
from protocol.inert import inert
from protocol.written import span as _span

THIN = "\N{NARROW NO-BREAK SPACE}"
NOTHING = "\N{EM DASH}"
"""Written where there is no value, and for NaN and infinities, which JSON cannot carry."""

_UNITS = {
    "Cel": "°C",
    "[degF]": "°F",
    "[psi]": "psi",
    "Ohm": "Ω",
    "kOhm": "kΩ",
    "MOhm": "MΩ",
    "deg": "°",
    "1": "",
    "[ppm]": "ppm",
    "[ppb]": "ppb",
    "[pH]": "pH",
}
"""UCUM codes that people write otherwise; any other code is shown as it is, with `u` for micro and digits raised."""

_RAISED = str.maketrans("23", "²³")

_QUALITIES: dict[int, str] = {
    Quality.GOOD: "good",
    Quality.UNCERTAIN: "uncertain",
    Quality.UNCERTAIN_LAST_USABLE: "last usable value",
    Quality.UNCERTAIN_SUBSTITUTE: "substitute value",
    Quality.UNCERTAIN_SENSOR: "sensor not accurate",
    0x408F0000: "no communication, last usable value",
    0x40920000: "initial value",
    0x40940000: "outside engineering range",
    0x40950000: "too few sources",
    Quality.BAD: "bad",
    Quality.BAD_COMMUNICATION: "communication error",
    Quality.BAD_TIMEOUT: "timeout",
    Quality.BAD_NO_DATA: "no data",
    Quality.BAD_NODE_UNKNOWN: "address unknown to the device",
    Quality.BAD_NOT_SUPPORTED: "not supported by the device",
    Quality.BAD_OUT_OF_RANGE: "out of range",
    Quality.BAD_CONFIGURATION: "configuration error",
    Quality.BAD_NOT_CONNECTED: "not connected",
    Quality.BAD_DEVICE_FAILURE: "device failure",
    Quality.BAD_SENSOR_FAILURE: "sensor failure",
    Quality.BAD_DECODING: "value could not be decoded",
    0x80310000: "no communication",
    0x80320000: "waiting for the first value",
    0x808D0000: "out of service",
}
"""By the upper 16 bits, which name the condition; the lower ones are flags (OPC 10000-4, 7.39.1)."""

_NATIVE = {"modbus": "Modbus exception", "enip": "CIP status", "opcua": "OPC UA code"}
"""What the protocol's own code is called, by collector."""

_EXACT = Context(prec=400, rounding=ROUND_HALF_UP)
"""Digits for every double below `LARGE` with nine decimals, and to spare."""

_FIVE = Context(prec=5, rounding=ROUND_HALF_UP)

LARGE = 1e16
"""From here on a double has no units digit (2**53), so that digits before the point would be invented."""

MOST_PLACES = 9

LONGEST_TEXT = 500
"""Characters of a text that are shown; a device may send 64 KiB for one value."""

LETTERS = ("", "U", "B")
"""Shown beside the value, by severity."""

WORDS = ("good", "uncertain", "bad")


def text(held: str, most: int = LONGEST_TEXT) -> str:
    """A foreign text as it is shown: inert, and without its middle where it is too long.

    Args:
        most: Most characters, at least 40.
    """
    return inert(held, most)


def sound(tag: Tag) -> Tag:
    """The tag with numbers that can be computed with: a limit that is not finite counts as not given, a period as 0."""
    return dataclasses.replace(
        tag,
        low=_finite(tag.low),
        high=_finite(tag.high),
        normal_low=_finite(tag.normal_low),
        normal_high=_finite(tag.normal_high),
        scan_s=max(_finite(tag.scan_s) or 0.0, 0.0),
        max_silence_s=max(_finite(tag.max_silence_s) or 0.0, 0.0),
        states=tuple(text(state, 80) for state in tag.states),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def digits(tag: Tag) -> int | None:
    """Decimals of the tag's values; None where it has no range, or too narrow a one: five significant digits then."""
    if tag.type in ("float16", "float32", "float64"):
        for low, high in ((tag.low, tag.high), (tag.normal_low, tag.normal_high)):
            if low is not None and high is not None and high > low:
                # By halves, for a range as wide as the doubles are; what is too narrow for halves is too narrow.
                width = high / 2 - low / 2
                if not 0 < width < math.inf:
                    return None
                places = max(0, math.ceil(3 - math.log10(2) - math.log10(width) - 1e-9))
                return places if places <= MOST_PLACES else None
        return None
    return 0


def number(value: float, places: int | None) -> str:
    """A finite number with `places` decimals, or with five significant digits.

    Very small numbers without a fixed number of decimals, and very large ones, are written as 1.2345e-7.
    """
    if not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if size >= LARGE or (places is None and size != 0 and not 1e-4 <= size < 1e9):
        mantissa, _, power = f"{_FIVE.create_decimal(Decimal(value)):.4e}".partition("e")
        return f"{mantissa}e{int(power)}".replace("-", "\N{MINUS SIGN}")
    if places is None:
        places = 3 if size == 0 else min(max(0, 4 - math.floor(math.log10(size))), 8)
    exact = Decimal(value).quantize(Decimal(1).scaleb(-places), context=_EXACT)
    return grouped(f"{exact:f}")


def grouped(text: str) -> str:
    """Plain digits in threes from five digits up, a true minus sign, and no minus on a zero."""
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, dot, rest = text.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", THIN)
    minus = "\N{MINUS SIGN}" if sign and text.strip("0.") else ""
    return minus + whole + dot + rest


def count(value: int) -> str:
    """A counter."""
    return grouped(str(value))


def plain(tag: Tag, value: Value) -> Value:
    """The value as the device meant it: an unsigned 64-bit integer that travelled as two's complement is put right."""
    if tag.type == "uint64" and type(value) is int and value < 0:
        return value + 2**64
    return value


def written(tag: Tag, value: Value, places: int | None) -> str:
    """The value as a person reads it, without its unit."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return text(value) or '""'
    if isinstance(value, bool) or tag.states:
        state = state_name(tag, value)
        if state:
            return state
    if isinstance(value, bool):
        return "true" if value else "false"
    if tag.type.startswith("float"):
        return number(float(value), places)
    whole = isinstance(value, int) or (value == math.floor(value) if abs(value) <= 2**53 else False)
    return grouped(str(int(value))) if whole else number(value, None)


def state_name(tag: Tag, value: float) -> str:
    """The name of an enumeration's value, empty where it has none."""
    at = int(value) if math.isfinite(value) and value == int(value) else -1
    return tag.states[at] if 0 <= at < len(tag.states) else ""


def unit(code: str) -> str:
    """A UCUM code as people write it: `Cel` is °C, `m3/h` is m³/h, `um/s` is µm/s."""
    if code in _UNITS:
        return _UNITS[code]
    parts = []
    for part in code.split("/"):
        known = _UNITS.get(part, part)
        if len(known) > 1 and known[0] == "u" and known[1:] in ("m", "s", "A", "V", "g", "L", "bar", "S", "W", "F"):
            known = "µ" + known[1:]
        parts.append(known.translate(_RAISED) if known[-1:] in "23" and known[:-1].isalpha() else known)
    return "/".join(parts).replace(".", "·")


def quality(code: int, native: int = 0, collector: str = "") -> str:
    """A StatusCode in words, with the protocol's own code: `not supported by the device (Modbus exception 2)`.

    A code without words here has the standard's name.
    """
    text = _QUALITIES.get(code & 0xFFFF0000) or name_of(code)
    return f"{text} ({_NATIVE.get(collector, 'device code')} {native})" if native else text


def asset_address(name: str) -> str:
    """Where an asset's page is: by its name as a path, or as a question where no browser would keep it as a path."""
    kept = not any(part in ("", ".", "..") for part in name.split("/")) and name.isprintable()
    return f"/asset/{quote(name)}" if kept else f"/asset?name={quote(name, safe='')}"


def tag_address(asset: str, name: str, version: int | None = None) -> str:
    """Where a tag's page is: by its names, which stay what they are when the history is built anew.

    Args:
        version: Of an earlier description; None: as it is described now.
    """
    past = "" if version is None else f"&version={version}"
    return f"/tag?asset={quote(asset, safe='')}&name={quote(name, safe='')}{past}"


def span(seconds: float) -> str:
    """A length of time as `written.span` writes it."""
    return _span(seconds) if math.isfinite(seconds) else NOTHING


EVENT_STATES = {"active": "Active", "acked": "Acknowledged", "cleared": "Cleared", "": "Happened"}
"""By the state of an event."""


def step(time_ns: int) -> str:
    """How much later one event was than another: +24 ms, +0.25 ms, +1.024 s, +3 min 20 s; earlier with a minus."""
    sign, size_ns = ("\N{MINUS SIGN}" if time_ns < 0 else "+"), abs(time_ns)
    if size_ns < 10**9:
        exact = f"{size_ns / 1e6:.3f}".rstrip("0").rstrip(".")
        return f"{sign}{exact} ms"
    return f"{sign}{size_ns / 1e9:.3f} s" if size_ns < 60 * 10**9 else sign + span(size_ns / 1e9)


def share(part: float) -> str:
    """A loss rate: 0 %, 0.02 %, 1.4 %, 23 %; never rounded down to zero."""
    percent = part * 100
    if percent <= 0:
        return "0 %"
    if percent < 0.01:
        return "< 0.01 %"
    return f"{percent:.2f} %" if percent < 1 else f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"
