"""One table of the configuration, read key by key: every mistake is kept, none is raised.

A collector's `check` must name all mistakes at once, so a wrong value is written down and its default used instead.
`done` then names the keys that nobody asked for, with the likeliest word that was meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit

from protocol.errors import ConfigError
from protocol.settings.findings import unknown

POLLERS_KEYS = frozenset(
    (
        *("name", "at", "type", "count", "unit"),
        *("deadband", "deadband_percent", "max_silence", "valid_when", "ne43", "clamp", "most"),
        *("description", "low", "high", "normal", "normal_low", "normal_high", "range", "states"),
    )
)
"""Keys of a tag's table that the poller and the catalog read; a collector lets them pass."""

ASSETS_KEYS = frozenset(("class", "url", "urls", "requests_s", "never_read", "timeout"))
"""Keys of `[[asset]]` itself, for what is said where they stand in a table below it; none is taken by mistake."""


class KeyReader:
    """One table, its values one after another, and the mistakes found in it.

    Args:
        where: Its name in front of each key, `modbus` or `tags.pressure`.
        table: What the person wrote.
        mistakes: Gets a line `key: what is wrong; next step` for each mistake.
    """

    def __init__(self, where: str, table: Mapping[str, Any], mistakes: list[str]) -> None:
        self.where = where
        self.table = table
        self.mistakes = mistakes
        self._asked: set[str] = set()

    def wrong(self, key: str, what: str, step: str) -> None:
        """Write a mistake down."""
        self.mistakes.append(f"{self.where}.{key}: {what}; {step}")

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        value = self._take(key, default)
        if type(value) is int and low <= value <= high:
            return value
        self.wrong(key, f"{value!r} is not possible", f"use a whole number from {low} to {high}")
        return default

    def real(self, key: str, default: float) -> float:
        """Any finite number."""
        value = self._take(key, default)
        if type(value) in (int, float) and value - value == 0:
            return float(value)
        self.wrong(key, f"{value!r} is no number", "use a number such as 0.1")
        return default

    def factor(self, key: str) -> float:
        """Any finite number but 0, 1 where the key is absent."""
        value = self.real(key, 1.0)
        if value == 0:
            self.wrong(key, "0 makes every value the same", "write the factor, such as 0.1, or take it out")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._take(key, default)
        if type(value) is bool:
            return value
        self.wrong(key, f"{value!r} is neither true nor false", "write true or false without quotes")
        return default

    def word(self, key: str, default: str, choices: Sequence[str]) -> str:
        """One of a few words."""
        value = self._take(key, default)
        if value in choices:
            return str(value)
        self.wrong(key, f"{value!r} is not known", "use one of " + ", ".join(choices))
        return default

    def text(self, key: str, default: str = "") -> str:
        """Any text."""
        value = self._take(key, default)
        if type(value) is str:
            return value
        self.wrong(key, f"{value!r} is no text", "put it in quotes")
        return default

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where the key is absent."""
        value = self._take(key, [])
        if isinstance(value, list | tuple) and all(type(one) is str for one in value):
            return tuple(value)
        self.wrong(key, f"{value!r} is no list of texts", 'write ["off", "on"]')
        return ()

    def any(self, key: str) -> Any:
        """Whatever stands there, for who looks at it himself; None where the key is absent."""
        return self._take(key, None)

    def done(self, also: frozenset[str] = frozenset()) -> None:
        """Name every key that was not asked for; `also` are other readers' keys."""
        for key in self.table:
            if key not in self._asked and key not in also:
                home = "belongs to [[asset]]; move it there" if key in ASSETS_KEYS else ""
                self.mistakes.append(f"{self.where}.{key}: {home or unknown(key, sorted(self._asked | also))}")

    def _take(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        return self.table.get(key, default)


def address(url: str, scheme: str, port: int, mistakes: list[str]) -> tuple[str, int]:
    """Host and port of `scheme://host[:port]`; nothing else may stand in it but a path.

    Args:
        port: The protocol's registered port, where the url names none.
    """
    example = f"write {scheme}://10.0.0.7:{port}"
    try:
        parts = urlsplit(url)
        host, given = parts.hostname, parts.port
    except ValueError as error:
        mistakes.append(f"url: {url!r}: {error}; {example}")
        return "", port
    if parts.scheme != scheme or not host:
        mistakes.append(f"url: {url!r} is not {scheme}://host:port; {example}")
    elif parts.username or parts.password:
        mistakes.append("url: a name or password in it would end in logs; take it out of the url")
    elif given == 0:
        mistakes.append(f"url: port 0 cannot be connected to; {example}")
    return host or "", given or port


def linear(scale: float, offset: float) -> str:
    """Raw times scale plus offset in words, ` x 0.1 - 20`: other numbers, other words."""
    shift = "" if offset == 0 else f" {'-' if offset < 0 else '+'} {_short(abs(offset))}"
    return f" x {_short(scale)}{shift}"


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")


def wild(pattern: str) -> re.Pattern[str]:
    """A pattern in which `*` stands for any text, even none, and every other character for itself."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def refuse(device: str, mistakes: Sequence[str]) -> NoReturn:
    """For a collector that is built from a device `check` has found mistakes in.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(f"{device}: " + " | ".join(mistakes), hint="`checkvalve send --check` names each with its key")
