"""Laws of the edge node, without a broker: a strict host that another library decodes for follows all that it says."""

from __future__ import annotations

import random
from typing import Any

from sparkplug_peer import StrictHost, command, read

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.mqtt.live_rows import LiveRows
from receiver.outputs.mqtt.sparkplug_node import LargeError, NodeMessage, SparkplugNode
from receiver.outputs.mqtt.sparkplug_wire import commands
from receiver.outputs.shipping.shipment import gather
from receiver.outputs.testing.feed import T0_NS, block

MOST = 10**6
NOW_MS = T0_NS // 10**6


class Stand:
    """A node, and a host that hears all it says."""

    def __init__(self) -> None:
        self.node, self.host, self.rows = SparkplugNode("g", "n", 0), StrictHost(), LiveRows()
        self.node.connect(7, NOW_MS)
        self.hear(self.node.births(NOW_MS))

    def hear(self, some: list[NodeMessage]) -> list[NodeMessage]:
        """The host hears these."""
        self.host.hear([(one.topic, one.body, False) for one in some])
        return some

    def send(self, *blocks: OpenedBlock, now_ns: int = T0_NS) -> list[NodeMessage]:
        """Blocks of one stream as the courier sends them."""
        out = []
        for _, shipment in gather(blocks, now_ns):
            split = self.rows.split(shipment, now_ns)
            out += self.hear(self.node.data(shipment, split, NOW_MS, MOST))
            self.rows.took(split)
        return out


def plant(number: int, rows: list[Row], *tags: Tag, boot: int = 7, healed: bool = False) -> OpenedBlock:
    """A block of a stream with these tags."""
    of = StreamDescription(
        key=b"stream-%d" % (boot % 10),
        boot=boot,
        site="s",
        assets={tag.asset: Asset(name=tag.asset) for tag in tags},
        tags={tag.id: tag for tag in tags},
    )
    return block(number, BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0), of=of, healed=healed)


def pressure(**given: Any) -> Tag:
    """A tag."""
    return Tag(**{"id": 0, "asset": "pump", "name": "p", "type": "float32", "unit": "bar", **given})


def at(number: int, value: Any, **given: Any) -> Row:
    """A sample of it."""
    return Row(0, T0_NS + number, value, **given)


def test_the_sequence_wraps_and_a_birth_begins_it_anew() -> None:
    """0 to 255 and 0 again, over all kinds of messages; 600 of them, births among them."""
    one = Stand()
    for number in range(600):
        one.send(plant(number, [at(number, float(number))], pressure()))
        if number % 97 == 96:
            one.hear([one.node.news(NOW_MS)])
        if number == 400:
            one.hear(one.node.births(NOW_MS))
    assert [sample.value for sample in one.host.samples] == [float(number) for number in range(600)]
    assert (one.host.births, one.host.device_births) == (2, 2)
    assert one.host.node["bdSeq"] == 7


def test_a_death_has_the_number_of_its_birth_and_no_sequence() -> None:
    """The will of a connection ends what was born over it, and nothing that was born over the next."""
    one = Stand()
    first = one.node.death(NOW_MS)
    second = one.node.connect(256, NOW_MS)
    one.hear([*one.node.births(NOW_MS), first])
    assert one.host.deaths == 0
    one.hear([second])
    assert one.host.deaths == 1
    assert one.host.node["bdSeq"] == 0


def test_every_value_is_exact_in_its_type() -> None:
    """Both ends of each whole type, uint64 beyond int64, all floats, truth, any text, and none."""
    ends = {
        "bool": (True, False),
        "int8": (-(2**7), 2**7 - 1),
        "uint8": (0, 2**8 - 1),
        "int16": (-(2**15), 2**15 - 1),
        "uint16": (0, 2**16 - 1),
        "int32": (-(2**31), -1, 2**31 - 1),
        "uint32": (0, 2**32 - 1),
        "int64": (-(2**63), -1, 2**63 - 1),
        "uint64": (0, 2**63, 2**64 - 1),
        "float16": (0.5, -0.0),
        "float32": (0.1, float("inf"), 3.4e38),
        "float64": (0.1, 5e-324, float("-inf")),
        "string": ("", 'ü"\0漢', "x" * 5000),
    }
    kinds = {"float16": 10, "float32": 10, "float64": 10, "bool": 11, "string": 12, "int8": 1, "int16": 2, "int32": 3}
    kinds |= {"int64": 4, "uint8": 5, "uint16": 6, "uint32": 7, "uint64": 8}
    for kind, values in ends.items():
        one = Stand()
        one.send(plant(1, [at(rank, value) for rank, value in enumerate([*values, None])], pressure(type=kind)))
        assert [sample.value for sample in one.host.samples] == [*values, None], kind
        assert {sample.kind for sample in one.host.samples} == {kinds[kind]}
        assert {sample.metric for sample in one.host.samples} == {"p"}


