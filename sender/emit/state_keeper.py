"""Who holds `state/emit.json`: read at a start, written once a second; holding it is holding the outlet.

What stands in it is told in `store/emit_state.py`, what a restart makes of it in `emitter.py`. A damaged file is set
aside and told. A full disk leaves the file as it was: a restart then sends more than it must.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path

from protocol.errors import HeldError
from protocol.process.full_disk import attempt
from protocol.store import statefile
from sender.store.emit_state import NAME, EmitState

LOCK = "emit.lock"
"""In the state folder: locked by the emitter as long as it runs."""


class StateKeeper:
    """The one writer of `emit.json`."""

    def __init__(self, state: Path, *, wall_ns: int = 0) -> None:
        """
        Args:
            state: The state folder.
            wall_ns: Wall time, for the name of a damaged file [ns since 1970 UTC].

        Raises:
            HeldError: another emitter has the outlet.
        """
        self._path = state / NAME
        self.troubles: list[str] = []
        """What was wrong with the file at the start, in words."""
        state.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise HeldError(f"{self._path} is held by another emitter") from None
        last = statefile.load(self._path, EmitState.from_json, self.troubles.append, wall_ns=wall_ns)
        self.last = last or EmitState()
        """Where the last emitter stopped; an empty one where the file tells nothing."""

    def next_boot(self, wall_ns: int) -> int:
        """A start counter above all before it: max(stored + 1, unix microseconds); stored before it is used."""
        boot = max(self.last.boot + 1, wall_ns // 1000)
        self.save(replace(self.last, boot=boot))
        return boot

    def save(self, state: EmitState | None) -> None:
        """Write how far the emitter is; None: it knows less than the file."""
        if state is None:
            return
        attempt(self._path, lambda: statefile.write(self._path, statefile.pack(state.to_json())))

    def close(self) -> None:
        """Let the outlet go."""
        os.close(self._lock)
