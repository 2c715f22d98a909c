"""The output of one stream: settings, store and courier put together."""

from __future__ import annotations

from pathlib import Path

from receiver.outputs.nats.settings import NatsTable
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.server_settings import ServerTable
from receiver.outputs.shipping.shipping_output import ShippingOutput


class NatsOutput(ShippingOutput):
    """Messages of one stream; an acknowledgement means that they are in its files, not on its disk."""

    kind = "nats"
    table = NatsTable
    KEEP_S = 600.0
    """The server syncs its files every 2 minutes (nats-server 2.9 and 2.15); five times that."""

    @classmethod
    def courier(cls, table: ServerTable, state: Path, secret: str) -> ServerCourier:
        """Who brings shipments to it; its library is read now, which takes a while."""
        from receiver.outputs.nats.nats_courier import NatsCourier

        assert isinstance(table, NatsTable)
        return NatsCourier(table, secret)
