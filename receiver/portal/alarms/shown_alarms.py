"""What the overview and an asset's page show first: what stands, and the sequence of the newest trip that stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from receiver.outputs.historian.events.event_search import EventQuestion
from receiver.portal.alarms.event_sequence import SequenceRow, newest_burst, sequence
from receiver.portal.alarms.standing_now import StandingNow
from receiver.portal.keeper import Keeper, NoHistory
from receiver.portal.live import Live

LOOKED_BACK = 200
"""Events of an asset among which the sequence of its trip is looked for."""
BURST_ROWS = 24
"""Most rows of a sequence that is shown among other things; the events' page has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAlarms:
    """What a page shows of it."""

    now: StandingNow
    asset: str
    """Only of that one; empty: of all."""
    mark: str
    """Differs where it has to be shown anew."""
    burst: Sequence[SequenceRow] = ()
    """The newest sequence with a trip, first-out first, of the asset of the gravest trip that stands."""
    burst_more: int = 0
    trouble: str = ""
    """Why the sequence cannot be shown."""


async def shown_alarms(live: Live, keeper: Keeper, asset: str = "") -> ShownAlarms:
    """Of one asset, or of all that may be seen."""
    now, mark = live.standing_of(asset), live.alarms_mark(asset)
    trip = next((one for one in now.alarms if one.trip), None)
    burst: list[SequenceRow] = []
    trouble = ""
    if trip is not None:
        asked = EventQuestion(asset=trip.asset, limit=LOOKED_BACK)
        try:
            found = await keeper.ask(lambda door: door.find_events(asked))
            burst = newest_burst(sequence(found.events, whole=found.after is None))
        except NoHistory as error:
            trouble = str(error)
    return ShownAlarms(
        now=now,
        asset=asset,
        mark=mark,
        burst=burst[:BURST_ROWS],
        burst_more=max(len(burst) - BURST_ROWS, 0),
        trouble=trouble,
    )
