"""`checkvalve doctor`: troubles are planted and it names each one; the more basic of two comes first.

Most are facts handed to the rules. Where a machine can be made so without root, the trouble is a real one, with real
processes over loopback.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plant import Plant, command, plant, until

import checkvalve
from oneway.doctor.both_sides import KeyFile
from oneway.doctor.machine import Disk, Folder, Kernel, Process, clock_synced, folder
from oneway.doctor.trouble import Ailment, diagnosis, lines
from oneway.preflight import Finding, Level, high, low
from oneway.readings import NOARP, UP, Interface, Neighbour, Readings, Route
from protocol import keymaking
from receiver.commands.low_troubles import LowFacts
from receiver.commands.low_troubles import troubles as low_troubles
from receiver.publish.alarm import _WHY
from receiver.publish.known import Lack
from receiver.status.wording import complete
from sender.commands.high_troubles import HighFacts
from sender.commands.high_troubles import troubles as high_troubles

UNSYNCHRONISED = "clock-unsynchronised"
FULL = Disk(free_bytes=0, total_bytes=10**10, free_inodes=10**5, total_inodes=10**6)
ROOM = replace(FULL, free_bytes=5 * 10**9)
HERE = Folder(path=Path("/s/state"), owner=7)
DEVICE = Interface(name="dd0", flags=UP | 0x40 | NOARP, mac="02:00:00:00:00:01", addresses=("192.0.2.2",), ipv6=False)
DROPS = 'table netdev x { chain a {\n type filter hook ingress device "dd0" priority -500; policy drop;\n udp dport '


def says(age_s: float = 0.5, alive: bool = True, **told: Any) -> Process:
    """A process and its last word."""
    return Process(said=told, age_s=age_s, alive=alive)


def link(**told: Any) -> dict[str, Any]:
    """What catch says of the link, by default all well."""
    return {"link": {"session": "00000001", "confirmed": True, "beat_age_s": 0.5, "beat_wall_ns": 10**18} | told}


def catch(before: Mapping[str, Any], after: Mapping[str, Any], /, **more: Any) -> LowFacts:
    """Two looks at a catch that runs."""
    first = dict(LOW.processes) | {"catch": says(**before)}
    return replace(LOW, processes=first, later=first | {"catch": says(**after)}, **more)


def beats(apart_s: float = 0.0, **spool: Any) -> LowFacts:
    """A sender that is heard and says this of itself."""
    told = link() | {"sender": {"spool": spool}, "watch": {"beat": {"session": 1, "apart_s": apart_s}}}
    return catch(complete(told), complete(told))


def silent(frames: Mapping[str, int], snmp: Mapping[str, int], **more: Any) -> LowFacts:
    """Nothing is heard; what the kernel counted meanwhile."""
    quiet = link(beat_age_s=None, beat_wall_ns=None)
    held = {"interface": DEVICE, "after": Kernel(frames_in=frames, snmp=snmp)} | more
    return catch(quiet, quiet, **held)


def output(alarm: str) -> LowFacts:
    """The historian says this."""
    said = says(alarms=[alarm], unpublished={"blocks": 3, "streams": 1})
    return replace(LOW, processes=dict(LOW.processes) | {"historian": said})


def sender(name: str, said: Process | None, later: Process | None = None) -> HighFacts:
    """One process of the high side says this, or never ran."""
    first = {key: one for key, one in {**HIGH.processes, name: said}.items() if one is not None}
    after = {**first, name: later} if later is not None else first
    return replace(HIGH, processes=first, later=after)


def device(**states: str) -> HighFacts:
    """Devices in these states."""
    told = {name: {"state": "down", "trouble": text} if text else {"state": "live"} for name, text in states.items()}
    return sender("poll", says(assets=told))


def readings(**changed: Any) -> Readings:
    """A high side's interface as preflight wants it, but for what is changed."""
    here = Interface(name="dd0", flags=UP | 0x40 | NOARP, mac="02:00:00:00:00:01", mtu=1500, ipv6=False)
    right: dict[str, Any] = {
        "interfaces": (here,),
        "neighbours": (Neighbour(address="192.0.2.2", interface="dd0", mac="02:00:00:00:00:02", permanent=True),),
        "routes": (Route(network=0xC0000202, mask=0xFFFFFFFF, gateway=None, interface="dd0", metric=0),),
        "rp_filter_all": 0,
        "buffer_bytes": 1 << 26,
        "hooks": {("dd0", "ingress"): "drop", ("dd0", "egress"): "drop"},
    }
    return Readings(**(right | changed))


