"""Laws of JSON messages on a real broker: killed under load, nobody there, full, refused, hostile names, no secrets."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mqtt_peer import DurableReader, MosquittoBroker
from shipping_fake import keys

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.mqtt.output import MqttOutput
from receiver.outputs.mqtt.settings import MqttTable
from receiver.outputs.mqtt.topics import level, name_of
from receiver.outputs.shipping.shipment import gather
from receiver.outputs.testing.feed import T0_NS, block, samples

KILLS, SOAK_KILLS = 5, 50
SECRET = "s3cret-word"


def output(folder: Path, url: str, prefix: str, **given: Any) -> MqttOutput:
    """An output of the real broker, below a prefix."""
    section = {"kind": "mqtt", "name": "bus", "scope": "all", "url": url, "payload": "json", "prefix": prefix}
    told = {"client_id": prefix, **section, **given}
    return MqttOutput.build(MqttTable.model_validate(told).beside(folder), folder, wait=time.sleep)


def stepped(one: MqttOutput, until: Callable[[], object], most_s: float = 40) -> None:
    """Step until something holds; waits of the output pass at once."""
    now, ends = one._now, time.monotonic() + most_s
    while not until():
        assert time.monotonic() < ends, one.status()
        now += max(one.step(now), 0.001)


def sent(one: MqttOutput) -> bool:
    """Everything was acknowledged or set aside."""
    return not one.status()["behind_blocks"]


def values(reader: DurableReader, word: str) -> dict[str, list[dict[str, Any]]]:
    """What the reader heard of live or late topics, by topic."""
    out = defaultdict(list)
    for topic, body, _ in [*reader.heard]:
        if topic.split("/")[1] == word:
            out[topic].append(json.loads(body))
    return out


def of_names(number: int, names: list[tuple[str, str]], *, ago_s: float = 0) -> OpenedBlock:
    """A block with a sample of each asset and tag, completed so long ago."""
    tags = {at: Tag(id=at, asset=asset, name=tag, type="int64") for at, (asset, tag) in enumerate(names)}
    assets = {asset: Asset(name=asset) for asset, _ in names}
    of = StreamDescription(key=b"stream-9", boot=7, site="s", assets=assets, tags=tags)
    rows = [Row(at, T0_NS + number, number * 1000 + at) for at in range(len(names))]
    received_ns = time.time_ns() - int(ago_s * 1e9)
    body = BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0)
    return OpenedBlock(stream=of, number=number, healed=False, received_ns=received_ns, body=body)


@pytest.mark.parametrize("kills", [KILLS, pytest.param(SOAK_KILLS, marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
def test_a_killed_broker_costs_no_sample(kills: int, broker: MosquittoBroker, tmp_path: Path) -> None:
    """SIGKILL under load, again and again, each time with all that it held in memory: a reader has every sample."""
    seed = random.randrange(2**32)
    chance, prefix = random.Random(seed), f"killed{kills}"
    reader = DurableReader(broker.port, [f"{prefix}/#"], f"reader-{prefix}")
    # virtual waits pass at once here: what is held is held for all of the test
    one, given, number = output(tmp_path, broker.url, prefix, keep="365d"), [], 0
    for _ in range(kills):
        killer = threading.Timer(chance.uniform(0.02, 0.2), broker.stop)
        killer.start()
        while killer.is_alive():
            given += (blocks := [samples(number + at) for at in range(20)])
            one.take(blocks, b"%d" % number)
            number += 20
            one.step(one._now + 0.01)
        killer.join()
        given.append(samples(number))
        one.take(given[-1:], b"%d" % number)
        number += 1
        stepped(one, lambda: one.status()["trouble"])
        assert one.status()["next_step"]
        broker.start()
        stepped(one, lambda: sent(one))
    assert one.status()["resent"], "nothing was sent again after a kill"
    one.close()
    wanted = {key for _, shipment in gather(given, T0_NS) for key in keys(shipment)}

    seen: set[Any] = set()
    read = 0

    def held() -> set[Any]:
        nonlocal read
        while read < len(reader.heard):  # each once: what is asked after every message must not read all of them again
            topic, body, _ = reader.heard[read]
            read += 1
            if not topic.endswith("/state"):
                x = json.loads(body)
                seen.add((bytes.fromhex(x["stream"]), x["number"], x["asset"], x["rank"]))
        return seen

    try:
        reader.until(lambda: held() >= wanted, 60)
    finally:
        assert held() == wanted, f"seed {seed}: {len(wanted - held())} of {len(wanted)} lost"
        reader.close()


def test_every_name_is_its_own_level_and_comes_back() -> None:
    """Wildcards, slashes, NUL, dollars, dots, any script, nothing at all: hundreds of names, as many levels."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    letters = [*'+#/$\0\x01\x1f\x7f %.~-_*"\\aZ0', "ü", "漢", "\u202e", "\U0001f600", "\ufeff", "\ud7ff"]
    names = {"".join(chance.choices(letters, k=chance.randrange(8))) for _ in range(900)}
    names |= {"", "%", "%25", "+", "#", "$SYS", "..", "a/b", "spBv1.0", "\0", "x" * 255}
    levels = {level(name) for name in names}
    assert len(levels) == len(names), f"seed {seed}"
    assert all(name_of(level(name)) == name for name in names), f"seed {seed}"
    for one in levels:
        assert one
        assert one.isascii()
        assert not set(one) & set("/+#$@\0 "), one


