"""The output of one stream: settings, store and courier put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from protocol.errors import ConfigError
from receiver.outputs.nats.settings import NatsTable
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import read_secret
from receiver.outputs.shipping.shipping_output import ShippingOutput

KEEP_S = 600.0
"""How long an acknowledged message is kept [s]: the server syncs its files every 2 minutes (nats-server 2.9 and 2.15);
five times that."""


class NatsOutput(ShippingOutput):
    """Messages of one stream; an acknowledgement means that they are in its files, not on its disk."""

    kind = "nats"
    table = NatsTable

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Self:
        """The output of a section; its store is `state/NAME.db`.

        Raises:
            ConfigError: the password's file cannot be read, or the library is not installed.
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        assert isinstance(table, NatsTable)
        password = read_secret(table, table.password_file)
        try:
            from receiver.outputs.nats.nats_courier import NatsCourier
        except ImportError as error:
            hint = "pip install 'checkvalve-low[nats]'"
            raise ConfigError(f'output "{table.name}": its library is not installed: {error}', hint=hint) from error
        host, port = table.address()
        return cls(
            state / f"{table.name}.db",
            NatsCourier(table, password),
            where=f"nats {host}:{port}, stream {table.stream}",
            scope_text=table.scope.text,
            keep_s=KEEP_S if table.keep is None else table.keep,
            notices=table.weakened(),
            wait=wait,
        )
