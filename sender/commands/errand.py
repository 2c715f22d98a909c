"""Leave an errand for the running emitter and follow it to its end: what `replay` and `linktest` share.

There is no control socket, so this looks at files: the errand's own, its result, and the emitter's status.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from protocol import terminal
from protocol.errors import ConfigError
from protocol.process.statusfile import read_status
from protocol.store import statefile
from sender.emit.errands import FOLDER
from sender.emit.state_keeper import LOCK

LOOK = 0.2
"""How often the files are looked at [s]."""
LINE = 5.0
"""How often a line about progress is printed where there is no terminal [s]."""
TAKEN = 15.0
"""An emitter that runs has taken an errand that is the first in its queue by then [s]."""


def running(state: Path) -> bool:
    """Whether an emitter runs here: its lock is held.

    Raises:
        ConfigError: this user may not look.
    """
    try:
        lock = os.open(state / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError:
        raise ConfigError(f"{state} may not be read by this user", hint="run this as the user of `emit`") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def leave(state: Path, kind: str, body: Mapping[str, Any]) -> str:
    """Leave it; returns its name.

    Raises:
        ConfigError: this user may not.
    """
    try:
        return put(state, kind, body, time_ns=time.time_ns(), salt=os.urandom(4))
    except PermissionError as error:
        raise ConfigError(f"{error.filename} cannot be written by this user", hint="run this as emit's user") from None
    except OSError as error:
        folder = state / FOLDER
        hint = "see what stands there: a link is not followed; take it away, and run this again"
        raise ConfigError(f"{folder} cannot be used: {error.strerror}", hint=hint) from None


def put(state: Path, kind: str, body: Mapping[str, Any], *, time_ns: int, salt: bytes) -> str:
    """Leave an errand under its name, which is returned.

    Args:
        state: The sender's state folder.
        time_ns: Wall time, for its place in the queue [ns since 1970 UTC].
        salt: Some random bytes, so that two that are left at once have two names.

    Raises:
        OSError: it cannot be written.
    """
    folder = state / FOLDER
    state.mkdir(parents=True, exist_ok=True)
    statefile.make_folder(folder)
    name = f"{time_ns:020d}-{salt.hex()}"
    statefile.write(folder / f"{name}.json", json.dumps({"kind": kind, **body}).encode(), inside=state)
    return name


def withdraw(state: Path, name: str) -> bool:
    """Take an errand back; False where it was taken up already or is done."""
    try:
        statefile.remove(state / FOLDER / f"{name}.json", inside=state)
    except FileNotFoundError:
        return False
    return True


def result(state: Path, name: str) -> dict[str, Any] | None:
    """What became of an errand, None while it is not done; it is then taken away."""
    path = state / FOLDER / f"{name}.done"
    try:
        told = json.loads(statefile.read(path) or b"")
    except (OSError, ValueError, RecursionError):
        return None
    with contextlib.suppress(OSError):
        statefile.remove(path, inside=state)
    return told if isinstance(told, dict) else {}


def follow(state: Path, name: str, words: Callable[[Mapping[str, Any]], str]) -> dict[str, Any]:
    """Wait for the result, with progress on stderr; Ctrl-C takes back what was not begun.

    Args:
        words: Progress in words, of the emitter's status of this errand; an empty mapping while it waits its turn.

    Returns:
        The result; `state` in it is "done".

    Raises:
        ConfigError: the emitter refused it, stopped, or never took it.
    """
    said, left = time.monotonic(), time.monotonic()
    covers = sys.stderr.isatty()
    try:
        while (told := result(state, name)) is None:
            now = time.monotonic()
            under_way = (read_status(state, "emit") or {}).get("errand") or {}
            mine = under_way if under_way.get("name") == name else {}
            if mine or under_way:
                left = now
            elif now > left + TAKEN:
                raise ConfigError("the emitter has not taken it up", hint="checkvalve status SENDER.toml: does it run?")
            if covers or now >= said + LINE:
                said = now
                terminal.progress(words(mine))
            if not running(state):
                raise ConfigError(
                    "the emitter ended meanwhile; what was left of this is done once it runs again",
                    hint="checkvalve send SENDER.toml",
                )
            time.sleep(LOOK)
    except KeyboardInterrupt:
        if not mine:
            withdraw(state, name)
        raise
    finally:
        terminal.progress("")
    if told.get("state") != "done":
        raise ConfigError(f"the emitter refused: {told.get('text', 'no reason given')}")
    return told
