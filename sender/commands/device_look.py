"""One look at one device, read only, and closed again whatever happens: `discover` and `peek`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from collectors import registry
from collectors.base import Collector, Device, Draft, numbered
from protocol.content.sample import Quality, Row, Value
from protocol.errors import AssetError, ConfigError
from sender.commands.watch import quality, value_text

SCHEMES = {"tcp": "modbus", "udp": "modbus", "tls": "modbus", "opc.tcp": "opcua", "enip": "enip"}
"""Scheme of a url -> its collector; any other scheme is the name of an installed one."""

WIDTHS = (7, 4, 2, 1)
"""Registers that are tried: an address at the end of its table has fewer behind it."""

NUMBERS = ("int", "uint", "float")
"""Beginnings of types that a device may hold in any order of bytes."""


async def browse(
    kind: type[Collector], device: Device, say: Callable[[str], None], ranges: Sequence[str] = ()
) -> Draft:
    """Open, browse and close.

    Args:
        kind: The device's collector.
        device: Without scans; `check` found nothing wrong.
        say: Takes a line for each request that the guard refused.
        ranges: The parts that a person typed; empty: what the device lists by itself.

    Raises:
        ConfigError: the device does not answer, or not as its protocol asks.
    """
    collector = kind(device, clock=time.time_ns, refused=say)
    try:
        await collector.open()
        return await collector.discover(ranges)
    except AssetError as error:
        raise _silent(device.url, error) from None
    finally:
        await collector.close()


async def peek(
    url: str, address: str, settings: Mapping[str, Any], say: Callable[[str], None]
) -> list[tuple[str, str, str]]:
    """Read one address once, as everything it could be.

    Args:
        url: Its scheme names the collector.
        address: In the protocol's own notation.
        settings: As in `[asset.<collector>]`.

    Returns:
        How it was read, the value, its quality.

    Raises:
        ConfigError: a url or an address that is none, or a device that does not answer.
    """
    scheme = url.partition("://")[0]
    name = SCHEMES.get(scheme, scheme)
    if "://" not in url or name not in registry.names():
        raise ConfigError(f"{url!r} is no device", hint="write tcp://, opc.tcp:// or enip:// and its address")
    kind = registry.load(name)
    for width in WIDTHS:
        ways = _ways(name, address, width, wide=_wide(address, settings))
        if width > 1 and kind.check(_device(url, _quiet(name, settings), ways)):
            continue
        rows, types = await _look(kind, url, _quiet(name, settings), ways, say)
        if any(row.value is not None for row in rows) or len(ways) == 1:
            return _shown(ways, rows, types)
    return [(address, "-", quality(rows[0]) if rows else "no data")]


async def _look(
    kind: type[Collector],
    url: str,
    settings: Mapping[str, Any],
    ways: list[dict[str, Any]],
    say: Callable[[str], None],
) -> tuple[list[Row], dict[int, str]]:
    """One read of these tag tables, as gently as a safety system is read: rows in order, and types by number."""
    device = _device(url, settings, ways)
    mistakes = kind.check(device)
    if mistakes:
        raise ConfigError(f"{url} cannot be read: {mistakes[0]}", hint="mend the url, the address or --set")
    collector = kind(device, clock=time.time_ns, refused=say)
    try:
        await collector.open()
        rows = sorted((await collector.read(device.scans[0])).rows(), key=lambda row: row.tag)
        return rows, {number: facts.type or "" for number, facts in collector.facts().items()}
    except AssetError as error:
        raise _silent(url, error) from None
    finally:
        await collector.close()


def _device(url: str, settings: Mapping[str, Any], ways: list[dict[str, Any]]) -> Device:
    return Device(name="peek", url=url, kind="safety", settings=settings, scans=numbered([(1.0, ways)]))


def _ways(name: str, address: str, width: int, *, wide: bool) -> list[dict[str, Any]]:
    """Every tag table that the address could stand in, with at most `width` registers.

    Args:
        wide: It is one of those that hold 32 bits each.
    """
    registers = name == "modbus" and address[:1] in "hi34" and "." not in address
    if not registers:
        return [{"name": "as it is", "at": address}]
    from collectors.modbus.formats import BCD_TYPES, FORMATS

    ways: list[dict[str, Any]] = []
    if wide and width > 1:
        ways.append({"name": "hex", "at": address, "type": "uint32", "count": min(width, 4) // 2})
    if not wide:
        ways.append({"name": "hex", "at": address, "type": "uint16", "count": min(width, 4)})
        ways += [{"name": f"{part} byte", "at": f"{address}.{part}"} for part in ("high", "low")]
    for kind, form in FORMATS.items():
        size = form.registers or width
        if size > width or (wide and size % 2):
            continue
        length = {} if form.registers else {"length": 2 * width}
        for words in _orders(size) if not length else ("big",):
            for swap in (False, True) if length or kind.startswith(NUMBERS) else (False,):
                order = f"{words} words" + (", swapped bytes" if swap else "")
                table = {"name": f"{kind}, {order}", "at": address, "type": kind, **length}
                ways.append(table | {"word_order": words, "byte_swap": swap})
                if kind in BCD_TYPES:
                    ways.append(
                        table | {"name": f"{kind} bcd, {order}", "word_order": words, "byte_swap": swap, "bcd": True}
                    )
    return ways


def _wide(address: str, settings: Mapping[str, Any]) -> bool:
    """Whether the address is one of those that hold 32 bits each."""
    if "wide" not in settings:
        return False
    from collectors.modbus.address import parse_place, ranges_of

    place = parse_place(address)
    texts = [one for one in settings["wide"] if isinstance(one, str)] if isinstance(settings["wide"], list) else []
    return place is not None and any(
        one.meets(place[0], place[1], place[1] + 1) for one in ranges_of(texts, "wide", [])
    )


def _orders(registers: int) -> tuple[str, ...]:
    if registers == 4:
        return ("big", "little", "halves", "pairs")
    return ("big", "little") if registers > 1 else ("big",)


def _quiet(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A subscription would be more than one look."""
    return ({"mode": "poll"} if name == "opcua" else {}) | dict(settings)


def _shown(ways: list[dict[str, Any]], rows: list[Row], types: Mapping[int, str]) -> list[tuple[str, str, str]]:
    out, number = [], 0
    for way in ways:
        count = way.get("count", 1)
        part = [row for row in rows if number <= row.tag < number + count]
        if way["name"] == "hex":
            digits = 8 if way["type"] == "uint32" else 4
            words = " ".join(_hex(row.value, digits) for row in part)
            out.append((way["name"], words, quality(part[0]) if part else "no data"))
        else:
            kind = types.get(number) or way.get("type", "")
            named = kind or way["name"] if way["name"] == "as it is" else way["name"]
            out.extend((named, value_text(row, kind), quality(row)) for row in part)
        number += count
    return out


def _hex(value: Value, digits: int) -> str:
    return f"{value:0{digits}X}" if isinstance(value, int) else "." * digits


def _silent(url: str, error: AssetError) -> ConfigError:
    silent = error.quality in (Quality.BAD_TIMEOUT, Quality.BAD_NOT_CONNECTED, Quality.BAD_COMMUNICATION)
    hint = (
        "is the address right, and is the device reachable?" if silent else "the device was reached; mend what it says"
    )
    return ConfigError(f"{url}: {error}", hint=hint)
