"""One server for the folder: each test has a schema of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.sinks.postgres_server import ABSENT, PostgresServer, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A cluster of Debian's, with the role `writer`."""
    if ABSENT:
        pytest.skip(ABSENT)
    with running() as server:
        yield server
