"""A tag's name in an address: `ASSET/TAG`, but for a `/` and a `%` in the asset's name, which are `%2F` and `%25`.

So the first slash parts the two, a path in a tag's name stays readable, and every pair of names has one spelling.
`static/trend/address.js` writes the same.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.exceptions import HTTPException

from receiver.portal.plant_picture import LiveTag, Picture

MOST_TAGS = 16
"""Of one chart: eight colours, whole and dashed; more lines nobody tells apart."""


def joined(asset: str, tag: str) -> str:
    """The name of a tag in an address."""
    return asset.replace("%", "%25").replace("/", "%2F") + "/" + tag


def parted(name: str) -> tuple[str, str]:
    """Asset and tag of a name; both empty where there is no slash, and so no such tag."""
    asset, slash, tag = name.partition("/")
    return (unquote(asset), tag) if slash else ("", "")


def query_of(names: list[tuple[str, str]]) -> str:
    """`tag=..&tag=..` of these tags."""
    return "&".join(f"tag={quote(joined(asset, tag), safe='/')}" for asset, tag in names)


def named_tag(picture: Picture, asset: str, tag: str) -> LiveTag | None:
    """The tag as it is described now, or as it was described last; None for what is not there, or not theirs."""
    live_asset = picture.assets.get(asset)
    if live_asset is None:
        return None
    fits = [one for one in (*live_asset.past, *live_asset.tags) if one.tag.name == tag]
    return fits[-1] if fits else None


def asked_tags(picture: Picture, names: list[str]) -> list[LiveTag]:
    """The tags that an address names, each once.

    Raises:
        HTTPException: 400 where there is none or too many, 404 where one is not there, or not among the reader's.
    """
    wanted = list(dict.fromkeys(names))
    if not 0 < len(wanted) <= MOST_TAGS:
        raise HTTPException(400)
    found = [named_tag(picture, *parted(one)) for one in wanted]
    if any(one is None for one in found):
        raise HTTPException(404)
    return [one for one in found if one is not None]
