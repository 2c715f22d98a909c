"""The library's client made to speak as the configuration says: policy, certificates, user, and whom it trusts.

The order at a connect, and where an impostor is stopped:

    GetEndpoints         in clear, only where no certificate is pinned: the certificate that the server says is its own
    OpenSecureChannel    encrypted to that certificate: who does not hold its key cannot answer
    CreateSession        the server signs; a pinned certificate must be the same, `trust` is asked about any other
    ActivateSession      only now a name, a password or a user's certificate is sent

Between the last two the library's session is looked after: a server may say that it ends at once (0), and may want a
password encrypted though the connection is not, without showing the certificate for it in CreateSession.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from cryptography import x509

from collectors import certificate_ends
from collectors.opcua.secure import trust
from collectors.opcua.secure.settings import Security
from protocol.errors import AssetError

APPLICATION_URI = "urn:checkvalve:collector"
"""Who asks, where no certificate says it."""

BAD_CERTIFICATE_UNTRUSTED = 0x801A0000
BAD_SECURITY_CHECKS_FAILED = 0x80130000
BAD_IDENTITY_TOKEN_REJECTED = 0x80210000
"""StatusCodes (OPC 10000-6, A.2)."""

SESSION_MS = 60_000
"""How long a server keeps the session of a collector that is gone [ms]: small ones have room for a handful."""

LEAST_SESSION_MS = 3_000
"""A session that ends sooner than this would need a probe a second; gopcua says 0 and means that it never ends."""


async def prepare(client: Client, security: Security, name: str) -> None:
    """Security and user, as configured, before the client connects.

    Args:
        name: Of the device, for its troubles.

    Raises:
        OSError: the server cannot be asked for its certificate, or a file cannot be read.
    """
    if security.policy != "None":
        client.application_uri = _application_uri(Path(security.certificate))
        if security.trust:
            client.certificate_validator = _validator(Path(security.trust), name)
        await client.set_security(
            getattr(security_policies, f"SecurityPolicy{security.policy}"),
            security.certificate,
            security.key,
            server_certificate=security.server_certificate or None,
            mode=getattr(ua.MessageSecurityMode, "Sign" if security.sign_only else "SignAndEncrypt"),
        )
    _attend(client, security, name)
    if security.user:
        client.set_user(security.user)
    if security.password_file:
        client.set_password(Path(security.password_file).read_text(encoding="utf-8").rstrip("\r\n"))
    if security.user_certificate:
        await client.load_client_certificate(security.user_certificate)
        await client.load_private_key(Path(security.user_key))


def _attend(client: Client, security: Security, name: str) -> None:
    """Look after each session that the library creates, before it is activated."""
    create = client.create_session

    async def create_session() -> Any:
        created = await create()
        if client.session_timeout < LEAST_SESSION_MS:
            client.session_timeout = SESSION_MS
        client._watchdog_intervall = min(client._watchdog_intervall, client.session_timeout / 3000)
        if security.password_file and not client.security_policy.peer_certificate:
            await _find_certificate(client, created, name)
        return created

    client.create_session = create_session


async def _find_certificate(client: Client, created: Any, name: str) -> None:
    """The server's certificate from the endpoint's description, where its password is to be encrypted with that.

    Raises:
        AssetError: the server shows none.
    """
    policy = client.server_policy(ua.UserTokenType.UserName)
    if policy.SecurityPolicyUri in (None, "", security_policies.SecurityPolicyNone.URI):
        return
    endpoints = [*created.ServerEndpoints, *await client.get_endpoints()]
    shown = next((bytes(one.ServerCertificate) for one in endpoints if one.ServerCertificate), b"")
    if certificate_ends.read(shown) is None:
        how = str(policy.SecurityPolicyUri).rpartition("#")[2]
        text = f"{name}: connect: the server wants the password encrypted ({how}) and shows no certificate for it"
        raise AssetError(f"{text}; set security", quality=BAD_IDENTITY_TOKEN_REJECTED)
    client.security_policy.peer_certificate = shown


def _validator(folder: Path, name: str) -> Any:
    """What asyncua asks about the server's certificate, after the server has shown that it holds the key."""

    async def validate(certificate: x509.Certificate, application: Any) -> None:
        said = trust.objection(certificate, str(application.ApplicationUri), folder, datetime.now(UTC))
        if said:
            text = f"{name}: connect: the server's certificate {said}"
            raise AssetError(text, quality=BAD_CERTIFICATE_UNTRUSTED)

    return validate


def _application_uri(path: Path) -> str:
    """The uri in the certificate: servers compare it with the one that the client names (OPC 10000-6, 6.2.2)."""
    certificate = trust.load(path)
    named = trust.application_uris(certificate) if certificate is not None else []
    return named[0] if named else APPLICATION_URI
