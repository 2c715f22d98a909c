"""The output of one broker: settings, store and courier put together."""

from __future__ import annotations

from pathlib import Path

from receiver.outputs.mqtt.settings import MqttTable
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.server_settings import ServerTable
from receiver.outputs.shipping.shipping_output import ShippingOutput


class MqttOutput(ShippingOutput):
    """Messages of one broker; an acknowledgement means that it accepted them, and nothing more."""

    kind = "mqtt"
    table = MqttTable
    KEEP_S = 2400.0
    """A broker holds a message in memory until a reader has it. What waits there for readers mosquitto writes down
    every 30 minutes (`autosave_interval`); a third more."""

    @classmethod
    def courier(cls, table: ServerTable, state: Path, secret: str) -> ServerCourier:
        """Who brings shipments to it; its library is read now, which takes a while."""
        from receiver.outputs.mqtt.json_courier import JsonCourier
        from receiver.outputs.mqtt.sparkplug_courier import SparkplugCourier

        assert isinstance(table, MqttTable)
        if table.payload == "json":
            return JsonCourier(table, secret)
        return SparkplugCourier(table, secret, state / f"{table.name}-birth.json")
