"""What `doctor` finds of governed reading: planted in a real state folder, and named."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sign_in_site import SignInSite

from protocol.keys import from_bytes
from receiver.commands.programme import governed_doctor
from receiver.commands.programme.governed_doctor import UNSIGNED_S
from receiver.governed.people.secret_store import NAME
from receiver.governed.trail import checkpoint
from receiver.governed.trail.checkpoint import FOLDER, Checkpoint

FILE = Path("receiver.toml")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SignInSite]:
    """Somebody has set up and signed in."""
    made = SignInSite(tmp_path)
    made.ready()
    made.sign_in()
    yield made
    made.close()


def found(site: SignInSite, *damaged: str, later_s: float = 0.0) -> list[str]:
    """Names of the troubles."""
    facts, unseen = governed_doctor.look(FILE, site.folder, damaged, site.clock() + round(later_s * 1e9))
    assert unseen == []
    return [one.name for one in governed_doctor.troubles(facts)]


def sign(site: SignInSite, number: int, digest: bytes | None = None) -> None:
    """A checkpoint of an entry, as `trail checkpoint` keeps it."""
    record = next(one for one in site.office.desk.authority.trail.records() if one.number == min(number, 3))
    held = Checkpoint(trail=checkpoint.trail_name(bytes(32)), number=number, hash=digest or record.hash, time=TIME)
    checkpoint.keep(site.folder / FOLDER, checkpoint.sign(held, from_bytes("trail", bytes(32))))


TIME = "2026-11-28T05:45:00Z"


def test_a_low_side_without_people_has_nothing_to_look_at(tmp_path: Path) -> None:
    """No trail, no trouble."""
    assert governed_doctor.look(FILE, tmp_path, (), 0) == (None, [])
    assert list(governed_doctor.troubles(None)) == []


def test_a_trail_that_is_whole_and_young_is_no_trouble(site: SignInSite) -> None:
    """Looked at while it is written."""
    assert found(site) == []


def changed(site: SignInSite) -> None:
    with closing(sqlite3.connect(site.folder / "trail.db")) as sql:
        (trigger,) = sql.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchone()
        sql.execute(f"DROP TRIGGER {trigger}")


def taken(site: SignInSite) -> None:
    (site.folder / "trail.db").rename(site.folder / "elsewhere.db")


@pytest.mark.parametrize("fault", [changed, taken])
def test_a_trail_that_pages_would_not_believe_is_named(fault: Callable[[SignInSite], None], site: SignInSite) -> None:
    """Nobody signs in then, and the reason stands in no status file."""
    fault(site)
    assert found(site) == ["trail-unreadable"]


def test_what_nobody_signed_for_days_is_named(site: SignInSite) -> None:
    """From the first entry after the newest checkpoint on."""
    assert found(site, later_s=UNSIGNED_S + 100.0) == ["trail-unsigned"]
    sign(site, 3)
    assert found(site) == []
    site.clock.move(UNSIGNED_S)
    site.sign_in()
    assert found(site, later_s=100.0) == ["trail-unsigned"]


@pytest.mark.parametrize(("number", "digest"), [(99, None), (3, bytes(32))], ids=["shorter", "another"])
def test_a_trail_that_is_not_the_one_that_was_signed_is_named(
    number: int, digest: bytes | None, site: SignInSite
) -> None:
    """Its end was cut off, or it was written anew."""
    sign(site, number, digest)
    assert found(site) == ["trail-contradicted"]


def test_a_file_of_secrets_that_is_damaged_open_or_set_aside_is_named(site: SignInSite) -> None:
    """Each with its own next step."""
    path = site.folder / NAME
    assert found(site, f"{NAME}.damaged-1") == ["people-set-aside"]
    os.chmod(path, 0o640)
    assert found(site) == ["people-open"]
    os.chmod(path, 0o600)
    site.office.store.close()
    path.write_bytes(b"no database at all, and longer than its head" * 100)
    assert found(site) == ["people-unreadable"]
