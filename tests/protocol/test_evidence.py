"""Trees, notes and heads, against the published vectors."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from protocol import evidence, keymaking, keys
from protocol.errors import FrameError
from protocol.evidence import Tree

CT_LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
CT_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
SUMDB_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SUMDB_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def _signer(folder: Path) -> keys.PrivateKey:
    keymaking.make("high", folder / "high")
    return keys.load(folder / "high", "sign")


def test_tree_head_is_the_published_one() -> None:
    """The eight-leaf root of the Certificate Transparency reference tree (RFC 6962 test data)."""
    tree = Tree()
    for leaf in CT_LEAVES:
        tree.add(bytes.fromhex(leaf))
    assert tree.root().hex() == CT_ROOT
    assert Tree().root() == hashlib.sha256(b"").digest()


def test_a_published_note_opens_and_a_changed_one_does_not() -> None:
    """Go's sumdb example note (C2SP signed-note)."""
    import base64

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    raw = base64.b64decode(SUMDB_KEY.split("+", 2)[2])[1:]
    key = keys.PublicKey("sign", raw, Ed25519PublicKey.from_public_bytes(raw))
    assert evidence.open_note(SUMDB_NOTE, "PeterNeumann", key).startswith("If you think")
    with pytest.raises(FrameError):
        evidence.open_note(SUMDB_NOTE.replace("answer", "question"), "PeterNeumann", key)


def test_a_tree_goes_on_from_its_frontier() -> None:
    """Frontier and size are all that a tree needs to continue; seed 5."""
    entries = [random.Random(5).randbytes(32) for _ in range(300)]
    whole = Tree()
    for at, entry in enumerate(entries):
        again = Tree(at, whole.frontier)
        assert again.root() == whole.root()
        whole.add(entry)
        again.add(entry)
        assert again.root() == whole.root()


def test_a_head_verifies_alone_and_any_change_shows(tmp_path: Path) -> None:
    """A HEAD with one altered leaf, frontier or note is refused."""
    signer = _signer(tmp_path)
    name = evidence.origin("north plant/1", b"\x01" * 8)
    entries = [hashlib.sha256(bytes([at])).digest() for at in range(13)]
    before, after = Tree(), Tree()
    for entry in entries[:6]:
        before.add(entry)
        after.add(entry)
    for entry in entries[6:]:
        after.add(entry)
    note = evidence.sign_note(evidence.checkpoint(name, after), name, signer)
    head = evidence.Head(previous=6, frontier=tuple(before.frontier), leaves=tuple(entries[6:]), note=note)
    read = evidence.read_head(evidence.head_body(head))
    assert read == head
    assert evidence.check_head(read, name, signer.public) == (before.root(), after.root())
    wrong = [
        evidence.Head(previous=6, frontier=head.frontier, leaves=(bytes(32), *head.leaves[1:]), note=note),
        evidence.Head(previous=6, frontier=(bytes(32), *head.frontier[1:]), leaves=head.leaves, note=note),
        evidence.Head(previous=5, frontier=head.frontier, leaves=head.leaves, note=note),
        evidence.Head(previous=6, frontier=head.frontier, leaves=head.leaves[:-1], note=note),
        evidence.Head(previous=6, frontier=head.frontier, leaves=head.leaves, note=note.replace("A", "B", 1)),
    ]
    for one in wrong:
        with pytest.raises(FrameError):
            evidence.check_head(one, name, signer.public)
