"""An edge node of Sparkplug B 3.0: what is born, under which alias, and the sequence of its messages (pure).

    NBIRTH seq 0 -> a DBIRTH for each device -> DDATA, NDATA ..      seq 0..255, then 0 again
                                                                     NDEATH is the will, with the bdSeq of NBIRTH

A device is an asset, a metric one of its tags. What is known of both comes with the samples: a tag that is new, or has
another unit or type than before, makes a new DBIRTH of its device, before its first value. A birth has the newest live
value of each metric, or says that there is none yet (null, stale).

Live values and late ones are never in one message; late ones are historical. A late value of an older unit or type, or
a value that is not of its tag's type, has a metric of its own beside, `NAME@UNIT@TYPE`, so that nothing is read in
the wrong unit. Names stand as in topics (`topics.level`), so `@`, `/` and control characters are in none.

Properties of each value: `Quality` as the specification has it (192 good, 500 uncertain, 0 bad), and ours: `sample`
(`BOOT.STREAM.NUMBER.RANK`: who keeps what he reads keeps it under this and the device, once), `time_ns` exact,
`status` and `native` where they are not 0, `other_ns`, `healed`, where they say something. A birth has `engUnit` and
`simulated` besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from protocol.content.sample import NO_TIME, Row, severity
from receiver.outputs.mqtt.live_rows import SplitRows
from receiver.outputs.mqtt.sparkplug_wire import (
    REBIRTH,
    WHOLE,
    DataType,
    Property,
    Value,
    metric,
    payload,
    property_set,
)
from receiver.outputs.mqtt.topics import level
from receiver.outputs.shipping.shipment import Shipment, ShippedSeries

NAMESPACE = "spBv1.0"
IGNORED = "Node Info/Commands Ignored"
MESSAGE_METRICS = 500
"""Most metrics of a message of data."""
MESSAGE_BYTES = 256 * 1024
"""A message of data is full at this size [bytes]."""
METRIC_BYTES = 5
"""Most of a metric in a message besides itself [bytes]."""
TOPIC_BYTES = 4096
"""Kept free for topic, time and sequence [bytes]."""
BIRTH_TEXT = 1000
"""Longest text that a birth repeats [letters]; a longer one is left out there: a birth cannot be parted."""
GOOD, UNCERTAIN, BAD = 192, 500, 0
"""`Quality`, by the severity of a StatusCode (specification, 6.4.10)."""
_QUALITY = (GOOD, UNCERTAIN, BAD)

TYPES = {
    "bool": DataType.BOOLEAN,
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "int32": DataType.INT32,
    "int64": DataType.INT64,
    "uint8": DataType.UINT8,
    "uint16": DataType.UINT16,
    "uint32": DataType.UINT32,
    "uint64": DataType.UINT64,
    "string": DataType.STRING,
}
"""By the catalog's word; all else is a double, which holds the shorter floats exactly."""


class LargeError(Exception):
    """A sample is longer than a message may be."""