def test_hostile_names_reach_a_broker_as_they_are(broker: MosquittoBroker, tmp_path: Path) -> None:
    """Hundreds of them: each on a topic of three levels below the prefix, read back from it, none refused."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    letters = '+#/$\0\n\x7f %."\\aü漢\u202e'
    names = sorted(
        {("a" + "".join(chance.choices(letters, k=3)), "".join(chance.choices(letters, k=4))) for _ in range(300)}
    )
    reader = DurableReader(broker.port, ["hostile/+/+/+"], "reader-hostile")
    one = output(tmp_path, broker.url, "hostile")
    one.take([of_names(1, names)], b"1")
    stepped(one, lambda: sent(one))
    reader.until(lambda: len(reader.heard) >= len(names))
    got = {tuple(name_of(part) for part in topic.split("/")[2:]) for topic in values(reader, "live")}
    assert got == set(names), f"seed {seed}"
    assert one.status()["aside"] == 0
    assert not one.status()["warnings"]
    one.close()
    reader.close()


def test_live_topics_go_forward_alone_and_end_at_the_newest(broker: MosquittoBroker, tmp_path: Path) -> None:
    """Healed, old and repeated samples are late; of late ones the newest is live too where nothing newer was."""
    reader = DurableReader(broker.port, ["split/#"], "reader-split")
    one = output(tmp_path, broker.url, "split")
    name = [("pump", "p")]
    healed = of_names(2, name)
    for given in (
        [of_names(1, name)],
        [of_names(3, name)],
        [healed],
        [of_names(3, name)],
        [of_names(4, name, ago_s=90)],
    ):
        one.take(given, b"x")
        stepped(one, lambda: sent(one))
    one.close()
    reader.until(lambda: len(reader.heard) >= 8)
    live, late = values(reader, "live"), values(reader, "late")
    assert [x["number"] for x in live["split/live/pump/p"]] == [1, 3, 4]
    assert [x["number"] for x in late["split/late/pump/p"]] == [2, 3, 4]
    states = [body for topic, body, _ in reader.heard if topic == "split/state"]
    assert states == [b'{"online":true}', b'{"online":false}']
    reader.close()


def test_a_retained_topic_is_told_again_to_a_broker_that_forgot(
    another_broker: Callable[..., MosquittoBroker], tmp_path: Path
) -> None:
    """Its files gone with the kill, it has the newest of each tag again, though only one tag had a new sample."""
    own = another_broker("autosave_interval 0")
    one = output(tmp_path, own.url, "kept", retain=True, reader_wait="1ms")
    names = [("pump", "p"), ("pump", "q")]
    one.take([of_names(1, names)], b"1")
    stepped(one, lambda: sent(one))
    own.stop()
    one.take([of_names(2, names[:1])], b"2")
    stepped(one, lambda: one.status()["trouble"])
    own.start()
    stepped(one, lambda: sent(one))
    later = DurableReader(own.port, ["kept/#"], "reader-kept")
    later.until(lambda: len(later.heard) >= 3)
    held = {topic: json.loads(body).get("number") for topic, body, retained in later.heard if retained}
    assert held == {"kept/state": None, "kept/live/pump/p": 2, "kept/live/pump/q": 1}
    one.close()
    later.close()


def test_what_nobody_subscribes_to_waits_for_a_reader(broker: MosquittoBroker, tmp_path: Path) -> None:
    """The broker acknowledges and drops it; it is told, nothing is lost, and a reader who comes has it all."""
    one = output(tmp_path, broker.url, "unheard")
    one.take([samples(1)], b"1")
    stepped(one, lambda: one.status()["trouble"])
    assert "nobody subscribes" in one.status()["trouble"]
    assert "unheard/#" in one.status()["next_step"]
    assert one.status()["unheard"] == 0
    reader = DurableReader(broker.port, ["unheard/#"], "reader-unheard")
    stepped(one, lambda: sent(one))
    assert one.status()["unheard"] == 0
    wanted = len(keys(gather([samples(1)], T0_NS)[0][1]))
    reader.until(lambda: sum(map(len, values(reader, "late").values())) >= wanted)
    reader.close()
    one.close()


def test_what_nobody_subscribes_to_is_counted_after_a_while(broker: MosquittoBroker, tmp_path: Path) -> None:
    """After `reader_wait` it goes on, says how many messages were dropped, and keeps saying it."""
    one = output(tmp_path, broker.url, "nobody", reader_wait="1ms")
    one.take([samples(1)], b"1")
    stepped(one, lambda: sent(one))
    assert one.status()["unheard"] >= len(keys(gather([samples(1)], T0_NS)[0][1]))
    assert any("nobody subscribes" in line for line in one.status()["warnings"])
    one.close()


def test_what_a_broker_dropped_of_a_full_session_is_told(
    another_broker: Callable[..., MosquittoBroker], tmp_path: Path
) -> None:
    """An absent reader's queue is full: acknowledged, dropped, and told by the broker's own count."""
    own = another_broker("max_queued_messages 20", "sys_interval 1")
    away = DurableReader(own.port, ["full/#"], "reader-full")
    away.close()
    one = output(tmp_path, own.url, "full")
    one.take([of_names(1, [("pump", "p")])], b"0")
    stepped(one, lambda: sent(one))
    one.take([of_names(2, [("pump", f"t{at}") for at in range(200)])], b"1")
    stepped(one, lambda: sent(one))
    stepped(one, lambda: any("queue" in line for line in one.status()["warnings"]), 10)
    one.close()


def test_a_message_larger_than_the_broker_takes_is_set_aside(
    another_broker: Callable[..., MosquittoBroker], tmp_path: Path
) -> None:
    """It says so when it is connected to; the samples around the long one arrive."""
    own = another_broker("max_packet_size 5000")
    reader = DurableReader(own.port, ["large/#"], "reader-large")
    tag = Tag(id=0, asset="a", name="t", type="string")
    of = StreamDescription(key=b"stream-9", boot=7, site="s", assets={"a": Asset(name="a")}, tags={0: tag})
    rows = [Row(0, T0_NS + at, "x" * length) for at, length in enumerate([10, 4000, 6000, 20])]
    one = output(tmp_path, own.url, "large")
    one.take([block(1, BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0), of=of)], b"1")
    stepped(one, lambda: sent(one))
    assert one.status()["warnings"] == ["1 samples set aside, refused as too large"]
    reader.until(lambda: sum(map(len, values(reader, "late").values())) >= 3)
    got = {len(x["value"]) for each in values(reader, "late").values() for x in each}
    assert got == {10, 4000, 20}
    one.close()
    reader.close()


def test_a_broker_that_stands_still_is_told_and_left(
    another_broker: Callable[..., MosquittoBroker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, not gone: no answer comes, the status says so, closing waits for nothing, and all arrives later."""
    monkeypatch.setattr("receiver.outputs.mqtt.broker_connection.ANSWER_S", 0.5)
    own = another_broker()
    reader = DurableReader(own.port, ["still/#"], "reader-still")
    one = output(tmp_path, own.url, "still")
    one.take([samples(1)], b"1")
    stepped(one, lambda: sent(one))
    assert own.process is not None
    own.process.send_signal(signal.SIGSTOP)
    one.take([samples(2)], b"2")
    stepped(one, lambda: one.status()["trouble"])
    assert "does not answer" in one.status()["trouble"]
    own.process.send_signal(signal.SIGCONT)
    stepped(one, lambda: sent(one))
    own.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    one.close()
    assert time.monotonic() - begun < 5
    own.process.send_signal(signal.SIGCONT)
    reader.close()


