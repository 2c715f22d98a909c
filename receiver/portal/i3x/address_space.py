"""The plant as i3X sees it: elements, their types, and what stands in which relation to what. No I/O and no clock.

    plant                                HasChildren sites; the one root, there for every reader
      site                               HasChildren assets
        asset      AssetType             HasComponent its tags; its own value is its state
          tag      TYPE in UNIT          its newest value; HasChildren itself under older descriptions
            tag/../version/N             with another type, unit, address or scale: what it measured then

An older description is an element of its own because its values are of another type: they never stand in the history
of the present one. Every relation is told from both ends (guide, "Relationship Semantics").
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from receiver.portal import words
from receiver.portal.i3x import element_ids, told_values
from receiver.portal.plant_picture import LiveAsset, LiveTag, Picture

BASE = "https://cesmii.org/i3x"
"""Namespace of the relations that i3X itself defines."""
OURS = "urn:checkvalve:plant"
NAMESPACES = ({"uri": OURS, "displayName": "Checkvalve"}, {"uri": BASE, "displayName": "i3X"})

PARENT, CHILDREN, COMPONENT, PART_OF = "HasParent", "HasChildren", "HasComponent", "ComponentOf"
RELATIONS = {
    one: {"elementId": one, "displayName": one, "namespaceUri": BASE, "relationshipId": one, "reverseOf": back}
    for one, back in ((PARENT, CHILDREN), (CHILDREN, PARENT), (COMPONENT, PART_OF), (PART_OF, COMPONENT))
}

VERSION = "1.0.0"
"""Of each type, which never changes: another unit is another type."""
_STATE = {"type": "string", "enum": ["up", "down"]}
FIXED_TYPES: dict[str, tuple[str, dict[str, Any]]] = {
    "type/plant": ("Plant", {"type": "object"}),
    "type/site": ("Site", {"type": "object"}),
    "type/asset": (
        "Asset",
        {"type": "object", "properties": {"state": _STATE, "text": {"type": "string"}}, "required": ["state", "text"]},
    ),
    "type/unknown": ("UnknownType", {"type": "object"}),
}
"""By id: name and schema."""


@dataclass(slots=True, kw_only=True)
class PlantElement:
    """One object of the address space."""

    id: str
    name: str
    live_asset: LiveAsset | None = None
    """None for the plant and its sites."""
    live_tag: LiveTag | None = None
    """None for an asset."""
    parent: str | None
    relations: dict[str, list[str]] = field(default_factory=dict)
    """Ids by relation, as `RELATIONS` has them."""

    @property
    def type_id(self) -> str:
        """Of its type, as it is described at this moment."""
        if self.live_tag is not None:
            tag = self.live_tag.tag
            return element_ids.tag_type(tag) if told_values.known_type(tag) else "type/unknown"
        return "type/asset" if self.live_asset is not None else f"type/{self.id.partition('/')[0]}"

    @property
    def composed(self) -> bool:
        """It has components."""
        return COMPONENT in self.relations

    def described(self, *, metadata: bool) -> dict[str, Any]:
        """As i3X tells an object."""
        told: dict[str, Any] = {
            "elementId": self.id,
            "displayName": words.text(self.name) or self.id,
            "typeElementId": self.type_id,
            "parentId": self.parent,
            "isComposition": self.composed,
            "isExtended": False,
        }
        if metadata:
            known = {"typeNamespaceUri": OURS, "sourceTypeId": self.type_id, "relationships": self.relations}
            told["metadata"] = known | self._more()
        return told

    def _more(self) -> dict[str, Any]:
        """What else is known; no address in a device, which is for the site alone."""
        if self.live_tag is not None:
            tag = self.live_tag.tag
            numbers = {"low": tag.low, "high": tag.high, "normalLow": tag.normal_low, "normalHigh": tag.normal_high}
            told = {"unit": words.text(tag.unit), "type": words.text(tag.type), "scanSeconds": tag.scan_s, **numbers}
            more = {"asset": words.text(tag.asset), "tag": words.text(tag.name), "version": self.live_tag.version}
            return {"description": words.text(tag.description), "system": told | more}
        if self.live_asset is None:
            return {}
        one = self.live_asset.asset
        names = ("name", "site", "path", "serial", "model", "firmware", "kind")
        system: dict[str, Any] = {name: words.text(getattr(one, name)) for name in names}
        system |= {"vendors": [words.text(vendor) for vendor in one.vendors], "simulated": one.simulated}
        return {"description": "SIMULATED" if one.simulated else "", "system": system}


class AddressSpace:
    """Every element that a reader's picture holds."""

    def __init__(self, picture: Picture) -> None:
        """
        Args:
            picture: The plant as it stands now, cut to the reader's scope.
        """
        self._picture = picture
        self._made: Hashable = None
        self._elements: dict[str, PlantElement] = {}
        self._of_series: dict[int, str] = {}

    @property
    def elements(self) -> Mapping[str, PlantElement]:
        """By id, parents before what stands under them."""
        assets = self._picture.assets
        now = (self._picture.version, tuple((name, one.asset.site) for name, one in assets.items()))
        if now != self._made:
            self._made, self._elements, self._of_series = now, {}, {}
            self._make(assets)
        return self._elements

    @property
    def of_series(self) -> Mapping[int, str]:
        """Ids of tags by the number of their series."""
        return self._of_series if self.elements else {}

    def types(self) -> dict[str, dict[str, Any]]:
        """Every type that an element has, and the fixed ones, as i3X tells them."""
        told = {one: _type(one, name, schema) for one, (name, schema) in FIXED_TYPES.items()}
        for element in self.elements.values():
            if element.live_tag is not None and element.type_id not in told:
                schema = told_values.schema(element.live_tag.tag)
                told[element.type_id] = _type(element.type_id, schema["title"], schema)
        return told

    def components(self, element: PlantElement, depth: int) -> list[PlantElement]:
        """What a value of this depth holds beside the element's own; 0 is all of it, 1 nothing."""
        ids = element.relations.get(COMPONENT, ()) if depth != 1 else ()
        return [self._elements[one] for one in ids]

    def seen(self, elements: Iterable[PlantElement]) -> tuple[list[str], list[tuple[str, str]]]:
        """Assets and tags of these elements, for the record; of an asset as a whole no tag is named."""
        held = list(elements)
        assets = dict.fromkeys(one.live_asset.asset.name for one in held if one.live_asset is not None)
        tags = dict.fromkeys((one.live_tag.tag.asset, one.live_tag.tag.name) for one in held if one.live_tag)
        return [*assets], [*tags]

    def _make(self, assets: Mapping[str, LiveAsset]) -> None:
        self._put(PlantElement(id=element_ids.PLANT, name="Plant", parent=None))
        for live_asset in assets.values():
            above = self._elements[element_ids.PLANT]
            if name := live_asset.asset.site:
                at = element_ids.site(name)
                if at not in self._elements:
                    self._put(PlantElement(id=at, name=name, parent=above.id), PARENT, CHILDREN)
                above = self._elements[at]
            at = element_ids.asset(live_asset.asset.name)
            one = PlantElement(id=at, name=live_asset.asset.name, live_asset=live_asset, parent=above.id)
            self._put(one, PARENT, CHILDREN)
            self._make_tags(live_asset, one)

    def _make_tags(self, live_asset: LiveAsset, above: PlantElement) -> None:
        for live_tag in (*live_asset.tags, *live_asset.past):
            asset, name = live_tag.tag.asset, live_tag.tag.name
            at, parent = element_ids.tag(asset, name), above.id
            old = not live_tag.current
            if old:
                parent = at if at in self._elements else parent
                at = element_ids.tag(asset, name, live_tag.version)
            if at in self._elements:  # two sites with an asset of one name
                at = f"{at}/series/{live_tag.series}"
            one = PlantElement(id=at, name=name, live_asset=live_asset, live_tag=live_tag, parent=parent)
            self._put(one, *((PARENT, CHILDREN) if old else (PART_OF, COMPONENT)))
            self._of_series[live_tag.series] = at

    def _put(self, element: PlantElement, up: str = "", down: str = "") -> None:
        self._elements[element.id] = element
        if element.parent is not None:
            element.relations.setdefault(up, []).append(element.parent)
            self._elements[element.parent].relations.setdefault(down, []).append(element.id)


def _type(one: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    told = {"elementId": one, "displayName": name, "namespaceUri": OURS, "sourceTypeId": one}
    return told | {"version": VERSION, "schema": schema}
