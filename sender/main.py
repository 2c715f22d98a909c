"""`send`: one process that reads devices, one that sends, and this one that keeps both alive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import supervise
from oneway import watchdog
from oneway.gate import enter
from oneway.preflight import Policy
from oneway.recipe import Side
from protocol.process.capabilities import NET_ADMIN, must_write, shed
from protocol.process.confine import Mode


def run(
    path: Path,
    only: str | None,
    say: Callable[[str], None],
    *,
    mode: Mode = Mode.ON,
    preflight: Policy = Policy.REFUSE,
) -> int:
    """Run both processes, or one of them here.

    Args:
        path: `sender.toml`.
        only: `poll`, `emit`, or None for both, supervised.
        say: Takes lines for people.
        mode: How the emitter is confined.
        preflight: What a fault of the diode's interface does.

    Returns:
        The exit code.

    Raises:
        ConfigError: a fault of the diode's interface, before anything is started.
        ConfigError, StoreError: from a process that runs here.
    """
    from sender import link_file

    words = ("send", str(path), "--confine", mode.value, "--preflight", preflight.value, "--only")
    if only is not None and watchdog.wanted():
        shed(*(() if only == "poll" else (NET_ADMIN,)))
        return watchdog.keep(only, supervise.command(*words, only), path.absolute().parent / "state", say)
    if only == "poll":
        from sender.poll import config
        from sender.poll import process as poll_process

        loaded = config.load(path)
        loaded.state.mkdir(parents=True, exist_ok=True)
        shed()
        must_write(loaded.state, loaded.state / "spool")
        return poll_process.run(loaded)
    link = link_file.load(path)
    found = enter(Side.HIGH, link.outlet.to[0], preflight, link.outlet.mtu)
    if only == "emit":
        from sender.emit import process as emit_process

        return emit_process.run(link, mode, found.plain())
    for line in found.warnings:
        say(f"warning: {line}")
    link.state.mkdir(parents=True, exist_ok=True)
    shed(NET_ADMIN)
    must_write(link.state, link.state / "spool")
    for lock in (link.state / "spool" / "lock", link.state / "emit.lock"):
        supervise.alone(path, lock)
    poll = supervise.Child("poll", supervise.command(*words, "poll"))
    emit = supervise.Child("emit", supervise.command(*words, "emit"), vital=False)  # polling goes on without it
    return supervise.run([poll, emit], say)
