"""The form `payload = "sparkplug"`: births, data and death of an edge node, and the one command that it obeys.

Sparkplug sends data with QoS 0: no message has an answer. So behind those of a shipment the node subscribes to its own
commands once more: a broker reads a connection in order, and its answer says that it has read them all. That is worth
as much as the answer of QoS 1, which says no more.

Nothing tells whether a host listens. Where a primary host is named, nothing is sent while it is not online, and what
was sent before it left is sent again. Else a rebirth that is asked for says that a host has missed something: what is
held is sent again, a minute after the time before at the earliest.

The broker is on the low side's network and may say what it likes to us. Subscribed to are the node's commands, and the
state of the primary host where one is named. Of commands a rebirth is obeyed, ten seconds after the one before at the
earliest; all else (writes to tags first of all: there is no way back to a device) is ignored and counted, in the status
and in a metric of the node.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from paho.mqtt.client import MQTTMessage

from protocol.store import statefile
from receiver.outputs.mqtt.broker_answer import BrokerError
from receiver.outputs.mqtt.broker_connection import BrokerMessage
from receiver.outputs.mqtt.live_rows import LiveRows
from receiver.outputs.mqtt.mqtt_courier import MqttCourier
from receiver.outputs.mqtt.settings import MqttTable
from receiver.outputs.mqtt.sparkplug_node import NAMESPACE, LargeError, NodeMessage, SparkplugNode
from receiver.outputs.mqtt.sparkplug_wire import commands
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer
from receiver.outputs.shipping.shipment import Shipment

REBIRTH_S = 10.0
"""Least time between two births that were asked for [s]."""
RESEND_S = 60.0
"""Least time between two births that were asked for behind which all that is held is sent again [s]."""
HOST_S = 3.0
"""Longest wait for the state of the primary host behind a connection [s]."""
STATE_BYTES = 1000
"""Longest state of a host that is read [bytes]; it has two keys."""


class SparkplugCourier(MqttCourier):
    """One broker, as an edge node of it."""

    def __init__(
        self, table: MqttTable, secret: str, birth_file: Path, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        """
        Args:
            table: The settings.
            secret: Password; empty where none is asked for.
            birth_file: Where the number of the last connection (`bdSeq`) is kept.
            clock: Wall time [ns since 1970 UTC].
        """
        super().__init__(table, secret)
        self._clock, self._birth_file = clock, birth_file
        self._rows = LiveRows()
        self._said: list[str] = []
        held = statefile.load(birth_file, lambda told: int(told["birth"]), self._said.append, wall_ns=clock())
        self._birth = -1 if held is None else held
        self._node = SparkplugNode(table.group, table.node, 0)
        self._host_topic = "" if table.primary_host is None else f"{NAMESPACE}/STATE/{table.primary_host}"
        self._changed = threading.Condition()
        """Guards the node, so that messages go out in their sequence, and all below; paho's thread takes it too."""
        self._born = False
        """A birth went over this connection."""
        self._born_at = float("-inf")
        """When, monotonic [s]."""
        self._resent_at = float("-inf")
        """When a birth that was asked for made all that is held come again, monotonic [s]."""
        self._told_at = float("-inf")
        """When it was last told how many commands were ignored, monotonic [s]."""
        self._rebirth_wanted = False
        self._rebirths = 0
        self._host_online = False
        self._host_left = False
        """It was not online at some time of this connection: what was sent then, it did not get."""
        self._host_ms = 0
        """Time of its last word, by its own clock [ms since 1970 UTC]."""

    def close(self) -> None:
        """Die in order, and go."""
        self._connection.close([_message(self._node.death(self._now_ms()), qos=1)] if self._born else [])
        self._born = False

    def notices(self) -> Sequence[str]:
        """What was ignored."""
        ignored, out = self._node.ignored, [*self._said]
        if not self._host_topic:
            out.append("no primary_host: what is sent while no host listens is lost, unless it asks for a rebirth")
        if ignored:
            out.append(f"{ignored} commands from the broker were ignored: nothing goes to a device from here")
        return out

    def counts(self) -> Mapping[str, int]:
        """Births that were asked for, and commands that were not obeyed."""
        return {"rebirths": self._rebirths, "commands_ignored": self._node.ignored}

    def _greet(self) -> None:
        with self._changed:
            self._born = self._host_online = self._host_left = False
            self._host_ms = 0
        self._birth = (self._birth + 1) % 256
        with contextlib.suppress(OSError):  # a full disk is told by the store; it tells connections apart, no more
            statefile.write(self._birth_file, statefile.pack({"birth": self._birth}))
        will = _message(self._node.connect(self._birth, self._now_ms()), qos=1)
        self._connection.open(will, self._topics())
        if self._host_topic:
            with self._changed:
                self._changed.wait_for(lambda: self._host_online, HOST_S)
            self._must_have_host()
        with self._changed:
            self._bear()

    def _sent(self, shipment: Shipment) -> ServerAnswer:
        self._must_have_host()
        split = self._rows.split(shipment, self._clock())
        with self._changed:
            if self._rebirth_wanted and time.monotonic() - self._born_at >= REBIRTH_S:
                self._bear(asked=True)
            try:
                made = self._node.data(shipment, split, self._now_ms(), self._connection.most_bytes)
            except LargeError as error:
                return ServerAnswer(Ruling.LARGE, str(error), refusal="too large")
            for one in made:
                self._connection.publish(_message(one))
            before = self._rebirths
        self._connection.subscribe(self._topics()[:1])
        self._must_have_host()  # what the broker had to say before its answer was heard before it
        if self._rebirths != before:  # behind these samples: a host that asks for a birth has not taken them in
            return ServerAnswer(Ruling.AGAIN, "a host asked for a rebirth meanwhile", "nothing; it is sent again")
        self._rows.took(split)
        return ServerAnswer(Ruling.TAKEN)

    def _looked_after(self) -> ServerAnswer:
        self._must_have_host()
        with self._changed:
            if self._rebirth_wanted and time.monotonic() - self._born_at >= REBIRTH_S:
                self._bear(asked=True)
        return ServerAnswer(Ruling.TAKEN)

    def _must_have_host(self) -> None:
        """Raises BrokerError where the primary host is not there; the node dies then, as the specification says."""
        if not self._host_topic or (self._host_online and not self._host_left):
            return
        words = f"the primary host {self._table.primary_host} is not online ({self._host_topic})"
        self.close()
        self._since = float("-inf")  # it was not the broker who ended it
        raise BrokerError(ServerAnswer(Ruling.AGAIN, words, "start the host application; its state is waited for"))

    def _topics(self) -> list[str]:
        return [self._node.commands, *([self._host_topic] if self._host_topic else [])]

    def _bear(self, *, asked: bool = False) -> None:
        """Publish all births; under the lock."""
        for one in self._node.births(self._now_ms()):
            self._connection.publish(_message(one))
        self._born, self._born_at = True, time.monotonic()
        if asked:
            self._rebirth_wanted = False
            self._rebirths += 1
            if self._born_at - self._resent_at >= RESEND_S:
                self._anew, self._resent_at = True, self._born_at

    def _now_ms(self) -> int:
        return self._clock() // 10**6

    # -- called by paho's thread

    def _heard(self, message: MQTTMessage) -> None:
        if message.topic == self._host_topic:
            self._host_said(bytes(message.payload))
        elif message.topic == self._node.commands:
            wanted, others = (False, 1) if message.retain else commands(bytes(message.payload))
            with self._changed:
                self._node.ignored += others
                if not self._born:
                    return
                self._rebirth_wanted |= wanted
                if self._rebirth_wanted and time.monotonic() - self._born_at >= REBIRTH_S:
                    self._bear(asked=True)
                elif others and time.monotonic() - self._told_at >= REBIRTH_S:
                    self._told_at = time.monotonic()
                    self._connection.publish(_message(self._node.news(self._now_ms())))

    def _host_said(self, payload: bytes) -> None:
        """Take in a host's state; what is none, or is older than what is known, changes nothing."""
        told = _state(payload)
        if told is None:
            return
        online, time_ms = told
        with self._changed:
            if time_ms >= self._host_ms:
                self._host_left |= self._host_online and not online
                self._host_online, self._host_ms = online, time_ms
                self._changed.notify_all()


def _state(payload: bytes) -> tuple[bool, int] | None:
    """Whether a host is online, and when it said so; None for what is no state (specification, 6.4.26)."""
    if len(payload) > STATE_BYTES:
        return None
    try:
        told: Any = json.loads(payload)
        online, time_ms = told["online"], told["timestamp"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (online, time_ms) if type(online) is bool and type(time_ms) is int else None


def _message(one: NodeMessage, qos: int = 0) -> BrokerMessage:
    return BrokerMessage(one.topic, one.body, qos)
