"""Variables that are not there for a while: taken out of the address space with their properties, and put back.

Who subscribed to one hears BadNodeIdUnknown and then nothing more, as from a device that was loaded with another
configuration; when the node is back, it must be subscribed to again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncua import ua

from simulator.opcua.values import SharedValue


class Gone:
    """Those of one address space."""

    def __init__(self, space: Any) -> None:
        self._space = space
        self._gone: dict[Any, tuple[dict[Any, Any], list[tuple[Any, Any]]]] = {}

    def __contains__(self, node: Any) -> bool:
        return node in self._gone

    def __len__(self) -> int:
        return len(self._gone)

    async def keep_to(self, wanted: Mapping[Any, object]) -> list[Any]:
        """Let exactly these nodes be gone; gives back those that returned."""
        back = [node for node in self._gone if node not in wanted]
        for node in back:
            stored, parents = self._gone.pop(node)
            for one, data in stored.items():
                self._space[one] = data
            for parent, reference in parents:
                self._space[parent].references.append(reference)
        for node in wanted:
            if node not in self._gone:
                await self._hide(node)
        return back

    def forget(self) -> None:
        """The address space was built anew."""
        self._gone = {}

    async def _hide(self, node: Any) -> None:
        space = self._space
        unknown = SharedValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
        await space.write_attribute_value(node, ua.AttributeIds.Value, unknown)
        family = [node, *(one.NodeId for one in space[node].references if one.IsForward and one.NodeId in space)]
        has_type = ua.NodeId(ua.ObjectIds.HasTypeDefinition)
        types = {one.NodeId for one in space[node].references if one.ReferenceTypeId == has_type}
        stored = {one: space[one] for one in family if one not in types}
        for data in stored.values():
            for attribute in data.attributes.values():
                for handle in list(attribute.datachange_callbacks):
                    space.delete_datachange_callback(handle)
        parents = []
        for up in [one.NodeId for one in space[node].references if not one.IsForward]:
            for reference in [one for one in space[up].references if one.NodeId == node]:
                space[up].references.remove(reference)
                parents.append((up, reference))
        for one in stored:
            del space[one]
        self._gone[node] = stored, parents
