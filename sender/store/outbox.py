"""Files that travel with the data: what is renamed into `state/outbox/` becomes FILE blocks, and is then taken away.

    NAME          left by another program on this machine, such as the daily audit, complete (it is renamed into place)
    NAME.refused  too large or not to be read; it stays for a person to see

A file is taken away once its blocks are in the spool. A crash in between sends it again: whoever gathers parts knows
it by its hash. A daily audit's answers go ahead as one STATE line, so that the pages show them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from protocol.content.parts import LARGEST, OUTBOX, cut

Say = Callable[[str, str], None]
"""Takes a STATE's `what` and `text`."""


class Outbox:
    """Looks into the folder and sends what is there."""

    def __init__(
        self, state: Path, *, send: Callable[[Mapping[str, Any]], None], say: Say, settle: Callable[[], bool]
    ) -> None:
        """
        Args:
            state: The high side's `state` folder.
            send: Takes the body of each FILE block.
            say: Takes a STATE about the sender.
            settle: Brings what was sent onto the disk; False where that must wait.
        """
        self._folder = state / OUTBOX
        self._folder.mkdir(parents=True, exist_ok=True)
        self._send, self._say, self._settle = send, say, settle
        self._sent: set[Path] = set()
        self._stuck: set[Path] = set()

    def look(self, time_ns: int) -> None:
        """Send one file, if there is one; call it about once a second.

        Args:
            time_ns: Wall time [ns since 1970 UTC].
        """
        if not self._sent:
            path = self._next()
            if path is None:
                return
            self._send_file(path, time_ns)
        if self._sent and self._settle():
            for path in self._sent:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:  # sent once all the same, not every second
                    self._say("note", f"{path.name} was sent and cannot be taken out of {OUTBOX}: {error}")
                    self._stuck.add(path)
            self._sent.clear()

    def _next(self) -> Path | None:
        """The first file by name; hidden ones, and NAME.new, are being written."""
        try:
            names = sorted(path for path in self._folder.iterdir() if path.is_file() and not path.is_symlink())
        except OSError:
            return None  # the folder was taken away: nothing waits
        names = [one for one in names if one.name[0] != "." and one.suffix not in (".refused", ".new")]
        return next((one for one in names if one not in self._stuck), None)

    def _send_file(self, path: Path, time_ns: int) -> None:
        try:
            size = path.stat().st_size
            if size > LARGEST:
                raise ValueError(f"{size} bytes; {LARGEST} is the most")
            data = path.read_bytes()
            bodies = list(cut("", path.name, time_ns, data))
        except (OSError, ValueError) as error:
            self._refuse(path, error)
            return
        told = audit_line(data)
        if told is not None:
            self._say("audit", told)
        for body in bodies:
            self._send(body)
        self._sent.add(path)

    def _refuse(self, path: Path, error: Exception) -> None:
        self._say("note", f"{path.name} in {OUTBOX} cannot be sent: {error}")
        try:
            path.rename(path.with_name(path.name + ".refused"))
        except OSError:
            self._stuck.add(path)  # said once, not every second


def audit_line(data: bytes) -> str | None:
    """One line of a findings document of `checkvalve audit`: what, when, how many of each answer; None: it is none."""
    try:
        held = json.loads(data)
        if not str(held["format"]).startswith("checkvalve-audit-"):
            return None
        counts = ", ".join(f"{int(count)} {name}" for name, count in held["counts"].items() if count)
        return f"{held['what']} {held['time']}: {counts or 'nothing was checked'}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
