"""Being told what changes: subscriptions over HTTP, and their streams (guide, "Subscribe Methods").

The history is looked at five times a second, and of each element the newest value is told: what came in between, and
what heals later, is in `objects/history` and `/api/samples?since=`. A value that only grows old changes too: it becomes
Uncertain within `SWEEP_S` of being STALE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.portal.i3x.address_space import AddressSpace
from receiver.portal.i3x.envelopes import I3xQuestion, answer, bulk, problem
from receiver.portal.i3x.querying import Querying
from receiver.portal.i3x.subscription_book import MOST_WAITING, ClientSubscription, SubscriptionBook
from receiver.portal.i3x.told_values import ToldValue
from receiver.portal.live import Live
from receiver.portal.plant_picture import LiveTag
from receiver.portal.scoped import looks
from receiver.portal.serving.crowd import origin
from receiver.portal.streams import EventStream, Listener, Streams, Topic

SWEEP_S = 5.0
"""Between two looks at what changes without a sample: an asset's state, and a value that grows STALE [s]."""
LONGEST_NAME = 1024
"""Characters of a clientId or a displayName."""


class Subscribing:
    """Subscriptions of one view."""

    def __init__(self, space: AddressSpace, querying: Querying, live: Live, house: set[Listener]) -> None:
        """
        Args:
            space: The elements.
            querying: Tells their newest values.
            live: Tells what moved.
            house: Listeners of all views, among whom the places for streams are shared.
        """
        self._space, self._querying, self._live, self._house = space, querying, live, house
        self._book = SubscriptionBook()
        self._streams: dict[str, Streams] = {}
        self._swept_s = float("-inf")
        live.hearers.append(self.hear)

    def __len__(self) -> int:
        return len(self._book.held)

    @property
    def heard(self) -> bool:
        """Somebody listens to a stream of one of them."""
        return any(streams.listeners for streams in self._streams.values())

    async def create(self, request: Request) -> Response:
        """`POST /subscriptions`."""
        asked = await I3xQuestion.of(request)
        client, name = _named(asked), asked.may("displayName")
        if len(name or "") > LONGEST_NAME:
            raise HTTPException(400, f"displayName is longer than {LONGEST_NAME} characters")
        made, gone = self._book.create(_person(request), client, name, _now_s())
        self._end(gone)
        return answer({"clientId": client, "subscriptionId": made.id, "displayName": name})

    async def some(self, request: Request) -> Response:
        """`POST /subscriptions/list`."""
        asked = await I3xQuestion.of(request)
        owner, client = _person(request), _named(asked)

        def found(name: str) -> dict[str, Any]:
            one = self._book.find(name, owner, client)
            monitored = [{"elementId": element, "maxDepth": depth} for element, depth in one.monitored.items()]
            return {"subscriptionId": one.id, "displayName": one.name, "monitoredObjects": monitored}

        return bulk(asked.names("subscriptionIds"), found, key="subscriptionId", what="ClientSubscription")

    async def delete(self, request: Request) -> Response:
        """`POST /subscriptions/delete`."""
        asked = await I3xQuestion.of(request)
        owner, client = _person(request), _named(asked)

        def gone(name: str) -> None:
            one = self._book.find(name, owner, client)
            del self._book.held[one.id]
            self._end([one])

        return bulk(asked.names("subscriptionIds"), gone, key="subscriptionId", what="ClientSubscription")

    async def register(self, request: Request) -> Response:
        """`POST /subscriptions/register`."""
        asked = await I3xQuestion.of(request)
        one, names, depth = self._find(request, asked), asked.names(), asked.depth()
        elements = self._space.elements

        def begun(name: str) -> None:
            if name not in elements:
                raise KeyError(name)
            one.monitored.setdefault(name, depth)

        answered = bulk(names, begun, absent=partial(looks.absent, request))
        fresh = [element for element in self._reach(one) if element not in one.told]
        self._offer(one, self._newest(fresh))
        looks.show(request, "read.subscription", *self._seen(one), rows=len(fresh))
        return answered

    async def unregister(self, request: Request) -> Response:
        """`POST /subscriptions/unregister`; what waits of them goes on waiting."""
        asked = await I3xQuestion.of(request)
        one = self._find(request, asked)

        def ended(name: str) -> None:
            one.monitored.pop(name)

        answered = bulk(asked.names(), ended)
        for element in one.told.keys() - self._reach(one).keys():
            del one.told[element]
        return answered

    async def sync(self, request: Request) -> Response:
        """`POST /subscriptions/sync`: everything that waits, after what was received is acknowledged."""
        asked = await I3xQuestion.of(request)
        one, last = self._find(request, asked), asked.whole("lastSequenceNumber")
        if self._open(one):
            raise HTTPException(400, "this subscription has an open stream: close it, then sync")
        if last is not None:
            one.acknowledge(last)
        looks.show(request, "read.subscription", *self._seen(one), rows=one.waiting)
        told = [{"sequenceNumber": batch.number, "updates": batch.updates} for batch in one.batches]
        if not one.dropped:
            return answer(told)
        said = f"More than {MOST_WAITING} updates waited: the oldest were dropped. The history has them all"
        return answer(told, detail=problem(206, said, "Updates dropped"), status=206)

    async def stream(self, request: Request) -> EventStream:
        """`POST /subscriptions/stream`: server-sent events, each a list of updates; an open one ends for it."""
        asked = await I3xQuestion.of(request)
        one = self._find(request, asked)
        streams = self._streams.setdefault(one.id, Streams(self._house))
        streams.replace()
        if not streams.room(origin(request.client.host if request.client else "")):
            raise HTTPException(503, headers={"Retry-After": "5"})
        looks.show(request, "read.subscription", *self._seen(one))

        def first(topic: Topic) -> list[bytes]:
            return [_event(updates)] if (updates := one.taken()) else []

        return EventStream(streams, Topic(asset=one.id), first, request.scope["state"].get("holds"))

    def hear(self, moved: Sequence[LiveTag]) -> None:
        """A look at the history brought these; tell whom it concerns."""
        if not self._book.held:
            return
        now_s = _now_s()
        for one in self._book.held.values():
            if self._open(one):
                one.used_s = now_s
        self._end(self._book.expired(now_s))
        if now_s - self._swept_s >= SWEEP_S:
            self._swept_s = now_s
            reach = {one: self._reach(one) for one in self._book.held.values()}
            newest = self._newest({name: None for elements in reach.values() for name in elements})
            for one, elements in reach.items():
                self._offer(one, {name: newest[name] for name in elements if name in newest})
            return
        of_series, wanted = self._space.of_series, self._book.wanted()
        ids = (of_series.get(live_tag.series, "") for live_tag in moved)
        newest = self._newest(one for one in ids if one in wanted)
        for one in self._book.held.values():
            self._offer(one, {name: value for name, value in newest.items() if name in one.told})

    def close(self) -> None:
        """End every stream; the view is being closed."""
        self._end([*self._book.held.values()])
        self._book.held.clear()

    def _offer(self, one: ClientSubscription, values: dict[str, ToldValue]) -> None:
        updates = one.offer(values)
        if updates and self._open(one):
            self._streams[one.id].publish(Topic(asset=one.id), _event(one.taken()))

    def _newest(self, ids: Iterable[str]) -> dict[str, ToldValue]:
        elements, at = self._space.elements, self._live.moment()
        held = ((name, elements[name]) for name in ids if name in elements)
        faults = self._live.faults
        return dict(faults.each(lambda one: one[0], lambda one: (one[0], self._querying.newest(one[1], at)), held))

    def _reach(self, one: ClientSubscription) -> dict[str, None]:
        """Every element that it is told of: those it names, with their components as deep as it says."""
        elements = self._space.elements
        held: dict[str, None] = {}
        for name, depth in one.monitored.items():
            if (element := elements.get(name)) is not None:
                held |= dict.fromkeys([name, *(part.id for part in self._space.components(element, depth))])
        return held

    def _seen(self, one: ClientSubscription) -> tuple[list[str], list[tuple[str, str]]]:
        """Assets and tags for the record; of an asset with all that belongs to it no tag is named: more may come."""
        elements = self._space.elements
        assets, tags = self._space.seen(elements[name] for name in sorted(one.shown) if name in elements)
        whole = {
            element.live_asset.asset.name
            for name, depth in one.monitored.items()
            if depth != 1 and (element := elements.get(name)) and element.live_asset and not element.live_tag
        }
        return assets, [tag for tag in tags if tag[0] not in whole]

    def _find(self, request: Request, asked: I3xQuestion) -> ClientSubscription:
        client, name = _named(asked), asked.text("subscriptionId")
        try:
            found = self._book.find(name, _person(request), client)
        except KeyError as error:
            raise HTTPException(404, "there is no such subscription") from error
        found.used_s = _now_s()
        return found

    def _open(self, one: ClientSubscription) -> bool:
        return one.id in self._streams and bool(self._streams[one.id].listeners)

    def _end(self, gone: Iterable[ClientSubscription]) -> None:
        for one in gone:
            if (streams := self._streams.pop(one.id, None)) is not None:
                streams.close()


def _named(asked: I3xQuestion) -> str:
    client = asked.text("clientId")
    if len(client) > LONGEST_NAME:
        raise HTTPException(400, f"clientId is longer than {LONGEST_NAME} characters")
    return client


def _person(request: Request) -> str:
    reader = request.scope.get("state", {}).get("reader")
    return reader.person.key if reader is not None and reader.person is not None else ""


def _event(updates: Sequence[Any]) -> bytes:
    return b"data: " + orjson.dumps(updates) + b"\n\n"


def _now_s() -> float:
    return asyncio.get_running_loop().time()
