"""`send`: one process that reads devices, one that sends, and this one that keeps both alive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import supervise
from protocol.confine import Mode


def run(path: Path, only: str | None, say: Callable[[str], None], *, mode: Mode = Mode.ON) -> int:
    """Run both processes, or one of them here.

    Args:
        path: `sender.toml`.
        only: `poll`, `emit`, or None for both, supervised.
        say: Takes lines for people.
        mode: How the emitter is confined.

    Returns:
        The exit code.

    Raises:
        ConfigError, StoreError: from a process that runs here.
    """
    if only == "poll":
        from sender import config, main_poll

        return main_poll.run(config.load(path))
    if only == "emit":
        from sender import linkfile, main_emit

        return main_emit.run(linkfile.load(path), mode)
    words = ("send", str(path), "--confine", mode.value, "--only")
    children = [supervise.Child(name, supervise.command(*words, name)) for name in ("poll", "emit")]
    return supervise.run(children, say)
