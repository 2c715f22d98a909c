"""What the tests of the pages share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import real_browser
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a module: beside it no other test could run an event loop."""
    with real_browser.opened() as held:
        yield held
