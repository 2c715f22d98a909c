"""Services of a server that take a list: cut to its limits, in its turn, and its troubles in the project's words.

A list is cut into requests of at most CHUNK things, or fewer where the server says so, or refuses a request for being
too large: then by halves, and it is remembered. A reply that asyncua cannot take apart is cut down in the same way
until the one thing that spoils it stands alone. Each request waits for its turn in the device's budget.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from asyncua import ua

from collectors.base import Device
from collectors.budget import Budget
from collectors.opcua.config import CHUNK
from protocol.content.sample import Quality, severity
from protocol.errors import AssetError

Thing = TypeVar("Thing")

_TOO_MUCH = (
    ua.StatusCodes.BadTooManyOperations,
    ua.StatusCodes.BadRequestTooLarge,
    ua.StatusCodes.BadResponseTooLarge,
    ua.StatusCodes.BadEncodingLimitsExceeded,
)
_OF_THE_SESSION = (
    Quality.BAD_NOT_CONNECTED,
    ua.StatusCodes.BadConnectionClosed,
    ua.StatusCodes.BadSecureChannelClosed,
    ua.StatusCodes.BadSecureChannelIdInvalid,
    ua.StatusCodes.BadSessionClosed,
    ua.StatusCodes.BadSessionIdInvalid,
    ua.StatusCodes.BadSessionNotActivated,
    ua.StatusCodes.BadServerHalted,
    ua.StatusCodes.BadShutdown,
)
"""After these nothing more is answered in this session."""

_UNREADABLE = (struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError, ua.UaError)
"""What asyncua raises at a reply that it cannot take apart; UaError's subclasses with a status are looked at first."""


class Bulk(ABC):
    """See above.

    Args:
        device: Its name and timeout.
        budget: Says when a request may leave.
        services: What has limits.
    """

    def __init__(self, device: Device, budget: Budget, services: Sequence[str]) -> None:
        self._device, self._budget = device, budget
        self._sizes = dict.fromkeys(services, CHUNK)

    @property
    @abstractmethod
    def lost(self) -> str:
        """Why the connection is of no use any more; empty while it is."""

    async def turn(self) -> None:
        """Wait until a request may leave."""
        await self._budget.wait()

    @contextmanager
    def in_words(self, doing: str) -> Iterator[None]:
        """Turn what asyncua raises into an AssetError that says what was being done."""
        try:
            yield
        except TimeoutError as error:
            raise self.trouble(doing, f"no answer in {self._device.timeout_s:g} s", Quality.BAD_TIMEOUT) from error
        except OSError as error:
            raise self.trouble(doing, str(error) or "no connection", Quality.BAD_NOT_CONNECTED) from error
        except ua.UaStatusCodeError as error:
            quality = error.code if severity(error.code) == 2 else Quality.BAD_COMMUNICATION
            raise self.trouble(doing, str(error), quality) from error
        except ua.UaError as error:
            raise self.trouble(doing, str(error), Quality.BAD_COMMUNICATION) from error
        except _UNREADABLE as error:
            raise self.trouble(doing, f"{type(error).__name__}: {error}", Quality.BAD_DECODING) from error

    def trouble(self, doing: str, text: str, quality: int) -> AssetError:
        return AssetError(f"{self._device.name}: {doing}: {text}", quality=quality)

    async def _in_chunks(
        self,
        service: str,
        things: Sequence[Thing],
        call: Callable[[Sequence[Thing]], Awaitable[list[Any]]],
        unreadable: Any,
        failed: Callable[[int], Any] | None = None,
    ) -> list[Any]:
        """One result a thing; `unreadable` for one whose reply asyncua cannot take apart.

        With `failed` that stands for each thing of a request that was refused, or not answered; two silences end it.
        """
        out: list[Any] = []
        trouble: AssetError | None = None
        answered = silent = 0
        size = self._sizes[service]
        while len(out) < len(things):
            part = things[len(out) : len(out) + size]
            await self.turn()
            try:
                results = await self._request(service, part, call, unreadable)
            except AssetError as error:
                if failed is None or self.lost or error.quality in _OF_THE_SESSION:
                    raise
                trouble, silent = error, silent + (error.quality == Quality.BAD_TIMEOUT)
                rest = len(things) - len(out) if silent > 1 else len(part)
                out += [failed(error.quality)] * rest
                continue
            if results is None:
                size = len(part) // 2
                continue
            answered += len(results)
            out += results
            size = min(2 * size, self._sizes[service])
        if trouble is not None and not answered:
            raise trouble
        return out

    async def _request(
        self,
        service: str,
        part: Sequence[Thing],
        call: Callable[[Sequence[Thing]], Awaitable[list[Any]]],
        unreadable: Any,
    ) -> list[Any] | None:
        """The results of one request; None where half as much is to be asked for."""
        with self.in_words(service):
            try:
                results = await call(part)
            except ua.UaStatusCodeError as error:
                if error.code not in _TOO_MUCH or len(part) == 1:
                    raise
                self._sizes[service] = len(part) // 2
                return None
            except _UNREADABLE:
                if len(part) > 1:
                    return None
                results = [unreadable]
        if len(results) != len(part):
            raise self.trouble(service, f"{len(results)} results for {len(part)}", Quality.BAD_DECODING)
        return results
