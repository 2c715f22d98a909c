"""The keys of `[[output]]` with `kind = "mqtt"`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from protocol.settings.table import Seconds
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import Protection, ServerTable, bare_address

EXAMPLE = "mqtt://127.0.0.1:1883"
PLAIN_PORT, TLS_PORT = 1883, 8883
LEVEL_LETTERS = 100
"""Most letters of a prefix, group, node, host or client id."""
JSON_ONLY, SPARKPLUG_ONLY = ("prefix", "retain", "reader_wait"), ("group", "node", "primary_host")


def _url(value: str) -> str:
    return bare_address(value, ("mqtt", "mqtts"), EXAMPLE)


def _prefix(value: str) -> str:
    levels = value.split("/")
    if not all(_plain(one) for one in levels) or value.startswith("$") or levels[0] == "spBv1.0":
        raise ValueError(
            'it is no beginning of a topic; write words between slashes without +, # and $, such as prefix = "plant/a"'
        )
    return value


def _level(value: str) -> str:
    if not _plain(value) or value.startswith("$") or "/" in value:
        raise ValueError('it is no name in a topic; write a word without /, +, # and $, such as "plant-north"')
    return value


def _group(value: str) -> str:
    if value == "STATE":
        raise ValueError('Sparkplug has that word for itself; write another, such as group = "plant-north"')
    return _level(value)


def _client_id(value: str) -> str:
    if not value.isprintable() or len(value) > LEVEL_LETTERS:
        raise ValueError('it is no client id; write a short word of its own, such as client_id = "checkvalve-low-1"')
    return value


def _plain(text: str) -> bool:
    return 0 < len(text) <= LEVEL_LETTERS and text.isprintable() and not set(text) & set("+#")


class MqttTable(ServerTable):
    """A broker, and the form that its messages have."""

    LIBRARY: ClassVar[str] = "paho"
    EXAMPLES: ClassVar[dict[str, Any]] = {**OutputTable.EXAMPLES, "url": EXAMPLE, "payload": "json"}

    url: Annotated[str, AfterValidator(_url)]
    """Where the broker is, `mqtt://host:port`, or `mqtts://`, which asks for TLS on any machine."""
    payload: Literal["json", "sparkplug"]
    """What a message is: a sample as JSON on a topic of its tag, or Sparkplug B."""
    client_id: Annotated[str, AfterValidator(_client_id)] = ""
    """Who we are to the broker, unlike any other client of it; left out: `checkvalve-NAME`."""
    version: Literal["5", "3.1.1"] = "5"
    """Of MQTT. 3.1.1 tells neither that nobody subscribes nor that a message was refused."""

    prefix: Annotated[str, AfterValidator(_prefix)] = "checkvalve"
    """What every topic begins with: `PREFIX/live/ASSET/TAG`, `PREFIX/late/ASSET/TAG`, `PREFIX/state`. JSON alone."""
    retain: bool = False
    """Whether the broker keeps the newest message of each live topic for who comes later. JSON alone."""
    reader_wait: Seconds | None = None
    """How long after a connection samples are kept back that nobody subscribes to [s]; else a minute. JSON alone."""

    group: Annotated[str, AfterValidator(_group)] = "checkvalve"
    """Group id. Sparkplug alone."""
    node: Annotated[str, AfterValidator(_level)] = "low-side"
    """Edge node id, unlike any other of its group. Sparkplug alone."""
    primary_host: Annotated[str, AfterValidator(_level)] | None = None
    """Host without which nothing is sent: it says on `spBv1.0/STATE/HOST` whether it is there. Sparkplug alone."""

    def protection(self) -> Protection:
        """As everywhere; `mqtts://` asks for it on this machine too."""
        return self.tls or ("verified" if self.url.startswith("mqtts:") else super().protection())

    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (PLAIN_PORT if self.protection() == "off" else TLS_PORT)

    def where(self) -> str:
        """The server in words."""
        host, port = self.address()
        what = self.prefix if self.payload == "json" else f"node {self.group}/{self.node}"
        return f"mqtt {host}:{port}, {what}"

    def hosts(self) -> Sequence[str]:
        """The one host."""
        return (urlsplit(self.url).hostname or "",)

    def alone(self) -> tuple[str, str] | None:
        """Two that are one node tell its host births and numbers that fit neither."""
        if self.payload == "json":
            return None
        host, port = self.address()
        return "node", f"the node {self.group}/{self.node} at {host}:{port}"

    def client(self) -> str:
        """Who we are to the broker."""
        return self.client_id or f"checkvalve-{self.name}"

    def crossed(self) -> Iterator[tuple[str, str]]:
        """Keys of the other form, a password of nobody, a scheme that says another thing than a key."""
        yield from super().crossed()
        other = SPARKPLUG_ONLY if self.payload == "json" else JSON_ONLY
        for key in other:
            if key in self.model_fields_set:
                yield key, f'it means nothing under payload = "{self.payload}"; take one of the two out'
        if self.password_file is not None and not self.user:
            yield "user", "a password without a user; write who it is the password of"
        if self.url.startswith("mqtts:") and self.tls == "off":
            yield "tls", 'it is "off", and url begins with mqtts://; take one of the two out'
