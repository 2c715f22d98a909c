"""Laws of Sparkplug on a real broker: killed under load, commands obeyed and ignored, a host that goes and comes."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from mqtt_peer import DurableReader, MosquittoBroker
from paho.mqtt.client import MQTTMessage
from shipping_fake import keys
from sparkplug_peer import StrictHost, command
from test_mqtt_broker import KILLS, SOAK_KILLS, output, sent, stepped

from receiver.outputs.mqtt.topics import name_of
from receiver.outputs.shipping.shipment import gather
from receiver.outputs.testing.feed import T0_NS, samples

REBIRTH = command(("Node Control/Rebirth", 11, True))


def sparkplug(folder: Path, broker: MosquittoBroker, group: str, **given: Any) -> Any:
    """A node of a group of its own."""
    return output(folder, broker.url, group, **({"payload": "sparkplug", "group": group} | given))


def heard(reader: DurableReader) -> StrictHost:
    """What a strict host makes of all that the reader heard of the node."""
    return StrictHost().hear([one for one in [*reader.heard] if "/NCMD/" not in one[0]])


@pytest.mark.parametrize("kills", [KILLS, pytest.param(SOAK_KILLS, marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
def test_a_killed_broker_costs_a_host_no_sample(kills: int, broker: MosquittoBroker, tmp_path: Path) -> None:
    """SIGKILL under load, again and again: a primary host has every sample, behind births, in sequence."""
    seed = random.randrange(2**32)
    chance, group = random.Random(seed), f"spkilled{kills}"
    reader = DurableReader(broker.port, [f"spBv1.0/{group}/#"], f"reader-{group}", host=group)
    one, given, number = sparkplug(tmp_path, broker, group, primary_host=group, keep="365d"), [], 0
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
        broker.start()
        stepped(one, lambda: sent(one))
    assert one.status()["resent"], "nothing was sent again after a kill"
    one.close()
    wanted = {f"{key[1]}.{key[2]}.{key[3]}" for _, shipment in gather(given, T0_NS) for key in keys(shipment)}

    def held() -> set[str]:
        out = set()
        for sample in heard(reader).samples:
            _, _, block, rank = sample.told["sample"].split(".")
            out.add(f"{block}.{name_of(sample.device)}.{rank}")
        return out

    reader.until(lambda: any("/NDEATH/" in topic for topic, _, _ in [*reader.heard][-3:]))
    assert held() == wanted, f"seed {seed}: {len(wanted - held())} of {len(wanted)} lost"
    assert not heard(reader).alive
    reader.close()


def test_a_rebirth_is_obeyed_at_once_and_not_at_any_rate(
    broker: MosquittoBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while nothing is sent; a second one within the time is put off, and what was missed comes again."""
    monkeypatch.setattr("receiver.outputs.mqtt.sparkplug_courier.REBIRTH_S", 0.0)
    reader = DurableReader(broker.port, ["spBv1.0/reborn/#"], "reader-reborn")
    one = sparkplug(tmp_path, broker, "reborn")
    one.take([samples(1)], b"1")
    stepped(one, lambda: sent(one))
    assert any("no primary_host" in line for line in one.status()["warnings"])
    reader.publish("spBv1.0/reborn/NCMD/low-side", REBIRTH)
    reader.until(lambda: heard(reader).births == 2 and set(heard(reader).devices) == {"pump-7", "press-1"})
    one.take([samples(2)], b"2")
    stepped(one, lambda: sent(one))
    assert one.status()["resent"] == len(gather([samples(1)], T0_NS)[0][1])
    monkeypatch.setattr("receiver.outputs.mqtt.sparkplug_courier.REBIRTH_S", 3600.0)
    for _ in range(20):
        reader.publish("spBv1.0/reborn/NCMD/low-side", REBIRTH)
    one.take([samples(3)], b"3")
    stepped(one, lambda: sent(one))
    assert one.status()["rebirths"] == 1
    assert one.status()["commands_ignored"] == 0
    one.close()
    reader.until(lambda: not heard(reader).alive)
    assert heard(reader).births == 2
    reader.close()


