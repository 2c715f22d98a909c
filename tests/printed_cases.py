"""A case for each command that prints: texts that want more than to be read, put wherever a stranger could put them.

A device's names, units, values and errors, a configuration, a status file, a file's name, findings, an argument.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from history_blocks import T0, batch, block, opened, stream

from collectors.base import Collector, Device, Draft, Facts, Identity, Request, Scan
from protocol import keymaking, keys
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns, Row, columns
from protocol.errors import AssetError
from protocol.recommendation.carried_file import CarriedRecommendation, signed
from protocol.recommendation.proposal import Attachment, Proposal, ProposedValue, plain
from receiver.governed.trail.entry import Fact, TrailEntry
from receiver.governed.trail.trail import Trail
from receiver.outputs.influx.line_group import LineGroup
from receiver.outputs.influx.line_store import LineStore
from receiver.outputs.shipping.cargo import RefusedSamples

SEEN = "[psi][red]x:smile:"
"""What rich would take for markup and pictures; it must be seen in what comes out."""
NAME = f"{SEEN}\u3164"
"""What a configuration takes for a name: printable."""
EVIL = f"{SEEN}[/b]\x1b]0;o\x07\x9b7m\u202e\u2066\u200b\u2028\r\nFORGED"
"""A title for the terminal's window, colours, an order turned around, and a line that we never said."""
FILE = EVIL.replace("/", "")
"""Of these, what may stand in a file's name."""
Case = Callable[[Path, pytest.MonkeyPatch], Sequence[Sequence[str]]]
CASES: dict[str, Case] = {}
"""Command, or command and its own: what prepares a folder and gives the command lines to try."""


def case(*names: str) -> Callable[[Case], Case]:
    """Its function is the case of these commands."""

    def keep(function: Case) -> Case:
        for name in names:
            CASES[name] = function
        return function

    return keep


class Nasty(Collector):
    """A device whose every text is EVIL."""

    protocol = "nasty"
    broken: ClassVar[bool] = False

    @classmethod
    def check(cls, device: Device) -> list[str]:
        return [] if device.url.startswith(("nasty:", "broken:")) else [f"url: {device.url} is none"]

    @classmethod
    def plan(cls, device: Device) -> list[Request]:
        return [Request(what=f"read {EVIL}", every_s=1.0, points=1, request_bytes=12, reply_bytes=100)]

    async def open(self) -> None:
        if type(self).broken:
            raise AssetError(EVIL, quality=0x80050000)

    async def read(self, scan: Scan) -> Columns:
        return columns([point.number for point in scan.points], self.clock(), [EVIL] * len(scan.points))

    async def close(self) -> None:
        """Nothing is held."""

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        states = [f"{EVIL}{number}" for number in range(500)]
        right = {"name": f"a{NAME}", "at": "1", "unit": EVIL, "description": EVIL, "states": states}
        return Draft(identity=self.identity(), tags=(right, {"name": EVIL, "at": EVIL}), notes=(EVIL,))

    def facts(self) -> Mapping[int, Facts]:
        return {one.number: Facts(name=EVIL, unit=EVIL, description=EVIL) for one in self.device.points}

    def identity(self) -> Identity:
        return Identity(vendor=EVIL, model=EVIL, serial=EVIL, firmware=EVIL)


class Broken(Nasty):
    """It says why it cannot be read."""

    broken = True


def quoted(text: str) -> str:
    """For TOML, made without what is tested here."""
    return json.dumps(text).replace("\x7f", "\\u007f")


def sender(folder: Path, *, more: str = "") -> Path:
    """`sender.toml` with a nasty device."""
    path = folder / "sender.toml"
    path.write_text(
        'site = "north"\n[outlet]\nto = "127.0.0.1:5005"\n[keys]\nown = "keys/high"\nreceivers = ["keys/low.pub"]\n'
        f'[[asset]]\nname = {quoted(NAME)}\ncollector = "nasty"\nurl = {quoted("nasty:" + EVIL)}\n{more}\n'
        f'[[asset.scan]]\nevery = "50ms"\ntags = [{{ name = {quoted(NAME)}, at = "1", type = "string", '
        f"unit = {quoted(EVIL)}, description = {quoted(EVIL)} }}]\n"
    )
    return path


