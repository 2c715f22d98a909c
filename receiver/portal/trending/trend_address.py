"""What the address of a trend says, and nothing that it does not know: the whole state of the page stands in it.

    tag      ASSET/TAG, up to sixteen times (`tag_names.py`)
    range    seconds up to now; or `from` and `to`: ISO 8601 UTC, or milliseconds since 1970
    against  begin of a second time that is laid over the first, as `from`
    show     time (left out), xy, shares
    axes     unit (left out): tags of one unit share an axis; own: each has its own
    x, y     letters of the two tags of an xy chart
    hide     letters of tags that are not drawn

The order is fixed, so that one view has one address.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

from starlette.exceptions import HTTPException

from receiver.portal.trending.tag_names import MOST_TAGS

KEYS = ("tag", "range", "from", "to", "against", "show", "axes", "x", "y", "hide")
"""Everything that an address of a trend may say, in its order."""

LONGEST = 7_000
"""Bytes of an address: what every server and browser takes, less what stands before it."""


def kept(query: str) -> list[tuple[str, str]]:
    """What of a query is an address of a trend, in its order; tags are named once.

    Raises:
        HTTPException: 400, it cannot be read, is too long or names too many tags.
    """
    try:
        given = parse_qsl(query, max_num_fields=100, errors="strict") if len(query) <= LONGEST else None
    except ValueError as error:
        raise HTTPException(400) from error
    if given is None:
        raise HTTPException(400)
    found = [pair for key in KEYS for pair in dict.fromkeys(one for one in given if one[0] == key)]
    if sum(key == "tag" for key, _ in found) > MOST_TAGS:
        raise HTTPException(400)
    return [one for at, one in enumerate(found) if one[0] == "tag" or one[0] not in [key for key, _ in found[:at]]]


def changed(given: list[tuple[str, str]], change: Mapping[str, object]) -> str:
    """The address with something else in it; another length of time takes the place of a range."""
    gone = {*change, *(("from", "to") if "range" in change else ())}
    left = [one for one in given if one[0] not in gone]
    return written(
        sorted([*left, *((key, str(held)) for key, held in change.items())], key=lambda one: KEYS.index(one[0]))
    )


def written(given: list[tuple[str, str]]) -> str:
    """As it stands behind the question mark."""
    return "&".join(f"{key}={quote(held, safe='/:')}" for key, held in given)