def test_samples_that_a_rebirth_overtakes_come_again(broker: MosquittoBroker, tmp_path: Path) -> None:
    """Published before it and answered for behind it: the host that asked had no birth to read them by."""
    reader = DurableReader(broker.port, ["spBv1.0/overtaken/#"], "reader-overtaken")
    one = sparkplug(tmp_path, broker, "overtaken")
    courier = one._courier
    asked = MQTTMessage(topic=courier._node.commands.encode())
    asked.payload = REBIRTH
    answered, times = courier._connection.subscribe, iter(range(10))

    def subscribe(topics: Sequence[str]) -> None:
        if next(times) == 1:  # behind the first shipment; the first of all is that of the connection
            courier._born_at = float("-inf")
            courier._heard(asked)
        answered(topics)

    courier._connection.subscribe = subscribe
    one.take([samples(1)], b"1")
    stepped(one, lambda: sent(one))
    one.close()
    reader.until(lambda: heard(reader).deaths == 1)
    wanted = {f"{key[1]}.{key[3]}" for key in keys(gather([samples(1)], T0_NS)[0][1])}
    host = StrictHost()
    births = [at for at, each in enumerate(reader.heard) if "/NBIRTH/" in each[0]]
    assert len(births) == 2
    host.hear(reader.heard[births[1] :])
    assert {".".join(sample.told["sample"].split(".")[2:]) for sample in host.samples} == wanted
    reader.close()


def test_every_other_command_is_ignored_and_counted(broker: MosquittoBroker, tmp_path: Path) -> None:
    """Writes, reboots, rubbish, a retained rebirth: the node says how many there were, and does nothing."""
    reader = DurableReader(broker.port, ["spBv1.0/writes/#"], "reader-writes")
    topic = "spBv1.0/writes/NCMD/low-side"
    reader.publish(topic, REBIRTH, retain=True)
    one = sparkplug(tmp_path, broker, "writes")
    one.take([samples(1)], b"1")
    stepped(one, lambda: sent(one))
    for body in (command(("Node Control/Reboot", 11, True)), command(("pump-7/pressure", 10, 99.0)), b"\xff" * 40, b""):
        reader.publish(topic, body)
    for place in ("DCMD/low-side/pump-7", "NCMD/another"):
        reader.publish(f"spBv1.0/writes/{place}", REBIRTH)
    one.take([samples(2)], b"2")
    stepped(one, lambda: sent(one) and one.status()["commands_ignored"] >= 3)
    assert one.status()["rebirths"] == 0
    assert any("nothing goes to a device" in line for line in one.status()["warnings"])
    one.close()
    host = StrictHost()
    reader.until(lambda: any("NDEATH" in topic for topic, _, _ in reader.heard))
    host.hear([each for each in reader.heard if "CMD/" not in each[0]])
    assert host.births == 1
    assert host.node["Node Info/Commands Ignored"] >= 1
    reader.publish(topic, b"", retain=True)
    reader.close()


