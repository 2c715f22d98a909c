"""One event as a server tells it: the fields that are asked for, and what they say.

Asked for are the standard's own (OPC 10000-5, 6.4; 10000-9, 5) and those of the server's own types (`kinds`); a field
that an event does not have comes empty. The latter are kept in the text: `pump 3 tripped (Batch=17, Operator=anna)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncua import ua

from collectors.opcua.decode import column_value
from collectors.opcua.events.kinds import Kinds

LONGEST = 200
"""Most characters of one own field that are kept."""

_BASE, _CONDITION = ua.ObjectIds.BaseEventType, ua.ObjectIds.ConditionType
_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("type", _BASE, "EventType"),
    ("source", _BASE, "SourceName"),
    ("time", _BASE, "Time"),
    ("severity", _BASE, "Severity"),
    ("message", _BASE, "Message"),
    ("condition", _CONDITION, ""),
    ("name", _CONDITION, "ConditionName"),
    ("branch", _CONDITION, "BranchId"),
    ("retain", _CONDITION, "Retain"),
    ("enabled", _CONDITION, "EnabledState/Id"),
    ("acked", ua.ObjectIds.AcknowledgeableConditionType, "AckedState/Id"),
    ("active", ua.ObjectIds.AlarmConditionType, "ActiveState/Id"),
)
"""Name here, type that defines it, path of browse names from that type; no path: the condition's own id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event, its fields by the names above; None where the server says nothing."""

    type: Any
    source: str
    time: datetime | None
    severity: int
    message: str
    """With the fields that the server's own type has."""
    condition: str
    """Id of the condition, empty for an event that is of none."""
    name: str
    branch: str
    retain: bool | None
    enabled: bool | None
    acked: bool | None
    active: bool | None


def clauses(kinds: Kinds) -> list[Any]:
    """What to select, in the order in which `read` takes it."""
    standard = [_operand(ua.NodeId(ua.Int32(kind)), _path(path)) for _, kind, path in _FIELDS]
    return standard + [_operand(field.kind, [field.name]) for field in kinds.fields]


def read(fields: Sequence[Any], id_text: Callable[[Any], str], kinds: Kinds) -> Told:
    """The fields of one event; whatever is not of its kind counts as not said.

    Args:
        fields: In the order of `clauses`.
        id_text: How an id is written.
        kinds: As given to `clauses`.
    """
    said = {name: one.Value for (name, _, _), one in zip(_FIELDS, fields, strict=False)}

    def flag(name: str) -> bool | None:
        return said.get(name) if isinstance(said.get(name), bool) else None

    def text(name: str) -> str:
        value = said.get(name)
        return (value.Text or "") if isinstance(value, ua.LocalizedText) else str(value) if value is not None else ""

    severity, time = said.get("severity"), said.get("time")
    return Told(
        type=said.get("type"),
        source=text("source"),
        time=time if isinstance(time, datetime) else None,
        severity=min(1000, max(1, severity)) if isinstance(severity, int) else 1,
        message=" ".join(filter(None, (text("message"), _own(fields[len(_FIELDS) :], kinds)))),
        condition=id_text(said.get("condition")),
        name=text("name"),
        branch=_identifier(said.get("branch")),
        retain=flag("retain"),
        enabled=flag("enabled"),
        acked=flag("acked"),
        active=flag("active"),
    )


def state_of(told: Told) -> str:
    """A condition that is no alarm has no active state; it stands while it is retained."""
    stands = told.retain if told.active is None else told.active
    if told.enabled is False or not stands:
        return "cleared"
    return "acked" if told.acked else "active"


def _own(values: Sequence[Any], kinds: Kinds) -> str:
    """What the server's own fields say, in brackets; empty where they say nothing."""
    said = []
    for field, value in zip(kinds.fields, values, strict=False):
        content, bad = column_value(value.VariantType.value, value.Value, "string")
        if not bad and content not in (None, ""):
            said.append(f"{field.name.Name}={str(content)[:LONGEST]}")
    return f"({', '.join(dict.fromkeys(said))})" if said else ""


def _identifier(node: Any) -> str:
    """A branch's id: no more than tells it from the others of its condition; empty for the null id."""
    if not isinstance(node, ua.NodeId) or node.is_null():
        return ""
    return str(node.to_string()).removeprefix(f"ns={node.NamespaceIndex};")


def _path(text: str) -> list[Any]:
    return [ua.QualifiedName(name, 0) for name in text.split("/") if name]


def _operand(kind: Any, path: Sequence[Any]) -> Any:
    return ua.SimpleAttributeOperand(
        TypeDefinitionId=kind,
        BrowsePath=list(path),
        AttributeId=ua.AttributeIds.Value if path else ua.AttributeIds.NodeId,
    )
