"""Who asks for a page: every request has one as `request.state.reader`, put there by `sign_in_gate.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from receiver.governed.grants.granted import NOTHING, Granted
from receiver.governed.people.person import Person
from receiver.outputs.scope import Scope

FOREVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReader:
    """Who asks, as of this request."""

    person: Person | None
    """None: nobody signed in."""
    address: str
    """Network address the request came from."""
    session: str
    """Names the session in the trail; empty without one."""
    granted: Callable[[], Granted]
    """What may be read now; asked anew by whoever holds a stream open."""
    holds: Callable[[], bool] = lambda: True
    """Whether the session still holds and the person is active: a stream ends where not."""

    @property
    def who(self) -> str:
        """As the trail names them."""
        return self.person.key if self.person else "anyone"


def anyone(address: str, scope: Scope | None) -> PageReader:
    """Somebody who did not sign in, where `[portal] anyone` gives them this scope, or None."""
    until_ns = FOREVER_NS if scope is not None else 0
    granted = Granted(scope=NOTHING if scope is None else scope, until_ns=until_ns, grants=())
    return PageReader(person=None, address=address, session="", granted=lambda: granted)
