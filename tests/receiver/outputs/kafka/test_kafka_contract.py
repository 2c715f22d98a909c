"""The kafka output keeps every law of the contract, against librdkafka's false cluster."""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka_peer import MockKafka, read, touch

from receiver.outputs.kafka.output import KafkaOutput
from receiver.outputs.testing.contract import OutputContract
from receiver.outputs.testing.feed import Fact

TOPICS = itertools.count()


class TestKafka(OutputContract):
    """Messages of a topic, as one who reads them keeps them."""

    output = KafkaOutput
    wrong = {  # noqa: RUF012 - never changed
        "brokers": ["kafka://user:secret@127.0.0.1:9092"],
        "topic": "no topic",
        "mechanism": "MD5",
        "user": 7,
        "password_file": 7,
        "ca_file": 7,
        "tls": "on",
        "keep": 5,
    }
    server: MockKafka
    topic: str

    @pytest.fixture(autouse=True)
    def _served(self, mock_kafka: MockKafka) -> None:
        self.server = mock_kafka

    def settings(self) -> Mapping[str, Any]:
        return {"brokers": self.server.brokers, "topic": self.topic}

    @contextmanager
    def destination(self) -> Iterator[None]:
        self.topic = f"contract-{next(TOPICS)}"
        touch(self.server.brokers, self.topic)
        yield

    @contextmanager
    def away(self) -> Iterator[None]:
        self.server.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.server.signal(signal.SIGCONT)

    def held(self, state: Path) -> Counter[Fact]:
        kept = {}
        for _, _, lines in read(self.server.brokers, self.topic):
            for one in lines:
                kept[one["stream"], one["number"], one["asset"], one["rank"]] = one
        return Counter(Fact(one["asset"], one["tag"], one["time_ns"], one["value"]) for one in kept.values())
