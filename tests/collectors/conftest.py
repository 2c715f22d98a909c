"""What the collectors' tests share: one OPC UA server a process, since it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from opcua_peer import UaPeer


@pytest.fixture(scope="session")
def peer() -> Iterator[UaPeer]:
    """A server that every test leaves as it found it."""
    from opcua_peer import UaPeer

    with UaPeer() as running:
        yield running
