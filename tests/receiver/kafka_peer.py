"""Brokers for tests: librdkafka's own false cluster in a process of its own, and a real Kafka where its jars are.

The false one keeps what it is given in memory and speaks the protocol of Kafka; it can be stopped and go on (SIGSTOP).
The real one is killed by SIGKILL and started again on its files.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

MOCK = """
import sys, time
from confluent_kafka import Producer
host = Producer({"test.mock.num.brokers": 3, "log_level": 0})
print(",".join(f"{one.host}:{one.port}" for one in host.list_topics(timeout=10).brokers.values()), flush=True)
sys.stdin.read()
"""
LIBS = os.environ.get("CHECKVALVE_KAFKA_LIBS", "")
"""A folder with the jars of org.apache.kafka:kafka_2.13 and what it needs (`mvn dependency:copy-dependencies`)."""


class MockKafka:
    """librdkafka's false cluster of three brokers."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", MOCK]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.brokers = self._process.stdout.readline().strip().split(",")

    def signal(self, which: signal.Signals) -> None:
        """SIGSTOP, SIGCONT."""
        self._process.send_signal(which)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class RealKafka:
    """One broker and controller (KRaft) of the jars in LIBS."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = []
        for _ in range(2):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                ports.append(free.getsockname()[1])
        self.brokers = [f"127.0.0.1:{ports[0]}"]
        self._properties = folder / "server.properties"
        told = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{ports[1]}",
            "listeners": f"PLAINTEXT://127.0.0.1:{ports[0]},CONTROLLER://127.0.0.1:{ports[1]}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{ports[0]}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": folder / "logs",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
        }
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in told.items()))
        given = ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(self._properties)]
        subprocess.run([*self._java("kafka.tools.StorageTool"), *given], check=True, capture_output=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [*self._java("kafka.Kafka"), str(self._properties)]
        with (self._folder / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        admin = AdminClient({"bootstrap.servers": self.brokers[0], "log_level": 0})
        ends = time.monotonic() + 90
        while True:
            try:
                admin.list_topics(timeout=1)
                return
            except KafkaException:
                assert time.monotonic() < ends, (self._folder / "kafka.log").read_text()[-2000:]

    def stop(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def _java(self, name: str) -> list[str]:
        return ["java", "-Xmx512m", "-cp", f"{LIBS}/*", name]


def make(brokers: list[str], topic: str, **config: str) -> None:
    """Make a topic of two partitions."""
    admin = AdminClient({"bootstrap.servers": ",".join(brokers), "log_level": 0})
    made = admin.create_topics([NewTopic(topic, 2, 1, config=config)])
    for one in made.values():
        one.result(20)


def touch(brokers: list[str], topic: str) -> None:
    """Have the false cluster make a topic: it makes one that is asked for."""
    AdminClient({"bootstrap.servers": ",".join(brokers), "log_level": 0}).list_topics(topic, timeout=10)


def read(brokers: list[str], topic: str) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Every message of a topic: key, id, lines."""
    told = {"bootstrap.servers": ",".join(brokers), "group.id": "test", "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer({**told, "fetch.wait.max.ms": 10, "isolation.level": "read_uncommitted"})
    out = []
    try:
        found = consumer.list_topics(timeout=10).topics.get(topic)
        for at in sorted(found.partitions) if found else ():
            first, last = consumer.get_watermark_offsets(TopicPartition(topic, at), timeout=10)
            if last > first:
                consumer.assign([TopicPartition(topic, at, first)])
                reached = first
                while reached < last:
                    one = consumer.poll(10)
                    assert one is not None, "a message did not come"
                    assert one.error() is None, one.error()
                    reached = one.offset() + 1
                    lines = [json.loads(line) for line in one.value().split(b"\n")]
                    out.append((one.key().decode(), dict(one.headers())["id"].decode(), lines))
    finally:
        consumer.close()
    return out
