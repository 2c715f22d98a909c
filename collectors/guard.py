"""Read only, below every library: a request that is on no allow list is not sent.

Each protocol's folder holds its own allow list in `guard.py` and a hook at the last place where its library still
holds a whole request, so that a mistake above (ours or the library's) cannot reach the device. Lists name what may
pass, never what may not: an unknown function, service or class is refused. The guard cannot be switched off by
configuration. What it refuses is counted, reported by one line, and raised.

    library  ->  hook: guard.refuse("modbus function 6")  ->  WriteRefused
                 hook: on the list                        ->  socket
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from protocol.errors import CheckvalveError


class WriteRefused(CheckvalveError):
    """A request that is on no allow list; no byte of it was sent. A bug in a collector, or somebody's attempt."""


class Guard:
    """One device's count of what was not let through.

    Args:
        device: Its name, put in front of each line.
        report: Called with one line for each refusal.
    """

    def __init__(self, device: str, report: Callable[[str], None]) -> None:
        self.device = device
        self.count = 0
        self._report = report

    def refuse(self, what: str) -> NoReturn:
        """Count, report and raise.

        Args:
            what: The request in the protocol's words, `modbus function 6`.

        Raises:
            WriteRefused: always.
        """
        self.count += 1
        line = f"{self.device}: {what} is not on the allow list and was not sent"
        self._report(line)
        raise WriteRefused(line)