class NodeMessage(NamedTuple):
    """What is published."""

    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One sample as a metric has it."""

    value: Value
    time_ns: int
    properties: tuple[Property, ...]


@dataclass(slots=True)
class NodeMetric:
    """One metric of a device."""

    alias: int
    type: DataType
    unit: str
    simulated: bool
    newest: MetricValue | None = None
    """Its newest live sample."""


MetricKey = tuple[str, str, DataType, str]
"""Tag, unit, type, and how its value is made of what stands in the device."""


@dataclass(slots=True)
class NodeDevice:
    """One asset."""

    metrics: dict[MetricKey, NodeMetric] = field(default_factory=dict)
    plain: dict[str, tuple[tuple[int, int], MetricKey]] = field(default_factory=dict)
    """By tag: the newest boot and block of its description that has the plain name, and which one that is."""
    changed: bool = True
    """It has something that was not in its last birth."""


class SparkplugNode:
    """One edge node, over all its connections."""

    def __init__(self, group: str, node: str, birth: int) -> None:
        """
        Args:
            group: Group id, fit for a topic.
            node: Edge node id, fit for a topic.
            birth: The `bdSeq` of the first connection, 0 to 255.
        """
        self._group, self._node, self._birth = group, node, birth
        self._devices: dict[str, NodeDevice] = {}
        self._aliases = self._seq = 0
        self.ignored = 0
        """Commands that were ignored; part of births, and of `news`."""

    @property
    def commands(self) -> str:
        """The topic of commands to this node."""
        return f"{NAMESPACE}/{self._group}/NCMD/{self._node}"

    def connect(self, birth: int, now_ms: int) -> NodeMessage:
        """Begin with a new connection; returns its will, the NDEATH."""
        self._birth = birth % 256
        return self.death(now_ms)

    def death(self, now_ms: int) -> NodeMessage:
        """The NDEATH of this connection; its time is that of the connection where it is a will."""
        one = metric(self._birth, DataType.INT64, time_ms=now_ms, properties=b"", name="bdSeq")
        return NodeMessage(self._topic("NDEATH"), payload(now_ms, [one], None))

    def births(self, now_ms: int) -> list[NodeMessage]:
        """The NBIRTH, with which the sequence begins anew, and all DBIRTH behind it."""
        self._seq = 0
        told: list[tuple[str, DataType, Value]] = [
            ("bdSeq", DataType.INT64, self._birth),
            (REBIRTH, DataType.BOOLEAN, False),
            (IGNORED, DataType.UINT64, self.ignored),
        ]
        metrics = [metric(value, kind, time_ms=now_ms, properties=b"", name=name) for name, kind, value in told]
        out = [NodeMessage(self._topic("NBIRTH"), payload(now_ms, metrics, self._next()))]
        return out + [self._born(asset, device, now_ms) for asset, device in self._devices.items()]

    def news(self, now_ms: int) -> NodeMessage:
        """The NDATA: how many commands were ignored."""
        one = metric(self.ignored, DataType.UINT64, time_ms=now_ms, properties=b"", name=IGNORED)
        return NodeMessage(self._topic("NDATA"), payload(now_ms, [one], self._next()))

    def data(self, shipment: Shipment, split: SplitRows, now_ms: int, most_bytes: int) -> list[NodeMessage]:
        """All samples of a shipment: a DBIRTH where a device has something new, then DDATA, live before late.

        Args:
            most_bytes: Most of a message [bytes].

        Raises:
            LargeError: a sample is longer; nothing was counted then.
        """
        rows = list(shipment.columns.rows())
        values = self._values(shipment, rows)
        keys = [_key(shipment.series[row.tag], one.value) for row, one in zip(rows, values, strict=True)]
        for row, key, number in zip(rows, keys, shipment.number.tolist(), strict=True):
            self._learn(shipment.series[row.tag], key, (shipment.boot, number))
        assets = [shipment.series[row.tag].asset for row in rows]
        metrics = [self._devices[asset].metrics[key] for asset, key in zip(assets, keys, strict=True)]
        grouped: dict[tuple[bool, str], list[bytes]] = {}
        for late, some in ((False, split.live), (True, split.late)):
            for at in some:
                grouped.setdefault((late, assets[at]), []).append(_encoded(values[at], metrics[at], late=late))
        room = min(MESSAGE_BYTES, most_bytes - TOPIC_BYTES)
        longest = max((len(one) for each in grouped.values() for one in each), default=0)
        if longest > room:
            raise LargeError(f"a sample of {longest} bytes, a message has room for {room}")
        new = [asset for asset in dict.fromkeys(assets) if self._devices[asset].changed]
        out = [self._born(asset, self._devices[asset], now_ms) for asset in new]
        for at in split.live:
            metrics[at].newest = values[at]
        for (_, asset), each in grouped.items():
            topic = self._topic("DDATA", level(asset))
            out += [NodeMessage(topic, payload(now_ms, part, self._next())) for part in _parts(each, room)]
        return out

    # -- inside

    def _topic(self, what: str, device: str = "") -> str:
        return f"{NAMESPACE}/{self._group}/{what}/{self._node}{'/' if device else ''}{device}"

    def _next(self) -> int:
        seq, self._seq = self._seq, (self._seq + 1) % 256
        return seq

    def _learn(self, series: ShippedSeries, key: MetricKey, order: tuple[int, int]) -> None:
        """See to it that a metric is there, and which description of a tag has its plain name."""
        device = self._devices.setdefault(series.asset, NodeDevice())
        if key not in device.metrics:
            device.metrics[key] = NodeMetric(self._alias(), key[2], series.unit, series.simulated)
            device.changed = True
        if key[2] is not TYPES.get(series.type, DataType.DOUBLE):
            return  # a value of another type than its tag says never has the plain name
        held = device.plain.get(series.tag)
        if held is not None and held[0] > order:
            return
        if held is not None and held[1] != key:
            device.changed = True
            for one in (held[1], key):  # both have another meaning now
                device.metrics[one].alias = self._alias()
        device.plain[series.tag] = (order, key)

    def _alias(self) -> int:
        self._aliases += 1
        return self._aliases

    def _born(self, asset: str, device: NodeDevice, now_ms: int) -> NodeMessage:
        device.changed = False
        metrics = []
        for key, one in device.metrics.items():
            tag, unit, kind, conversion = key
            plain = tag in device.plain and device.plain[tag][1] == key
            made = f"@{level(conversion)}" if conversion else ""
            name = level(tag) if plain else f"{level(tag)}@{level(unit)}@{kind.name.lower()}{made}"
            held = one.newest
            if held is None or (isinstance(held.value, str) and len(held.value) > BIRTH_TEXT):
                held = MetricValue(None, now_ms * 10**6, (Property("Quality", DataType.INT32, UNCERTAIN),))
            told = [*held.properties, Property("engUnit", DataType.STRING, unit)]
            if one.simulated:
                told.append(Property("simulated", DataType.BOOLEAN, True))
            time_ms = held.time_ns // 10**6
            metrics.append(
                metric(held.value, one.type, time_ms=time_ms, properties=property_set(told), name=name, alias=one.alias)
            )
        return NodeMessage(self._topic("DBIRTH", level(asset)), payload(now_ms, metrics, self._next()))

    def _values(self, shipment: Shipment, rows: Sequence[Row]) -> list[MetricValue]:
        stream = f"{shipment.boot}.{shipment.stream.hex()}"
        told = zip(rows, shipment.number.tolist(), shipment.rank.tolist(), shipment.healed.tolist(), strict=True)
        return [
            MetricValue(
                _whole(shipment.series[row.tag], row),
                row.time_ns,
                _properties(row, f"{stream}.{number}.{rank}", healed),
            )
            for row, number, rank, healed in told
        ]


def _whole(series: ShippedSeries, row: Row) -> Value:
    """A row's value; uint64 travels in two's complement."""
    value = row.value
    if series.type == "uint64" and isinstance(value, int) and not isinstance(value, bool):
        return value % 2**64
    return value


def _key(series: ShippedSeries, value: Value) -> MetricKey:
    """Tag, unit, the type that a value has (that of the tag where it fits), and how it is made."""
    kind = TYPES.get(series.type, DataType.DOUBLE)
    if value is None:
        fits = kind
    elif isinstance(value, bool):
        fits = DataType.BOOLEAN
    elif isinstance(value, str):
        fits = DataType.STRING
    elif isinstance(value, float):
        fits = DataType.DOUBLE
    elif kind in WHOLE and WHOLE[kind][0] <= value < WHOLE[kind][1]:
        fits = kind
    else:
        fits = DataType.INT64 if value < 2**63 else DataType.UINT64
    return series.tag, series.unit, fits, series.conversion


def _properties(row: Row, sample: str, healed: bool) -> tuple[Property, ...]:
    told = [
        Property("Quality", DataType.INT32, _QUALITY[severity(row.quality)]),
        Property("sample", DataType.STRING, sample),
        Property("time_ns", DataType.INT64, row.time_ns),
    ]
    if row.quality:
        told.append(Property("status", DataType.UINT32, row.quality))
    if row.native:
        told.append(Property("native", DataType.UINT32, row.native))
    if row.other_ns != NO_TIME:
        told.append(Property("other_ns", DataType.INT64, row.other_ns))
    if healed:
        told.append(Property("healed", DataType.BOOLEAN, True))
    return tuple(told)


def _encoded(held: MetricValue, one: NodeMetric, *, late: bool) -> bytes:
    told, time_ms = property_set(held.properties), held.time_ns // 10**6
    return metric(held.value, one.type, time_ms=time_ms, properties=told, alias=one.alias, historical=late)


def _parts(metrics: Sequence[bytes], most_bytes: int) -> Iterator[Sequence[bytes]]:
    """As messages of data, none of them too long; a single metric is never cut."""
    first = size = 0
    for at, one in enumerate(metrics):
        if at > first and (at - first >= MESSAGE_METRICS or size + len(one) > most_bytes):
            yield metrics[first:at]
            first, size = at, 0
        size += len(one) + METRIC_BYTES
    yield metrics[first:]