def receiver(folder: Path, *, more: str = "") -> Path:
    """`receiver.toml`."""
    path = folder / "receiver.toml"
    path.write_text(
        f'{more}\n[inlet]\nlisten = "127.0.0.1:15006"\n[keys]\nown = "keys/low"\nsenders = ["keys/high.pub"]\n'
    )
    return path


def said(folder: Path, name: str, **told: Any) -> None:
    """A status file, whoever wrote it."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    (state / f"status-{name}.json").write_text(json.dumps({"time_ns": 1, "pid": 1, **told}))


def findings(folder: Path, name: str, status: str = "FAIL") -> Path:
    """A findings document with EVIL in every text."""
    clause = {"id": EVIL, "text": EVIL, "edition": EVIL, "read": True, "informative": True}
    check = {
        "id": "CAP-1",
        "title": EVIL,
        "status": status,
        "found": EVIL,
        "remedy": EVIL,
        "not_proven": EVIL,
        "evidence": [{"value": EVIL, "command": EVIL, "time": EVIL}],
        "clauses": [clause],
    }
    held = {"format": "checkvalve-audit-v1", "what": f"live {EVIL}", "time": "2026-11-20T06:00:00Z"}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**held, "facts": {"host": EVIL, "by": EVIL}, "checks": [check]}))
    return path


@case("demo")
def _demo(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    from simulator import demo
    from simulator.summary import PathSummary, gather

    told = gather(poll={"counts": {EVIL: {"read": 1}}}, emit=None, catch=None, historian=None, relay=None)

    def run(
        wish: Any, *, say: Callable[[str], None], show: Callable[[PathSummary, float, str, Sequence[str]], None]
    ) -> PathSummary:
        say(f"page: {EVIL}")
        show(told, 9.0, EVIL, [EVIL])
        return told

    patch.setattr(demo, "run", run)
    return [["demo"], ["demo", "--json"]]


@case("simulate")
def _simulate(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    import asyncio

    from simulator import main

    whole = main.simulate

    async def short(*given: Any, stop: asyncio.Event, **named: Any) -> None:
        asyncio.get_running_loop().call_later(0.1, stop.set)
        await whole(*given, stop=stop, **named)

    patch.setattr(main, "simulate", short)
    scene = folder / "scene.toml"
    scene.write_text(
        f'[scene]\nname = {quoted(EVIL)}\nsite = "s"\ntick_ms = 100\n[[server]]\nasset = {quoted(EVIL)}\n'
        'protocol = "modbus"\nport = 0\nvendor = "v"\nmodel = "m"\nserial = "s"\nfirmware = "f"\n'
        f'tag = [{{ name = {quoted(EVIL)}, at = "holding:0", type = "uint16", '
        'signal = { kind = "fixed", value = 1 } }]\n'
    )
    return [["simulate", str(scene)], ["simulate", EVIL], ["simulate", str(scene), "--fault", EVIL]]


@case("relay")
def _relay(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    return [["relay", "--loss", EVIL], ["relay", "--cut", EVIL], ["relay", "--to", EVIL]]


@case("init")
def _init(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    high, low = str(folder / FILE / "high"), str(folder / FILE / "low")
    return [
        ["init", "high", high, "--site", NAME, "--to", "192.0.2.2:5005"],
        ["init", "high", high, "--sheet"],
        ["init", "high", high, "--site", NAME, "--to", "192.0.2.2:5005"],
        ["init", "high", f"{high}2", "--site", EVIL, "--to", EVIL, "--rate-mbit", EVIL, "--keep", EVIL],
        ["init", "low", low, "--listen", "192.0.2.2:5005"],
        ["init", "low", f"{low}2", "--listen", EVIL, "--peer", EVIL],
        ["init", EVIL],
    ]


@case("discover")
def _discover(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    return [
        ["discover", "nasty", "nasty:1"],
        ["discover", "broken", "nasty:1"],
        ["discover", "nasty", EVIL],
        ["discover", "nasty", f"nasty:{EVIL}", "--set", f"key={EVIL}", "--name", EVIL],
        ["discover", "nasty", f"nasty:{SEEN}", "--name", "x\udc80"],
    ]


@case("plan")
def _plan(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    return [["plan", str(sender(folder))], ["plan", str(sender(folder)), "--json"]]


@case("peek")
def _peek(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    return [
        ["peek", "nasty://1", "1"],
        ["peek", "nasty://1", "1", "--json"],
        ["peek", "broken://1", "1"],
        ["peek", EVIL, "1"],
        ["peek", "nasty://1", "1", "--set", EVIL],
    ]


@case("watch")
def _watch(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    broken = folder / "broken"
    broken.mkdir()
    sick = sender(broken)
    sick.write_text(sick.read_text().replace('collector = "nasty"', 'collector = "broken"'))
    short = ["--seconds", "0.2"]
    return [
        ["watch", str(sender(folder)), *short],
        ["watch", str(sick), *short],
        ["watch", str(sick), *short, "--json"],
    ]


@case("send")
def _send(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    odd = folder / "odd"
    odd.mkdir()
    return [
        ["send", str(sender(folder)), "--check"],
        ["send", str(sender(odd, more=f"{quoted(EVIL)} = 1\nvendor = {quoted(EVIL)}")), "--check"],
        ["send", str(folder / FILE), "--check"],
        ["send", str(folder), EVIL],
    ]


@case("apply")
def _apply(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    patch.setattr("sender.poll.config.look_at_keys", lambda *given: None)
    path, other = sender(folder), folder / FILE
    other.mkdir()
    kept_there = folder / "state" / "applied"
    kept_there.mkdir(parents=True)
    told = {"kind": "apply", "number": 7, "after": "0", "by": EVIL, "why": EVIL, "ticket": EVIL, "lines": [EVIL]}
    (kept_there / "000007.json").write_text(json.dumps(told))
    (kept_there / f"{FILE}.json").write_text("")
    new = sender(other, more=f"vendor = {quoted(NAME)}\nmodel = {quoted(EVIL)}\n[asset.nasty]\n{quoted(EVIL)} = 1\n")
    return [
        ["apply", str(path), "--list"],
        ["send", str(path), "--check"],
        ["apply", str(path), "--why", SEEN, "--ticket", SEEN, "--by", SEEN, "--yes"],
        ["apply", str(path), "--from", str(new), "--why", SEEN, "--yes"],
        ["apply", str(path), "--back", "--yes"],
        ["apply", str(path), "--why", EVIL],
        ["apply", str(path), "--from", EVIL, "--why", EVIL],
    ]


@case("receive")
def _receive(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    odd, named = folder / "odd", folder / FILE
    odd.mkdir()
    named.mkdir()
    patch.setattr("receiver.main.shed", lambda *keep: None)  # it would be this process's rights
    return [
        ["receive", str(receiver(named)), "--check"],
        ["receive", str(receiver(odd, more=f"{quoted(EVIL)} = 1")), "--check"],
        ["receive", str(receiver(named)), "--only", EVIL],
    ]


@case("accept")
def _accept(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    return [["accept", str(receiver(folder)), EVIL], ["accept", str(folder / FILE), "0a0b0c0d"]]


@case("linktest")
def _linktest(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    (folder / FILE).mkdir()
    return [["linktest", str(sender(folder)), "--rates", EVIL], ["linktest", str(folder / FILE / "receiver.toml")]]


@case("replay")
def _replay(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    return [["replay", str(sender(folder)), EVIL]]


@case("gaps")
def _gaps(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    gap = {"stream": EVIL, "from": 1, "to": 3, "since_ns": 1, "heals_ns": None, "lost_ns": 1}
    said(folder, "catch", gaps=[gap], codes=[{"code": EVIL}], blocks={EVIL: EVIL})
    return [["gaps", str(receiver(folder))], ["gaps", str(receiver(folder)), "--json"]]


@case("status")
def _status(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    said(folder, FILE, warnings=[EVIL], link={EVIL: EVIL}, blocks={EVIL: {EVIL: EVIL}}, children={EVIL: {"x": EVIL}})
    said(folder, "poll", pid=EVIL, warnings=[EVIL], assets={EVIL: {"state": EVIL}}, engine=EVIL, errand={"kind": EVIL})
    change = {"kind": "apply", "by": EVIL, "why": EVIL, "ticket": EVIL, "lines": [EVIL], "time_ns": 2**62}
    said(folder, "historian", changes=[change, {"kind": EVIL}, {"kind": "found", "over": 1}, EVIL])
    said(folder, "poll", configuration={"sha256": EVIL, "change": change})
    sides = [str(sender(folder)), str(receiver(folder))]
    return [["status", side, *form] for side in sides for form in ((), ("--json",))]


@case("doctor")
def _doctor(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    patch.setattr("oneway.doctor.machine.WATCH_S", 0.0)
    now = {"time_ns": time.time_ns(), "pid": os.getpid()}
    for name in (FILE, "poll", "emit", "catch", "historian"):
        down = {EVIL: {"state": "down", "trouble": EVIL}}
        said(folder, name, **now, warnings=[EVIL], alarms=[EVIL], assets=down, trouble=EVIL, link={"session": EVIL})
    sides = [str(sender(folder)), str(receiver(folder))]
    return [["doctor", side, *form] for side in sides for form in ((), ("--json",))]


@case("history check", "history rebuild")
def _history(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    patch.setattr("receiver.commands.history.shed", lambda: None)
    (folder / "state" / "history").mkdir(parents=True)
    (folder / "state" / "history" / f"2025-11.db.damaged-{FILE}").write_bytes(b"")
    beside = folder / FILE
    beside.mkdir()
    receiver(beside)
    return [["history", "check", str(receiver(folder))], ["history", "rebuild", str(beside / "receiver.toml")]]


@case("export")
def _export(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    tag = Tag(id=0, asset=EVIL, name=EVIL, unit=EVIL, type="string")
    of = stream(tags=[tag], assets=[Asset(name=EVIL, site="north")])
    history = opened(folder / "state" / "history")
    history.take([block(of, 0, batch([Row(0, T0, EVIL)]))], b"")
    history.close()
    words = ["export", str(receiver(folder)), "--replace", "--out"]
    return [[*words, str(folder / f"{FILE}.csv")], [*words, str(folder / "a.csv"), "--asset", "pump"]]


@case("asset-report")
def _asset_report(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    tag = Tag(id=0, asset=EVIL, name=EVIL, unit=EVIL, type="string")
    of = stream(tags=[tag], assets=[Asset(name=EVIL, site="north")])
    history = opened(folder / "state" / "history")
    history.take([block(of, 0, batch([Row(0, T0, EVIL)]))], b"")
    history.close()
    words = ["asset-report", str(receiver(folder)), "--from", "2025-01-01T00:00Z", "--replace", "--out"]
    return [[*words, str(folder / f"{FILE}.html"), EVIL], [*words, str(folder / "a.html"), "pump"]]


@case(
    *(f"person {word}" for word in ("change", "confirm", "end", "enrol", "link", "list", "resume", "show", "suspend"))
)
def _person(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    file = str(receiver(folder))
    _enrolled(folder)
    nobody = [["person", word, file, EVIL] for word in ("show", "link", "change")]
    why = [["person", word, file, EVIL, "--why", EVIL] for word in ("suspend", "resume", "end")]
    texts = ("login", "name", "role", "until", "checked-by", "checked-how", "employer", "contract", "contact")
    enrol = ["person", "enrol", file, *(part for text in texts for part in (f"--{text}", EVIL))]
    shown = [["person", "list", file], ["person", "list", file, "--json"], ["person", "show", file, "p-1"]]
    return [*shown, *nobody, *why, enrol, ["person", "confirm", file, EVIL, "--by", EVIL]]


@case(*(f"service {word}" for word in ("end", "issue", "list", "renew")))
def _service(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    file = str(receiver(folder))
    _enrolled(folder)
    issue = ["service", "issue", file, "--name", EVIL, "--owner", EVIL, "--source", EVIL, "--until", EVIL]
    other = [["service", "renew", file, EVIL], ["service", "end", file, EVIL, "--why", EVIL]]
    return [["service", "list", file], ["service", "list", file, "--json"], issue, *other]


@case("request list", "request approve", "request deny", "grant list", "grant revoke")
def _granted(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    file = str(receiver(folder))
    _enrolled(folder)
    what: dict[str, Fact] = {"assets": [EVIL], "tags": [[EVIL, EVIL]], "from_ns": 1, "until_ns": 2**62}
    what |= {"length_s": None, "person": "p-1", "request": "r-1", "preset": EVIL}
    asked = what | dict.fromkeys(("reason", "purpose", "ticket"), EVIL)
    denied: dict[str, Fact] = {"request": "r-1", "role": "approver", "why": EVIL}
    waits = asked | {"request": "r-2"}
    given = what | {"grant": "g-1"}
    told = [("request.made", asked), ("request.made", waits), ("request.denied", denied), ("grant.given", given)]
    trail = Trail(folder / "state" / "trail.db")
    trail.note([TrailEntry(kind=kind, at_ns=1, who=EVIL, facts=facts) for kind, facts in told])
    trail.close()
    patch.setattr("sys.stdin", io.StringIO(f"{EVIL}\n" * 9))
    lists = [[word, "list", file, *more] for word in ("request", "grant") for more in ([], ["--all"], ["--json"])]
    acts = (("request", "approve"), ("request", "deny"), ("grant", "revoke"))
    return [*lists, *([*act, file, EVIL, "--as", EVIL, "--why", EVIL] for act in acts)]


def _enrolled(folder: Path) -> None:
    """A person and a service whose every text is EVIL, whoever wrote that into the trail."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    texts = ("login", "name", "employer", "checked_by", "checked_how", "contract", "contact", "sponsor")
    person: dict[str, Fact] = {"person": "p-1", "roles": ["reader"], "ends_ns": 2**62, **dict.fromkeys(texts, EVIL)}
    service: dict[str, Fact] = {
        "service": "s-1",
        "sources": [EVIL],
        "ends_ns": 1,
        **dict.fromkeys(("name", "owner"), EVIL),
    }
    trail = Trail(state / "trail.db")
    told = (("person.enrolled", person), ("service.issued", service))
    trail.note([TrailEntry(kind=kind, at_ns=1, who="system", facts=facts) for kind, facts in told])
    trail.close()


