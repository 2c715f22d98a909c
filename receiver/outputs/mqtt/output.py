"""The output of one broker: settings, store and courier put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from protocol.errors import ConfigError
from receiver.outputs.mqtt.settings import MqttTable
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import read_secret
from receiver.outputs.shipping.shipping_output import ShippingOutput

KEEP_S = 2400.0
"""How long an acknowledged message is kept [s]: a broker holds it in memory until a reader has it. What waits there for
readers mosquitto writes down every 30 minutes (`autosave_interval`); a third more."""


class MqttOutput(ShippingOutput):
    """Messages of one broker; an acknowledgement means that it accepted them, and nothing more."""

    kind = "mqtt"
    table = MqttTable

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Self:
        """The output of a section; its store is `state/NAME.db`.

        Raises:
            ConfigError: the password's file cannot be read, or the library is not installed.
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        assert isinstance(table, MqttTable)
        secret = read_secret(table, table.password_file)
        try:
            from receiver.outputs.mqtt.json_courier import JsonCourier
            from receiver.outputs.mqtt.mqtt_courier import MqttCourier
            from receiver.outputs.mqtt.sparkplug_courier import SparkplugCourier
        except ImportError as error:
            hint = "pip install 'checkvalve-low[mqtt]'"
            raise ConfigError(f'output "{table.name}": its library is not installed: {error}', hint=hint) from error
        host, port = table.address()
        courier: MqttCourier
        if table.payload == "json":
            courier, what = JsonCourier(table, secret), table.prefix
        else:
            courier = SparkplugCourier(table, secret, state / f"{table.name}-birth.json")
            what = f"node {table.group}/{table.node}"
        made = cls(
            state / f"{table.name}.db",
            courier,
            where=f"mqtt {host}:{port}, {what}",
            scope_text=table.scope.text,
            keep_s=KEEP_S if table.keep is None else table.keep,
            notices=table.weakened(),
            wait=wait,
        )
        made._counts = courier.counts
        return made

    _counts: Callable[[], Mapping[str, int]] = dict

    def status(self) -> Mapping[str, Any]:
        """As everywhere, and what the courier counts."""
        return {**super().status(), **self._counts()}
