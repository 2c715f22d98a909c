"""Certificates for false devices that speak TLS or OPC UA's secure channel: self-signed, made where there is none.

A file that is named in a scene and is there is used; one that is not there is made, with its key beside it, mode 0600;
without a name one is made for this run only. They prove nothing: a plant in a box has no secrets.

Source: RFC 5280; OPC 10000-6, 6.2.2 (the application's uri stands in the subject's alternative names).
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.errors import ConfigError

BITS = 2048
"""RSA key length: what Basic256Sha256 asks for at least (OPC 10000-7, 6.6.165)."""

VALID = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


def pair(name: str, uri: str, host: str, path: Path | None = None) -> Pair:
    """The pair in `path` (certificate; the key in `path` with suffix `.key`), or a new one, kept there if named.

    Args:
        name: Common name.
        uri: Application uri, in the alternative names.
        host: Address it is served at, likewise.
        path: Where it is kept; None for this run only.

    Raises:
        ConfigError: the files cannot be read or written.
    """
    if path is None:
        return made(name, uri, host)
    key_path = path.with_suffix(".key")
    try:
        if path.exists():
            return Pair(path.read_bytes(), key_path.read_bytes())
        fresh = made(name, uri, host)
        path.write_bytes(fresh.certificate)
        with open(os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(fresh.key)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="name a file in a folder that can be written") from error
    return fresh


def made(name: str, uri: str, host: str) -> Pair:
    """A new self-signed pair."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "simulated plant"),
        ]
    )
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), x509.DNSName("localhost")]
    try:
        names.append(x509.IPAddress(ipaddress.ip_address(host)))
    except ValueError:
        names.append(x509.DNSName(host))
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