def faulty(**changed: Any) -> HighFacts:
    """An interface that is not as preflight wants it, and a sender that was refused the start."""
    found = high(readings(**changed), "192.0.2.2", 1500)
    down = {"emit": says(900.0, alive=False), "poll": says()}
    return replace(HIGH, findings=found, processes=down, later=down)


_RUN = {"catch": says(**link()), "publish": says(), "historian": says()}
LOW = LowFacts(
    file=Path("receiver.toml"),
    folder=HERE,
    host="192.0.2.2",
    port=5005,
    portal_port=8080,
    disk=ROOM,
    keys=(KeyFile(path=Path("catch.key"), owner=7),),
    outputs=("historian",),
    processes=_RUN,
    later=_RUN,
    wall_ns=10**18,
    synced=True,
)
_SENT = {"emit": says(backlog_s=0.1), "poll": says(spool={"bytes": 1, "most_bytes": 100})}
HIGH = HighFacts(
    file=Path("sender.toml"),
    folder=HERE,
    disk=ROOM,
    keys=(KeyFile(path=Path("sign.key"), owner=7),),
    processes=_SENT,
    later=_SENT,
    synced=True,
)
OPENS = _WHY[Lack.KEY][0].format(detail="ab", own="cd")
SIGNED = _WHY[Lack.SIGNER][0].format(detail="ab")

