"""Laws of telling security: at once, until somebody took it, on record, and never quietly not."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from access_cast import (
    ACME,
    APPROVER,
    CUSTODIAN,
    DAY,
    ENGINEER,
    HOUR,
    PUMP,
    SECOND,
    SECURITY,
    SPONSOR,
    T0,
    period,
    person,
)
from reading_entries import enrolled, given, read
from rfc5424_parser import parse
from tell_servers import datagrams, server
from trail_in_memory import MemoryTrail

from protocol.errors import ConfigError
from receiver.governed.alerts.alert import raised
from receiver.governed.alerts.alert_board import AlertBoard, visible
from receiver.governed.alerts.notices import GIVEN_UP_S, LATE_S, WAITS_S, Notice, Notices, TellWay
from receiver.governed.alerts.security_telling import SecurityTelling
from receiver.governed.alerts.senders import FAILURES, sender
from receiver.governed.alerts.tell_table import TellTable
from receiver.governed.authority import Authority
from receiver.governed.grants import policy_file
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.people.person import PersonRole
from receiver.governed.people.register import People
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord
from receiver.governed.trail.trail import Trail
from receiver.portal.serving import portal_tls

HOSTILE = "tripped\r\nBcc: everybody@example.org\x1b[2J\u202e"


def opened(at_ns: int = T0, why: str = HOSTILE, grant: str = "g-1") -> TrailEntry:
    """A glass that was broken."""
    facts: dict[str, Fact] = {"grant": grant, "person": "acme", "custodian": "custodian", "credential": "c-1"}
    facts["why"], facts["drill"] = why, False
    facts |= PUMP.to_facts() | period(T0, T0 + HOUR).to_facts()
    return TrailEntry(kind="break-glass.opened", at_ns=at_ns, who=CUSTODIAN.key, facts=facts)


def tier_3() -> TrailEntry:
    """An emergency that was granted."""
    facts: dict[str, Fact] = {"grant": "g-2", "request": "r-2", "person": ACME.key, "preset": "tier-3"}
    facts |= PUMP.to_facts() | period(T0, T0 + HOUR).to_facts()
    return TrailEntry(kind="grant.given", at_ns=T0, who="system", facts=facts)


MAIL = TellWay(name="mail", alerts=True, confirms=True)
LOG = TellWay(name="log", alerts=False, confirms=True)
DATAGRAM = TellWay(name="udp", alerts=False, confirms=False)


class Told:
    """The core, and what it wrote."""

    def __init__(self, *ways: TellWay) -> None:
        self.ways = ways
        self.entries: list[TrailEntry] = []
        self.notices = self.again()

    def again(self) -> Notices:
        """A restart: everything is read back."""
        made = Notices(self.ways, AccessPolicy(), lambda key: key)
        for number, entry in enumerate(self.entries, 1):
            made.take(TrailRecord(number=number, entry=entry, hash=bytes(32)))
        self.notices = made
        return made

    def write(self, *entries: TrailEntry) -> None:
        """On record."""
        for entry in entries:
            self.entries.append(entry)
            self.notices.take(TrailRecord(number=len(self.entries), entry=entry, hash=bytes(32)))

    def run(self, until_ns: int, takes: Callable[[str, int], bool], from_ns: int = T0) -> list[tuple[str, int]]:
        """Second by second; attempts made, by way and second."""
        made = []
        for now_ns in range(from_ns, until_ns, SECOND):
            for one in self.notices.due(now_ns):
                made.append((one.way, (now_ns - T0) // SECOND))
                self.write(self.notices.sent(one, now_ns))
                good = takes(one.way, now_ns)
                self.write(
                    self.notices.delivered(one, "yes", now_ns) if good else self.notices.failed(one, "no", now_ns)
                )
            self.write(*self.notices.undelivered(now_ns))
        return made

    def alerts(self) -> list[str]:
        """What was raised, in words."""
        return [str(one.facts["told"]) for one in self.entries if one.kind == "alert.raised"]


@pytest.mark.parametrize("cause", [opened(), tier_3()], ids=["break-glass", "tier 3"])
def test_an_emergency_is_told_in_the_second_it_is_on_record_by_every_way(cause: TrailEntry) -> None:
    """Once each, and what was handed over is on record."""
    told = Told(MAIL, LOG)
    told.write(cause)
    assert told.run(T0 + 2 * 10**12, lambda way, now: True) == [("mail", 0), ("log", 0)]
    assert [one.kind for one in told.entries[1:]] == ["notice.sent", "notice.delivered"] * 2
    assert told.alerts() == []


def test_grants_of_other_presets_tell_nobody() -> None:
    """Standing reading and tier 1 are no emergency."""
    told = Told(MAIL)
    for preset in ("standing", "tier-1", "tier-2"):
        told.write(
            TrailEntry(kind="grant.given", at_ns=T0, who="system", facts=dict(tier_3().facts) | {"preset": preset})
        )
    assert told.run(T0 + 10 * SECOND, lambda way, now: True) == []


def test_what_is_not_taken_is_tried_again_and_is_an_alert_after_fifteen_minutes() -> None:
    """After growing waits; the alert comes once, names the way, and does not end the trying."""
    told = Told(MAIL)
    told.write(opened())
    made = told.run(T0 + 3600 * SECOND, lambda way, now: False)
    times = [second for _, second in made]
    assert times[:9] == [0, 10, 30, 60, 120, 240, 480, 780, 1680]
    assert [after - before for before, after in pairwise(times)] == [
        int(WAITS_S[min(count, len(WAITS_S) - 1)]) for count in range(1, len(times))
    ]
    (alert,) = told.alerts()
    assert "within 15 minutes: not delivered by mail" in alert
    (late,) = [one.at_ns for one in told.entries if one.kind == "alert.raised"]
    assert late == T0 + round(LATE_S) * SECOND
    assert told.run(T0 + 4500 * SECOND, lambda way, now: True, from_ns=T0 + 3600 * SECOND)
    assert told.run(T0 + 90_000 * SECOND, lambda way, now: True, from_ns=T0 + 80_000 * SECOND) == []


def test_trying_ends_after_a_day() -> None:
    """The alert stands."""
    told = Told(MAIL)
    told.write(opened())
    late = T0 + round(GIVEN_UP_S) * SECOND
    assert told.run(late + 5 * SECOND, lambda way, now: False, from_ns=late - SECOND) == [("mail", 86_399)]


@pytest.mark.parametrize(
    ("ways", "takes", "words"),
    [
        ((), (), "no way to tell it is configured"),
        ((MAIL, LOG), ("mail",), "not delivered by log; mail took it"),
        ((DATAGRAM,), ("udp",), "sent only by ways that nobody confirms"),
        ((MAIL, DATAGRAM), ("udp",), "not delivered by mail"),
        ((MAIL, DATAGRAM), ("mail", "udp"), ""),
    ],
    ids=["no way", "one of two", "datagrams", "datagrams alone came", "both"],
)
def test_delivered_is_what_somebody_confirmed_by_every_way(
    ways: tuple[TellWay, ...], takes: tuple[str, ...], words: str
) -> None:
    """Anything less is an alert that says what is missing."""
    told = Told(*ways)
    told.write(opened())
    told.run(T0 + 1000 * SECOND, lambda way, now: way in takes)
    assert len(told.alerts()) == bool(words)
    assert words in "".join(told.alerts())


@pytest.mark.parametrize("seed", range(12))
def test_a_restart_at_any_moment_tells_neither_twice_nor_never(seed: int) -> None:
    """What was delivered stays so, what was tried waits as long as it would have, and the alert is raised once."""
    told = Told(MAIL, LOG)
    told.write(opened(), tier_3())
    cut = T0 + seed * 97 * SECOND
    takes = lambda way, now: way == "log" or now >= T0 + 1500 * SECOND  # noqa: E731
    made = told.run(cut, takes)
    told.again()
    made += told.run(T0 + 4000 * SECOND, takes, from_ns=cut)
    assert sorted(one for one in made if one[0] == "log") == [("log", 0)] * 2
    assert [second for way, second in made if way == "mail"] == [
        second for second in (0, 10, 30, 60, 120, 240, 480, 780, 1680) for _ in range(2)
    ]
    assert len(told.alerts()) == 2


def test_a_flood_of_alerts_is_told_in_part_and_holds_up_no_emergency() -> None:
    """Thirty an hour; the list has all of them. An alert is tried for an hour, an emergency for a day."""
    told = Told(MAIL)
    told.write(*(raised("failed sign-ins", "", at_ns=T0 + count * SECOND) for count in range(200)), opened())
    due = told.notices.due(T0 + 300 * SECOND)
    assert (due[0].notice.number, len(due)) == (201, 31)
    for one in due:
        told.write(told.notices.failed(one, "no", T0 + 300 * SECOND))
    assert [one.notice.number for one in told.notices.due(T0 + 4000 * SECOND)] == [201]
    told.write(raised("failed sign-ins", "", at_ns=T0 + 4000 * SECOND))
    assert len(told.notices.due(T0 + 4000 * SECOND)) == 1


def test_what_the_page_shows_of_access_toml_is_right(tmp_path: Path) -> None:
    """Whoever copies it has a site."""
    page = (Path(__file__).parents[4] / "docs/access.md").read_text()
    blocks = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "access.toml").write_text("\n".join(blocks))
    policy = policy_file.load(tmp_path)
    assert [one.name for one in policy.tell] == ["security-mail", "siem"]
    assert "weekend" in policy.presets


def test_alerts_go_by_the_ways_that_want_them_and_never_tell_of_themselves() -> None:
    """A way that fails is not told by itself that it fails; nobody is alarmed that an alert came late."""
    told = Told(MAIL, LOG)
    told.write(raised("failed sign-ins", "", at_ns=T0), raised("notice undelivered", "", at_ns=T0))
    made = told.run(T0 + 1000 * SECOND, lambda way, now: False)
    assert {way for way, _ in made} == {"mail"}
    assert {one.facts["notice"] for one in told.entries if one.kind == "notice.sent"} == {1}
    assert len(told.alerts()) == 2


NOTICE = Notice(
    number=52,
    kind="break-glass.opened",
    at_ns=T0,
    emergency=True,
    title=f"break-glass opened: pump\r\nX-Evil: 1 {HOSTILE}",
    lines=(("why", HOSTILE), ("next step", "Call the custodian.")),
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tell")
    portal_tls.own(folder, ["127.0.0.1", "localhost"], wall_ns=1_795_000_000 * 10**9)
    return folder / portal_tls.NAME, folder / portal_tls.KEY_NAME


def way(kind: Any, url: str, **more: Any) -> TellTable:
    """A way, as `access.toml` would have it."""
    if kind == "mail":
        more = {"sender": "checkvalve@plant.example", "to": ("security@plant.example",)} | more
    more = {key: str(value) if isinstance(value, Path) else value for key, value in more.items()}
    made = TellTable(name="w", kind=kind, url=url, **more)
    assert list(made.crossed()) == []
    return made


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_is_one_message_over_tls_whatever_the_texts_hold(
    scheme: str, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """No text begins a header; the password goes over TLS alone; a refusal is a failure."""
    (tmp_path / "secret").write_text("quiet\n")
    with server("mail", tls=certificate, wrapped=scheme == "smtps") as (port, taken):
        table = way(
            "mail",
            f"{scheme}://127.0.0.1:{port}",
            ca_file=certificate[0],
            user="checkvalve",
            password_file=tmp_path / "secret",
        )
        send = sender(table, "low-1")
        assert send(NOTICE) == "taken by 127.0.0.1"
        assert taken.peer_spoke_tls or scheme == "smtps"
        message = message_from_bytes(taken.lines[0], policy=default)
        assert {"Bcc", "X-Evil"} & set(message.keys()) == set()
        assert message["Subject"].startswith("[Checkvalve] break-glass opened: pump\\r\\n")
        assert message["Message-ID"] == f"<notice-52.{T0}@checkvalve.invalid>"
        body = message.get_content()
        assert "why: tripped\\r\\nBcc: everybody@example.org\\x1b[2J\\u202e" in body.splitlines()
        taken.refuse = True
        with pytest.raises(FAILURES, match="try later"):
            send(NOTICE)


@pytest.mark.parametrize(
    ("kind", "scheme"), [("mail", "smtp"), ("mail", "smtps"), ("webhook", "https"), ("syslog", "tls")]
)
def test_a_server_that_cannot_prove_who_it_is_is_told_nothing(
    kind: str, scheme: str, certificate: tuple[Path, Path]
) -> None:
    """Its certificate is verified."""
    with server(kind, tls=certificate, wrapped=scheme != "smtp") as (port, taken):
        with pytest.raises(FAILURES, match=r"(?i)certificate"):
            sender(way(kind, f"{scheme}://127.0.0.1:{port}/"), "low-1")(NOTICE)
        assert taken.lines == []


def test_a_webhook_is_posted_json_and_follows_nobody_elsewhere(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """Texts are themselves in it; another code than 2xx is a failure, a redirect too."""
    (tmp_path / "token").write_text("t0ken")
    with server("webhook", tls=certificate, wrapped=True) as (port, taken):
        url = f"https://127.0.0.1:{port}/hook?a=b"
        send = sender(way("webhook", url, ca_file=certificate[0], password_file=tmp_path / "token"), "low-1")
        assert send(NOTICE) == "204 No Content"
        head, _, body = taken.lines[0].partition(b" {")
        assert head == b"Bearer t0ken"
        told = json.loads(b"{" + body)
        assert (told["format"], told["notice"], told["why"]) == ("checkvalve-notice-v1", 52, HOSTILE)
        taken.refuse = True
        with pytest.raises(FAILURES, match="answered 302"):
            send(NOTICE)


@pytest.mark.parametrize("scheme", ["tls", "tcp"])
def test_syslog_is_one_line_of_rfc_5424(scheme: str, certificate: tuple[Path, Path]) -> None:
    """Counted in octets; severity alert."""
    with server("syslog", tls=certificate if scheme == "tls" else None, wrapped=scheme == "tls") as (port, taken):
        more = {"ca_file": certificate[0]} if scheme == "tls" else {}
        said = sender(way("syslog", f"{scheme}://127.0.0.1:{port}", **more), "low-1")(NOTICE)
        assert said.startswith("written to")
        assert taken.there.wait(5.0)
        check_line(taken.lines[0])


def test_a_datagram_is_sent_and_nobody_says_so() -> None:
    """Short enough for every path."""
    with datagrams() as (port, to):
        table = way("syslog", f"udp://127.0.0.1:{port}")
        assert not table.confirms
        assert "nobody confirms" in sender(table, "low-1")(NOTICE)
        check_line(to.recv(65_535))


def check_line(line: bytes) -> None:
    """It is a whole line that parses."""
    found = parse(line)
    assert found.priority == 13 * 8 + 1
    assert found.kind == "break-glass.opened"
    assert b"\n" not in line


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ('kind = "mail"\nurl = "smtp://m:25"', "sender"),
        ('kind = "webhook"\nurl = "http://elsewhere.example/"', "url"),
        ('kind = "webhook"\nurl = "https://u:p@x.example/"', "url"),
        ('kind = "syslog"\nurl = "tls://x"\nto = "a@b.example"', "to"),
        ('kind = "syslog"\nurl = "udp://x"\nca_file = "ca.pem"', "ca_file"),
        ('kind = "mail"\nurl = "smtp://m"\nsender = "a@b.c"\nto = "x@y.z"\nuser = "me"', "password_file"),
        ('kind = "mail"\nurl = "smtp://m"\nsender = "a@b.c\\nBcc: d@e.f"\nto = "x@y.z"', "sender"),
        ('kind = "pigeon"\nurl = "smtp://m"', "kind"),
    ],
)  # fmt: skip
def test_a_way_that_cannot_be_is_told_with_its_key(keys: str, named: str, tmp_path: Path) -> None:
    """Before an emergency finds out."""
    (tmp_path / "access.toml").write_text(f'[[tell]]\nname = "w"\n{keys}\n')
    with pytest.raises(ConfigError, match=rf"tell\[0\]\.{named}"):
        policy_file.load(tmp_path)


def test_ways_of_the_file_are_read_with_their_paths(tmp_path: Path) -> None:
    """Two of one name are a mistake."""
    one = '[[tell]]\nname = "w"\nkind = "webhook"\nurl = "https://x.example/"\npassword_file = "keys/t"\n'
    (tmp_path / "access.toml").write_text(one)
    (way,) = policy_file.load(tmp_path).tell
    assert way.password_file == tmp_path / "keys/t"
    (tmp_path / "access.toml").write_text(one * 2)
    with pytest.raises(ConfigError, match="is there already"):
        policy_file.load(tmp_path)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('kind = "syslog"\nurl = "udp://siem.example"', "tell[0].url: udp:// is readable on the way"),
        ('kind = "syslog"\nurl = "tls://siem.example"\nca_file = "ca.pem"', "ca.pem is not there yet"),
        ('kind = "webhook"\nurl = "https://x.example/"\npassword_file = "t"', "t is not there yet"),
        ('kind = "syslog"\nurl = "udp://127.0.0.1"', ""),
        ('kind = "syslog"\nurl = "tls://siem.example"', ""),
    ],
)
def test_what_would_fail_in_an_emergency_is_a_warning_before(keys: str, words: str, tmp_path: Path) -> None:
    """Of `receive --check`."""
    (tmp_path / "access.toml").write_text(f'[[tell]]\nname = "w"\n{keys}\n')
    told = list(policy_file.weaknesses(policy_file.load(tmp_path)))
    assert len(told) == bool(words)
    assert words in "".join(told)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Authority]:
    """A site with one way to tell."""
    policy = AccessPolicy(tell=(way("syslog", "tcp://127.0.0.1:1"),))
    made = Authority(Trail(tmp_path / "trail.db"), policy, tmp_path, wall_ns=T0, running_ns=0)
    yield made
    made.trail.close()


def kinds(site: Authority) -> list[str]:
    """Of all records."""
    return [one.entry.kind for one in site.trail.records()]


def settle(telling: SecurityTelling, flights: int = 200) -> None:
    """Steps until nothing is under way."""
    for _ in range(flights):
        telling.step()
        for _, future in list(telling._flying):
            future.exception(5.0)
        if not telling.flying:
            return
    raise AssertionError("still under way")


def test_the_thread_raises_tells_and_records(site: Authority) -> None:
    """One look after the glass was broken: the alert, the attempt; the next one: its delivery. A restart adds none."""
    heard: list[Notice] = []
    telling = SecurityTelling(site, "low-1", {"w": lambda notice: heard.append(notice) or "yes"})  # type: ignore[func-returns-value]
    telling.step()
    site.trail.note([opened()])
    settle(telling)
    assert [one.number for one in heard] == [1]
    assert kinds(site) == ["break-glass.opened", "alert.raised", "notice.sent", "notice.delivered"]
    telling.close()
    again = SecurityTelling(site, "low-1", {"w": lambda notice: heard.append(notice) or "yes"})  # type: ignore[func-returns-value]
    settle(again)
    assert len(heard) == 1
    assert len(kinds(site)) == 4
    again.close()


def test_a_trail_that_cannot_be_written_holds_up_no_telling(site: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was tried is written down once it can be."""
    heard: list[Notice] = []
    telling = SecurityTelling(site, "low-1", {"w": lambda notice: heard.append(notice) or "yes"})  # type: ignore[func-returns-value]
    site.trail.note([opened()])
    broken, note = MemoryTrail(), site.trail.note
    broken.broken = ConfigError("full")
    monkeypatch.setattr(site.trail, "note", broken.note)
    with pytest.raises(ConfigError):
        telling.step()
    for _, future in list(telling._flying):
        future.exception(5.0)
    assert len(heard) == 1
    monkeypatch.setattr(site.trail, "note", note)
    settle(telling)
    assert sorted(kinds(site)) == ["alert.raised", "break-glass.opened", "notice.delivered", "notice.sent"]
    telling.close()


