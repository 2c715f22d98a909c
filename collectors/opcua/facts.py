"""What a server says of its nodes: type, unit, range, description, names of states. In bulk, at each connect.

    one Read        DataType, Description and Value of every node
    one Browse      the properties of every node, and of every data type that is not the standard's own
    one Read        those of the properties that say something: EngineeringUnits, EURange, EnumStrings ..

each cut to the server's limits, so that fifty nodes take a handful of requests (OPC 10000-8, 5.3; 10000-3, 8.40).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from collectors.base import Facts
from collectors.opcua import units
from collectors.opcua.decode import TYPE_OF
from collectors.opcua.session import Session, attribute

_PROPERTIES = ("EngineeringUnits", "EURange", "EnumStrings", "EnumValues", "FalseState", "TrueState")
_MOST_STATES = 256
"""Most names of an enumeration that are kept; longer ones are lists of codes, not of states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What was learned of one node, its first value with it."""

    value: Any
    """DataValue of the Value attribute."""
    read_ns: int
    """When it was read [ns]."""
    facts: Facts


async def learn(session: Session, ids: Mapping[int, Any], clock: Callable[[], int]) -> dict[int, About]:
    """First value and facts of each node, by the key it is given under."""
    attributes = (ua.AttributeIds.DataType, ua.AttributeIds.Description, ua.AttributeIds.Value)
    asked = [attribute(node, which) for node in ids.values() for which in attributes]
    answers = await session.read(asked, partly=True)
    read_ns = clock()
    plain = {key: tuple(answers[3 * at : 3 * at + 3]) for at, key in enumerate(ids)}
    own = {key: _content(data_type) for key, (data_type, _, _) in plain.items()}
    own_types = {str(kind): kind for kind in own.values() if kind is not None and kind.NamespaceIndex}
    said = await _properties(session, [*ids.values(), *own_types.values()])
    of_node = dict(zip(ids, said, strict=False))
    of_type = dict(zip(own_types, said[len(ids) :], strict=True))
    out = {}
    for key, (_, description, value) in plain.items():
        properties = of_type.get(str(own[key]), {}) | of_node[key]
        out[key] = About(value=value, read_ns=read_ns, facts=_facts(own[key], description, value, properties))
    return out


def type_of(value: Any, data_type: Any) -> str | None:
    """Catalog type of a variable: by its value, or by its data type where it has none yet."""
    if value.Value is not None and value.Value.VariantType.value in TYPE_OF:
        return TYPE_OF[value.Value.VariantType.value]
    if data_type is not None and data_type.NamespaceIndex == 0 and isinstance(data_type.Identifier, int):
        return TYPE_OF.get(data_type.Identifier)
    return None


async def _properties(session: Session, nodes: Sequence[Any]) -> list[dict[str, Any]]:
    """Values of each node's properties that say something, by name."""
    references = await session.browse(nodes, ua.ObjectIds.HasProperty, ua.NodeClass.Variable)
    wanted = [
        (at, str(reference.BrowseName.Name), session.local(reference.NodeId))
        for at, held in enumerate(references)
        for reference in held
        if reference.BrowseName.Name in _PROPERTIES
    ]
    values = await session.read([attribute(node) for _, _, node in wanted])
    out: list[dict[str, Any]] = [{} for _ in nodes]
    for (at, name, _), value in zip(wanted, values, strict=True):
        content = _content(value)
        if content is not None:
            out[at][name] = content
    return out


def _facts(data_type: Any, description: Any, value: Any, properties: Mapping[str, Any]) -> Facts:
    text = _content(description)
    unit = properties.get("EngineeringUnits")
    low, high = _range(properties.get("EURange"))
    return Facts(
        type=type_of(value, data_type),
        unit=units.ucum(unit.NamespaceUri, unit.UnitId, unit.DisplayName.Text)
        if isinstance(unit, ua.EUInformation)
        else None,
        description=text.Text if isinstance(text, ua.LocalizedText) else None,
        low=low,
        high=high,
        states=_states(properties),
    )


def _range(span: Any) -> tuple[float | None, float | None]:
    """Low and high of a Range; nothing where they are equal, which servers say for "not set"."""
    if not isinstance(span, ua.Range) or not span.Low < span.High:
        return None, None
    return float(span.Low), float(span.High)


def _states(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the values 0, 1, 2 ..; a gap between them is an empty name."""
    if "EnumStrings" in properties:
        return _texts(properties["EnumStrings"])
    if "EnumValues" in properties and isinstance(properties["EnumValues"], list):
        named = {
            int(one.Value): one.DisplayName.Text or ""
            for one in properties["EnumValues"]
            if hasattr(one, "DisplayName")
        }
        if named and min(named) >= 0 and max(named) < _MOST_STATES:
            return tuple(named.get(value, "") for value in range(max(named) + 1))
        return ()
    return _texts([properties[name] for name in ("FalseState", "TrueState") if name in properties])


def _texts(texts: Any) -> tuple[str, ...]:
    if not isinstance(texts, list) or len(texts) > _MOST_STATES:
        return ()
    return tuple(text.Text or "" for text in texts if isinstance(text, ua.LocalizedText))


def _content(value: Any) -> Any:
    """What a DataValue holds, None where it is bad or empty."""
    if value.StatusCode is not None and value.StatusCode.is_bad():
        return None
    return None if value.Value is None else value.Value.Value
