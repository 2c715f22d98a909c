"""How long a session holds, and what of its use looks wrong (pure).

Two limits, both by the later reading of the time, so that setting the clock back lengthens none: without use for
`IDLE_NS`, and `ABSOLUTE_NS` after it was opened.

Where somebody is cannot be told from an address without data that go out of date on a machine without the internet.
What can be told is a change: a session belongs to the network it was opened from (its /24, or /64), and is over when
its cookie comes from another one; and one person's sessions used from two networks within `TOGETHER_NS` are an alert.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from receiver.governed.people.secret_store import SignInSession

MINUTE_NS = 60 * 10**9

IDLE_NS = 30 * MINUTE_NS
ABSOLUTE_NS = 12 * 60 * MINUTE_NS
"""A shift and its handing over."""

TOGETHER_NS = 5 * MINUTE_NS
"""Uses closer than this are at the same time: nobody changes networks and signs in again in less, or only just."""

NOTED_NS = MINUTE_NS
"""A use is written down when the last one that was is older: a page with its parts is one write."""


class Ending(StrEnum):
    """Why a session is over."""

    IDLE = "idle"
    ABSOLUTE = "too old"
    MOVED = "address changed"
    PERSON = "person not active"
    SIGNED_OUT = "signed out"
    REVOKED = "revoked"


def ending(session: SignInSession, address: str, now_ns: int) -> Ending | None:
    """Why a session does not serve this request; None: it does.

    Args:
        session: As it is kept.
        address: Where the request comes from.
        now_ns: The later reading of the time.
    """
    if now_ns - session.opened_ns >= ABSOLUTE_NS:
        return Ending.ABSOLUTE
    if now_ns - session.used_ns >= IDLE_NS:
        return Ending.IDLE
    return Ending.MOVED if network(session.address) != network(address) else None


def elsewhere(address: str, sessions: Iterable[SignInSession], now_ns: int) -> list[SignInSession]:
    """Which of a person's other sessions are in use at the same time from another network."""
    here = network(address)
    return [one for one in sessions if network(one.address) != here and now_ns - one.used_ns < TOGETHER_NS]


@lru_cache(1024)
def network(address: str) -> str:
    """The network an address belongs to, as far as one can tell; what is none is its own."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ip_network((found, 24 if isinstance(found, IPv4Address) else 64), strict=False))
