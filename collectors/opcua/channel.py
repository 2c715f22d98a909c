"""One subscription on the server: made, numbered, and noticed when it dies; what it carries is its subclasses' matter.

A hole in the server's sequence numbers means that a whole notification was lost (or that asyncua could not take it
apart). A server that sends nothing, not even the keep-alive it owes, is dead, whatever its socket says.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from asyncua import ua

from collectors.opcua.session import Session

KEEP_ALIVE_S = 5.0
"""A server with nothing to say says so this often [s]."""

LIFE_FACTOR = 12
"""Keep-alives after which a server may forget a subscription nobody asks for; at least 3 (OPC 10000-4, 5.14.2)."""

_LAST_SEQUENCE = 2**32 - 1

log = logging.getLogger("checkvalve.opcua")


class Channel(ABC):
    """See above.

    Args:
        session: Connected.
        every_s: How often the server publishes [s].
        clock: Wall time [ns].
    """

    def __init__(self, session: Session, every_s: float, clock: Callable[[], int]) -> None:
        self._session, self._every_s, self._clock = session, every_s, clock
        self._sequence: int | None = None
        self._id = 0
        self._owed_s = 0.0
        self._heard = 0.0
        self.dead = ""
        """Why it will bring nothing more; empty while it may."""
        self.holes = 0
        """Notifications that the server numbered and that never came; the reader sets it back."""

    async def open(self) -> None:
        """Create the subscription on the server."""
        interval = self._every_s * 1000
        keep_alive = max(1, round(KEEP_ALIVE_S * 1000 / interval))
        parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=interval,
            RequestedLifetimeCount=ua.UInt32(LIFE_FACTOR * keep_alive),
            RequestedMaxKeepAliveCount=ua.UInt32(keep_alive),
            MaxNotificationsPerPublish=ua.UInt32(0),
            PublishingEnabled=True,
        )
        await self._session.turn()
        with self._session.in_words("subscribe"):
            made = await self._session.services.create_subscription(parameters, self._published)
        self._id = made.SubscriptionId
        self._owed_s = made.RevisedPublishingInterval / 1000 * (made.RevisedMaxKeepAliveCount + 1)
        self._heard = asyncio.get_running_loop().time()

    def overdue(self) -> bool:
        """True when the server owes a keep-alive for longer than two of its periods and the watchdog's patience."""
        return asyncio.get_running_loop().time() - self._heard > 2 * self._owed_s + KEEP_ALIVE_S

    @abstractmethod
    def _take(self, part: Any, read_ns: int) -> None:
        """One part of a notification message."""

    def _published(self, result: Any) -> None:
        """asyncua's callback for each publish response, keep-alives too."""
        self._heard = asyncio.get_running_loop().time()
        read_ns = self._clock()
        message = result.NotificationMessage
        if not message.NotificationData:
            return
        self._follow(int(message.SequenceNumber))
        for part in message.NotificationData:
            if isinstance(part, ua.StatusChangeNotification):
                self.dead = f"the server ended the subscription ({part.Status.name})"
            else:
                self._take(part, read_ns)

    def _follow(self, sequence: int) -> None:
        """Count what is missing between two sequence numbers; 0 is never used (OPC 10000-4, 7.25)."""
        if self._sequence is not None and sequence:
            expected = self._sequence % _LAST_SEQUENCE + 1
            if sequence != expected:
                self.holes += (sequence - expected) % _LAST_SEQUENCE
                log.warning("notification_hole expected=%d got=%d", expected, sequence)
        if sequence:
            self._sequence = sequence
