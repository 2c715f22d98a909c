"""What an element is called by programs: the same for ever, whatever stands in its name (i3X guide, "ElementId").

    plant                      the one root
    site/SITE                  asset/ASSET          type/TYPE/UNIT/STATES
    tag/ASSET/NAME             tag/ASSET/NAME/version/2, under an older description

A part is the name with everything written as %XX (UTF-8) that is no printable sign, and with `%`, `/` and spaces: so
no name can look like another's, and none begins or ends with a space. Letters of any script stay as they are.
"""

from __future__ import annotations

import hashlib

from protocol.content.catalog import Tag

PLANT = "plant"
_HELD_OUT = frozenset("%/ ")


def part(name: str) -> str:
    """One name as a part of an id; `-` where it is empty."""
    if not name:
        return "-"
    if name == "-":
        return "%2D"
    return "".join(one if one.isprintable() and one not in _HELD_OUT else _escaped(one) for one in name)


def site(name: str) -> str:
    """The id of a site."""
    return f"site/{part(name)}"


def asset(name: str) -> str:
    """The id of an asset."""
    return f"asset/{part(name)}"


def tag(of: str, name: str, version: int | None = None) -> str:
    """The id of a tag.

    Args:
        of: Its asset's name.
        version: Of an older description; None: as it is described now.
    """
    return f"tag/{part(of)}/{part(name)}" + ("" if version is None else f"/version/{version}")


def tag_type(one: Tag) -> str:
    """The id of the type of a tag's values: what they are, in which unit, and the names of its states."""
    told = f"type/{part(one.type)}/{part(one.unit)}"
    if not one.states:
        return told
    named = "\0".join(one.states).encode("utf-8", "surrogatepass")
    return f"{told}/states-{hashlib.sha256(named).hexdigest()[:12]}"


def _escaped(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))