def test_a_wrong_password_or_right_is_held_and_repeated_nowhere(
    another_broker: Callable[..., MosquittoBroker], tmp_path: Path
) -> None:
    """Told with the key to mend; a topic that the user may not write is held too (MQTT 5 says so)."""
    made = tmp_path / "made"
    made.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(made), "writer", SECRET], check=True, capture_output=True)
    access = b"user writer\ntopic readwrite right/#\n"
    files = {"users": made.read_bytes(), "access": access}
    own = another_broker(
        "allow_anonymous false", "password_file {folder}/users", "acl_file {folder}/access", files=files
    )
    (tmp_path / "password").write_text("another")
    given = {"user": "writer", "password_file": "password"}
    one = output(tmp_path, own.url, "wrong", **given)
    one.take([samples(0)], b"1")
    stepped(one, lambda: one.status()["state"] == "held")
    assert "password_file" in one.status()["next_step"]
    one.close()
    (tmp_path / "password").write_text(f"{SECRET}\n")
    one = output(tmp_path, own.url, "wrong", **given)
    stepped(one, lambda: "access list" in one.status()["next_step"])
    assert SECRET not in str(one.status())
    one.close()


def test_a_broker_with_another_certificate_is_told_no_password(
    another_broker: Callable[..., MosquittoBroker], tmp_path: Path
) -> None:
    """TLS is verified: against the authority that is named it is taken, else held before a word is said."""
    for name, host in (("server", "127.0.0.1"), ("other", "10.0.0.1")):
        subject = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=IP:{host}"]
        where = ["-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
        subprocess.run(["openssl", "req", "-x509", *key, *subject, *where], check=True, capture_output=True)
    files = {name: (tmp_path / name).read_bytes() for name in ("server.pem", "server.key")}
    own = another_broker("certfile {folder}/server.pem", "keyfile {folder}/server.key", files=files)
    url = own.url.replace("mqtt:", "mqtts:")
    (tmp_path / "password").write_text(SECRET)
    given = {"user": "writer", "password_file": "password", "reader_wait": "1ms"}
    one = output(tmp_path, url, "safe", ca_file=str(tmp_path / "other.pem"), **given)
    one.take([samples(0)], b"1")
    stepped(one, lambda: one.status()["state"] == "held")
    assert "ca_file" in one.status()["next_step"]
    assert SECRET not in str(one.status())
    one.close()
    one = output(tmp_path, url, "safe", ca_file=str(tmp_path / "server.pem"), **given)
    stepped(one, lambda: sent(one))
    one.close()


def test_another_client_of_the_same_id_is_told(broker: MosquittoBroker, tmp_path: Path) -> None:
    """Two that put each other out would send all again for ever: it is held, with the key to mend."""
    reader = DurableReader(broker.port, ["twins/#"], "reader-twins")
    one = output(tmp_path, broker.url, "twins")
    one.take([samples(0)], b"1")
    stepped(one, lambda: sent(one))
    steps = set()
    for number in range(1, 5):
        twin = DurableReader(broker.port, ["nothing"], "twins")
        one.take([samples(number)], b"%d" % number)
        stepped(one, lambda: sent(one) or one.status()["state"] == "held")
        steps.add(one.status()["next_step"])
        twin.close()
    assert [step for step in steps if "client_id twins" in step]
    stepped(one, lambda: sent(one))
    one.close()
    reader.close()


def test_mqtt_3_1_1_serves_too(broker: MosquittoBroker, tmp_path: Path) -> None:
    """It says less of what becomes of a message, and carries as much."""
    reader = DurableReader(broker.port, ["older/#"], "reader-older")
    one = output(tmp_path, broker.url, "older", version="3.1.1")
    one.take([samples(3)], b"1")
    stepped(one, lambda: sent(one))
    wanted = len(keys(gather([samples(3)], T0_NS)[0][1]))
    reader.until(lambda: sum(map(len, values(reader, "late").values())) >= wanted)
    one.close()
    reader.close()


def test_a_dead_broker_is_noticed_while_nothing_is_sent(
    another_broker: Callable[..., MosquittoBroker], tmp_path: Path
) -> None:
    """Told, and connected to once it is back: who reads the state there knows that we are, with no sample between."""
    broker = another_broker()
    reader = DurableReader(broker.port, ["quiet/#"], "reader-quiet")
    one = output(tmp_path, broker.url, "quiet")
    one.step(0.0)
    reader.until(lambda: ("quiet/state", b'{"online":true}') in [(topic, body) for topic, body, _ in reader.heard])
    broker.stop()
    stepped(one, lambda: one.status()["trouble"])
    assert one.status()["next_step"]
    stepped(one, lambda: one.status()["alarm"])
    broker.start()
    stepped(one, lambda: not one.status()["trouble"] and one.status()["state"] == "idle")
    reader.until(lambda: sum(body == b'{"online":true}' for _, body, _ in reader.heard) > 1)
    assert one.status()["requests"] == 0
    one.close()
    reader.close()
