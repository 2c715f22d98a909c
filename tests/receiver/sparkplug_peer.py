"""A strict host of Sparkplug B: Google's protobuf reads the payloads, by a description of our own, written here again.

It knows nothing of the encoder under test. What breaks the specification is a fault, in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SIGNED = {1: 2**8, 2: 2**16, 3: 2**32, 4: 2**64}
"""Datatypes of whole numbers with a sign, and what their two's complement is taken of."""
_KINDS = {
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
}
_VALUES = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value")


def _describe() -> Callable[[], Any]:
    """The class of a payload."""
    file = descriptor_pb2.FileDescriptorProto(name="host.proto", package="host", syntax="proto2")
    fields: dict[str, Mapping[str, tuple[int, str]]] = {
        "PropertyValue": {
            "type": (1, "uint32"),
            "is_null": (2, "bool"),
            "int_value": (3, "uint32"),
            "long_value": (4, "uint64"),
            "float_value": (5, "float"),
            "double_value": (6, "double"),
            "boolean_value": (7, "bool"),
            "string_value": (8, "string"),
        },
        "PropertySet": {"keys": (1, "string*"), "values": (2, "PropertyValue*")},
        "Metric": {
            "name": (1, "string"),
            "alias": (2, "uint64"),
            "timestamp": (3, "uint64"),
            "datatype": (4, "uint32"),
            "is_historical": (5, "bool"),
            "is_transient": (6, "bool"),
            "is_null": (7, "bool"),
            "properties": (9, "PropertySet"),
            "int_value": (10, "uint32"),
            "long_value": (11, "uint64"),
            "float_value": (12, "float"),
            "double_value": (13, "double"),
            "boolean_value": (14, "bool"),
            "string_value": (15, "string"),
            "bytes_value": (16, "bytes"),
        },
        "Payload": {"timestamp": (1, "uint64"), "metrics": (2, "Metric*"), "seq": (3, "uint64"), "uuid": (4, "string")},
    }
    for name, held in fields.items():
        message = file.message_type.add(name=name)
        for key, (number, kind) in held.items():
            one = message.field.add(name=key, number=number)
            one.label = one.LABEL_REPEATED if kind.endswith("*") else one.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in _KINDS:
                one.type = _KINDS[kind]
            else:
                one.type, one.type_name = one.TYPE_MESSAGE, f".host.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made: Callable[[], Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName("host.Payload"))
    return made


Payload = _describe()


def read(body: bytes) -> Any:
    """A payload; raises where it is none, or has a field that the specification does not."""
    one = Payload()
    one.ParseFromString(body)
    assert one.SerializeToString(deterministic=True), "empty"
    assert len(one.SerializeToString()) == len(body), "it holds what no field is for"
    return one


def command(*metrics: tuple[str, int, Any]) -> bytes:
    """A command: name, datatype and value of each metric."""
    one = Payload()
    one.timestamp = 1
    for name, kind, value in metrics:
        each = one.metrics.add(name=name, datatype=kind)
        setattr(each, "boolean_value" if kind == 11 else "double_value", value)
    data: bytes = one.SerializeToString()
    return data


def value_of(one: Any, kind: int) -> Any:
    """The value of a metric or property."""
    if one.is_null:
        return None
    (found,) = [name for name in _VALUES if one.HasField(name)]
    value = getattr(one, found)
    wanted = {1: 0, 2: 0, 3: 0, 5: 0, 6: 0, 7: 0, 4: 1, 8: 1, 13: 1, 9: 2, 10: 3, 11: 4, 12: 5}[kind]
    assert found == _VALUES[wanted], f"datatype {kind} in {found}"
    if kind in SIGNED:
        value %= SIGNED[kind]
        value -= SIGNED[kind] if value >= SIGNED[kind] // 2 else 0
    return value


