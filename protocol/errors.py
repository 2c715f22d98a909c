"""The error families, sorted by who must act (the exit code follows: 2 operator, 3 disk, 1 anything else)."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why bytes from the link were refused. Short, so that it can label a counter."""

    SHORT = "short"
    """Fewer bytes than the kind's smallest frame."""
    LONG = "long"
    """More bytes than the kind can have, or a length that does not match the header."""
    MAGIC = "magic"
    """The first two bytes are not `CV`."""
    VERSION = "version"
    """A wire version this build does not read; shown by number on the page."""
    KIND = "kind"
    """A frame kind this build does not know."""
    GEOMETRY = "geometry"
    """need, spare, index or size contradict each other or the limits."""
    SESSION = "session"
    """No link key is known for this session (yet)."""
    TAG = "tag"
    """The authentication tag does not fit."""
    KEY = "key"
    """A LINK whose signer is not in the list, or a block that names a key which is not here."""
    RECEIVER = "receiver"
    """A LINK that a known signer made, in a session of which none was for this receiver."""
    SIGNATURE = "signature"
    """A signature that does not verify, or a sealed key that does not open."""
    FLOOR = "floor"
    """A LINK or BEAT below what was already accepted: an old one, sent again."""
    RATE = "rate"
    """More new LINK frames than are verified in a second."""
    FULL = "full"
    """The place where it would wait is full; the oldest went."""
    DOUBLE = "double"
    """A shard that is there already, or one of a block that is already journaled."""
    HASH = "hash"
    """A block number that is already held with other bytes."""
    BODY = "body"
    """Authentic, but its content cannot be read: a newer sender, or a bug."""
    SIZE = "size"
    """It would unpack to more than the limit."""
    SEAL = "seal"
    """A block that its epoch key does not open."""


class CheckvalveError(Exception):
    """Root of the families below; nothing raises it directly."""


class ConfigError(CheckvalveError):
    """The operator's to mend, at start; exit 2.

    Args:
        text: What is wrong and where (file, key, line, device, address).
        hint: The next step, one sentence.
    """

    def __init__(self, text: str, *, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class AssetError(CheckvalveError):
    """The plant's: mark the samples bad, keep polling.

    Args:
        text: What the device did.
        quality: OPC UA StatusCode for the samples that could not be read (see `sample.Quality`).
        native: The protocol's own code (Modbus exception, CIP general status), 0 where it has none.
    """

    def __init__(self, text: str, *, quality: int, native: int = 0) -> None:
        super().__init__(text)
        self.quality = quality
        self.native = native


class FrameError(CheckvalveError):
    """The link delivered bytes that are no frame, or a block that cannot be read. Count by reason, drop, go on."""

    def __init__(self, reason: Reason, *, size: int) -> None:
        super().__init__(f"{reason} ({size} bytes)")
        self.reason = reason
        self.size = size


class HeldError(CheckvalveError):
    """Another living process holds what only one may: exit 1, so that a supervisor tries again; that one may be ending.

    Args:
        text: What is held.
    """


class StoreError(CheckvalveError):
    """A failing (not a full) disk: stop, exit 3, lose nothing quietly."""
