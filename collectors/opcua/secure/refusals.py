"""Why a server refused a connection, in words: what it offers, whom it shows, and what a person must do there.

A server says little at this point: a StatusCode, a fault where an open channel was expected, or nothing before it hangs
up. So its endpoints are asked for in clear, and compared with what the configuration wants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asyncua import ua

from collectors import certificate_ends
from collectors.opcua.secure import trust
from collectors.opcua.secure.settings import Security

_OF_THE_USER = (
    ua.StatusCodes.BadIdentityTokenInvalid,
    ua.StatusCodes.BadIdentityTokenRejected,
    ua.StatusCodes.BadUserAccessDenied,
)
_OF_THE_CHANNEL = (ua.StatusCodes.BadSecurityModeRejected, ua.StatusCodes.BadSecurityPolicyRejected)
_OF_NO_TRUST = (
    ua.StatusCodes.BadSecurityChecksFailed,
    ua.StatusCodes.BadTcpInternalError,
    ua.StatusCodes.BadTcpMessageTypeInvalid,
    ua.StatusCodes.BadSecureChannelClosed,
    ua.StatusCodes.BadConnectionClosed,
    ua.StatusCodes.BadUnexpectedError,
    ua.StatusCodes.BadInternalError,
)
"""What servers say, beside BadCertificate.., of a certificate that they do not know, or cannot decrypt with."""

_POLICIES = "http://opcfoundation.org/UA/SecurityPolicy#"


def concerns(error: Exception, security: Security) -> bool:
    """Whether an error of connecting may be about security, so that more is worth asking for."""
    code = getattr(error, "code", None)
    if isinstance(error, TimeoutError):
        return bool(security.server_certificate)  # encrypted with another's key, it may have gone unanswered
    if code is None:
        secured = security.policy != "None"
        return isinstance(error, AssertionError | ua.UaError) or (secured and isinstance(error, ConnectionError))
    if code in (*_OF_THE_CHANNEL, *_OF_THE_USER):
        return True
    named = str(ua.StatusCode(ua.UInt32(code)).name)
    return security.policy != "None" and (code in _OF_NO_TRUST or named.startswith("BadCertificate"))


def explain(error: Exception, security: Security, offered: Sequence[Any] | None) -> str:
    """What is the matter and what to do; empty where nothing is known.

    Args:
        error: What the connecting ended in.
        offered: The server's endpoints; None where it does not tell them.
    """
    if offered is not None and security.server_certificate and (shown := _shown(offered)):
        pinned = trust.load(Path(security.server_certificate))
        if pinned is not None and not any(pinned == certificate_ends.read(one) for one in shown):
            return (
                f"the server shows another certificate ({thumbprint(shown[0])}) than the pinned server_certificate "
                f"{security.server_certificate}; is it that server, and has it a new one?"
            )
    if offered is not None and not any(_wanted(one, security) for one in offered):
        ways = "; ".join(dict.fromkeys(_way(one) for one in offered)) or "nothing"
        return (
            f"it offers {ways}, not {_asked(security)}; write security and security_mode so, or let the server offer it"
        )
    if getattr(error, "code", None) in _OF_THE_USER:
        who = f"user {security.user!r}" if security.user else "this user" if security.user_certificate else "nobody"
        return f"the server does not let {who} in; look at its users, and at user and password_file here"
    if security.policy == "None":
        return ""
    return (
        f"most often it does not trust this collector yet: let it trust {security.certificate} "
        f"({thumbprint(_own(security))}), which lies among its rejected certificates now"
    )


def thumbprint(certificate: bytes) -> str:
    """As servers show it (OPC 10000-6, 6.2.2)."""
    return "thumbprint " + hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()


def _own(security: Security) -> bytes:
    held = trust.load(Path(security.certificate))
    return trust.der(held) if held is not None else b""


def _shown(offered: Sequence[Any]) -> list[bytes]:
    """The certificates that the server shows, each once."""
    return list(dict.fromkeys(bytes(one.ServerCertificate) for one in offered if one.ServerCertificate))


def _wanted(endpoint: Any, security: Security) -> bool:
    return str(endpoint.SecurityPolicyUri) == _POLICIES + security.policy and endpoint.SecurityMode == _mode(security)


def _mode(security: Security) -> Any:
    modes = ua.MessageSecurityMode
    return modes.None_ if security.policy == "None" else modes.Sign if security.sign_only else modes.SignAndEncrypt


def _asked(security: Security) -> str:
    return security.policy if security.policy == "None" else f"{security.policy} with {_mode(security).name}"


def _way(endpoint: Any) -> str:
    policy = str(endpoint.SecurityPolicyUri).removeprefix(_POLICIES)
    mode = endpoint.SecurityMode.name.removesuffix("_")
    return policy if policy == "None" else f"{policy} with {mode}"
