"""Who may speak to a false OPC UA device, and how: policies, certificates, users.

`[server.opcua]`
    security       ["none"] unless given; `none`, `sign`, `encrypt` (Basic256Sha256)
    certificate    file of the device's own (`certificates`); made for this run where none is named
    trusted        folder of client certificates, PEM or DER, looked at with each session; without it all are taken
    users          { NAME = "PASSWORD" }: nobody else comes in, anonymous clients neither

Source: OPC 10000-7, 6.6.165 (Basic256Sha256); OPC 10000-4, 5.6.2 (sessions), 6.1.3 (trust).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from protocol.errors import ConfigError
from simulator.certificates import pair
from simulator.scene.scene import DeviceSection

POLICIES = {
    "none": ua.SecurityPolicyType.NoSecurity,
    "sign": ua.SecurityPolicyType.Basic256Sha256_Sign,
    "encrypt": ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
}


class Guests:
    """Lets in whom the scene names, or everyone, as a plain user, and counts them: nobody is an administrator here."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self.count = 0
        self.refused = 0
        self._users = dict(users)

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> Any:
        """A user who may read (the library's own manager makes whoever is called `admin` an administrator), or None."""
        if self._users:
            known = self._users.get(username or "")
            if known is None or not hmac.compare_digest(known.encode(), (password or "").encode()):
                self.refused += 1
                return None
        self.count += 1
        return User(role=UserRole.User, name=username)


async def secure(server: Any, section: DeviceSection, host: str, uri: str) -> None:
    """Give the server its policies, its certificate, its trust.

    Raises:
        ConfigError: an unknown policy, or a file that cannot be read.
    """
    settings = section.settings
    named = settings.get("security", ["none"])
    if not isinstance(named, list) or not named or any(one not in POLICIES for one in named):
        raise ConfigError(f"{section.asset}: opcua.security: {named}", hint=f"a list of {', '.join(POLICIES)}")
    server.set_security_policy([POLICIES[one] for one in named])
    if settings.get("users"):
        server.iserver.supported_tokens = (ua.UserNameIdentityToken,)
    else:
        server.iserver.supported_tokens = (ua.AnonymousIdentityToken, ua.UserNameIdentityToken)
    if named == ["none"] and not settings.get("users"):
        return
    path = settings.get("certificate")
    own = pair(f"{section.asset} (simulated)", uri, host, Path(path) if path else None)
    await server.load_certificate(own.certificate, "pem")
    await server.load_private_key(own.key, format="pem")
    if folder := settings.get("trusted"):
        where = Path(folder)
        if not where.is_dir():
            raise ConfigError(f"{section.asset}: opcua.trusted: {folder} is no folder", hint="make it, or leave it out")
        server.iserver.certificate_validator = _trusting(where)


def _trusting(folder: Path) -> Any:
    async def check(certificate: x509.Certificate, _: Any) -> None:
        own = certificate.fingerprint(hashes.SHA256())
        if own not in {one.fingerprint(hashes.SHA256()) for one in _certificates_in(folder)}:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    return check


def _certificates_in(folder: Path) -> list[x509.Certificate]:
    """The certificates in a folder; what is none is passed over."""
    out = []
    for path in sorted(folder.iterdir()):
        raw = path.read_bytes() if path.is_file() else b""
        try:
            pem = raw.startswith(b"-----BEGIN")
            out.append(x509.load_pem_x509_certificate(raw) if pem else x509.load_der_x509_certificate(raw))
        except ValueError:
            continue
    return out
