"""What a store keeps and a server is sent as one, and in which order it goes (pure).

Most kinds of output send a `Shipment`: columns, which a courier turns into what its server takes. Line protocol is made
once, when samples are taken, so what that kind sends is lines. Store, lanes and what is set aside are the same in both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

LIVE, LATE, RESENT = 0, 1, 2
"""Lanes of a store: what is new; what is healed, or read from the journal after an outage; what had been set aside and
a person wants sent again."""


class Cargo(Protocol):
    """Samples on their way."""

    def __len__(self) -> int:
        """Samples."""

    @property
    def blocks(self) -> int:
        """How many blocks of the journal it finishes."""

    @property
    def received_ns(self) -> int:
        """When the first of its blocks was completed, by the low side's clock [ns since 1970 UTC]; 0: not known."""


CargoT = TypeVar("CargoT", bound=Cargo)


class CargoForm(ABC, Generic[CargoT]):
    """How one form of cargo is stored, joined and shown."""

    @abstractmethod
    def pack(self, cargo: CargoT) -> bytes:
        """As it is stored: compressed, with a checksum."""

    @abstractmethod
    def unpack(self, body: bytes) -> CargoT:
        """What `pack` made, as far as the samples go.

        Raises:
            ValueError, KeyError, TypeError: it is not that.
        """

    @abstractmethod
    def fits(self, parts: Sequence[CargoT], one: CargoT) -> bool:
        """Whether it can go as one with these."""

    @abstractmethod
    def joined(self, parts: Sequence[CargoT]) -> CargoT:
        """Parts that fit, as one, in their order."""

    @abstractmethod
    def example(self, cargo: CargoT) -> str:
        """One of its samples, for people."""


@dataclass(frozen=True, slots=True)
class RefusedSamples(Generic[CargoT]):
    """What a server refuses, with its words."""

    time_ns: int
    """When it was refused [ns since 1970 UTC]."""
    refusal: str
    """Its class: the server's own code, or what it means in words."""
    words: str
    cargo: CargoT
