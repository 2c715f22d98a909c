"""The output of one database: settings, store and courier put together."""

from __future__ import annotations

from pathlib import Path

from receiver.outputs.postgresql.settings import PostgresqlTable
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.server_settings import ServerTable
from receiver.outputs.shipping.shipping_output import ShippingOutput


class PostgresqlOutput(ShippingOutput):
    """Rows of one schema; an acknowledgement is a commit, and for good."""

    kind = "postgresql"
    table = PostgresqlTable

    @classmethod
    def courier(cls, table: ServerTable, state: Path, secret: str) -> ServerCourier:
        """Who brings shipments to it; its library is read now, which takes a while."""
        from receiver.outputs.postgresql.postgresql_courier import PostgresqlCourier

        assert isinstance(table, PostgresqlTable)
        return PostgresqlCourier(table.conninfo(secret), table.schema_name)
