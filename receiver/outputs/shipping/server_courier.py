"""Who brings shipments to one server: what a kind of output gives besides its settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer, cleaned
from receiver.outputs.shipping.shipment import Shipment


class ServerCourier(ABC):
    """One server. `send`, `look_after` and `close` are called by one thread, which may wait in them."""

    watches: bool = False
    """Its connection means something by itself: `look_after` is called every second while nothing is sent."""

    @abstractmethod
    def send(self, shipment: Shipment) -> ServerAnswer:
        """Bring a shipment, connecting where that is needed; never raises for what a server or a network may do.

        It ends within the time limits of the kind. The same shipment may come again, whole or cut in other pieces.
        """

    def look_after(self) -> ServerAnswer:
        """See that the connection stands, and make it anew where it does not; never raises, as `send`.

        TAKEN is well, and `anew` then means what it means in the answer to a shipment.
        """
        return ServerAnswer(Ruling.TAKEN)

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection; may be called twice, and where there never was one."""

    def notices(self) -> Sequence[str]:
        """What a person should know of this server's own settings; asked by another thread, waits for nothing."""
        return ()

    def counts(self) -> Mapping[str, int]:
        """What it counts besides, for the status; asked by another thread, waits for nothing."""
        return {}


def sent(courier: ServerCourier, shipment: Shipment) -> ServerAnswer:
    """What came of a shipment; an error of ours ends no thread unseen: it is told, and tried again."""
    return _whole(partial(courier.send, shipment))


def looked_after(courier: ServerCourier) -> ServerAnswer:
    """What came of a look after the connection; the rest as `sent`."""
    return _whole(courier.look_after)


def _whole(call: Callable[[], ServerAnswer]) -> ServerAnswer:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 whatever it is
        return ServerAnswer(Ruling.AGAIN, f"{type(error).__name__}: {cleaned(error)}", "report this with the log")
