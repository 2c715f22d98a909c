"""The brokers at the other end: an idempotent producer, each message acknowledged by all replicas (the only I/O here).

librdkafka sends what it was given again and again by itself, and a broker knows a message of the same producer again.
So a shipment that is not answered yet stays with it: when the same one is to be sent once more, it is waited for and
not given a second time. Brokers may be killed in between; each message stands in the log once, in its order. A producer
that is begun anew (our own start, or an error that it cannot mend) has another name, and what it sends twice stands
there twice, with the same id and lines.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from receiver.outputs.shipping.messages import messages
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer, cleaned
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.shipment import Shipment

ANSWER_S = 5.0
"""Longest wait for the answers to a shipment, until it is told that there are none yet [s]."""
LOOK_S = 5.0
"""Longest wait for what the brokers say of their topics [s]."""
MESSAGE_BYTES = 1_000_000
"""Largest message that the client takes, key and headers with it [bytes]; brokers take 1,048,588 by themselves."""
OVERHEAD = 512
"""Most bytes of a record besides its key, header and value."""
IDEMPOTENT: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "message.max.bytes": MESSAGE_BYTES,
    "message.timeout.ms": 0,  # for ever: giving up and sending again is what makes doubles
    "compression.type": "lz4",
    "linger.ms": 5,
    "queue.buffering.max.kbytes": 256 * 1024,
    "reconnect.backoff.max.ms": 2000,
    "log_level": 0,
}
"""Of the producer; others of librdkafka's own defaults hold."""

_HELD = {
    KafkaError._AUTHENTICATION: "mend user, password_file or mechanism",
    KafkaError.SASL_AUTHENTICATION_FAILED: "mend user, password_file or mechanism",
    KafkaError._SSL: "mend tls or ca_file, or the brokers' certificates",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "let this user write and describe the topic",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "let this user write (IdempotentWrite, before Kafka 2.8)",
}
_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)
_REFUSED = (
    KafkaError.INVALID_RECORD,
    KafkaError.POLICY_VIOLATION,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_TIMESTAMP,
)
_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)


class KafkaCourier(ServerCourier):
    """One topic."""

    def __init__(self, client: Mapping[str, str | int | bool], topic: str) -> None:
        """
        Args:
            client: What librdkafka is told of the brokers, with the password.
            topic: Its name.
        """
        self._client, self._topic = client, topic
        self._secret = str(client.get("sasl.password", ""))
        self._producer: Producer | None = None
        self._under_way: Shipment | None = None
        self._left = 0
        """Messages of it without an answer."""
        self._errors: list[KafkaError] = []
        self._said: KafkaError | None = None
        """What the client said last of its brokers."""
        self._notices: tuple[str, ...] = ()

    def send(self, shipment: Shipment) -> ServerAnswer:
        """Give all of its messages to the producer, or wait for those that it has."""
        if self._under_way not in (None, shipment):
            self.close()  # what it still has is sent again in other pieces
        anew = self._producer is None
        try:
            producer = self._producer
            if producer is None:
                producer = Producer({**self._client, **IDEMPOTENT, "error_cb": self._error})
                unfit = self._look(producer)
                if unfit is not None:
                    return unfit
                self._producer = producer
            if self._under_way is None:
                large = self._give(producer, shipment)
                if large is not None:
                    return large
            return self._answer(producer, anew)
        except KafkaException as error:
            self.close()
            return self._judged(self._said or error.args[0])

    def close(self) -> None:
        """Leave the brokers; what had no answer is not waited for."""
        producer, self._producer, self._under_way = self._producer, None, None
        if producer is not None:
            producer.purge()
            producer.flush(0)
            self._left = 0

    def notices(self) -> Sequence[str]:
        """What the topic's own settings can lose."""
        return self._notices

    def _look(self, producer: Producer) -> ServerAnswer | None:
        """Look at the topic, which asking for it by name would make; why nothing can be sent, where nothing can."""
        self._said = None
        found = producer.list_topics(timeout=LOOK_S).topics.get(self._topic)
        if found is None:
            step = (
                f"kafka-topics.sh --create --topic {self._topic} --replication-factor 3 --config min.insync.replicas=2"
            )
            return ServerAnswer(Ruling.HOLD, f"there is no topic {self._topic}", step)
        fewest = min((len(one.replicas) for one in found.partitions.values()), default=0)
        lost = "the topic has one replica: a power cut of its broker can lose what it acknowledged"
        self._notices = (lost,) if fewest == 1 else ()
        return None

    def _give(self, producer: Producer, shipment: Shipment) -> ServerAnswer | None:
        """All messages into the producer's queue; None but where one is too large, and then none is in it."""
        whole = list(messages(shipment, MESSAGE_BYTES))
        for one in whole:
            size = len(one.body) + len(one.id) + len(one.asset.encode(errors="replace")) + OVERHEAD
            if size > MESSAGE_BYTES:
                return ServerAnswer(
                    Ruling.LARGE, f"a message of {size} bytes, {MESSAGE_BYTES} fit", refusal="too large"
                )
        self._errors.clear()
        self._under_way, self._left = shipment, len(whole)
        for one in whole:
            while True:
                try:
                    producer.produce(
                        self._topic,
                        one.body,
                        key=one.asset.encode(errors="replace"),
                        headers={"id": one.id.encode()},
                        on_delivery=self._delivered,
                    )
                    break
                except BufferError:  # its queue is full
                    producer.poll(0.1)
        return None

    def _answer(self, producer: Producer, anew: bool) -> ServerAnswer:
        ends = time.monotonic() + ANSWER_S
        while self._left and time.monotonic() < ends:
            producer.poll(0.1)
            if self._said is not None and (self._said.code() in _HELD or self._said.fatal()):
                break
        if not self._left:
            self._under_way = None
            if not self._errors:
                self._said = None
                return ServerAnswer(Ruling.TAKEN, anew=anew)
            return self._judged(max(self._errors, key=lambda one: (one.code() in _HELD, one.code() in _LARGE)))
        if self._said is not None:
            return self._judged(self._said)
        return ServerAnswer(Ruling.AGAIN, "no answer yet", "start the brokers, or look why they have too few replicas")

    def _judged(self, error: KafkaError) -> ServerAnswer:
        words, code = cleaned(error.str(), self._secret), error.code()
        if error.fatal():
            self.close()
            return ServerAnswer(Ruling.AGAIN, words)
        if code in _HELD:
            return ServerAnswer(Ruling.HOLD, words, _HELD[code])
        if code in _GONE:
            self.close()
            return ServerAnswer(Ruling.HOLD, words, "make the topic again, or name the right one")
        if code in _LARGE:
            return ServerAnswer(Ruling.LARGE, words, refusal=error.name())
        if code in _REFUSED:
            return ServerAnswer(Ruling.REFUSED, words, refusal=error.name())
        return ServerAnswer(Ruling.AGAIN, words, "start the brokers, or name the right ones in brokers")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self._left -= 1
        if error is not None:
            self._errors.append(error)

    def _error(self, error: KafkaError) -> None:
        self._said = error