LOW_CASES: dict[str, tuple[LowFacts, str]] = {
    "the sender is down": (silent({"dd0": 0}, {}), "silent"),
    "another port in `to`": (silent({"dd0": 4}, {"Ip.InReceives": 4, "Udp.NoPorts": 4}), "wrong-port"),
    "plugged into another interface": (silent({"dd0": 0, "eth1": 9}, {}), "other-interface"),
    "the firewall lets another port in": (silent({"dd0": 9}, {}, rules=DROPS + "5006 accept\n}}"), "firewall"),
    "sent to another MAC": (silent({"dd0": 9}, {}, rules=DROPS + "5005 accept\n}}"), "other-mac"),
    "rp_filter": (
        replace(
            silent({"dd0": 9}, {}),
            findings=low(readings(rp_filter_all=1, interfaces=(replace(DEVICE, rp_filter=1),)), "192.0.2.2"),
        ),
        "interface",
    ),
    "frames larger than the mtu": (
        replace(silent({"dd0": 0}, {}), after=Kernel(frames_in={"dd0": 0}, errors_in={"dd0": 3})),
        "too-large",
    ),
    "interface down": (silent({"dd0": 0}, {}, interface=replace(DEVICE, flags=0)), "interface-down"),
    "signed with a key nobody named": (
        catch(link(beat_age_s=None), link(beat_age_s=None, refused={"key": 2})),
        "link-keys",
    ),
    "missing from the sender's list": (
        catch(link(beat_age_s=None), link(beat_age_s=None, refused={"receiver": 2, "rate": 4})),
        "not-a-receiver",
    ),
    "missing from the list, and a stranger's LINKs too": (
        catch(link(beat_age_s=9.0), link(beat_age_s=11.0, refused={"receiver": 1, "key": 40})),
        "not-a-receiver",
    ),
    "false signatures": (
        catch(link(beat_age_s=None), link(beat_age_s=None, refused={"signature": 2})),
        "link-signature",
    ),
    "bytes of a stranger": (catch(link(beat_age_s=None), link(beat_age_s=None, refused={"magic": 9})), "not-ours"),
    "the sender's clock went back": (
        catch(link(beat_age_s=60.0), link(beat_age_s=62.0, refused={"floor": 2})),
        "below-floor",
    ),
    "a recording is played": (catch(link(), link(refused={"floor": 40})), "replayed"),
    "clocks far apart, not confirmed": (
        catch(link(confirmed=False), link(confirmed=False)),
        "unconfirmed",
    ),
    "clocks apart": (beats(apart_s=-3 * 86400.0), "clock-apart"),
    "the sender's disk full": (beats(full=True), "sender-disk-full"),
    "the sender's disk nearly full": (beats(free_bytes=5 * 10**8, bytes=1, most_bytes=2 * 10**10), "sender-disk-low"),
    "the spool about to lose what was not repeated": (beats(loses_s=2400), "sender-loses"),
    "a device's certificate near its end": (beats(certificate_s=5 * 86400), "certificate-ends"),
    "unknown `sign` key": (output(SIGNED), "sign-key"),
    "another `open` key": (output(OPENS), "open-key"),
    "a small buffer": (catch(link(kernel_drops=1), link(kernel_drops=90)), "kernel-drops"),
    "blocks of the time when catch was down": (catch(link(), link() | {"blocks": {"missing": 12}}), "missing"),
    "a link that loses little, in bursts": (catch(link(), link(loss_total=0.01) | {"blocks": {"missing": 12}}), "loss"),
    "more loss than spares": (catch(link(), link(loss=0.3) | {"blocks": {"missing": 12}}), "loss"),
    "disk full": (replace(LOW, disk=FULL), "disk-full"),
    "no inodes": (replace(LOW, disk=replace(ROOM, free_inodes=0)), "inodes-full"),
    "read-only": (replace(LOW, disk=replace(ROOM, read_only=True)), "disk-read-only"),
    "journal held": (
        replace(LOW, processes={"publish": says(), "historian": says()}, journal_holder=99),
        "journal-held",
    ),
    "state of another user": (replace(LOW, folder=replace(HERE, owner=8)), "state-owner"),
    "a link in place of state": (
        replace(LOW, folder=Folder(path=HERE.path, there=False, stands="a link that leads nowhere")),
        "state-no-folder",
    ),
    "a configuration that the service cannot read": (
        replace(LOW, folder=replace(HERE, shut="its mode is 600"), processes={}),
        "configuration-owner",
    ),
    "files of root": (replace(LOW, folder=replace(HERE, roots=("floor.json",))), "root-files"),
    "historian damaged": (replace(LOW, history_damaged=("current.db.damaged-1",)), "history-damaged"),
    "an address of another machine": (
        replace(LOW, processes={"publish": says(), "historian": says()}, address_here=False),
        "address-elsewhere",
    ),
    "catch down": (replace(LOW, processes=dict(_RUN) | {"catch": says(90.0, alive=False)}), "catch-down"),
    "catch hangs": (replace(LOW, processes=dict(_RUN) | {"catch": says(90.0)}), "catch-down"),
    "catch hangs, and holds its own journal": (
        replace(LOW, processes=dict(_RUN) | {"catch": says(90.0, pid=99)}, journal_holder=99),
        "catch-down",
    ),
    "catch hangs, and has its own port": (
        replace(
            LOW,
            processes=dict(_RUN) | {"catch": says(90.0)},
            after=replace(LOW.after, udp_ports=frozenset({LOW.port})),
        ),
        "catch-down",
    ),
    "publish down": (replace(LOW, processes={"catch": _RUN["catch"]}), "publish-down"),
    "clock unsynchronised": (replace(LOW, synced=False), UNSYNCHRONISED),
    "portal port taken": (
        replace(LOW, portal_lives=False, after=Kernel(tcp_ports=frozenset({8080}))),
        "portal-port-taken",
    ),
}
HIGH_CASES: dict[str, tuple[HighFacts, str]] = {
    "emit down": (sender("emit", says(90.0, alive=False)), "emit-down"),
    "poll down": (sender("poll", None), "poll-down"),
    "emit hangs, and holds its own outlet": (replace(sender("emit", says(90.0, pid=9)), outlet_holder=9), "emit-down"),
    "an errand waits": (replace(sender("emit", None), errands=2), "emit-down"),
    "interface down": (replace(faulty(routes=()), interfaces=(replace(DEVICE, flags=0),)), "interface-down"),
    "no cable": (replace(HIGH, interfaces=(replace(DEVICE, flags=UP),)), "no-carrier"),
    "no route": (faulty(routes=()), "interface"),
    "no neighbour": (faulty(neighbours=()), "interface"),
    "own MAC as neighbour": (
        faulty(neighbours=(Neighbour(address="192.0.2.2", interface="dd0", mac="02:00:00:00:00:01", permanent=True),)),
        "interface",
    ),
    "mtu too small": (faulty(interfaces=(replace(DEVICE, addresses=(), mtu=1400),)), "interface"),
    "disk full": (replace(HIGH, disk=FULL), "disk-full"),
    "spool near its limit": (sender("poll", says(spool={"bytes": 99, "most_bytes": 100})), "spool-near-limit"),
    "spool about to lose what was not repeated": (
        sender("poll", says(spool={"bytes": 99, "most_bytes": 100, "loses_s": 2400})),
        "spool-loses",
    ),
    "key missing": (replace(HIGH, keys=(KeyFile(path=Path("k"), fault="no key file k"),)), "key-file"),
    "a device down": (device(pump="connection refused", fan=""), "device-down"),
    "all devices down": (device(pump="timeout", fan="timeout"), "all-devices-down"),
    "clock unsynchronised": (replace(HIGH, synced=False), UNSYNCHRONISED),
    "rate too small": (sender("emit", says(backlog_s=90.0), says(backlog_s=92.0)), "backlog"),
    "another emitter": (replace(sender("emit", None), outlet_holder=9), "outlet-held"),
    "not taken by the interface": (sender("emit", says(send_errors=1), says(send_errors=9)), "send-errors"),
    "state of another user": (replace(HIGH, folder=replace(HERE, owner=8)), "state-owner"),
    "a mistake in the file": (replace(HIGH, config_fault=("outlet.to: no address",)), "configuration"),
}


