"""Key files: who holds what, and how two people compare them by eye (SPEC.md, section 2).

    kind        side   does                                        algorithm
    sign        high   signs OPEN, EPOCH, HEAD (poll)              Ed25519 (RFC 8032)
    link-sign   high   signs LINK (emit)                           Ed25519
    catch       low    opens link keys: tags, nothing else         X25519 (RFC 7748)
    open        low    opens epoch keys: the data (publish)        ML-KEM-768 + X25519 (FIPS 203, RFC 9180)
    recovery    safe   as `open`, kept offline                     as `open`
    trail       root   signs checkpoints and segments of a trail   Ed25519
    recommend   low    signs recommendations that are carried in   Ed25519

A key file is one line, `checkvalve-key-v1 KIND BASE64`, mode 0600; its public half stands beside it as `KIND.pub`
(`checkvalve-key-v1 KIND.pub BASE64`). `DIR.pub` gathers the public lines of a side: that file is carried across.
A key's id is the first 8 bytes of the SHA-256 of its public bytes, its fingerprint the whole, in groups of four.

What `open` and `recovery` are made of stands in `hybrid.py`. It is loaded when such a key is met: the two ends of the
link take theirs out of a bundle by its kind, and never load it.
"""

from __future__ import annotations

import base64
import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.errors import ConfigError

LABEL = "checkvalve-key-v1"
SIGNING = ("sign", "link-sign", "trail", "recommend")
"""Kinds that sign, by Ed25519."""
ALONE = ("recovery", "trail", "recommend")
"""Kinds that are a key by themselves, made as the only one."""
SIDES = {"high": ("sign", "link-sign"), "low": ("catch", "open")} | {one: (one,) for one in ALONE}
"""Which kinds `keys new SIDE` makes (keymaking.py)."""

LINK_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
"""Seals link keys (RFC 9180, 7.1: DHKEM(X25519, HKDF-SHA256)); 80 bytes for a 32-byte key."""

Private: TypeAlias = Ed25519PrivateKey | x25519.X25519PrivateKey | MLKEM768X25519PrivateKey
Public: TypeAlias = Ed25519PublicKey | x25519.X25519PublicKey | MLKEM768X25519PublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key and its name."""

    kind: str
    raw: bytes
    key: Public

    @property
    def id(self) -> bytes:
        """First 8 bytes of the SHA-256 of the public bytes; names the key on the wire."""
        return hashlib.sha256(self.raw).digest()[:8]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public bytes in hex, in groups of four, for comparing by eye."""
        text = hashlib.sha256(self.raw).hexdigest()
        return " ".join(text[at : at + 4] for at in range(0, 64, 4))


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key with its public half; never printed."""

    kind: str
    key: Private
    public: PublicKey

    def __repr__(self) -> str:
        return f"PrivateKey({self.kind}, {self.public.id.hex()})"


def load(folder: Path, kind: str) -> PrivateKey:
    """Read `folder/kind.key`.

    Raises:
        ConfigError: missing, readable by others, or not a key of that kind.
    """
    path = folder / f"{kind}.key"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("ascii")
    except FileNotFoundError:
        side = next(side for side, kinds in SIDES.items() if kind in kinds)
        raise ConfigError(f"no key file {path}", hint=f"checkvalve keys new {side} {folder}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    if mode & 0o077:
        raise ConfigError(f"{path} can be read by others (mode {mode:04o})", hint=f"chmod 600 {path}")
    try:
        return from_bytes(kind, parse_line(path, text.strip(), kind))
    except ValueError:
        raise ConfigError(f"{path}: the key's bytes are not a {kind} key", hint="make new keys") from None


def load_public(path: Path, kind: str | None = None) -> list[PublicKey]:
    """Read the public lines of a `.pub` file.

    Args:
        kind: Only these; of the others nothing but their kind is read, which may be one of a later version.

    Raises:
        ConfigError: missing, without any line, or a line that is no public key.
    """
    try:
        lines = [line.strip() for line in path.read_text("ascii").split("\n") if line.strip()]
    except FileNotFoundError:
        raise ConfigError(f"no public key file {path}", hint="carry it over from the other side") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    if not lines:
        raise ConfigError(f"{path} holds no key")
    out = []
    for line in lines:
        said = line.split(" ")[1].removesuffix(".pub") if line.count(" ") == 2 else "?"
        raw = parse_line(path, line, f"{said}.pub")
        if kind in (None, said):
            try:
                out.append(public_from_bytes(said, raw))
            except ValueError:
                raise ConfigError(f"{path}: not a public key: {line[:40]}..") from None
    return out


def derive(secret: bytes, label: str, context: bytes) -> bytes:
    """32 bytes by HKDF-SHA256 (RFC 5869), `label` and context in `info`."""
    info = b"checkvalve v1 " + label.encode() + b"\n" + context
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


def from_bytes(kind: str, raw: bytes) -> PrivateKey:
    """A key from its private bytes (SPEC.md, section 2).

    Raises:
        ValueError: not a key of that kind.
    """
    if kind in SIGNING:
        sign = Ed25519PrivateKey.from_private_bytes(raw)
        return PrivateKey(kind, sign, PublicKey(kind, sign.public_key().public_bytes_raw(), sign.public_key()))
    if kind == "catch":
        dh = x25519.X25519PrivateKey.from_private_bytes(raw)
        return PrivateKey(kind, dh, PublicKey(kind, dh.public_key().public_bytes_raw(), dh.public_key()))
    from protocol import hybrid

    key, public = hybrid.private(raw)
    return PrivateKey(kind, key, public_from_bytes(kind, public))


def public_from_bytes(kind: str, raw: bytes) -> PublicKey:
    """A public key from its bytes.

    Raises:
        ValueError: not a key of that kind.
    """
    if kind in SIGNING:
        return PublicKey(kind, raw, Ed25519PublicKey.from_public_bytes(raw))
    if kind == "catch":
        return PublicKey(kind, raw, x25519.X25519PublicKey.from_public_bytes(raw))
    if kind not in ("open", "recovery"):
        raise ValueError(kind)
    from protocol import hybrid

    return PublicKey(kind, raw, hybrid.public(raw))


def parse_line(path: Path, line: str, kind: str) -> bytes:
    """The bytes in the line of a key file, which must say this kind; else a ConfigError."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != LABEL:
        raise ConfigError(f"{path} is no key file: it does not begin with '{LABEL} KIND'")
    if parts[1] != kind:
        raise ConfigError(f"{path} holds a key of the kind {parts[1]} where one of the kind {kind} belongs")
    try:
        return base64.b64decode(parts[2], validate=True)
    except ValueError:
        raise ConfigError(f"{path}: the key is not base64") from None
