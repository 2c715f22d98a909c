"""How a connection to a server is secured, who asks, and whom it trusts: settings, parsed and checked. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from collectors.settings import KeyReader

POLICIES = ("None", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
"""Security policies that are not deprecated (OPC 10000-7, 6.6), and None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """How the connection is secured, and who asks."""

    policy: str
    sign_only: bool
    certificate: str
    key: str
    server_certificate: str
    """Pinned: the one certificate that the server may have."""
    trust: str
    """Folder of certificates, of servers or of whoever signs them, that are trusted."""
    user: str
    password_file: str
    user_certificate: str
    """Who asks, shown by a certificate instead of a password."""
    user_key: str

    @property
    def encrypted(self) -> bool:
        """Nothing of it can be read in a capture."""
        return self.policy != "None" and not self.sign_only


def read(keys: KeyReader) -> Security:
    policy = keys.word("security", "None", POLICIES)
    found = Security(
        policy=policy,
        sign_only=keys.word("security_mode", "SignAndEncrypt", ("SignAndEncrypt", "Sign")) == "Sign",
        certificate=_file(keys, "certificate"),
        key=_file(keys, "key"),
        server_certificate=_file(keys, "server_certificate"),
        trust=keys.text("trust"),
        user=keys.text("user"),
        password_file=_file(keys, "password_file"),
        user_certificate=_file(keys, "user_certificate"),
        user_key=_file(keys, "user_key"),
    )
    secured = policy != "None"
    for name, given in (("certificate", found.certificate), ("key", found.key)):
        if secured and not given:
            keys.wrong(name, f"{policy} needs it", f"write {name} = a .der or .pem file of this collector")
    anybody = keys.flag("trust_any", False)
    _trusted(keys, found, anybody)
    if not secured and (found.certificate or found.key or found.sign_only):
        keys.wrong("security", "None uses no certificate", f"write one of {', '.join(POLICIES[1:])}")
    if found.password_file and not found.user:
        keys.wrong("user", "a password is nobody's", "write user, or take password_file out")
    if bool(found.user_certificate) != bool(found.user_key):
        keys.wrong("user_certificate", "certificate and key go together", "name both files, or none")
    if found.user_certificate and found.user:
        keys.wrong("user_certificate", "excludes a user name", "keep one of the two")
    plain = keys.flag("plain_password", False)
    if found.password_file and not secured and not plain:
        keys.wrong(
            "password_file", "it could be sent in clear", "set security, or plain_password = true to accept that"
        )
    return found


def _trusted(keys: KeyReader, found: Security, anybody: bool) -> None:
    """A secured connection to a server that nobody knows is secured against everybody but that server."""
    ways = [bool(found.server_certificate), bool(found.trust), anybody]
    if found.policy == "None":
        for key, given in zip(("server_certificate", "trust", "trust_any"), ways, strict=True):
            if given:
                keys.wrong(key, "security None checks no certificate", "take it out, or set security")
        return
    if found.trust and not Path(found.trust).is_dir():
        keys.wrong("trust", f"there is no folder {found.trust}", "write its whole path")
    if sum(ways) != 1:
        step = "write server_certificate, or trust = a folder, or trust_any = true to accept whoever answers"
        keys.wrong("server_certificate", "who may the server be? one answer is needed", step)


def _file(keys: KeyReader, key: str) -> str:
    given = keys.text(key)
    if given and not Path(given).is_file():
        keys.wrong(key, f"there is no file {given}", "write its whole path")
    return given
