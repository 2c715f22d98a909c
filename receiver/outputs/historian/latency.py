"""How long samples take from the device to this disk: a histogram with bins a twentieth apart (pure)."""

from __future__ import annotations

import math

_STEP = math.log(1.05)
_BINS = 400
"""From 0.1 ms to 0.1 ms x 1.05**400 = 8 hours; what is outside counts in the last bin on its side."""
_LEAST_MS = 0.1


class Latency:
    """Counts of delays; a negative one (the two clocks differ) counts as the least."""

    def __init__(self) -> None:
        self._bins = [0] * (_BINS + 1)
        self.count = 0

    def add(self, delay_ms: float) -> None:
        """Count one delay [ms]."""
        at = 0 if delay_ms <= _LEAST_MS else min(math.ceil(math.log(delay_ms / _LEAST_MS) / _STEP), _BINS)
        self._bins[at] += 1
        self.count += 1

    def quantile(self, share: float) -> float | None:
        """The delay that this share of all stay within, at most 5 % too high [ms]; None where none was counted."""
        if not self.count:
            return None
        want, seen = share * self.count, 0
        for at, count in enumerate(self._bins):
            seen += count
            if count and seen >= want:
                return round(_LEAST_MS * 1.05**at, 3)
        return round(_LEAST_MS * 1.05**_BINS, 3)
