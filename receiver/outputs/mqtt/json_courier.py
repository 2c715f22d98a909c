"""The form `payload = "json"`: a message a sample, on a topic of its tag, each acknowledged (QoS 1).

    PREFIX/live/ASSET/TAG   how the tag stands now, one after another; retained where `retain` says so
    PREFIX/late/ASSET/TAG   healed, held up, or sent again: for who keeps a history
    PREFIX/state            {"online": true}, retained; false by our will, when we are gone

Over a new connection the newest message of each live topic is sent once more: the broker may have forgotten it.

A message that nobody subscribes to is acknowledged and dropped (MQTT 5 says so). Readers come back later than we do
after a restart of the broker; so for a time after each connection a shipment with such a message is sent again, and
counted only from then on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from paho.mqtt.client import MQTTMessage

from receiver.outputs.mqtt.broker_answer import BrokerError
from receiver.outputs.mqtt.broker_connection import BrokerMessage
from receiver.outputs.mqtt.live_rows import LiveRows
from receiver.outputs.mqtt.mqtt_courier import MqttCourier
from receiver.outputs.mqtt.settings import MqttTable
from receiver.outputs.mqtt.topics import level
from receiver.outputs.shipping.messages import messages
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer
from receiver.outputs.shipping.shipment import Shipment

READER_WAIT_S = 60.0
ONLINE, OFFLINE = b'{"online":true}', b'{"online":false}'
DROPPED = "$SYS/broker/publish/messages/dropped"
"""Where mosquitto counts what it dropped of all clients, such as what a session that is away has no room for."""


class JsonCourier(MqttCourier):
    """One broker, samples as JSON."""

    def __init__(self, table: MqttTable, secret: str, *, clock: Callable[[], int] = time.time_ns) -> None:
        """
        Args:
            table: The settings.
            secret: Password; empty where none is asked for.
            clock: Wall time [ns since 1970 UTC].
        """
        super().__init__(table, secret)
        self._clock = clock
        self._rows = LiveRows()
        self._newest: dict[str, BrokerMessage] = {}
        """The newest message of each live topic."""
        self._reader_wait_s = READER_WAIT_S if table.reader_wait is None else table.reader_wait
        self._unheard = 0
        self._dropped_first: int | None = None
        self._dropped = 0

    def close(self) -> None:
        """Say that we go, and go."""
        self._connection.close([self._state(OFFLINE)])

    def notices(self) -> Sequence[str]:
        """What the broker lost, as far as it says so."""
        out = []
        if self._unheard:
            text = f"the broker dropped {self._unheard} messages: nobody subscribes to their topics"
            out.append(f"{text} (mosquitto_sub -t '{self._table.prefix}/#' -c -i NAME -q 1 does)")
        if self._dropped:
            text = f"the broker says that it dropped {self._dropped} messages of its clients since it was connected to"
            out.append(f"{text}: a reader was away for longer than its queue is (max_queued_messages)")
        return out

    def counts(self) -> Mapping[str, int]:
        """Messages that nobody subscribed to."""
        return {"unheard": self._unheard}

    def _greet(self) -> None:
        self._dropped_first = None
        self._connection.open(self._state(OFFLINE))
        try:
            self._connection.subscribe([DROPPED])
        except BrokerError:
            if not self._connection.connected:
                raise
        self._connection.publish_all([self._state(ONLINE), *self._newest.values()])

    def _sent(self, shipment: Shipment) -> ServerAnswer:
        split = self._rows.split(shipment, self._clock())
        bodies = [one.body for one in messages(shipment, 1)]  # a line each
        at = shipment.columns.tag.tolist()
        names = [f"{level(one.asset)}/{level(one.tag)}" for one in shipment.series]
        live, late = f"{self._table.prefix}/live", f"{self._table.prefix}/late"
        newest = [
            BrokerMessage(f"{live}/{names[at[row]]}", bodies[row], retain=self._table.retain) for row in split.live
        ]
        older = [BrokerMessage(f"{late}/{names[at[row]]}", bodies[row]) for row in split.late]
        unheard = self._connection.publish_all([*newest, *older])
        if unheard and time.monotonic() - self._since < self._reader_wait_s:
            words = f"nobody subscribes to {unheard} of {len(newest) + len(older)} messages below {self._table.prefix}"
            step = f"subscribe to {self._table.prefix}/#; from reader_wait on they are dropped, and counted"
            return ServerAnswer(Ruling.AGAIN, words, step)
        self._unheard += unheard
        self._rows.took(split)
        self._newest.update((one.topic, one) for one in newest)
        return ServerAnswer(Ruling.TAKEN)

    def _state(self, body: bytes) -> BrokerMessage:
        return BrokerMessage(f"{self._table.prefix}/state", body, retain=True)

    def _heard(self, message: MQTTMessage) -> None:
        told = message.payload
        if message.topic != DROPPED or not 0 < len(told) <= 18 or not told.isdigit():
            return
        if self._dropped_first is None:
            self._dropped_first = int(told) - self._dropped
        self._dropped = max(int(told) - self._dropped_first, self._dropped)
