"""One server for the folder: each test has a stream of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nats_peer import ABSENT, NatsServer


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Debian's server, with JetStream."""
    if ABSENT:
        pytest.skip(ABSENT)
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    yield server
    server.stop()
