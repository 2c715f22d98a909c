"""What systemd is given: units that it can read, that hold each process to its own verb, and files of the recipe."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oneway.firewall import high_rules, low_rules
from oneway.recipe import Ground, Side, steps
from protocol.process.confine import STRICT_COMMON, Role

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*/*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
FOUR = {name: side for side, pair in (("high", ("poll", "emit")), ("low", ("catch", "publish"))) for name in pair}
LINK = {"emit": Role.EMITTER, "catch": Role.CATCHER}
analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def lines(name: str) -> dict[str, list[str]]:
    """The [Service] section of one of the four: key -> its values in order."""
    text = (DEPLOY / f"systemd/{FOUR[name]}/checkvalve-{name}.service").read_text().split("[Service]")[1]
    out: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text.split("[Install]")[0], re.MULTILINE):
        out.setdefault(key, []).append(value)
    return out


def here(unit: Path, folder: Path) -> Path:
    """A copy that starts this interpreter, so that systemd finds what it would run."""
    text = re.sub(r"^Documentation=.*\n", "", unit.read_text(), flags=re.MULTILINE)
    copy = folder / unit.name
    copy.write_text(text.replace("/opt/checkvalve/bin/python", sys.executable))
    return copy


@analyze
@pytest.mark.parametrize("side", ["high", "low"])
def test_systemd_reads_the_units(side: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say; that it can is seen with a wrong key."""
    copies = [here(unit, tmp_path) for unit in UNITS if unit.parent.name == side]
    assert len(copies) == (8 if side == "low" else 6)  # the low side's trail has checkpoints
    argv = ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no"]
    done = subprocess.run([*argv, *copies], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    wrong = copies[0].with_name("wrong.service")
    wrong.write_text("[Service]\nExecStart=/bin/true\nProtectEverything=yes\n")
    told = subprocess.run([*argv, wrong], capture_output=True, text=True, timeout=60, check=False)
    assert "ProtectEverything" in told.stderr


@analyze
@pytest.mark.parametrize("name", FOUR)
def test_systemd_finds_little_exposed(name: str, tmp_path: Path) -> None:
    """At most 2.0 of 10, where a unit without any of it has 9.6."""
    copy = here(DEPLOY / f"systemd/{FOUR[name]}/checkvalve-{name}.service", tmp_path)
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(copy)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-300:]


def test_each_of_the_four_is_another_user_and_none_has_a_capability() -> None:
    """Own users, one group a side, no capability, a watchdog, `-P`."""
    users = {name: lines(name)["User"] for name in FOUR}
    assert users == {name: [f"checkvalve-{name}"] for name in FOUR}
    for name in FOUR:
        held = lines(name)
        assert held["CapabilityBoundingSet"] == held["AmbientCapabilities"] == [""]
        assert held["NoNewPrivileges"] == ["yes"]
        assert held["Type"] == ["notify"]
        assert int(held["WatchdogSec"][0]) >= 10
        assert held["ExecStart"][0].startswith("/opt/checkvalve/bin/python -P -m checkvalve ")
        assert held["RestartPreventExitStatus"] == ["2 3"]


def test_only_the_two_ends_live_in_the_links_namespace() -> None:
    """Emit and catch join it, with IPv4 and nothing that reaches a network besides; poll and publish cannot see it."""
    for name in FOUR:
        held = lines(name)
        if name in LINK:
            assert held["NetworkNamespacePath"] == ["/run/netns/checkvalve"]
            assert held["RestrictAddressFamilies"] == ["AF_INET AF_UNIX"]
        else:
            assert "NetworkNamespacePath" not in held
            assert held["InaccessiblePaths"] == ["-/run/netns"]


def allowed(name: str) -> set[str]:
    """System calls that the unit's filter lets pass, its groups as this systemd knows them."""
    told = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True).stdout
    groups: dict[str, set[str]] = {}
    at = ""
    for line in told.splitlines():
        if line.startswith("@"):
            at = line.strip()
            groups[at] = set()
        elif at and line.startswith("    ") and not line.strip().startswith("#"):
            groups[at].add(line.strip())

    def calls(words: str) -> set[str]:
        out: set[str] = set()
        todo = words.split()
        while todo:
            word = todo.pop()
            if word.startswith("@"):
                todo += groups[word]
            else:
                out.add(word)
        return out

    out: set[str] = set()
    for value in lines(name)["SystemCallFilter"]:
        out = out - calls(value[1:]) if value.startswith("~") else out | calls(value)
    return out


