"""What a plant's value is in OPC UA: its built-in type, the form the library wants, and the DataValue it travels in.

    type of the tag            served as (`variant` of the tag)
    bool .. float64, string    Boolean .. Double, String (float16 as Float)
    a whole number             DateTime [ms since 1970], StatusCode
    string                     Guid, ByteString, LocalizedText, XmlElement, QualifiedName
    any, with dims             an array of up to three dimensions

Pure. Source: OPC 10000-6, 5.1.2 (built-in types).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from asyncua import ua

from protocol.errors import ConfigError
from simulator.plant.plant import Value
from simulator.scene.scene import TagEntry

VARIANTS: dict[str, Any] = {
    "bool": ua.VariantType.Boolean,
    "int8": ua.VariantType.SByte,
    "uint8": ua.VariantType.Byte,
    "int16": ua.VariantType.Int16,
    "uint16": ua.VariantType.UInt16,
    "int32": ua.VariantType.Int32,
    "uint32": ua.VariantType.UInt32,
    "int64": ua.VariantType.Int64,
    "uint64": ua.VariantType.UInt64,
    "float16": ua.VariantType.Float,
    "float32": ua.VariantType.Float,
    "float64": ua.VariantType.Double,
    "string": ua.VariantType.String,
}
"""Catalog type -> built-in type; its number is the DataType's NodeId in namespace 0."""

_START = datetime(1970, 1, 1, tzinfo=UTC)

_NAMESPACE = uuid.UUID("6f2a4d5e-2f0b-5c1e-9a35-6c68636b7676")
"""Texts become Guids under this name (RFC 9562, 5.5)."""

_FORMS: dict[str, tuple[bool, Callable[[Any], Any]]] = {
    "DateTime": (False, lambda value: _START + timedelta(milliseconds=int(value))),
    "StatusCode": (False, lambda value: ua.StatusCode(int(value) & 0xFFFFFFFF)),
    "Guid": (True, lambda value: uuid.uuid5(_NAMESPACE, value)),
    "ByteString": (True, lambda value: str(value).encode()),
    "LocalizedText": (True, ua.LocalizedText),
    "XmlElement": (True, lambda value: ua.XmlElement(f"<v>{value}</v>")),
    "QualifiedName": (True, lambda value: ua.QualifiedName(value, 0)),
}
"""`variant` of a tag -> whether it is made of a text, and how."""


class SharedValue(ua.DataValue):  # type: ignore[misc]
    """A DataValue that nobody changes: the library's monitored items copy each one deeply, which is half their cost."""

    __slots__ = ()

    def __deepcopy__(self, _: object) -> SharedValue:
        return self


@lru_cache(maxsize=64)
def moment_of(time_ns: int) -> datetime:
    """A time of the plant [ns since 1970 UTC] as OPC UA's library wants it; exact to the microsecond."""
    return _START + timedelta(microseconds=time_ns // 1000)


def time_of(moment: datetime) -> int:
    """The other way round [ns]; a time without a zone is UTC."""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (zoned - _START) // timedelta(microseconds=1) * 1000


class KeptVariant(ua.Variant):  # type: ignore[misc]
    """A Variant whose type is told, so that the library has nothing to guess: a third of a write's price."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Convert nothing: every field was given as the library keeps it."""


@lru_cache(maxsize=256)
def status_of(code: int) -> Any:
    """The library's StatusCode."""
    return ua.StatusCode(code)


class Form:
    """How the values of one entry are shown."""

    def __init__(self, entry: TagEntry) -> None:
        """
        Raises:
            ConfigError: a `variant` that is none, or that its type cannot be.
        """
        self.dims = entry.dims
        self.variant = VARIANTS[entry.type]
        self._convert: Callable[[Any], Any] | None = None
        if entry.variant:
            of_text, self._convert = _FORMS.get(entry.variant, (None, None))
            if of_text is None or of_text != (entry.type == "string") or (not of_text and "int" not in entry.type):
                texts = ", ".join(name for name, (is_text, _) in _FORMS.items() if is_text)
                raise ConfigError(
                    f"tag {entry.name}: {entry.type} cannot be served as {entry.variant}",
                    hint=f"a string can be {texts}; a whole number DateTime or StatusCode",
                )
            self.variant = getattr(ua.VariantType, entry.variant)

    def of(self, values: Sequence[Value]) -> Any:
        """The Variant of a scalar's value, or of an array's in row-major order."""
        convert = self._convert
        converted: list[Any] = [convert(one) for one in values] if convert else list(values)
        if not self.dims:
            return KeptVariant(converted[0], self.variant, None, False)
        for size in reversed(self.dims[1:]):
            converted = [converted[at : at + size] for at in range(0, len(converted), size)]
        return ua.Variant(converted, self.variant, is_array=True)
