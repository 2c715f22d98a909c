"""The output of one topic: settings, store and courier put together."""

from __future__ import annotations

from pathlib import Path

from receiver.outputs.kafka.settings import KafkaTable
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.server_settings import ServerTable
from receiver.outputs.shipping.shipping_output import ShippingOutput


class KafkaOutput(ShippingOutput):
    """Messages of one topic; an acknowledgement means that all of its replicas have them."""

    kind = "kafka"
    table = KafkaTable

    @classmethod
    def courier(cls, table: ServerTable, state: Path, secret: str) -> ServerCourier:
        """Who brings shipments to it; its library is read now, which takes a while."""
        from receiver.outputs.kafka.kafka_courier import KafkaCourier

        assert isinstance(table, KafkaTable)
        return KafkaCourier(table.client(secret), table.topic)
