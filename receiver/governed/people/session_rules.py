"""How long a session holds, and what of its use looks wrong (pure).

Two limits, both by the later reading of the time, so that setting the clock back lengthens none: without use for
`IDLE_NS`, and `ABSOLUTE_NS` after it was opened.

Where somebody is cannot be told from an address without data that go out of date on a machine without the internet.
What can be told:

    a session's cookie from another network (its /24, or /64) than it was opened from     it is over, and an alert
    one person's sessions used from two addresses within `TOGETHER_NS`                     an alert
    one session's cookie from one address, another, and the first again in that time       an alert
    one person signed in with `BROWSERS` different browsers                                an alert
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

BROWSERS = 3
"""Different browsers that one person is signed in with: a desk and a telephone are two."""

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
    """Which of a person's other sessions are in use at the same time from another address."""
    here = seat(address)
    return [one for one in sessions if seat(one.address) != here and now_ns - one.used_ns < TOGETHER_NS]


def seat(address: str) -> str:
    """The address; of IPv6 its /64, in which one machine has many."""
    found = network(address)
    return found if found.endswith("/64") else address


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
