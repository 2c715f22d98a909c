"""What a person does with what they keep; each act is an entry of the trail, `desk.kept` or `desk.dropped`.

The entry is written inside of the store's transaction, before its end: what is not on record is not kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

from receiver.governed.authority import Authority
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.trail.entry import Fact, TrailEntry
from receiver.portal.keeping.kept_thing import Held, KeptThing, ThingKind, shown_to
from receiver.portal.keeping.thing_store import ThingStore

MOST_NOTES = 500
"""Notes of one look: more stand on no chart."""

Sees = Callable[[str, str], bool]
"""Whether a scope holds an asset and a tag (empty: the asset)."""


class DeskActs:
    """The desk of every person; calls read and write files, so they are made in a thread."""

    def __init__(self, store: ThingStore, authority: Authority, clock: Callable[[], int]) -> None:
        """
        Args:
            store: Where things lie.
            authority: Knows people, and holds the trail.
            clock: The low side's wall time [ns since 1970 UTC].
        """
        self._store, self._authority, self._clock = store, authority, clock

    def keep(
        self,
        person: Person,
        kind: ThingKind,
        held: Held,
        *,
        origin: str,
        about: tuple[str, str] = ("", ""),
        at_ns: int = 0,
        names: Sequence[tuple[str, str]] = (),
        key: str = "",
    ) -> KeptThing:
        """Put a thing down; who calls has made sure that the person's scope holds what it is about.

        Args:
            person: Whose it is.
            kind: What it is.
            held: Its content.
            origin: Network address.
            about: Asset and tag.
            at_ns: The moment it is about [ns since 1970 UTC].
            names: Assets and tags for the record, where it is about several.
            key: Of the own thing that it replaces; empty: it is a new one.

        Raises:
            DeskFull, StoreError, TrailError: it was not kept.
            KeyError: the person keeps no such thing.
        """
        before = self._store.thing(key) if key else None
        if key and (before is None or before.person != person.key or before.kind is not kind):
            raise KeyError(key)
        thing = KeptThing(
            key=key or f"{kind}-{secrets.token_hex(8)}",
            kind=kind,
            person=person.key,
            employer=person.employer,
            made_ns=self._clock(),
            asset=about[0],
            tag=about[1],
            at_ns=at_ns,
            held=held,
        )
        self._store.keep(thing, lambda: self._note("desk.kept", thing, person, origin, names or [about]))
        return thing

    def drop(self, person: Person, key: str, kind: ThingKind, sees: Sees, *, origin: str) -> None:
        """Take a thing away: one's own; a note also the plant engineer.

        Raises:
            KeyError: there is none, or it is not theirs to drop.
            StoreError, TrailError: it is still there.
        """
        thing = self._store.thing(key)
        if thing is None or thing.kind is not kind or not self._may_drop(person, thing, sees):
            raise KeyError(key)
        about = [(thing.asset, thing.tag)]
        self._store.drop(key, lambda: self._note("desk.dropped", thing, person, origin, about))

    def own(self, person: Person, kind: ThingKind, sees: Sees) -> list[KeptThing]:
        """What a person keeps of a kind, the oldest first; nothing about a tag that they may not see now."""
        found = self._store.of_person(person.key, kind)
        return [one for one in found if not one.asset or sees(one.asset, one.tag)]

    def notes(self, person: Person, assets: Iterable[str], between: tuple[int, int], sees: Sees) -> list[KeptThing]:
        """Notes about these assets and their tags in a range of time that a person may see, by time."""

        def shown(thing: KeptThing) -> bool:
            return shown_to(thing, person=person.key, employer=person.employer, sees=sees)

        return self._store.about(ThingKind.NOTE, list(assets), *between, MOST_NOTES, shown)

    def may_drop(self, person: Person, thing: KeptThing) -> bool:
        """Whether a thing that a person sees is theirs to drop."""
        return thing.person == person.key or (
            thing.kind is ThingKind.NOTE and PersonRole.ENGINEER in person.roles and not person.employer
        )

    def name(self, key: str) -> str:
        """A person's name, their key where they are not known."""
        held = self._authority.person(key)
        return held.name if held else key

    def _may_drop(self, person: Person, thing: KeptThing, sees: Sees) -> bool:
        if thing.person == person.key:
            return True
        seen = shown_to(thing, person=person.key, employer=person.employer, sees=sees)
        return seen and self.may_drop(person, thing)

    def _note(self, kind: str, thing: KeptThing, person: Person, origin: str, names: Sequence[tuple[str, str]]) -> None:
        facts: dict[str, Fact] = {"thing": thing.kind.value, "key": thing.key}
        assets = sorted({asset for asset, _ in names if asset})
        tags: list[Fact] = [[asset, tag] for asset, tag in names if tag]
        facts |= {"assets": [*assets]} if assets else {}
        facts |= {"tags": tags} if tags else {}
        facts |= {"moment_ns": thing.at_ns} if thing.at_ns else {}
        facts |= {"held": dict(thing.held)} if kind == "desk.kept" else {}
        self._authority.trail.note(
            [TrailEntry(kind=kind, at_ns=self._clock(), who=person.key, origin=origin, facts=facts)]
        )