def test_no_number_is_no_number() -> None:
    """NaN comes as NaN, with its quality."""
    one = Stand()
    one.send(plant(1, [at(0, float("nan"), quality=0x80000000)], pressure()))
    (sample,) = one.host.samples
    assert sample.value != sample.value
    assert (sample.told["Quality"], sample.told["status"]) == (0, 0x80000000)


def test_quality_times_and_identity_are_properties() -> None:
    """Good 192, uncertain 500, bad 0, with the exact code, both times to the nanosecond, and who the sample is."""
    one = Stand()
    rows = [
        Row(0, -5, 4.0),
        at(1, 1.0),
        at(2, 2.0, quality=0x40900000, native=4, other_ns=T0_NS - 1),
        at(3, None, quality=0x80050000),
    ]
    one.send(plant(12, rows, pressure()))
    told = [sample.told for sample in one.host.samples]
    assert [x["Quality"] for x in told] == [192, 192, 500, 0]
    assert [x.get("status") for x in told] == [None, None, 0x40900000, 0x80050000]
    assert (told[2]["native"], told[2]["other_ns"]) == (4, T0_NS - 1)
    assert [x["time_ns"] for x in told] == [-5, T0_NS + 1, T0_NS + 2, T0_NS + 3]
    assert [x["sample"] for x in told] == [f"7.{b'stream-7'.hex()}.12.{rank}" for rank in range(4)]
    assert one.host.samples[0].birth["engUnit"] == "bar"


def test_late_samples_are_historical_and_apart_and_change_no_value() -> None:
    """Healed and old ones: never in a message with live ones; a metric stands as the newest live one says."""
    one = Stand()
    one.send(plant(1, [at(1, 1.0)], pressure()), plant(3, [at(3, 3.0)], pressure()))
    one.send(plant(2, [at(2, 2.0)], pressure(), healed=True), plant(4, [at(4, 4.0)], pressure()))
    one.send(plant(3, [at(3, 3.0)], pressure()))
    told = [(sample.value, sample.historical, sample.told.get("healed")) for sample in one.host.samples]
    assert told == [(1.0, False, None), (3.0, False, None), (2.0, True, True), (4.0, False, None), (3.0, True, None)]
    (metric,) = one.host.devices["pump"].values()
    assert metric.now == 4.0
    one.hear(one.node.births(NOW_MS))
    (metric,) = one.host.devices["pump"].values()
    assert metric.now == 4.0


def test_what_is_late_for_ever_is_the_value_in_the_end() -> None:
    """After an outage the newest of a tag comes late alone: it is live besides, once, so that no old value stands."""
    one = Stand()
    one.send(plant(1, [at(1, 1.0)], pressure()))
    one.send(plant(2, [at(2, 2.0), at(3, 3.0)], pressure(), healed=True))
    assert [(x.value, x.historical) for x in one.host.samples] == [(1.0, False), (3.0, False), (2.0, True), (3.0, True)]


def test_a_new_tag_or_device_is_born_before_its_first_value() -> None:
    """With all that was there before, under the aliases that it had."""
    one = Stand()
    one.send(plant(1, [at(1, 1.0)], pressure()))
    before = {metric.name: alias for alias, metric in one.host.devices["pump"].items()}
    both = (pressure(), pressure(id=1, name="q"), pressure(id=2, asset="fan"))
    one.send(plant(2, [at(2, 2.0), Row(1, T0_NS, 5.0), Row(2, T0_NS, 6.0)], *both))
    after = {metric.name: alias for alias, metric in one.host.devices["pump"].items()}
    assert set(after) == {"p", "q"}
    assert after["p"] == before["p"]
    assert one.host.device_births == 3
    one.send(plant(3, [at(3, 3.0), Row(1, T0_NS, 5.0)], *both))
    assert one.host.device_births == 3, "nothing was new"


def test_another_unit_is_born_anew_and_nothing_is_read_in_the_wrong_one() -> None:
    """From then on the name has the new unit; what comes late in the old one has a metric of its own beside."""
    one = Stand()
    one.send(plant(1, [at(1, 4.2)], pressure()))
    one.send(plant(1, [at(2, 420.0)], pressure(unit="kPa"), boot=8))
    one.send(plant(2, [at(3, 4.3)], pressure(), healed=True))
    one.send(plant(2, [at(4, 421.0)], pressure(unit="kPa"), boot=8))
    told = [(x.metric, x.birth["engUnit"], x.value, x.historical) for x in one.host.samples]
    assert told == [
        ("p", "bar", 4.2, False),
        ("p", "kPa", 420.0, False),
        ("p@bar@double", "bar", 4.3, True),
        ("p", "kPa", 421.0, False),
    ]
    assert one.host.device_births == 2


