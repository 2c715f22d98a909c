"""The keys of `[[output]]` with `kind = "kafka"`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator

from protocol.settings.table import one_or_more
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping.server_settings import ServerTable

EXAMPLE = ["127.0.0.1:9092"]
_BROKER = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _brokers(value: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses of brokers; what is refused may hold a password."""
    if not value:
        raise ValueError(f'it names none; write brokers = ["{EXAMPLE[0]}"]')
    for one in value:
        found = _BROKER.fullmatch(one)
        if found is None or not 0 < int(found["port"]) < 2**16:
            raise ValueError(
                f'one of them is no host:port; write brokers = ["{EXAMPLE[0]}"], without a scheme or a name'
            )
    return value


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value) or value in (".", ".."):
        raise ValueError('it is no name of a topic; write letters, digits, ., - and _, such as topic = "plant"')
    return value


class KafkaTable(ServerTable):
    """A topic of a Kafka cluster."""

    LIBRARY: ClassVar[str] = "confluent_kafka"
    EXAMPLES: ClassVar[dict[str, Any]] = {**OutputTable.EXAMPLES, "brokers": EXAMPLE, "topic": "plant"}

    brokers: Annotated[tuple[str, ...], BeforeValidator(one_or_more), AfterValidator(_brokers)]
    """Some of its brokers, `host:port` each; the others are learned from them."""
    topic: Annotated[str, AfterValidator(_topic)]
    """The topic, which is there already."""
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """How user and password are shown to the brokers (SASL)."""

    def where(self) -> str:
        """The server in words."""
        return f"kafka {', '.join(self.brokers)}, topic {self.topic}"

    def hosts(self) -> Sequence[str]:
        """Of the brokers that are named."""
        return [one.rpartition(":")[0].strip("[]") for one in self.brokers]

    def crossed(self) -> Iterator[tuple[str, str]]:
        """A name without a password, or a password without a name."""
        yield from super().crossed()
        if bool(self.user) != bool(self.password_file):
            other = "password_file" if self.user else "user"
            yield other, "it is missing beside the other of the two; write user and password_file, or neither"

    def client(self, password: str) -> dict[str, str | int | bool]:
        """What librdkafka is told of the brokers and of us."""
        protection = self.protection()
        parts = ("SASL_" if self.user else "", "PLAINTEXT" if protection == "off" else "SSL")
        out: dict[str, str | int | bool] = {
            "bootstrap.servers": ",".join(self.brokers),
            "security.protocol": "".join(parts),
            "client.id": "checkvalve",
        }
        if self.user:
            out |= {"sasl.mechanism": self.mechanism, "sasl.username": self.user, "sasl.password": password}
        if protection == "unverified":
            out["enable.ssl.certificate.verification"] = False
        if self.ca_file is not None and protection == "verified":
            out["ssl.ca.location"] = str(self.ca_file)
        return out
