"""Every command of the README and of docs/ is run against running processes of both sides: as their user, and as root.

Both sides are the demo's, started as the service user: a simulated plant of three protocols, a link that loses 5 %.
What a command says first and its exit code are looked at; that no trace of Python is in it; and that nothing that root
typed leaves a file behind that the service cannot use. The demo costs as much as the commands do, as long as they take:
commands that do not wait for each other are typed side by side.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from documented import ROOT, WAYS, Documented, Way, documented, tried, way_of

import checkvalve as front_door
from protocol import keymaking, keys
from protocol.recommendation.carried_file import CarriedRecommendation, signed
from protocol.recommendation.proposal import Proposal
from receiver.governed.recommendations.outcomes import heard
from receiver.outputs.historian.read import Door
from receiver.outputs.scope import Scope

SERVICE = 64_321
"""A user that is nobody else's; the demo's processes run as it."""
PATIENCE = 90.0
"""Longest wait for the first data, on a busy machine [s]."""
COMMANDS = list(documented())
RUN = [one for one in COMMANDS if (way := way_of(one.words)) is not None and not way.elsewhere]
ONCE = {one.words: one for one in RUN}
"""Each command line once, whatever number of pages name it."""

HELP = ("--help",)
HANDS = 3
"""People who type at once."""
LANES = {"apply": "send"}
"""Commands that wait for those of another name; those of one name are typed one after the other."""
MAKES: dict[tuple[str, ...], str] = {("keys", "new"): "keys", ("init", "high"): "made", ("init", "low"): "made"}
"""What must not be there yet."""
STARTS = {("send", "sender.toml"), ("receive", "receiver.toml")}
"""What the services do: root is refused where the folder is theirs."""


def as_service(argv: list[str]) -> list[str]:
    """Command line of a process that runs as the service user; where this is not root's test run, as it is.

    The interpreter of a developer often lies in a home that nobody else may enter: the process gets its own view of
    the file system, in which that one folder can be entered and holds nothing but the interpreter.
    """
    if os.geteuid() != 0:
        return argv
    lines = ["set -e", "mount -t tmpfs tmpfs /mnt"]
    for number, needed in enumerate(sorted({Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT})):
        way = [*reversed(needed.parents), needed]
        shut = next((path for path in way if path.stat().st_mode & 0o005 != 0o005), None)
        if shut is not None:
            lines += [
                f"mkdir /mnt/{number}",
                f"mount --bind '{needed}' /mnt/{number}",
                f"mount -t tmpfs -o mode=755 tmpfs '{shut}'",
                f"mkdir -p '{needed}'",
                f"mount --move /mnt/{number} '{needed}'",
            ]
    lines.append(f'exec setpriv --reuid={SERVICE} --regid={SERVICE} --clear-groups --inh-caps=-all "$@"')
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines), "sh", *argv]


def checkvalve(*words: str) -> list[str]:
    """The command line of a subcommand."""
    return [sys.executable, "-P", "-m", "checkvalve", *words]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder of the service user; pytest's own ones are closed to everybody else, again and again."""
    with tempfile.TemporaryDirectory(prefix="checkvalve-documented-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        if os.geteuid() == 0:
            os.chown(name, SERVICE, SERVICE)
        yield Path(name)


@pytest.fixture(scope="module")
def plant(folder: Path) -> Iterator[Path]:
    """The demo's folder, once data are visible."""
    argv = as_service(checkvalve("demo", "--folder", str(folder / "demo"), "--headless", "--seconds", "900"))
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(argv, stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd=folder)
    ends = time.monotonic() + PATIENCE
    try:
        while "published" not in (folder / "said").read_text():
            assert process.poll() is None, (folder / "said").read_text()
            assert time.monotonic() < ends, (folder / "said").read_text()
            time.sleep(0.1)
        sender = folder / "demo/high/sender.toml"
        (folder / "demo/new.toml").write_text(sender.read_text().replace('every = "1s"', 'every = "2s"', 1))
        yield folder / "demo"
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def places(plant: Path) -> Mapping[str, str]:
    """What stands on a page, and what stands for it here."""
    urls = {name: told["url"] for name, told in json.loads((plant / "ports.json").read_text()).items()}
    return {
        r"(SENDER|sender)\.toml|/var/lib/checkvalve/sender\.toml": str(plant / "high/sender.toml"),
        r"receiver\.toml|/var/lib/checkvalve/receiver\.toml": str(plant / "low/receiver.toml"),
        "new.toml": str(plant / "new.toml"),
        r"tcp://10\.0\.0\.\d+:502": urls["pump-7"],
        r"opc\.tcp://10\.0\.0\.\d+:4840": urls["turbine-1"],
        r"enip://10\.0\.0\.\d+": urls["packaging-2"],
        r"high\.pub": str(plant / "high/keys/high.pub"),
        r"low\.pub": str(plant / "low/keys/low.pub"),
        r"\$KEEP": str(plant / "kept"),
        "copy/spool": str(plant / "high/state/spool"),
        "copy/journal": str(plant / "low/state/journal"),
    }


def test_every_documented_command_has_a_way_to_be_tried() -> None:
    """A new one on a page fails here until the table knows it, and a way that no page needs goes."""
    assert [f"{one.page}: {' '.join(one.words)}" for one in COMMANDS if way_of(one.words) is None] == []
    used = {id(way_of(one.words)) for one in COMMANDS}
    assert [way.shape for way in WAYS if id(way) not in used] == []
    assert len(ONCE) > 30
    sys.stdout.write(f"{len(COMMANDS)} commands on pages, {len(ONCE)} different ones run here\n")


@pytest.mark.parametrize("way", [way for way in WAYS if way.elsewhere], ids=lambda way: way.shape)
def test_a_command_that_is_tried_elsewhere_is(way: Way) -> None:
    """The file that the table names is there and starts that command, or each of those that one shape is for."""
    text = (ROOT / way.elsewhere).read_text()
    named = re.match(r"\(?([a-z|-]+)", way.shape)
    assert named
    assert [name for name in named[1].split("|") if name not in text] == []


def test_every_command_that_prose_names_alone_has_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed before anything is looked at: by whom, and where, makes no difference."""
    wrong = []
    for one in ONCE.values():
        way = way_of(one.words)
        assert way is not None
        if way.also == HELP:
            argv = tried(one.words, way, {})
            code, said = front_door.main(argv), capsys.readouterr()
            wrong += _wrong(one, way, subprocess.CompletedProcess(argv, code, said.out, said.err))
    assert "\n".join(wrong) == ""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("user", ["service", "root"])
def test_every_documented_command_does_what_its_page_says(
    plant: Path, places: Mapping[str, str], folder: Path, user: str
) -> None:
    """Exit code and first line, for each of them: they share the running plant. Root types what names a file of it."""
    if user == "root" and os.geteuid() != 0:
        pytest.skip("only root can try what root does")
    work = folder / user
    work.mkdir()
    (work / "registers.csv").write_text("name,address,type,factor,unit\npressure,holding:0,uint16,0.1,bar\n")
    if os.geteuid() == 0:
        os.chown(work, SERVICE, SERVICE)
    lanes: dict[str, dict[tuple[str, ...], tuple[Documented, Way]]] = {}
    for one in ONCE.values():
        way = way_of(one.words)
        assert way is not None
        own = {r"\S*keys/(high|low)": str(work / "keys" / "new")}
        if one.words[0] == "init":
            own = {r"/root/\w+": str(work / "made"), "/var/lib/checkvalve": str(plant / one.words[1])}
        argv = tuple(checkvalve(*tried(one.words, way, {**places, **own})))
        if user == "root" and one.words in STARTS:
            way = replace(way, first=rf"error: \S+ cannot be written by root: it belongs to user {SERVICE}")
        if way.also != HELP and (user == "service" or any(str(plant) in word for word in argv)):
            lanes.setdefault(LANES.get(one.words[0], one.words[0]), {})[argv] = (one, way)

    def typed(lane: Mapping[tuple[str, ...], tuple[Documented, Way]]) -> list[str]:
        wrong = []
        for argv, (one, way) in lane.items():
            if one.words[:2] in MAKES:
                shutil.rmtree(work / MAKES[one.words[:2]], ignore_errors=True)
            wrong += _wrong(one, way, _run(as_service([*argv]) if user == "service" else [*argv], work))
        return wrong

    with ThreadPoolExecutor(HANDS) as hands:
        wrong = [line for lines in hands.map(typed, lanes.values()) for line in lines]
    assert "\n".join(wrong) == ""
    assert [str(path) for path in _unusable(plant)] == []


def test_a_change_is_told_on_the_low_side_and_one_without_apply_too(plant: Path, folder: Path) -> None:
    """Who, why and what; a file that was edited and reloaded; and the way back to what stood before."""
    sender, receiver = str(plant / "high/sender.toml"), str(plant / "low/receiver.toml")
    before = Path(sender).read_text()

    def typed(*words: str, codes: tuple[int, ...] = (0,)) -> str:
        done = _run(as_service(checkvalve(*words)), folder)
        assert done.returncode in codes, done.stderr
        return done.stdout

    def told(*wanted: str) -> str:
        ends = time.monotonic() + 30
        while not all(one in (said := typed("status", receiver, codes=(0, 1))) for one in wanted):
            assert time.monotonic() < ends, said
            time.sleep(0.2)
        return said

    new = [
        "--from",
        str(plant / "new.toml"),
        "--why",
        "tried <b>twice</b>",
        "--ticket",
        "MOC-7",
        "--by",
        "anna",
        "--yes",
    ]
    assert "kept as" in typed("apply", sender, *new)
    told("by anna, ticket MOC-7: tried <b>twice</b>", 'pump-7 changed: scan[0].every "1s" -> "2s"')
    Path(sender).write_text(before.replace('every = "500ms"', 'every = "700ms"', 1))
    assert "is not what application" in typed("send", sender, "--reload")
    told("warning: the sender's configuration was changed without apply, after application")
    assert "changed without apply" in typed("status", sender)
    typed("apply", sender, "--back", "--by", "berta", "--yes")
    told("back to", "by berta")
    assert Path(sender).read_text() == (plant / "new.toml").read_text()
    with urllib.request.urlopen(json.loads((plant / "low/state/portal.json").read_text())["url"] + "changes") as reply:
        page = reply.read().decode()
    assert "tried &lt;b&gt;twice&lt;/b&gt;" in page
    assert "Changed without apply" in page


def test_a_decision_about_a_recommendation_is_an_event_at_the_low_side(plant: Path, folder: Path) -> None:
    """Accepted by a command while everything runs, heard within seconds, and nothing is changed by it."""
    sender = plant / "high/sender.toml"
    keymaking.make("recommend", folder / "low-recommend")
    sender.write_text(f'{sender.read_text()}\n[recommendations]\nkeys = ["{folder}/low-recommend.pub"]\n')
    site, now_ns = tomllib.loads(sender.read_text())["site"], time.time_ns()
    carried = CarriedRecommendation(
        number="rec-3k5q7a2m",
        proposal=Proposal(site=site, asset="pump-7", what="Lower the speed limit.", why="The bearing runs warm."),
        by="Jane Doe",
        employer="Acme Pumps",
        made_ns=now_ns,
        released_by="E. Engineer",
        released_why="worth reading there",
        released_ns=now_ns,
        expires_ns=now_ns + 30 * 86_400 * 10**9,
    )
    path = folder / "carried"
    path.write_bytes(signed(carried, keys.load(folder / "low-recommend", "recommend")))
    before = sender.read_bytes()
    words = ("recommendation", str(sender), str(path), "--accept", "--why", "agreed for the June outage")
    done = _run(as_service(checkvalve(*words)), folder)
    assert done.returncode == 0, done.stderr
    assert sender.read_bytes() == before
    door, ends = Door(plant / "low/state/history", Scope()), time.monotonic() + 30
    try:
        while not (found := heard(door.events(1000))):
            assert time.monotonic() < ends
            time.sleep(0.1)
    finally:
        door.close()
    assert [(one.number, one.accepted, one.why) for one in found] == [(carried.number, True, words[-1])]


def test_the_plant_goes_on_while_everything_was_typed(plant: Path) -> None:
    """Processes of both sides still say what they do, once a second."""
    for side in ("high", "low"):
        for path in (plant / side / "state").glob("status-*.json"):
            told = json.loads(path.read_text())
            assert time.time_ns() - told["time_ns"] < 10e9, path.name


def _run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False, cwd=folder, env=environment)


def _wrong(one: Documented, way: Way, done: subprocess.CompletedProcess[str]) -> list[str]:
    out, err = done.stdout.strip(), done.stderr.strip()
    first = next((line for line in (out or err).splitlines()), "")
    told = [f"`checkvalve {' '.join(one.words)}` of {one.page}: exit {done.returncode}, {first!r}, {err[-300:]!r}"]
    if done.returncode != way.exit or not re.match(way.first, first):
        return told
    return told if "Traceback" in err or "this is a bug" in err else []


def _unusable(plant: Path) -> list[Path]:
    """Files of either state folder that its service could not read or replace."""
    if os.geteuid() != 0:
        return []
    found = []
    for path in plant.glob("*/state/**/*"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # the processes go on
        if status.st_uid != SERVICE or not status.st_mode & stat.S_IRUSR:
            found.append(path)
    return found
