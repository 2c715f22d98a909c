"""The pages' TLS: a certificate from files, or an own one that is made at the first start.

An own certificate is signed by nobody, so a browser warns of it until a person has compared its fingerprint, which is
printed at each start. It is made for the address, this machine's name and the names of `[portal] names`, and made anew
when one of them is not in it or its end is near. Certificates that an organisation issues are better: browsers
trust them, and passkeys work only then.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.errors import ConfigError
from protocol.store import statefile

NAME, KEY_NAME = "portal.crt", "portal.key"

DAYS = 820
"""How long an own certificate is good [days]: some systems refuse more than 825."""

RENEW_DAYS = 30
"""It is made anew so long before its end [days]."""


@dataclass(frozen=True, slots=True)
class PortalTls:
    """What the pages are served with."""

    context: ssl.SSLContext
    fingerprint: str
    """SHA-256 of the certificate, as browsers show it."""
    own: bool
    """Made here, signed by nobody."""


def from_files(certificate: Path, key: Path) -> PortalTls:
    """A certificate that was given.

    Raises:
        ConfigError: the files cannot be read, or do not belong together.
    """
    try:
        context = _context(certificate, key)
        found = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError, IndexError) as error:
        text = f"portal.certificate: {certificate} and {key} cannot be used: {error}"
        raise ConfigError(text, hint="give a chain and its unencrypted key, both as PEM") from error
    return PortalTls(context, _fingerprint(found), own=False)


def own(state: Path, names: Sequence[str], *, wall_ns: int) -> PortalTls:
    """The own certificate, made where it is missing or does not fit any more.

    Args:
        state: Folder where it lies.
        names: Names and addresses that it is for.
        wall_ns: The wall clock [ns since 1970 UTC].

    Raises:
        ConfigError: it cannot be written.
    """
    certificate, key = state / NAME, state / KEY_NAME
    now = datetime.fromtimestamp(wall_ns / 1e9, UTC)
    found = _held(certificate, key, names, now)
    try:
        if found is None:
            found = _make(certificate, key, names, now)
        return PortalTls(_context(certificate, key), _fingerprint(found), own=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the pages' certificate cannot be made: {error}", hint=f"look at {state}") from error


def _held(certificate: Path, key: Path, names: Sequence[str], now: datetime) -> x509.Certificate | None:
    """The one that is there, where it is good for these names and some time, and has its key."""
    try:
        found = x509.load_pem_x509_certificate(statefile.read(certificate) or b"")
        held = serialization.load_pem_private_key(statefile.read(key) or b"", None)
        said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return None
    covers = {str(one.value) for one in said} >= set(names)
    timely = found.not_valid_before_utc <= now < found.not_valid_after_utc - timedelta(days=RENEW_DAYS)
    return found if covers and timely and held.public_key() == found.public_key() else None


def _make(certificate: Path, key: Path, names: Sequence[str], now: datetime) -> x509.Certificate:
    made = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Checkvalve pages of {names[0]}"[:64])])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(made, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    statefile.write(key, made.private_bytes(serialization.Encoding.PEM, *form), 0o600)
    statefile.write(certificate, built.public_bytes(serialization.Encoding.PEM), 0o644)
    return built


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key, password=_no_password)
    return context


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise ValueError("the key is encrypted")


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
