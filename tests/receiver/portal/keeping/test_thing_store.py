"""`state/desk.db`: bounded, for its owner alone, and never a reason for the pages not to answer."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.errors import StoreError
from receiver.portal.keeping import kept_thing
from receiver.portal.keeping.kept_thing import KeptThing, ThingKind, shown_to
from receiver.portal.keeping.thing_store import NAME, DeskFull, ThingStore

NOTE = KeptThing(
    key="note-1",
    kind=ThingKind.NOTE,
    person="p-1",
    employer="Acme",
    made_ns=1,
    asset="pump",
    tag="pressure",
    at_ns=100,
    held={"text": "hot", "own": False},
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> ThingStore:
    return ThingStore(tmp_path, clock=lambda: 7, say=said.append)


def nothing() -> None:
    """A record that is written."""


def test_what_is_kept_comes_back_whole_and_from_another_process(store: ThingStore, tmp_path: Path) -> None:
    """By key, by person, by what it is about; and nobody else reads the file."""
    store.keep(NOTE, nothing)
    again = ThingStore(tmp_path, clock=lambda: 7, say=lambda line: None)
    assert again.thing("note-1") == NOTE
    assert again.of_person("p-1", ThingKind.NOTE) == again.of_kind(ThingKind.NOTE) == [NOTE]
    assert again.of_person("p-1", ThingKind.VIEW) == again.of_person("p-2", ThingKind.NOTE) == []
    assert again.about(ThingKind.NOTE, ["pump", "other"], 100, 101, 5) == [NOTE]
    assert again.about(ThingKind.NOTE, ["pump"], 101, 200, 5) == again.about(ThingKind.NOTE, ["x"], 0, 999, 5) == []
    assert stat.S_IMODE(os.stat(tmp_path / NAME).st_mode) == 0o600


def test_what_is_not_on_record_is_not_kept_and_not_dropped(store: ThingStore) -> None:
    """The record is written inside of the transaction."""

    def refused() -> None:
        raise StoreError("no trail")

    with pytest.raises(StoreError, match="no trail"):
        store.keep(NOTE, refused)
    assert store.thing("note-1") is None
    store.keep(NOTE, nothing)
    with pytest.raises(StoreError, match="no trail"):
        store.drop("note-1", refused)
    assert store.thing("note-1") == NOTE
    store.drop("note-1", nothing)
    store.drop("note-1", refused)  # what is not there is dropped without a word
    assert store.thing("note-1") is None


def test_a_desk_is_bounded_a_person_and_in_all(store: ThingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is there already may be replaced when it is full."""
    monkeypatch.setitem(kept_thing.MOST, ThingKind.NOTE, 2)
    store.keep(NOTE, nothing)
    store.keep(replace(NOTE, key="note-2"), nothing)
    with pytest.raises(DeskFull, match="2 of these"):
        store.keep(replace(NOTE, key="note-3"), nothing)
    store.keep(replace(NOTE, key="note-2", held={"text": "cold"}), nothing)
    store.keep(replace(NOTE, key="note-3", person="p-2"), nothing)
    with pytest.raises(DeskFull, match="too large"):
        store.keep(replace(NOTE, key="note-2", held={"text": "x" * 9000}), nothing)
    monkeypatch.setattr("receiver.portal.keeping.thing_store.MOST_OF_ALL", 3)
    with pytest.raises(DeskFull, match="everybody"):
        store.keep(replace(NOTE, key="note-9", person="p-3"), nothing)


def test_a_damaged_desk_is_set_aside_and_stated(store: ThingStore, tmp_path: Path, said: list[str]) -> None:
    """The pages go on with an empty one."""
    store.keep(NOTE, nothing)
    (tmp_path / NAME).write_bytes(b"no database at all, and long enough to be read as one " * 40)
    assert store.thing("note-1") is None
    assert "begin anew" in said[0]
    assert [path.name for path in tmp_path.iterdir() if "damaged" in path.name]
    store.keep(NOTE, nothing)
    assert store.thing("note-1") == NOTE


def test_a_link_in_the_place_of_the_desk_is_not_followed(tmp_path: Path, said: list[str]) -> None:
    """Nothing is written where it leads."""
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / NAME).symlink_to(tmp_path / "other")
    with pytest.raises(StoreError, match="no plain file"):
        ThingStore(tmp_path, clock=lambda: 7, say=said.append).keep(NOTE, nothing)
    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize(
    ("kind", "own", "who", "sees", "shown"),
    [
        (ThingKind.NOTE, False, "p-1 Acme", True, True),
        (ThingKind.NOTE, False, "p-1 Acme", False, False),  # the grant has ended: not even to its maker
        (ThingKind.NOTE, False, "p-2 Acme", True, True),
        (ThingKind.NOTE, False, "p-3 ", True, True),  # the plant's people see all of them
        (ThingKind.NOTE, False, "p-4 Volta", True, False),
        (ThingKind.NOTE, True, "p-2 Acme", True, True),
        (ThingKind.NOTE, True, "p-3 ", True, False),
        (ThingKind.VIEW, False, "p-2 Acme", True, False),
        (ThingKind.THRESHOLD, False, "p-1 Acme", True, True),
        (ThingKind.THRESHOLD, False, "p-3 ", True, False),
    ],
)
def test_a_thing_is_shown_to_who_may_see_it(kind: ThingKind, own: bool, who: str, sees: bool, shown: bool) -> None:
    """Within the scope alone; never from one vendor to another."""
    person, _, employer = who.partition(" ")
    thing = replace(NOTE, kind=kind, held={"text": "hot", "own": own})
    assert shown_to(thing, person=person, employer=employer, sees=lambda asset, tag: sees) == shown


def test_a_note_of_the_plant_is_read_by_every_vendor_of_the_asset() -> None:
    """Unless it is for the plant alone."""
    thing = replace(NOTE, employer="")
    assert shown_to(thing, person="p-4", employer="Volta", sees=lambda asset, tag: True)
    private = replace(thing, held={"text": "hot", "own": True})
    assert not shown_to(private, person="p-4", employer="Volta", sees=lambda asset, tag: True)


def test_what_somebody_may_not_see_takes_no_place_of_what_they_may(store: ThingStore) -> None:
    """Later notes of a vendor's own hide no note of the plant's."""
    store.keep(replace(NOTE, key="plants", employer="", at_ns=50), nothing)
    for number in range(9):
        store.keep(replace(NOTE, key=f"own-{number}", at_ns=100 + number, held={"text": "x", "own": True}), nothing)

    def shown(thing: KeptThing) -> bool:
        return shown_to(thing, person="p-engineer", employer="", sees=lambda asset, tag: True)

    assert [one.key for one in store.about(ThingKind.NOTE, ["pump"], 0, 999, 3, shown)] == ["plants"]
