"""LINK: the link key of a session, sealed for one receiver and signed (SPEC.md, section 3.2).

     0   8   as every frame; session is drawn at random with the key
     8   8   boot      emit's start counter, rising over restarts: max(stored + 1, unix microseconds)
    16   8   counter   which session of this boot, from 0
    24   8   receiver  id of the catch key that opens it
    32   8   signer    id of the link-sign key
    40  80   the 32-byte link key, HPKE sealed (RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM)
   120  64   Ed25519 signature over bytes 0 to 119

It says "from now on tags are made with this key"; it is repeated every second and asks nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from protocol.errors import FrameError, Reason
from protocol.keys import LINK_SUITE, PrivateKey, PublicKey
from protocol.limits import WIRE_VERSION
from protocol.wire.frame import MAGIC, FrameKind

LINK = struct.Struct(">2sBBIQQ8s8s80s64s")
_SIGNED = 120
_CONTEXT = b"checkvalve v1 link\n"


@dataclass(frozen=True, slots=True)
class Link:
    """A LINK frame, read and not yet believed."""

    session: int
    boot: int
    counter: int
    receiver: bytes
    signer: bytes
    sealed: bytes

    @property
    def order(self) -> tuple[int, int]:
        """(boot, counter): what the LINK floor compares."""
        return self.boot, self.counter


def make_link(session: int, boot: int, counter: int, link_key: bytes, receiver: PublicKey, signer: PrivateKey) -> bytes:
    """A signed LINK for one receiver.

    Args:
        session: Random u32 that names the key in the frames.
        link_key: 32 random bytes.
        receiver: Its catch key.
        signer: The link-sign key.
    """
    assert isinstance(signer.key, Ed25519PrivateKey)
    assert isinstance(receiver.key, X25519PublicKey)
    head = struct.pack(
        ">2sBBIQQ8s8s", MAGIC, WIRE_VERSION, FrameKind.LINK, session, boot, counter, receiver.id, signer.public.id
    )
    signed = head + LINK_SUITE.encrypt(link_key, receiver.key, info=_CONTEXT + head)
    return signed + signer.key.sign(_CONTEXT + signed)


def read_link(datagram: bytes) -> Link:
    """Read a LINK.

    Raises:
        FrameError: SHORT or LONG; the length is exact.
    """
    if len(datagram) != LINK.size:
        raise FrameError(Reason.SHORT if len(datagram) < LINK.size else Reason.LONG, size=len(datagram))
    return Link(*LINK.unpack(datagram)[3:9])


def check_link(datagram: bytes, signers: Mapping[bytes, PublicKey]) -> Link:
    """A LINK that one of the signers made, for whatever receiver.

    Args:
        signers: link-sign keys that are believed, by id.

    Raises:
        FrameError: KEY for an unknown signer, SIGNATURE, or the length's.
    """
    link = read_link(datagram)
    signer = signers.get(link.signer)
    if signer is None:
        raise FrameError(Reason.KEY, size=len(datagram))
    assert isinstance(signer.key, Ed25519PublicKey)
    try:
        signer.key.verify(datagram[_SIGNED:], _CONTEXT + datagram[:_SIGNED])
    except InvalidSignature:
        raise FrameError(Reason.SIGNATURE, size=len(datagram)) from None
    return link


def open_link(datagram: bytes, signers: Mapping[bytes, PublicKey], own: PrivateKey) -> bytes:
    """The link key, once receiver and signature are right.

    Args:
        signers: link-sign keys that are believed, by id.
        own: The catch key.

    Raises:
        FrameError: KEY for another receiver or an unknown signer, SIGNATURE, or the length's.
    """
    if read_link(datagram).receiver != own.public.id:
        raise FrameError(Reason.KEY, size=len(datagram))
    link = check_link(datagram, signers)
    assert isinstance(own.key, X25519PrivateKey)
    try:
        return LINK_SUITE.decrypt(link.sealed, own.key, info=_CONTEXT + datagram[:40])
    except (InvalidTag, ValueError):
        raise FrameError(Reason.SIGNATURE, size=len(datagram)) from None
