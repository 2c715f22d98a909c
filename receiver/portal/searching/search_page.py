"""`/search?find=TEXT`, a page, and `/api/search?find=TEXT`, what `search.js` shows below the field of the strip."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from receiver.portal import words
from receiver.portal.live import Live
from receiver.portal.pages import Pages
from receiver.portal.scoped import looks
from receiver.portal.searching.plant_search import LONGEST_TEXT, PlantFinds, PlantSearch
from receiver.portal.shown import show
from receiver.portal.streams import Topic

MOST_BELOW = 12
"""Lines below the field: they fit the screen of a telephone."""

MOST_ON_PAGE = 200


class SearchPage:
    """The search of one scope."""

    def __init__(self, live: Live, pages: Pages) -> None:
        """
        Args:
            live: The plant as it stands now.
            pages: Give the frame.
        """
        self._live, self._pages = live, pages
        self._search = PlantSearch(live.picture)

    async def page(self, request: Request) -> Response:
        """`/search`."""
        text, found = self._find(request, MOST_ON_PAGE)
        at, picture = self._live.moment(), self._live.picture
        rows = [show(picture, live_tag, at) for live_tag in found.tags]
        return self._pages.page("search.html", Topic(), text=text, found=found, rows=rows, longest=LONGEST_TEXT)

    async def answer(self, request: Request) -> Response:
        """`/api/search`."""
        _, found = self._find(request, MOST_BELOW)
        told = [
            {
                "kind": "asset",
                "name": words.text(one.asset.name),
                "asset": "",
                "about": words.text(" · ".join(filter(None, (one.asset.path, one.asset.model)))),
                "page": words.asset_address(one.asset.name),
            }
            for one in found.assets
        ]
        told += [
            {
                "kind": "tag",
                "name": words.text(one.tag.name),
                "asset": words.text(one.tag.asset),
                "about": words.text(one.tag.description),
                "page": one.page,
            }
            for one in found.tags
        ]
        made = orjson.dumps({"found": told, "more": found.more}, option=orjson.OPT_APPEND_NEWLINE)
        return Response(made, media_type="application/json")

    def _find(self, request: Request, most: int) -> tuple[str, PlantFinds]:
        text = " ".join(request.query_params.get("find", "")[:LONGEST_TEXT].split())
        found = self._search.find(text, most=most)
        tags = [(one.tag.asset, one.tag.name) for one in found.tags]
        assets = dict.fromkeys([one.asset.name for one in found.assets] + [asset for asset, _ in tags])
        looks.show(request, "read.search", assets, tags, rows=len(tags))
        return text, found