def test_another_scale_is_born_anew_and_nothing_is_read_in_the_wrong_one() -> None:
    """As another unit: what comes late of the old scale has a metric of its own beside."""
    one = Stand()
    tenth, hundredth = (pressure(conversion=f"int16 x {scale}") for scale in ("0.1", "0.01"))
    one.send(plant(1, [at(1, 4.2)], tenth))
    one.send(plant(1, [at(2, 0.42)], hundredth, boot=8))
    one.send(plant(2, [at(3, 4.3)], tenth, healed=True))
    told = [(x.metric, x.value, x.historical) for x in one.host.samples]
    assert told == [("p", 4.2, False), ("p", 0.42, False), ("p@bar@double@int16%20x%200.1", 4.3, True)]
    assert one.host.device_births == 2


def test_a_value_of_another_type_than_its_tag_is_beside_it() -> None:
    """A text, a truth, a number too large: each exact, in a metric of its own, and the tag's own goes on."""
    one = Stand()
    rows = [at(1, 7), at(2, 300), at(3, "off"), at(4, True), at(5, 1.5), at(6, 8)]
    one.send(plant(1, rows, pressure(type="int8")))
    told = [(x.metric, x.kind, x.value) for x in one.host.samples]
    assert told == [
        ("p", 1, 7),
        ("p@bar@int64", 4, 300),
        ("p@bar@string", 12, "off"),
        ("p@bar@boolean", 11, True),
        ("p@bar@double", 10, 1.5),
        ("p", 1, 8),
    ]


def test_names_are_inert_in_topics_and_metrics() -> None:
    """Wildcards, slashes, the names that Sparkplug has for itself: a device and a metric, each its own."""
    one = Stand()
    names = ["Node Control/Rebirth", "Device Control/x", "bdSeq", "a+b", "#", "\0", "p@bar@double", "ü", ""]
    tags = [pressure(id=rank, asset=name, name=name) for rank, name in enumerate(names)]
    some = one.send(plant(1, [Row(rank, T0_NS, 1.0) for rank in range(len(names))], *tags))
    assert len(one.host.devices) == len(names)
    assert all(message.topic.count("/") == 4 for message in some)
    assert not [message for message in some if set(message.topic) & set("+#\0")]
    metrics = {metric.name for each in one.host.devices.values() for metric in each.values()}
    assert len(metrics) == len(names)
    assert not [name for name in metrics if set(name) & set("/+#\0@")]


def test_messages_are_parted_and_a_sample_too_long_counts_nothing() -> None:
    """None longer than its bound; what fits in none is told before a number of the sequence is used."""
    one = Stand()
    many = [at(number, "x" * 900) for number in range(2000)]
    some = one.send(plant(1, many, pressure(type="string")))
    assert len(one.host.samples) == 2000
    assert len(some) > 5
    assert max(len(message.body) for message in some) <= 300_000
    ((_, shipment),) = gather([plant(2, [at(1, "y" * 9000)], pressure(id=0, type="string"))], T0_NS)
    try:
        one.node.data(shipment, one.rows.split(shipment, T0_NS), NOW_MS, 8000)
    except LargeError:
        pass
    else:
        raise AssertionError("it was cut or sent")
    one.send(plant(3, [at(1, "z")], pressure(type="string")))
    assert one.host.samples[-1].value == "z"


def test_a_birth_repeats_no_long_text() -> None:
    """A birth cannot be parted: a long value stands in its data alone."""
    one = Stand()
    one.send(plant(1, [at(1, "x" * 50_000)], pressure(type="string")))
    (_, birth) = one.hear(one.node.births(NOW_MS))
    assert len(birth.body) < 500
    assert read(birth.body).metrics[0].is_null


def test_a_rebirth_is_all_that_a_command_can_ask_for() -> None:
    """Written by another library: a rebirth, a rebirth that is false, writes, both at once, and what is none of it."""
    assert commands(command(("Node Control/Rebirth", 11, True))) == (True, 0)
    assert commands(command(("Node Control/Rebirth", 11, False))) == (False, 1)
    assert commands(command(("Node Control/Reboot", 11, True), ("pump/p", 10, 3.5))) == (False, 2)
    assert commands(command(("pump/p", 10, 3.5), ("Node Control/Rebirth", 11, True))) == (True, 1)
    assert commands(b"") == (False, 0)
    assert commands(b"x" * 10**6) == (False, 1)


def test_hostile_commands_end_and_raise_nothing() -> None:
    """Thousands of damaged ones and bytes of chance."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    good = command(("Node Control/Rebirth", 11, True), ("pump/p", 10, 3.5))
    for _ in range(5000):
        data = bytearray(good if chance.random() < 0.7 else chance.randbytes(chance.randrange(200)))
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        data = data[: chance.randrange(len(data) + 1)]
        wanted, others = commands(bytes(data))
        assert type(wanted) is bool, f"seed {seed}"
        assert 0 <= others <= 1001, f"seed {seed}"
    assert commands(b"\x12\x00" * 30_000)[1] <= 1001
