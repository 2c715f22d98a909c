"""What the collectors' tests share: one OPC UA server a process, and an ear on everything that the tests send."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from overheard import findings
from recorder import recording

if TYPE_CHECKING:
    from opcua_peer import UaPeer


@pytest.fixture(scope="session")
def peer() -> Iterator[UaPeer]:
    """A server that every test leaves as it found it."""
    from opcua_peer import UaPeer

    with UaPeer() as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_but_reads() -> Iterator[None]:
    """No request that a client of this process sends in a test here is anything but a read; the test is named."""
    with recording() as recorder:
        yield
    assert findings(recorder.streams, recorder.datagrams) == []


@pytest.fixture(autouse=True)
def _no_list_of_another_test() -> Iterator[None]:
    """A later test's controller may listen where an earlier one did, with another tag list."""
    yield
    driver = sys.modules.get("collectors.enip.driver")
    if driver is not None:
        driver.UPLOADED.clear()
