"""The output of one topic: settings, store and courier put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from protocol.errors import ConfigError
from receiver.outputs.kafka.settings import KafkaTable
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import read_secret
from receiver.outputs.shipping.shipping_output import ShippingOutput


class KafkaOutput(ShippingOutput):
    """Messages of one topic; an acknowledgement means that all of its replicas have them."""

    kind = "kafka"
    table = KafkaTable

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Self:
        """The output of a section; its store is `state/NAME.db`.

        Raises:
            ConfigError: the password's file cannot be read, or the library is not installed.
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        assert isinstance(table, KafkaTable)
        password = read_secret(table, table.password_file)
        try:
            from receiver.outputs.kafka.kafka_courier import KafkaCourier
        except ImportError as error:
            hint = "pip install 'checkvalve-low[kafka]'"
            raise ConfigError(f'output "{table.name}": its library is not installed: {error}', hint=hint) from error
        return cls(
            state / f"{table.name}.db",
            KafkaCourier(table.client(password), table.topic),
            where=f"kafka {', '.join(table.brokers)}, topic {table.topic}",
            scope_text=table.scope.text,
            keep_s=table.keep or 0.0,
            notices=table.weakened(),
            wait=wait,
        )
