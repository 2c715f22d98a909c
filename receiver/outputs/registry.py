"""Which outputs are installed, by entry point: a third party's is found as the project's own are.

An output is announced in the group `checkvalve.outputs` under the word that stands in `kind = ".."`; it is imported
only when the configuration names it.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from protocol.errors import ConfigError
from protocol.settings.findings import nearest
from receiver.outputs.base import Output

GROUP = "checkvalve.outputs"


def names() -> list[str]:
    """Kinds of the outputs that are installed, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def load(name: str) -> type[Output]:
    """Import the output of that kind.

    Raises:
        ConfigError: no such output, or one that cannot be imported, or one that is no `Output`.
    """
    found: list[EntryPoint] = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        near = nearest(name, names())
        known = "installed are: " + (", ".join(names()) or "none")
        hint = f"did you mean {near}? {known}" if near else known
        raise ConfigError(f"output {name!r} is not installed", hint=hint)
    entry = found[0]
    try:
        kind = entry.load()
    except (ImportError, AttributeError) as error:
        hint = f"{entry.value} must be importable; install its package again"
        raise ConfigError(f"output {name!r} cannot be imported: {error}", hint=hint) from error
    if not (isinstance(kind, type) and issubclass(kind, Output)):
        raise ConfigError(f"output {name!r} is no Output", hint=f"{entry.value} must derive from Output")
    return kind
