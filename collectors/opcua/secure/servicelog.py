"""What an encrypted session was asked, where no capture shows it: the names of its services, in order, on disk.

    2026-11-23T09:20:00Z Read*3 CreateSubscription CreateMonitoredItems*2 Publish*57 4f1c..
    2026-11-23T09:21:00Z Publish*60 Read*12 a09e..

A line a minute, services in the order in which they were sent, equal neighbours counted. Each line ends in the SHA-256
of the line before it and its own text, so that a line cannot be changed, taken out or put in without changing all that
follow; the last one's is told in band once a day, where nobody can reach it any more. The guard notes each service,
below the library, before its request is sent.

A full disk does not stop the reading of a device: lines wait in memory, that is told, and a line says what had no room.
A last line that a crash has torn is cut off.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from datetime import UTC, datetime
from errno import ENOSPC
from pathlib import Path

LARGEST = 4 * 1024 * 1024
"""A file of this size is put aside as `.1`, and the one before it goes [bytes]: about 40 days of a busy session."""

WAITING = 10_080
"""Lines that wait for a disk with room: a week."""

_MINUTE_NS = 60 * 10**9
_DAY_NS = 86_400 * 10**9
_NAME = re.compile(r"[^A-Za-z0-9._-]")


class ServiceLog:
    """The log of one device.

    Args:
        folder: Where it is kept; made where it is not there.
        device: Its name.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.path = folder / f"services-{_NAME.sub('_', device)}.log"
        self._head = _last_head(self.path)
        self._minute: int | None = None
        self._told_day: int | None = None
        self._services: list[tuple[str, int]] = []
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._trouble = self._told_trouble = ""

    @property
    def head(self) -> str:
        """The hash at the end of the last line, in hex; empty where there is none."""
        return self._head

    def note(self, service: str, now_ns: int) -> None:
        """One request is about to be sent.

        Args:
            service: Its name, `Read`.
            now_ns: Wall time [ns].
        """
        minute = now_ns // _MINUTE_NS
        if self._minute is not None and minute != self._minute:
            self.flush()
        self._minute = minute
        if self._services and self._services[-1][0] == service:
            self._services[-1] = service, self._services[-1][1] + 1
        else:
            self._services.append((service, 1))

    def flush(self) -> None:
        """Write the minute that has begun, and what waits."""
        if self._services and self._minute is not None:
            moment = datetime.fromtimestamp(self._minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            words = [name if count == 1 else f"{name}*{count}" for name, count in self._services]
            self._waiting.append(" ".join([moment, *words]))
            self._services = []
        if len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._dropped += 1
        try:
            self._write()
            self._trouble = ""
        except OSError as error:
            self._trouble = error.strerror or str(error)

    def remarks(self, now_ns: int) -> list[str]:
        """Lines for the other side: the head once a day, and a log that cannot be written."""
        out = []
        if self._trouble != self._told_trouble:
            self._told_trouble = self._trouble
            waits = f"cannot be written ({self._trouble}); it waits in memory"
            out.append(f"service log {self.path.name} {waits if self._trouble else 'is written again'}")
        day = now_ns // _DAY_NS
        if day != self._told_day and self._head:
            self._told_day = day
            out.append(f"service log {self.path.name}: head sha256 {self._head}")
        return out

    def _write(self) -> None:
        lines = [f"{self._dropped} lines had no room", *self._waiting] if self._dropped else list(self._waiting)
        if not lines:
            return
        text, head = "", self._head
        for line in lines:
            head = _chained(head, line)
            text += f"{line} {head}\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab", buffering=0, opener=_no_link) as file:
            before = file.tell()
            try:
                file.write(text.encode())
                whole = file.tell() == before + len(text.encode())
            except OSError:
                file.truncate(before)
                raise
            if not whole:
                file.truncate(before)
                raise OSError(ENOSPC, "No space left on device")
            size = file.tell()
        self._head, self._dropped = head, 0
        self._waiting.clear()
        if size > LARGEST:
            self.path.replace(self.path.with_suffix(".log.1"))


def verify(text: str, before: str | None = None) -> str:
    """The head of a log's text, where each line follows from the one before it.

    Args:
        before: The head before its first line; None believes whatever the first line follows from.

    Raises:
        ValueError: a line was changed, taken out or put in; the text names it.
    """
    head = before
    for number, line in enumerate(text.splitlines(), 1):
        said, _, own = line.rpartition(" ")
        if head is not None and own != _chained(head, said):
            raise ValueError(f"line {number} does not follow from the one before it")
        head = own
    return head or ""


def _no_link(path: str, flags: int) -> int:
    """Opens the log itself, whatever a user of the same folder may have put under its name."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o640)


def _chained(head: str, text: str) -> str:
    return hashlib.sha256(f"{head}\n{text}".encode()).hexdigest()


def _last_head(path: Path) -> str:
    """Of the file as it stands, or of the one that was put aside; a torn last line is cut off."""
    for one in (path, path.with_suffix(".log.1")):
        try:
            data = one.read_bytes()
            if data and not data.endswith(b"\n"):
                data = data[: data.rfind(b"\n") + 1]
                os.truncate(one, len(data))
        except FileNotFoundError:
            continue
        if data:
            return data.decode(errors="replace").splitlines()[-1].rpartition(" ")[2]
    return ""
