"""How much is packed: what decides whether the load is light (geometry.py)."""

from __future__ import annotations

LOAD_WINDOW = 5.0
"""Time over which the offered load is averaged [s]."""


class Load:
    """The offered load: a decaying average of what was packed."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._at: float | None = None

    def note(self, size: int, now: float) -> None:
        """`size` bytes were packed at `now` [s]."""
        self._decay(now)
        self._rate += size / LOAD_WINDOW

    def rate(self, now: float) -> float:
        """Average over about the last `LOAD_WINDOW` seconds [bytes/s]."""
        self._decay(now)
        return self._rate

    def _decay(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._rate *= max(0.0, 1 - (now - self._at) / LOAD_WINDOW) if now - self._at < LOAD_WINDOW else 0.0
        self._at = now
