"""How the live checks look: files and commands inside one network namespace, each kept with the command that shows it
again, the time, and, where it could not be read, why.

Read-only: `ip .. show`, `nft list`, `ethtool` without a setting, and files. Nothing is cached across runs, nothing is
sent, and no shell is used.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.check import Evidence, stamp

PATIENCE = 20.0
"""Longest time for one command [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One thing that was looked at."""

    text: str
    """What it said; empty where it could not be read."""
    command: str
    """What shows it again."""
    time: str
    """UTC, as `stamp` writes it."""
    why: str = ""
    """Why it could not be read; empty where it could."""

    @property
    def read(self) -> bool:
        """Whether it could be read."""
        return not self.why

    def json(self) -> Any:
        """The text as JSON; None where it is none."""
        try:
            return json.loads(self.text or "[]") if self.read else None
        except ValueError:
            return None

    def evidence(self, value: Any = None) -> Evidence:
        """As evidence; the value is the text unless a part of it is given."""
        shown = (self.why or self.text.strip()) if value is None else value
        return Evidence(value=shown, command=self.command, time=self.time)


class NamespaceLook:
    """Looks into one network namespace."""

    def __init__(self, namespace: str | None, wall: Callable[[], int]) -> None:
        """
        Args:
            namespace: Its name (`ip netns`), which takes root; None looks into the one this process is in.
            wall: Wall time [ns since 1970 UTC].
        """
        self._before = () if namespace is None else ("ip", "netns", "exec", namespace)
        self._wall = wall

    def run(self, *argv: str) -> Observation:
        """A command's output; errors that only say `not supported` are part of it."""
        words = (*self._before, *argv)
        command, time = shlex.join(words), stamp(self._wall())
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except FileNotFoundError:
            return Observation(text="", command=command, time=time, why=f"{words[0]} is not installed")
        except (OSError, subprocess.SubprocessError) as error:
            return Observation(text="", command=command, time=time, why=str(error))
        if done.returncode:
            error_text = " ".join(done.stderr.split()) or f"exit {done.returncode}"
            return Observation(text=done.stdout, command=command, time=time, why=error_text)
        return Observation(text=done.stdout, command=command, time=time)

    def file(self, path: str) -> Observation:
        """A file as that namespace has it (`/proc/sys/net`, `/proc/net`)."""
        if self._before:
            return self.run("cat", path)
        return self.plain(path.replace("/proc/net/", "/proc/thread-self/net/"))

    def plain(self, path: str) -> Observation:
        """A file that is the same in every namespace."""
        command, time = f"cat {shlex.quote(path)}", stamp(self._wall())
        try:
            return Observation(text=Path(path).read_text(errors="replace"), command=command, time=time)
        except OSError as error:
            return Observation(text="", command=command, time=time, why=error.strerror or str(error))
