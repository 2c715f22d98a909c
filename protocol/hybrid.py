"""The hybrid keys, `open` and `recovery`: ML-KEM-768 beside X25519 (FIPS 203, RFC 7748), whose suite seals epoch keys.

    private   64 bytes: the lattice's seed      32 bytes: the curve's key
    public    1,184 bytes: the lattice's key    32 bytes: the curve's

Both have to be broken before a sealed epoch key opens, so data recorded today stay closed to a quantum computer, and to
a mistake in either. The two ends of the link hold no such key and load none of this.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite

EPOCH_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
"""Seals epoch keys (RFC 9180); 1,168 bytes for a 32-byte key."""

_SEED, _LATTICE, _CURVE = 64, 1184, 32
PRIVATE_BYTES = _SEED + _CURVE
"""Private bytes of a hybrid key; all others have 32."""


def private(raw: bytes) -> tuple[MLKEM768X25519PrivateKey, bytes]:
    """The key, and its public bytes.

    Raises:
        ValueError: not as long as a hybrid key.
    """
    if len(raw) != PRIVATE_BYTES:
        raise ValueError(f"{len(raw)} bytes; {PRIVATE_BYTES} are a private hybrid key")
    lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(raw[:_SEED])
    curve = x25519.X25519PrivateKey.from_private_bytes(raw[_SEED:])
    public_bytes = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return MLKEM768X25519PrivateKey(lattice, curve), public_bytes


def public(raw: bytes) -> MLKEM768X25519PublicKey:
    """The public key of its bytes.

    Raises:
        ValueError: not as long as one, or no point of the lattice.
    """
    if len(raw) != _LATTICE + _CURVE:
        raise ValueError(f"{len(raw)} bytes; {_LATTICE + _CURVE} are a public hybrid key")
    lattice = mlkem.MLKEM768PublicKey.from_public_bytes(raw[:_LATTICE])
    return MLKEM768X25519PublicKey(lattice, x25519.X25519PublicKey.from_public_bytes(raw[_LATTICE:]))
