"""The keys of `[[output]]` with `kind = "nats"`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator

from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import ServerTable, bare_address

EXAMPLE = "nats://127.0.0.1:4222"
PORT = 4222
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def _url(value: str) -> str:
    return bare_address(value, ("nats", "tls"), EXAMPLE)


def _stream(value: str) -> str:
    if not _STREAM.fullmatch(value):
        raise ValueError('it is no name of a stream; write letters, digits, - and _, such as stream = "PLANT"')
    return value


def _subject(value: str) -> str:
    if not _SUBJECT.fullmatch(value) or len(value) > 200:
        raise ValueError('it is no beginning of a subject; write words between dots, such as subject = "checkvalve"')
    return value


class NatsTable(ServerTable):
    """A stream of a NATS server with JetStream."""

    LIBRARY: ClassVar[str] = "nats"
    EXAMPLES: ClassVar[dict[str, Any]] = {**OutputTable.EXAMPLES, "url": EXAMPLE, "stream": "PLANT"}

    url: Annotated[str, AfterValidator(_url)]
    """Where the server is, `nats://host:port`."""
    stream: Annotated[str, AfterValidator(_stream)]
    """The stream that keeps the messages; it is there already and takes the subjects below `subject`."""
    subject: Annotated[str, AfterValidator(_subject)] = "checkvalve"
    """What every subject begins with: `checkvalve.SITE.ASSET`."""

    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or PORT

    def where(self) -> str:
        """The server in words."""
        host, port = self.address()
        return f"nats {host}:{port}, stream {self.stream}"

    def hosts(self) -> Sequence[str]:
        """The one host."""
        return (self.address()[0],)

    def crossed(self) -> Iterator[tuple[str, str]]:
        """A scheme that says another thing than the key."""
        yield from super().crossed()
        if self.url.startswith("tls:") and self.tls == "off":
            yield "tls", 'it is "off", and url begins with tls://; take one of the two out'
