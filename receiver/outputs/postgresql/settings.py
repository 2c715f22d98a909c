"""The keys of `[[output]]` with `kind = "postgresql"`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import ServerTable, here, split_address

EXAMPLE = "postgresql://127.0.0.1:5432/plant"
PORT = 5432
TRUSTED = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
"""Debian and Arch; Red Hat; SUSE."""
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,30}")


def _url(value: str) -> str:
    """The address, if it names a server and a database and nothing else."""
    parts = split_address(value, ("postgresql", "postgres"), EXAMPLE)
    if len(parts.path) < 2 or "/" in parts.path[1:]:
        raise ValueError(f'it names no database; write url = "{EXAMPLE}", with the database at its end')
    if parts.query or parts.fragment:
        raise ValueError("what stands behind ? or # is not used; write user, tls and ca_file as keys of their own")
    return value


def _schema(value: str) -> str:
    if not _SCHEMA.fullmatch(value) or value.startswith("pg_"):
        raise ValueError('it is no name of a schema; write a-z, digits and _, such as schema_name = "checkvalve"')
    return value


def trusted() -> str:
    """The file of certificates that this machine trusts, as its distribution has it.

    `system`, where none is found: libpq's own word for it, which for the libpq of psycopg's wheel is a folder that no
    distribution has (3.3.9: /usr/lib/psycopg-openssl).
    """
    found = (one for one in (ssl.get_default_verify_paths().cafile, *TRUSTED) if one and Path(one).is_file())
    return next(found, "system")


class PostgresqlTable(ServerTable):
    """A database of a PostgreSQL server, 12 or later."""

    LIBRARY: ClassVar[str] = "psycopg"
    EXAMPLES: ClassVar[dict[str, Any]] = {**OutputTable.EXAMPLES, "url": EXAMPLE}

    url: Annotated[str, AfterValidator(_url)]
    """Server and database, `postgresql://host:port/database`; a socket's folder stands percent-encoded as the host."""
    schema_name: Annotated[str, AfterValidator(_schema)] = "checkvalve"
    """Schema of the tables; made where it is missing."""

    def address(self) -> tuple[str, int, str]:
        """Host or socket's folder, port, database."""
        parts = urlsplit(self.url)
        host = unquote(parts.netloc.removesuffix(f":{parts.port}").strip("[]"))
        return host, parts.port or PORT, unquote(parts.path[1:])

    def where(self) -> str:
        """The server in words."""
        host, port, database = self.address()
        return f"postgresql {host}:{port}/{database}, schema {self.schema_name}"

    def hosts(self) -> Sequence[str]:
        """The one host."""
        return (self.address()[0],)

    def conninfo(self, password: str) -> dict[str, str | int]:
        """What libpq is told."""
        host, port, database = self.address()
        out: dict[str, str | int] = {"host": host, "port": port, "dbname": database, "application_name": "checkvalve"}
        if self.user:
            out["user"] = self.user
        if password:
            out["password"] = password
        protection = self.protection()
        out["sslmode"] = {"verified": "verify-full", "unverified": "require", "off": "disable"}[protection]
        if protection == "verified":
            out["sslrootcert"] = str(self.ca_file or trusted())
        if not here(host):
            out["gssencmode"] = "disable"
        return out
