"""What typed indexes of namespaces mean, on disk: a restart of this process must not let them mean something else.

`namespaces-NAME.json` in the state folder holds the uri of each index that the configuration names, as the server
counted when it was first read; an empty text stands for the server's own namespace (see `spaces`). An index that the
configuration names no more is forgotten. To have an index looked up anew, write nsu= in its place, or take the file
away while nothing reads the device.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from protocol.content.sample import Quality
from protocol.errors import AssetError, StoreError
from protocol.store import statefile

_PLAIN = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST = 100


class Kept:
    """The file of one device.

    Args:
        folder: The state folder; None: nothing is kept.
        device: Its name.
    """

    def __init__(self, folder: Path | None, device: str) -> None:
        name = _PLAIN.sub("_", device)[:_LONGEST]
        other = "" if name == device else "-" + hashlib.sha256(device.encode()).hexdigest()[:8]
        self.path = None if folder is None else folder / f"namespaces-{name}{other}.json"
        self._device = device
        self._written: dict[int, str] | None = None

    def load(self, say: Callable[[str], None], wall_ns: int) -> dict[int, str]:
        """What was kept; nothing where there is no file, or a damaged one, which is told.

        Raises:
            AssetError: the disk does not give it. What an index means is then not known, and the device is not read.
        """
        if self.path is None:
            return {}
        try:
            held = statefile.load(self.path, _take, say, wall_ns=wall_ns) or {}
        except StoreError as error:
            raise AssetError(f"{self._device}: {error}", quality=Quality.BAD_CONFIGURATION) from None
        self._written = dict(held)
        return held

    def save(self, meant: Mapping[int, str], say: Callable[[str], None]) -> None:
        """Keep that; where it cannot be written, that is told, and it counts for as long as the process lives."""
        if self.path is None or self._written == dict(meant) or not (meant or self._written):
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            statefile.write(self.path, statefile.pack({"meant": {str(index): uri for index, uri in meant.items()}}))
            self._written = dict(meant)
        except OSError as error:
            say(
                f"{self.path.name} cannot be written ({error.strerror}): indexes of namespaces are kept in memory alone"
            )


def _take(held: Mapping[str, Any]) -> dict[int, str]:
    meant = {int(index): uri for index, uri in held["meant"].items()}
    if not all(0 < index <= 0xFFFF and isinstance(uri, str) for index, uri in meant.items()):
        raise ValueError("an index or a uri that is none")
    return meant
