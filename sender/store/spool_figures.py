"""`state/spool-figures.json`: what the poller says of its spool, once a second, for the emitter's beats.

    bytes, most_bytes, keep_s, dropped_..., waiting_bytes, full, damaged, ...     numbers, see `Spool.status`

A file of its own, so that beats hang on nothing that is made for people. Where there is none, as after an update until
polling runs, beats say nothing of the spool. It is news, not record: unsynced, and on a full disk written over.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from protocol.process.statusfile import replace
from protocol.store import statefile

NAME = "spool-figures.json"
"""In the state folder."""
KEY_MOST = 32
"""Longest name of a figure that a beat carries [characters]."""
FIGURES_MOST = 32
"""Most figures that a beat carries."""
SIZE_MOST = 64 * 1024
"""Largest file that is read [bytes]."""


def write(state: Path, figures: Mapping[str, float]) -> None:
    """Replace the file."""
    replace(state / NAME, statefile.pack(figures))


def read(state: Path) -> dict[str, float]:
    """What was written last, as a beat can carry it; nothing where there is none, or none to believe. Never raises."""
    try:
        told = statefile.unpack(statefile.read(state / NAME, SIZE_MOST) or b"{}")
    except (OSError, *statefile.UNBELIEVED):
        return {}
    named = {key[:KEY_MOST]: value for key, value in told.items() if key.isascii() and key.isprintable()}
    figures = [(key, value) for key, value in named.items() if isinstance(value, int | float) and abs(value) < 2**63]
    return dict(figures[:FIGURES_MOST])
