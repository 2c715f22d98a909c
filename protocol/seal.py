"""A block closed: sealed with the epoch's key, or signed where it must be readable without one (SPEC.md, section 4).

    sealed kinds   AES-256-GCM over the packed body, 16-byte tag at the end; bytes 0 to 23 are associated data
    signed kinds   the msgpack body, the signer's key id (8), an Ed25519 signature (64) over all before it

The header before it is told in `block.py`. The bytes made here are the block for ever: both disks keep them, so two
journals can be compared by hash alone. No I/O, no clock; random bytes are handed in.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import msgpack
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from protocol.block import HEADER, MAGIC, SIGNED_TAIL, BlockKind, read_header, signed_body
from protocol.content import body as bodies
from protocol.errors import FrameError, Reason
from protocol.hybrid import EPOCH_SUITE
from protocol.keys import PrivateKey, PublicKey, derive
from protocol.limits import WIRE_VERSION

_ASSOCIATED = 24
_CONTEXT = b"checkvalve v1 block\n"


class Seal:
    """Closes and opens the blocks of one stream and epoch."""

    def __init__(self, epoch_key: bytes, stream: bytes, epoch: int) -> None:
        """
        Args:
            epoch_key: 32 random bytes; not kept here.
            stream: The stream's 8 bytes.
            epoch: Counts from 1 in a stream.
        """
        self.stream = stream
        self.epoch = epoch
        self._aead = AESGCM(derive(epoch_key, "seal", stream + struct.pack(">I", epoch)))

    def close(self, kind: BlockKind, number: int, body: Mapping[str, Any], nonce: bytes) -> bytes:
        """The sealed block.

        Args:
            nonce: 12 random bytes.
        """
        header = HEADER.pack(MAGIC, WIRE_VERSION, kind, self.stream, number, self.epoch, nonce)
        return header + self._aead.encrypt(nonce, bodies.pack(body), header[:_ASSOCIATED])

    def open(self, block: bytes) -> dict[str, Any]:
        """The body of a sealed block of this stream and epoch.

        Raises:
            FrameError: SEAL when the bytes were changed, SIZE or BODY when what is inside cannot be read.
        """
        header = read_header(block)
        try:
            packed = self._aead.decrypt(header.nonce, block[HEADER.size :], block[:_ASSOCIATED])
        except InvalidTag:
            raise FrameError(Reason.SEAL, size=len(block)) from None
        return bodies.unpack(packed)


def sign(kind: BlockKind, stream: bytes, number: int, body: Mapping[str, Any], key: PrivateKey) -> bytes:
    """A signed block: OPEN, EPOCH or HEAD."""
    assert isinstance(key.key, Ed25519PrivateKey)
    header = HEADER.pack(MAGIC, WIRE_VERSION, kind, stream, number, 0, bytes(12))
    signed: bytes = header + msgpack.packb(body) + key.public.id
    return signed + key.key.sign(_CONTEXT + signed)


def verify(block: bytes, signers: Mapping[bytes, PublicKey]) -> dict[str, Any]:
    """The body of a signed block.

    Args:
        signers: Keys that are believed, by id.

    Raises:
        FrameError: KEY for an unknown signer, SIGNATURE, SHORT or BODY.
    """
    if len(block) < HEADER.size + SIGNED_TAIL:
        raise FrameError(Reason.SHORT, size=len(block))
    read_header(block)
    signer = signers.get(signer_id(block))
    if signer is None:
        raise FrameError(Reason.KEY, size=len(block))
    assert isinstance(signer.key, Ed25519PublicKey)
    try:
        signer.key.verify(block[-64:], _CONTEXT + block[:-64])
    except InvalidSignature:
        raise FrameError(Reason.SIGNATURE, size=len(block)) from None
    return signed_body(block)


def signer_id(block: bytes) -> bytes:
    """Id of the key that a signed block names, 8 bytes; not believed."""
    return block[-SIGNED_TAIL:-64]


def epoch_body(epoch: int, stream: bytes, epoch_key: bytes, receivers: list[PublicKey]) -> dict[str, Any]:
    """Body of an EPOCH block: the epoch's key, sealed for each receiver (HPKE, RFC 9180, 6.1)."""
    info = _epoch_info(epoch, stream)
    return {
        "epoch": epoch,
        "keys": [[public.id, _for_receiver(epoch_key, public, info)] for public in receivers],
    }


def open_epoch(body: Mapping[str, Any], stream: bytes, *held: PrivateKey) -> tuple[int, bytes]:
    """(epoch, epoch key) for this receiver.

    Args:
        held: Its `open` key, and any others that it may be sealed for: replaced ones, a `recovery` key.

    Raises:
        FrameError: KEY when it names another receiver, SIGNATURE when the sealed key does not open, BODY.
    """
    epoch, sealed = body.get("epoch"), _sealed_keys(body)
    if type(epoch) is not int or not 0 <= epoch < 2**32:
        raise FrameError(Reason.BODY, size=0)
    key = next((one for one in held if one.public.id in sealed), None)
    if key is None:
        raise FrameError(Reason.KEY, size=0)
    assert isinstance(key.key, MLKEM768X25519PrivateKey)
    try:
        secret = EPOCH_SUITE.decrypt(sealed[key.public.id], key.key, info=_epoch_info(epoch, stream))
    except (InvalidTag, ValueError):
        raise FrameError(Reason.SIGNATURE, size=0) from None
    return epoch, secret


def epoch_receivers(body: Mapping[str, Any]) -> list[bytes]:
    """Ids of the keys for which an EPOCH is sealed.

    Raises:
        FrameError: BODY.
    """
    return list(_sealed_keys(body))


def _sealed_keys(body: Mapping[str, Any]) -> dict[bytes, bytes]:
    pairs = body.get("keys")
    if type(pairs) is not list:
        raise FrameError(Reason.BODY, size=0)
    for one in pairs:
        if type(one) is not list or [type(part) for part in one] != [bytes, bytes]:
            raise FrameError(Reason.BODY, size=0)
    return dict(pairs)


def _for_receiver(epoch_key: bytes, public: PublicKey, info: bytes) -> bytes:
    assert isinstance(public.key, MLKEM768X25519PublicKey)
    return EPOCH_SUITE.encrypt(epoch_key, public.key, info=info)


def _epoch_info(epoch: int, stream: bytes) -> bytes:
    return b"checkvalve v1 epoch\n" + stream + struct.pack(">I", epoch)
