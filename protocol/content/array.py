"""The one name for an array of numbers; its shape and kind stand where it is used."""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
