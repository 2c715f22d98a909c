"""What is wrong with a certificate or a key is said at `--check`, before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from opcua_reading import device

from collectors.opcua.config import mistakes

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def certificate(key: Any, uri: str = "urn:test:collector") -> x509.Certificate:
    """Self-signed."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "collector")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=30))
    if uri:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        made = made.add_extension(names, critical=False)
    return made.sign(key, hashes.SHA256())


def private(key: Any, form: Encoding = Encoding.PEM, password: bytes = b"") -> bytes:
    """A key as it stands in a file."""
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return bytes(key.private_bytes(form, PrivateFormat.PKCS8, how))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are right, and files that are not."""
    made: Path = tmp_path_factory.mktemp("files")
    own, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    curve = ec.generate_private_key(ec.SECP256R1())
    held = {
        "own.der": certificate(own).public_bytes(Encoding.DER),
        "own.cert.pem": certificate(own).public_bytes(Encoding.PEM),
        "own.pem": private(own),
        "own.key": private(own, Encoding.DER),
        "pem.key": private(own),
        "der.pem": private(own, Encoding.DER),
        "pem.der": certificate(own).public_bytes(Encoding.PEM),
        "encrypted.pem": private(own, password=b"secret"),
        "encrypted.key": private(own, Encoding.DER, b"secret"),
        "curve.pem": private(curve),
        "curve.der": certificate(curve).public_bytes(Encoding.DER),
        "other.pem": private(other),
        "nameless.der": certificate(own, "").public_bytes(Encoding.DER),
        "empty.der": b"",
        "empty.pem": b"",
        "text.der": b"no certificate",
        "text.pem": b"-----BEGIN NOTHING-----\n",
    }
    for name, data in held.items():
        (made / name).write_bytes(data)
    return made


def check(folder: Path, cert: str, key: str, **more: str) -> list[str]:
    """The mistakes of a secured connection with these files."""
    also: dict[str, Any] = {name: str(folder / file) for name, file in more.items()} or {"trust_any": True}
    settings: dict[str, Any] = {
        "security": "Basic256Sha256",
        "certificate": str(folder / cert),
        "key": str(folder / key),
    }
    return mistakes(device("opc.tcp://h", [{"name": "t", "at": "i=2258"}], **settings | also))


@pytest.mark.parametrize(("cert", "key"), [("own.der", "own.pem"), ("own.cert.pem", "own.key")])
def test_files_that_are_right_are_no_mistake(folder: Path, cert: str, key: str) -> None:
    """In either form, under either name."""
    assert check(folder, cert, key) == []
    assert check(folder, cert, key, server_certificate="own.der") == []


@pytest.mark.parametrize(
    ("cert", "key", "named", "what"),
    [
        ("own.der", "pem.key", "key", "is PEM, whatever its name says; give it a name that ends in .pem"),
        ("own.der", "der.pem", "key", "is not PEM, whatever its name says; give it a name that ends in .der"),
        ("pem.der", "own.pem", "certificate", "is PEM, whatever its name says"),
        ("own.der", "encrypted.pem", "key", "is encrypted with a password"),
        ("own.der", "encrypted.key", "key", "is encrypted with a password"),
        ("own.der", "curve.pem", "key", "holds a key that is not RSA"),
        ("curve.der", "own.pem", "certificate", "is for a key that is not RSA"),
        ("own.der", "other.pem", "key", "is not the key of"),
        ("nameless.der", "own.pem", "certificate", "names no application"),
        ("empty.der", "own.pem", "certificate", "is empty"),
        ("own.der", "empty.pem", "key", "is empty"),
        ("text.der", "own.pem", "certificate", "holds no certificate"),
        ("own.key", "own.pem", "certificate", "holds a key"),
        ("own.pem", "own.pem", "certificate", "holds a key"),
        ("own.der", "own.cert.pem", "key", "holds a certificate"),
        ("own.der", "text.pem", "key", "holds no key"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(folder: Path, cert: str, key: str, named: str, what: str) -> None:
    """One line, with the key of the configuration and the file."""
    (line,) = check(folder, cert, key)
    assert line.startswith(f"opcua.{named}: {folder / (cert if named == 'certificate' else key)} ")
    assert what in line


def test_a_pinned_certificate_and_a_users_are_opened_too(folder: Path) -> None:
    """The user's needs no uri."""
    (line,) = check(folder, "own.der", "own.pem", server_certificate="empty.der")
    assert line.startswith("opcua.server_certificate: ")
    user = {"server_certificate": "own.der", "user_certificate": "nameless.der"}
    assert check(folder, "own.der", "own.pem", **user, user_key="own.pem") == []
    (line,) = check(folder, "own.der", "own.pem", **user, user_key="other.pem")
    assert line.startswith("opcua.user_key: ")
