"""What the portal wrote of itself in `state/portal.json`: its address and its process. Others read it here."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from protocol.store import statefile


class PortalNote(NamedTuple):
    """Where the pages are."""

    url: str
    pid: int


def read_note(state: Path) -> PortalNote | None:
    """None where there is none, or none that can be believed.

    Args:
        state: The state folder.
    """
    with contextlib.suppress(OSError, *statefile.UNBELIEVED):
        told = json.loads(statefile.read(state / "portal.json") or b"{}")
        url, pid = told.get("url"), told.get("pid")
        if type(url) is str and type(pid) is int:
            return PortalNote(url, pid)
    return None


def moved(note: PortalNote | None, port: int) -> str:
    """A line for people where another program had the port when the pages began; empty: they are where they should be.

    Args:
        port: Of [portal] listen; 0: any was wanted.
    """
    with contextlib.suppress(ValueError):
        if note is not None and port and urlsplit(note.url).port not in (None, port):
            return (
                f"another program had the pages' port {port} when they began: they are at {note.url}; "
                f"sudo ss -tlnp 'sport = :{port}' names it: stop it and restart publish, or name another port"
            )
    return ""
