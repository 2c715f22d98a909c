"""Whom a connection trusts: the server's certificate against a folder of certificates, without the network.

    the certificate itself lies in the folder                     trusted
    a certificate in the folder signed it, and may sign           trusted
    a revocation list (.crl) in the folder names its number       not trusted, whatever else

and in any case it must be in its time, and name the application that answers (OPC 10000-4, 6.1.3). A chain is not
followed further than that: plants put the issuer that they trust into the folder.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from collectors.certificate_ends import read

KINDS = (".der", ".cer", ".crt", ".pem")
"""Endings of certificate files."""


def objection(certificate: x509.Certificate, uri: str, folder: Path, now: datetime) -> str:
    """Why the certificate is not trusted, empty where it is.

    Args:
        certificate: The server's.
        uri: Of the application that answers.
        folder: Trusted certificates, and revocation lists.
        now: Wall time, with its zone.

    Raises:
        OSError: the folder cannot be read.
    """
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return f"is valid from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}"
    if uri not in application_uris(certificate):
        return f"does not name the application {uri!r}"
    paths = sorted(folder.iterdir())
    lists = [listed for path in paths if path.suffix == ".crl" and (listed := _revocations(path))]
    if any(_lists(listed, certificate) for listed in lists):
        return "is revoked"
    held = [one for path in paths if path.suffix in KINDS and (one := load(path))]
    if any(one == certificate or _signed(one, certificate) for one in held):
        return ""
    return f"is not in {folder}, nor is who signed it ({certificate.issuer.rfc4514_string()})"


def load(path: Path) -> x509.Certificate | None:
    """A certificate of either form; None where the file holds none."""
    return read(path.read_bytes())


def der(certificate: x509.Certificate) -> bytes:
    """As it goes over the wire."""
    return certificate.public_bytes(Encoding.DER)


def application_uris(certificate: x509.Certificate) -> list[str]:
    """The uris that a certificate names (OPC 10000-6, 6.2.2)."""
    with suppress(x509.ExtensionNotFound):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [str(uri) for uri in names.get_values_for_type(x509.UniformResourceIdentifier)]
    return []


def _signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether one signed the other, and may sign."""
    with suppress(x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        if issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            certificate.verify_directly_issued_by(issuer)
            return True
    return False


def _lists(listed: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether a revocation list of the certificate's own issuer names it; numbers of other issuers mean others."""
    if listed.issuer != certificate.issuer:
        return False
    return listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def _revocations(path: Path) -> x509.CertificateRevocationList | None:
    data = path.read_bytes()
    with suppress(ValueError):
        return x509.load_pem_x509_crl(data) if data.lstrip().startswith(b"-----") else x509.load_der_x509_crl(data)
    return None
