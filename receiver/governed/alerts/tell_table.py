"""`[[tell]]` of `access.toml`: by which ways security is told, at once, of what cannot wait.

    [[tell]]
    name = "security-mail"               names the way in the trail
    kind = "mail"                        mail, webhook or syslog
    url = "smtp://mail.plant.example:587"
    sender = "checkvalve@plant.example"
    to = ["security@plant.example"]
    user = "checkvalve"
    password_file = "keys/mail.secret"

TLS with a verified certificate is what each kind does by itself: `smtp://` asks for STARTTLS and `smtps://` speaks TLS
from the start; a webhook is `https://`; syslog is `tls://`. Without TLS only this machine is reached, but for syslog,
where `tcp://` and `udp://` have to be written. UDP is confirmed by nobody, so it never counts as delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from protocol.settings.table import File, SettingsTable, one_or_more
from receiver.outputs.shipping.server_settings import here, split_address

SCHEMES = {"mail": ("smtp", "smtps"), "webhook": ("https", "http"), "syslog": ("tls", "tcp", "udp")}
PORTS = {"smtp": 587, "smtps": 465, "https": 443, "http": 80, "tls": 6514, "tcp": 601, "udp": 514}
"""Where nothing is written (RFC 6409, 8314, 5425, 6587, 5426)."""


def _name(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError('it is no name; write a word of its own, such as name = "security-mail"')
    return value


def _address(value: str) -> str:
    name, at, domain = value.rpartition("@")
    if not (name and at and domain and value.isascii() and value.isprintable()) or set(value) & set(' <>,;:\\"'):
        raise ValueError('it is no address; write one such as "security@plant.example"')
    return value


class TellTable(SettingsTable):
    """One way."""

    EXAMPLES: ClassVar[dict[str, Any]] = {
        "name": "security-mail",
        "kind": "mail",
        "url": "smtp://mail.plant.example:587",
    }

    name: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_name)]
    """Names it in the trail; unlike any other."""
    kind: Literal["mail", "webhook", "syslog"]
    """What is spoken."""
    url: str
    """Where the server is."""
    sender: Annotated[str, AfterValidator(_address)] | None = None
    """Mail alone: whom it comes from."""
    to: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], BeforeValidator(one_or_more)] = ()
    """Mail alone: who is told; several people, so that one on leave is none."""
    user: str = ""
    """Mail alone: who we are at the server; left out, it asks for nobody."""
    password_file: File | None = None
    """File with the password of `user`, or with the token of a webhook; never in this file."""
    ca_file: File | None = None
    """Certificates that the server's is verified with; left out: those that this machine trusts."""
    alerts: bool = True
    """Alerts go this way too, not only broken glass and emergencies."""

    @property
    def where(self) -> tuple[str, str, int]:
        """Scheme, host, port."""
        parts = split_address(self.url, SCHEMES[self.kind], self.EXAMPLES["url"])
        return parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]

    @property
    def confirms(self) -> bool:
        """Whether the other end takes it, or nobody knows."""
        return self.where[0] != "udp"

    def weaknesses(self) -> Iterator[tuple[str, str]]:
        """Key and text of what may be meant but looks wrong, before an emergency finds out."""
        scheme, host, _ = self.where
        if scheme in ("tcp", "udp") and not here(host):
            yield "url", f"{scheme}:// is readable on the way, and anybody there can forge it; write tls://"
        for key, path in (("password_file", self.password_file), ("ca_file", self.ca_file)):
            if path is not None and not path.is_file():
                yield key, f"{path} is not there yet; make it, readable by the user of the pages alone"

    def crossed(self) -> Iterator[tuple[str, str]]:
        """What does not fit together."""
        try:
            scheme, host, _ = self.where
        except ValueError as error:
            yield "url", str(error)
            return
        if not host:
            yield "url", "it names no server"
        if scheme == "http" and not here(host):
            yield "url", "http:// reaches this machine alone; write https://"
        if self.kind == "mail":
            if self.sender is None:
                yield "sender", 'missing; write whom it comes from: sender = "checkvalve@plant.example"'
            if not self.to:
                yield "to", 'missing; write who is told: to = ["security@plant.example"]'
        for key, given in (("sender", self.sender), ("to", self.to), ("user", self.user)):
            if given and self.kind != "mail":
                yield key, f"for mail alone; take it out of a {self.kind}"
        if self.kind == "mail" and bool(self.user) != (self.password_file is not None):
            yield "password_file", "user and password_file stand together or not at all"
        if self.kind == "syslog" and self.password_file is not None:
            yield "password_file", "syslog has no password; take it out"
        if self.ca_file is not None and scheme in ("tcp", "udp", "http"):
            yield "ca_file", f"nothing is verified with it over {scheme}://; take it out"
