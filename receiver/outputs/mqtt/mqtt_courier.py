"""What both forms of messages have in common: a connection that ends is made anew at once, and told that it was."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace

from paho.mqtt.client import MQTTMessage

from receiver.outputs.mqtt.broker_answer import BrokerError
from receiver.outputs.mqtt.broker_connection import BrokerConnection
from receiver.outputs.mqtt.settings import MqttTable
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.shipment import Shipment

SHORT_S = 60.0
SHORTS = 3
"""Connections in a row that last for less than SHORT_S [s], after which the next one waits."""


class MqttCourier(ServerCourier):
    """One broker; who reads there is told by our will whether we are there, so the connection is looked after."""

    watches = True

    def __init__(self, table: MqttTable, secret: str) -> None:
        """
        Args:
            table: The settings.
            secret: Password; empty where none is asked for.
        """
        self._table = table
        self._connection = BrokerConnection(table, secret, hear=self._heard)
        self._anew = False
        """What is held is to be sent again: nothing was answered over this connection yet."""
        self._since = float("-inf")
        """When it was made, monotonic [s]."""
        self._short = 0
        """Connections in a row that did not last."""

    def send(self, shipment: Shipment) -> ServerAnswer:
        """Bring a shipment."""
        return self._over_a_connection(lambda: self._sent(shipment))

    def look_after(self) -> ServerAnswer:
        """See that the connection stands; the broker tells others that we are gone where it does not."""
        return self._over_a_connection(self._looked_after)

    def _over_a_connection(self, work: Callable[[], ServerAnswer]) -> ServerAnswer:
        try:
            if not self._connection.connected:
                self._connection.must_be_mended()
                self._must_last()
                self._greet()
                self._anew, self._since = True, time.monotonic()
            answer = work()
        except BrokerError as error:
            answer = error.answer
        if self._anew and self._connection.connected:
            self._anew = False
            return replace(answer, anew=True)
        return answer

    def _looked_after(self) -> ServerAnswer:
        """What is due over a connection that stands, with nothing to send. Raises BrokerError."""
        return ServerAnswer(Ruling.TAKEN)

    def _must_last(self) -> None:
        """Raises BrokerError where one connection after the other ends soon: each makes all that is held come again."""
        self._short = self._short + 1 if time.monotonic() - self._since < SHORT_S else 0
        self._since = float("-inf")
        if self._short >= SHORTS:
            self._short = 0
            words = f"the broker has ended {SHORTS} connections in a row, each within {SHORT_S:.0f} s"
            step = f"look at its log: another client with client_id {self._table.client()}, or what it does not take"
            raise BrokerError(ServerAnswer(Ruling.HOLD, words, step))

    @abstractmethod
    def _greet(self) -> None:
        """Connect, and say what is said first. Raises BrokerError."""

    @abstractmethod
    def _sent(self, shipment: Shipment) -> ServerAnswer:
        """Publish a shipment, and wait until the broker has it. Raises BrokerError."""

    @abstractmethod
    def _heard(self, message: MQTTMessage) -> None:
        """A message of the broker came; called by paho's thread."""
