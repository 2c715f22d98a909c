"""A description is read from every build's bytes, and what it does not say is at its default."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.content.catalog import Asset, Page, Tag, from_wire, to_wire
from protocol.errors import FrameError
from protocol.limits import NAME_BYTES

VECTORS = Path(__file__).parents[2] / "vectors"
TAG = Tag(id=1, asset="pump-7", name="p", type="float32", unit="bar", low=0.0, high=16.0, address="holding:0")


@pytest.mark.parametrize(
    ("vector", "conversion"), [("block_catalog", ""), ("block_catalog_conversion", "int16 x 0.1 - 20")]
)
def test_a_page_is_read_and_written_again_as_it_came(vector: str, conversion: str) -> None:
    """A sender of before the field says nothing of a conversion; one without it has the bytes it always had."""
    body = json.loads((VECTORS / f"{vector}.json").read_text())["expect"]
    page = from_wire(body)
    assert page.tags == (replace(TAG, conversion=conversion),)
    assert to_wire(page) == body


def test_a_field_that_this_build_does_not_know_is_passed_over() -> None:
    """So that builds on both sides may be of any age."""
    page = Page(index=0, assets=(Asset(name="pump-7"),), tags=(TAG,))
    body = to_wire(page)
    body["tags"][0] |= {"colour": 7}
    assert from_wire(body) == page


@pytest.mark.parametrize("conversion", [1, None, ["x 0.1"], "x" * (NAME_BYTES + 1)])
def test_a_conversion_that_is_no_short_text_is_refused(conversion: object) -> None:
    """Like every other text of a page."""
    body = to_wire(Page(index=0, assets=(Asset(name="pump-7"),), tags=(TAG,)))
    body["tags"][0] |= {"conversion": conversion}
    with pytest.raises(FrameError):
        from_wire(body)