def properties_of(one: Any) -> dict[str, Any]:
    """The properties of a metric."""
    held = one.properties
    assert len(held.keys) == len(held.values)
    return {key: value_of(each, each.type) for key, each in zip(held.keys, held.values, strict=True)}


@dataclass
class HostMetric:
    """A metric as its birth has it, and how it stands."""

    name: str
    kind: int
    told: dict[str, Any]
    now: Any = None


@dataclass
class HostSample:
    """One value of data."""

    device: str
    metric: str
    kind: int
    value: Any
    historical: bool
    told: dict[str, Any]
    birth: dict[str, Any]


@dataclass
class StrictHost:
    """What a host application makes of the messages of one node, in their order."""

    samples: list[HostSample] = field(default_factory=list)
    births: int = 0
    device_births: int = 0
    deaths: int = 0
    node: dict[str, Any] = field(default_factory=dict)
    """Values of the node's own metrics."""
    devices: dict[str, dict[int, HostMetric]] = field(default_factory=dict)
    _seq: int = -1
    _birth: int = -1
    alive: bool = False

    def hear(self, heard: Sequence[tuple[str, bytes, bool]]) -> StrictHost:
        """Messages, in their order; raises at the first that breaks the specification."""
        for topic, body, retained in heard:
            assert not retained, "nothing of Sparkplug is retained but STATE"
            self._one(topic, read(body))
        return self

    def _one(self, topic: str, payload: Any) -> None:
        space, _, what, _, *device = topic.split("/")
        assert space == "spBv1.0"
        if what == "NDEATH":
            assert not payload.HasField("seq")
            (metric,) = payload.metrics
            assert metric.name == "bdSeq"
            if value_of(metric, metric.datatype) == self._birth:  # else of a connection that was never born, or is over
                self.alive, self.deaths = False, self.deaths + 1
            return
        assert payload.HasField("seq")
        if what == "NBIRTH":
            assert payload.seq == 0
            self._born(payload)
            return
        assert self.alive, f"{what} before a birth"
        assert payload.seq == (self._seq + 1) % 256, f"seq {payload.seq} behind {self._seq}"
        self._seq = payload.seq
        if what == "NDATA":
            for one in payload.metrics:
                assert one.name in self.node
                self.node[one.name] = value_of(one, 8)
            return
        (name,) = device
        if what == "DBIRTH":
            self._device_born(name, payload)
            return
        assert what == "DDATA"
        assert len({one.is_historical for one in payload.metrics}) == 1, "live and late in one message"
        for one in payload.metrics:
            assert not one.HasField("name")
            metric = self.devices[name][one.alias]
            value = value_of(one, metric.kind)
            if not one.is_historical:
                metric.now = value
            told = properties_of(one)
            assert told["Quality"] in (0, 192, 500)
            assert one.timestamp == max(told["time_ns"] // 10**6, 0)
            self.samples.append(HostSample(name, metric.name, metric.kind, value, one.is_historical, told, metric.told))

    def _born(self, payload: Any) -> None:
        self.node = {one.name: value_of(one, one.datatype) for one in payload.metrics}
        assert len(self.node) == len(payload.metrics)
        assert self.node["Node Control/Rebirth"] is False
        birth = self.node["bdSeq"]
        assert 0 <= birth <= 255
        self._birth, self._seq, self.alive, self.births = birth, 0, True, self.births + 1
        self.devices = {}

    def _device_born(self, name: str, payload: Any) -> None:
        self.device_births += 1
        held = self.devices[name] = {}
        for one in payload.metrics:
            assert one.name and one.HasField("alias") and one.HasField("datatype") and not one.is_historical  # noqa: PT018
            value = value_of(one, one.datatype)
            held[one.alias] = HostMetric(one.name, one.datatype, properties_of(one), value)
        assert len(held) == len(payload.metrics) == len({one.name for one in held.values()})
        others = [alias for device, each in self.devices.items() if device != name for alias in each]
        assert not set(others) & set(held), "an alias is of one metric of the node"
