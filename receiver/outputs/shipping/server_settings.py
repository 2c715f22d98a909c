"""Settings that every output has which feeds a server: who it is there, its secret, how the connection is protected.

TLS with a verified certificate is on by itself where the server is not on this machine. What weakens it is written out
(`tls = "off"`, `tls = "unverified"`) and stands in the status for as long as it is there. Secrets stand in files alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from protocol.errors import ConfigError
from protocol.settings.table import File, Seconds
from receiver.outputs.settings import OutputTable

Protection = Literal["verified", "unverified", "off"]
SECRET_BYTES = 4096
"""Longest secret that is read [bytes]."""
KEEP_MOST_S = 366 * 86_400.0
"""Longest that is kept to be sent again [s]; the store's own bound comes long before."""


def _keep(value: float) -> float:
    if value > KEEP_MOST_S:
        raise ValueError('it is longer than a year, which no store holds; write less, such as keep = "1h"')
    return value


class ServerTable(OutputTable):
    """What all of them have."""

    LIBRARY: ClassVar[str] = ""
    """Module of the library that the kind needs."""

    user: str = ""
    """Who we are at the server; empty where it asks for nobody."""
    password_file: File | None = None
    """File with the secret; the secret itself never stands in the configuration."""
    tls: Protection | None = None
    """How the connection is protected; left out: `verified` where the server is not on this machine, else `off`."""
    ca_file: File | None = None
    """Certificates that the server's is verified with; left out: those that this machine trusts."""
    keep: Annotated[Seconds, AfterValidator(_keep)] | None = None
    """How long what was acknowledged is kept, to be sent again over a new connection [s]; else as the kind needs."""

    def hosts(self) -> Sequence[str]:
        """Where the server is: names, addresses, or the folder of a socket."""
        return ()

    def where(self) -> str:
        """The server in words, without secrets, for the status."""
        return f"{self.kind} {', '.join(self.hosts())}"

    def protection(self) -> Protection:
        """What `tls` means here."""
        return self.tls or ("off" if all(here(host) for host in self.hosts()) else "verified")

    def weakened(self) -> list[str]:
        """What of the protection is switched off, a line each."""
        away = ", ".join(host for host in self.hosts() if not here(host))
        if self.tls == "off" and away:
            return [f"TLS is off: samples{' and the password' if self.password_file else ''} travel readable to {away}"]
        if self.tls == "unverified":
            return [f"the server's certificate is not verified: anybody on the way can be {away or 'the server'}"]
        return []

    def look(self) -> Iterator[tuple[str, str]]:
        """What `--check` finds beyond the values: (key, what is wrong; the next step)."""
        try:
            read_secret(self, self.password_file)
        except ConfigError as error:
            yield "password_file", f"{str(error).partition(': ')[2]}; {error.hint}"
        if self.ca_file is not None and not self.ca_file.is_file():
            yield "ca_file", f"{self.ca_file} is not there; carry the certificates of the server's authority over"
        if self.LIBRARY and find_spec(self.LIBRARY) is None:
            yield "kind", f"its library is not installed; pip install 'checkvalve-low[{self.kind}]'"

    def crossed(self) -> Iterator[tuple[str, str]]:
        """A certificate that nobody looks at."""
        if self.ca_file is not None and self.tls in ("off", "unverified"):
            yield "ca_file", f'nothing is verified with it under tls = "{self.tls}"; take one of the two out'


def here(host: str) -> bool:
    """Whether it is this machine: loopback, or a socket's folder."""
    return host.startswith(("/", "127.")) or host in ("localhost", "::1", "")


def split_address(value: str, schemes: Sequence[str], example: str) -> SplitResult:
    """The parts of a server's address without a name and password in it.

    Raises:
        ValueError: it is none; what is refused is not repeated, as it may hold a password.
    """
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(f'it is no address; write url = "{example}"') from None
    if parts.scheme not in schemes:
        known = " or ".join(f"{one}://" for one in schemes)
        raise ValueError(f'it does not begin with {known}; write url = "{example}"')
    if "@" in parts.netloc:
        raise ValueError(f'name and password do not belong in it; write user, password_file and url = "{example}"')
    if not parts.netloc or port == 0:
        raise ValueError(f'it names no server; write url = "{example}"')
    return parts


def bare_address(value: str, schemes: Sequence[str], example: str) -> str:
    """The address of a server and nothing else.

    Raises:
        ValueError: it is none.
    """
    parts = split_address(value, schemes, example)
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f'it is no {schemes[0]}://host:port; write url = "{example}"')
    return value


def read_secret(table: OutputTable, path: Path | None) -> str:
    """The secret of a file, empty where none is named.

    Raises:
        ConfigError: the file cannot be read, or holds none.
    """
    if path is None:
        return ""
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.read(SECRET_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no UTF-8 text"  # its bytes may be the secret
        hint = "write the secret into that file, readable by this user alone (mode 0600)"
        raise ConfigError(f'output "{table.name}": {path} cannot be read: {said}', hint=hint) from None
    if not secret or not secret.isprintable():
        hint = "one line, the secret and nothing else"
        raise ConfigError(f'output "{table.name}": {path} holds no secret', hint=hint)
    return secret
