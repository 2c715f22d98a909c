"""How often somebody may be wrong (pure): failures in a window, counted three ways.

    one login from one address    5 in 15 min     who mistypes waits a quarter of an hour at most
    one address                  20 in 15 min     who tries many logins from one place
    one login                    50 in 60 min     who tries one login from many places; its owner waits as well

A window begins with its first failure and further ones do not move it: whoever goes on trying keeps nobody out for
longer than that. A right sign-in forgets the first count alone.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_NS = 60 * 10**9


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """Most failures in a window."""

    name: str
    most: int
    window_ns: int

    def waits_ns(self, since_ns: int, count: int, now_ns: int) -> int:
        """How long the next attempt has to wait [ns]; 0: it may come.

        Args:
            since_ns: Begin of the window; 0 where nothing failed.
            count: Failures in it.
            now_ns: The later reading of the time.
        """
        left_ns = since_ns + self.window_ns - now_ns
        return max(left_ns, 0) if count >= self.most else 0

    def counted(self, since_ns: int, count: int, now_ns: int) -> tuple[int, int]:
        """One failure more: begin of the window and failures in it."""
        return (since_ns, count + 1) if count and now_ns < since_ns + self.window_ns else (now_ns, 1)


BOTH = AttemptLimit("login and address", 5, 15 * MINUTE_NS)
ADDRESS = AttemptLimit("address", 20, 15 * MINUTE_NS)
LOGIN = AttemptLimit("login", 50, 60 * MINUTE_NS)

LONGEST_NS = LOGIN.window_ns
