"""A courier on its way, in a thread of its own: a slow server holds up neither the journal nor the status.

One shipment at a time. The thread begins with the first shipment, is a daemon, and touches nothing but the courier.
"""

from __future__ import annotations

import queue
import threading

from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer, cleaned
from receiver.outputs.shipping.server_courier import ServerCourier
from receiver.outputs.shipping.shipment import Shipment

STOP_S = 2.0
"""Longest wait for the thread at a stop [s]; what it had in hand stays in the store."""


class SendThread:
    """Sends shipments one after another."""

    def __init__(self, courier: ServerCourier) -> None:
        self._courier = courier
        self._thread: threading.Thread | None = None
        self._shipments: queue.SimpleQueue[Shipment | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[ServerAnswer] = queue.SimpleQueue()
        self.busy = False
        """A shipment was begun, and its answer was not fetched."""

    def begin(self, shipment: Shipment) -> None:
        """Send a shipment; only while not busy."""
        assert not self.busy, "one at a time"
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
            self._thread.start()
        self.busy = True
        self._shipments.put(shipment)

    def answer(self, patience_s: float) -> ServerAnswer | None:
        """What came of the shipment that was begun; None where that is not known after so long [s]."""
        try:
            out = self._answers.get(timeout=patience_s)
        except queue.Empty:
            return None
        self.busy = False
        return out

    def close(self) -> None:
        """End the thread, or leave it behind where its server holds it; the courier lets go of its connection."""
        if self._thread is None:
            self._courier.close()
            return
        self._shipments.put(None)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            while (shipment := self._shipments.get()) is not None:
                self._answers.put(self._sent(shipment))
        finally:
            self._courier.close()

    def _sent(self, shipment: Shipment) -> ServerAnswer:
        try:
            return self._courier.send(shipment)
        except Exception as error:  # noqa: BLE001 an error of ours must not end the thread unseen: it is told and tried again
            return ServerAnswer(Ruling.AGAIN, f"{type(error).__name__}: {cleaned(error)}", "report this with the log")
