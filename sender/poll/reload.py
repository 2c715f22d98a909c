"""A changed `sender.toml` for the running poller: asked for by a file, answered by a file, since nobody listens.

    state/reload.json    left by `send --reload`, by rename: {"digest": ".."} names the file that was checked
    state/reload.done    what became of it, by rename: {"digest": "..", "refused": "..", "lines": [..]}

The poller reads the file itself and takes it only if it is byte for byte the one that was checked. Both sides stand
here; what changes in the plant is `poller.Poller.reload`'s.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from protocol.process.status_header import read_header
from protocol.store import statefile

ASKED, DONE = "reload.json", "reload.done"

WAIT_S = 30.0
"""Longest wait for an answer [s]: a device that hangs is given up in less."""

LOOK_S = 0.1
SILENT_S = 5.0
"""A process that has said nothing for so long is not running [s]; it speaks once a second."""


class UnansweredError(ConfigError):
    """poll has not said what became of a reload; nothing was changed only if the request was withdrawn."""

    withdrawn = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a reload."""

    refused: str
    """Why nothing was changed; empty where it was done."""
    lines: tuple[str, ...]
    """What has changed, a line an asset."""


def ask(state: Path, digest: str) -> None:
    """Ask the running poller for a reload; an older answer goes.

    Args:
        state: The sender's state folder.
        digest: SHA-256 of the file that was checked, in hex.

    Raises:
        OSError: it cannot be written.
    """
    (state / DONE).unlink(missing_ok=True)
    statefile.write(state / ASKED, json.dumps({"digest": digest}).encode())


def withdraw(state: Path) -> bool:
    """Take the request back; False where it was taken up."""
    try:
        (state / ASKED).unlink()
    except FileNotFoundError:
        return False
    return True


def asked(state: Path) -> str | None:
    """The digest that a reload was asked for, None where none was; an unreadable request has an empty one."""
    try:
        data = statefile.read(state / ASKED)
        if data is None:
            return None
        told: Any = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return ""
    return str(told.get("digest", "")) if isinstance(told, dict) else ""


def answer(state: Path, digest: str, *, refused: str = "", lines: Sequence[str] = ()) -> None:
    """Say what became of it; on a disk without room nobody is told."""
    told = {"digest": digest, "refused": refused, "lines": list(lines)}
    with contextlib.suppress(OSError):
        statefile.write(state / DONE, json.dumps(told).encode())
    with contextlib.suppress(OSError):
        (state / ASKED).unlink(missing_ok=True)


def result(state: Path, digest: str) -> Result | None:
    """What became of the reload to that file, None while it is not done."""
    try:
        told: Any = json.loads(statefile.read(state / DONE) or b"")
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("digest") != digest:
        return None
    return Result(refused=str(told.get("refused", "")), lines=tuple(str(line) for line in told.get("lines", ())))


def runs(state: Path) -> bool:
    """Whether a poll says that it runs here."""
    return time.time_ns() - (read_header(state, "poll").time_ns or 0) <= SILENT_S * 1e9


def ask_and_wait(state: Path, digest: str, say: Callable[[str], None], *, wait_s: float = WAIT_S) -> None:
    """Let the running poll take the file that was just checked.

    Args:
        state: The sender's state folder.
        digest: Of the checked file.
        say: Takes lines for people.
        wait_s: Longest wait for an answer [s].

    Raises:
        ConfigError: nobody runs, or it was refused; then nothing was changed.
        UnansweredError: nobody answers.
    """
    if not runs(state):
        hint = "start it: checkvalve send FILE; it then takes the file as it is"
        raise ConfigError("no poll is running here", hint=hint)
    ask(state, digest)
    ends = time.monotonic() + wait_s
    while (told_back := result(state, digest)) is None:
        if time.monotonic() > ends:
            took = not withdraw(state)
            hint = "look at `checkvalve status`" + ("" if took else "; the request was withdrawn")
            error = UnansweredError(f"poll has not answered in {wait_s:g} s", hint=hint)
            error.withdrawn = not took
            raise error
        time.sleep(LOOK_S)
    if told_back.refused:
        raise ConfigError(f"not reloaded: {told_back.refused}")
    for line in told_back.lines or ("nothing has changed",):
        say(line)
