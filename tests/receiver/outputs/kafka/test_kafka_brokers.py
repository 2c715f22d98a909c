"""Laws of messages in a topic: each once while brokers come and go, too long, missing, told; a real Kafka is killed."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka_peer import LIBS, MockKafka, RealKafka, make, read, touch
from shipping_fake import Key, keys

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.kafka.output import KafkaOutput
from receiver.outputs.kafka.settings import KafkaTable
from receiver.outputs.shipping.shipment import gather
from receiver.outputs.testing.feed import T0_NS, block, samples

KILLS, SOAK_KILLS = 5, 50


def output(folder: Path, brokers: list[str], topic: str, **given: Any) -> KafkaOutput:
    """An output to these brokers."""
    section = {"kind": "kafka", "name": "topic", "scope": "all", "brokers": brokers, "topic": topic}
    return KafkaOutput.build(KafkaTable.model_validate({**section, **given}), folder, wait=time.sleep)


def stepped(one: KafkaOutput, until: Callable[[], object], most_s: float = 90) -> None:
    """Step until something holds; waits of the output pass at once."""
    now, ends = one._now, time.monotonic() + most_s
    while not until():
        assert time.monotonic() < ends, one.status()
        now += max(one.step(now), 0.001)


def sent(one: KafkaOutput) -> bool:
    """Everything was acknowledged or set aside."""
    return not one.status()["behind_blocks"]


def wanted(given: list[OpenedBlock]) -> Counter[Key]:
    """What identifies every sample of these blocks."""
    return Counter(key for _, shipment in gather(given, T0_NS) for key in keys(shipment))


def held(brokers: list[str], topic: str) -> Counter[Key]:
    """What identifies every line of every message, those that stand there twice counted twice."""
    lines = [line for _, _, some in read(brokers, topic) for line in some]
    return Counter((bytes.fromhex(one["stream"]), one["number"], one["asset"], one["rank"]) for one in lines)


def test_messages_are_keyed_by_asset_and_stand_once_while_brokers_come_and_go(
    mock_kafka: MockKafka, tmp_path: Path
) -> None:
    """Brokers that are stopped under load: told, and no message is doubled by what is sent again."""
    touch(mock_kafka.brokers, "stopped")
    given: list[OpenedBlock] = []
    one = output(tmp_path, mock_kafka.brokers, "stopped")
    for at in range(2):
        stop = threading.Timer(0.05, mock_kafka.signal, [signal.SIGSTOP])
        stop.start()
        while stop.is_alive():
            given += (blocks := [samples(len(given) + number) for number in range(20)])
            one.take(blocks, b"%d" % at)
            one.step(one._now + 0.01)
        given.append(samples(len(given)))
        one.take(given[-1:], b"%d" % at)
        stepped(one, lambda: one.status()["trouble"])
        assert one.status()["next_step"]
        mock_kafka.signal(signal.SIGCONT)
        stepped(one, lambda: sent(one))
    one.close()
    assert held(mock_kafka.brokers, "stopped") == wanted(given)
    for key, _, lines in read(mock_kafka.brokers, "stopped"):
        assert {line["asset"] for line in lines} == {key}


def test_a_line_that_no_message_holds_is_set_aside(mock_kafka: MockKafka, tmp_path: Path) -> None:
    """Its neighbours arrive."""
    touch(mock_kafka.brokers, "long")
    asset = "\0" * 170_000  # six characters each in JSON
    of = StreamDescription(
        key=b"stream-9",
        boot=7,
        site="s",
        assets={"a": Asset(name="a")},
        tags={0: Tag(id=0, asset="a", name="t"), 1: Tag(id=1, asset="a", name=asset)},
    )
    rows = [Row(at == 5, T0_NS + at, 1.0) for at in range(11)]
    one = output(tmp_path, mock_kafka.brokers, "long")
    one.take([block(0, BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0), of=of)], b"1")
    stepped(one, lambda: sent(one))
    assert one.status()["warnings"] == ["1 samples set aside, refused as too large"]
    assert held(mock_kafka.brokers, "long").total() == 10
    one.close()


def test_a_topic_that_is_missing_is_held_and_never_made(mock_kafka: MockKafka, tmp_path: Path) -> None:
    """Told with what to type; once it is there, all arrives."""
    one = output(tmp_path, mock_kafka.brokers, "later")
    one.take([samples(0)], b"1")
    stepped(one, lambda: one.status()["state"] == "held")
    assert "kafka-topics.sh --create --topic later" in one.status()["next_step"]
    touch(mock_kafka.brokers, "later")
    stepped(one, lambda: sent(one))
    one.close()


def test_brokers_that_are_not_there_are_told(tmp_path: Path) -> None:
    """With what was tried, the next step, and after a minute an alarm."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        one = output(tmp_path, [f"127.0.0.1:{free.getsockname()[1]}"], "plant")
        one.take([samples(0)], b"1")
        stepped(one, lambda: one.status()["trouble"])
        status = one.status()
        assert "brokers" in status["next_step"]
        assert status["behind_blocks"] == 1
        one.close()


def test_a_password_is_in_no_status_and_what_weakens_is(tmp_path: Path) -> None:
    """TLS off towards another machine stands there for as long as it is so."""
    (tmp_path / "password").write_text("s3cret-word")
    given = {"user": "writer", "password_file": str(tmp_path / "password"), "tls": "off", "mechanism": "PLAIN"}
    one = output(tmp_path, ["192.0.2.1:9092"], "plant", **given)
    status = str(one.status())
    assert "TLS is off: samples and the password travel readable to 192.0.2.1" in status
    assert "s3cret" not in status
    one.close()


REAL = "" if LIBS and shutil.which("java") else "CHECKVALVE_KAFKA_LIBS names no jars of Kafka, or there is no java"


@pytest.mark.soak
@pytest.mark.skipif(bool(REAL), reason=REAL)
@pytest.mark.parametrize("kills", [KILLS, SOAK_KILLS])
@pytest.mark.timeout(3600)
def test_a_killed_broker_costs_no_message_and_doubles_none(kills: int, tmp_path: Path) -> None:
    """A real Kafka, SIGKILL under load, again and again: every message stands in the log once."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    server = RealKafka(tmp_path)
    try:
        make(server.brokers, "killed")
        given: list[OpenedBlock] = []
        one = output(tmp_path, server.brokers, "killed")
        for _ in range(kills):
            killer = threading.Timer(chance.uniform(0.02, 0.5), server.stop)
            killer.start()
            while killer.is_alive():
                given += (blocks := [samples(len(given) + at) for at in range(20)])
                one.take(blocks, b"%d" % len(given))
                one.step(one._now + 0.01)
            killer.join()
            given.append(samples(len(given)))
            one.take(given[-1:], b"%d" % len(given))
            stepped(one, lambda: one.status()["trouble"])
            server.start()
            stepped(one, lambda: sent(one))
        one.close()
        got = held(server.brokers, "killed")
        assert set(got) == set(wanted(given)), f"seed {seed}"
        assert set(got.values()) == {1}, f"seed {seed}: {sum(got.values()) - len(got)} doubled"
    finally:
        server.stop()
