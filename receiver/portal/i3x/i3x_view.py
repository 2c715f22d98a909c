"""One scope's part of i3X: everything that answers under `/i3x/v1`, for readers who see the same."""

from __future__ import annotations

from receiver.portal.i3x.address_space import AddressSpace
from receiver.portal.i3x.exploring import Exploring
from receiver.portal.i3x.querying import Querying
from receiver.portal.i3x.subscribing import Subscribing
from receiver.portal.keeper import Keeper
from receiver.portal.live import Live
from receiver.portal.streams import Listener


class I3xView:
    """What there is, what it measures, and what changes."""

    def __init__(self, live: Live, keeper: Keeper, house: set[Listener]) -> None:
        """
        Args:
            live: The plant as it stands now, cut to the scope.
            keeper: A door for history, cut to it too.
            house: Listeners of all views.
        """
        space = AddressSpace(live.picture)
        self.exploring = Exploring(space, live)
        self.querying = Querying(space, live, keeper)
        self.subscribing = Subscribing(space, self.querying, live, house)
