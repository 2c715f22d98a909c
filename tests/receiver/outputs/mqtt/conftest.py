"""One broker for the folder: each test has topics of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mqtt_peer import ABSENT, MosquittoBroker


@pytest.fixture(scope="session")
def broker() -> Iterator[MosquittoBroker]:
    """Debian's mosquitto."""
    if ABSENT:
        pytest.skip(ABSENT)
    one = MosquittoBroker()
    yield one
    one.close()


@pytest.fixture
def another_broker() -> Iterator[Callable[..., MosquittoBroker]]:
    """Brokers of one test, with a configuration of their own."""
    if ABSENT:
        pytest.skip(ABSENT)
    made: list[MosquittoBroker] = []

    def make(*lines: str, **given: Any) -> MosquittoBroker:
        made.append(MosquittoBroker(*lines, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()