def first(found: Iterator[Ailment]) -> str:
    """The name of the most likely one; empty: none."""
    ordered = diagnosis(list(found), ["all"]).troubles
    return ordered[0].name if ordered else ""


@pytest.mark.parametrize("name", LOW_CASES)
def test_a_trouble_of_the_low_side_is_named(name: str) -> None:
    """The facts that it leaves behind lead to it and to no other first."""
    facts, expected = LOW_CASES[name]
    assert first(low_troubles(facts)) == expected


@pytest.mark.parametrize("name", HIGH_CASES)
def test_a_trouble_of_the_high_side_is_named(name: str) -> None:
    """The facts that it leaves behind lead to it and to no other first."""
    facts, expected = HIGH_CASES[name]
    assert first(high_troubles(facts)) == expected


def test_a_side_without_trouble_says_nothing_found() -> None:
    """Where all is well no rule speaks, and what was looked at is told."""
    assert first(low_troubles(LOW)) == first(high_troubles(HIGH)) == ""
    assert list(lines(diagnosis([], ["a", "b"]))) == ["nothing found", "looked at: a, b"]


def test_of_two_troubles_the_more_basic_one_comes_first() -> None:
    """Disk before link, process before key, key file before process."""
    assert first(low_troubles(replace(silent({}, {}), disk=FULL))) == "disk-full"
    assert (
        first(
            low_troubles(
                replace(
                    output(SIGNED), processes={"historian": output(SIGNED).processes["historian"], "publish": says()}
                )
            )
        )
        == "catch-down"
    )
    broken = (KeyFile(path=Path("k"), fault="no key file k"),)
    assert first(high_troubles(replace(sender("emit", None), keys=broken))) == "key-file"


def test_a_way_back_is_no_reason_for_silence() -> None:
    """IPv6 at a running link is told, and after what keeps data from arriving."""
    found = [Finding(level=Level.FAULT, text="IPv6 is on at dd0", fix="x")]
    assert first(low_troubles(replace(silent({"dd0": 0}, {}), findings=found))) == "silent"


# --- real processes ---------------------------------------------------------------------------------------------------


