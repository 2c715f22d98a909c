"""What `checkvalve accept` leaves for the running catch: `state/accept.json`, told in `catch/store/floors.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from protocol.store import statefile
from receiver.catch.store.floors import LOWERED_MOST, floors_from, session_number


def request_accept(state: Path, *, session: str | None = None, lower: bool = False) -> None:
    """Leave a request for catch, which takes it up within a second.

    Args:
        session: The session's eight hex digits, as `status` shows them.
        lower: Forget the floors.

    Raises:
        ConfigError: nothing was asked for, the session is not written so, or the floor cannot be lowered any more.
    """
    if session is None and not lower:
        raise ConfigError("nothing to accept", hint="name the session that status shows, or lower the floor")
    if lower and _lowered(state) >= LOWERED_MOST:
        raise ConfigError(
            f"the floor was lowered {LOWERED_MOST} times, and can be lowered no more",
            hint="begin a new state folder on this side; the old one stays readable for audits and rebuilds",
        )
    request: dict[str, Any] = {"lower": True} if lower else {}
    if session is not None:
        request["session"] = f"{session_number(session):08x}"
    statefile.write(state / "accept.json", json.dumps(request).encode())


def _lowered(state: Path) -> int:
    """As the file has it; 0 where it cannot be read: then `catch` refuses and says it."""
    try:
        return floors_from(statefile.unpack(statefile.read(state / "floor.json") or b"{}")).lowered
    except (OSError, *statefile.UNBELIEVED):
        return 0
