"""One plant and one server for the tests of this folder that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from i3x_peer import I3xPeer, I3xPlant
from portal_plant import Clock, served

from receiver.outputs.scope import Scope
from receiver.portal.app import create_app


@pytest.fixture(scope="package")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[I3xPlant]:
    made = I3xPlant(tmp_path_factory.mktemp("plant"), Clock())
    yield made
    made.close()


@pytest.fixture(scope="package")
def peer(plant: I3xPlant) -> Iterator[I3xPeer]:
    """Everything is open to anyone."""
    with served(create_app(plant.history, plant.state, Scope(), clock=plant.clock)) as base:
        yield I3xPeer(base)
