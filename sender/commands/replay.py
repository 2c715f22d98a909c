"""`checkvalve replay`: from typed codes to what the running emitter made of them.

It says what is here, what is gone and how long the rest will take before anything is left for the emitter; then it
follows. Without a running emitter nothing is left, so that no errand surprises somebody days later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from protocol import terminal
from protocol.errors import ConfigError
from protocol.process.statusfile import read_status
from sender.commands import errand, replay_plan
from sender.settings import LinkConfig


def run(config: LinkConfig, codes: Sequence[str], *, dry_run: bool, as_json: bool, say: Callable[[str], None]) -> None:
    """Do it, printing lines or one JSON object.

    Args:
        config: The emitter's part of the file.
        codes: As a person typed them.
        dry_run: Send nothing.
        as_json: For programs.
        say: Takes lines.

    Raises:
        ConfigError: a code that is wrong, no emitter, or one that refused.
    """
    state = config.state
    found = replay_plan.find(state / "spool", codes, config.outlet.geometry)
    emitting = errand.running(state)
    told = (read_status(state, "emit") or {}) if emitting else {}
    plan = {"dry_run": dry_run, "emitter_running": emitting, "streams": [_plain(one) for one in found]}
    body = replay_plan.body(found)
    if not as_json:
        for line in replay_plan.in_words(found, config.outlet.geometry.rate, float(told.get("backlog_s", 0.0))):
            say(line)
    if not body["blocks"] or dry_run:
        if not as_json and not emitting:
            say("the emitter does not run here now: `checkvalve send` starts it")
        if as_json:
            terminal.data(plan | {"blocks": body["blocks"], "wire_bytes": body["wire_bytes"], "sent": 0})
        return
    if not emitting:
        raise ConfigError(
            "the emitter does not run, so nothing was sent", hint=f"start it: checkvalve send {config.path}; then again"
        )
    result = errand.follow(state, errand.leave(state, "replay", body), lambda mine: _words(mine, body["blocks"]))
    if as_json:
        terminal.data(plan | {"blocks": body["blocks"], "wire_bytes": body["wire_bytes"], **result})
        return
    for stream, first, after in result.get("gone", ()):
        say(f"stream {stream}: {replay_plan.numbers(first, after)} went from the spool meanwhile")
    say(f"sent {result['sent']} blocks; `checkvalve gaps` on the low side shows whether they came")


def _words(mine: Mapping[str, Any], blocks: int) -> str:
    if not mine:
        return "waiting for the emitter"
    return f"sent {mine.get('sent', 0)} of {blocks} blocks"


def _plain(one: replay_plan.StreamPlan) -> dict[str, Any]:
    return {
        "stream": one.stream.hex(),
        "asked": list(one.asked),
        "here": list(one.here),
        "gone": one.gone,
        "never": one.never,
        "along": one.along,
        "wire_bytes": one.wire,
    }
