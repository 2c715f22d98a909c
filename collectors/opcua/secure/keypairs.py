"""Certificates and keys opened before anything is sent: each mistake in words, at `send --check`.

asyncua takes a file for PEM where its name ends in `.pem`, for DER by any other name, and fails at the first connect
with an error of a parser. So the form, the kind of key (the policies here know RSA alone), whether key and certificate
belong together, and the uri that servers compare (OPC 10000-6, 6.2.2) are looked at here. A file that this user may not
read is somebody else's secret, and no mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from collectors.opcua.secure import trust
from collectors.opcua.secure.settings import Security

RSA = "make one with an RSA key of 2048 bits or more"


def mistakes(security: Security) -> Iterator[tuple[str, str, str]]:
    """Key of the configuration, what is wrong with its file, and the next step."""
    pairs = (("certificate", "key", True), ("user_certificate", "user_key", False))
    for name, key_name, application in pairs:
        path, key_path = getattr(security, name), getattr(security, key_name)
        certificate = key = None
        if path:
            certificate, wrong = _opened(path, "certificate")
            if not wrong and certificate is not None:
                wrong = _unfit(certificate, path, application=application)
            if wrong:
                yield name, *wrong
        if key_path:
            key, wrong = _opened(key_path, "key")
            if not wrong and key is not None and not isinstance(key, rsa.RSAPrivateKey):
                wrong = f"{key_path} holds a key that is not RSA", RSA
            if wrong:
                yield key_name, *wrong
        if certificate is not None and key is not None and _strangers(certificate, key):
            yield key_name, f"{key_path} is not the key of {path}", "name the two files that were made together"
    if security.server_certificate:
        _, wrong = _opened(security.server_certificate, "certificate")
        if wrong:
            yield "server_certificate", *wrong


def _strangers(certificate: x509.Certificate, key: Any) -> bool:
    public = certificate.public_key()
    if not isinstance(key, rsa.RSAPrivateKey) or not isinstance(public, rsa.RSAPublicKey):
        return False
    return public.public_numbers() != key.public_key().public_numbers()


def _unfit(certificate: x509.Certificate, path: str, *, application: bool) -> tuple[str, str] | None:
    if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        return f"{path} is for a key that is not RSA", RSA
    if application and not trust.application_uris(certificate):
        step = "make one with subjectAltName = URI:urn:checkvalve:collector, which servers compare"
        return f"{path} names no application", step
    return None


def _opened(path: str, kind: str) -> tuple[Any, tuple[str, str] | None]:
    """What a file holds, and what is wrong with it; neither where it may not be read."""
    try:
        stat = Path(path).stat()
        return _look(path, kind, stat.st_mtime_ns, stat.st_size)
    except PermissionError:
        return None, None
    except OSError as error:
        return None, (f"{path} cannot be read: {error.strerror}", "look at the disk")


@lru_cache(maxsize=64)
def _look(path: str, kind: str, changed_ns: int, size: int) -> tuple[Any, tuple[str, str] | None]:
    """As `_opened`; a draft of thousands of tags asks for the same file as often."""
    if not size:
        return None, (f"{path} is empty", f"copy the {kind} there again")
    data = Path(path).read_bytes()
    pem = data.lstrip().startswith(b"-----BEGIN")
    if pem is not path.lower().endswith(".pem"):
        form, ending = ("PEM", ".pem") if pem else ("not PEM", ".der")
        return None, (f"{path} is {form}, whatever its name says", f"give it a name that ends in {ending}")
    return _certificate(path, data) if kind == "certificate" else _key(path, data, pem=pem)


def _certificate(path: str, data: bytes) -> tuple[Any, tuple[str, str] | None]:
    held = trust.load(Path(path))
    if held is not None:
        return held, None
    what = "a key" if b"PRIVATE KEY-----" in data or _is_key(data) else "no certificate"
    return None, (f"{path} holds {what}", "name the certificate's own file")


def _key(path: str, data: bytes, *, pem: bool) -> tuple[Any, tuple[str, str] | None]:
    encrypted = f"{path} is encrypted with a password", "write it without one, and let nobody but this user read it"
    try:
        return (load_pem_private_key if pem else load_der_private_key)(data, None), None
    except TypeError:
        return None, encrypted
    except (ValueError, UnsupportedAlgorithm):
        what = "a certificate" if trust.load(Path(path)) is not None else "no key"
        return None, (f"{path} holds {what}", "name the key's own file")


def _is_key(data: bytes) -> bool:
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        load_der_private_key(data, None)
        return True
    return False