@case("recommendation")
def _recommendation(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    keymaking.make("recommend", folder / "low")
    key = keys.load(folder / "low", "recommend")
    path = sender(folder)
    path.write_text(f'{path.read_text()}\n[recommendations]\nkeys = ["low.pub"]\n')
    evil = plain(EVIL)
    line = plain(evil.split("\n")[0])
    proposal = Proposal(
        site="north",
        asset=line,
        what=evil,
        why=evil,
        values=(ProposedValue(name="P", proposed=line),),
        attachments=(Attachment(name="a", text=evil),),
    )
    carried = CarriedRecommendation(
        number="rec-1",
        proposal=proposal,
        by=evil,
        employer=evil,
        made_ns=0,
        released_by=evil,
        released_why=evil,
        released_ns=0,
        expires_ns=2**62,
    )
    (folder / FILE).write_bytes(signed(carried, key))
    kept_there = folder / "state" / "recommendations"
    kept_there.mkdir(parents=True)
    told = {"number": "rec-2", "sha256": "0" * 64, **dict.fromkeys(("asset", "what", "why", "by"), EVIL)}
    (kept_there / "rec-2.json").write_text(json.dumps(told))
    low = folder / "odd"
    low.mkdir()
    file = str(receiver(low))
    texts = dict.fromkeys(("name", "vendor", "site", "asset", "what", "why"), EVIL)
    facts: dict[str, Fact] = {"recommendation": "rec-3", "person": "p-1", **texts}
    facts |= {"values": [[EVIL, EVIL, EVIL]], "attachments": [[EVIL, EVIL]]}
    (low / "state").mkdir(exist_ok=True)
    trail = Trail(low / "state" / "trail.db")
    trail.note([TrailEntry(kind="recommendation.made", at_ns=1, who="p-1", facts=facts)])
    trail.close()
    high = ["recommendation", str(path)]
    return [
        high,
        [*high, "--json"],
        [*high, str(folder / FILE)],
        [*high, str(folder / FILE), "--reject", "--why", EVIL, "--by", EVIL],
        [*high, str(low / FILE), "--accept", "--why", EVIL],
        ["recommendation", file],
        ["recommendation", file, "rec-3"],
        ["recommendation", file, "rec-3", "--json"],
        ["recommendation", file, EVIL],
        ["recommendation", file, EVIL, "--to", str(folder), "--key", str(folder / "low")],
    ]


@case("aside list", "aside resend", "aside drop")
def _aside(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    file = receiver(folder)
    section = 'kind = "influx"\nname = "vm"\nurl = "http://127.0.0.1:9"\nbucket = "b"\nscope = "all"\n'
    file.write_text(f"{file.read_text()}\n[[output]]\n{section}")
    (folder / "state").mkdir(exist_ok=True)
    store = LineStore(folder / "state" / "vm.db", waiting=lambda why: None, wait=lambda seconds: None)
    store.store([(True, LineGroup(b"sample,tag=x v=1 5\n"))], b"p")
    refused = RefusedSamples(5, EVIL, EVIL, LineGroup(EVIL.replace("\n", " ").encode() + b"\n"))
    store.acknowledge([1], [refused], hold=False)
    store.close()
    line = ["aside", "list", str(file), "vm"]
    return [line, [*line, "--json"], ["aside", "resend", str(file), EVIL], ["aside", "drop", str(file), EVIL]]


@case("setup")
def _setup(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    config = folder / FILE
    config.write_text("[outlet]\nto = 1\n" + "[" + quoted(EVIL))
    right = ["setup", "high", "--interface", "dio0", "--address", "192.0.2.1", "--peer-mac", "02:00:00:00:00:01"]
    return [
        ["setup", "high", "--interface", EVIL, "--address", "192.0.2.1", "--to", "192.0.2.2:5005"],
        [*right, "--to", EVIL],
        [*right, "--config", str(config)],
        [*right, "--to", "192.0.2.2:5005", "--netns", EVIL],
    ]


@case("keys new", "keys show")
def _keys(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    held = str(folder / f"{FILE}\udc80")
    return [["keys", "new", "high", held], ["keys", "new", EVIL, held], ["keys", "show", f"{held}x"]]


def _run(patch: pytest.MonkeyPatch, folder: Path, name: str) -> None:
    """Give an audit command findings with EVIL in every text."""
    from importlib import import_module

    from audit.check import read_findings

    made = read_findings(findings(folder, "made").read_text())
    patch.setattr(import_module(f"audit.{name}"), "run", lambda *given, **named: made)


AUDITS: dict[str, list[list[str]]] = {
    "capture": [[f"{FILE}.pcap", "--all"], [FILE, "--high", EVIL]],
    "journal": [[FILE, FILE, "--key", FILE]],
    "code": [[EVIL]],
    "selftest": [["--capture", FILE, "--high", "02:00:00:00:00:01"]],
    "live": [["--side", "high", "--interface", one, "--netns", EVIL] for one in ("lo", EVIL)],
    "provoke": [["--interface", "lo", "--address", EVIL, "--to", EVIL, "--peer-mac", EVIL]],
}
"""Audit commands and what is typed behind them, in a folder that has such a capture file."""


def _audit(name: str) -> Case:
    def run(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
        capture = folder / f"{FILE}.pcap"
        capture.write_bytes(b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(12) + b"\x01\x00\x00\x00")
        return [["audit", name, *words] for words in AUDITS[name]]

    return run


@case("audit found")
def _found(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    for name in ("capture.capture", "disks.compare", "source.code"):
        _run(patch, folder, name)
    keep = ["--keep", str(folder / FILE)]
    return [
        ["audit", "capture", "x", *keep],
        ["audit", "capture", "x", "--json"],
        ["audit", "journal", "x", "y", "--key", "z", "--all"],
        ["audit", "code"],
    ]


@case("audit collect")
def _collect(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    from audit import carried

    unread = carried.Arrived(unopened=Counter({EVIL: 1}))
    done = carried.Collected(new=(folder / FILE,), known=0, others=0, arrived=unread)
    whole = carried.collect
    patch.setattr(carried, "collect", lambda config, keep: done if config.name == "right" else whole(config, keep))
    return [["audit", "collect", one, "--keep", str(folder)] for one in ("right", str(folder / FILE))]


@case("audit explain", "audit questions")
def _explain(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    return [["audit", "explain", EVIL], ["audit", "questions"], ["audit", "explain"]]


@case("audit incident")
def _incident(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    out = ["--out", str(folder / FILE), "--product", EVIL, "--contact", EVIL]
    return [
        ["audit", "incident", "--aware", EVIL],
        ["audit", "incident", "--aware", "now", *out],
        ["audit", "incident", "--aware", "now", *out],
    ]


@case("audit report", "audit diff")
def _report(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    old, new = findings(folder, "old", "PASS"), findings(folder, "new", "FAIL")
    bad = folder / "bad"
    bad.mkdir()
    (bad / f"{FILE}.json").write_text(json.dumps({"format": EVIL}))
    return [
        ["audit", "report", str(old), str(new), "--title", EVIL, "--out", str(folder / FILE)],
        ["audit", "report", str(old), "--json", "--title", EVIL, "--out", str(folder / FILE)],
        ["audit", "report", str(bad)],
        ["audit", "report", str(old), "--from", EVIL],
        ["audit", "diff", str(old), str(new)],
        ["audit", "diff", str(old), str(new), "--json"],
    ]


def _bench(name: str) -> Case:
    def run(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
        from importlib import import_module

        from bench.cli import BENCHES
        from bench.figures import BenchRow

        row = BenchRow(row=f"{name}.{EVIL}", unit=EVIL, note=EVIL)
        patch.setattr(import_module(BENCHES[name][0]), "measure", lambda runs: [row])
        return [["bench", name], ["bench", name, EVIL]]

    return run


for _name in (
    "access", "audit", "codec", "collect", "confine", "fec", "first", "historian", "link", "loss", "outputs", "portal"
):  # fmt: skip
    CASES[f"bench {_name}"] = _bench(_name)


@case("bench soak")
def _soak(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    from bench.figures import BenchRow
    from bench.soak import soak

    row = BenchRow(row=f"soak.{EVIL}", unit=EVIL, note=EVIL)
    patch.setattr(soak, "measure", lambda minutes, **given: [row])
    return [["bench", "soak"], ["bench", "soak", EVIL]]


for _name in AUDITS:
    CASES[f"audit {_name}"] = _audit(_name)


@case("roster set", "roster show", "roster end", "alerts list", "alerts acknowledge", "break-glass prepare", "evidence")
def _programme(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    """Asked for people, lines, alerts and vendors of such names, in a record where one of them did something."""
    from receiver.governed.trail.entry import TrailEntry
    from receiver.governed.trail.trail import Trail

    config, state = receiver(folder), folder / "state"
    state.mkdir()
    trail = Trail(state / "trail.db")
    trail.note([TrailEntry(kind="alert.raised", at_ns=1, who=EVIL, origin=EVIL, facts={"what": EVIL, "person": EVIL})])
    trail.close()
    return [
        ["roster", "set", str(config), EVIL, EVIL, "--from", "2026-12-01", "--until", EVIL],
        ["roster", "end", str(config), EVIL, "--why", EVIL],
        ["roster", "show", str(folder / FILE)],
        ["alerts", "list", str(config)],
        ["alerts", "list", str(config), "--json"],
        ["alerts", "acknowledge", str(folder / FILE), "1", "--note", EVIL],
        ["break-glass", "prepare", str(config), "--place", EVIL],
        ["break-glass", "prepare", str(folder / FILE), "--place", EVIL],
        ["evidence", str(config), EVIL, EVIL, "--out", str(folder / FILE)],
        ["evidence", str(config), EVIL, "2026-11", "--out", str(folder / FILE)],
        ["evidence", str(config), EVIL, "2026-11", "--out", str(folder / FILE), "--anchor", EVIL],
    ]


@case("trail show", "trail verify", "trail export", "trail checkpoint", "trail clock")
def _trail(folder: Path, patch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    """A record of somebody whose name and reason are such texts; keys and folders that are called so."""
    from receiver.governed.trail.entry import TrailEntry
    from receiver.governed.trail.trail import Trail

    config, state = receiver(folder), folder / "state"
    state.mkdir()
    trail = Trail(state / "trail.db")
    facts: dict[str, Fact] = {"request": "r-1", "why": EVIL, "assets": [EVIL], "tags": [[EVIL]], EVIL: {EVIL: EVIL}}
    trail.note([TrailEntry(kind="request.denied", at_ns=1, who=EVIL, origin=EVIL, facts=facts)])
    trail.close()
    key = ["--key", str(folder / FILE)]
    return [
        ["trail", "show", str(config)],
        ["trail", "show", str(config), "--json"],
        ["trail", "show", str(config), "--who", EVIL, "--asset", EVIL],
        ["trail", "show", str(folder / FILE)],
        ["trail", "verify", str(config), "--anchor", EVIL, "--checkpoints", str(folder / FILE)],
        ["trail", "verify", str(folder / FILE), "--pub", str(folder / FILE)],
        ["trail", "export", str(config), "--to", str(folder / FILE), *key],
        ["trail", "checkpoint", str(config), *key],
        ["trail", "clock", str(folder / FILE), "--why", EVIL],
    ]


@case("backup", "restore")
def _archives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[Sequence[str]]:
    """A side whose files have such names, and archives that somebody else made, with such members and versions."""
    side = folder / f"side{FILE}"
    (side / "keys").mkdir(parents=True)
    config = receiver(side)
    (side / "keys" / f"{FILE}.key").write_text("secret")
    (side / FILE).symlink_to("/etc/passwd")
    data, foreign, lying = (folder / f"{name}{FILE}.tar" for name in ("data", "foreign", "lying"))
    with tarfile.open(foreign, "w") as tar:
        tar.addfile(tarfile.TarInfo(f"../{FILE}"))
    told = {"backup": 1, "side": EVIL, "config": EVIL, "what": "data", "version": EVIL, "files": {}}
    for path, more in ((lying, {}), (folder / "lacks.tar", {"files": {EVIL: {"bytes": 1, "sha256": EVIL}}})):
        text = json.dumps({**told, **more}).encode()
        with tarfile.open(path, "w") as tar:
            member = tarfile.TarInfo("CHECKVALVE-BACKUP.json")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return [
        ["backup", str(config), str(data)],
        ["backup", str(config), str(data)],
        ["backup", str(config), str(folder / f"k{FILE}.tar"), "--keys"],
        ["restore", str(data), "--to", str(folder / f"to{FILE}")],
        ["restore", str(data), "--to", str(folder / f"to{FILE}")],
        ["restore", str(foreign), "--check"],
        ["restore", str(lying), "--check"],
        ["restore", str(folder / "lacks.tar"), "--check"],
        ["restore", EVIL, "--check"],
    ]
