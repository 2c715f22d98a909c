"""One false cluster for the folder: each test has a topic of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka_peer import MockKafka

from receiver.outputs.kafka import kafka_courier


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers of this machine answer at once, or not at all."""
    monkeypatch.setattr(kafka_courier, "ANSWER_S", 1.0)
    monkeypatch.setattr(kafka_courier, "LOOK_S", 1.5)


@pytest.fixture(scope="session")
def mock_kafka() -> Iterator[MockKafka]:
    """librdkafka's three false brokers."""
    brokers = MockKafka()
    yield brokers
    brokers.close()
