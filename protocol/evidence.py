"""Heads that prove: an RFC 6962 tree over the blocks of a stream, its head signed as a C2SP checkpoint.

Entry i of a stream's tree is the SHA-256 of block i as sealed. Every minute or 4,096 blocks the packer closes an
interval with a HEAD block: the frontier before it, the entries since, and a signed note over the new root. So each
HEAD verifies alone and chains to the one before it, and a receiver can say of an interval: complete and unaltered, or
these numbers missing (their hashes known), or this number altered.

Sources: RFC 6962, 2.1 (hashes); C2SP tlog-checkpoint and signed-note (text form, Ed25519 key hash).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.errors import FrameError, Reason
from protocol.keys import PrivateKey, PublicKey

HEAD_BLOCKS = 4096
"""Most entries of one HEAD: 128 KiB of hashes, half of the largest block."""


class Tree:
    """An append-only Merkle tree in O(log n) memory (RFC 6962, 2.1)."""

    def __init__(self, size: int = 0, frontier: Iterable[bytes] = ()) -> None:
        """
        Args:
            size: Entries so far.
            frontier: Roots of the full subtrees that make it up, largest first: one for each 1 bit of `size`.
        """
        self.size = size
        self._frontier = list(frontier)
        if len(self._frontier) != size.bit_count() or any(len(node) != 32 for node in self._frontier):
            raise ValueError("frontier does not fit the size")

    @property
    def frontier(self) -> list[bytes]:
        """What a tree needs to go on from here."""
        return list(self._frontier)

    def add(self, entry: bytes) -> None:
        """Append an entry."""
        node = hashlib.sha256(b"\0" + entry).digest()
        self.size += 1
        size = self.size
        while size % 2 == 0:
            node = hashlib.sha256(b"\1" + self._frontier.pop() + node).digest()
            size //= 2
        self._frontier.append(node)

    def root(self) -> bytes:
        """The tree head; of the empty tree the hash of nothing."""
        if not self._frontier:
            return hashlib.sha256(b"").digest()
        node = self._frontier[-1]
        for left in reversed(self._frontier[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node


def checkpoint(origin: str, tree: Tree) -> str:
    """The note's text: origin, size, root (C2SP tlog-checkpoint)."""
    return f"{origin}\n{tree.size}\n{base64.b64encode(tree.root()).decode()}\n"


def sign_note(text: str, name: str, key: PrivateKey) -> str:
    """`text` with one signature line (C2SP signed-note)."""
    assert isinstance(key.key, Ed25519PrivateKey)
    signature = base64.b64encode(_key_hash(name, key.public) + key.key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {name} {signature}\n"


def open_note(note: str, name: str, key: PublicKey) -> str:
    """The text of a note that `key` signed under `name`.

    Raises:
        FrameError: BODY when it is no note, SIGNATURE when no line of it verifies.
    """
    text, blank, lines = note.rpartition("\n\n")
    if not blank:
        raise FrameError(Reason.BODY, size=len(note))
    text += "\n"
    assert isinstance(key.key, Ed25519PublicKey)
    for line in lines.splitlines():
        parts = line.split(" ")
        if len(parts) == 3 and parts[0] == "\u2014" and parts[1] == name:
            try:
                signature = base64.b64decode(parts[2], validate=True)
                if signature[:4] == _key_hash(name, key):
                    key.key.verify(signature[4:], text.encode())
                    return text
            except (ValueError, InvalidSignature):
                continue
    raise FrameError(Reason.SIGNATURE, size=len(note))


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Content of a HEAD block: an interval of a stream, closed."""

    previous: int
    """Size of the tree before it."""
    frontier: tuple[bytes, ...]
    """Frontier of that tree."""
    leaves: tuple[bytes, ...]
    """SHA-256 of the blocks `previous` to `previous + len - 1`."""
    note: str
    """Signed checkpoint of the tree with them."""


def head_body(head: Head) -> dict[str, Any]:
    """Content of a HEAD block as the map that is signed (SPEC.md, section 6.2)."""
    return {
        "previous": head.previous,
        "frontier": list(head.frontier),
        "leaves": b"".join(head.leaves),
        "note": head.note,
    }


def read_head(body: Mapping[str, Any]) -> Head:
    """Read a HEAD's body.

    Raises:
        FrameError: (BODY) it is none.
    """
    try:
        leaves = bytes(body["leaves"])
        return Head(
            previous=int(body["previous"]),
            frontier=tuple(bytes(node) for node in body["frontier"]),
            leaves=tuple(leaves[at : at + 32] for at in range(0, len(leaves), 32)),
            note=str(body["note"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FrameError(Reason.BODY, size=0) from error


def check_head(head: Head, name: str, key: PublicKey) -> tuple[bytes, bytes]:
    """(root before, root after) of a HEAD whose frontier, leaves and signed note agree.

    Raises:
        FrameError: BODY when they do not, SIGNATURE when the note is not signed by `key`.
    """
    try:
        tree = Tree(head.previous, head.frontier)
    except ValueError as error:
        raise FrameError(Reason.BODY, size=0) from error
    before = tree.root()
    for leaf in head.leaves:
        tree.add(leaf)
    if open_note(head.note, name, key) != checkpoint(name, tree):
        raise FrameError(Reason.BODY, size=0)
    return before, tree.root()


def origin(site: str, stream: bytes) -> str:
    """Name of a stream's log, as it stands in its checkpoints; no spaces or plus signs (C2SP signed-note)."""
    plain = "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in site)
    return f"checkvalve/{plain}/{stream.hex()}"


def _key_hash(name: str, key: PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + key.raw).digest()[:4]
