"""What a person asks of the running emitter: files in `state/errands/`, since there is no control socket.

    NAME.json    left by a command, by rename: {"kind": "replay" | "linktest", ..}; taken in order of their names
    NAME.done    what became of it, by rename; read and taken away by the command that left it

The emitter writes NAME.done before it takes NAME.json away, so at whatever moment it dies an errand is either still to
be done, or done once. Names begin with the time, so they are taken in the order in which they were left. What a command
does with these files is in `commands/errand.py`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.store import statefile

FOLDER = "errands"
"""In the state folder."""
KEPT = 32
"""Results that nobody took away, newest kept."""
LARGEST = 16 * 1024 * 1024
"""Largest errand that is read [bytes]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One request."""

    name: str
    kind: str
    body: Mapping[str, Any]
    """Not believed: whoever does it checks each value."""


class ErrandFolder:
    """The emitter's side of the folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def next(self) -> Errand | None:
        """The next errand, which stays until it is `finish`ed, or None; one that cannot be read is refused."""
        for name in sorted(path.stem for path in self._folder.glob("*.json")):
            if (self._folder / f"{name}.done").exists():  # this process died between the two steps of `finish`
                self._remove(name)
                continue
            try:
                data = statefile.read(self._folder / f"{name}.json", LARGEST)
                if data is None:
                    continue  # withdrawn
                body = statefile.unpack(data)
                return Errand(name=name, kind=str(body["kind"]), body=body)
            except (OSError, *statefile.UNBELIEVED) as error:
                self.finish(name, {"state": "refused", "text": f"the errand cannot be read: {str(error)[:200]}"})
        return None

    def finish(self, name: str, told: Mapping[str, Any]) -> None:
        """Say what became of it; on a disk without room it is forgotten."""
        with contextlib.suppress(OSError):
            statefile.write(self._folder / f"{name}.done", json.dumps(told).encode(), inside=self._folder.parent)
        self._remove(name)
        done = sorted(self._folder.glob("*.done"))
        for path in done[: max(0, len(done) - KEPT)]:
            path.unlink(missing_ok=True)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            statefile.remove(self._folder / f"{name}.json", inside=self._folder.parent)
