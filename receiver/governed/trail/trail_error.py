"""What callers of the trail must expect: it cannot be written, or does not fit its own hashes."""

from __future__ import annotations

from protocol.errors import StoreError


class TrailError(StoreError):
    """No trail: whoever wanted to act or to read is refused, and the status says why. Its text is for people."""