def test_nothing_is_sent_while_the_primary_host_is_away(
    broker: MosquittoBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told and waited for; when it left meanwhile, what it may have missed is sent again, born anew."""
    monkeypatch.setattr("receiver.outputs.mqtt.sparkplug_courier.HOST_S", 0.3)
    one = sparkplug(tmp_path, broker, "hosted", primary_host="scada")
    one.take([samples(1)], b"1")
    stepped(one, lambda: one.status()["trouble"])
    assert "scada is not online" in one.status()["trouble"]
    reader = DurableReader(broker.port, ["spBv1.0/hosted/#"], "reader-hosted", host="scada")
    stepped(one, lambda: sent(one))
    state = "spBv1.0/STATE/scada"
    for body in (b"", b"[]", b'{"online":1}', b'{"online":false,"timestamp":1}', b"[" * 900, b"x" * 5000):
        reader.publish(state, body, retain=True)
    one.take([samples(2)], b"2")
    stepped(one, lambda: sent(one))
    assert one.status()["resent"] == 0, "what is no state, or an old one, changes nothing"
    reader.publish(state, b'{"online":false,"timestamp":%d}' % (2**50), retain=True)
    one.take([samples(3)], b"3")
    stepped(one, lambda: "not online" in one.status()["trouble"])
    reader.until(lambda: heard(reader).deaths == 1)
    reader.publish(state, b'{"online":true,"timestamp":%d}' % (2**50 + 1), retain=True)
    stepped(one, lambda: sent(one))
    assert one.status()["resent"] > 0
    one.close()
    reader.until(lambda: heard(reader).deaths == 2)
    assert heard(reader).births == 2
    reader.publish(state, b"", retain=True)
    reader.close()


def test_a_connection_has_the_number_after_the_one_before(broker: MosquittoBroker, tmp_path: Path) -> None:
    """Also after a restart of ours: bdSeq goes on, and a death is told from that of a connection before."""
    reader = DurableReader(broker.port, ["spBv1.0/counted/#"], "reader-counted")

    def run(number: int) -> Any:
        one = sparkplug(tmp_path, broker, "counted")
        one.take([samples(number)], b"%d" % number)
        stepped(one, lambda: sent(one))
        one.close()
        reader.until(lambda: heard(reader).deaths == number + 1)
        return heard(reader).node["bdSeq"]

    assert [run(number) for number in range(3)] == [0, 1, 2]
    reader.close()


def test_a_node_is_there_while_nothing_is_sent(another_broker: Callable[..., MosquittoBroker], tmp_path: Path) -> None:
    """Born before there is a sample, and again behind a kill of the broker, each time by a look at the connection."""
    broker = another_broker()
    reader = DurableReader(broker.port, ["spBv1.0/quiet/#"], "reader-quiet", host="quiet")
    one = sparkplug(tmp_path, broker, "quiet", primary_host="quiet")
    stepped(one, lambda: one._courier._born)
    reader.until(lambda: heard(reader).births == 1)
    one.take([samples(1)], b"1")
    stepped(one, lambda: sent(one))
    broker.stop()
    stepped(one, lambda: one.status()["trouble"])
    assert one.status()["state"] == "retrying"
    broker.start()
    stepped(one, lambda: not one.status()["trouble"])
    reader.until(lambda: heard(reader).births > 1 and set(heard(reader).devices) == {"pump-7", "press-1"})
    stepped(one, lambda: sent(one))
    assert one.status()["resent"] == len(gather([samples(1)], T0_NS)[0][1])
    one.close()
    reader.close()


def test_a_node_dies_with_its_host_while_nothing_is_sent(broker: MosquittoBroker, tmp_path: Path) -> None:
    """The primary host goes: its node goes too, and comes with it."""
    reader = DurableReader(broker.port, ["spBv1.0/deserted/#"], "reader-deserted")
    host = DurableReader(broker.port, ["spBv1.0/deserted/#"], "host-deserted", host="deserted")
    one = sparkplug(tmp_path, broker, "deserted", primary_host="deserted")
    stepped(one, lambda: one._courier._born)
    reader.until(lambda: heard(reader).alive)
    topic = "spBv1.0/STATE/deserted"
    host.publish(topic, json.dumps({"online": False, "timestamp": time.time_ns() // 10**6}).encode(), retain=True)
    stepped(one, lambda: "not online" in one.status()["trouble"])
    reader.until(lambda: not heard(reader).alive)
    host.publish(topic, json.dumps({"online": True, "timestamp": time.time_ns() // 10**6 + 1}).encode(), retain=True)
    stepped(one, lambda: not one.status()["trouble"])
    reader.until(lambda: heard(reader).alive)
    one.close()
    host.close()
    reader.close()


def test_a_rebirth_that_was_put_off_is_not_forgotten(
    broker: MosquittoBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for too soon behind a birth, it comes when it is time, whether something is sent then or not."""
    reader = DurableReader(broker.port, ["spBv1.0/putoff/#"], "reader-putoff")
    one = sparkplug(tmp_path, broker, "putoff")
    stepped(one, lambda: one._courier._born)
    reader.publish("spBv1.0/putoff/NCMD/low-side", REBIRTH)
    stepped(one, lambda: one._courier._rebirth_wanted)
    reader.until(lambda: heard(reader).births == 1)
    monkeypatch.setattr("receiver.outputs.mqtt.sparkplug_courier.REBIRTH_S", 0.0)
    stepped(one, lambda: one.status()["rebirths"] == 1)
    reader.until(lambda: heard(reader).births == 2)
    one.close()
    reader.close()
