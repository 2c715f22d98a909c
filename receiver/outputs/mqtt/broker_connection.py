"""The connection to one broker, one after another: the only I/O of this output, on top of paho-mqtt.

paho's own thread reads, answers pings and calls back; its reconnecting is off: what fails is known here, and the next
shipment connects anew. paho 2.2 knows nothing of the broker's `receive maximum`: more messages without an answer than
that, and a broker may end the connection; so they are counted here. No session is kept at the broker (clean start).

Time limits: 3 s to connect, 10 s without any answer is a connection that fails, 14 s for all of one shipment.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from receiver.outputs.mqtt.broker_answer import (
    NO_READER,
    NOT_ALLOWED,
    REFUSED_FROM,
    WRONG_PASSWORD,
    BrokerError,
    answer_of,
)
from receiver.outputs.mqtt.settings import MqttTable
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer, cleaned

CONNECT_S = 3.0
ANSWER_S = 10.0
"""Longest wait for any answer [s]."""
SEND_S = 14.0
"""Longest time for one shipment [s]."""
CLOSE_S = 1.0
"""Longest wait for the end of a connection that is closed in order [s]."""
KEEPALIVE_S = 20
"""The broker tells our will after one and a half of this without a word of ours [s]."""
AT_ONCE = 500
"""Most messages without an answer; fewer where the broker says so (mosquitto: 20)."""
INCOMING_BYTES = 64 * 1024
"""Largest packet that a broker may send us, where it speaks MQTT 5 [bytes]."""
PACKET_BYTES = 268_435_455
"""Largest packet that there is [bytes] (MQTT 5.0, 2.1.4)."""
HEADER_BYTES = 16
"""Most of a PUBLISH besides topic and body [bytes]."""


@dataclass(frozen=True, slots=True)
class BrokerMessage:
    """One PUBLISH."""

    topic: str
    body: bytes
    qos: int = 1
    retain: bool = False


class ClosedSocket(ssl.SSLSocket):
    """One that is closed where the other end's certificate is not taken; paho leaves that to chance."""

    def do_handshake(self, block: bool = False) -> None:
        """As it is, but for that."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class BrokerConnection:
    """To one broker. All but `connected` and `publish` of QoS 0 are called by one thread."""

    def __init__(self, table: MqttTable, secret: str, *, hear: Callable[[MQTTMessage], None]) -> None:
        """
        Args:
            table: The settings.
            secret: Password; empty where none is asked for.
            hear: Called by paho's thread for each message of a topic that was subscribed to.
        """
        self._table, self._secret, self._hear = table, secret, hear
        self._client: Client | None = None
        self._changed = threading.Condition()
        """Guards all below; notified by paho's thread."""
        self._acknowledged: dict[int, int] = {}
        """Reason code by packet id, of what was answered and not looked at."""
        self._unanswered: set[int] = set()
        """Packet ids of messages on their way, also of a shipment that was given up."""
        self._subscribed: dict[int, Sequence[int]] = {}
        self._begun: ServerAnswer | None = None
        """TAKEN once the broker has accepted the connection, else its refusal."""
        self._ended: ServerAnswer | None = None
        """Why the connection is gone."""
        self._at_once = AT_ONCE
        self.most_bytes = PACKET_BYTES
        """Largest topic and body together that the broker takes [bytes]."""

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as is known."""
        with self._changed:
            return self._begun is not None and self._begun.ruling is Ruling.TAKEN and self._ended is None

    def must_be_mended(self) -> None:
        """Raises BrokerError, once, where the broker ended the connection for what a person mends."""
        with self._changed:
            ended, self._ended = self._ended, self._ended and replace(self._ended, ruling=Ruling.AGAIN)
        if ended is not None and ended.ruling is Ruling.HOLD:
            raise BrokerError(ended)

    def open(self, will: BrokerMessage, topics: Sequence[str] = ()) -> None:
        """Connect anew, and subscribe.

        Raises:
            BrokerError: it did not come to that.
        """
        self.close()
        self._begun = self._ended = None
        self._acknowledged, self._subscribed, self._unanswered = {}, {}, set()
        client = self._client = self._made(will)
        host, port = self._table.address()
        first: dict[str, Any] = {}
        if self._table.version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = INCOMING_BYTES
            first = {"clean_start": True, "properties": properties}
        try:
            client.connect(host, port, KEEPALIVE_S, **first)
            client.loop_start()
            begun = self._await(lambda: self._begun, time.monotonic() + CONNECT_S)
        except (OSError, ValueError) as error:  # also ssl.SSLError
            raise self._failed(error) from error
        except BrokerError:
            self.close()
            raise
        if begun.ruling is not Ruling.TAKEN:
            self.close()
            raise BrokerError(begun)
        if topics:
            self.subscribe(topics)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe, also once more: the answer says that the broker has read all that was published before.

        Raises:
            BrokerError: it is refused, or no answer came; the connection is closed then.
        """
        client = self._client
        assert client is not None, "opened before"
        _, mid = client.subscribe([(one, 1) for one in topics])
        if mid is None:
            raise self._lost()
        codes = self._await(lambda: self._subscribed.pop(mid, None), time.monotonic() + ANSWER_S)
        with self._changed:
            self._acknowledged.clear()  # those of QoS 0, which mean nothing
        for code in codes:
            if code >= REFUSED_FROM:
                raise BrokerError(answer_of(code, f"a subscription is refused: 0x{code:02x}"))

    def publish(self, one: BrokerMessage) -> int:
        """Publish, and return its packet id; waits for nothing, and may be called by any thread."""
        client = self._client
        return 0 if client is None else client.publish(one.topic, one.body, one.qos, one.retain).mid

    def publish_all(self, some: Sequence[BrokerMessage]) -> int:
        """Publish messages of QoS 1 in their order, and wait for the answer to each.

        Returns:
            How many of them nobody subscribes to (MQTT 5).

        Raises:
            BrokerError: one was refused, they took too long, or the connection is gone.
        """
        ends = time.monotonic() + SEND_S
        for one in some:
            self.must_fit(one)
        own: set[int] = set()
        unheard = 0
        for one in some:
            unheard += self._looked_at(own, self._at_once - 1, ends)
            mid = self.publish(one)
            own.add(mid)
            self._unanswered.add(mid)
        return unheard + self._looked_at(own, 0, ends)

    def must_fit(self, one: BrokerMessage) -> None:
        """Raises BrokerError where a message is larger than the broker or MQTT takes."""
        size = len(one.topic.encode())
        if size > 65_535 or size + len(one.body) + HEADER_BYTES > self.most_bytes:
            words = f"a message of {size + len(one.body)} bytes, the broker takes {self.most_bytes - HEADER_BYTES}"
            raise BrokerError(ServerAnswer(Ruling.LARGE, words, refusal="too large"))

    def close(self, last: Sequence[BrokerMessage] = ()) -> None:
        """Say what is to be said last, and leave; may be called twice."""
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            if self.connected:
                for one in last:
                    client.publish(one.topic, one.body, one.qos, one.retain)
                client.disconnect()
                with self._changed:
                    self._changed.wait_for(lambda: self._ended is not None, CLOSE_S)
        held = client.socket()
        if held is not None:  # it does not go by itself
            with contextlib.suppress(OSError):
                held.close()
        client.loop_stop()

    # -- inside

    def _made(self, will: BrokerMessage) -> Client:
        table = self._table
        version = MQTTProtocolVersion.MQTTv5 if table.version == "5" else MQTTProtocolVersion.MQTTv311
        first: dict[str, Any] = {} if table.version == "5" else {"clean_session": True}
        client = Client(
            CallbackAPIVersion.VERSION2, table.client(), protocol=version, reconnect_on_failure=False, **first
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(65_535)  # the bound is ours
        if table.user:
            client.username_pw_set(table.user, self._secret or None)
        protection = table.protection()
        if protection != "off":
            ca_file = None if table.ca_file is None else str(table.ca_file)
            try:
                context = ssl.create_default_context(cafile=ca_file)
            except (OSError, ValueError) as error:
                step = "name a file of certificates in PEM"
                raise BrokerError(ServerAnswer(Ruling.HOLD, f"ca_file: {cleaned(error)}", step)) from error
            context.sslsocket_class = ClosedSocket
            if protection == "unverified":
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.tls_set_context(context)
        client.will_set(will.topic, will.body, will.qos, will.retain)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_subscribe = self._on_publish, self._on_subscribe
        client.on_message = self._on_message
        return client

    def _looked_at(self, own: set[int], most: int, ends: float) -> int:
        """Wait until at most so many messages are not answered; returns how many of these nobody subscribes to."""
        unheard = 0
        while True:
            with self._changed:
                come, self._acknowledged = self._acknowledged, {}
            self._unanswered -= come.keys()
            for mid in own & come.keys():
                unheard += come[mid] == NO_READER
                if come[mid] >= REFUSED_FROM:
                    raise BrokerError(answer_of(come[mid], f"the broker refuses a message: 0x{come[mid]:02x}"))
            if len(self._unanswered) <= most:
                return unheard
            if time.monotonic() >= ends:
                words = f"{len(self._unanswered)} messages without an answer after {SEND_S:.0f} s"
                raise BrokerError(ServerAnswer(Ruling.SLOW, words, "look why the broker is slow"))
            self._await(lambda: self._acknowledged or None, ends)

    def _await(self, come: Callable[[], Any], ends: float) -> Any:
        """What comes by paho's thread; raises BrokerError where the connection is gone, or nothing comes at all."""
        with self._changed:
            patience = min(time.monotonic() + ANSWER_S, ends)
            while (found := come()) is None:
                if self._ended is not None:
                    raise self._lost()
                left = patience - time.monotonic()
                if left <= 0:
                    self._ended = ServerAnswer(Ruling.SLOW, "the broker does not answer", "look why it is slow")
                    raise self._lost()
                self._changed.wait(left)
            return found

    def _lost(self) -> BrokerError:
        words = "the connection is gone"
        return BrokerError(self._ended or ServerAnswer(Ruling.AGAIN, words, "start the broker"))

    def _failed(self, error: Exception) -> BrokerError:
        self.close()
        words = cleaned(f"{type(error).__name__}: {error}", self._secret)
        if isinstance(error, ssl.SSLCertVerificationError):
            step = "name the authority's certificates in ca_file, or the name that the certificate has in url"
            return BrokerError(ServerAnswer(Ruling.HOLD, words, step))
        if isinstance(error, ssl.SSLError):
            step = "give the port on which the broker speaks TLS in url"
            return BrokerError(ServerAnswer(Ruling.HOLD, words, step))
        return BrokerError(ServerAnswer(Ruling.AGAIN, words, "start the broker, or name the right one in url"))

    # -- called by paho's thread

    def _on_connect(
        self, client: Client, data: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        with self._changed:
            if reason.value >= REFUSED_FROM:
                code = WRONG_PASSWORD if reason.value == NOT_ALLOWED else reason.value  # as mosquitto means it here
                self._begun = answer_of(code, cleaned(f"the broker refuses the connection: {reason}"))
            else:
                self._at_once = min(getattr(properties, "ReceiveMaximum", AT_ONCE), AT_ONCE)
                self.most_bytes = getattr(properties, "MaximumPacketSize", PACKET_BYTES)
                self._begun = ServerAnswer(Ruling.TAKEN)
                if getattr(properties, "MaximumQoS", 2) < 1:
                    self._begun = answer_of(0x9B, "the broker gives no answers to messages")
                elif self._table.retain and not getattr(properties, "RetainAvailable", 1):
                    self._begun = answer_of(0x9A, "the broker keeps no messages")
            self._changed.notify_all()

    def _on_disconnect(
        self, client: Client, data: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        with self._changed:
            words = cleaned(f"the connection is gone: {reason}", self._secret)
            told = flags.is_disconnect_packet_from_server and reason.value >= REFUSED_FROM
            step = "nothing, where the broker comes back; it is tried again by itself"
            self._ended = answer_of(reason.value, words) if told else ServerAnswer(Ruling.AGAIN, words, step)
            self._changed.notify_all()

    def _on_publish(
        self, client: Client, data: Any, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        with self._changed:
            self._acknowledged[mid] = reason.value
            self._changed.notify_all()

    def _on_subscribe(
        self, client: Client, data: Any, mid: int, reasons: Sequence[ReasonCode], properties: Properties | None
    ) -> None:
        with self._changed:
            self._subscribed[mid] = [one.value for one in reasons]
            self._changed.notify_all()

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        self._hear(message)
