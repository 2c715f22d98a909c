"""The text that a person acknowledges before the first sign-in, and what names its version in the trail."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import ConfigError

OWN = Path(__file__).parent / "reading_policy.txt"

LARGEST = 64 * 1024
"""Of a policy [bytes]."""


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """A text and its version."""

    text: str
    version: str
    """Its first line and the beginning of its SHA-256: two texts never share one."""

    @property
    def paragraphs(self) -> list[str]:
        """As a page shows it."""
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]

    @classmethod
    def read(cls, path: Path) -> ReadingPolicy:
        """A site's own.

        Raises:
            ConfigError: it cannot be read, or is empty.
        """
        try:
            data = path.read_bytes()[: LARGEST + 1]
            text = data.decode()
        except (OSError, ValueError) as error:
            raise ConfigError(f"portal.policy: {path}: {error}", hint="name a text file in UTF-8") from error
        if not text.strip() or len(data) > LARGEST:
            raise ConfigError(
                f"portal.policy: {path} is empty, or larger than 64 KiB", hint="write what people agree to"
            )
        title = text.strip().splitlines()[0].strip()[:80]
        return cls(text, f"{title} ({hashlib.sha256(data).hexdigest()[:16]})")

    @classmethod
    def own(cls) -> ReadingPolicy:
        """The one that comes with the program."""
        return cls.read(OWN)
