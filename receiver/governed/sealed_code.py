"""The break-glass credential: a code that is printed once, sealed and kept by custodians; here lies its hash alone.

    c-k3x7m2qa                            its key, which the trail names
    J4QTB-7WZ2M-KX3PD-5RNLA-VHC6Y-A       its code: 130 random bits, so a plain hash of it cannot be searched for

`state/break-glass.json`, 0600, holds the hashes of the newest and of the one that lies ready: a code that was printed
and could not be put on record takes no other's place. The trail says which one lies ready; a used one opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from protocol.errors import StoreError
from protocol.store import statefile

FILE = "break-glass.json"
"""In the state folder."""

CODE_BYTES = 17
"""Random bytes that a code is cut from: 26 letters of five bits are 130 of their 136."""

LETTERS = 26
GROUP = 5

_TYPED = str.maketrans({"0": "O", "1": "I", "8": "B", " ": None, "-": None})
"""Digits that base 32 does not have are the letters they look like (RFC 4648, 6)."""


def new_code(random: bytes) -> str:
    """A code as it is printed.

    Args:
        random: `CODE_BYTES` of the system's.
    """
    letters = base64.b32encode(random).decode()[:LETTERS]
    return "-".join(letters[at : at + GROUP] for at in range(0, LETTERS, GROUP))


class SealedCodes:
    """The hashes in a state folder."""

    def __init__(self, state: Path, say: Callable[[str], None], *, wall_ns: int) -> None:
        """
        Args:
            state: The folder.
            say: Told where the file is damaged; it is set aside, and no code fits until another is prepared.
            wall_ns: The wall clock [ns since 1970 UTC].
        """
        self._path, self._say, self._wall_ns = state / FILE, say, wall_ns

    def keep(self, key: str, code: str, *, beside: str = "") -> None:
        """Keep the hash of a code.

        Args:
            key: The new credential's.
            code: As it was printed.
            beside: Key of the credential that lies ready, which stays.

        Raises:
            StoreError: it cannot be written.
        """
        ready = {name: held for name, held in self._held().items() if name == beside}
        try:
            statefile.write(self._path, json.dumps(ready | {key: _hash(key, code)}).encode(), 0o600)
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror or error}") from error

    def fits(self, key: str, typed: str) -> bool:
        """Whether what was typed is the code of this credential."""
        return hmac.compare_digest(self._held().get(key, ""), _hash(key, typed)) and bool(key)

    def _held(self) -> dict[str, str]:
        def take(found: Mapping[str, Any]) -> dict[str, str]:
            return {str(key): str(value) for key, value in found.items()}

        return statefile.load(self._path, take, self._say, wall_ns=self._wall_ns) or {}


def _hash(key: str, code: str) -> str:
    told = code.upper().translate(_TYPED)
    return hashlib.sha256(f"checkvalve break-glass\0{key}\0{told}".encode("utf-8", "replace")).hexdigest()
