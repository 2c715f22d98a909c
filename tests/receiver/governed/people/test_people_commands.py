"""`checkvalve person` and `checkvalve service`: on record, or refused with the reason."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sign_in_site import HERE, PASSWORD, THERE, SignInSite

import checkvalve
from receiver.governed.people.secret_store import NAME
from receiver.governed.people.session_rules import Ending
from receiver.governed.people.set_up import SetUpForm, look

RECEIVER = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys"
senders = ["high.pub"]
"""
TODAY = datetime.now(UTC).date()
UNTIL, LATER = (TODAY + timedelta(days=100)).isoformat(), (TODAY + timedelta(days=200)).isoformat()
OWN = ["--name", "Sam Smith", "--checked-by", "HR", "--checked-how", "works here", "--until", UNTIL]
VENDOR = [
    "--name",
    "Jo Doe",
    "--role",
    "reader",
    "--until",
    UNTIL,
    "--checked-by",
    "Sam",
    "--checked-how",
    "call",
]
OF_ACME = ["--employer", "Acme", "--contract", "2026-17", "--contact", "Ann Acme"]


class CommandLine:
    """Types commands about one site."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self._capsys = folder / "receiver.toml", capsys
        self.file.write_text(RECEIVER)

    def type(self, *words: str, code: int = 0) -> str:
        """Type `checkvalve person show FILE ..` without the file; gives all that was printed."""
        self._capsys.readouterr()
        assert checkvalve.main([*words[:2], str(self.file), *words[2:]]) == code
        told = self._capsys.readouterr()
        return told.out + told.err

    def told(self, *words: str) -> dict[str, Any]:
        """The same with --json."""
        found = json.loads(self.type(*words, "--json"))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path, capsys)


def at_the_pages(line: CommandLine, act: Callable[[SignInSite], None]) -> None:
    """What happens meanwhile on the pages of the same folder, at the time it is now."""
    site = SignInSite(line.file.parent / "state", time.time_ns())
    try:
        act(site)
    finally:
        site.close()


def set_up(site: SignInSite, link: str, key: str) -> None:
    """Use a link as its person does."""
    word = link.rpartition("/")[2]
    found = look(site.office.desk, site.office.store, word)
    assert found is not None
    site.seeds[key] = found.link.seed
    form = SetUpForm(password=PASSWORD, again=PASSWORD, code=site.code(key), policy="v1")
    assert site.office.set_up.use(word, form, address=HERE) == key


def test_a_person_is_enrolled_linked_suspended_resumed_and_ended(line: CommandLine) -> None:
    """Each step is on record under who typed it; sessions end at once."""
    made = line.told("person", "enrol", "--login", "s.smith@plant.example", "--role", "sponsor", *OWN)
    key = made["person"]
    assert re.fullmatch(r"http://127\.0\.0\.1:8600/set-up/[\w-]{43}", made["link"])

    def sign_in(site: SignInSite) -> None:
        set_up(site, made["link"], key)
        site.clock.move(30)
        word = site.sign_in(key)
        found = site.office.glance(word, HERE)
        assert found is not None
        assert found.ending is None

    at_the_pages(line, sign_in)
    assert len(line.told("person", "show", "s.smith@plant.example")["sessions"]) == 1
    assert "sessions are closed" in line.type("person", "suspend", key, "--why", "badge was lost")
    assert line.told("person", "show", key)["sessions"] == []
    assert "badge was lost" in line.type("person", "show", key)
    line.type("person", "resume", key, "--why", "it was found")
    line.type("person", "end", key, "--why", "retired")
    assert "nobody is enrolled" in line.type("person", "list")
    assert "ended" in line.type("person", "list", "--all")

    def looked(site: SignInSite) -> None:
        assert site.of("person.ended")[0].who.startswith("command:")
        (closed,) = site.of("session.closed")
        assert closed.facts["why"] == Ending.PERSON.value
        assert site.office.store.credential(key) is None

    at_the_pages(line, looked)


def test_a_vendors_person_needs_a_sponsor_who_has_set_up(line: CommandLine) -> None:
    """By login or key; all mistakes are named at once, and nothing is on record."""
    sponsor = line.told("person", "enrol", "--login", "s.smith@plant.example", "--role", "sponsor", *OWN)
    told = line.type(
        "person", "enrol", "--login", "info@acme.example", *VENDOR, "--employer", "Acme",
        "--sponsor", "s.smith@plant.example", code=2,
    )  # fmt: skip
    for field in ("login", "contract", "contact", "sponsor"):
        assert f"{field}: " in told
    at_the_pages(line, lambda site: set_up(site, sponsor["link"], sponsor["person"]))
    line.type(
        "person", "enrol", "--login", "j.doe@acme.example", *VENDOR, *OF_ACME, "--sponsor", "s.smith@plant.example"
    )
    line.type("person", "confirm", "Acme", "--by", "Ann Acme", "--who", "j.doe@acme.example")
    assert "nobody of Beta" in line.type(
        "person", "confirm", "Beta", "--by", "x", "--who", "j.doe@acme.example", code=2
    )
    line.type("person", "change", "j.doe@acme.example", "--until", LATER)
    assert (TODAY + timedelta(days=201)).isoformat() in line.type("person", "show", "j.doe@acme.example")
    assert "exclude" in line.type(
        "person", "change", sponsor["person"], "--role", "sponsor", "--role", "auditor", code=2
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["person", "show", "nobody@plant.example"], "nobody is called"),
        (["person", "link", "p-none"], "nobody is called"),
        (["person", "enrol", "--login", "a.b@c.example", "--role", "boss", *OWN], "one or several of reader"),
        (["person", "enrol", "--login", "a.b@c.example", "--role", "sponsor", *OWN[:-1], "soon"], "is no day"),
        (["service", "renew", "s-none"], "no service"),
    ],
)
def test_what_cannot_be_is_refused_with_a_next_step(line: CommandLine, words: list[str], said: str) -> None:
    """Exit 2, and no trace."""
    told = line.type(*words, code=2)
    assert said in told
    assert "Traceback" not in told


def test_a_services_token_is_shown_once_and_reads_from_its_sources_alone(line: CommandLine) -> None:
    """It ends with itself, with another one, and with its owner."""
    owner = line.told("person", "enrol", "--login", "s.smith@plant.example", "--role", "sponsor", *OWN)
    at_the_pages(line, lambda site: set_up(site, owner["link"], owner["person"]))
    given = ["--owner", "s.smith@plant.example", "--until", UNTIL, "--source", "192.0.2.0/24"]
    assert "every address" in line.type("service", "issue", "--name", "centre", *given[:-1], "0.0.0.0/0", code=2)
    made = line.told("service", "issue", "--name", "monitoring centre", *given)
    key, token = made["service"], made["token"]
    assert token not in line.type("service", "list")

    def reads(token: str, *, address: str = HERE) -> bool:
        found: list[bool] = []

        def ask(site: SignInSite) -> None:
            person = site.office.service(token, address).person
            found.append(person is not None and person.key == f"service:{key}")

        at_the_pages(line, ask)
        return found[0]

    assert reads(token)
    assert not reads(token, address=THERE)
    assert not reads(token + "x")
    other = line.told("service", "renew", key)["token"]
    assert (reads(token), reads(other)) == (False, True)
    line.type("person", "suspend", owner["person"], "--why", "why")
    assert not reads(other)
    line.type("person", "resume", owner["person"], "--why", "why")
    assert reads(other)
    line.type("service", "end", key, "--why", "the centre moved")
    assert not reads(other)
    assert "ended" in line.type("service", "list")
    held = (line.file.parent / "state" / NAME).read_bytes()
    assert token.encode() not in held


@pytest.mark.skipif(os.geteuid() != 0, reason="only root types for another user")
def test_what_root_types_leaves_files_that_the_pages_can_write(capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets and trail belong to the state folder's owner, and are nobody else's."""
    with TemporaryDirectory(dir="/tmp", prefix="checkvalve-people-") as name:  # the other user comes that far
        Path(name).chmod(0o755)
        _typed_by_root(CommandLine(Path(name), capsys))


def _typed_by_root(line: CommandLine) -> None:
    state = line.file.parent / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    line.type("person", "enrol", "--login", "s.smith@plant.example", "--role", "sponsor", *OWN)
    owners = {path.name: path.stat().st_uid for path in state.iterdir()}
    assert owners.keys() >= {NAME, "trail.db"}
    assert set(owners.values()) == {65534}
    assert (state / NAME).stat().st_mode & 0o777 == 0o600