@analyze
@pytest.mark.parametrize("name", FOUR)
def test_the_outer_filter_lets_each_take_no_new_privileges(name: str) -> None:
    """What a process without capabilities calls of `capabilities.shed`."""
    assert "prctl" in allowed(name)


@analyze
@pytest.mark.parametrize("name", LINK)
def test_the_outer_filter_lets_the_end_work_and_confine_itself(name: str) -> None:
    """Everything that the strict allow list holds passes, what confinement itself calls too; ways around it do not."""
    passing = allowed(name)
    needed = {*STRICT_COMMON, "prctl", "seccomp", "capset", "socket", "bind", "sendto", "execve", "wait4", "dup2"}
    needed |= {"pipe2", "clone", "vfork", "unlink"}
    assert needed - passing == {"fchown"}  # root alone calls it, and the unit's user is not root
    assert not passing & {"io_uring_setup", "bpf", "mount", "init_module", "chroot", "settimeofday", "setuid"}
    if name == "emit":
        assert not passing & {"recvfrom", "recvmsg", "recvmmsg"}
    else:
        assert {"recvfrom", "recvmsg"} <= passing


@pytest.mark.parametrize("side", ["high", "low"])
def test_starting_the_target_starts_the_side(side: str) -> None:
    """The target wants the recipe, both processes and what runs by the clock: one unit is enabled, and all is up."""
    text = (DEPLOY / f"systemd/{side}/checkvalve-{side}.target").read_text()
    (wants,) = [line.removeprefix("Wants=").split() for line in text.splitlines() if line.startswith("Wants=")]
    four = {f"checkvalve-{name}.service" for name, its in FOUR.items() if its == side}
    timers = {f"checkvalve-audit-{side}.timer", *(["checkvalve-trail.timer"] if side == "low" else [])}
    assert set(wants) == {f"checkvalve-setup-{side}.service", *timers, *four}
    assert all((DEPLOY / "systemd" / side / name).exists() for name in wants)
    assert "WantedBy=multi-user.target" in text


def test_no_unit_has_a_key_twice_by_mistake() -> None:
    """Only those that add up stand more than once."""
    for name in FOUR:
        doubled = {key for key, values in lines(name).items() if len(values) > 1}
        assert doubled <= {"SystemCallFilter", "ReadOnlyPaths"}


def test_the_firewall_files_are_the_recipes() -> None:
    """Comments apart, the files under deploy/ are what `setup` would load."""
    for side, rules in (
        ("high", high_rules("diode0", "192.0.2.1", "192.0.2.2", 5005)),
        ("low", low_rules("diode0", "192.0.2.2", 5005, "192.0.2.1")),
    ):
        text = (DEPLOY / f"nftables/checkvalve-{side}.nft").read_text()
        assert "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#")) == rules


@pytest.mark.parametrize("side", list(Side))
def test_the_sysctl_files_are_the_recipes(side: Side) -> None:
    """Every setting that `setup` makes on a machine without a namespace stands in the file with the same value."""
    ends = ("192.0.2.1", "192.0.2.2") if side == Side.HIGH else ("192.0.2.2", "192.0.2.1")
    ground = Ground(
        side=side,
        interface="diode0",
        address=ends[0],
        port=5005,
        peer=ends[1],
        peer_mac="02:00:5e:10:00:01" if side == Side.HIGH else None,
    )
    made = {word.replace("/", ".") for step in steps(ground) if step.argv[0] == "sysctl" for word in step.argv[2:]}
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string("[all]\n" + (DEPLOY / f"sysctl/checkvalve-{side.value}.conf").read_text())
    assert {f"{key}={value}" for key, value in parser["all"].items()} == made


def test_what_signs_the_trail_is_not_who_writes_it() -> None:
    """The key lies where publish cannot read, and the unit that reads it listens to nobody."""
    unit = (DEPLOY / "systemd/low/checkvalve-trail.service").read_text()
    key = "/etc/checkvalve/trail/trail.key"
    assert f"ConditionPathExists={key}\n" in unit
    assert f"--key {key}\n" in unit
    assert "User=" not in unit
    assert "PrivateNetwork=yes" in unit
    assert "User=checkvalve-publish" in (DEPLOY / "systemd/low/checkvalve-publish.service").read_text()
