"""`reports.json`: what became of the reports that are made by themselves. The portal writes it, publish reads it."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from protocol.store import statefile

NAME = "reports.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportState:
    """One report's last try."""

    done_ns: int | None = None
    """End of the time of the newest that was made [ns since 1970 UTC]; None: none was."""
    tried_ns: int = 0
    """When the last try ended, by the wall clock."""
    file: str = ""
    """The newest that was made."""
    trouble: str = ""
    """Why the last try failed; empty where it did not."""


class ReportStates(UserDict[str, ReportState]):
    """By `ReportTable.key`."""


def read_states(state: Path, say: Callable[[str], None], *, wall_ns: int) -> ReportStates:
    """What is known, empty where nothing is; damage is set aside and told, and the newest are made once more."""
    return statefile.load(state / NAME, _parsed, say, wall_ns=wall_ns) or ReportStates()


def peek_states(state: Path) -> ReportStates:
    """The same for who only looks, and sets nothing aside."""
    try:
        return _parsed(statefile.unpack(statefile.read(state / NAME) or b"{}"))
    except (OSError, *statefile.UNBELIEVED):
        return ReportStates()


def write_states(state: Path, held: Mapping[str, ReportState]) -> None:
    """Replace it. Raises OSError: the disk is full or fails."""
    statefile.write(state / NAME, statefile.pack({"reports": {key: asdict(one) for key, one in held.items()}}))


def _parsed(told: Mapping[str, Any]) -> ReportStates:
    found = ReportStates()
    for key, one in told.get("reports", {}).items():
        done_ns, tried_ns = one["done_ns"], one["tried_ns"]
        if type(tried_ns) is not int or (done_ns is not None and type(done_ns) is not int):
            raise ValueError("a time is no number")
        texts = (str(one[name]) for name in ("file", "trouble"))
        found[key] = ReportState(
            done_ns=done_ns, tried_ns=tried_ns, **dict(zip(("file", "trouble"), texts, strict=True))
        )
    return found
