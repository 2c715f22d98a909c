"""The keys of `[[output]]` with `kind = "influx"`, and the secret that one of them names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from protocol.errors import ConfigError
from protocol.settings.findings import nearest
from protocol.settings.table import File
from receiver.outputs.influx.server_kind import AUTO, KINDS
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import here

EXAMPLE = "http://127.0.0.1:8086"


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not value.isprintable() or " " in value:
        raise ValueError(f'it is no http://host:port; write url = "{EXAMPLE}"')  # a password may stand in it
    if "@" in parts.netloc:
        raise ValueError(
            "name and password do not belong in it; write them as NAME:PASSWORD into the file of token_file, "
            f'and url = "{EXAMPLE}"'
        )
    if "?" in value or "#" in value:
        raise ValueError(f'what stands behind ? or # is not used; write bucket and org as keys, and url = "{EXAMPLE}"')
    if parts.path.rstrip("/").endswith("/write"):
        raise ValueError(f'the path of writing is found by itself; write url = "{EXAMPLE}" without it')
    return value


def _bucket(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError('it is no name of a bucket; write the one that the server has, such as bucket = "plant"')
    return value


def _server(value: str) -> str:
    if value != AUTO and value not in KINDS:
        known = ", ".join((AUTO, *KINDS))
        near = nearest(value, KINDS)
        raise ValueError(
            f'"{value}" is no server that is known; {f"did you mean {near}? " if near else ""}write one of {known}'
        )
    return value


class InfluxTable(OutputTable):
    """A server that takes InfluxDB line protocol."""

    EXAMPLES: ClassVar[dict[str, Any]] = {**OutputTable.EXAMPLES, "url": EXAMPLE, "bucket": "plant"}

    url: Annotated[str, AfterValidator(_url)]
    """Where the server is, `http://host:port`."""
    token_file: File | None = None
    """File with the secret that the server asks for; the secret itself never stands in the configuration."""
    org: str = ""
    """Organisation."""
    bucket: Annotated[str, Field(min_length=1), AfterValidator(_bucket)]
    """Bucket; InfluxDB 1.x: the database, or `database/policy`."""
    server: Annotated[str, AfterValidator(_server)] = AUTO
    """What it is: influxdb, victoria-metrics, questdb or telegraf; auto: it is asked."""

    def look(self) -> Iterator[tuple[str, str]]:
        """The token's file must be there, and hold a token."""
        try:
            read_token(self)
        except ConfigError as error:
            yield "token_file", f"{str(error).partition(': ')[2]}; {error.hint}"

    def weakened(self) -> list[str]:
        """What of the protection is switched off, a line each."""
        parts = urlsplit(self.url)
        if parts.scheme == "https" or here(parts.hostname or ""):
            return []
        return [f"TLS is off: samples{' and the token' if self.token_file else ''} travel readable to {parts.hostname}"]


def read_token(table: InfluxTable) -> str:
    """The secret, empty where none is asked for.

    Raises:
        ConfigError: the file cannot be read, or holds no token.
    """
    path: Path | None = table.token_file
    if path is None:
        return ""
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no UTF-8 text"  # its bytes may be the token
        hint = "write the token into that file, readable by this user alone (mode 0600)"
        raise ConfigError(f'output "{table.name}": {path} cannot be read: {said}', hint=hint) from None
    if not token or any(not "!" <= letter <= "~" for letter in token):
        hint = "one line, the token and nothing else"
        raise ConfigError(f'output "{table.name}": {path} holds no token', hint=hint)
    return token