def test_a_server_that_is_not_there_is_a_failure_on_record(site: Authority) -> None:
    """With why; the thread goes on."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    telling = SecurityTelling(site, "low-1", {"w": sender(way("syslog", f"tcp://127.0.0.1:{port}"), "low-1")})
    site.trail.note([opened()])
    settle(telling)
    (failed,) = [one.entry for one in site.trail.records() if one.entry.kind == "notice.failed"]
    assert "refused" in str(failed.facts["why"])
    telling.close()


def test_an_old_alert_is_raised_once_over_starts(site: Authority) -> None:
    """What happened while nothing watched is raised at the next start; what is older than a week is not."""
    site.trail.note([opened(T0 - 9 * DAY, grant="g-9"), opened(T0 - DAY)])
    for _ in range(2):
        telling = SecurityTelling(site, "low-1", {"w": lambda notice: "yes"})
        settle(telling)
        telling.close()
    raised_of = [
        one.entry.facts.get("subject")
        for one in site.trail.records()
        if one.entry.facts.get("what") == "break-glass opened"
    ]
    assert raised_of == ["g-1"]


def test_a_start_knows_what_was_decided_before_alerts_were_raised(site: Authority) -> None:
    """A register that misses the people of yesterday would find every read at fault, and no shift empty."""
    site.trail.note([*enrolled(ACME), *enrolled(CUSTODIAN)])
    site.trail.note([given("g-1", ACME, T0 + DAY), raised("clock stepped", "", at_ns=T0)])
    telling = SecurityTelling(site, "low-1", {"w": lambda notice: "yes"})
    settle(telling)
    site.trail.note([read(ACME, T0 + HOUR, "g-1")])
    settle(telling)
    telling.close()
    told = [one.entry.facts["what"] for one in site.trail.records() if one.entry.kind == "alert.raised"]
    assert told == ["clock stepped", "no custodian"]


def test_pages_see_the_list_and_acknowledge_once(site: Authority) -> None:
    """As of the last look; two who press at once do not both go on record."""
    site.trail.note([*enrolled(ACME), *enrolled(SECURITY), raised("clock stepped", "", at_ns=T0)])
    telling = SecurityTelling(site, "low-1", {"w": lambda notice: "yes"})
    settle(telling)
    (alert,) = telling.open_alerts()
    assert alert.number == 5
    telling.acknowledge(5, "the battery was changed", by="security", person=SECURITY)
    assert telling.open_alerts() == ()
    with pytest.raises(RuleRefusal, match="already"):
        telling.acknowledge(5, "the battery was changed", by="security", person=SECURITY)
    settle(telling)
    assert telling.open_alerts() == ()
    assert kinds(site).count("alert.acknowledged") == 1
    telling.close()


def test_alerts_are_seen_by_whom_they_concern() -> None:
    """Security, the engineer, administrators and the auditor see all; a sponsor the people sponsored; a vendor none."""
    people = People()
    for number, entry in enumerate([*enrolled(SPONSOR), *enrolled(ACME), *enrolled(SECURITY)], 1):
        people.take(TrailRecord(number=number, entry=entry, hash=bytes(32)))
    board = AlertBoard()
    for number, key in enumerate(("acme", "volta", ""), 10):
        entry = raised("failed sign-ins", "", at_ns=T0, more={"person": key})
        board.take(TrailRecord(number=number, entry=entry, hash=bytes(32)))
    auditor = person("auditor", PersonRole.AUDITOR)
    gone = replace(SECURITY, active=False, key="gone")
    lookers = (SECURITY, ENGINEER, auditor, SPONSOR, APPROVER, CUSTODIAN, ACME, gone)
    seen = {one.key: [alert.number for alert in visible(board.open([]), one, people)] for one in lookers}
    whole = [10, 11, 12]
    assert seen == {
        "security": whole, "engineer": whole, "auditor": whole, "sponsor": [10],
        "approver": [], "custodian": [], "acme": [], "gone": [],
    }  # fmt: skip
