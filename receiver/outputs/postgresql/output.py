"""The output of one database: settings, store and courier put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from protocol.errors import ConfigError
from receiver.outputs.postgresql.settings import PostgresqlTable
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import read_secret
from receiver.outputs.shipping.shipping_output import ShippingOutput


class PostgresqlOutput(ShippingOutput):
    """Rows of one schema; an acknowledgement is a commit, and for good."""

    kind = "postgresql"
    table = PostgresqlTable

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Self:
        """The output of a section; its store is `state/NAME.db`.

        Raises:
            ConfigError: the password's file cannot be read, or the library is not installed.
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        assert isinstance(table, PostgresqlTable)
        password = read_secret(table, table.password_file)
        try:
            from receiver.outputs.postgresql.postgresql_courier import PostgresqlCourier
        except ImportError as error:
            hint = "pip install 'checkvalve-low[postgresql]'"
            raise ConfigError(f'output "{table.name}": its library is not installed: {error}', hint=hint) from error
        host, port, database = table.address()
        return cls(
            state / f"{table.name}.db",
            PostgresqlCourier(table.conninfo(password), table.schema_name),
            where=f"postgresql {host}:{port}/{database}, schema {table.schema_name}",
            scope_text=table.scope.text,
            keep_s=table.keep or 0.0,
            notices=table.weakened(),
            wait=wait,
        )