def doctor(made: Plant, side: str) -> tuple[int, list[str]]:
    """Exit code, and names of what it found, but for the clock of the machine that tests; a process less each time."""
    file = made.folder / side / ("sender.toml" if side == "high" else "receiver.toml")
    with redirect_stdout(io.StringIO()) as out:
        code = checkvalve.main(["doctor", str(file), "--json"])
    assert code in (0, 1)
    found = [one["name"] for one in json.loads(out.getvalue())["troubles"]]
    assert code == bool(found)
    rest = [one for one in found if one != UNSYNCHRONISED or clock_synced() is not False]
    return int(bool(rest)), rest


def named(made: Plant, side: str, expected: str) -> None:
    """It is the first one, soon."""
    seen: list[list[str]] = []

    def done() -> bool:
        seen.append(doctor(made, side)[1])
        return seen[-1][:1] == [expected]

    until(done, f"{expected} was not named", patience=40)


def change(path: Path, old: str, new: str) -> None:
    """Another setting in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_healthy_pair_then_each_end_taken_away(tmp_path: Path) -> None:
    """Nothing found while both run; then the link is silent, the sender down, catch down."""
    with plant(tmp_path) as made:
        made.start("low")
        made.start("high")
        until(lambda: made.published() > 0, "nothing was published")
        until(lambda: not doctor(made, "low")[1] and not doctor(made, "high")[1], "a healthy side has troubles")
        made.sides["plant"].terminate()
        named(made, "high", "all-devices-down")
        made.stop("high")
        time.sleep(6)  # catch hears no beat for so long
        named(made, "high", "emit-down")
        named(made, "low", "silent")
        made.stop("low")
        named(made, "low", "catch-down")


def test_a_wrong_port_is_named(tmp_path: Path) -> None:
    """The kernel counts datagrams that nobody takes."""
    with plant(tmp_path) as made:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as trial:
            trial.bind(("127.0.0.1", 0))
            other = trial.getsockname()[1]
        text = (tmp_path / "high/sender.toml").read_text()
        line = next(one for one in text.splitlines() if one.startswith("to ="))
        change(tmp_path / "high/sender.toml", line, f'to = "127.0.0.1:{other}"')
        made.start("low")
        made.start("high")
        until(lambda: made.fresh("high", "emit") and made.fresh("low", "catch"), "they did not start")
        named(made, "low", "wrong-port")


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    """As it is where preflight only warned, and catch cannot begin."""
    with plant(tmp_path, device=False) as made:
        text = (tmp_path / "low/receiver.toml").read_text()
        line = next(one for one in text.splitlines() if one.startswith("listen ="))
        change(tmp_path / "low/receiver.toml", line, 'listen = "192.0.2.77:5005"')
        named(made, "low", "address-elsewhere")


@pytest.mark.parametrize("side", ["high", "low"])
def test_keys_that_do_not_belong_together_are_named(tmp_path: Path, side: str) -> None:
    """A side has the public keys of a stranger in place of the other's: LINKs come and none opens, and whose list is
    wrong is told."""
    with plant(tmp_path) as made:
        other = "low" if side == "high" else "high"
        keymaking.make(other, tmp_path / "stranger")
        shutil.copy(tmp_path / "stranger.pub", tmp_path / f"{side}/keys/{other}.pub")
        made.start("low")
        made.start("high")
        until(lambda: made.fresh("high", "emit") and made.fresh("low", "catch"), "they did not start")
        named(made, "low", "not-a-receiver" if side == "high" else "link-keys")


def test_what_processes_left_behind_is_named_without_them(tmp_path: Path) -> None:
    """Key files, held locks and a taken port are seen where nothing runs."""
    with plant(tmp_path, device=False) as made:
        own = tmp_path / "high/keys/high"
        named(made, "high", "emit-down")
        shutil.copy(own / "sign.key", tmp_path / "kept")
        shutil.copy(own / "sign.pub", own / "sign.key")
        os.chmod(own / "sign.key", 0o600)
        named(made, "high", "key-file")
        (own / "sign.key").unlink()
        named(made, "high", "key-file")
        shutil.copy(tmp_path / "kept", own / "sign.key")
        os.chmod(own / "sign.key", 0o644)
        named(made, "high", "key-file")
        os.chmod(own / "sign.key", 0o600)
        for side, lock, expected in (("high", "emit.lock", "outlet-held"), ("low", "journal/lock", "journal-held")):
            path = made.state(side) / lock
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                named(made, side, expected)
        text = (tmp_path / "low/receiver.toml").read_text()
        port = int(text.split("127.0.0.1:")[1].split('"')[0])
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
            taken.bind(("127.0.0.1", port))
            named(made, "low", "port-taken")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owners_that_do_not_fit_are_named(tmp_path: Path) -> None:
    """A state folder of another user, and root's files in the service's."""
    with plant(tmp_path, device=False) as made:
        state = made.state("high")
        state.mkdir()
        os.chown(state, 64_321, 64_321)
        named(made, "high", "state-owner")
        for path in [tmp_path / "high/keys/high", *(tmp_path / "high/keys/high").iterdir()]:
            os.chown(path, 64_321, 64_321)
        (state / "emit.json").write_text("{}")
        named(made, "high", "root-files")


@pytest.mark.parametrize("side", ["high", "low"])
@pytest.mark.parametrize("stands", ["a file", "a link that leads nowhere"])
def test_what_stands_in_place_of_the_state_folder_is_named(tmp_path: Path, side: str, stands: str) -> None:
    """By the start, which ends with 2 and the next step, and by doctor."""
    with plant(tmp_path, device=False) as made:
        if stands == "a file":
            made.state(side).write_text("")
        else:
            made.state(side).symlink_to(tmp_path / "not-mounted")
        verb, file = ("send", "sender.toml") if side == "high" else ("receive", "receiver.toml")
        words = command(verb, str(tmp_path / side / file))
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert f"{made.state(side)} is a file, or a link that leads nowhere" in done.stderr
        assert "hint:" in done.stderr
        named(made, side, "state-no-folder")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    ("owner", "folder_mode", "held", "mode", "reads"),
    [
        ((64_321, 64_321), 0o750, (0, 0), 0o600, False),
        ((64_321, 64_321), 0o750, (0, 0), 0o644, True),
        ((64_321, 64_321), 0o750, (0, 64_321), 0o640, True),
        ((64_321, 64_321), 0o750, (64_321, 0), 0o400, True),
        ((64_321, 64_321), 0o750, (64_321, 0), 0o040, False),
        ((0, 64_321), 0o2770, (0, 64_321), 0o640, True),
        ((0, 64_321), 0o2770, (0, 0), 0o640, False),
        ((0, 0), 0o755, (0, 0), 0o600, True),
    ],
)
def test_a_configuration_that_the_states_owner_cannot_read_is_seen(
    tmp_path: Path, owner: tuple[int, int], folder_mode: int, held: tuple[int, int], mode: int, reads: bool
) -> None:
    """By modes, whoever looks: root reads everything. Root's folder that a group writes is that group's."""
    state, file = tmp_path / "state", tmp_path / "receiver.toml"
    state.mkdir()
    file.touch()
    for path, (user, group), bits in ((state, owner, folder_mode), (file, held, mode)):
        os.chown(path, user, group)
        path.chmod(bits)
    assert (folder(state, file).shut == "") == reads


def test_damaged_status_files_are_no_obstacle(tmp_path: Path) -> None:
    """Whatever stands in them, it answers with 1 and a cause."""
    with plant(tmp_path, device=False) as made:
        for side in ("high", "low"):
            made.state(side).mkdir()
            for name, data in (("emit", b"\xff{"), ("poll", b"[]"), ("catch", b'{"link": 7, "pid": -1}')):
                (made.state(side) / f"status-{name}.json").write_bytes(data)
            assert doctor(made, side)[0] == 1


def test_a_call_without_a_file_is_a_mistake(tmp_path: Path) -> None:
    """Exit 2, and the next step."""
    words = command("doctor", str(tmp_path / "no.toml"))
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "hint:" in done.stderr
