"""Laws of the settings of outputs that feed a server: each mistake with its key and next step, no secret repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ConfigError
from protocol.settings.findings import Findings, read_table
from receiver.outputs.kafka.settings import KafkaTable
from receiver.outputs.mqtt.settings import MqttTable
from receiver.outputs.nats.settings import NatsTable
from receiver.outputs.postgresql.settings import PostgresqlTable, trusted
from receiver.outputs.shipping.server_settings import ServerTable, read_secret

SECRET = "hunter2"
TABLES: dict[str, type[ServerTable]] = {
    "postgresql": PostgresqlTable,
    "nats": NatsTable,
    "kafka": KafkaTable,
    "mqtt": MqttTable,
}
RIGHT: dict[str, dict[str, Any]] = {
    "postgresql": {"url": "postgresql://127.0.0.1/plant"},
    "nats": {"url": "nats://127.0.0.1:4222", "stream": "PLANT"},
    "kafka": {"brokers": ["127.0.0.1:9092"], "topic": "plant"},
    "mqtt": {"url": "mqtt://127.0.0.1:1883", "payload": "json"},
}


def found(kind: str, **given: Any) -> dict[str, str]:
    """Mistakes by key."""
    held = Findings()
    section = {"kind": kind, "name": "one", "scope": "all", **RIGHT[kind], **given}
    read_table(TABLES[kind], {key: value for key, value in section.items() if value is not None}, "", held)
    return held.mistakes


def table(kind: str, **given: Any) -> ServerTable:
    """The settings, which are right."""
    return TABLES[kind].model_validate({"kind": kind, "name": "one", "scope": "all", **RIGHT[kind], **given})


@pytest.mark.parametrize(
    ("kind", "key", "value", "word"),
    [
        ("postgresql", "url", None, "missing"),
        ("postgresql", "url", f"postgresql://writer:{SECRET}@db/plant", "password_file"),
        ("postgresql", "url", "127.0.0.1:5432/plant", "postgresql://"),
        ("postgresql", "url", "mysql://127.0.0.1/plant", "postgresql://"),
        ("postgresql", "url", "postgresql://127.0.0.1", "database"),
        ("postgresql", "url", "postgresql:///plant", "no server"),
        ("postgresql", "url", "postgresql://127.0.0.1:0/plant", "no server"),
        ("postgresql", "url", "postgresql://127.0.0.1:99999/plant", "no address"),
        ("postgresql", "url", "postgresql://[::1/plant", "no address"),
        ("postgresql", "url", f"postgresql://db/plant?password={SECRET}", "keys of their own"),
        ("postgresql", "schema_name", "checkvalve; DROP TABLE x", "write a-z"),
        ("postgresql", "schema_name", "pg_catalog", "write a-z"),
        ("nats", "stream", None, "missing"),
        ("nats", "url", "http://127.0.0.1:4222", "nats://"),
        ("nats", "url", f"nats://{SECRET}@127.0.0.1:4222", "password_file"),
        ("nats", "url", "nats://127.0.0.1:4222/plant", "host:port"),
        ("nats", "stream", "PLANT.X", "letters"),
        ("nats", "subject", "plant.*", "words between dots"),
        ("nats", "subject", "", "words between dots"),
        ("kafka", "brokers", None, "missing"),
        ("kafka", "brokers", [], "names none"),
        ("kafka", "brokers", ["kafka"], "host:port"),
        ("kafka", "brokers", [f"SASL://x:{SECRET}@k:9092"], "host:port"),
        ("kafka", "brokers", ["k:70000"], "host:port"),
        ("kafka", "topic", "a b", "letters"),
        ("kafka", "mechanism", "GSSAPI", "SCRAM-SHA-512"),
        ("kafka", "tls", "yes", "verified"),
        ("mqtt", "url", None, "missing"),
        ("mqtt", "url", "127.0.0.1:1883", "mqtt://"),
        ("mqtt", "url", "broker.plant", "mqtt://"),
        ("mqtt", "url", f"mqtt://writer:{SECRET}@127.0.0.1", "password_file"),
        ("mqtt", "url", "mqtt://127.0.0.1:1883/plant", "host:port"),
        ("mqtt", "url", "mqtt://:1883", "host:port"),
        ("mqtt", "payload", None, "missing"),
        ("mqtt", "payload", "xml", "sparkplug"),
        ("mqtt", "prefix", "plant/#", "words between slashes"),
        ("mqtt", "prefix", "/plant", "words between slashes"),
        ("mqtt", "prefix", "plant/+/a", "words between slashes"),
        ("mqtt", "prefix", "$SYS/plant", "words between slashes"),
        ("mqtt", "prefix", "spBv1.0/plant", "words between slashes"),
        ("mqtt", "prefix", "plant\0", "words between slashes"),
        ("mqtt", "prefix", "", "words between slashes"),
        ("mqtt", "node", "line 1", "payload"),
        ("mqtt", "keep", "9999999999d", "longer than a year"),
        ("mqtt", "primary_host", "scada", "payload"),
    ],
)
def test_a_mistake_is_told_with_its_key_and_the_next_step(kind: str, key: str, value: object, word: str) -> None:
    """One line, its key before it, what to write instead behind it, and what may be a secret nowhere."""
    told = found(kind, **{key: value})
    assert list(told) == [key]
    assert word in told[key]
    assert "; " in told[key]
    assert SECRET not in told[key]


def test_what_contradicts_between_keys_is_told() -> None:
    """Half of a name and password, certificates that nobody looks at, a scheme against a key."""
    assert list(found("kafka", user="writer")) == ["password_file"]
    assert list(found("kafka", password_file="keys/p")) == ["user"]
    assert list(found("postgresql", tls="off", ca_file="keys/ca.pem")) == ["ca_file"]
    assert list(found("mqtt", url="mqtts://127.0.0.1", tls="off")) == ["tls"]
    assert list(found("mqtt", password_file="keys/p")) == ["user"]
    assert list(found("mqtt", payload="sparkplug", retain=True, prefix="plant")) == ["prefix", "retain"]
    assert list(found("mqtt", payload="sparkplug", group="STATE", node="a/b")) == ["group", "node"]
    assert list(found("nats", url="tls://127.0.0.1:4222", tls="off")) == ["tls"]


@pytest.mark.parametrize("kind", TABLES)
def test_tls_is_on_by_itself_towards_another_machine(kind: str) -> None:
    """Off on this machine alone; what is weakened stands in words, what is not is silent."""
    away: dict[str, dict[str, Any]] = {
        "postgresql": {"url": "postgresql://db.plant/plant"},
        "nats": {"url": "nats://db.plant:4222"},
        "kafka": {"brokers": ["127.0.0.1:9092", "db.plant:9092"]},
        "mqtt": {"url": "mqtt://db.plant"},
    }
    assert (table(kind).protection(), table(kind).weakened()) == ("off", [])
    far = table(kind, **away[kind])
    assert (far.protection(), far.weakened()) == ("verified", [])
    (line,) = table(kind, **away[kind], tls="off").weakened()
    assert "readable to db.plant" in line
    (line,) = table(kind, **away[kind], tls="unverified").weakened()
    assert "not verified" in line


def test_libraries_are_told_to_verify() -> None:
    """What the settings mean reaches libpq and librdkafka."""
    far = PostgresqlTable.model_validate(
        {"kind": "postgresql", "name": "one", "scope": "all", "url": "postgresql://db.plant/plant"}
    )
    assert far.conninfo(SECRET) | {"password": ""} == {
        "host": "db.plant",
        "port": 5432,
        "dbname": "plant",
        "application_name": "checkvalve",
        "sslmode": "verify-full",
        "sslrootcert": trusted(),
        "gssencmode": "disable",
        "password": "",
    }
    section = {"kind": "kafka", "name": "one", "scope": "all", "topic": "t", "brokers": ["k:9093"]}
    kafka = KafkaTable.model_validate({**section, "user": "w", "password_file": "p"})
    assert kafka.client(SECRET)["security.protocol"] == "SASL_SSL"
    assert "enable.ssl.certificate.verification" not in kafka.client(SECRET)
    socket = PostgresqlTable.model_validate(
        {"kind": "postgresql", "name": "one", "scope": "all", "url": "postgresql://%2Frun%2Fpostgresql/plant"}
    )
    assert socket.address() == ("/run/postgresql", 5432, "plant")
    assert socket.protection() == "off"


def test_a_secret_that_cannot_be_read_is_named_and_never_shown(tmp_path: Path) -> None:
    """Missing, empty, two lines, no text: the file is named with the next step, what is in it is not."""
    cases = {"missing": None, "empty": b"\n", "two": f"{SECRET}\n{SECRET}".encode(), "odd": b"\xff" + SECRET.encode()}
    for name, data in cases.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        one = table("postgresql", password_file=str(path))
        with pytest.raises(ConfigError, match=name) as told:
            read_secret(one, path)
        assert SECRET not in str(told.value)
        assert told.value.hint
        ((key, line),) = one.look()
        assert key == "password_file"
        assert "; " in line
    (tmp_path / "right").write_text(f"{SECRET}\n")
    assert read_secret(table("nats"), tmp_path / "right") == SECRET
    assert not list(table("nats", password_file=str(tmp_path / "right")).look())
    assert [key for key, _ in table("nats", ca_file=str(tmp_path / "none"), tls="verified").look()] == ["ca_file"]
