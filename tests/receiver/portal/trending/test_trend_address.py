"""The address of a trend: one view has one address, and nothing foreign gets through it."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from receiver.portal.trending import trend_address
from receiver.portal.trending.tag_names import joined, parted, query_of


@given(st.text(), st.text())
def test_any_two_names_make_one_name_that_parts_again(asset: str, tag: str) -> None:
    """Slashes and percent signs included; a path in a tag's name stays as it is."""
    assert parted(joined(asset, tag)) == (asset, tag)
    assert tag in joined(asset, tag)


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=8))
def test_tags_go_through_a_query_and_come_back(names: list[tuple[str, str]]) -> None:
    """Whatever they are called."""
    found = parse_qsl(query_of(names), keep_blank_values=True, max_num_fields=20)
    assert [parted(held) for _, held in found] == names


def test_an_address_has_one_order_and_holds_nothing_else() -> None:
    """What it does not know is left out; of a word that stands twice the first counts, tags are named once."""
    query = "to=2&evil=%0d%0aX&range=5&tag=a/b&range=6&tag=a/c&tag=a/b&wrong=full"
    assert trend_address.written(trend_address.kept(query)) == "tag=a/b&tag=a/c&range=5&to=2"
    kept = trend_address.kept("tag=a/b&from=1&to=2&show=xy")
    assert trend_address.changed(kept, {"range": 600}) == "tag=a/b&range=600&show=xy"


@pytest.mark.parametrize(
    "query", ["tag=" + "x" * 8000, "&".join(f"tag=a/{at}" for at in range(17)), "&" * 200, "tag=%ff"]
)
def test_an_address_that_nobody_wrote_is_refused(query: str) -> None:
    """Too long, too many tags, too many parts, no UTF-8."""
    with pytest.raises(HTTPException):
        trend_address.kept(query)
