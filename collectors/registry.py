"""Which collectors are installed, by entry point: a third party's is found as the project's own are.

A collector is announced in the group `checkvalve.collectors` under the word that stands in `collector = ".."`; it is
imported only when a device asks for it, since the vendor libraries take seconds.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from collectors.base import Collector
from protocol.errors import ConfigError
from protocol.settings.findings import nearest

GROUP = "checkvalve.collectors"


def names() -> list[str]:
    """Names of the installed collectors, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def load(name: str) -> type[Collector]:
    """Import the collector of that name.

    Raises:
        ConfigError: no such collector, or one that cannot be imported, or one that is no `Collector`.
    """
    found: list[EntryPoint] = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        near = nearest(name, names())
        known = "installed are: " + (", ".join(names()) or "none")
        hint = f"did you mean {near}? {known}" if near else known
        raise ConfigError(f"collector {name!r} is not installed", hint=hint)
    entry = found[0]
    try:
        kind = entry.load()
    except (ImportError, AttributeError) as error:
        hint = f"{entry.value} must be importable; install its package again"
        raise ConfigError(f"collector {name!r} cannot be imported: {error}", hint=hint) from error
    if not (isinstance(kind, type) and issubclass(kind, Collector)):
        raise ConfigError(f"collector {name!r} is no Collector", hint=f"{entry.value} must derive from Collector")
    return kind
