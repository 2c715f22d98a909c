"""What a false OPC UA device remembers: nothing, for the plant is a function of time and can be asked again.

A page holds PAGE values; the library turns the time of the first value left out into a continuation point. No start
(1601) means newest first up to the end, no end means up to now, start after end means descending (OPC 10000-11, 6.5.3).
Statuses are the model's: a bad value has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from asyncua import ua
from asyncua.server.history import HistoryStorageInterface

from simulator.opcua.nodes import VariableNode
from simulator.opcua.values import SharedValue, moment_of, time_of
from simulator.plant.plant import Plant
from simulator.plant.signals import EPOCH_S, SECOND

PAGE = 1000
"""Values in one answer."""

DEPTH_NS = 400 * 86_400 * SECOND
"""How far back is remembered [ns]."""


class History(HistoryStorageInterface):  # type: ignore[misc]
    """The library's storage interface, over the model."""

    def __init__(
        self, plant: Plant, variables: Callable[[], Mapping[Any, VariableNode]], now_ns: Callable[[], int]
    ) -> None:
        """
        Args:
            plant: The model.
            cells: By NodeId, as they are now.
            now_ns: The newest time that can be remembered [ns since 1970].
        """
        super().__init__(PAGE)
        self._plant, self._cells, self._now_ns = plant, variables, now_ns

    async def init(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def read_node_history(
        self, node_id: Any, start: datetime | None, end: datetime | None, nb_values: int
    ) -> tuple[list[Any], datetime | None]:
        """One page of a variable's values, and the time where the next one begins."""
        variable = self._cells().get(node_id)
        if variable is None:
            return [], None
        first, last, down = self._bounds(start, end)
        every = self._plant.period_ns(variable.points[0])
        first, last = -(-first // every) * every, last - last % every
        count = max(0, (last - first) // every + 1)
        wanted = min(count, nb_values or count)
        page = min(wanted, PAGE)
        times = [last - at * every for at in range(page)] if down else [first + at * every for at in range(page)]
        following = (last - page * every if down else first + page * every) if wanted > page else None
        columns = [self._plant.past(point, times) for point in variable.points]
        values = [
            SharedValue(
                variable.form.of([one.value for one in row]) if not status & 0x80000000 else ua.Variant(None),
                StatusCode=ua.StatusCode(status),
                SourceTimestamp=moment_of(at),
                ServerTimestamp=moment_of(at),
            )
            for at, row in zip(times, zip(*columns, strict=True), strict=True)
            for status in (max(one.quality for one in row),)
        ]
        return values, None if following is None else moment_of(following)

    async def read_event_history(self, *_: Any) -> tuple[list[Any], None]:
        """Events are told as they happen, not kept."""
        return [], None

    async def new_historized_node(self, *_: Any) -> None:
        """Every node is remembered without being told."""

    async def save_node_value(self, *_: Any) -> None:
        """No value is saved: the model can be asked for it again."""

    async def new_historized_event(self, *_: Any) -> None:
        """Events are not remembered."""

    async def save_event(self, *_: Any) -> None:
        """Events are not remembered."""

    def _bounds(self, start: datetime | None, end: datetime | None) -> tuple[int, int, bool]:
        """First and last time [ns], and whether newest first."""
        none = ua.get_win_epoch()
        now = self._now_ns()
        no_start, no_end = start is None or start == none, end is None or end == none
        begins = now if start is None or no_start else time_of(start)
        ends = now if end is None or no_end else time_of(end)
        down = no_start or begins > ends
        low, high = (0 if no_start else ends, min(begins if not no_start else ends, now)) if down else (begins, ends)
        return max(low, EPOCH_S * SECOND, now - DEPTH_NS), min(high, now), down
