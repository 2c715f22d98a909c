"""What an encrypted session was asked, where no capture shows it: the names of its services, in order, on disk.

    2026-11-23T09:20:00Z Read*3 CreateSubscription CreateMonitoredItems*2 Publish*57 4f1c..
    2026-11-23T09:21:00Z Publish*60 Read*12 a09e..

A line a minute, services in the order in which they were sent, equal neighbours counted. Each line ends in the SHA-256
of the line before it and its own text, so that a line cannot be changed, taken out or put in without changing all that
follow; the last one's is told in band once a day, where nobody can reach it any more. The guard writes it, below the
library, before a request is sent.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

LARGEST = 4 * 1024 * 1024
"""A file of this size is put aside as `.1`, and the one before it goes [bytes]: about 40 days of a busy session."""

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
        folder.mkdir(parents=True, exist_ok=True)
        self._head = _last_head(self.path)
        self._minute: int | None = None
        self._told_day: int | None = None
        self._services: list[tuple[str, int]] = []

    @property
    def head(self) -> str:
        """The hash at the end of the last line, in hex; empty where there is none."""
        return self._head

    def note(self, service: str, now_ns: int) -> None:
        """One request is about to be sent.

        Args:
            service: Its name, `Read`.
            now_ns: Wall time [ns].

        Raises:
            OSError: the log cannot be written; then the request must not be sent.
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
        """Write the minute that has begun."""
        if not self._services or self._minute is None:
            return
        moment = datetime.fromtimestamp(self._minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        words = [name if count == 1 else f"{name}*{count}" for name, count in self._services]
        text = " ".join([moment, *words])
        head = _chained(self._head, text)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{text} {head}\n")
            size = file.tell()
        self._head, self._services = head, []
        if size > LARGEST:
            self.path.replace(self.path.with_suffix(".log.1"))

    def remark(self, now_ns: int) -> str:
        """A line for the other side once a day, empty else."""
        day = now_ns // _DAY_NS
        if day == self._told_day or not self._head:
            return ""
        self._told_day = day
        return f"service log {self.path.name}: head sha256 {self._head}"


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


def _chained(head: str, text: str) -> str:
    return hashlib.sha256(f"{head}\n{text}".encode()).hexdigest()


def _last_head(path: Path) -> str:
    """Of the file as it stands, or of the one that was put aside."""
    for one in (path, path.with_suffix(".log.1")):
        try:
            lines = one.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            continue
        if lines:
            return lines[-1].rpartition(" ")[2]
    return ""
