"""What the output needs of a server: `InfluxServer`, or a false one in a test."""

from __future__ import annotations

from typing import Protocol

from receiver.outputs.influx.answer import WriteAnswer
from receiver.outputs.influx.server_metrics import ServerMetrics


class Endpoint(Protocol):
    """What is needed of a server; `InfluxServer` is the real one."""

    path: str
    """Where lines are written to."""
    unreachable: bool
    """Its counters could not be asked, as the connection failed."""

    def write(self, lines: bytes) -> WriteAnswer:
        """Send lines once."""

    def metrics(self) -> ServerMetrics | None:
        """Its own counters; None where it cannot be asked now."""

    def close(self) -> None:
        """Let go of it."""
