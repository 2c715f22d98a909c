"""A courier to nowhere: a server as a dictionary, which answers, refuses, loses and waits as a test says."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from receiver.outputs.scope import Scope
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.shipment import Shipment
from receiver.outputs.shipping.shipping_output import ShippingOutput
from receiver.outputs.testing.feed import T0_NS

Key = tuple[bytes, int, str, int]
"""What identifies a sample: stream, block, asset, rank."""


class FakeServer(ServerCourier):
    """Keeps what it takes by what identifies it."""

    def __init__(self) -> None:
        self.held: Counter[Key] = Counter()
        self.sent: list[Shipment] = []
        self.judge: Callable[[Shipment], ServerAnswer | None] = lambda shipment: None
        """What it answers; None: it takes it."""
        self.anew = True
        """The next answer goes over a new connection."""
        self.gate = threading.Event()
        self.gate.set()

    def send(self, shipment: Shipment) -> ServerAnswer:
        """As the test says."""
        self.gate.wait(20)
        self.sent.append(shipment)
        told = self.judge(shipment)
        if told is not None:
            return told
        self.held.update(keys(shipment))
        anew, self.anew = self.anew, False
        return ServerAnswer(Ruling.TAKEN, anew=anew)

    def close(self) -> None:
        """Nothing is open."""


class FakeOutput(ShippingOutput):
    """An output to it."""

    kind = "fake"
    table = OutputTable

    @classmethod
    def beside(cls, folder: Path, server: ServerCourier, **given: Any) -> FakeOutput:
        """With its store in a folder, and no waits in it."""
        told: dict[str, Any] = {"clock": lambda: T0_NS, "wait": never, "chance": random.Random(1), "patience_s": 5.0}
        return cls(folder / "fake.db", server, where="fake server", scope_text=Scope().text, **(told | given))

    def pumped(self, until: Callable[[], object], now: float = 0.0) -> float:
        """Step in virtual time until something holds; returns the time then."""
        for _ in range(3000):
            if until():
                return now
            now += max(self.step(now), 0.001)
        raise AssertionError(f"never: {self.status()}")


def keys(shipment: Shipment) -> list[Key]:
    """What identifies each of its samples."""
    assets = [shipment.series[at].asset for at in shipment.columns.tag.tolist()]
    told = zip(shipment.number.tolist(), assets, shipment.rank.tolist(), strict=True)
    return [(shipment.stream, number, asset, rank) for number, asset, rank in told]


def never(seconds: float) -> None:
    """The wait of a test in which no disk is full."""
    raise AssertionError(f"waited {seconds} s")
