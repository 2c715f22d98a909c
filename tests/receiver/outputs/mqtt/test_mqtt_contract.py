"""The mqtt output keeps every law of the contract, in both forms, against Debian's mosquitto."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt_peer import DurableReader, MosquittoBroker
from sparkplug_peer import StrictHost

from receiver.outputs.mqtt.output import MqttOutput
from receiver.outputs.mqtt.topics import name_of
from receiver.outputs.testing.contract import OutputContract
from receiver.outputs.testing.feed import Fact

NAMES = itertools.count()


class _OnMosquitto(OutputContract):
    """What both have: a broker, and a reader that is there for the length of a test."""

    output = MqttOutput
    wrong = {  # noqa: RUF012 - never changed
        "url": "mqtt://user:secret@127.0.0.1:1883",
        "payload": "xml",
        "client_id": "a\0b",
        "version": "4",
        "prefix": "plant/#",
        "retain": "often",
        "reader_wait": 5,
        "group": "STATE",
        "node": "a/b",
        "primary_host": "a+b",
        "user": 7,
        "password_file": 7,
        "ca_file": 7,
        "tls": "on",
        "keep": 5,
    }
    broker: MosquittoBroker
    reader: DurableReader
    name: str

    @pytest.fixture(autouse=True)
    def _served(self, broker: MosquittoBroker) -> None:
        self.broker = broker

    def topics(self) -> list[str]:
        """What the reader subscribes to."""
        raise NotImplementedError

    @contextmanager
    def destination(self) -> Iterator[None]:
        self.name = f"contract-{next(NAMES)}"
        self.reader = DurableReader(self.broker.port, self.topics(), f"reader-of-{self.name}", host=self.name)
        yield
        self.reader.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        self.broker.stop()
        yield
        self.broker.start()


class TestMqttJson(_OnMosquitto):
    """Messages of JSON, as one who reads them keeps them."""

    def topics(self) -> list[str]:
        return [f"{self.name}/#"]

    def settings(self) -> Mapping[str, Any]:
        return {"url": self.broker.url, "payload": "json", "prefix": self.name, "client_id": self.name}

    def held(self, state: Path) -> Counter[Fact]:
        kept = {}
        for topic, body, _ in [*self.reader.heard]:
            if topic.endswith("/state"):
                continue
            one = json.loads(body)
            kept[one["stream"], one["number"], one["asset"], one["rank"]] = one
        return Counter(Fact(one["asset"], one["tag"], one["time_ns"], one["value"]) for one in kept.values())


class TestMqttSparkplug(_OnMosquitto):
    """Metrics of an edge node, as a strict host has them."""

    def topics(self) -> list[str]:
        return [f"spBv1.0/{self.name}/#"]

    def settings(self) -> Mapping[str, Any]:
        return {"url": self.broker.url, "payload": "sparkplug", "group": self.name, "primary_host": self.name}

    def held(self, state: Path) -> Counter[Fact]:
        kept = {}
        for one in StrictHost().hear([*self.reader.heard]).samples:
            kept[one.device, one.told["sample"]] = one
        return Counter(
            Fact(name_of(one.device), name_of(one.metric.partition("@")[0]), one.told["time_ns"], one.value)
            for one in kept.values()
        )
