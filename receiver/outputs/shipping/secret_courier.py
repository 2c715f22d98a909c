"""A courier whose secret is read again when its server holds it: a password that was changed costs no start anew.

While the server holds us, each try looks at the file of the secret. One that is no longer what was used makes another
courier of the kind, and what was refused is sent over that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from protocol.errors import ConfigError
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.shipment import Shipment


class SecretCourier(ServerCourier):
    """One server that asks for a secret."""

    def __init__(self, read: Callable[[], str], make: Callable[[str], ServerCourier]) -> None:
        """
        Args:
            read: Gives the secret as it is now; raises ConfigError where it cannot be read.
            make: Makes a courier with a secret.

        Raises:
            ConfigError: the secret cannot be read.
        """
        self._read, self._make = read, make
        self._secret = read()
        self._courier = make(self._secret)
        self.watches = self._courier.watches

    def send(self, shipment: Shipment) -> ServerAnswer:
        """Bring a shipment, once more with another secret where the server refuses us and there is another."""
        return self._tried(lambda: self._courier.send(shipment))

    def look_after(self) -> ServerAnswer:
        """Look after the connection; the rest as in `send`."""
        return self._tried(lambda: self._courier.look_after())

    def close(self) -> None:
        """Let go of the connection."""
        self._courier.close()

    def notices(self) -> Sequence[str]:
        """The courier's."""
        return self._courier.notices()

    def counts(self) -> Mapping[str, int]:
        """The courier's."""
        return self._courier.counts()

    def _tried(self, call: Callable[[], ServerAnswer]) -> ServerAnswer:
        answer = call()
        return call() if answer.ruling is Ruling.HOLD and self._renewed() else answer

    def _renewed(self) -> bool:
        try:
            secret = self._read()
        except ConfigError:
            return False  # it is being replaced: the next try reads it
        if secret == self._secret:
            return False
        self._courier.close()
        self._secret, self._courier = secret, self._make(secret)
        return True
