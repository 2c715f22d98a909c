"""What all processes of a side said last, for the commands that show it. The two ends of the link load none of this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from protocol.process.statusfile import read_status
from protocol.store import statefile


def read_statuses(state: Path) -> dict[str, dict[str, Any]]:
    """Every process's last word, by name."""
    names = sorted(path.stem.removeprefix("status-") for path in state.glob("status-*.json"))
    return {name: told for name in names if (told := read_status(state, name)) is not None}


def believed(name: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines made of what a process said, as far as they can be made: its file may be damaged, or planted.

    Args:
        name: The process.
    """
    try:
        yield from lines
    except (OSError, *statefile.UNBELIEVED) as error:
        why = f"{type(error).__name__}: {error}"[:120]
        yield f"{name}: what it said last cannot be believed ({why}); while it runs it says it anew each second"
